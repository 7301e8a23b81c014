"""From what other tools version to pointers of dver: their content is read, compared and stored.

Reading an old revision works like this: the first time that a version is asked for, its content
goes from where the other tool has it into the local store, and what it was found to be is
remembered. After that it is a version as any other. Garbage collection may take it away again, as
nothing points to it; then it is read once more.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field
from typing import TYPE_CHECKING

from dver.base.dataclass import dataclass
from dver.base.errors import (
    ConfigError,
    CorruptError,
    FormatError,
    MissingContentError,
    RefusedError,
)
from dver.base.quoting import show
from dver.base.reporter import SILENT, Reporter
from dver.foreign.adopting import Adopter, Contents
from dver.foreign.dvcfiles import Out
from dver.foreign.known import Known
from dver.formats.pointer import Pointer
from dver.ops.migration import othertools
from dver.ops.migration.othertools import Found, PlacesOf
from dver.store.whole import is_whole

if TYPE_CHECKING:
    from dver.repo import Repo


#: What takes one target away, and not the means to go on.
UNAVAILABLE = (ConfigError, CorruptError, FormatError, MissingContentError, RefusedError)


@dataclass(slots=True)
class Untranslated:
    """An out that has no pointer, and why; ``corrupt`` are its files that are not what they say."""

    out: Out
    reason: str
    hint: str | None = None
    missing: tuple[bytes, ...] = ()


@dataclass(slots=True)
class Translation:
    """The pointers by the paths of their data, what has none, and damaged files that were seen."""

    pointers: dict[bytes, Pointer] = field(default_factory=dict)
    failed: list[Untranslated] = field(default_factory=list)
    corrupt: list[str] = field(default_factory=list)


def pointers_at(repo: Repo, rev: str, commit: str, under: Sequence[bytes]) -> dict[bytes, Pointer]:
    """Return the pointers for what other tools version in a commit, at, above and below paths.

    Of a directory of which only parts are asked for, the pointer holds these alone. Raises
    MissingContentError for what is not to be had.
    """
    if repo.git.is_bare or not repo.is_initialised:
        return {}
    found = othertools.at_commit(repo, commit)
    wanted: dict[bytes, tuple[Out, tuple[bytes, ...]]] = {}
    for path, out in found.outs.items():
        inside = _inside(path, under)
        if inside is not None and not out.problem:
            wanted[path] = out, inside
    if not wanted:
        return {}
    done = translate(repo, found, wanted, SILENT)
    for one in done.failed:
        raise MissingContentError(
            f"{show(repo.display(one.out.path))} at {rev} was versioned by"
            f" {'git-lfs' if one.out.algorithm == 'sha256' else 'DVC'}, and {one.reason}",
            hint=one.hint,
        )
    return done.pointers


def _inside(target: bytes, under: Sequence[bytes]) -> tuple[bytes, ...] | None:
    """Return which parts of a target some paths select: () for all of it, None for nothing."""
    if any(not path or target == path or target.startswith(path + b"/") for path in under):
        return ()
    parts = [path[len(target) + 1 :] for path in under if path.startswith(target + b"/")]
    return tuple(parts) if parts else None


def translate(
    repo: Repo,
    found: Found,
    wanted: Mapping[bytes, tuple[Out, tuple[bytes, ...]]],
    reporter: Reporter,
    *,
    workers: int | None = None,
) -> Translation:
    """Return the pointers for some outs, each whole or in parts, from caches and remotes."""
    store = repo.store
    done = Translation()
    with (
        Known(repo.common_state_dir) as known,
        PlacesOf(repo, found) as places,
        store.hold(),
        reporter.task("Reading what other tools keep", unit="files") as task,
    ):
        store.refresh()
        with store.writer() as writer:
            adopter = Adopter(store, writer, known, workers=workers, task=task)
            translator = Translator(repo, adopter, known, places, done)
            singles = {}
            for path, (out, inside) in wanted.items():
                if out.is_directory:
                    translator.directory(path, out, inside)
                else:
                    singles[path] = out
            translator.files(singles)
            writer.commit()
        adopter.remember()
    return done


class Translator:
    """Makes pointers out of outs, one directory after the other and all files at once."""

    def __init__(
        self, repo: Repo, adopter: Adopter, known: Known, places: PlacesOf, done: Translation
    ) -> None:
        self._repo = repo
        self._adopter = adopter
        self._known = known
        self._places = places
        self._done = done

    def remembered(self, out: Out) -> Pointer | None:
        """Return the pointer of a directory that was read before and is all in the store."""
        if not out.digest:
            return None
        row = self._known.tree(out.algorithm, out.digest)
        if row is None or not is_whole(self._repo.store, row.oid):
            return None
        return Pointer("tree", row.oid, row.size, row.files)

    def directory(self, path: bytes, out: Out, inside: Sequence[bytes] = ()) -> None:
        """Translate a directory, or only those files of it that are at or below some paths."""
        pointer = self.remembered(out)
        if pointer is not None:
            self._done.pointers[path] = pointer
            return
        try:
            paths, digests = self.listing(out)
            if inside:
                paths, digests = _part(paths, digests, inside)
            contents = Contents(out.algorithm, digests)
            self.finish(path, out, paths, contents, whole=not inside)
        except UNAVAILABLE as error:
            self._done.failed.append(Untranslated(out, error.message, error.hint))

    def listing(self, out: Out) -> tuple[list[bytes], bytes]:
        """Return the paths and joined digests of a directory; see Adopter.listing."""
        return self._adopter.listing(out, self._places.of(out))

    def finish(
        self,
        path: bytes,
        out: Out,
        paths: Sequence[bytes],
        contents: Contents,
        *,
        whole: bool = True,
    ) -> None:
        """Read what is not adopted yet of a directory's files, and make its pointer."""
        self._adopter.take_known(contents)
        absent = self._adopter.take_objects(contents, self._places.of(out))
        self._done.corrupt += contents.corrupt
        if absent:
            missing = tuple(paths[i] for i in absent)
            self._done.failed.append(self._lacking(out, contents, missing))
        elif whole:
            self._done.pointers[path] = self._adopter.build(out, paths, contents)
        else:
            self._done.pointers[path] = self._adopter.build_part(paths, contents)

    def files(self, outs: Mapping[bytes, Out]) -> None:
        """Translate single files."""
        groups: dict[tuple[int, str], list[bytes]] = {}
        for path, out in outs.items():
            groups.setdefault((id(self._places.of(out)), out.algorithm), []).append(path)
        for group in groups.values():
            first = outs[group[0]]
            contents = Contents(first.algorithm, b"".join(outs[path].digest for path in group))
            self.finish_files(group, outs, contents)

    def finish_files(
        self, group: Sequence[bytes], outs: Mapping[bytes, Out], contents: Contents
    ) -> None:
        """Read what is not adopted yet of some files of one project, and make their pointers."""
        places = self._places.of(outs[group[0]])
        self._adopter.take_known(contents)
        absent = frozenset(self._adopter.take_objects(contents, places))
        self._done.corrupt += contents.corrupt
        for i, path in enumerate(group):
            out = outs[path]
            if i in absent:
                self._done.failed.append(self._lacking(out, contents, ()))
            else:
                oid, size = contents.oid(i), contents.sizes[i]
                self._done.pointers[path] = Pointer("file", oid, size, 1, out.executable)

    def _lacking(self, out: Out, contents: Contents, missing: tuple[bytes, ...]) -> Untranslated:
        places = self._places.of(out)
        what = "its content" if not missing else _some(missing)
        reason = f"{what} is not to be had from {places.described}"
        if contents.corrupt:
            reason += f"; damaged there: {', '.join(map(show, contents.corrupt[:3]))}"
        hint = "'dvc fetch' brings what DVC's remote has; then run it again"
        if out.algorithm == "sha256":
            hint = "'git lfs fetch --all' brings what the server has"
        hint = places.hints[0] if places.hints else hint
        return Untranslated(out, reason, hint, missing)


def _some(paths: Sequence[bytes]) -> str:
    shown = ", ".join(show(path) for path in paths[:3])
    return shown if len(paths) <= 3 else f"{shown} and {len(paths) - 3:,} more"


def _part(
    paths: Sequence[bytes], digests: bytes, inside: Iterable[bytes]
) -> tuple[list[bytes], bytes]:
    wanted = tuple(inside)
    below = tuple(path + b"/" for path in wanted)
    kept = [i for i, path in enumerate(paths) if path in wanted or path.startswith(below)]
    return [paths[i] for i in kept], b"".join([digests[16 * i : 16 * i + 16] for i in kept])
