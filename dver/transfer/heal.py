"""Healing a remote with what is good in it and here: ``push --repair``.

Docs: ``docs/format/remote.md``, section "Repairing". Everything in the remote is read. Then

1. segments that are damaged are written anew from the footers of the packs that they named
2. a push that trusts no root sends what is here of all that is gone or damaged; a pack that is
   here just as it was is sent by its own name
3. what is still good in a damaged pack, and lies nowhere else, is copied into a new one
4. segments that name what could not be healed are replaced; roots are written again as this clone
   remembers them; and what is damaged is moved to ``quarantine/``

Each step leaves the remote no worse than it was: nothing goes away before its replacement was
written and read back, and only what is damaged goes away at all.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import field
from pathlib import Path

from dver.base.dataclass import dataclass
from dver.base.errors import (
    CorruptError,
    MissingContentError,
    ObjectNotFound,
    RemoteError,
)
from dver.base.oid import OID_SIZE, Oid
from dver.base.reporter import Reporter, Task
from dver.formats import pack, segment
from dver.formats import root as roots
from dver.formats.pack import TOP_KINDS
from dver.storage.base import Storage
from dver.store import layout
from dver.store.contents import TORN, AsFound, check_contents
from dver.store.fsck import Problem, check_packs, check_segments, doubtful, listed_packs
from dver.store.index import Index, Segment, SoundFirst
from dver.store.mark import Marks
from dver.store.packfile import FinishedPack, PackBuilder
from dver.store.quarantine import set_aside_in
from dver.store.repair import good_frames
from dver.store.store import Store
from dver.store.strays import DAMAGED_SEGMENT, footer_rows, irregular, unindexed
from dver.store.windows import windows
from dver.store.writer import encode_rows
from dver.transfer.gc.rows import replace_segments
from dver.transfer.gc.trash import put_and_check, put_segment
from dver.transfer.remote import Remote, RemoteStore, lost_packs
from dver.transfer.session import Session
from dver.transfer.spool import Spool
from dver.transfer.uploads import PACK_TARGET, Upload
from dver.transfer.watch import Overtaken

_TREES = (pack.TREE, pack.TREE_LIST)


@dataclass(slots=True)
class Damage:
    """What is wrong in a remote: packs by name, segments and roots by key, and why.

    ``wrong`` are chunked objects whose lists make up something else, with the packs of these, and
    ``irregular`` the keys of what is no regular file. ``unindexed`` are packs that no segment
    names, given only if something is missing that a root names: else an interrupted push left them.
    """

    packs: dict[bytes, str] = field(default_factory=dict)
    unindexed: dict[bytes, int] = field(default_factory=dict)
    wrong: dict[Oid, bytes] = field(default_factory=dict)
    irregular: list[str] = field(default_factory=list)
    segments: dict[str, str] = field(default_factory=dict)
    roots: dict[str, str] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.packs or self.unindexed or self.segments or self.roots)

    def lines(self) -> Iterator[str]:
        """Yield a line for each damaged thing."""
        for name, why in sorted(self.packs.items()):
            yield f"{layout.pack_key(name)}: {why}"
        for name in sorted(self.unindexed):
            yield f"{layout.pack_key(name)}: no index segment names it"
        for key, why in sorted((self.segments | self.roots).items()):
            yield f"{key}: {why}"


@dataclass(slots=True)
class Healed:
    """What was done, by keys in the remote.

    ``replaced`` are damaged packs and roots that were written again as they were, ``aside`` those
    that were moved to ``quarantine/``; ``salvaged`` counts objects and chunks that were saved out
    of these.
    """

    replaced: list[str] = field(default_factory=list)
    aside: list[str] = field(default_factory=list)
    salvaged: int = 0


def look_for_damage(remote: Remote, reporter: Reporter) -> Damage:
    """Read all of a remote and return what is wrong with it."""
    storage = remote.storage
    index, problems = check_segments(storage)
    odd = list(irregular(storage))
    problems += odd
    listed = listed_packs(storage)
    problems += check_packs(storage, index, listed)
    sound = SoundFirst(index.segments, doubtful(index, listed))
    store = AsFound(storage, remote.require_format(), sound)
    total = sum(index.packs().values())
    unsound: set[bytes] = set()

    def is_read(name: bytes, sound: bool) -> None:
        if not sound:
            unsound.add(name)

    with reporter.task(f"Checking {remote.name}", unit="bytes", total=total) as task:
        lost = {oid for problem in problems for oid in problem.oids}
        problems += check_contents(store, task, lost=lost, is_read=is_read, is_remote=True)
    damage = _sorted(problems, index, unsound)
    damage.irregular = [one.key for one in odd]
    remote.refresh_roots()
    _look_at_roots(storage, damage)
    marks = Marks(store)
    if damage.segments or any(
        gone
        for root in remote.roots.values()
        for one in root.objects
        for gone in marks.mark(one.oid, one.kind)
    ):
        damage.unindexed = unindexed(storage, index)
    return damage


def _sorted(problems: Sequence[Problem], index: Index, unsound: set[bytes]) -> Damage:
    damage = Damage()
    for one in problems:
        if one.what == TORN:
            continue  # whoever has what is missing sends it
        if one.key.startswith(layout.INDEX):
            if one.what == DAMAGED_SEGMENT:
                damage.segments.setdefault(one.key, one.detail)
        elif (name := layout.name_of(one.key)) is not None:
            damage.packs.setdefault(name, one.detail)
            for oid in one.oids if one.what == "object-damaged" and name not in unsound else ():
                place = index.find(oid)
                if place is not None and place.kind in TOP_KINDS:
                    damage.wrong[oid] = name
    return damage


def _look_at_roots(storage: Storage, damage: Damage) -> None:
    for entry in storage.list(layout.ROOTS):
        session = entry.key.removeprefix(layout.ROOTS)
        if layout.is_session(session):
            try:
                found = roots.decode(storage.get(entry.key))
                if found.session != session:
                    damage.roots[entry.key] = "it is the root of another session"
            except ObjectNotFound:
                continue
            except CorruptError as error:
                damage.roots[entry.key] = error.message


class Healer:
    """Heals one remote, whose damage was looked for."""

    def __init__(self, local: Store, remote: Remote, damage: Damage, reporter: Reporter) -> None:
        self._local = local
        self._remote = remote
        self._damage = damage
        self._reporter = reporter
        self.done = Healed()

    def before_push(self) -> None:
        """Bring roots and the index back, as far as that takes no content."""
        self._refuse_beside_a_collection()
        for key in self._damage.irregular:
            # What takes the name of a file is in the way of a new one.
            self._aside(key)
        for key in sorted(self._damage.roots):
            self._heal_root(key)
        if self._damage.segments or self._damage.unindexed:
            self._rebuild_index()
            for key in sorted(self._damage.segments.keys() - set(self._damage.irregular)):
                self._aside(key)

    def _refuse_beside_a_collection(self) -> None:
        self._remote.forget_listing()
        if self._remote.list_notices().doomed_packs():
            raise RemoteError(
                f"garbage is being collected in {self._remote.description}",
                hint="run the same command again when that has ended; 'dver gc -r"
                f" {self._remote.name}' ends one that was interrupted",
            )

    def _heal_root(self, key: str) -> None:
        """Write a root again as this clone has read it once; else move it aside."""
        session = key.removeprefix(layout.ROOTS)
        copy = self._remote.cache / "roots" / session
        try:
            data = copy.read_bytes()
            right = roots.decode(data).session == session
        except (OSError, CorruptError):
            right = False
        if right:
            put_and_check(self._remote, key, data)
            self.done.replaced.append(key)
        else:
            self._aside(key)

    def _aside(self, key: str) -> None:
        if set_aside_in(self._remote.storage, key) is not None:
            self.done.aside.append(key)

    # the index

    def _rebuild_index(self) -> None:
        """Write segments for the packs that no sound segment names."""
        storage = self._remote.storage
        index, _ = check_segments(storage)
        found = []
        for name, size in sorted(self._damage.unindexed.items()):
            if name not in self._damage.packs:
                try:
                    rows = footer_rows(storage, name, size)
                except (CorruptError, ObjectNotFound) as error:
                    self._damage.packs[name] = error.message
                    continue
                found.append(FinishedPack("", name, size, rows))
        if found:
            right = self._without_wrong_lists(index, found)
            self._send([Upload(one.name, one.size, "", right[one.name]) for one in found], {})

    def _without_wrong_lists(
        self, index: Index, packs: Sequence[FinishedPack]
    ) -> dict[bytes, bytes]:
        """Return the rows of packs without the chunk lists that do not make up their objects.

        A pack may hold some that nobody verified, and no segment named.
        """
        table = sorted((one.name, one.size) for one in packs)
        trial = Segment(b"", segment.encode(encode_rows(packs), table, bytes(16)))
        info = self._remote.require_format()
        self._look_into(AsFound(self._remote.storage, info, Index([trial])))
        view = RemoteStore(self._remote.storage, info, Index([trial, *index.segments]))
        wrong = {
            oid
            for oid, place in trial.places()
            if place.kind in TOP_KINDS and not _is_right(view, oid)
        }
        return {one.name: _but(one.rows, wrong.__contains__) for one in packs}

    def _look_into(self, store: Store) -> None:
        """Read packs that nobody has looked into yet: the footer of a damaged one may be sound."""

        def is_read(name: bytes, sound: bool) -> None:
            if not sound:
                self._damage.packs[name] = "its content is damaged"

        names = store.index.packs().keys()
        for _ in check_contents(store, Task(), only=names, is_read=is_read, is_remote=True):
            pass

    # content

    def after_push(self) -> None:
        """Save what is only in damaged packs, then take those out of the index."""
        bad = self._still_bad()
        if bad:
            self._salvage(bad)
            self._forget(bad)
            for name in sorted(bad):
                self._aside(layout.pack_key(name))

    def _still_bad(self) -> frozenset[bytes]:
        """Return the damaged packs that the push did not send again, having read the others."""
        self._remote.forget_listing()
        self._remote.refresh_index(whole=True)
        index = Index(self._remote.index.segments())
        store = AsFound(self._remote.storage, self._remote.require_format(), index)
        suspects = frozenset(self._damage.packs)
        listed = self._remote.list_packs()
        bad = {name for name in suspects if listed.get(name) != index.packs().get(name, -1)}

        def is_read(name: bytes, sound: bool) -> None:
            if not sound:
                bad.add(name)

        again = check_contents(
            store, Task(), only=suspects & listed.keys(), is_read=is_read, is_remote=True
        )
        for _ in again:
            pass
        # What is wrong in a sound pack was written so, and a copy of it is no better.
        bad.update(self._damage.wrong.values())
        bad &= index.packs().keys() | listed.keys()
        self.done.replaced += [layout.pack_key(name) for name in sorted(suspects - bad)]
        return frozenset(bad)

    def _salvage(self, bad: frozenset[bytes]) -> None:
        """Copy what is good in damaged packs, and nowhere else, into new ones."""
        live = self._remote.index.segments()
        elsewhere = Index(live, bad)
        wanted = {
            oid
            for one in live
            for oid, place in one.places()
            if place.pack in bad and oid not in elsewhere
        }
        session = layout.new_session(collection=True)
        with Spool(self._local.local_directory(), f"{self._remote.name}/heal", session) as spool:
            uploads: list[Upload] = []
            for name in sorted(bad):
                uploads += self._copied(name, wanted, spool)
            if uploads:
                self._send(uploads, self._remote.list_packs())

    def _copied(self, name: bytes, wanted: set[Oid], spool: Spool) -> Iterator[Upload]:
        """Yield new packs of the good frames of a pack that are wanted, and want them no more."""
        with tempfile.TemporaryDirectory(prefix="dver-heal-") as temp:
            copy = Path(temp, "pack")
            try:
                self._remote.storage.get_file(layout.pack_key(name), copy)
            except (ObjectNotFound, MissingContentError):
                return
            data = copy.read_bytes()
        builders: dict[bool, PackBuilder] = {}
        try:
            for frame, stored in good_frames(data):
                wrong = frame.kind in TOP_KINDS and frame.oid in self._damage.wrong
                if wrong or frame.oid not in wanted:
                    continue
                wanted.discard(frame.oid)
                tree = frame.kind in _TREES
                builder = builders.get(tree) or PackBuilder(str(spool.directory))
                builders[tree] = builder
                builder.add(frame.oid, frame.kind, frame.codec, bytes(stored), frame.raw)
                self.done.salvaged += 1
                if builder.size >= PACK_TARGET:
                    yield _finished(builders.pop(tree))
            while builders:
                yield _finished(builders.popitem()[1])
        finally:
            for builder in builders.values():
                builder.abandon()

    def _send(self, uploads: Sequence[Upload], listed: dict[bytes, int]) -> None:
        """Send packs, or take note of those that are there, and write segments that name them.

        Those packs may be damaged, so no row of theirs may take the place of an older one.
        """
        session = Session(self._remote, self._reporter, self._remote.jobs)
        session.merges = False
        # No root comes of it, so it is not announced as a push.
        session.id = layout.new_session(collection=True)
        self._remote.forget_listing()
        session.watch.begin()
        self._remote.refresh_index(whole=True)
        listed = listed or self._remote.list_packs()
        total = sum(one.size for one in uploads if one.name not in listed)
        for upload, sound in session.send(uploads, listed, total):
            if not sound:
                raise CorruptError(f"the new pack {upload.name.hex()} is damaged on this disk")
        session.publish_index()
        try:
            session.look_again()
        except Overtaken as error:
            raise RemoteError(
                f"garbage was collected in {self._remote.description} meanwhile",
                hint="run the same command again",
            ) from error

    def _forget(self, bad: frozenset[bytes]) -> None:
        """Write segments without the rows of packs, then delete those that they replace."""
        remote = self._remote
        remote.forget_listing()
        remote.refresh_index(whole=True)
        live = remote.index.segments()
        lost = lost_packs(remote.index.packs(), remote.list_packs())
        own = layout.new_session(collection=True)
        obsolete = remote.index.names.keys() - {one.name for one in live}
        made = replace_segments(live, bad, (lost | bad,), obsolete, bytes.fromhex(own))
        for data in made.segments:
            put_segment(remote, data)
        for name in made.replaced:
            remote.storage.delete(layout.segment_key(name))


def _finished(builder: PackBuilder) -> Upload:
    builder.finish()
    done = builder.result()
    return Upload(done.name, done.size, done.temp, done.rows)


def _is_right(view: Store, oid: Oid) -> bool:
    try:
        for _ in windows(view, oid):
            pass
    except (CorruptError, MissingContentError):
        return False
    return True


def _but(rows: bytes, is_out: Callable[[Oid], bool]) -> bytes:
    """Return footer rows without those of some objects."""
    size = pack.ROW.size
    parts: Collection[bytes] = [rows[at : at + size] for at in range(0, len(rows), size)]
    return b"".join([part for part in parts if not is_out(Oid(part[:OID_SIZE]))])
