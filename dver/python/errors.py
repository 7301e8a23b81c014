"""The errors of dver that are errors of files as well, for programs that catch ``OSError``."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterator

from dver.base.errors import DverError, NotFoundError, RefusedError
from dver.ops.looking.view import IsDirectoryError, NoDirectoryError


class PathNotFound(NotFoundError, FileNotFoundError):
    """A version has nothing at a path; also a ``FileNotFoundError``."""


class PathIsDirectory(IsDirectoryError, IsADirectoryError):
    """A directory was to be read as a file; also an ``IsADirectoryError``."""


class PathIsFile(NoDirectoryError, NotADirectoryError):
    """A file was to be listed; also a ``NotADirectoryError``."""


class ReadOnly(RefusedError, PermissionError):
    """A version cannot be written to; also a ``PermissionError``."""


_AS_FILES: tuple[tuple[type[DverError], type[DverError], int], ...] = (
    (IsDirectoryError, PathIsDirectory, errno.EISDIR),
    (NoDirectoryError, PathIsFile, errno.ENOTDIR),
    (NotFoundError, PathNotFound, errno.ENOENT),
)


@contextlib.contextmanager
def as_files_say() -> Iterator[None]:
    """Raise errors about paths as those that Python's own ``open`` would raise too."""
    try:
        yield
    except DverError as error:
        for kind, wanted, number in _AS_FILES:
            if isinstance(error, kind) and not isinstance(error, OSError):
                raise made(wanted, number, error.message, error.hint) from error
        raise


def made(kind: type[DverError], number: int, message: str, hint: str | None) -> DverError:
    """Return an error of both kinds, with the number of the system's error."""
    error = kind(message, hint=hint)
    if isinstance(error, OSError):
        error.errno, error.strerror = number, message
    return error


def read_only(doing: str) -> DverError:
    """Return the error for an attempt to write."""
    return made(
        ReadOnly,
        errno.EROFS,
        f"versions cannot be changed, so dver:// cannot {doing}",
        "write the file in the work tree and run 'dver add'; in Python: dver.Repo().add(PATH)",
    )
