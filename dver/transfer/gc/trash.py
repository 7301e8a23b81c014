"""Dropping roots into a remote's trash, and bringing them back as a push would."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence

from dver.base import clock
from dver.base.errors import (
    MissingContentError,
    NotFoundError,
    ObjectNotFound,
    RemoteError,
    SystemFailure,
)
from dver.base.oid import oid_of
from dver.base.reporter import Reporter
from dver.formats import notice
from dver.formats import root as roots_format
from dver.formats.notice import Notice
from dver.formats.root import Root, RootObject
from dver.store import layout
from dver.store.store import Store
from dver.transfer.gc.reach import Reach
from dver.transfer.gc.survey import Survey, read_trash
from dver.transfer.notices import read_notice
from dver.transfer.push import ATTEMPTS
from dver.transfer.remote import Remote
from dver.transfer.session import Session
from dver.transfer.watch import Overtaken


def put_and_check(remote: Remote, key: str, data: bytes) -> None:
    """Write a key and read it back. Raises RemoteError if it is not there then."""
    remote.storage.put(key, data)
    if remote.storage.get(key) != data:
        raise RemoteError(
            f"{remote.description} said it stored {key}, and has something else there",
            hint="check its URL and endpoint with 'dver remote check'",
        )


def put_segment(remote: Remote, data: bytes) -> None:
    """Write a segment and read it back. Raises as :func:`put_and_check`."""
    name = bytes(oid_of(data))
    try:
        put_and_check(remote, layout.segment_key(name), data)
    except ObjectNotFound:
        # A push may have read it and merged it into its own, and a collection deleted it then.
        remote.forget_listing()
        remote.refresh_index(whole=True)
        if name not in remote.index.superseded():
            raise
    remote.index.put_aside(name, data)


def drop(remote: Remote, root: Root, own: str, now: int) -> str:
    """Move a root to the trash.

    Returns "", or why it could not be deleted where it was: then it counts as before, whatever the
    trash has.
    """
    held = Notice("trash", own, now, root=roots_format.encode(root))
    key = layout.trash_key(root.session)
    remote.storage.put(key, notice.encode(held))
    # Another collection may drop it at the same time: its word is as good.
    if read_notice(remote.storage, key, ("trash",), "").root != held.root:
        raise RemoteError(
            f"{remote.description} said it stored {key}, and has something else there",
            hint="check its URL and endpoint with 'dver remote check'",
        )
    try:
        remote.storage.delete(layout.root_key(root.session))
    except (RemoteError, SystemFailure) as error:
        return error.message
    return ""


def retire(
    remote: Remote, seen: Survey, kept: Mapping[str, Sequence[RootObject]], own: str
) -> None:
    """Take note that what some roots name is dropped, but for what is kept.

    A push brings older versions along as far as they are there; these it shall not. What is too
    much for one root is left out: pushes may bring it again.
    """
    storage = remote.storage
    old = [entry.key for entry in storage.list(layout.TRASH) if entry.key.endswith(layout.RETIRED)]
    objects = {one for session in kept for one in seen.roots[session].objects}
    for key in old:
        with contextlib.suppress(ObjectNotFound):
            held = read_notice(storage, key, ("retired",), "")
            objects.update(roots_format.decode(held.root).objects)
    for session, root in seen.roots.items():
        objects.difference_update(kept.get(session, root.objects))
    told = sorted(objects)
    while len(text := _root_of(own, told)) > roots_format.MAX_SIZE:
        del told[len(told) // 2 :]
    key = layout.trash_key(own) + layout.RETIRED
    put_and_check(remote, key, notice.encode(Notice("retired", own, 0, root=text)))
    for one in old:
        # What stays is taken into the next one of its kind.
        with contextlib.suppress(RemoteError, SystemFailure):
            storage.delete(one)


def _root_of(own: str, objects: Sequence[RootObject]) -> bytes:
    return roots_format.encode(Root(own, clock.utc_text(), "", (), tuple(objects)))


def reissue(
    local: Store,
    remote: Remote,
    root: Root,
    objects: Sequence[RootObject],
    commits: Sequence[str],
    reporter: Reporter,
) -> Root:
    """Write a new root for some of what a root names, all of which must be there.

    It is a push that sends nothing, and as safe. Raises MissingContentError if it is too late.
    """
    for _ in range(ATTEMPTS):
        session = Session(remote, reporter, remote.jobs)
        remote.forget_listing()
        session.watch.begin()
        remote.refresh_index(whole=True)
        listed = remote.list_packs()
        doomed = session.watch.doomed
        usable = {name: size for name, size in listed.items() if name not in doomed}
        session.watch.rely(usable)
        holes = Reach(remote, local, remote.index.segments(), usable).add(
            [Root(root.session, root.created, root.repo, (), tuple(objects))]
        )
        if holes:
            raise MissingContentError(
                f"what the root {root.session[:12]} names is not all in {remote.description}"
                " any more",
                paths=sorted({one.object.path for one in holes}),
                hint="another collection is under way there: try again when it has ended"
                if doomed
                else f"'dver push --all -r {remote.name}' sends it from a clone that has it",
            )
        try:
            session.look_again()
            return session.commit(root.repo, commits, objects, created=root.created)
        except Overtaken:
            continue
    raise RemoteError(
        f"garbage was collected in {remote.description} {ATTEMPTS} times meanwhile",
        hint="run the same command again",
    )


def restore(
    local: Store,
    remote: Remote,
    wanted: Sequence[str],
    reporter: Reporter,
    *,
    dry_run: bool = False,
) -> list[Root]:
    """Bring roots back from the trash, under new sessions; return them as they were there.

    ``wanted`` are sessions or unique beginnings of them, none for all that is there. Raises
    NotFoundError, before anything is done, for one that is not in the trash.
    """
    trash = read_trash(remote)
    chosen: dict[str, None] = {}
    for text in wanted:
        found = [session for session in trash if session.startswith(text)]
        if len(found) != 1:
            several = "is the beginning of several roots" if found else "is not"
            raise NotFoundError(
                f"{text!r} {several} in the trash of {remote.description}",
                hint=f"'dver gc -r {remote.name} --trash' lists what is there",
            )
        chosen[found[0]] = None
    restored = [trash[session].root for session in (chosen if wanted else sorted(trash))]
    for old in () if dry_run else restored:
        with local.hold():
            reissue(local, remote, old, old.objects, old.commits, reporter)
        with contextlib.suppress(RemoteError, SystemFailure):
            remote.storage.delete(layout.trash_key(old.session))
    return restored
