"""``python -m dver`` is ``dver``."""

import sys

from dver.cli.main import program

if __name__ == "__main__":
    sys.exit(program())
