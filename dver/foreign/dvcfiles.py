"""What DVC's files in git say: ``.dvc`` files, ``dvc.lock``, and the listings of directories."""

from __future__ import annotations

import json
import os
import posixpath
import re
from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import Any

from dver.base.dataclass import dataclass
from dver.base.errors import FormatError
from dver.base.quoting import show
from dver.foreign import plainyaml
from dver.foreign.plainyaml import mapping, number_of, sequence, text_of
from dver.formats import names
from dver.store.sums import Algorithm

SUFFIX = b".dvc"
LOCK = b"dvc.lock"
PIPELINE = b"dvc.yaml"
#: An entry of a listing whose path is plain ASCII.
_ENTRY = re.compile(rb'\{"md5": "([0-9a-f]{32})", "relpath": "([ !#-\[\]-~]+)"\}')
_MD5 = re.compile(r"([0-9a-f]{32})(\.dir)?")


@dataclass(frozen=True, slots=True)
class Out:
    """One file or directory that DVC versions, as a ``.dvc`` file or ``dvc.lock`` names it.

    ``path`` is relative to the repository. ``digest`` is the MD5 of the content, of a directory
    that of its listing; b"" if there is none. ``listed`` holds (path, digest) of a directory that
    is listed in the file itself. ``remote`` is the only remote that has it, "" for the default one.
    ``problem`` says why it cannot be taken over, "" if it can.
    """

    path: bytes
    digest: bytes
    is_directory: bool = False
    executable: bool = False
    algorithm: Algorithm = "md5"
    size: int = 0
    cached: bool = True
    listed: tuple[tuple[bytes, bytes], ...] | None = None
    problem: str = ""
    remote: str = ""

    @property
    def key(self) -> tuple[str, bytes, bool]:
        """What tells this content from others in DVC's layout."""
        return self.algorithm, self.digest, self.is_directory


@dataclass(frozen=True, slots=True)
class Origin:
    """Where ``dvc import`` or ``dvc import-url`` took data from."""

    url: str
    path: str = ""
    rev: str = ""
    commit: str = ""
    etag: str = ""
    version: str = ""

    @property
    def shown(self) -> str:
        """What to call it for people, without what a URL may carry as a secret."""
        parts = [_public(self.url), self.path and f"path {self.path}"]
        parts += [self.commit and f"commit {self.commit}", self.etag and f"etag {self.etag}"]
        parts.append(self.version and f"version {self.version}")
        return ", ".join(part for part in parts if part)


@dataclass(frozen=True, slots=True)
class DvcFile:
    """A ``.dvc`` file: its own path, what it tracks, and where that was imported from."""

    path: bytes
    outs: tuple[Out, ...]
    origins: tuple[Origin, ...] = ()
    frozen: bool = False
    about: str = ""


@dataclass(frozen=True, slots=True)
class LockedStage:
    """What ``dvc.lock`` says of one stage: what ran, and the contents before and after."""

    name: str
    commands: tuple[str, ...]
    deps: tuple[Out, ...]
    outs: tuple[Out, ...]
    params: Mapping[bytes, Mapping[str, Any]] = field(default_factory=dict)


def read_dvc_file(path: bytes, data: bytes) -> DvcFile:
    """Parse a ``.dvc`` file that lies at a path of the repository. Raises FormatError."""
    what = show(path)
    top = mapping(plainyaml.load(data, what), what)
    base = _join(path.rpartition(b"/")[0], top.get("wdir"))
    # Where there is a command the dependencies are its inputs: DVC before 1.0 had stages here.
    deps = [] if "cmd" in top else sequence(top.get("deps"), f"'deps' of {what}")
    return DvcFile(
        path,
        tuple(_out(one, base, what) for one in sequence(top.get("outs"), f"'outs' of {what}")),
        tuple(_origin(mapping(one, f"a dep of {what}")) for one in deps),
        top.get("frozen") is True,
        str(top.get("desc") or ""),
    )


def read_lock(
    path: bytes, data: bytes, directories: Mapping[str, str] | None = None
) -> dict[str, LockedStage]:
    """Parse a ``dvc.lock``; return its stages by name.

    The paths of a stage are relative to its ``wdir``, which only ``dvc.yaml`` tells:
    ``directories`` are those of stages that have one, by their names without ``@...``.
    """
    what = show(path)
    top = mapping(plainyaml.load(data, what), what)
    stages = mapping(top["stages"], what) if "schema" in top and "stages" in top else top
    found = {}
    for name, value in stages.items():
        if name == "schema" or not isinstance(value, dict):
            continue
        directory = (directories or {}).get(name.partition("@")[0])
        base = _join(path.rpartition(b"/")[0], directory)
        cmd = value.get("cmd")
        commands = cmd if isinstance(cmd, list) else [cmd] if cmd is not None else []
        params = mapping(value.get("params"), f"'params' of {name!r} in {what}")
        found[name] = LockedStage(
            name,
            tuple(str(one) for one in commands),
            tuple(_out(one, base, what) for one in sequence(value.get("deps"), what)),
            tuple(_out(one, base, what) for one in sequence(value.get("outs"), what)),
            {_join(base, file): mapping(keys, what) for file, keys in params.items()},
        )
    return found


def _join(base: bytes, text: Any) -> bytes:
    """Return a path of DVC, relative to ``base``, as one of the repository."""
    path = os.fsencode("" if text is None else text_of(text, "a path of DVC"))
    joined = posixpath.normpath(posixpath.join(base, path)) if base or path else b""
    return b"" if joined == b"." else joined


def _out(value: Any, base: bytes, what: str) -> Out:
    if isinstance(value, str):
        value = {"path": value}
    fields = mapping(value, f"an out of {what}")
    written = text_of(fields.get("path", ""), f"a path in {what}")
    path = _join(base, written) if "://" not in written else os.fsencode(written.partition("?")[0])
    problem = _outside(written, path)
    listed = None
    if "files" in fields:
        listed = tuple(_listed(one, what) for one in sequence(fields["files"], what))
    md5 = fields.get("md5")
    match = _MD5.fullmatch(str(md5)) if md5 is not None else None
    if match is None and listed is None and not problem:
        problem = (
            "DVC has not recorded its content ('dvc commit' does)"
            if md5 is None
            else f"{str(md5)[:40]!r} is no MD5"
        )
    return Out(
        path,
        bytes.fromhex(match[1]) if match else b"",
        listed is not None or (match is not None and match[2] is not None),
        fields.get("isexec") is True,
        "md5" if fields.get("hash") == "md5" else "md5-dos2unix",
        number_of(fields.get("size")),
        fields.get("cache") is not False,
        listed,
        problem,
        str(fields.get("remote") or ""),
    )


def _outside(written: str, path: bytes) -> str:
    if "://" in written:
        return f"it lies outside the repository, at {written.partition('?')[0]}"
    if path.startswith((b"/", b"../")) or path in (b"", b".."):
        return "it lies outside the repository"
    try:
        names.check_path(path)
    except FormatError as error:
        return error.message
    return ""


def _listed(value: Any, what: str) -> tuple[bytes, bytes]:
    fields = mapping(value, f"a file in {what}")
    path = os.fsencode(text_of(fields.get("relpath", ""), f"a path in {what}"))
    match = _MD5.fullmatch(str(fields.get("md5", "")))
    return path, bytes.fromhex(match[1]) if match else b""


def _origin(dep: Mapping[str, Any]) -> Origin:
    repo = dep.get("repo")
    path = str(dep.get("path", ""))
    if isinstance(repo, dict):
        url = str(repo.get("url", ""))
        return Origin(url, path, str(repo.get("rev") or ""), str(repo.get("rev_lock") or ""))
    if isinstance(dep.get("db"), dict):
        return Origin("a database", str(dep["db"].get("query") or dep["db"].get("table") or ""))
    etag, version = str(dep.get("etag") or ""), str(dep.get("version_id") or "")
    return Origin(path, etag=etag, version=version)


def _public(url: str) -> str:
    """Return a URL without a password or token, and without what follows a question mark."""
    plain = url.partition("?")[0]
    plain = re.sub(r"^([A-Za-z][A-Za-z0-9+.-]*://)[^/@]*:[^/@]*@", r"\1", plain)
    return re.sub(r"^(https?://)[^/@]*@", r"\1", plain, flags=re.IGNORECASE)


def stage_directories(path: bytes, data: bytes) -> dict[str, str]:
    """Return the ``wdir`` of each stage of a ``dvc.yaml`` that has a plain one."""
    what = show(path)
    top = mapping(plainyaml.load(data, what), what)
    found = {}
    for name, value in mapping(top.get("stages"), what).items():
        fields = value.get("do", value) if isinstance(value, dict) else {}
        wdir = fields.get("wdir") if isinstance(fields, dict) else None
        if isinstance(wdir, str):
            found[name] = wdir
    return found


def read_listing(data: bytes, what: str) -> tuple[list[bytes], bytes]:
    """Parse the listing of a directory (a ``.dir`` object); return paths and joined digests.

    The paths ascend and are distinct; whether they are paths at all is checked when they are
    built. Raises FormatError.
    """
    quick = _ENTRY.findall(data)
    if _spelled(quick) == data:
        return distinct(sorted([(path, bytes.fromhex(md5.decode())) for md5, path in quick]), what)
    try:
        rows = json.loads(data, object_pairs_hook=_row)
        pairs = sorted(rows)
        if not all(type(one) is tuple for one in pairs):
            raise TypeError
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise FormatError(f"{what} is not a listing of DVC") from error
    return distinct(pairs, what)


def _spelled(entries: list[tuple[bytes, bytes]]) -> bytes:
    """Return entries as DVC writes them; what it reads back to needs no parser."""
    return b"[%s]" % b", ".join([b'{"md5": "%s", "relpath": "%s"}' % one for one in entries])


def distinct(pairs: Sequence[tuple[bytes, bytes]], what: str) -> tuple[list[bytes], bytes]:
    """Return the columns of (path, digest) in ascending order. Raises FormatError for repeats."""
    paths = [path for path, _ in pairs]
    if any(map(bytes.__ge__, paths, paths[1:])):
        raise FormatError(f"{what} lists a path twice")
    return paths, b"".join([digest for _, digest in pairs])


def _row(pairs: list[tuple[str, Any]]) -> tuple[bytes, bytes]:
    fields = dict(pairs)
    digest = bytes.fromhex(fields["md5"])
    if len(digest) != 16:
        raise ValueError
    return os.fsencode(fields["relpath"]), digest
