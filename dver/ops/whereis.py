"""Where the content of some data is: here, in the link cache, in which remotes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

PlaceState = Literal["complete", "partial", "absent", "unknown"]


@dataclass(frozen=True, slots=True)
class WhereisOptions:
    """What to look for: a path (as for ``get``) or an oid, with or without ``blake3:``.

    ``rev`` None reads the pointers in the work tree. ``check`` asks the remotes now instead of
    answering from what was last seen of them. ``remotes`` restricts to those names.
    """

    what: str
    rev: str | None = None
    check: bool = False
    remotes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """What one place has of the content.

    ``present`` of ``objects`` distinct objects and ``present_bytes`` of ``bytes`` bytes are
    there. ``unknown`` means that nothing can be said, and ``problem`` why. ``checked`` says
    that the place itself was asked just now.
    """

    name: str
    role: Literal["store", "links", "remote"]
    description: str
    state: PlaceState
    present: int = 0
    objects: int = 0
    present_bytes: int = 0
    bytes: int = 0
    checked: bool = False
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class WhereisResult:
    """The content that was asked for, and every place. ``path`` is None for a bare oid."""

    path: str | None
    oid: str
    kind: Literal["file", "executable", "symlink", "directory"]
    size: int | None
    places: tuple[Whereabouts, ...]

    @property
    def found(self) -> bool:
        """Whether at least one place has all of it."""
        return any(place.state == "complete" for place in self.places)
