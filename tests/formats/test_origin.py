"""Origins: comments to whoever does not know them, and nothing that is followed blindly."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dver.base.errors import FormatError
from dver.base.oid import Oid
from dver.formats import origin as origins
from dver.formats import pointer
from dver.formats.origin import Origin, attach, check_url, decode, encode, raw
from dver.formats.pointer import Pointer

POINTER = pointer.encode(Pointer("file", Oid(b"\x07" * 32), 3))
FROM_GIT = Origin(repository="https://example.com/r.git", path=b"d/x", rev="main", commit="a" * 40)
FROM_URL = Origin(url="https://example.com/x.csv", etag="abc", size=3)

texts = st.text(st.characters(codec="utf-8"), max_size=40)


@given(st.binary(max_size=200), texts, st.one_of(st.none(), st.just(Oid(b"\x01" * 32))))
def test_what_is_written_is_read(path: bytes, rev: str, oid: Oid | None) -> None:
    origin = Origin(
        repository="https://example.com/r.git", path=path, rev=rev, commit="b" * 64, oid=oid
    )
    data = attach(POINTER, encode(origin))
    assert decode(data) == origin
    assert decode(data.replace(b"\n", b"\r\n")) == origin


@given(texts, texts, st.one_of(st.none(), st.integers(0, (1 << 63) - 1)))
def test_what_is_written_of_a_url_is_read(etag: str, version: str, size: int | None) -> None:
    origin = Origin(url="s3://b/k", etag=etag, version=version, size=size)
    assert decode(encode(origin)) == origin


def test_a_reader_that_does_not_know_origins_reads_the_same_pointer() -> None:
    """This is the promise to every dver that was there before them: they are comments."""
    for origin in (FROM_GIT, FROM_URL):
        data = attach(POINTER, encode(origin))
        assert pointer.decode(data) == pointer.decode(POINTER)
        assert all(line.startswith(b"#") for line in encode(origin).splitlines())


def test_lines_are_taken_and_put_back() -> None:
    lines = encode(FROM_GIT)
    data = attach(POINTER, lines)
    assert raw(data) == lines
    assert raw(POINTER) == b""
    assert attach(data, b"") == POINTER
    assert attach(data, encode(FROM_URL)) == POINTER + encode(FROM_URL)
    assert raw(b"# a plain comment\n" + data) == lines
    assert decode(POINTER) is None


LINES = encode(FROM_GIT)
BROKEN = {
    "version": (LINES.replace(b"origin: 1", b"origin: 2"), "of version '2'"),
    "order": (b"".join(reversed(LINES.splitlines(keepends=True))), "version"),
    "unknown": (LINES + b"#: color: red\n", "'color' that does not belong"),
    "twice": (LINES + b"#: rev: main\n", "cannot be read"),
    "spaces": (LINES.replace(b"main", b"ma in"), "cannot be read"),
    "commit": (LINES.replace(b"a" * 40, b"-rf"), "commit is malformed"),
    "oid": (LINES + b"#: oid: md5:1\n", "oid is not"),
    "no url": (b"#: origin: 1\n#: etag: x\n", "printable ASCII"),
    "credentials": (LINES.replace(b"//", b"//me:secret@"), "credentials"),
    "spelling": (LINES.replace(b"d/x", b"d/%78"), "not spelled"),
    "size": (encode(FROM_URL).replace(b"size: 3", b"size: -3"), "no number"),
    "time": (b"#: origin: 1\n#: url: s3://b/k\n#: modified: soon\n", "modified is malformed"),
    "endpoint": (b"#: origin: 1\n#: url: s3://b/k\n#: endpoint: x\n", "endpoint is no URL"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_makes_no_sense_is_refused_and_the_pointer_still_read(name: str) -> None:
    lines, said = BROKEN[name]
    data = attach(POINTER, lines)
    with pytest.raises(FormatError, match=said) as caught:
        decode(data)
    assert "secret" not in str(caught.value)
    assert pointer.decode(data) == pointer.decode(POINTER)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "no-scheme",
        "-oProxyCommand=x:y",
        "ext::sh -c true",
        "ext::sh%20-c",
        "fd::17",
        "ext://sh%20-c%20id",
        "helper://example.com/x",
        "https://user@example.com/x",
        "https://user:pass@example.com/x",
        "ssh://me:pass@example.com/x",
        "ssh://-oProxyCommand=x/y",
        "s3://key:secret@bucket/x",
        "simplecache::https://example.com/x",
        "https:///x",
        "https://example.com/a b",
        "https://exämple.com/",
        "https://example.com/\n#: oid",
        "http://[::1/x",
    ],
)
def test_urls_that_may_not_stand_in_a_pointer(url: str) -> None:
    with pytest.raises(FormatError):
        check_url(url, git=True)
    with pytest.raises(FormatError):
        encode(Origin(repository=url, commit="a" * 40))


@pytest.mark.parametrize(
    "url",
    ["git@example.com:team/r.git", "ssh://git@example.com:22/r", "file:///srv/r", "host:r.git"],
)
def test_urls_of_repositories(url: str) -> None:
    assert check_url(url, git=True) == url


def test_an_endpoint_is_noted_without_credentials() -> None:
    with pytest.raises(FormatError):
        encode(Origin(url="s3://bucket/x", endpoint="https://me:secret@example.com"))


def test_only_git_knows_what_has_no_scheme() -> None:
    with pytest.raises(FormatError, match="no URL"):
        check_url("git@example.com:r.git", git=False)


def test_a_source_of_endless_name_is_refused() -> None:
    with pytest.raises(FormatError, match="too long"):
        encode(Origin(url="https://example.com/" + "x" * 5000))


def test_what_it_is_called() -> None:
    assert FROM_GIT.place == f"git+https://example.com/r.git@{'a' * 40}#d/x"
    assert FROM_GIT.shown == "d/x of https://example.com/r.git"
    assert Origin(url="s3://b/k", version="v").place == "s3://b/k?versionId=v"
    assert origins.seen(FROM_URL, Oid(b"\x02" * 32)).oid == Oid(b"\x02" * 32)
