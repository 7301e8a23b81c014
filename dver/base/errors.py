"""Every error that dver raises on purpose, in one tree.

::

    DverError
    ├── UsageError            2   the command line asks for something that makes no sense
    ├── RepositoryError       3   no git repository here, or dver is not set up in it
    ├── NotFoundError         4   an unknown revision, path, remote or setting
    ├── RefusedError          5   going on would lose or hide somebody's work
    ├── MissingContentError   6   bytes that a version needs are nowhere to be found
    ├── CorruptError          7   stored bytes are not what their name promises
    │   └── FormatError           bytes that do not parse as the format they claim to be
    ├── RemoteError           8   a remote refused, failed or lied
    │   ├── TransientError        ... and the same request may succeed if it is repeated
    │   ├── ObjectNotFound        the key does not exist (only storage raises it)
    │   └── AlreadyExists         a conditional create lost (only storage raises it)
    ├── LockedError           9   somebody else holds the lock
    ├── SystemFailure        10   the machine said no: no space, no permission, I/O error
    └── ConfigError          11   a setting is malformed, unsafe or not trusted

The number is the exit code of the command line. 0 is success, 1 is "the answer is no" (for
instance ``status --exit-code`` with something to report), 70 is a bug in dver, and 130 an
interrupt. ``code`` is a stable word for ``--json``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

EXIT_OK = 0
EXIT_NEGATIVE = 1
EXIT_BUG = 70
EXIT_INTERRUPTED = 130


class DverError(Exception):
    """Base of all errors meant for a person: a message, the paths it is about, and a next step.

    ``message`` starts in lower case, names its subject and has no final full stop. ``hint`` is a
    sentence or a command to type next. ``paths`` are shown below the message, capped by the
    presentation, never by the library.
    """

    code: ClassVar[str] = "error"
    exit_code: ClassVar[int] = EXIT_NEGATIVE

    def __init__(self, message: str, *, hint: str | None = None, paths: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.paths = tuple(paths)
        if hint is not None:
            # Python shows it below the message, where no command line does.
            self.add_note(f"hint: {hint}")


class UsageError(DverError):
    """The command line asks for something that makes no sense."""

    code = "usage"
    exit_code = 2


class RepositoryError(DverError):
    """There is no git repository here, or dver is not set up in it."""

    code = "repository"
    exit_code = 3


class NotFoundError(DverError):
    """An unknown revision, path, remote or setting."""

    code = "not-found"
    exit_code = 4


class RefusedError(DverError):
    """Going on would lose or hide somebody's work; nothing was changed."""

    code = "refused"
    exit_code = 5


class MissingContentError(DverError):
    """Bytes that a version needs are neither in the local store nor in any remote asked."""

    code = "missing-content"
    exit_code = 6


class CorruptError(DverError):
    """Stored bytes are not what their name, checksum or length promises."""

    code = "corrupt"
    exit_code = 7


class FormatError(CorruptError):
    """Bytes that do not parse as the format they claim to be."""

    code = "format"


class RemoteError(DverError):
    """A remote refused, failed or lied, and asking again would not help."""

    code = "remote"
    exit_code = 8


class TransientError(RemoteError):
    """A remote failed in a way that may pass: time-out, reset, 500, 503, 429.

    ``retry_after`` is the server's own advice in seconds, if it gave any.
    """

    code = "remote-transient"

    def __init__(
        self,
        message: str,
        *,
        hint: str | None = None,
        paths: Sequence[str] = (),
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message, hint=hint, paths=paths)
        self.retry_after = retry_after


class ObjectNotFound(RemoteError):
    """The key does not exist in the storage. A failed request is never reported as this."""

    code = "object-not-found"


class AlreadyExists(RemoteError):
    """A conditional create found the key taken."""

    code = "already-exists"


class LockedError(DverError):
    """Another process holds the lock; the message names it when it can."""

    code = "locked"
    exit_code = 9


class SystemFailure(DverError):
    """The machine said no: no space left, no permission, read-only, I/O error."""

    code = "system"
    exit_code = 10


class ConfigError(DverError):
    """A setting is malformed, unsafe where it stands, or not trusted yet."""

    code = "config"
    exit_code = 11
