"""Runs the Python session of a documentation page, given on standard input.

What it prints must be what the page shows; ``...`` stands for anything. Prints what differs, and
exits with 1 then.
"""

from __future__ import annotations

import doctest
import sys

if __name__ == "__main__":
    page = sys.stdin.read()
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    test = doctest.DocTestParser().get_doctest(page, {"__name__": "__main__"}, "page", None, 0)
    runner = doctest.DocTestRunner(optionflags=flags)
    runner.run(test)
    sys.exit(min(1, runner.failures))
