"""``python -m dver`` is ``dver``."""

from dver.cli.main import main

if __name__ == "__main__":
    main()
