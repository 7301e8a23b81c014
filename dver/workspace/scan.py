"""Finding what is in a tracked directory, and what of it is as remembered.

A directory is listed and its entries' stats are taken into one array. Names and stats are then
compared with the remembered ones as two blocks of bytes, so that an unchanged directory costs no
work per file beyond the stat itself; only what differs is looked at entry by entry.

Directories are opened one below the other without following symlinks, so nothing outside the
target is ever read, and no path gets too long for the system.
"""

from __future__ import annotations

import errno
import os
import re
import sys
from array import array
from bisect import bisect_left
from collections.abc import Iterator, Sequence

from dver.base.errors import FormatError, RefusedError
from dver.base.fsio import TEMP_PREFIX, failure
from dver.base.oid import OID_SIZE, Oid
from dver.base.osat import HAS_MODES, OPEN_DIR, osat
from dver.base.quoting import show
from dver.base.reporter import Task
from dver.formats import names as naming
from dver.formats.statindex import NO_OID, ROW_SIZE, STAT_FIELDS, KnownDir, KnownTree
from dver.formats.tree import DIRECTORY, EXECUTABLE, FILE, MAX_DEPTH, SYMLINK
from dver.workspace import ignore
from dver.workspace.ahead import Ahead, is_worth
from dver.workspace.ignore import NO_RULES, IgnoreRules
from dver.workspace.links import LinkCache
from dver.workspace.lister import list_names, stat_names
from dver.workspace.stamp import is_stamped
from dver.workspace.state import (
    CTIME,
    DIR_ROW,
    MODE,
    SIZE,
    DirState,
    Problem,
    Scan,
    describe_mode,
    from_little,
    kind_of_mode,
    little,
    stat_row,
)

_TEMP = TEMP_PREFIX.encode()
_LEFTOVER = re.compile(re.escape(_TEMP) + rb"[0-9a-f]{16}")
_LONGEST_RUN = 4096


def scan_directory(
    root: bytes,
    known: KnownTree | None = None,
    rules: IgnoreRules = NO_RULES,
    *,
    target: bytes = b"",
    start: bytes = b"",
    links: LinkCache | None = None,
    lenient: bool = False,
    task: Task | None = None,
) -> Scan:
    """Return the state of a directory and all below it.

    ``root`` is the absolute path of a tracked directory, ``target`` its path in the repository,
    which ignore rules are relative to, and ``start`` a directory inside it to begin with. Entries
    whose stat equals the ``known`` one get their oid from there; the others stay unknown.
    Symlinks into the ``links`` cache count as the files they stand for.

    What cannot be tracked, such as a pipe or a name that dver refuses, raises RefusedError; a
    ``lenient`` scan leaves it out and lists it in ``problems``. So does a file that vanishes
    meanwhile, which a lenient scan takes for one that was never there.
    """
    scanner = _Scanner(Scan(root, start), known, target, links, lenient, task or Task())
    if known is None or not is_worth(known):
        scanner.run(rules)
        return scanner.scan
    with Ahead(root, known, start) as scanner.ahead:
        scanner.run(rules)
    return scanner.scan


def find_twins(names: list[bytes]) -> list[tuple[bytes, bytes]]:
    """Return pairs of names that some file systems take for one: equal but for case or accents."""
    block = b"\0".join(names)
    if block.isascii() and len(set(block.lower().split(b"\0"))) == len(names):
        return []
    import unicodedata

    seen: dict[str, bytes] = {}
    twins = []
    for name in names:
        text = unicodedata.normalize("NFD", name.decode("utf-8", "surrogateescape"))
        folded = unicodedata.normalize("NFD", text.casefold())
        if folded in seen:
            twins.append((seen[folded], name))
        seen.setdefault(folded, name)
    return twins


class _Kinds(dict[int, int]):
    """File modes to kinds; there are few distinct modes, so few calls."""

    def __missing__(self, mode: int) -> int:
        kind = self[mode] = kind_of_mode(mode)
        return kind


class _Scanner:
    """One scan under way."""

    def __init__(
        self,
        scan: Scan,
        known: KnownTree | None,
        target: bytes,
        links: LinkCache | None,
        lenient: bool,
        task: Task,
    ) -> None:
        self.scan = scan
        self.ahead: Ahead | None = None
        self._known = known.dirs if known is not None else {}
        self._target = target
        self._links = links
        self._lenient = lenient
        self._task = task
        self._kinds = _Kinds()

    def run(self, rules: IgnoreRules) -> None:
        """Go through all directories, parents first."""
        scan = self.scan
        where = os.path.join(scan.root, scan.start) if scan.start else scan.root
        try:
            fd = osat.open(where, OPEN_DIR)
        except OSError as error:
            raise failure(error, "read the directory", where) from error
        opened = [fd]
        try:
            stack = [self._enter(fd, scan.start, rules)]
            while stack:
                state, rules, subdirs = stack[-1]
                name = next(subdirs, None)
                if name is None:
                    stack.pop()
                    osat.close(opened.pop())
                    continue
                path = state.path + b"/" + name if state.path else name
                if path.count(b"/") + 1 >= MAX_DEPTH:
                    self._refuse(path, f"it lies more than {MAX_DEPTH} directories deep")
                    continue
                inner = self._open(opened[-1], name, state, path)
                if inner >= 0:
                    opened.append(inner)
                    stack.append(self._enter(inner, path, rules))
        finally:
            for fd in opened:
                osat.close(fd)

    def _open(self, fd: int, name: bytes, state: DirState, path: bytes) -> int:
        try:
            return osat.open(name, OPEN_DIR, dir_fd=fd)
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
                raise failure(error, "read the directory", self._show(path)) from error
            self._vanished(path)
            state.remove([bisect_left(state.names, name)])
            return -1

    def _enter(
        self, fd: int, path: bytes, rules: IgnoreRules
    ) -> tuple[DirState, IgnoreRules, Iterator[bytes]]:
        """List one directory, and return its state and the names of its directories."""
        known = self._known.get(path)
        block, rows = self._look(fd, path)
        if known is not None and known.ignore == rules.digest and _is_leaf(known):
            if rows is None and block == bytes(known.names):
                rows = self._rows(fd, block)
            # Where bytes are in the other order this is never so, and entries are compared below.
            if rows == bytes(known.stats) and block == bytes(known.names):
                self._task.advance(len(known.kinds))
                state = DirState.as_remembered(known)
                self.scan.dirs.append(state)
                return state, rules, iter(())
        names = block.split(b"\0")[:-1]
        self._task.advance(len(names))
        self._leave_out_temporaries(names, path)
        rules = self._extend_rules(fd, names, path, rules)
        if rules.digest:
            self._leave_out_ignored(fd, names, path, rules, known)
        block = b"\0".join(names) + b"\0" if names else b""
        if known is None or block != bytes(known.names):
            names = self._check_names(block, names, path)
        stats = None
        if rows is not None and len(rows) == ROW_SIZE * len(names):  # otherwise some are left out
            stats = array("Q", rows)
        state = self._state(fd, names, path, stats)
        state.ignore = rules.digest
        symlinks = _positions(state.kinds, SYMLINK)
        if known is not None:
            _recall(state, block, known)
            if not HAS_MODES:
                _keep_executables(state, known)
        if symlinks and self._links is not None:
            self._resolve_links(fd, state, symlinks, self._links)
        self.scan.dirs.append(state)
        # A copy: an entry that vanishes is taken out of the columns on the way.
        subdirs = [state.names[i] for i in _positions(state.kinds, DIRECTORY)]
        return state, rules, iter(subdirs)

    def _look(self, fd: int, path: bytes) -> tuple[bytes, bytes | None]:
        """Return the names in a directory, each ended by NUL, and their stat rows if known."""
        found = self.ahead.take(path) if self.ahead is not None else None
        if found is not None:
            return found
        try:
            names = list_names(fd)
        except OSError as error:
            raise failure(error, "read the directory", self._show(path)) from error
        return b"\0".join(names) + b"\0" if names else b"", None

    def _rows(self, fd: int, block: bytes) -> bytes | None:
        try:
            return stat_names(fd, block.split(b"\0")[:-1]).tobytes()
        except (OSError, OverflowError):
            return None  # whoever needs them finds out which of them it is

    def _state(
        self, fd: int, names: list[bytes], path: bytes, stats: array[int] | None = None
    ) -> DirState:
        try:
            stats = stat_names(fd, names) if stats is None else stats
        except (FileNotFoundError, OverflowError):
            names, stats = self._stat_each(fd, names, path)
        except OSError as error:
            raise failure(error, "look at the files in", self._show(path)) from error
        modes = stats[MODE::STAT_FIELDS]
        kinds = bytearray(map(self._kinds.__getitem__, modes))
        if 0 in kinds:
            for i in _positions(kinds, 0):
                what = f"it is {describe_mode(modes[i])}, which cannot be tracked"
                self._refuse(path + b"/" + names[i] if path else names[i], what)
            keep = [i for i, kind in enumerate(kinds) if kind]
            return self._state(fd, [names[i] for i in keep], path)
        sizes = stats[SIZE::STAT_FIELDS]
        for i in _positions(kinds, DIRECTORY):
            stats[i * STAT_FIELDS : (i + 1) * STAT_FIELDS] = array("Q", DIR_ROW)
            sizes[i] = 0
        return DirState(path, names, kinds, sizes, bytearray(OID_SIZE * len(names)), stats)

    def _stat_each(
        self, fd: int, names: list[bytes], path: bytes
    ) -> tuple[list[bytes], array[int]]:
        """Like the fast way, for times before 1970 and files that vanish meanwhile."""
        found = []
        stats: array[int] = array("Q")
        for name in names:
            try:
                stats.extend(stat_row(osat.stat(name, dir_fd=fd, follow_symlinks=False)))
            except FileNotFoundError:
                self._vanished(path + b"/" + name if path else name)
                continue
            found.append(name)
        return found, stats

    def _check_names(self, block: bytes, names: list[bytes], path: bytes) -> list[bytes]:
        try:
            if names:
                naming.check_names(block)
        except FormatError:
            fine = []
            for name in names:
                reason = naming.problem(name)
                if reason is None:
                    fine.append(name)
                    continue
                hint = "rename it, or list it in a .dverignore file"
                if name == b".git":
                    hint = "a git repository cannot be part of tracked data; move it elsewhere"
                self._refuse(path + b"/" + name if path else name, f"its name: {reason}", hint)
            return fine
        return names

    def _leave_out_temporaries(self, names: list[bytes], path: bytes) -> None:
        at = bisect_left(names, _TEMP)
        while at < len(names) and names[at].startswith(_TEMP):
            if _LEFTOVER.fullmatch(names[at]):
                self.scan.leftovers.append(path + b"/" + names[at] if path else names[at])
                del names[at]
            else:
                at += 1

    def _extend_rules(
        self, fd: int, names: list[bytes], path: bytes, rules: IgnoreRules
    ) -> IgnoreRules:
        at = bisect_left(names, ignore.NAME)
        if at == len(names) or names[at] != ignore.NAME:
            return rules
        text = ignore.read_rules(ignore.NAME, dir_fd=fd)
        return rules if text is None else rules.extended(self._in_repository(path), text)

    def _leave_out_ignored(
        self, fd: int, names: list[bytes], path: bytes, rules: IgnoreRules, known: KnownDir | None
    ) -> None:
        # Under the same rules a remembered name was let in before, so only others are asked.
        fresh = set(names)
        if known is not None and known.ignore == rules.digest:
            fresh.difference_update(bytes(known.names).split(b"\0"))
        where = self._in_repository(path)
        gone = set()
        for name in fresh:
            try:
                mode = osat.stat(name, dir_fd=fd, follow_symlinks=False).st_mode
            except FileNotFoundError:
                continue
            is_dir = kind_of_mode(mode) == DIRECTORY
            if rules.ignored(where + b"/" + name if where else name, is_dir=is_dir):
                gone.add(name)
        if gone:
            names[:] = [name for name in names if name not in gone]

    def _resolve_links(
        self, fd: int, state: DirState, symlinks: Sequence[int], links: LinkCache
    ) -> None:
        for i in symlinks:
            try:
                text = osat.readlink(state.names[i], dir_fd=fd)
            except OSError:
                continue  # it went or changed meanwhile, as whoever reads the unknown finds out
            linked = links.resolve(text)
            if linked is not None:
                state.kinds[i], state.sizes[i] = linked.kind, linked.size
                state.set_oid(i, linked.oid)
                if linked.oid == NO_OID:
                    state.tree = None

    def _in_repository(self, path: bytes) -> bytes:
        return b"/".join(part for part in (self._target, path) if part)

    def _vanished(self, path: bytes) -> None:
        if not self._lenient:
            raise RefusedError(
                "a file vanished while its directory was being read",
                hint="run the same command again when nothing writes to it",
                paths=[self._show(path)],
            )

    def _refuse(self, path: bytes, reason: str, hint: str | None = None) -> None:
        if not self._lenient:
            raise RefusedError(f"cannot track {show(self._show(path))}: {reason}", hint=hint)
        self.scan.problems.append(Problem(path, reason, hint))

    def _show(self, path: bytes) -> str:
        return os.fsdecode(os.path.join(self.scan.root, path))


def _is_leaf(known: KnownDir) -> bool:
    """Tell whether a directory had nothing but files."""
    kinds = bytes(known.kinds)
    return kinds.find(DIRECTORY) < 0 and kinds.find(SYMLINK) < 0


def _recall(state: DirState, block: bytes, known: KnownDir) -> None:
    """Fill in what is remembered of the entries that are still as they were."""
    if block == bytes(known.names) and _block(state.stats) == bytes(known.stats):
        state.kinds = bytearray(known.kinds)
        state.sizes = from_little(known.sizes)
        state.oids = bytearray(known.oids)
        if known.tree != NO_OID:
            state.tree, state.size, state.files = known.tree, known.size, known.files
        return
    stats = _block(state.stats)
    old_stats, old_sizes = bytes(known.stats), from_little(known.sizes)
    names, old = state.names, bytes(known.names).split(b"\0")[:-1]
    i = j = 0
    run = _LONGEST_RUN
    while i < len(names) and j < len(old):
        run = min(run, len(names) - i, len(old) - j)
        if (
            stats[ROW_SIZE * i : ROW_SIZE * (i + run)]
            == old_stats[ROW_SIZE * j : ROW_SIZE * (j + run)]
            and names[i : i + run] == old[j : j + run]
        ):
            state.kinds[i : i + run] = known.kinds[j : j + run]
            state.sizes[i : i + run] = old_sizes[j : j + run]
            state.oids[OID_SIZE * i : OID_SIZE * (i + run)] = known.oids[
                OID_SIZE * j : OID_SIZE * (j + run)
            ]
            i, j, run = i + run, j + run, min(run * 4, _LONGEST_RUN)
        elif run > 1:
            run = max(run // 4, 1)
        else:
            one, other = names[i], old[j]
            if one == other:
                _recall_hardlink(state, i, known, j, old_sizes[j])
            i += one <= other
            j += other <= one


def _recall_hardlink(state: DirState, i: int, known: KnownDir, j: int, size: int) -> None:
    oid = Oid(bytes(known.oids[OID_SIZE * j : OID_SIZE * (j + 1)]))
    row = state.row(i)
    before = from_little(known.stats[ROW_SIZE * j : ROW_SIZE * (j + 1)])
    if oid != NO_OID and row[:CTIME] == tuple(before[:CTIME]) and is_stamped(row, oid):
        state.kinds[i], state.sizes[i] = known.kinds[j], size
        state.set_oid(i, oid)


def _keep_executables(state: DirState, known: KnownDir) -> None:
    """Take what was executable to be it still, on a system whose files do not tell."""
    kinds = bytes(known.kinds)
    if EXECUTABLE in kinds:
        names = bytes(known.names).split(b"\0")
        executable = {names[i] for i in _positions(kinds, EXECUTABLE)}
        for i in _positions(state.kinds, FILE):
            if state.names[i] in executable:
                state.kinds[i] = EXECUTABLE


def _block(stats: array[int]) -> bytes:
    return stats.tobytes() if sys.byteorder == "little" else little(stats)


def _positions(kinds: bytes | bytearray, kind: int) -> list[int]:
    positions = []
    at = kinds.find(kind)
    while at >= 0:
        positions.append(at)
        at = kinds.find(kind, at + 1)
    return positions
