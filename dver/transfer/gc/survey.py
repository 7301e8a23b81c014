"""Looking at a remote as a collection of garbage must: all of it, or not at all."""

from __future__ import annotations

from collections.abc import Iterable

from dver.base.dataclass import dataclass
from dver.base.errors import CorruptError, FormatError, ObjectNotFound, RefusedError, RemoteError
from dver.formats import root as roots_format
from dver.formats import segment
from dver.formats.notice import Notice
from dver.formats.root import Root
from dver.storage.base import Entry
from dver.store import layout
from dver.store.index import Segment
from dver.transfer.notices import Notices, read_notice
from dver.transfer.remote import Remote
from dver.transfer.workers import each

#: So often the notices are listed again because one was withdrawn meanwhile.
_LOOKS = 5
#: Fewer roots than this may go without a question.
_FEW_ROOTS = 4


@dataclass(frozen=True, slots=True)
class Trashed:
    """A root in the trash, and since when it is there (seconds, by the storage's clock)."""

    root: Root
    moment: int


@dataclass(slots=True)
class Survey:
    """What is in a remote.

    ``others`` are the packs that other collections may be deleting. ``void`` are the sessions of
    roots that some collection declared void. ``segments`` are those that count; ``names`` all
    that are listed.
    """

    notices: Notices
    others: frozenset[bytes]
    roots: dict[str, Root]
    void: frozenset[str]
    trash: dict[str, Trashed]
    segments: list[Segment]
    names: frozenset[bytes]
    packs: dict[bytes, int]


def survey(remote: Remote, own: str) -> Survey:
    """List a remote and read all that says what is needed: notices first, packs last.

    Raises CorruptError if anything is damaged or missing of that, since what it names could not
    be told from garbage.
    """
    remote.forget_listing()
    remote.purged(anew=True)
    notices, others = _notices(remote, own)
    remote.refresh_roots()
    if remote.damaged_roots:
        raise CorruptError(
            "nothing was removed, since not all roots can be read",
            paths=remote.damaged_roots,
            hint=f"run 'dver fsck -r {remote.name}' to see what else is damaged",
        )
    trash = read_trash(remote)
    remote.refresh_index(whole=True)
    bad = sorted(remote.index.lost | remote.index.damaged)
    if bad:
        raise CorruptError(
            f"nothing was removed, since {len(bad)} index segments of {remote.description} are"
            " gone or damaged",
            paths=[layout.segment_key(name) for name in bad],
            hint=f"run 'dver push --all -r {remote.name}' where the content is, then this again",
        )
    return Survey(
        notices,
        others,
        dict(remote.roots),
        remote.void_roots,
        trash,
        remote.index.segments(),
        frozenset(remote.index.names),
        remote.list_packs(),
    )


def look_anew(remote: Remote, seen: Survey, own: str) -> None:
    """Bring a survey up to date, but for the notices."""
    fresh = survey(remote, own)
    for name in ("roots", "void", "trash", "segments", "names", "packs", "others"):
        setattr(seen, name, getattr(fresh, name))


def _notices(remote: Remote, own: str) -> tuple[Notices, frozenset[bytes]]:
    for _ in range(_LOOKS):
        notices = remote.list_notices()
        try:
            return notices, notices.doomed_packs(but=own)
        except ObjectNotFound:
            continue  # that collection has ended since the listing
    raise RemoteError(
        f"the notices in {remote.description} are listed, and not there",
        hint="run the same command again",
    )


def read_trash(remote: Remote) -> dict[str, Trashed]:
    """Return the roots in the trash, by their sessions."""
    keys = [
        entry
        for entry in remote.storage.list(layout.TRASH)
        if layout.is_session(entry.key.removeprefix(layout.TRASH))
    ]

    def read(entry: Entry) -> Notice | None:
        try:
            return read_notice(remote.storage, entry.key, ("trash",), "")
        except ObjectNotFound:
            return None  # restored since the listing

    found = {}
    for entry, notice in each(remote.jobs, keys, read):
        if notice is None:
            continue
        session = entry.key.removeprefix(layout.TRASH)
        try:
            root = roots_format.decode(notice.root)
        except FormatError as error:
            raise CorruptError(f"{entry.key} is damaged: {error.message}") from error
        if root.session != session:
            raise CorruptError(f"{entry.key} holds the root of another session")
        found[session] = Trashed(root, notice.moment)
    return found


def require_roots(remote: Remote, *, force: bool) -> float:
    """Raise RefusedError if so many roots are gone that something must have gone wrong.

    Returns when the newest of them was written, by the storage's clock.
    """
    known = set(remote.roots)
    listed, trash = (
        {
            name: entry
            for entry in remote.storage.list(prefix)
            if layout.is_session(name := entry.key.removeprefix(prefix))
        }
        for prefix in (layout.ROOTS, layout.TRASH)
    )
    gone = known - listed.keys() - trash.keys()
    if len(gone) >= _FEW_ROOTS and 2 * len(gone) > len(known) and not force:
        raise RefusedError(
            f"{len(gone)} of the {len(known)} roots that this clone saw in {remote.description}"
            " are gone, and not in its trash",
            hint="find out who removed them; --force takes what is left for all there is",
        )
    if not (force or listed or trash) and any(remote.storage.list(layout.PACKS)):
        raise RefusedError(
            f"{remote.description} has no root, so nothing says what is needed",
            hint="push first; --force takes everything there for garbage",
        )
    return max((entry.modified or 0.0 for entry in (*listed.values(), *trash.values())), default=0)


def announced(remote: Remote) -> tuple[set[str], frozenset[bytes]]:
    """Return the sessions that were announced, and the names of the segments listed for that.

    Each segment tells who wrote it, those that others supersede as well.
    """
    sessions = {
        entry.key.removeprefix(layout.INTENTS)
        for entry in remote.storage.list(layout.INTENTS)
        if layout.is_session(entry.key.removeprefix(layout.INTENTS))
    }
    remote.refresh_index(whole=True)
    salts = {one.name: one.layout.salt for one in remote.index.segments()}
    rest = [name for name in remote.index.names if name not in salts]
    names = frozenset(remote.index.names)

    def read(name: bytes) -> bytes | None:
        try:
            head = remote.storage.get(layout.segment_key(name), 0, segment.HEADER.size)
        except ObjectNotFound:
            return None  # another collection deleted it since, and had settled its session
        return segment.decode_header(head, remote.index.names[name]).salt

    salts.update((name, salt) for name, salt in each(remote.jobs, rest, read) if salt is not None)
    found = sessions | {salt.hex() for salt in salts.values()}
    return {one for one in found if not layout.is_collection(one)}, names


def present_roots(remote: Remote) -> set[str]:
    """Return the sessions that have a root now."""
    keys: Iterable[str] = (entry.key for entry in remote.storage.list(layout.ROOTS))
    return {name for key in keys if layout.is_session(name := key.removeprefix(layout.ROOTS))}
