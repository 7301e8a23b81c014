"""Where imported data came from: the lines ``#: key: value`` at the end of a pointer.

Page: ``docs/format/pointer.md``, "Origin". To a reader that does not know them they are comments,
so that every version of dver can use the pointer of imported data. Nothing in them is trusted:
they say where somebody got the data, and by themselves make nobody ask there.
"""

from __future__ import annotations

import re
from dataclasses import replace
from urllib.parse import quote_from_bytes, unquote, unquote_to_bytes, urlsplit

from dver.base.dataclass import dataclass
from dver.base.errors import FormatError
from dver.base.oid import Oid, format_oid, parse_oid
from dver.formats.pointer import MAX_SIZE, UNSEEN, origin_lines, with_origin

__all__ = ["UNSEEN", "Origin", "attach", "check_url", "decode", "encode", "raw", "seen"]

VERSION = "1"

#: The origin lines of a pointer file as they stand, and a pointer file with others in their place.
raw, attach = origin_lines, with_origin
_FIRST = f"origin: {VERSION}"
_LINE = re.compile(r"#: ([a-z]+): (\S+)")
_COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", re.ASCII)
#: What stands as it is in a value; all else, and '%', is percent-encoded.
_SAFE = "!\"#$&'()*+,/:;<=>?@[\\]^`{|}"
_MAX_COUNT = (1 << 63) - 1
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_GIT_SCHEMES = ("http", "https", "ssh", "git", "file", "git+ssh", "ssh+git")
#: Schemes of which no user name is known that is not a secret.
_NO_USER = ("http", "https", "s3", "gs", "gcs", "az", "abfs", "abfss", "file")
#: Parts of a query that let whoever has the URL in: of signed URLs, and of servers of other kinds.
_SECRET_PART = re.compile(
    r"(?:^|[?&;#])(?:[\w.-]*(?:signature|credential|token|password|passwd|secret|auth"
    r"|(?:api|access|private|account)[_-]?key(?:id)?)|sig|key|policy|googleaccessid)=",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Origin:
    """Where data came from, and its exact version there.

    From a repository: ``repository`` is its git URL, ``path`` a path in it (bytes, from its top),
    ``rev`` the revision that was asked for ("" is its HEAD) and ``commit`` what that was then, in
    full. From elsewhere: ``url``; a directory's ends with ``/``. ``endpoint`` is the address of an
    S3 server. ``etag`` and ``version`` are as the server gave them, of a directory ``etag`` is the
    hash of its listing; ``modified`` is UTC. ``size`` is in bytes, None if not told.

    ``oid`` is what was imported, None if it was not yet seen. If the pointer has another one, the
    data was changed here.
    """

    repository: str = ""
    path: bytes = b""
    rev: str = ""
    commit: str = ""
    url: str = ""
    endpoint: str = ""
    etag: str = ""
    modified: str = ""
    version: str = ""
    size: int | None = None
    oid: Oid | None = None

    @property
    def place(self) -> str:
        """What to call the source in messages and records: the exact version, as one URL."""
        if self.repository:
            inner = quote_from_bytes(self.path, safe="/" + _SAFE.replace("#", ""))
            return f"git+{self.repository}@{self.commit}#{inner}"
        version = f"?versionId={self.version}" if self.version else ""
        return f"{self.url}{version}"

    @property
    def shown(self) -> str:
        """What to call the source for people."""
        if not self.repository:
            return self.url
        name = self.path.decode("utf-8", "backslashreplace")
        return f"{name} of {self.repository}" if name else self.repository


def encode(origin: Origin) -> bytes:
    """Return the lines of an origin. Raises FormatError for what cannot be written."""
    fields: list[tuple[str, str]] = []
    if origin.repository:
        check_url(origin.repository, git=True)
        fields += [
            ("repository", origin.repository),
            ("path", quote_from_bytes(origin.path, _SAFE)),
            ("rev", _quoted(origin.rev)),
            ("commit", origin.commit),
        ]
    else:
        check_url(origin.url, git=False)
        _endpoint(origin.endpoint)
        fields += [
            ("url", origin.url),
            ("endpoint", origin.endpoint),
            ("etag", _quoted(origin.etag)),
            ("modified", origin.modified),
            ("version", _quoted(origin.version)),
            ("size", "" if origin.size is None else str(origin.size)),
        ]
    fields.append(("oid", "" if origin.oid is None else format_oid(origin.oid)))
    lines = [_FIRST, *(f"{key}: {value}" for key, value in fields if value)]
    data = "".join(f"#: {line}\n" for line in lines).encode("ascii")
    if len(data) > MAX_SIZE - 512:
        raise FormatError("the name of the source is too long to be recorded")
    return data


def decode(data: bytes) -> Origin | None:
    """Return the origin that a pointer file tells of, None if it tells of none.

    Raises FormatError, whose message speaks of the file as "it", for origin lines that make no
    sense or are of a newer version.
    """
    lines = raw(data).decode("ascii", "replace").splitlines()
    if not lines:
        return None
    fields: dict[str, str] = {}
    for line in lines:
        match = _LINE.fullmatch(line)
        if match is None or match[1] in fields:
            raise FormatError(f"its origin has a line that cannot be read: {line[:60]!r}")
        fields[match[1]] = match[2]
    version = fields.pop("origin", "")
    if version != VERSION or lines[0] != f"#: {_FIRST}":
        raise FormatError(
            f"its origin is of version {version[:40]!r} and this dver reads version {VERSION}",
            hint="upgrade dver",
        )
    origin = _build(fields)
    if fields:
        raise FormatError(f"its origin has a field {next(iter(fields))!r} that does not belong")
    if encode(origin) != raw(data):
        raise FormatError("its origin is not spelled as dver does")
    return origin


def _build(fields: dict[str, str]) -> Origin:
    oid = fields.pop("oid", None)
    try:
        known = None if oid is None else parse_oid(oid)
    except ValueError:
        raise FormatError("its origin's oid is not 'blake3:' and 64 hex digits") from None
    if "repository" in fields:
        return Origin(
            repository=check_url(fields.pop("repository"), git=True),
            path=unquote_to_bytes(fields.pop("path", "")),
            rev=_unquoted(fields.pop("rev", "")),
            commit=_matching(_COMMIT, fields.pop("commit", ""), "commit"),
            oid=known,
        )
    size = fields.pop("size", None)
    if size is not None and not (size.isdigit() and len(size) <= 19 and int(size) <= _MAX_COUNT):
        raise FormatError("its origin's size is no number of bytes")
    return Origin(
        url=check_url(fields.pop("url", ""), git=False),
        endpoint=_endpoint(fields.pop("endpoint", "")),
        etag=_unquoted(fields.pop("etag", "")),
        modified=_matching(_TIME, fields.pop("modified", ""), "modified", may_lack=True),
        version=_unquoted(fields.pop("version", "")),
        size=None if size is None else int(size),
        oid=known,
    )


def seen(origin: Origin, oid: Oid) -> Origin:
    """Return an origin of which the content is known now."""
    return replace(origin, oid=oid)


def check_url(url: str, *, git: bool) -> str:
    """Return a URL that may stand in a pointer. Raises FormatError for any other.

    It has no credentials, and nothing that a shell or a terminal would take amiss. ``git`` allows
    what only git understands: ``host:path``.
    """
    if not url or not url.isascii() or not all(32 < ord(char) < 127 for char in url):
        raise FormatError("the URL of its source is not printable ASCII without spaces")
    match = _SCHEME.match(url)
    if match is None:
        # user@host:path, as for ssh. What begins with '-' would be an option to git or ssh, and
        # 'transport::address' runs a program.
        if not git or not re.fullmatch(r"(?:[\w.-]+@)?[A-Za-z0-9][\w.-]*:(?!:).+", url, re.ASCII):
            raise FormatError("the URL of its source is no URL")
        return url
    scheme = match[1].lower()
    if git and scheme not in _GIT_SCHEMES:
        # For any other git runs a program of that name.
        raise FormatError(f"the URL of its source begins with {scheme}://, which is not git's own")
    if "::" in url.partition("?")[0]:
        raise FormatError("the URL of its source leads through another one")
    try:
        parts = urlsplit(url)
        user, password, host = parts.username, parts.password, parts.hostname
        _ = parts.port
    except ValueError:
        raise FormatError("the URL of its source is malformed") from None
    if password is not None or (user is not None and scheme in _NO_USER):
        raise FormatError("the URL of its source carries credentials")
    if _SECRET_PART.search(unquote(url.partition("://")[2].partition("?")[2])):
        raise FormatError("the URL of its source carries a signature or token")
    if scheme != "file" and (not host or host.startswith("-") or (user or "").startswith("-")):
        raise FormatError("the URL of its source names no host")
    return url


def _endpoint(text: str) -> str:
    if text and not re.fullmatch(r"https?://[^/?#@\s]+(?:/[^?#\s]*)?", text, re.ASCII):
        raise FormatError("its origin's endpoint is no URL of a server")
    return text


def _matching(pattern: re.Pattern[str], text: str, name: str, *, may_lack: bool = False) -> str:
    if not (text == "" and may_lack) and not pattern.fullmatch(text):
        raise FormatError(f"its origin's {name} is malformed: {text[:40]!r}")
    return text


def _quoted(text: str) -> str:
    return quote_from_bytes(text.encode("utf-8", "surrogateescape"), _SAFE)


def _unquoted(text: str) -> str:
    return unquote_to_bytes(text).decode("utf-8", "surrogateescape")
