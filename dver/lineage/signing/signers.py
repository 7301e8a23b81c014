"""Whom a repository trusts: ``.dver/allowed_signers`` of its default branch, and no other.

The file is OpenSSH's, see ``man ssh-keygen``: principals, options, a public key on each line. It is
never read from the work tree, nor from the commit that is verified: who can add a record to a
branch could add a key there as well.
"""

from __future__ import annotations

import base64
import binascii
import fnmatch
import hashlib
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import field
from datetime import UTC, datetime

from dver.base import clock
from dver.base.dataclass import dataclass
from dver.git.repository import Git

FILE = b".dver/allowed_signers"
#: What signatures are for; a key may be allowed for this alone (``namespaces="dver"``).
NAMESPACE = "dver"
_DEFAULTS = (
    "refs/remotes/origin/HEAD",
    "refs/remotes/origin/main",
    "refs/remotes/origin/master",
    "refs/heads/main",
    "refs/heads/master",
)
_WORD = re.compile(r'(?:"(?:\\.|[^"\\])*"|[^\s"])+')
_KEY_TYPES = ("ssh-", "ecdsa-", "sk-")


@dataclass(frozen=True, slots=True)
class Trust:
    """The file of the default branch: ``branch`` as git calls it, "" if there is none."""

    branch: str
    data: bytes = b""

    @property
    def where(self) -> str:
        """What to call it in a message."""
        if not self.branch:
            return "the default branch, which is not in this clone"
        return f"{FILE.decode()} of {self.branch}"


@dataclass(frozen=True, slots=True)
class Signer:
    """One line: a public key in OpenSSH's binary form, who it is, and its options."""

    principal: str
    kind: str
    key: bytes
    options: Mapping[str, str] = field(default_factory=dict)

    @property
    def fingerprint(self) -> str:
        """The key's name, as ``ssh-keygen -l`` prints it."""
        return fingerprint(self.key)

    def problem(self, now: datetime) -> str:
        """Return why the line does not count now, "" if it does."""
        for name in self.options:
            if name not in ("namespaces", "valid-after", "valid-before"):
                return f"the option {name} is for ssh certificates"
        spaces = self.options.get("namespaces")
        if spaces is not None and not _allows(spaces, NAMESPACE):
            return f"it may not sign for {NAMESPACE}"
        try:
            if "valid-after" in self.options and now < _moment(self.options["valid-after"]):
                return "it is not valid yet"
            if "valid-before" in self.options and now >= _moment(self.options["valid-before"]):
                return "it is valid no more"
        except ValueError:
            return "its dates do not parse"
        return ""


def trusted(git: Git) -> Trust:
    """Return the file of the default branch: origin's, or without one the local main or master."""
    for ref in _DEFAULTS:
        if git.is_revision(ref):
            commit = git.resolve(ref)
            return Trust(_named(git, ref), _regular_file(git, commit))
    return Trust("")


def _named(git: Git, ref: str) -> str:
    out = git.run("symbolic-ref", "--quiet", ref, answers=(0, 1, 128)).strip()
    name = os.fsdecode(out) or ref
    return name.removeprefix("refs/heads/").removeprefix("refs/remotes/")


def _regular_file(git: Git, commit: str) -> bytes:
    """Return the file's bytes, none if it is not there or is a symlink."""
    out = git.run("ls-tree", "-z", "--full-tree", commit, "--", FILE)
    mode, _, rest = out.partition(b" ")
    if mode not in (b"100644", b"100755") or not rest.startswith(b"blob "):
        return b""
    return git.run("cat-file", "blob", rest.split(b"\t")[0].split()[1])


def signers(data: bytes) -> Iterator[Signer]:
    """Yield the lines of a file that parse; ssh-keygen too passes over others."""
    for line in data.decode("utf-8", "replace").splitlines():
        words = _WORD.findall(line)
        if len(words) < 3 or words[0].startswith("#"):
            continue
        options: dict[str, str] = {}
        if not words[1].startswith(_KEY_TYPES):
            for option in re.findall(r'(?:"(?:\\.|[^"\\])*"|[^,"])+', words[1]):
                name, _, value = option.partition("=")
                options[name.lower()] = value.strip('"')
            del words[1]
        if len(words) < 3 or not words[1].startswith(_KEY_TYPES):
            continue
        try:
            key = base64.b64decode(words[2], validate=True)
        except binascii.Error:
            continue
        yield Signer(words[0].strip('"'), words[1], key, options)


def fingerprint(key: bytes) -> str:
    """Return the name of a public key in OpenSSH's binary form."""
    digest = hashlib.sha256(key).digest()
    return "SHA256:" + base64.b64encode(digest).decode().rstrip("=")


def now() -> datetime:
    """Return the moment at which keys must be valid: this one.

    What a signature says of its own time counts for nothing: who stole a key could say anything.
    """
    return datetime.fromtimestamp(clock.now_ns() / 1e9, UTC)


def _allows(patterns: str, name: str) -> bool:
    allowed = False
    for pattern in patterns.split(","):
        if fnmatch.fnmatchcase(name, pattern.removeprefix("!")):
            if pattern.startswith("!"):
                return False
            allowed = True
    return allowed


def _moment(text: str) -> datetime:
    """Parse YYYYMMDD[HHMM[SS]][Z]; without Z it is local time, as for ssh-keygen."""
    digits = text.removesuffix("Z")
    shape = {8: "%Y%m%d", 12: "%Y%m%d%H%M", 14: "%Y%m%d%H%M%S"}.get(len(digits))
    if shape is None:
        raise ValueError(text)
    zone = UTC if text.endswith("Z") else None
    found = datetime.strptime(digits, shape).replace(tzinfo=zone)
    return found if zone else found.astimezone()
