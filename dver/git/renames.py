"""Where a pointer file came from, when a commit added it with content that it also removed."""

from __future__ import annotations

from collections.abc import Collection

from dver.git.process import split_nul
from dver.git.repository import Git


def origins(git: Git, added: Collection[tuple[str, bytes, str]]) -> dict[tuple[str, bytes], bytes]:
    """Return the old path of those added pointers that were renamed, by (commit, new path).

    ``added`` holds (commit, path, blob). Only a pointer that was removed in the very same commit
    with the very same content counts: pointers are so alike that looser matching would find
    renames between strangers. One git process for all.
    """
    wanted = {(commit, path): blob for commit, path, blob in added}
    if not wanted:
        return {}
    removed: dict[str, dict[str, list[bytes]]] = {}
    stdin = "".join(f"{commit}\n" for commit in dict.fromkeys(commit for commit, _ in wanted))
    args = ["diff-tree", "--stdin", "-r", "-z", "--raw", "--no-abbrev", "--no-renames"]
    args += ["--diff-filter=D", "--no-ext-diff", "--", ":(top,glob)**/*.dver"]
    with git.pipe(*args, stdin=stdin.encode()) as out:
        commit = ""
        tokens = split_nul(out)
        for token in tokens:
            if not token.startswith(b":"):
                commit = token.strip().decode()
                continue
            blob = token.split(b" ")[2].decode()
            removed.setdefault(commit, {}).setdefault(blob, []).append(next(tokens))
    found = {}
    for (commit, path), blob in sorted(wanted.items()):
        candidates = removed.get(commit, {}).get(blob, [])
        if candidates:
            name = path.rpartition(b"/")[2]
            same = [old for old in candidates if old.rpartition(b"/")[2] == name]
            found[commit, path] = (same or candidates)[0]
    return found
