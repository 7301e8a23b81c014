"""Imported targets: which there are, where they come from, and whether that place may be asked."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote, urlsplit

from dver.base.dataclass import dataclass
from dver.base.errors import ConfigError, DverError, FormatError, RefusedError, UsageError
from dver.base.quoting import show
from dver.config import sources
from dver.formats import origin as origins
from dver.formats.origin import UNSEEN, Origin
from dver.formats.pointer import Pointer
from dver.git import ignorefile
from dver.git.pointers import pointer_path
from dver.ops.targets import naming
from dver.ops.targets.target import Target, load_targets, present_targets, usable, write_pointers
from dver.ops.targets.versions import typed_path

if TYPE_CHECKING:
    from dver.repo import Repo

_OWN_PATHS = ("http", "https")


class Imported(NamedTuple):
    """One target that was imported, as its pointer in the work tree tells."""

    target: Target
    pointer: Pointer
    origin: Origin

    @property
    def path(self) -> bytes:
        """The path of its data in the repository."""
        return self.target.path

    @property
    def is_unseen(self) -> bool:
        """Whether its content was never read by anybody."""
        return self.pointer.oid == UNSEEN

    @property
    def is_changed(self) -> bool:
        """Whether somebody recorded other data here since it was imported."""
        return self.origin.oid is not None and self.origin.oid != self.pointer.oid


@dataclass(frozen=True, slots=True)
class Told:
    """An origin as results tell it: texts, "" where nothing is known."""

    repository: str = ""
    path: str = ""
    rev: str = ""
    commit: str = ""
    url: str = ""
    etag: str = ""
    modified: str = ""
    version: str = ""


def told(origin: Origin) -> Told:
    """Return what a result says of an origin."""
    return Told(
        origin.repository,
        os.fsdecode(origin.path),
        origin.rev,
        origin.commit,
        origin.url,
        origin.etag,
        origin.modified,
        origin.version,
    )


def origin_of(repo: Repo, target: Target) -> Origin | None:
    """Return a target's origin, None if it was not imported. Raises FormatError, which names it."""
    try:
        return origins.decode(target.raw)
    except FormatError as error:
        name = show(repo.display(target.file.path))
        raise FormatError(
            f"the origin in {name} cannot be used: {error.message}",
            hint=error.hint or f"'git log -p -- {name}' tells who wrote it",
        ) from error


def imported_targets(
    repo: Repo, typed: Sequence[str], broken: dict[bytes, DverError] | None = None
) -> list[Imported]:
    """Return the imported targets at or below some typed paths, by path; of all without any.

    Raises NotFoundError for a path that nothing is tracked at, and RefusedError for a target that
    was typed and is not imported. What is wrong with a pointer that was not typed itself goes into
    ``broken``, if that is given.
    """
    paths = [typed_path(repo, arg) for arg in typed]
    targets = present_targets(load_targets(repo, paths or [b""]))
    ordered = sorted(targets)
    found: dict[bytes, Imported] = {}
    for path in paths or [b""]:
        holder = naming.holder(targets, path)
        chosen = naming.below(ordered, path) if holder is None else [holder]
        if path and not chosen:
            raise naming.not_found(
                "nothing is tracked at", path, str(repo.root), targets, repo.display
            )
        for one in chosen:
            try:
                origin = origin_of(repo, targets[one])
                if origin is not None:
                    found[one] = Imported(targets[one], usable(repo, targets[one]), origin)
            except DverError as error:
                if broken is None or holder is not None:
                    raise
                broken[one] = error
                continue
            if origin is not None:
                continue
            if holder is not None:
                raise RefusedError(
                    f"{show(repo.display(one))} was not imported",
                    hint="'dver import' brings data from elsewhere and notes where it came from",
                )
    return [found[path] for path in sorted(found)]


# -- places ------------------------------------------------------------------------------------


def place_of(origin: Origin) -> str:
    """Return what agreement is given to: a repository, a server, a bucket, or one local file."""
    if origin.repository:
        return origin.repository
    parts = urlsplit(origin.url)
    scheme = parts.scheme.lower()
    if scheme in ("file", "local"):
        return origin.url
    place = f"{scheme}://{parts.netloc.lower() if scheme in _OWN_PATHS else parts.netloc}"
    return f"{place} at {origin.endpoint}" if origin.endpoint else place


def is_agreed(repo: Repo, origin: Origin) -> bool:
    """Tell whether the user here has named a source, or agreed to it."""
    return sources.is_agreed(repo.common_state_dir, place_of(origin))


def agree(repo: Repo, found: Iterable[Origin]) -> None:
    """Note that the user agrees to some sources."""
    for origin in found:
        sources.agree(repo.common_state_dir, place_of(origin))


def require_agreed(repo: Repo, found: Sequence[Imported], command: str) -> None:
    """Raise ConfigError unless all sources may be asked; ``command`` with ``--trust`` agrees."""
    unknown = {
        place_of(one.origin): repo.display(one.path)
        for one in found
        if not is_agreed(repo, one.origin)
    }
    if not unknown:
        return
    first = min(unknown)
    raise ConfigError(
        f"{show(unknown[first])} says that it comes from {show(first)}, and nobody has yet agreed"
        " in this clone to read from there",
        hint=f"if you know that place: {command} --trust {show(unknown[first])}",
        paths=[f"{path} ({place})" for place, path in sorted(unknown.items())],
    )


def normal_url(typed: str) -> str:
    """Return how a pointer spells a URL of plain data that was typed.

    Raises UsageError for one that carries credentials, or makes no sense.
    """
    scheme, found, rest = typed.partition("://")
    if found:
        own = scheme.lower() in _OWN_PATHS
        safe = "%/:?&=+,;@!$'()*~#[]" if own else "/:@=+,;!$'()*~#&?"
        typed = f"{scheme.lower()}://{quote(os.fsencode(rest), safe=safe)}"
        if own:
            typed = typed.partition("#")[0]
    return checked_url(typed, git=False)


def checked_url(url: str, *, git: bool) -> str:
    """Return a URL that may stand in a pointer. Raises UsageError, which does not repeat it."""
    try:
        return origins.check_url(url, git=git)
    except FormatError as error:
        message = error.message.replace("of its source ", "")
        hint = None
        if "credentials" in message:
            hint = (
                "give it without them: git asks its credential helpers, and the clients of the"
                " clouds the environment and their own configuration files"
            )
        elif "signature" in message:
            message += ", which would be committed"
            hint = (
                "name the place itself, for instance s3://BUCKET/KEY, or download it and"
                " 'dver add' it"
            )
        raise UsageError(message, hint=hint) from None


# -- writing -----------------------------------------------------------------------------------


def write_import(repo: Repo, path: bytes, pointer: Pointer, origin: Origin) -> list[bytes]:
    """Write the pointer of an imported target, and make git ignore the data.

    Returns the files that changed. The caller holds the work tree's lock.
    """
    lines = origins.encode(origin)
    ignores = ignorefile.add(repo.git, [path])
    try:
        return [*write_pointers(repo, {path: pointer}, {path: lines}), *ignores]
    except BaseException:
        if not os.path.lexists(repo.absolute(pointer_path(path))):
            ignorefile.remove(repo.git, [path])
        raise


def as_seen(origin: Origin, pointer: Pointer) -> Origin:
    """Return an origin with the oid of what came."""
    return replace(origin, oid=pointer.oid)
