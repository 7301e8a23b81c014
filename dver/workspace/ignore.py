"""What ``.dverignore`` files leave out of tracked directories, in gitignore's syntax.

A file counts for the directory it is in and all below, as git's does: the last pattern that
matches in the deepest file decides, and nothing below an ignored directory can be let in again.
Where there is no such file, nothing is loaded and nothing is asked per name.
"""

from __future__ import annotations

import os
import re
from typing import Any

from dver.base.dataclass import dataclass
from dver.base.errors import ConfigError
from dver.base.fsio import OPEN_FLAGS, explained
from dver.base.oid import checksum
from dver.base.osat import NOFOLLOW, osat
from dver.base.quoting import show

NAME = b".dverignore"
_MAX_SIZE = 1 << 20
#: Four take up to a second for each of the longest names; nobody needs as many.
_MAX_STARS = 4
_READ = os.O_RDONLY | OPEN_FLAGS | NOFOLLOW | getattr(os, "O_NONBLOCK", 0)


@dataclass(frozen=True, slots=True)
class IgnoreRules:
    """The rules in force in one directory: (directory, compiled patterns), outermost first.

    ``digest`` is 0 for no rules at all, and otherwise differs whenever the rules do.
    """

    levels: tuple[tuple[bytes, Any], ...] = ()
    digest: int = 0

    def extended(self, directory: bytes, text: bytes) -> IgnoreRules:
        """Return the rules below a repository path whose ``.dverignore`` holds ``text``."""
        from pathspec import GitIgnoreSpec

        where = show(directory + b"/" + NAME if directory else NAME)
        lines = os.fsdecode(text).splitlines()
        for number, line in enumerate(lines, 1):
            if _is_slow(line):
                raise ConfigError(
                    f"{where}, line {number}: more than {_MAX_STARS} '*' between two slashes, or"
                    f" more than {_MAX_STARS} '**', would take for ever to match"
                )
        try:
            spec = GitIgnoreSpec.from_lines(lines)
        except ValueError as error:
            raise ConfigError(f"{where} has a pattern that cannot be read: {error}") from error
        seen = b"%d\0%b\0%b" % (self.digest, directory, text)
        return IgnoreRules((*self.levels, (directory, spec)), checksum(seen) or 1)

    def ignored(self, path: bytes, *, is_dir: bool) -> bool:
        """Say whether a repository path is left out; its parents are taken not to be."""
        for directory, spec in reversed(self.levels):
            inner = os.fsdecode(path[len(directory) + 1 :] if directory else path)
            verdict = spec.check_file(inner + "/" if is_dir else inner).include
            if verdict is not None:
                return bool(verdict)
        return False


def _is_slow(line: str) -> bool:
    """Tell whether a pattern takes time that grows with a high power of a name's length."""
    if line.startswith("#"):
        return False
    parts = line.replace("\\*", "").split("/")
    stars = [len(re.findall(r"\*+", part)) for part in parts if part != "**"]
    return parts.count("**") > _MAX_STARS or max(stars, default=0) > _MAX_STARS


NO_RULES = IgnoreRules()


def load_rules(root: bytes, target: bytes) -> IgnoreRules:
    """Return the rules that the repository's directories above a target make for its inside."""
    rules = NO_RULES
    parts = target.split(b"/")
    for depth in range(len(parts)):
        directory = b"/".join(parts[:depth])
        text = read_rules(os.path.join(root, directory, NAME))
        if text is not None:
            rules = rules.extended(directory, text)
    return rules


def read_rules(path: bytes, *, dir_fd: int | None = None) -> bytes | None:
    """Return the text of a ``.dverignore``, or None if there is none. Symlinks are not followed."""
    try:
        fd = osat.open(path, _READ, dir_fd=dir_fd)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise ConfigError(f"{show(path)} cannot be read: {error.strerror}") from error
    with explained("read", path), open(fd, "rb") as file:
        text = file.read(_MAX_SIZE + 1)
    if len(text) > _MAX_SIZE:
        raise ConfigError(f"{show(path)} is longer than {_MAX_SIZE} bytes")
    return text
