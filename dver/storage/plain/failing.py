"""The error for plain data that is not any more what it was."""

from __future__ import annotations

from dver.base.errors import RemoteError


class ChangedError(RemoteError):
    """The file at the other side was replaced since its facts were asked for."""
