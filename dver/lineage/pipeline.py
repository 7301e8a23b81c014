"""How the steps of a pipeline hang together: who makes what another one reads, and in which order.

All that can be wrong with them is told here, before anything runs: two steps that make one
thing, a step that reads what it makes, circles.
"""

from __future__ import annotations

import heapq
import os
import posixpath
import shlex
from bisect import bisect_left
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import field, replace

from dver.base.dataclass import dataclass
from dver.base.errors import FormatError, NotFoundError
from dver.base.quoting import show
from dver.lineage.pipelinefile import NAME, Step

#: The role of a file that a command names and nobody declared: a script, mostly.
CODE = "code"
#: Tells which of some paths of the repository are regular files that count as code.
Exists = Callable[[Sequence[bytes]], Collection[bytes]]


@dataclass(frozen=True, slots=True)
class Pipeline:
    """Steps by name, in an order in which each comes after those that it needs.

    ``after`` tells for each step which others it needs directly, ``maker`` which step makes a path.
    """

    steps: Mapping[str, Step] = field(default_factory=dict)
    after: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    maker: Mapping[bytes, str] = field(default_factory=dict)

    def select(self, names: Sequence[str], *, downstream: bool = False) -> list[str]:
        """Return the chosen steps and all that they need, in order; all steps without names.

        A name may be that of a step, or of the step whose matrix several came from. With
        ``downstream`` what depends on the chosen ones is chosen too. Raises NotFoundError.
        """
        chosen = self.named(names) if names else set(self.steps)
        if downstream:
            for name in self.steps:  # in order, so that one pass is enough
                if chosen.intersection(self.after[name]):
                    chosen.add(name)
        for name in reversed(list(self.steps)):
            if name in chosen:
                chosen.update(self.after[name])
        return [name for name in self.steps if name in chosen]

    def named(self, names: Iterable[str]) -> set[str]:
        """Return the steps that names stand for. Raises NotFoundError for an unknown one."""
        chosen: set[str] = set()
        for name in names:
            found = {one.name for one in self.steps.values() if name in (one.name, one.base)}
            if not found:
                raise self._unknown(name)
            chosen |= found
        return chosen

    def _unknown(self, name: str) -> NotFoundError:
        import difflib

        bases = dict.fromkeys(one.base for one in self.steps.values())
        near = difflib.get_close_matches(name, [*bases, *self.steps], n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(bases)}"
        return NotFoundError(f"{NAME} has no step {name!r}", hint=hint)


def connect(steps: Sequence[Step], exists: Exists) -> Pipeline:
    """Return the steps in order. ``exists`` tells which named files are there.

    What a command names becomes an input, if it is a file or some step makes it: scripts need
    not be declared. Raises FormatError, which names the lines, for steps that do not go together.
    """
    maker = _makers(steps)
    outs = sorted(maker)
    steps = [_with_named(step, maker, outs) for step in steps]
    files = set(exists(sorted({path for step in steps for path in named_files(step)})))
    steps = [_with_code(step, files, outs) for step in steps]
    after: dict[str, tuple[str, ...]] = {}
    for step in steps:
        _refuse_own_input(step)
        needed = dict.fromkeys(
            maker[out] for path in reads_of(step) for out in _overlapping(path, outs)
        )
        after[step.name] = tuple(needed)
    order = _order([step.name for step in steps], after)
    if len(order) < len(steps):
        raise _circle({step.name: step for step in steps}, after, set(order))
    by_name = {step.name: step for step in steps}
    return Pipeline({name: by_name[name] for name in order}, after, maker)


def reads_of(step: Step) -> Iterator[bytes]:
    """Yield all that a step reads: inputs, files of parameters, locks of the environment."""
    yield from step.deps
    yield from step.params
    yield from step.locks


def overlap(one: bytes, other: bytes) -> bool:
    """Say whether two paths are one, or one lies in the other."""
    return one == other or one.startswith(other + b"/") or other.startswith(one + b"/")


def _makers(steps: Sequence[Step]) -> dict[bytes, str]:
    """Return which step makes which path; no path may be made twice, also not in parts."""
    made: list[tuple[bytes, Step]] = sorted(
        ((path, step) for step in steps for path in step.made), key=lambda pair: pair[0]
    )
    found: dict[bytes, str] = {}
    by_path: dict[bytes, Step] = {}
    for path, step in made:
        parts = path.split(b"/")
        for count in range(1, len(parts) + 1):
            above = b"/".join(parts[:count])
            other = by_path.get(above)
            if other is None:
                continue
            if other is step:
                problem = f"the step {step.name!r} makes {show(path)} inside of {show(above)}"
                hint = "name the directory, or what is in it"
            else:
                problem = f"{show(path)} is made by {other.name!r} (line {other.line}) as well"
                hint = "let each step write to a path of its own"
                if other.base == step.base:
                    hint = "put a value of the matrix into the path, such as model-${rate}.pkl"
            raise FormatError(f"{NAME}, line {step.line}: {problem}", hint=hint)
        found[path] = step.name
        by_path[path] = step
    return found


def _overlapping(path: bytes, outs: Sequence[bytes]) -> Iterator[bytes]:
    """Yield those of the outputs (sorted) that a path is, lies in, or holds."""
    parts = path.split(b"/")
    for count in range(1, len(parts) + 1):
        above = b"/".join(parts[:count])
        at = bisect_left(outs, above)
        if at < len(outs) and outs[at] == above:
            yield above
    # '0' is the byte after '/'.
    yield from outs[bisect_left(outs, path + b"/") : bisect_left(outs, path + b"0")]


def _refuse_own_input(step: Step) -> None:
    for path in reads_of(step):
        for out in step.made:
            if overlap(path, out):
                raise FormatError(
                    f"{NAME}, line {step.line}: the step {step.name!r} reads {show(path)}"
                    f" and makes {show(out)}",
                    hint="what is changed in place cannot be told from what was read; let the step"
                    " write to another path",
                )


# what a command names


def named_files(step: Step) -> Iterator[bytes]:
    """Yield the paths that the words of a command may mean: ``train.py``, ``--with=a.json``.

    For ``python -m a.b`` these are ``a/b.py`` and ``a/b/__main__.py``.
    """
    words = list(step.argv)
    if step.text:
        try:
            words = shlex.split(step.text)
        except ValueError:
            words = step.text.split()
    for n, word in enumerate(words):
        if n and words[n - 1] == "-m":
            module = word.replace(".", "/")
            yield from _inside(step.cwd, f"{module}.py")
            yield from _inside(step.cwd, f"{module}/__main__.py")
        if n == 0 and "/" not in word and not step.text:
            continue  # it is looked for on the PATH
        yield from _inside(step.cwd, word.rstrip(";"))
        if word.startswith("-") and "=" in word:
            yield from _inside(step.cwd, word.partition("=")[2])


def _inside(cwd: str, word: str) -> Iterator[bytes]:
    if not word or len(word) > 4096 or "\0" in word or "\n" in word or word.startswith("/"):
        return
    path = posixpath.normpath(posixpath.join(cwd, word))
    if path not in (".", "..") and not path.startswith("../"):
        yield os.fsencode(path)


def _with_named(step: Step, maker: Mapping[bytes, str], outs: Sequence[bytes]) -> Step:
    """Return a step with those inputs that its command names and another step makes."""
    mine = set(reads_of(step))
    named: dict[bytes, str] = {}
    for path in named_files(step):
        if any(overlap(path, one) for one in (*mine, *step.made)):
            continue
        if any(maker[out] != step.name for out in _holders(path, outs)):
            named[path] = ""
    return replace(step, deps={**step.deps, **named}) if named else step


def _with_code(step: Step, files: Collection[bytes], outs: Sequence[bytes]) -> Step:
    """Return a step with the files that its command names as inputs."""
    mine = set(reads_of(step))
    named = {
        path: CODE
        for path in named_files(step)
        if path in files
        and not any(overlap(path, one) for one in (*mine, *step.made))
        and not any(_holders(path, outs))
    }
    return replace(step, deps={**step.deps, **named}) if named else step


def _holders(path: bytes, outs: Sequence[bytes]) -> Iterator[bytes]:
    for out in _overlapping(path, outs):
        if path == out or path.startswith(out + b"/"):
            yield out


# order


def _order(names: Sequence[str], after: Mapping[str, Sequence[str]]) -> list[str]:
    """Return names so that each comes after those it needs, otherwise as they stand in the file.

    What is in a circle, or needs one, is left out.
    """
    place = {name: n for n, name in enumerate(names)}
    waits = {name: len(after[name]) for name in names}
    before: dict[str, list[str]] = {name: [] for name in names}
    for name in names:
        for needed in after[name]:
            before[needed].append(name)
    ready = [place[name] for name in names if not waits[name]]
    heapq.heapify(ready)
    order = []
    while ready:
        name = names[heapq.heappop(ready)]
        order.append(name)
        for one in before[name]:
            waits[one] -= 1
            if not waits[one]:
                heapq.heappush(ready, place[one])
    return order


def _circle(
    steps: Mapping[str, Step], after: Mapping[str, Sequence[str]], done: Collection[str]
) -> FormatError:
    """Return the error that names the steps of one circle."""
    at = next(name for name in steps if name not in done)
    seen: dict[str, None] = {}
    while at not in seen:
        seen[at] = None
        at = next(name for name in after[at] if name not in done)
    trail = list(seen)
    circle = [*trail[trail.index(at) :], at]
    line = min(steps[name].line for name in circle)
    return FormatError(
        f"{NAME}, line {line}: the steps go in a circle: {' needs '.join(circle)}",
        hint="one of them must not read what the others make of it",
    )
