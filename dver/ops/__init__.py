"""One use case per module, called by the command line, by scripts and by tests alike.

An operation takes a repository, its options and a reporter, and returns a frozen dataclass. It
never prints. What several operations share lies in modules of their own beside them.
"""
