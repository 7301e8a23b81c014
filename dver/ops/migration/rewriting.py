"""History with pointers of dver: new branches beside the old ones, which stay as they are.

Every commit is made again with the same tree, author, dates and message, and with a pointer beside
each file of DVC. Signatures of commits cannot be kept, since they are of other bytes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import IO, TYPE_CHECKING

from dver.base.errors import RefusedError
from dver.base.quoting import show
from dver.base.reporter import SILENT, Reporter
from dver.foreign.dvcfiles import Out
from dver.formats import pointer as pointers
from dver.formats.pointer import Pointer
from dver.git.pointers import pointer_path
from dver.ops.migration import othertools
from dver.ops.migration.othertools import Found
from dver.ops.migration.translating import translate
from dver.ops.setup.init import CONFIG_TEXT
from dver.repo.layout import COMMITTED_CONFIG

if TYPE_CHECKING:
    from dver.repo import Repo

PREFIX = "dver/"
_HEADS = "refs/heads/"
#: Where commits are while they are made; it never stays.
_SCRATCH = "refs/dver/rewriting"


def new_branches(repo: Repo) -> dict[str, str]:
    """Return the new branches by the old ones, full names. RefusedError if one is there."""
    if repo.git.is_shallow:
        raise RefusedError(
            "this clone has only the newest part of history, which cannot be rewritten",
            hint="git fetch --unshallow",
        )
    heads = {one.name for one in repo.git.refs(_HEADS)}
    found = {}
    for name in sorted(heads):
        short = name.removeprefix(_HEADS)
        if short.startswith(PREFIX):
            continue
        new = _HEADS + PREFIX + short
        if new in heads:
            raise RefusedError(
                f"there is a branch {PREFIX}{short} already",
                hint=f"'git branch -D {PREFIX}{short}' if it is from an earlier attempt",
            )
        found[name] = new
    return found


def rewrite(repo: Repo, reporter: Reporter) -> tuple[str, ...]:
    """Make the new branches; return their short names.

    What cannot be had of an old version has no pointer in its commits, and is warned of.
    """
    branches = new_branches(repo)
    git = repo.git
    commits = git.rev_list("--topo-order", "--reverse", *branches) if branches else []
    translated = _Translated(repo, reporter)
    marks = {commit: number for number, commit in enumerate(commits, 1)}
    stream: list[bytes] = [b"feature done\n"]
    with reporter.task("Rewriting history", unit="objects", total=len(commits)) as task:
        for commit, raw in _commits(repo, commits):
            stream.append(_commit(repo, commit, raw, marks, translated))
            task.advance()
    for old, new in branches.items():
        mark = marks[git.resolve(old)]
        stream.append(f"reset {new}\nfrom :{mark}\n\n".encode())
    stream.append(b"done\n")
    git.run(
        *("fast-import", "--quiet", "--done", "--date-format=raw-permissive"),
        stdin=b"".join(stream),
    )
    git.run("update-ref", "-d", _SCRATCH)
    return tuple(new.removeprefix(_HEADS) for new in branches.values())


def _commits(repo: Repo, commits: Sequence[str]) -> Iterator[tuple[str, bytes]]:
    if not commits:
        return
    stdin = "\n".join(commits).encode()
    with repo.git.pipe("cat-file", "--batch", "--buffer", stdin=stdin) as out:
        for commit in commits:
            yield commit, _content(out)


def _content(out: IO[bytes]) -> bytes:
    size = int(out.readline().split()[2])
    data = out.read(size)
    out.read(1)
    return data


class _Translated:
    """The pointers for outs, each translated once."""

    def __init__(self, repo: Repo, reporter: Reporter) -> None:
        self._repo = repo
        self._reporter = reporter
        self._known: dict[tuple[str, bytes, bool], Pointer | None] = {}

    def of(self, commit: str, found: Found) -> dict[bytes, Pointer]:
        """Return the pointers of what DVC versions in a commit, as far as they are to be had."""
        outs = {
            path: out
            for path, out in found.outs.items()
            if not out.problem and out.algorithm != "sha256"
        }
        new = {path: (out, ()) for path, out in outs.items() if out.key not in self._known}
        if new:
            self._translate(commit, found, new)
        pointers_of = {}
        for path, out in outs.items():
            known = self._known.get(out.key)
            if known is not None:
                pointers_of[path] = known._replace(executable=out.executable)
        return pointers_of

    def _translate(
        self,
        commit: str,
        found: Found,
        new: Mapping[bytes, tuple[Out, tuple[bytes, ...]]],
    ) -> None:
        done = translate(self._repo, found, new, SILENT)
        for path, (out, _) in new.items():
            self._known[out.key] = done.pointers.get(path)
        for one in done.failed:
            shown = show(self._repo.display(one.out.path))
            self._reporter.warn(
                f"{shown} at {commit[:10]} has no pointer in the new branches: {one.reason}"
            )


def _commit(
    repo: Repo, commit: str, raw: bytes, marks: dict[str, int], translated: _Translated
) -> bytes:
    """Return the commands that make a commit anew."""
    head, _, message = raw.partition(b"\n\n")
    fields: dict[bytes, list[bytes]] = {}
    for line in head.split(b"\n"):
        if not line.startswith(b" "):  # else a further line of a signature
            key, _, value = line.partition(b" ")
            fields.setdefault(key, []).append(value)
    lines = [f"commit {_SCRATCH}".encode(), f"mark :{marks[commit]}".encode()]
    lines += [key + b" " + fields[key][0] for key in (b"author", b"committer")]
    lines += [b"encoding " + value for value in fields.get(b"encoding", ())]
    lines.append(b"data %d\n%s" % (len(message), message))
    words = [b"from"] + [b"merge"] * len(fields.get(b"parent", ()))
    for word, parent in zip(words, fields.get(b"parent", ()), strict=False):
        mark = marks.get(parent.decode())
        lines.append(word + b" " + (f":{mark}".encode() if mark else parent))
    if b"parent" not in fields:
        # Without a parent it would go on from where the scratch branch is.
        lines.insert(0, f"reset {_SCRATCH}".encode())
    lines.append(b'M 040000 %s ""' % fields[b"tree"][0])
    found = othertools.at_commit(repo, commit)
    made = {
        pointer_path(path): pointers.encode(pointer)
        for path, pointer in translated.of(commit, found).items()
    }
    if made:
        made[COMMITTED_CONFIG] = CONFIG_TEXT
    for path, data in made.items():
        lines.append(b"M 100644 inline %s\ndata %d\n%s" % (_quoted(path), len(data), data))
    return b"\n".join(lines) + b"\n\n"


def _quoted(path: bytes) -> bytes:
    escaped = path.replace(b"\\", b"\\\\").replace(b'"', b'\\"').replace(b"\n", b"\\n")
    return b'"' + escaped + b'"'
