"""The methods of :class:`dver.Repo`, by what they are about."""
