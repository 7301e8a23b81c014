"""AWS Signature Version 4 for S3: a pure function from a request to its headers.

https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
"""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Mapping, Sequence
from urllib.parse import quote

from dver.storage.s3.credentials import Credentials

_SAFE = "-_.~"
EMPTY_SHA256 = hashlib.sha256().hexdigest()


def encode_path(path: str) -> str:
    """Percent-encode a path the way S3 signs it: once, and never its slashes."""
    return quote(path, safe=_SAFE + "/")


def encode_query(query: Sequence[tuple[str, str]]) -> str:
    """Return the canonical query string, which is also the one to send."""
    return "&".join(
        f"{quote(name, safe=_SAFE)}={quote(value, safe=_SAFE)}" for name, value in sorted(query)
    )


def sign(
    credentials: Credentials,
    region: str,
    method: str,
    path: str,
    query: str,
    headers: Mapping[str, str],
    payload_sha256: str,
    seconds: float,
) -> dict[str, str]:
    """Return ``headers`` with the date, the payload's hash and the signature added.

    ``path`` and ``query`` are already encoded; header names are lower case and include ``host``;
    ``seconds`` is the time of signing, by the Unix clock.
    """
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(seconds))
    signed = {**headers, "x-amz-content-sha256": payload_sha256, "x-amz-date": stamp}
    if credentials.token:
        signed["x-amz-security-token"] = credentials.token
    names = sorted(signed)
    listed = ";".join(names)
    lines = "".join(f"{name}:{' '.join(signed[name].split())}\n" for name in names)
    canonical = f"{method}\n{path}\n{query}\n{lines}\n{listed}\n{payload_sha256}"
    scope = f"{stamp[:8]}/{region}/s3/aws4_request"
    digest = hashlib.sha256(canonical.encode("ascii")).hexdigest()
    to_sign = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{digest}"
    key = f"AWS4{credentials.secret_key}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    signature = hmac.digest(key, to_sign.encode(), "sha256").hex()
    signed["authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={credentials.access_key}/{scope}, "
        f"SignedHeaders={listed}, Signature={signature}"
    )
    return signed
