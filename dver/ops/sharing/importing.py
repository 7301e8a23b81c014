"""Bring data from another repository, or from any URL, and note where it came from."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from dver.base.dataclass import dataclass
from dver.base.errors import RefusedError, RepositoryError, UsageError
from dver.base.oid import format_oid
from dver.base.quoting import show
from dver.base.reporter import Reporter
from dver.formats.origin import Origin
from dver.formats.pointer import Pointer
from dver.git.pointers import pointer_path
from dver.ops.data.checkout import CheckoutOptions, checkout
from dver.ops.sharing.provenance import (
    Told,
    agree,
    as_seen,
    normal_url,
    told,
    write_import,
)
from dver.ops.sharing.sourcerepo import DEFAULT, Access, Repositories, repository_url
from dver.ops.targets import naming, worktree
from dver.ops.targets.selection import check_place
from dver.ops.targets.target import load_targets, present_targets

if TYPE_CHECKING:
    from dver.repo import Repo


@dataclass(frozen=True, slots=True)
class ImportOptions:
    """What to import, and where to.

    ``source`` is a git repository (a URL or a path) with ``path`` in it, or without ``path`` the
    URL of plain data; one that ends with ``/`` is a directory. ``rev`` is a branch, tag or commit
    of the repository; None is its HEAD. ``output`` is a path as typed; None is the source's own
    last name in the current directory, and so does one that ends with ``/`` or ``.``, in there.
    With ``download`` False only the pointer is written. ``endpoint`` is the address of an S3
    server. ``access`` says how to read the data of the repository. ``stage`` as in
    :class:`dver.ops.data.add.AddOptions`.
    """

    source: str
    path: str | None = None
    rev: str | None = None
    output: str | None = None
    download: bool = True
    endpoint: str = ""
    access: Access = DEFAULT
    stage: bool | None = None


@dataclass(frozen=True, slots=True)
class ImportResult:
    """What was imported: ``oid`` is its text form, None if nobody has seen the content yet.

    ``size`` is in bytes and ``files`` counts files and symlinks, as far as they are known.
    ``downloaded`` says whether the data is in the workspace. ``to_stage`` and ``staged`` are as in
    AddResult.
    """

    path: str
    pointer: str
    kind: Literal["file", "tree"]
    oid: str | None
    size: int
    files: int
    origin: Told
    downloaded: bool
    to_stage: tuple[str, ...]
    staged: bool


def import_data(repo: Repo, options: ImportOptions, reporter: Reporter) -> ImportResult:
    """Bring data from elsewhere into the store and the workspace, and write its pointer.

    The content is here and verified before anything in the workspace changes. Naming the source is
    the user's word that it may be read from this clone. Raises UsageError for a source that makes
    no sense or carries credentials, RefusedError if something is at the output already, and what
    reading the source raises.
    """
    repo.require_init()
    if repo.git.is_bare:
        raise RepositoryError("a bare repository has no working tree to import into")
    origin = _origin(repo, options)
    path = _output(repo, options, origin)
    _refuse_taken(repo, path)
    with repo.store.hold():
        repo.store.refresh()
        pointer, origin = _bring(repo, origin, options, reporter)
        with worktree.hold_worktree(repo):
            _refuse_taken(repo, path)
            changed = write_import(repo, path, pointer, origin)
            staged = worktree.stage(repo, changed, options.stage)
    agree(repo, [origin])
    if options.download:
        where = os.fsdecode(repo.absolute(path))
        checkout(repo, CheckoutOptions(paths=(where,)), reporter)
    return ImportResult(
        path=repo.display(path),
        pointer=repo.display(pointer_path(path)),
        kind=pointer.kind,
        oid=None if origin.oid is None else format_oid(origin.oid),
        size=pointer.size,
        files=pointer.files,
        origin=told(origin),
        downloaded=options.download,
        to_stage=() if staged else tuple(repo.display(one) for one in changed),
        staged=staged,
    )


def _origin(repo: Repo, options: ImportOptions) -> Origin:
    """Return what is known of the source from what was typed."""
    if options.path is None:
        if "://" not in options.source:
            raise UsageError(
                f"{show(options.source)} is no URL, and no path in it was named",
                hint="'dver import REPOSITORY PATH' for data of another repository,"
                " 'dver import URL' for plain data",
            )
        if options.rev is not None:
            raise UsageError("--rev is for data of another repository, named with its PATH")
        url = normal_url(options.source)
        return Origin(url=url, endpoint=options.endpoint)
    if options.endpoint:
        raise UsageError("an endpoint means nothing for data of another repository")
    inner = os.path.normpath(options.path)
    if os.path.isabs(inner) or inner.split(os.sep)[0] in (os.pardir, os.curdir):
        raise UsageError(
            f"{show(options.path)} is no path in a repository",
            hint="name it from the top of that repository",
        )
    path = os.fsencode(inner.replace(os.sep, "/"))
    repository = repository_url(options.source, repo.cwd)
    return Origin(repository=repository, path=_without_suffix(path), rev=options.rev or "")


def _without_suffix(path: bytes) -> bytes:
    """Return the data path that a pointer file's name stands for."""
    from dver.git.pointers import data_path, is_pointer_path

    return data_path(path) if is_pointer_path(path) else path


def _output(repo: Repo, options: ImportOptions, origin: Origin) -> bytes:
    from urllib.parse import unquote_to_bytes, urlsplit

    if origin.repository:
        name = origin.path.rpartition(b"/")[2]
    else:
        name = unquote_to_bytes(urlsplit(origin.url).path.rstrip("/")).rpartition(b"/")[2]
    shown = options.output
    if shown is None or os.path.basename(shown) in ("", os.curdir, os.pardir):
        if not name:
            raise UsageError("the source has no name of its own", hint="name a place with -o")
        shown = os.path.join(shown or "", os.fsdecode(name))
    elif os.path.isdir(repo.cwd / shown):
        raise RefusedError(
            f"{show(shown)} exists already", hint=f"'-o {show(shown)}/' puts the import into it"
        )
    path = repo.locate(shown)
    check_place(repo, path)
    return path


def _refuse_taken(repo: Repo, path: bytes) -> None:
    """Raise RefusedError unless a new target may come to a path."""
    shown = show(repo.display(path))
    if os.path.lexists(repo.absolute(path)):
        raise RefusedError(f"{shown} exists already", hint="name another place with -o")
    targets = present_targets(load_targets(repo, [path]))
    holder = naming.holder(targets, path)
    if holder == path:
        raise RefusedError(
            f"{shown} is tracked already",
            hint=f"'dver update {shown}' moves an import; 'dver rm {shown}' stops tracking it",
        )
    if holder is not None:
        raise RefusedError(
            f"{shown} lies in the tracked directory {show(repo.display(holder))}",
            hint="an import has a pointer of its own: name another place with -o",
        )
    if naming.below(sorted(targets), path):
        raise RefusedError(f"{shown} holds tracked data", hint="name another place with -o")
    if repo.git.tracked_by_git([path]):
        raise RefusedError(f"git tracks {shown}", hint="name another place with -o")
    if repo.git.is_ignored([pointer_path(path)])[0]:
        raise RefusedError(
            "git ignores the place of the pointer, so that it could never be committed",
            hint=f"'git check-ignore -v {show(repo.display(pointer_path(path)))}' names the rule",
        )


def _bring(
    repo: Repo, origin: Origin, options: ImportOptions, reporter: Reporter
) -> tuple[Pointer, Origin]:
    """Bring what is wanted into the store; return its pointer and its exact origin."""
    if origin.repository:
        from dver.ops.data.materialise import scratch_beside

        with (
            scratch_beside(repo.common_state_dir / "imports" / "clone") as scratch,
            Repositories(repo, options.access, Path(scratch), reporter) as others,
        ):
            upstream = others.look(origin, origin.rev)
            pointer = others.pointer(upstream)
            if options.download:
                others.bring(upstream, repo.store)
            return pointer, as_seen(upstream.origin, pointer)
    from dver.ops.sharing import download, sourceurl

    with sourceurl.opened(origin, repo.environ) as plain:
        there = sourceurl.look(plain, origin)
        if not options.download:
            return there.pointer(), there.origin
        jobs = options.access.jobs
        pointer = download.bring(repo, plain, there, reporter, jobs=jobs)
        return pointer, as_seen(there.origin, pointer)
