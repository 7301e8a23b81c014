"""Remove from a remote what nobody needs any more, and bring back what was dropped."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from dver.base import clock
from dver.base.dataclass import dataclass
from dver.base.errors import ConfigError, RemoteError, UsageError
from dver.base.reporter import Reporter
from dver.formats.notice import Unused
from dver.formats.root import Root
from dver.ops.sharing.push import repo_id
from dver.ops.upkeep.retention import Keep, Retention
from dver.repo import Repo
from dver.store import layout
from dver.transfer.gc import collect as collection
from dver.transfer.gc import survey, trash
from dver.transfer.gc.collect import Collected

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}


@dataclass(frozen=True, slots=True)
class RemoteGcOptions:
    """What to collect, and where.

    ``grace`` is for how long nobody must have needed something before it is deleted, None for the
    setting ``gc.grace``. With ``keep_last``, ``keep_within`` or ``keep_branches`` roots are dropped
    that no version to be kept needs: see :class:`~dver.ops.upkeep.retention.Keep`. Times are texts
    such as ``14d``. With ``rewrite`` packs that are mostly garbage are copied without it first.
    ``trash`` only lists what was dropped; ``restore`` brings those roots back.
    """

    remote: str
    dry_run: bool = False
    grace: str | None = None
    keep_last: int | None = None
    keep_within: str | None = None
    keep_branches: tuple[str, ...] = ()
    rewrite: bool = False
    force: bool = False
    trash: bool = False
    restore: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class UnusedPack:
    """A pack that nothing needs: its key, its size in bytes, since when (UTC), and why."""

    key: str
    size: int
    since: str
    why: str


@dataclass(frozen=True, slots=True)
class TrashedRoot:
    """A root that was dropped.

    ``created`` is when it was pushed, ``dropped`` when it went to the trash, None for just now.
    ``kept`` counts the objects of it that were needed and are in a new root.
    """

    session: str
    created: str
    dropped: str | None
    commits: tuple[str, ...]
    paths: tuple[str, ...]
    kept: int = 0


@dataclass(frozen=True, slots=True)
class RemoteGc:
    """What was removed from a remote, or would be. Sizes are in bytes, times in seconds.

    ``did`` says what was asked for. ``removed`` packs are gone; ``waiting`` are packs that nothing
    needs and that go later. ``dropped`` roots are in the trash now, ``expired`` ones left it.
    ``trash`` is what lies there, if that was asked for; ``restored`` are roots that came back.
    ``refused`` are keys that could not be deleted, and ``reason`` says why. ``begun_anew`` counts
    pushes that a collection ended or that had died. ``wasted_bytes`` of the packs that stay are
    needed by nobody; ``rewritten`` counts the packs whose needed content was copied, so that they
    can go.
    """

    remote: str
    description: str
    did: Literal["collect", "list", "restore"]
    grace: int
    roots: int = 0
    packs: int = 0
    bytes: int = 0
    wasted_bytes: int = 0
    removed: tuple[UnusedPack, ...] = ()
    freed_bytes: int = 0
    waiting: tuple[UnusedPack, ...] = ()
    waiting_bytes: int = 0
    dropped: tuple[TrashedRoot, ...] = ()
    expired: tuple[str, ...] = ()
    trash: tuple[TrashedRoot, ...] = ()
    restored: tuple[TrashedRoot, ...] = ()
    refused: tuple[str, ...] = ()
    reason: str = ""
    begun_anew: int = 0
    rewritten: int = 0
    requests: int = 0

    @property
    def exit_code(self) -> int:
        """0, or the code of a remote that refused something."""
        return RemoteError.exit_code if self.refused else 0


def gc_remote(repo: Repo, options: RemoteGcOptions, reporter: Reporter) -> RemoteGc:
    """Collect garbage in a remote; see ``docs/design/gc.md``.

    Raises RefusedError or CorruptError, with nothing removed, if what is needed cannot be told.
    """
    grace = _grace(repo, options.grace)
    keep = _keep(options)
    looks_only = options.dry_run or options.trash
    remote = repo.open_remote(options.remote, write=not looks_only, reporter=reporter)
    if options.trash or options.restore:
        remote.read_format()
        remote.require_format()
    if options.trash:
        found = survey.read_trash(remote)
        return RemoteGc(
            remote.name,
            remote.storage.description,
            "list",
            grace,
            trash=tuple(
                _trashed(one.root, one.moment)
                for _, one in sorted(found.items(), key=lambda item: item[1].moment)
            ),
            requests=remote.storage.requests,
        )
    if options.restore:
        wanted = () if options.restore == ("all",) else options.restore
        back = trash.restore(repo.store, remote, wanted, reporter, dry_run=options.dry_run)
        return RemoteGc(
            remote.name,
            remote.storage.description,
            "restore",
            grace,
            restored=tuple(_trashed(root, None) for root in back),
            requests=remote.storage.requests,
        )
    policy = None
    if keep is not None:
        policy = Retention(repo.git, repo_id(repo), keep, grace)
    done = collection.collect(
        repo.store,
        remote,
        grace=grace,
        policy=policy,
        rewrite=options.rewrite,
        dry_run=options.dry_run,
        force=options.force,
        reporter=reporter,
    )
    return _result(done, remote.name, remote.storage.description, grace, remote.storage.requests)


def _result(done: Collected, name: str, description: str, grace: int, requests: int) -> RemoteGc:
    return RemoteGc(
        name,
        description,
        "collect",
        grace,
        roots=done.roots,
        packs=done.packs,
        bytes=done.bytes,
        wasted_bytes=done.waste,
        removed=_packs(done, done.swept.deleted),
        freed_bytes=sum(one.size for one in done.swept.deleted),
        waiting=_packs(done, done.unused),
        waiting_bytes=sum(one.size for one in done.unused),
        dropped=tuple(_trashed(one.root, None, one.kept) for one in done.dropped),
        expired=done.expired,
        refused=tuple(done.swept.refused),
        reason=done.swept.reason,
        begun_anew=len(done.swept.voided),
        rewritten=done.rewritten,
        requests=requests,
    )


def _packs(done: Collected, packs: Sequence[Unused]) -> tuple[UnusedPack, ...]:
    return tuple(
        UnusedPack(
            layout.pack_key(one.name),
            one.size,
            clock.utc_text(one.since * 1_000_000_000),
            "no segment names it: its push has died, or is under way"
            if one.name in done.unindexed
            else "no root reaches anything in it",
        )
        for one in packs
    )


def _trashed(root: Root, moment: int | None, kept: int = 0) -> TrashedRoot:
    return TrashedRoot(
        root.session,
        root.created,
        None if moment is None else clock.utc_text(moment * 1_000_000_000),
        root.commits,
        tuple(dict.fromkeys(one.path for one in root.objects)),
        kept,
    )


def _grace(repo: Repo, text: str | None) -> int:
    if text is not None:
        return _seconds(text, "--grace")
    setting = repo.config.text("gc.grace") or "14d"
    found = parse_duration(setting)
    if found is None:
        raise ConfigError(f"gc.grace is no length of time: {setting!r}", hint="such as 14d or 12h")
    return found


def _keep(options: RemoteGcOptions) -> Keep | None:
    within = options.keep_within
    if options.keep_last is None and within is None and not options.keep_branches:
        return None
    return Keep(
        options.keep_last,
        None if within is None else _seconds(within, "--keep-within"),
        options.keep_branches,
    )


def _seconds(text: str, option: str) -> int:
    found = parse_duration(text)
    if found is None:
        raise UsageError(
            f"{option} {text!r} is no length of time", hint="such as 14d, 2w, 12h or 0s"
        )
    return found


def parse_duration(text: str) -> int | None:
    """Return the seconds that a text such as ``14d`` or ``1w2d`` stands for, None for others."""
    total, digits = 0, ""
    for char in text:
        if char.isascii() and char.isdigit():
            digits += char
        elif char in _UNITS and 0 < len(digits) <= 9:
            total += int(digits) * _UNITS[char]
            digits = ""
        else:
            return None
    return None if digits or not text else total
