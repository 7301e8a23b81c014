"""S3's parts that need no server: signatures, credentials, settings, answers."""

from __future__ import annotations

import hashlib
import traceback
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dver.base.errors import ConfigError, RemoteError
from dver.storage.s3.answers import NotS3Error, parse, parse_error, parse_page
from dver.storage.s3.credentials import BotocoreCredentials, Credentials, FixedCredentials
from dver.storage.s3.settings import S3Settings, resolve
from dver.storage.s3.signing import EMPTY_SHA256, encode_path, encode_query, sign

KEYS = {"AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "secret", "HOME": "/nowhere"}

# -- signatures ---------------------------------------------------------------------------------

# The examples of docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
EXAMPLE = Credentials("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
MAY_24 = 1369353600.0
HOST = {"host": "examplebucket.s3.amazonaws.com"}
WELCOME = hashlib.sha256(b"Welcome to Amazon S3.").hexdigest()


@pytest.mark.parametrize(
    ("method", "path", "query", "headers", "sha256", "signature"),
    [
        (
            "GET",
            "/test.txt",
            [],
            {"range": "bytes=0-9"},
            EMPTY_SHA256,
            "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
        ),
        (
            "PUT",
            "/test$file.text",
            [],
            {"date": "Fri, 24 May 2013 00:00:00 GMT", "x-amz-storage-class": "REDUCED_REDUNDANCY"},
            WELCOME,
            "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
        ),
        (
            "GET",
            "/",
            [("lifecycle", "")],
            {},
            EMPTY_SHA256,
            "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543",
        ),
        (
            "GET",
            "/",
            [("prefix", "J"), ("max-keys", "2")],
            {},
            EMPTY_SHA256,
            "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
        ),
    ],
)
def test_amazons_examples(
    method: str,
    path: str,
    query: list[tuple[str, str]],
    headers: dict[str, str],
    sha256: str,
    signature: str,
) -> None:
    signed = sign(
        EXAMPLE,
        "us-east-1",
        method,
        encode_path(path),
        encode_query(query),
        {**HOST, **headers},
        sha256,
        MAY_24,
    )
    assert signed["authorization"].endswith(f"Signature={signature}")
    assert signed["x-amz-date"] == "20130524T000000Z"


def test_a_session_token_is_sent_and_signed() -> None:
    keys = Credentials("id", "secret", "token")
    signed = sign(keys, "r", "GET", "/", "", {"host": "h"}, EMPTY_SHA256, 0.0)
    assert signed["x-amz-security-token"] == "token"
    assert "x-amz-security-token" in signed["authorization"]


def test_credentials_never_show() -> None:
    keys = Credentials("AKIA", "hunter2", "hunter3")
    settings = resolve("bucket", "", {}, {**KEYS, "https_proxy": "http://u:hunter4@p:1"})
    assert "AKIA" not in repr(keys)
    assert "hunter" not in repr(keys) + repr(settings)
    assert "secret" not in repr(settings)


# -- where credentials come from ------------------------------------------------------------------


def aws(tmp_path: Path, config: str = "", credentials: str = "") -> dict[str, str]:
    (tmp_path / ".aws").mkdir(exist_ok=True)
    (tmp_path / ".aws" / "config").write_text(config)
    (tmp_path / ".aws" / "credentials").write_text(credentials)
    return {"HOME": str(tmp_path)}


def source_of(options: dict[str, str], environ: dict[str, str]) -> object:
    return resolve("bucket", "", options, environ).source


def keys_of(options: dict[str, str], environ: dict[str, str]) -> Credentials | None:
    source = source_of(options, environ)
    assert isinstance(source, FixedCredentials)
    return source.current()


TWO = """
[default]
aws_access_key_id = default-id
aws_secret_access_key = default-secret
[work]
aws_access_key_id = work-id
aws_secret_access_key = work-secret
aws_session_token = work-token
"""


def test_the_order_of_sources(tmp_path: Path) -> None:
    home = aws(tmp_path, credentials=TWO)
    environ = {**home, "AWS_ACCESS_KEY_ID": "env-id", "AWS_SECRET_ACCESS_KEY": "env-secret"}
    token = {**environ, "AWS_SESSION_TOKEN": "t"}
    work = Credentials("work-id", "work-secret", "work-token")
    assert keys_of({}, home) == Credentials("default-id", "default-secret")
    assert keys_of({}, {**home, "AWS_PROFILE": "work"}) == work
    assert keys_of({}, {**environ, "AWS_PROFILE": "work"}) == Credentials("env-id", "env-secret")
    assert keys_of({}, token) == Credentials("env-id", "env-secret", "t")
    assert keys_of({"profile": "work"}, environ) == work
    assert keys_of({"anonymous": "true"}, environ) is None


def test_other_files_may_be_named(tmp_path: Path) -> None:
    (tmp_path / "keys").write_text("[default]\naws_access_key_id=i\naws_secret_access_key=s\n")
    environ = {"HOME": "/nowhere", "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "keys")}
    assert keys_of({}, environ) == Credentials("i", "s")


@pytest.mark.parametrize(
    "config",
    [
        "[profile work]\nrole_arn = arn:aws:iam::1:role/r\nsource_profile = default\n",
        "[profile work]\nsso_session = s\n",
        "[profile work]\nsso_start_url = https://x\n",
    ],
)
def test_roles_and_sso_are_left_to_botocore(tmp_path: Path, config: str) -> None:
    home = aws(tmp_path, config, TWO)
    assert isinstance(source_of({"profile": "work"}, home), BotocoreCredentials)


def test_nothing_set_is_left_to_botocore(tmp_path: Path) -> None:
    assert isinstance(source_of({}, aws(tmp_path)), BotocoreCredentials)
    web = {**aws(tmp_path, credentials=TWO), "AWS_WEB_IDENTITY_TOKEN_FILE": "/t"}
    assert isinstance(source_of({}, web), BotocoreCredentials)


def test_botocore_reads_a_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answer = '{"Version": 1, "AccessKeyId": "p-id", "SecretAccessKey": "p-secret"}'
    (tmp_path / "answer.json").write_text(answer)
    config = f"[profile work]\ncredential_process = cat {tmp_path}/answer.json\n"
    home = aws(tmp_path, config)
    environ = {**home, "AWS_CONFIG_FILE": str(tmp_path / ".aws" / "config")}
    source = source_of({"profile": "work"}, environ)
    assert isinstance(source, BotocoreCredentials)
    assert source.current() == Credentials("p-id", "p-secret")


def test_no_credentials_at_all_say_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    source = source_of({}, {"HOME": str(tmp_path)})
    assert isinstance(source, BotocoreCredentials)
    with pytest.raises(RemoteError, match="no AWS credentials were found") as caught:
        source.current()
    assert "aws sso login" in str(caught.value.hint)
    assert "anonymous" in str(caught.value.hint)


def test_botocores_keys_are_renewed(monkeypatch: pytest.MonkeyPatch) -> None:
    source = BotocoreCredentials(None, {})
    frozen = SimpleNamespace(access_key="1", secret_key="s", token=None)
    found = SimpleNamespace(get_frozen_credentials=lambda: frozen)
    monkeypatch.setattr(source, "_find", lambda: found)
    now = 1000.0
    monkeypatch.setattr("dver.base.clock.monotonic", lambda: now)
    assert source.current() == Credentials("1", "s")
    frozen = SimpleNamespace(access_key="2", secret_key="s", token="t")
    assert source.current() == Credentials("1", "s")
    now += 301
    assert source.current() == Credentials("2", "s", "t")


def test_an_expired_login_names_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    source = BotocoreCredentials("work", {})

    def expired() -> object:
        raise RuntimeError("the SSO session has expired")

    monkeypatch.setattr(source, "_find", expired)
    with pytest.raises(RemoteError, match="session has expired") as caught:
        source.current()
    assert "aws sso login --profile work" in str(caught.value.hint)


def test_a_broken_file_is_named_without_its_content(tmp_path: Path) -> None:
    home = aws(tmp_path, credentials="aws_secret_access_key = hunter2\n")
    with pytest.raises(ConfigError, match="credentials as an AWS") as caught:
        resolve("bucket", "", {}, home)
    assert "hunter2" not in str(caught.value)


# -- settings -------------------------------------------------------------------------------------


def place(settings: S3Settings) -> str:
    return f"{settings.endpoint}{settings.base_path}"


@pytest.mark.parametrize(
    ("bucket", "options", "environ", "expected"),
    [
        ("b-1", {}, {}, "https://b-1.s3.us-east-1.amazonaws.com"),
        ("b-1", {"region": "eu-west-3"}, {}, "https://b-1.s3.eu-west-3.amazonaws.com"),
        ("b-1", {}, {"AWS_REGION": "eu-1"}, "https://b-1.s3.eu-1.amazonaws.com"),
        ("b-1", {}, {"AWS_DEFAULT_REGION": "eu-1"}, "https://b-1.s3.eu-1.amazonaws.com"),
        ("b-1", {"region": "cn-north-1"}, {}, "https://b-1.s3.cn-north-1.amazonaws.com.cn"),
        ("b.1", {}, {}, "https://s3.us-east-1.amazonaws.com/b.1"),
        ("b-1", {"path_style": "true"}, {}, "https://s3.us-east-1.amazonaws.com/b-1"),
        ("b-1", {"endpoint_url": "http://h:9000"}, {}, "http://h:9000/b-1"),
        ("b-1", {"endpoint_url": "https://h/base/"}, {}, "https://h/base/b-1"),
        ("b-1", {"endpoint_url": "https://h:443"}, {}, "https://h/b-1"),
        ("b-1", {"endpoint_url": "http://[::1]:9000"}, {}, "http://[::1]:9000/b-1"),
        ("b-1", {"endpoint_url": "https://h", "path_style": "false"}, {}, "https://b-1.h"),
        ("b-1", {}, {"AWS_ENDPOINT_URL": "http://h:1"}, "http://h:1/b-1"),
        (
            "b-1",
            {},
            {"AWS_ENDPOINT_URL": "http://x", "AWS_ENDPOINT_URL_S3": "http://h"},
            "http://h/b-1",
        ),
        ("b-1", {"endpoint_url": "http://o"}, {"AWS_ENDPOINT_URL_S3": "http://h"}, "http://o/b-1"),
        (
            "b-1",
            {},
            {"AWS_ENDPOINT_URL": "http://x", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true"},
            "https://b-1.s3.us-east-1.amazonaws.com",
        ),
    ],
)
def test_where_requests_go(
    bucket: str, options: dict[str, str], environ: dict[str, str], expected: str
) -> None:
    assert place(resolve(bucket, "", options, {**KEYS, **environ})) == expected


def test_the_profile_decides_region_and_endpoint(tmp_path: Path) -> None:
    config = """
[default]
region = eu-central-1
[profile minio]
region = local
services = here
ca_bundle = /ca.pem
[services here]
s3 =
  endpoint_url = https://minio.example.com:9000
"""
    environ = {**aws(tmp_path, config), **{k: v for k, v in KEYS.items() if k != "HOME"}}
    assert place(resolve("b-1", "", {}, environ)) == "https://b-1.s3.eu-central-1.amazonaws.com"
    minio = resolve("b-1", "x", {}, {**environ, "AWS_PROFILE": "minio"})
    assert place(minio) == "https://minio.example.com:9000/b-1"
    assert (minio.region, minio.ca_bundle) == ("local", "/ca.pem")
    assert minio.description == "s3://b-1/x at https://minio.example.com:9000"


@pytest.mark.parametrize(
    ("environ", "secure", "expected"),
    [
        ({}, True, None),
        ({"HTTPS_PROXY": "http://p:1"}, True, "http://p:1"),
        ({"https_proxy": "p:1"}, True, "http://p:1"),
        ({"https_proxy": "p:1"}, False, None),
        ({"http_proxy": "p:1"}, False, "http://p:1"),
        ({"HTTP_PROXY": "p:1"}, False, None),
        ({"ALL_PROXY": "p:1"}, True, "http://p:1"),
        ({"HTTPS_PROXY": "p:1", "NO_PROXY": "x,example.com"}, True, None),
        ({"HTTPS_PROXY": "p:1", "NO_PROXY": ".example.com"}, True, None),
        ({"HTTPS_PROXY": "p:1", "NO_PROXY": "ample.com"}, True, "http://p:1"),
        ({"HTTPS_PROXY": "p:1", "no_proxy": "*"}, True, None),
    ],
)
def test_proxies(environ: dict[str, str], secure: bool, expected: str | None) -> None:
    url = f"{'https' if secure else 'http'}://s3.example.com:9000"
    settings = resolve("b-1", "", {"endpoint_url": url}, {**KEYS, **environ})
    assert settings.proxy == expected


# -- answers --------------------------------------------------------------------------------------

PAGE = """<?xml version="1.0" encoding="UTF-8"?>
<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">
<Name>b</Name><Prefix>p/</Prefix>%s<EncodingType>url</EncodingType>
<Contents><Key>p/a%%2Bb+c</Key><LastModified>2026-01-31T12:00:00.000Z</LastModified>
<ETag>&quot;abc&quot;</ETag><Size>7</Size></Contents>
</ListBucketResult>"""
LAST = "<IsTruncated>false</IsTruncated>"
MORE = "<IsTruncated>true</IsTruncated><NextContinuationToken>t</NextContinuationToken>"


def test_a_page() -> None:
    page = parse_page((PAGE % MORE).encode(), "p/")
    assert page.token == "t"
    assert [(entry.key, entry.size, entry.etag) for entry in page.entries] == [("a+b c", 7, "abc")]
    assert page.entries[0].modified == 1769860800.0
    assert parse_page((PAGE % LAST).encode(), "p/").token is None


@pytest.mark.parametrize(
    "body",
    [
        "",
        "<html><body>console</body></html>",
        "<html><meta charset=utf-8></html>",
        "<!DOCTYPE html><html></html>",
        "<Error><Code>InternalError</Code></Error>",
        "{}",
        "<ListBucketResult/>",
        PAGE % "",
        PAGE % "<IsTruncated>maybe</IsTruncated>",
        PAGE % "<IsTruncated>true</IsTruncated>",
        (PAGE % LAST).replace("<Size>7</Size>", ""),
        (PAGE % LAST).replace(">7<", ">-7<"),
        (PAGE % LAST).replace("p/a", "elsewhere"),
        (PAGE % LAST)[:-10],
        "<a>" * 100 + "</a>" * 100,
        '<!DOCTYPE x [<!ENTITY a "aa">]><ListBucketResult>&a;</ListBucketResult>',
    ],
)
def test_what_is_no_page(body: str) -> None:
    with pytest.raises(NotS3Error):
        parse_page(body.encode(), "p/")


@given(st.binary(max_size=200))
def test_no_bytes_break_the_parser(body: bytes) -> None:
    with pytest.raises(NotS3Error):
        parse(body, "ListBucketResult")
    assert parse_error(body) == ("", "", None)


def test_an_error() -> None:
    body = b"<Error><Code>A</Code><Message>m</Message><Region>r</Region></Error>"
    assert parse_error(body) == ("A", "m", "r")


def test_a_broken_credentials_file_is_never_quoted(tmp_path: Path) -> None:
    (tmp_path / ".aws").mkdir()
    for text in ("[default]\nhunter2\n", "hunter2 before any section\n"):
        (tmp_path / ".aws/credentials").write_text(text)
        with pytest.raises(ConfigError, match="cannot parse") as caught:
            resolve("bucket", "", {}, {"HOME": str(tmp_path)})
        shown = "".join(traceback.format_exception(caught.value))
        assert "hunter2" not in shown
