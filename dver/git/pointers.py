"""Which pointer files git knows: beside the data, at a revision, and throughout history.

Paths are those of the pointer files, ``<data>.dver``. The selections take *data* paths, as people
name them: a path selects its own pointer, and all pointers below it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import IO

from dver.base.errors import RepositoryError
from dver.formats.pointer import MAX_SIZE, SUFFIX
from dver.git.process import split_nul
from dver.git.repository import Git
from dver.git.revisions import COMMIT_FIELDS, COMMIT_FORMAT, Commit, parse_commit

_SUFFIX = SUFFIX.encode()
_REGULAR = (b"100644", b"100755", b"100664")


@dataclass(frozen=True, slots=True)
class PointerFile:
    """A pointer file that git sees from the working tree.

    ``blob`` is its content in the index, or None if git does not track it (yet, or because a
    merge left it ``unmerged``). ``skipped``: a sparse checkout leaves it out of the working tree.
    The file itself may be missing from the working tree.
    """

    path: bytes
    blob: str | None
    unmerged: bool = False
    skipped: bool = False


@dataclass(frozen=True, slots=True)
class PointerChange:
    """A commit that changed a pointer: to which content (None: removed) and from which."""

    commit: Commit
    path: bytes
    blob: str | None
    previous: str | None


def in_workspace(
    git: Git, under: Sequence[bytes] = (b"",), *, ancestors: bool = False
) -> list[PointerFile]:
    """Return the pointer files in the index and the working tree, sorted by path.

    ``under`` are data paths; ``b""`` is everything. With ``ancestors`` the pointers of the
    directories that lead to them are returned too, for paths inside tracked directories. Ignored
    files and the insides of submodules are not seen.
    """
    if git.is_bare:
        return []
    args = ("ls-files", "-z", "-t", "--stage", "--cached", "--others", "--exclude-standard")
    found: dict[bytes, PointerFile] = {}
    with git.pipe(*args, "--", *_pathspecs(under, ancestors)) as out:
        for entry in split_nul(out):
            pointer = _from_index_entry(entry)
            if pointer is not None:
                found[pointer.path] = pointer
    return [found[path] for path in sorted(found)]


def _from_index_entry(entry: bytes) -> PointerFile | None:
    tag, rest = entry[:1], entry[2:]
    if tag == b"?":
        return PointerFile(rest, None) if is_pointer_path(rest) else None
    facts, _, path = rest.partition(b"\t")
    mode, blob, stage = facts.split(b" ")
    if mode not in _REGULAR or not is_pointer_path(path):
        return None
    if stage != b"0":
        return PointerFile(path, None, unmerged=True)
    return PointerFile(path, blob.decode(), skipped=tag in b"Ss")


def at_revision(
    git: Git, commit: str, under: Sequence[bytes] = (b"",), *, ancestors: bool = False
) -> list[tuple[bytes, str]]:
    """Return (path, blob) of the pointer files of a commit, sorted by path; see in_workspace."""
    if not under:
        return []
    limits: list[bytes] = []
    if b"" not in under:
        for path in under:
            limits += [path, path + _SUFFIX]
            if ancestors:
                limits += [parent + _SUFFIX for parent in _parents(path)]
    found = []
    selected = selector(under, ancestors=ancestors)
    args = ("--literal-pathspecs", "ls-tree", "-r", "-z", "--full-tree", commit)
    with git.pipe(*args, "--", *limits) as out:
        for entry in split_nul(out):
            facts, _, path = entry.partition(b"\t")
            mode, _, blob = facts.split(b" ")
            if mode in _REGULAR and is_pointer_path(path) and selected(path):
                found.append((path, blob.decode()))
    return sorted(found)


def read_blobs(git: Git, blobs: Iterable[str], *, limit: int = MAX_SIZE) -> dict[str, bytes]:
    """Return the content of many blobs, read by one git process.

    What is longer than ``limit`` bytes is cut after ``limit + 1``, so that it can be told. Raises
    RepositoryError, which names the blob, if git does not have one.
    """
    distinct = list(dict.fromkeys(blobs))
    if not distinct:
        return {}
    found = {}
    with git.pipe("cat-file", "--batch", "--buffer", stdin="\n".join(distinct).encode()) as out:
        for blob in distinct:
            header = out.readline().split()
            if len(header) != 3 or header[1] != b"blob":
                raise RepositoryError(
                    f"git does not have the content {blob} of a pointer file",
                    hint="'git fsck' tells what is missing from this clone",
                )
            found[blob] = _read_cut(out, int(header[2]), limit)
    return found


def _read_cut(out: IO[bytes], size: int, limit: int) -> bytes:
    data = out.read(min(size, limit + 1))
    left = size - len(data) + 1
    while left:
        left -= len(out.read(min(left, 1 << 20))) or left
    return data


def history(
    git: Git, revs: Sequence[str], under: Sequence[bytes] = (b"",), *, ancestors: bool = False
) -> Iterator[PointerChange]:
    """Yield every change of a pointer file in a set of commits, newest commit first.

    ``revs`` are arguments for ``git rev-list``, such as those of :meth:`RevRange.args` or
    ``["--all"]``. Every content that a commit of the set holds is either yielded for some commit of
    it, or held by a commit that it excludes. A merge is yielded for what it took from neither
    side. Renames are a removal and an addition. One git process, in bounded memory.
    """
    args = ["-c", "log.showSignature=false", "-c", "log.showRoot=true"]
    # With a pathspec and log.follow git can stop at an assertion of its own.
    args += ["-c", "log.follow=false", "log", "--stdin", "-z"]
    args += ["--raw", "--no-abbrev", "-c", "--full-history", "--no-renames", "--no-color"]
    args += ["--date-order", "--no-ext-diff", "--ignore-submodules=all", "--encoding=UTF-8"]
    args += ["--format=%x01" + COMMIT_FORMAT]
    options = [rev for rev in revs if rev.startswith("-")]
    # Revisions travel by standard input since there may be more than a command line holds.
    stdin = "".join(f"{rev}\n" for rev in revs if not rev.startswith("-"))
    if not revs or not under:
        return
    specs = _pathspecs(under, ancestors)
    with git.pipe(*args, *options, "--", *specs, stdin=stdin.encode()) as out:
        yield from _parse_log(split_nul(out))


def _parse_log(tokens: Iterator[bytes]) -> Iterator[PointerChange]:
    commit: Commit | None = None
    for token in tokens:
        if token.startswith(b"\x01"):
            fields = [token[1:], *(next(tokens) for _ in range(COMMIT_FIELDS - 1))]
            commit = parse_commit(fields)
            continue
        facts = token.lstrip(b"\n")
        if not facts or commit is None:
            continue
        path = next(tokens)
        if is_pointer_path(path):
            change = _parse_raw(facts, path, commit)
            if change is not None:
                yield change


def _parse_raw(facts: bytes, path: bytes, commit: Commit) -> PointerChange | None:
    # ':mode mode id id status', with one colon, mode and id more for each further parent.
    parents = len(facts) - len(facts.lstrip(b":"))
    words = facts[parents:].split(b" ")
    modes, ids = words[: parents + 1], words[parents + 1 : 2 * parents + 2]
    after = ids[-1].decode() if modes[-1] in _REGULAR else None
    before = ids[0].decode() if modes[0] in _REGULAR else None
    if after is None and before is None:
        return None
    return PointerChange(commit, path, after, before)


def reachable_blobs(git: Git) -> dict[str, bytes]:
    """Return every pointer content that git still holds on to, with one path that it is at.

    That is: all commits of all refs, the HEAD and index of every working tree, stashes, reflogs,
    and a merge or rebase under way. Working tree files that were never added are not in git:
    :func:`in_workspace` finds those.
    """
    found: dict[str, bytes] = {}
    # 'git replace' hides commits from view that git holds on to all the same.
    plain = replace(git, env={**git.env, "GIT_NO_REPLACE_OBJECTS": "1"})
    present = _existing_commits(plain, plain.pseudo_commits())
    for change in history(plain, ["--all", "--reflog", *present]):
        if change.blob is not None:
            found.setdefault(change.blob, change.path)
    for directory in git.git_dirs():
        found.update(_index_blobs(git, str(directory)))
    return found


def _existing_commits(git: Git, commits: Sequence[str]) -> list[str]:
    if not commits:
        return []
    out = git.run("cat-file", "--batch-check", stdin="\n".join(commits).encode() + b"\n")
    lines = (line.split() for line in out.decode().splitlines())
    return [line[0] for line in lines if line[1] in ("commit", "tag")]


def _index_blobs(git: Git, git_dir: str) -> Iterator[tuple[str, bytes]]:
    # An index has no other reader than git run in its own git directory.
    env = {
        name: value
        for name, value in git.env.items()
        if name not in ("GIT_INDEX_FILE", "GIT_COMMON_DIR", "GIT_WORK_TREE")
    }
    env["GIT_DIR"] = git_dir
    env["GIT_WORK_TREE"] = str(git.root)
    out = git.run("ls-files", "-z", "--stage", "--", ":(top,glob)**/*.dver", env=env)
    for entry in out.split(b"\0"):
        facts, _, path = entry.partition(b"\t")
        if facts[:6] in _REGULAR and is_pointer_path(path):
            yield facts.split(b" ")[1].decode(), path


def is_pointer_path(path: bytes) -> bool:
    """Tell whether a path has the name of a pointer file."""
    name = path.rpartition(b"/")[2]
    return name.endswith(_SUFFIX) and len(name) > len(_SUFFIX)


def data_path(pointer_path: bytes) -> bytes:
    """Return the path of the data that a pointer file stands for."""
    return pointer_path.removesuffix(_SUFFIX)


def pointer_path(data: bytes) -> bytes:
    """Return the path of the pointer file for a data path."""
    return data + _SUFFIX


class _Selector:
    """Tells which pointer paths some data paths select."""

    def __init__(self, under: Sequence[bytes], ancestors: bool) -> None:
        self._exact: set[bytes] = set()
        self._below: tuple[bytes, ...] = tuple(path + b"/" for path in under)
        self._everything = b"" in under
        for path in under:
            self._exact.update((path, path + _SUFFIX))
            if ancestors:
                self._exact.update(parent + _SUFFIX for parent in _parents(path))

    def __call__(self, path: bytes) -> bool:
        return self._everything or path in self._exact or path.startswith(self._below)


def selector(under: Sequence[bytes], *, ancestors: bool = False) -> _Selector:
    """Return a test of pointer paths: ``selector(under)(path)``; see in_workspace."""
    return _Selector(under, ancestors)


def _parents(path: bytes) -> list[bytes]:
    parts = path.split(b"/")
    return [b"/".join(parts[:count]) for count in range(1, len(parts))]


_GLOB = re.compile(rb"([*?\[\]\\])")


def _pathspecs(under: Sequence[bytes], ancestors: bool) -> list[bytes]:
    if b"" in under:
        return [b":(top,glob)**/*" + _SUFFIX]
    specs: list[bytes] = []
    for path in under:
        specs.append(b":(top,literal)" + path + _SUFFIX)
        specs.append(b":(top,glob)" + _GLOB.sub(rb"\\\1", path) + b"/**/*" + _SUFFIX)
        if path.endswith(_SUFFIX):
            specs.append(b":(top,literal)" + path)
        if ancestors:
            specs += [b":(top,literal)" + parent + _SUFFIX for parent in _parents(path)]
    # No path selects nothing; to git, no pathspec would select everything.
    return list(dict.fromkeys(specs)) or [b":(top,literal)" + _SUFFIX]
