"""How pointer files changed throughout git's history, and which contents git still holds.

Paths and selections are those of :mod:`dver.git.pointers`. Records of lineage, which are files in
git as pointers are, are found here as well.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from dver.base.dataclass import dataclass
from dver.formats import recordpath
from dver.git.pointers import REGULAR, is_pointer_path, pathspecs
from dver.git.process import split_nul
from dver.git.repository import Git
from dver.git.revisions import COMMIT_FIELDS, COMMIT_FORMAT, Commit, parse_commit

_RECORDS = b":(top,literal)" + recordpath.DIRECTORY


@dataclass(frozen=True, slots=True)
class PointerChange:
    """A commit that changed a pointer: to which content (None: removed) and from which."""

    commit: Commit
    path: bytes
    blob: str | None
    previous: str | None


def history(
    git: Git, revs: Sequence[str], under: Sequence[bytes] = (b"",), *, ancestors: bool = False
) -> Iterator[PointerChange]:
    """Yield every change of a pointer file in a set of commits, newest commit first.

    ``revs`` are arguments for ``git rev-list``, such as those of :meth:`RevRange.args` or
    ``["--all"]``. Every content that a commit of the set holds is either yielded for some commit of
    it, or held by a commit that it excludes. A merge is yielded for what it took from neither
    side. Renames are a removal and an addition. One git process, in bounded memory.
    """
    if under:
        yield from _changes(git, revs, pathspecs(under, ancestors), is_pointer_path)


def file_history(git: Git, revs: Sequence[str], specs: Sequence[bytes]) -> Iterator[PointerChange]:
    """Yield every change of the regular files that pathspecs select; see :func:`history`."""
    yield from _changes(git, revs, specs, bool)


def record_history(git: Git, revs: Sequence[str]) -> Iterator[PointerChange]:
    """Yield every record that a set of commits holds, as :func:`history` yields pointers.

    Files with signatures are among them; see :func:`is_signature_path`.
    """
    yield from _changes(git, revs, [_RECORDS], _is_record_or_signature)


def _is_record_or_signature(path: bytes) -> bool:
    return is_record_path(path) or is_signature_path(path)


def uncommitted_records(git: Git) -> list[bytes]:
    """Return the paths of record files that are in the working tree or index, and not in HEAD."""
    return [path for path in uncommitted(git) if is_record_path(path)]


def changed_signatures(git: Git) -> list[bytes]:
    """Return the paths of files with signatures that are not as in git's index."""
    if git.is_bare:
        return []
    with git.pipe("ls-files", "-z", "--modified", "--", _RECORDS) as out:
        return [path for path in split_nul(out) if is_signature_path(path)]


def uncommitted(git: Git) -> list[bytes]:
    """Return the paths of all beside records that is in the work tree or index, not in HEAD."""
    if git.is_bare:
        return []
    staged = ["diff-index", "--cached", "--name-only", "--diff-filter=AM", "-z", "HEAD"]
    if git.head() is None:
        staged = ["ls-files", "-z", "--cached"]
    found: dict[bytes, None] = {}
    for args in (staged, ["ls-files", "-z", "--others"]):
        with git.pipe(*args, "--", _RECORDS) as out:
            found.update(dict.fromkeys(split_nul(out)))
    return list(found)


def records_on_branch(git: Git) -> list[bytes]:
    """Return the paths of record files that HEAD has, or the index, or the working tree."""
    found: dict[bytes, None] = {}
    if git.head() is not None:
        args = ("ls-tree", "-r", "-z", "--name-only", "--full-tree", "HEAD", "--")
        with git.pipe(*args, recordpath.DIRECTORY + b"/") as out:
            found.update(dict.fromkeys(split_nul(out)))
    with git.pipe("ls-files", "-z", "--cached", "--others", "--", _RECORDS) as out:
        found.update(dict.fromkeys(split_nul(out)))
    return [path for path in found if is_record_path(path)]


def is_record_path(path: bytes) -> bool:
    """Tell whether a path is that of a record's file."""
    return recordpath.id_of(path) is not None


def is_signature_path(path: bytes) -> bool:
    """Tell whether a path is that of a file with signatures of a record."""
    return recordpath.signed_id_of(path) is not None


def _changes(
    git: Git, revs: Sequence[str], specs: Sequence[bytes], wanted: Callable[[bytes], bool]
) -> Iterator[PointerChange]:
    args = ["-c", "log.showSignature=false", "-c", "log.showRoot=true"]
    # With a pathspec and log.follow git can stop at an assertion of its own.
    args += ["-c", "log.follow=false", "log", "--stdin", "-z"]
    args += ["--raw", "--no-abbrev", "-c", "--full-history", "--no-renames", "--no-color"]
    args += ["--date-order", "--no-ext-diff", "--ignore-submodules=all", "--encoding=UTF-8"]
    args += ["--format=%x01" + COMMIT_FORMAT]
    options = [rev for rev in revs if rev.startswith("-")]
    # Revisions travel by standard input since there may be more than a command line holds.
    stdin = "".join(f"{rev}\n" for rev in revs if not rev.startswith("-"))
    if not revs:
        return
    with git.pipe(*args, *options, "--", *specs, stdin=stdin.encode()) as out:
        yield from _parse_log(split_nul(out), wanted)


def _parse_log(tokens: Iterator[bytes], wanted: Callable[[bytes], bool]) -> Iterator[PointerChange]:
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
        if wanted(path):
            change = _parse_raw(facts, path, commit)
            if change is not None:
                yield change


def _parse_raw(facts: bytes, path: bytes, commit: Commit) -> PointerChange | None:
    # ':mode mode id id status', with one colon, mode and id more for each further parent.
    parents = len(facts) - len(facts.lstrip(b":"))
    words = facts[parents:].split(b" ")
    modes, ids = words[: parents + 1], words[parents + 1 : 2 * parents + 2]
    after = ids[-1].decode() if modes[-1] in REGULAR else None
    before = ids[0].decode() if modes[0] in REGULAR else None
    if after is None and before is None:
        return None
    return PointerChange(commit, path, after, before)


def reachable_blobs(git: Git) -> dict[str, bytes]:
    """Return every pointer and record that git still holds on to, with one path that it is at.

    That is: all commits of all refs, the HEAD and index of every working tree, stashes, reflogs,
    and a merge or rebase under way. Working tree files that were never added are not in git:
    :func:`dver.git.pointers.in_workspace` finds those.
    """
    found: dict[str, bytes] = {}
    # 'git replace' hides commits from view that git holds on to all the same.
    plain = git.with_environment({"GIT_NO_REPLACE_OBJECTS": "1"})
    present = _existing_commits(plain, plain.pseudo_commits())
    specs = [*pathspecs([b""], ancestors=False), _RECORDS]
    for change in _changes(plain, ["--all", "--reflog", *present], specs, _is_either):
        if change.blob is not None:
            found.setdefault(change.blob, change.path)
    for directory in git.git_dirs():
        found.update(_index_blobs(git, str(directory)))
    return found


def _is_either(path: bytes) -> bool:
    return is_pointer_path(path) or is_record_path(path)


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
    out = git.run("ls-files", "-z", "--stage", "--", ":(top,glob)**/*.dver", _RECORDS, env=env)
    for entry in out.split(b"\0"):
        facts, _, path = entry.partition(b"\t")
        if facts[:6] in REGULAR and _is_either(path):
            yield facts.split(b" ")[1].decode(), path
