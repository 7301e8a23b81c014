"""Which targets, and which parts of them, the paths on a command line select."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


class Scope:
    """The selection that some repository paths make among targets. No paths select everything.

    A path selects the target it is, every target below it, or a part of the target above it.
    Which paths selected anything is remembered, so that a misspelled one can be told; a path below
    another one that selects the whole target is not looked at.
    """

    def __init__(self, paths: Sequence[bytes] = ()) -> None:
        self.paths = tuple(dict.fromkeys(paths))
        self._unmatched = dict.fromkeys(self.paths)

    def inside(self, target: bytes) -> tuple[bytes, ...] | None:
        """Return None if a target is not selected, () if all of it is, else the parts that are.

        Parts are relative to the target, and no part is below another one. They count as matched
        only once :meth:`matched` says that they exist.
        """
        if not self.paths:
            return ()
        above = [p for p in self.paths if not p or p == target or target.startswith(p + b"/")]
        parts = [p[len(target) + 1 :] for p in self.paths if p.startswith(target + b"/")]
        if above:
            self.matched([target])
            for path in above:
                self._unmatched.pop(path, None)
            return ()
        if not parts:
            return None
        parts.sort()
        return tuple(
            part for part in parts if not any(part.startswith(other + b"/") for other in parts)
        )

    def matched(self, paths: Iterable[bytes]) -> None:
        """Say that these paths, or what lies below them, exist."""
        for path in paths:
            for candidate in self.paths:
                if candidate == path or candidate.startswith(path + b"/"):
                    self._unmatched.pop(candidate, None)

    def unmatched(self) -> tuple[bytes, ...]:
        """Return the paths that selected nothing that exists, in the order given."""
        return tuple(self._unmatched)
