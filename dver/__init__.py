"""dver: versions data and models beside code, the way git versions code.

From Python: ``with dver.run(inputs=[...], outputs=[...]) as run: ...``, see :mod:`dver.api`.
"""

from __future__ import annotations

__version__ = "0.1.0"

# What is written for type checkers must not cost the import of typing.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from dver.api import recorded_run, run

__all__ = ["__version__", "recorded_run", "run"]


def __getattr__(name: str) -> object:
    """Import what is asked for when it is asked for: most who import dver ask for nothing."""
    if name in ("recorded_run", "run"):
        from dver import api

        return getattr(api, name)
    raise AttributeError(f"module 'dver' has no attribute {name!r}")
