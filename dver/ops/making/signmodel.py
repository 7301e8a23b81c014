"""Sign a model by itself, for those who verify it without dver: an OpenSSF model signature."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from dver.base import fsio
from dver.base.dataclass import dataclass
from dver.base.errors import MissingContentError, UsageError
from dver.base.quoting import show
from dver.formats.kinds import DIRECTORY, SYMLINK
from dver.lineage.exporting.contents import StoreContents
from dver.lineage.signing import dsse, models, pemkeys
from dver.ops.targets.versions import entry_at, locate, typed_path, version_at
from dver.store.walk import join, walk

if TYPE_CHECKING:
    from dver.base.oid import Oid
    from dver.formats.tree import Entry
    from dver.repo import Repo


@dataclass(frozen=True, slots=True)
class SignModelOptions:
    """What to sign, ``PATH[@REV]``, with which ECDSA key in PEM, and where to write the bundle."""

    target: str
    key: str
    output: str


@dataclass(frozen=True, slots=True)
class SignModelResult:
    """A model signature that was written: over how many files, and the key's hint in it."""

    target: str
    file: str
    files: int
    hint: str


def sign_model(repo: Repo, options: SignModelOptions) -> SignModelResult:
    """Write an OpenSSF model signature of some version of a model.

    What is signed is the recorded version, whose bytes must be here, not what the work tree has.
    Raises UsageError for a directory with symlinks, which such a signature cannot name.
    """
    path, at, rev = options.target.rpartition("@")
    if not at or os.path.lexists(os.path.join(repo.cwd, options.target)):
        path, rev = options.target, ""
    version = version_at(repo, rev or None)
    located = locate(repo, version, typed_path(repo, path))
    entry = entry_at(repo, version, located, repo.store)
    contents = StoreContents(repo.store)
    files = []
    for name, oid in _files(repo, entry, path):
        digest = contents.sha256(oid)
        if digest is None:
            shown = show(path)
            raise MissingContentError(f"not all of {shown} is here", hint=f"dver fetch {shown}")
        files.append((name, digest))
    payload = models.statement(os.path.basename(path.rstrip("/")), files)
    message = dsse.pre_authentication(dsse.PAYLOAD_TYPE, payload)
    signature, hint = pemkeys.sign_ecdsa(os.path.join(repo.cwd, options.key), message)
    output = os.path.join(repo.cwd, options.output)
    fsio.write_atomic(output, models.bundle(payload, signature, hint))
    return SignModelResult(options.target, options.output, len(files), hint)


def _files(repo: Repo, entry: Entry, path: str) -> list[tuple[str, Oid]]:
    if entry.kind != DIRECTORY:
        return [(models.SELF, entry.oid)]
    found = []
    for where, _, tree in walk(repo.store, entry.oid):
        for one in tree:
            name = os.fsdecode(join(where, one.name))
            if one.kind == SYMLINK:
                raise UsageError(
                    f"{show(path)} has the symlink {show(name)}, which no model signature can name"
                )
            if one.kind != DIRECTORY:
                found.append((name, one.oid))
    return found
