"""What runs inside of an observed command; see :mod:`dver.lineage.observing`."""
