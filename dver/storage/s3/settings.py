"""What a bucket's URL, a remote's options, the environment and AWS's files say together."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import field
from urllib.parse import urlsplit

from dver.base.dataclass import dataclass
from dver.base.errors import ConfigError
from dver.storage.options import flag, seconds
from dver.storage.s3.awsfiles import AwsFiles
from dver.storage.s3.credentials import CredentialSource, find_source

OPTIONS = frozenset(
    {
        "endpoint_url",
        "region",
        "profile",
        "path_style",
        "anonymous",
        "sse",
        "sse_kms_key_id",
        "checksum",
        "ca_bundle",
        "timeout",
    }
)
_SSE = ("AES256", "aws:kms", "aws:kms:dsse")
_CHECKSUMS = ("sha256", "md5", "none")
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,254}")


@dataclass(frozen=True, slots=True)
class S3Settings:
    """Everything that decides where requests go and what they carry.

    ``host`` is as sent in the Host header; ``base_path`` begins every request's path and holds the
    bucket unless ``host`` does. ``checksum`` is the header sent with uploads beyond the signature.
    ``ca_bundle`` is a file of trusted certificates, ``proxy`` a URL. ``timeout`` is the longest
    silence of the server, in seconds, that is waited for.
    """

    bucket: str
    prefix: str
    secure: bool
    host: str
    base_path: str
    region: str
    region_fixed: bool
    source: CredentialSource = field(repr=False)
    sse: str | None = None
    sse_kms_key_id: str | None = None
    checksum: str = "none"
    ca_bundle: str | None = None
    proxy: str | None = field(default=None, repr=False)
    timeout: float = 60.0

    @property
    def description(self) -> str:
        """Return what to call the place in messages."""
        where = f"s3://{self.bucket}/{self.prefix}".rstrip("/")
        return where if self.is_aws else f"{where} at {self.endpoint}"

    @property
    def endpoint(self) -> str:
        """Return the server's URL, without the bucket's path."""
        return f"{'https' if self.secure else 'http'}://{self.host}"

    @property
    def is_aws(self) -> bool:
        """Tell whether the server is Amazon's own."""
        return self.host.endswith((".amazonaws.com", ".amazonaws.com.cn"))


def resolve(
    bucket: str, prefix: str, options: Mapping[str, str], environ: Mapping[str, str]
) -> S3Settings:
    """Gather the settings for one bucket. Raises ConfigError for a malformed or unknown one."""
    unknown = sorted(set(options) - OPTIONS)
    if unknown:
        raise ConfigError(
            f"an S3 remote has no setting {unknown[0]!r}",
            hint=f"the settings are {', '.join(sorted(OPTIONS))}",
        )
    if not _BUCKET.fullmatch(bucket):
        raise ConfigError(f"{bucket!r} is not the name of an S3 bucket")
    files = AwsFiles(environ)
    profile = options.get("profile") or None
    anonymous = flag(options, "anonymous", default=False)
    named = profile or environ.get("AWS_PROFILE")
    if named and not anonymous and not files.has_profile(named):
        raise ConfigError(
            f"there is no AWS profile {named!r}", hint="'aws configure list-profiles' lists them"
        )
    region = (
        options.get("region")
        or environ.get("AWS_REGION")
        or environ.get("AWS_DEFAULT_REGION")
        or files.region(named or "default")
    )
    url = options.get("endpoint_url") or _ambient_endpoint(environ, files, named or "default")
    secure, host, base_path = _place(bucket, url, region or "us-east-1", options)
    sse, kms = _encryption(options)
    return S3Settings(
        bucket=bucket,
        prefix=prefix.strip("/"),
        secure=secure,
        host=host,
        base_path=base_path,
        region=region or "us-east-1",
        region_fixed=region is not None or url is not None,
        source=find_source(anonymous=anonymous, profile=profile, environ=environ, files=files),
        sse=sse,
        sse_kms_key_id=kms,
        checksum=_choice(options, "checksum", _CHECKSUMS) or ("none" if url else "sha256"),
        ca_bundle=options.get("ca_bundle")
        or environ.get("AWS_CA_BUNDLE")
        or files.ca_bundle(named or "default"),
        proxy=proxy_for(environ, host.partition(":")[0], secure=secure),
        timeout=seconds(options, "timeout", default=60.0),
    )


def aws_host(bucket: str, region: str) -> tuple[str, str]:
    """Return Amazon's host and base path for a bucket in a region."""
    host = f"s3.{region}.amazonaws.com" + (".cn" if region.startswith("cn-") else "")
    # A dot in the name breaks the wildcard certificate of the bucket's own host.
    if "." in bucket or bucket != bucket.lower():
        return host, f"/{bucket}"
    return f"{bucket}.{host}", ""


def _ambient_endpoint(environ: Mapping[str, str], files: AwsFiles, profile: str) -> str | None:
    if environ.get("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "").lower() == "true":
        return None
    return (
        environ.get("AWS_ENDPOINT_URL_S3")
        or environ.get("AWS_ENDPOINT_URL")
        or files.endpoint_url(profile)
    )


def _place(
    bucket: str, url: str | None, region: str, options: Mapping[str, str]
) -> tuple[bool, str, str]:
    if url is None:
        host, base_path = aws_host(bucket, region)
        if flag(options, "path_style", default=False) and not base_path:
            host, base_path = host.removeprefix(f"{bucket}."), f"/{bucket}"
        return True, host, base_path
    parts = urlsplit(url)
    try:
        port = parts.port
    except ValueError:
        port = -1
    if parts.scheme not in ("http", "https") or not parts.hostname or port == -1:
        raise ConfigError(
            "endpoint_url is not a URL such as https://minio.example.com:9000",
            hint="it names the server only; the bucket belongs into the remote's url",
        )
    if parts.username or parts.password or parts.query:
        raise ConfigError(
            "endpoint_url must not carry credentials",
            hint="put them into AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a profile",
        )
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    if port is not None and port != (443 if parts.scheme == "https" else 80):
        host += f":{port}"
    base_path = parts.path.rstrip("/")
    if flag(options, "path_style", default=True):
        return parts.scheme == "https", host, f"{base_path}/{bucket}"
    return parts.scheme == "https", f"{bucket}.{host}", base_path


def _choice(options: Mapping[str, str], name: str, values: tuple[str, ...]) -> str | None:
    value = options.get(name)
    if value and value not in values:
        raise ConfigError(f"{name} is {value!r}", hint=f"it must be one of {', '.join(values)}")
    return value or None


def _encryption(options: Mapping[str, str]) -> tuple[str | None, str | None]:
    sse = _choice(options, "sse", _SSE)
    kms = options.get("sse_kms_key_id") or None
    if kms and sse is None:
        sse = "aws:kms"
    if kms and sse == "AES256":
        raise ConfigError(
            "sse_kms_key_id needs a KMS encryption, but sse is AES256",
            hint="set sse to aws:kms, or drop the key",
        )
    return sse, kms


def proxy_for(environ: Mapping[str, str], host: str, *, secure: bool) -> str | None:
    """Return the proxy that the environment names for a host, None for none."""

    def get(name: str) -> str:
        return environ.get(name.lower()) or environ.get(name) or ""

    # Upper-case HTTP_PROXY can be set by a request to a CGI script, so only lower case counts.
    value = get("HTTPS_PROXY") if secure else environ.get("http_proxy", "")
    value = value or get("ALL_PROXY")
    if not value:
        return None
    for entry in get("NO_PROXY").split(","):
        name = entry.strip().partition(":")[0].lstrip(".")
        if name and (name == "*" or host == name or host.endswith(f".{name}")):
            return None
    value = value if "://" in value else f"http://{value}"
    try:
        parts = urlsplit(value)
        sound = bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        sound = False
    if not sound:
        # Not repeated: what makes it malformed may be a password with a slash.
        raise ConfigError(
            "the proxy in the environment is no URL",
            hint="write http://HOST:PORT into HTTPS_PROXY, http_proxy or ALL_PROXY, with %2F for a"
            " slash and %40 for an @ in a password",
        )
    return value
