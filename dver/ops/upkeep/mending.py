"""Making the local store sound again: what is still good in it is kept, the rest is fetched."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from dver.base.dataclass import dataclass
from dver.base.errors import CorruptError, DverError, FormatError
from dver.base.oid import Oid, format_oid
from dver.base.quoting import show
from dver.base.reporter import Reporter
from dver.formats import storeinfo
from dver.ops.upkeep.recorded import Version, needed_files, versions
from dver.repo import Repo
from dver.store.quarantine import set_aside
from dver.store.repair import Plan, repair, survey
from dver.store.store import Store
from dver.workspace.links import LinkCache

if TYPE_CHECKING:
    from dver.transfer.wants import Want

#: With more lost files than this, a version is fetched as a whole.
_MOST_FILES = 2000


@dataclass(frozen=True, slots=True)
class Repaired:
    """What a repair did, or with ``dry_run`` would do.

    ``quarantined`` are the damaged files, by the keys that they had, now in the store's
    ``quarantine/``. ``salvaged`` counts the good objects and chunks saved out of them, ``lost``
    those that were gone then; ``source`` is the remote that was asked for them, and ``fetched``
    counts the files, links and directories that it brought. ``still_lost`` are paths that it could
    not.
    """

    quarantined: tuple[str, ...]
    salvaged: int
    lost: int
    dry_run: bool = False
    source: str | None = None
    fetched: int = 0
    still_lost: tuple[str, ...] = ()


def mend(repo: Repo, source: str | None, *, dry_run: bool, reporter: Reporter) -> Repaired:
    """Say what will be done, repair the local store, and fetch what is lost from ``source``.

    Nothing is deleted: what is damaged is moved aside.
    """
    key = _unreadable_format(repo)
    if key is not None:
        reporter.note(f"{key} is damaged: it is moved aside, and a new one written")
        if dry_run:
            return Repaired((key,), 0, 0, dry_run=True)
        set_aside(os.fspath(repo.store_path), key)
    store = open_store(repo)
    links = LinkCache(store.local_directory())
    with store.hold(exclusive=True, timeout=60.0):
        total = sum(store.index.packs().values())
        with reporter.task("Checking", unit="bytes", total=total) as task:
            plan = survey(store, task)
            bad_links = sorted(path for path, _ in links.damaged())
        _announce(plan, [links.key(path) for path in bad_links], source, reporter)
        if dry_run:
            moved = (*plan.aside, *map(links.key, bad_links))
            return Repaired(moved, 0, 0, dry_run=True, source=source)
        with reporter.task("Repairing", unit="bytes", total=None) as task:
            found = repair(store, task, plan)
        moved = (*([key] if key else ()), *found.quarantined)
        moved += tuple(links.key(path) for path in bad_links if links.set_aside(path))
    done = Repaired(moved, found.salvaged, len(found.lost))
    if source is None:
        return done
    return _fetched(repo, store, source, done, found.lost, plan, reporter)


def open_store(repo: Repo) -> Store:
    """Open the local store, even if its index cannot be read."""
    from dver.storage.local import LocalStorage

    try:
        return repo.store
    except CorruptError:
        return Store.open_unindexed(LocalStorage(repo.store_path))


def _unreadable_format(repo: Repo) -> str | None:
    """Return the key of the store's format record if it is there and cannot be read."""
    from dver.storage.local import LocalStorage

    try:
        storeinfo.decode(LocalStorage(repo.store_path).get(storeinfo.KEY))
    except FormatError as error:
        # One of a later version is not damaged, and says what to do.
        return None if error.hint else storeinfo.KEY
    except CorruptError:
        return storeinfo.KEY
    except DverError:
        # There is none, or it cannot be read now: whoever opens the store says that.
        return None
    return None


def _announce(plan: Plan, links: Sequence[str], source: str | None, reporter: Reporter) -> None:
    """Say what will be done, before anything is."""
    for key in plan.aside:
        save = ", once what is good in it is copied" if key.startswith("packs/") else ""
        reporter.note(f"{key} is damaged: it is moved to quarantine{save}")
    for key in links:
        reporter.note(f"{key} is damaged: it is moved to quarantine; it is made anew when needed")
    if plan.unindexed:
        reporter.note(
            f"{plan.unindexed} packs that no index segment names are taken into the index"
        )
    if plan.misplaced:
        reporter.note(f"the index says other things of {plan.misplaced} packs: it is made anew")
    if plan.absent:
        reporter.note(f"{plan.absent} packs are gone: the index forgets them")
    for oid in plan.wrong[:10]:
        reporter.note(f"the index forgets {format_oid(oid)}: what it names is something else")
    if source is not None and not (plan.is_empty and not links):
        reporter.note(f"what is lost by that is fetched from {show(source)}")


def _fetched(
    repo: Repo,
    store: Store,
    source: str,
    done: Repaired,
    lost: Sequence[Oid],
    plan: Plan,
    reporter: Reporter,
) -> Repaired:
    from dver.transfer.fetch import fetch

    remote = repo.open_remote(source, write=False, reporter=reporter)
    store.refresh()
    recorded, _ = versions(repo)
    wants = [_want(*one) for one in needed_files(store, recorded, lost, _MOST_FILES)]
    if any(key.startswith("index/") for key in plan.aside):
        # Nobody knows what a damaged segment named: what is in use must be here in the end.
        head = repo.git.head()
        wants += [_want(one, ()) for one in recorded if one.commit in (None, head)]
    brought = fetch(
        store, remote, wants, workers=repo.config.number("core.workers"), reporter=reporter
    )
    return Repaired(
        done.quarantined,
        done.salvaged,
        done.lost,
        source=remote.name,
        fetched=brought.objects,
        still_lost=tuple(
            dict.fromkeys(repo.display(os.fsencode(one.path)) for one in brought.lost)
        ),
    )


def _want(version: Version, inside: tuple[bytes, ...]) -> Want:
    from dver.transfer.wants import Want

    pointer = version.pointer
    return Want(
        pointer.kind,
        pointer.oid,
        pointer.size,
        os.fsdecode(version.path),
        inside,
        version.commit or "",
    )
