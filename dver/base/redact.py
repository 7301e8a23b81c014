"""Takes secrets out of text on its way to a person, a log or JSON.

The library promises not to put any in; this is the second line, for foreign exceptions.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

MASK = "***"

# scheme://user:password@host
_USERINFO = re.compile(r"(?P<scheme>\b[a-z][a-z0-9+.-]*://)[^/\s'\"@]*@", re.IGNORECASE)
# Signed URLs and headers carry what they authorise in these.
_SIGNED = re.compile(
    r"(?P<name>(?:x-amz-(?:signature|credential|security-token)|awsaccesskeyid|signature|sig|token"
    r"|password|secret)=)[^&\s'\"]+",
    re.IGNORECASE,
)
# Names under AWS_ whose values are facts that a person needs in a message.
_HARMLESS = {
    "AWS_CA_BUNDLE",
    "AWS_CONFIG_FILE",
    "AWS_DEFAULT_PROFILE",
    "AWS_DEFAULT_REGION",
    "AWS_ENDPOINT_URL",
    "AWS_ENDPOINT_URL_S3",
    "AWS_PROFILE",
    "AWS_REGION",
    "AWS_SHARED_CREDENTIALS_FILE",
}
_SHORTEST = 6


def redact(text: str, environ: Mapping[str, str] | None = None) -> str:
    """Return text without the user part of URLs, signatures, and secret environment values."""
    text = _USERINFO.sub(rf"\g<scheme>{MASK}@", text)
    text = _SIGNED.sub(rf"\g<name>{MASK}", text)
    for name, value in (environ or {}).items():
        if name.startswith("AWS_") and name not in _HARMLESS and len(value) >= _SHORTEST:
            text = text.replace(value, MASK)
    return text
