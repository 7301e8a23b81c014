"""dver: versions data and models beside code, the way git versions code.

From Python: ``dver.open``, ``dver.read`` and ``dver.path`` give files of any version, ``dver.Repo``
does what the command line does, ``with dver.run(inputs=[...], outputs=[...])`` records how data was
made, and fsspec knows ``dver://`` URLs. See ``docs/python.md``.
"""

from __future__ import annotations

import sys

__version__ = "0.1.0"

# What is written for type checkers must not cost the import of typing.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from dver.api import recorded_run, run
    from dver.python.files import open, path, read  # noqa: A004 - it is dver.open
    from dver.python.filesystem import DverFileSystem
    from dver.python.repository import Repo

#: Where each name lives.
_HOMES = {
    "DverFileSystem": "dver.python.filesystem",
    "Repo": "dver.python.repository",
    "open": "dver.python.files",
    "path": "dver.python.files",
    "read": "dver.python.files",
    "recorded_run": "dver.api",
    "run": "dver.api",
}

__all__ = ["DverFileSystem", "Repo", "__version__", "open", "path", "read", "recorded_run", "run"]


def __getattr__(name: str) -> object:
    """Import what is asked for when it is asked for: most who import dver ask for nothing."""
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'dver' has no attribute {name!r}")
    import importlib

    found = getattr(importlib.import_module(home), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    """Return what there is to be asked for, imported or not."""
    return sorted(__all__)


# fsspec finds dver:// by itself when it is imported. If that was before dver was installed, as in a
# notebook, it has to be told.
if "fsspec" in sys.modules:
    sys.modules["fsspec"].register_implementation(
        "dver", "dver.python.filesystem.DverFileSystem", clobber=True
    )
