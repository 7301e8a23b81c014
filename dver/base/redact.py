"""Takes secrets, and what tells who somebody is, out of text on its way to a person, log or JSON.

The library promises not to put any in; this is the second line, for what servers, git and other
libraries say.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

MASK = "***"

# scheme://user:password@host, where a password that was not encoded may hold '/' and '@'
_USERINFO = re.compile(
    r"(?P<scheme>\b[a-z][a-z0-9+.-]*://)(?:[^/\s'\":@]*:[^\s'\"]*|[^/\s'\"]*)@", re.IGNORECASE
)
# Signed URLs and headers carry what they authorise in these.
_SIGNED = re.compile(
    r"(?P<name>(?:x-amz-(?:signature|credential|security-token)|awsaccesskeyid|signature|sig|token"
    r"|credential|password|secret)=)[^&\s'\",]+",
    re.IGNORECASE,
)
_HEADERS = re.compile(
    r"(?P<name>\b(?:(?:proxy-)?authorization['\"]?\s*[:=]\s*['\"]?(?:basic|bearer)\s"
    r"|(?:x-amz-security-token|x-auth-token|cookie)['\"]?\s*[:=])\s*['\"]?)[^\s'\",]+",
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
#: Variables of other clouds and tools whose names say that they hold a secret.
_SECRET_NAME = re.compile(
    r"(?:^|_)(?:KEY|TOKEN|SECRET|PASSWORD|PASSWD|PASSPHRASE|CREDENTIALS?|CONNECTION_STRING|SAS)$"
)
#: Shorter values of variables are no secrets: they would make holes in words.
_SHORTEST = 6
# Where a path begins that leads through somebody's home directory.
_SOMEBODY = re.compile(r"(?P<start>(?:(?<![\w./~-])|(?<=://))/(?:home|Users)/)[^/\s'\":)]+")


def redact(text: str, environ: Mapping[str, str] | None = None) -> str:
    """Return text without the user part of URLs, signatures, and secret environment values."""
    text = _USERINFO.sub(rf"\g<scheme>{MASK}@", text)
    text = _SIGNED.sub(rf"\g<name>{MASK}", text)
    text = _HEADERS.sub(rf"\g<name>{MASK}", text)
    for name, value in (environ or {}).items():
        if len(value) >= _SHORTEST and _is_secret(name):
            text = text.replace(value, MASK)
    return text


def without_userinfo(url: str) -> str:
    """Return a URL without the user and password before its host; other texts as they are.

    A password that was not encoded may hold ``/`` and ``@``: all up to the last ``@`` goes then.
    """
    scheme, found, rest = url.partition("://")
    authority, _, path = rest.partition("/")
    user, at, _ = authority.rpartition("@")
    _, colon, port = (user if at else authority).partition(":")
    is_port = not at and port.isdecimal()
    if found and "@" in path and colon and not is_port:
        return f"{scheme}://{rest.rpartition('@')[2]}"
    return f"{scheme}://{rest[len(user) + 1 :]}" if found and at else url


def _is_secret(name: str) -> bool:
    if name.startswith("AWS_"):
        return name not in _HARMLESS
    return _SECRET_NAME.search(name) is not None


def without_homes(text: str, environ: Mapping[str, str]) -> str:
    """Return text with the home directory as ``~``, and without the names of other homes."""
    home = environ.get("HOME") or os.path.expanduser("~")
    for path in dict.fromkeys((home, os.path.realpath(home))):
        if len(path) >= 3:  # '/' is the home of some, and how all paths begin
            text = re.sub(re.escape(path) + r"(?![^/\\\s'\":)])", "~", text)
    return _SOMEBODY.sub(rf"\g<start>{MASK}", text)


def printable(text: str) -> str:
    """Return text in which nothing moves a terminal's cursor or colours: what others have said."""
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() or char in "\n\t" else ascii(char)[1:-1] for char in text
    )
