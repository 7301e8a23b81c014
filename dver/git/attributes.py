"""Which paths git gives to git-lfs, and taking the lines out of ``.gitattributes`` that say so."""

from __future__ import annotations

import os
import re

from dver.git.process import split_nul
from dver.git.repository import Git

NAME = b".gitattributes"
_LFS = re.compile(rb"\sfilter=lfs(?:\s|$)")
#: Pointers and settings go to git as they are, whatever else their directory says.
_PLAIN = b"".join(
    name + b" !filter !diff !merge !text\n" for name in (b"*.dver", b".gitignore", NAME)
)


def lfs_paths(git: Git) -> list[tuple[bytes, str, bool]]:
    """Return (path, blob, executable) of the files in the index that git-lfs filters."""
    found = []
    with git.pipe("ls-files", "-z", "--stage", "--", ":(top,attr:filter=lfs)") as out:
        for entry in split_nul(out):
            facts, _, path = entry.partition(b"\t")
            mode, blob, stage = facts.split(b" ")
            if stage == b"0" and mode in (b"100644", b"100755"):
                found.append((path, blob.decode(), mode == b"100755"))
    return found


def attribute_files(git: Git) -> list[bytes]:
    """Return the ``.gitattributes`` files of the work tree that git does not ignore."""
    args = ("ls-files", "-z", "--cached", "--others", "--exclude-standard")
    out = git.run(*args, "--", ":(top,glob)**/.gitattributes")
    found = {path for path in out.split(b"\0") if path.rpartition(b"/")[2] == NAME}
    return sorted(path for path in found if _is_file(git, path))


def without_lfs(data: bytes) -> bytes:
    """Return what is left of a ``.gitattributes`` file without git-lfs, and lines for its sake."""
    lines = data.replace(_PLAIN, b"").splitlines(keepends=True)
    return b"".join(line for line in lines if line.startswith(b"#") or not _LFS.search(line))


def with_plain_pointers(data: bytes) -> bytes:
    """Return the content with a line by which no filter gets the pointers of dver."""
    if _PLAIN in data:
        return data
    return data + (b"" if not data or data.endswith(b"\n") else b"\n") + _PLAIN


def filtered(git: Git, paths: list[bytes]) -> list[bytes]:
    """Return those of some paths that git-lfs would filter, were they in git."""
    if not paths:
        return []
    stdin = b"".join(path + b"\0" for path in paths)
    out = git.run("check-attr", "-z", "--stdin", "filter", stdin=stdin).split(b"\0")
    return [path for path, value in zip(out[::3], out[2::3], strict=False) if value == b"lfs"]


def _is_file(git: Git, path: bytes) -> bool:
    absolute = os.path.join(os.fsencode(git.root), path)
    return os.path.isfile(absolute) and not os.path.islink(absolute)
