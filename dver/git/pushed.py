"""Which commits a ``git push`` sends: what git tells its pre-push hook, as a set of commits."""

from __future__ import annotations

import re
from typing import NamedTuple

from dver.base.errors import UsageError
from dver.git.repository import Git
from dver.git.revisions import RevRange

_ID = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")


class PushedRef(NamedTuple):
    """One ref that is pushed: the object it is to name, and the one the remote has; "" for none."""

    local: str
    remote: str


def parse_refs(text: bytes) -> list[PushedRef]:
    """Parse git's lines ``<local ref> <local id> <remote ref> <remote id>``. Raises UsageError.

    The first is what was typed, which may hold spaces (``HEAD@{1 day ago}``); the others never do.
    """
    refs = []
    # Not splitlines: a branch may have U+2028 or U+0085 in its name.
    for line in text.decode("utf-8", "surrogateescape").removesuffix("\n").split("\n"):
        if not line:
            continue
        words = line.rsplit(" ", 3)
        if len(words) != 4 or not all(_ID.fullmatch(words[at]) for at in (1, 3)):
            raise UsageError(f"this is no line that git gives to a pre-push hook: {line[:200]!r}")
        refs.append(PushedRef(*(words[at] if words[at].strip("0") else "" for at in (1, 3))))
    return refs


def new_commits(git: Git, remote: str, refs: list[PushedRef]) -> RevRange | None:
    """Return the commits that a push of some refs brings to a git remote, or None for none.

    Known there are the objects that its refs are said to have, as far as they are here, and what
    the remote-tracking branches of ``remote`` (which may be a URL: then there are none) name.
    Tags of anything but commits bring nothing that dver knows.
    """
    wanted = [ref.local for ref in refs if ref.local]
    known = [ref.remote for ref in refs if ref.remote]
    commits = _commits(git, [*wanted, *known])
    include = [commits[one] for one in wanted if one in commits]
    if not include:
        return None
    exclude = [commits[one] for one in known if one in commits]
    if _is_name(remote):
        tracking = git.refs(f"refs/remotes/{remote}")
        exclude += [ref.commit for ref in tracking if ref.commit is not None]
    return RevRange(tuple(dict.fromkeys(include)), tuple(dict.fromkeys(exclude)))


def _is_name(remote: str) -> bool:
    return re.fullmatch(r"[A-Za-z0-9_][\w.+@/-]*", remote) is not None and "//" not in remote


def _commits(git: Git, objects: list[str]) -> dict[str, str]:
    """Return the commits that some objects are, or are tags of, as far as they are here."""
    lines = "".join(f"{one}^{{commit}}\n" for one in objects)
    out = git.run("cat-file", "--batch-check=%(objectname)", stdin=lines.encode())
    rows = zip(objects, out.decode("utf-8", "replace").splitlines(), strict=True)
    return {one: line for one, line in rows if _ID.fullmatch(line)}
