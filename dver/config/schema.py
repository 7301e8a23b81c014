"""Every setting there is: its type, default, meaning, and at which levels it may stand.

The table drives loading, ``dver config list`` and the documentation. A ``*`` in a key stands for
the name of a remote or an alias.
"""

from __future__ import annotations

import os
import re
from typing import Literal, NamedTuple

from dver.base.errors import ConfigError

Kind = Literal["text", "boolean", "number", "choice", "path"]
Level = Literal["default", "user", "repository", "local", "environment", "command"]
Scalar = str | int | bool

#: From weakest to strongest. ``repository`` is the committed level.
LEVELS: tuple[Level, ...] = (
    "default",
    "user",
    "repository",
    "local",
    "environment",
    "command",
)

REMOTE_NAME = r"[A-Za-z0-9_][A-Za-z0-9_-]{0,63}"


class Setting(NamedTuple):
    """One setting. ``default`` None means that dver decides as the help says.

    ``committed`` tells whether the level that git shares may set it: only what can neither make a
    command run, nor move data or credentials, without the user's word.
    """

    key: str
    kind: Kind
    help: str
    default: Scalar | None = None
    committed: bool = False
    choices: tuple[str, ...] = ()
    minimum: int = 0
    maximum: int = 1 << 31
    pattern: str = ""


SETTINGS: tuple[Setting, ...] = (
    Setting(
        "core.remote",
        "text",
        "The remote that push, fetch and pull use when none is named.",
        committed=True,
    ),
    Setting(
        "core.link",
        "choice",
        "How checkout puts files in place: 'auto' clones blocks where the file system can and"
        " copies elsewhere; 'hardlink' and 'symlink' make read-only files that share the cache.",
        default="auto",
        choices=("auto", "copy", "reflink", "hardlink", "symlink"),
    ),
    Setting(
        "core.jobs",
        "number",
        "How many requests to a remote may be under way at once; by default what suits it.",
        minimum=1,
        maximum=1024,
    ),
    Setting(
        "core.workers",
        "number",
        "How many processes or threads hash and compress; by default one per processor.",
        minimum=1,
        maximum=1024,
    ),
    Setting(
        "core.autostage",
        "boolean",
        "Whether 'dver add', 'mv' and 'rm' run 'git add' on the pointers that they change.",
        default=False,
    ),
    Setting(
        "core.copies",
        "number",
        "How many remotes must have content before 'dver drop' removes it here.",
        default=1,
        minimum=1,
        maximum=64,
    ),
    # A command of the user's own choice runs: never for the committed level, like aliases.
    Setting(
        "core.pager",
        "text",
        "What shows long results on a terminal, such as 'less -S'; 'cat' means no pager. By default"
        " GIT_PAGER, PAGER or less. DVER_PAGER goes before all of these.",
    ),
    Setting(
        "alias.*",
        "text",
        "Another name for a command of dver and its first arguments, such as 'status --no-remote'.",
    ),
    Setting(
        "store.path",
        "path",
        "Where the local store is, for instance on a disk that several clones share; by default"
        " in the git directory, .git/dver.",
    ),
    Setting(
        "import.push",
        "boolean",
        "Whether 'dver push' sends the content of imports as well. Without it, others get imports"
        " from where they came from, as long as that has them.",
        default=True,
        committed=True,
    ),
    # It is not for the committed level: whoever can commit could let what was dropped go at once.
    Setting(
        "gc.grace",
        "text",
        "How long nobody must have needed something in a remote before 'dver gc -r' deletes it, and"
        " for how long what was dropped can be restored: a number and s, m, h, d or w.",
        default="14d",
        pattern=r"(?:[0-9]{1,9}[smhdw])+",
    ),
    # These decide what runs by itself: never for the committed level.
    Setting(
        "hooks.push",
        "choice",
        "What dver's pre-push hook does before 'git push': 'push' sends the data that the commits"
        " need, 'check' only looks whether it is in the remote, 'off' does nothing.",
        default="push",
        choices=("push", "check", "off"),
    ),
    Setting(
        "hooks.checkout",
        "choice",
        "What dver's hooks do after git has changed the pointers: 'checkout' brings the data along"
        " as far as it is here, 'pull' fetches the rest from a trusted remote, 'off' does nothing.",
        default="checkout",
        choices=("checkout", "pull", "off"),
    ),
    Setting(
        "hooks.stale",
        "choice",
        "What dver's pre-commit hook does about data that was changed and not added: 'warn' (of"
        " large directories roughly, in commits without data), 'refuse' the commit, or 'off'.",
        default="warn",
        choices=("warn", "refuse", "off"),
    ),
    Setting(
        "hooks.max_file_size",
        "text",
        "The largest file that dver's pre-commit hook lets into git itself: bytes, or a number and"
        " K, M or G (1024 each); 0 for no limit.",
        default="50M",
        pattern=r"[0-9]{1,12}[KMG]?",
    ),
    Setting(
        "remote.*.url",
        "text",
        "Where the remote is: s3://bucket/prefix, a directory, or any URL that fsspec opens. A"
        " relative directory is relative to the top of the repository.",
        committed=True,
    ),
    Setting(
        "remote.*.endpoint_url",
        "text",
        "The address of an S3 server other than Amazon's.",
        committed=True,
        pattern=r"https?://[^/?#@\s]+(?:/[^?#\s]*)?",
    ),
    # Clients build host names from the region: it must not be able to name another host.
    Setting(
        "remote.*.region",
        "text",
        "The S3 region.",
        committed=True,
        pattern=r"[A-Za-z0-9-]{1,64}",
    ),
    Setting(
        "remote.*.path_style",
        "boolean",
        "Whether the bucket stands in the path of S3 requests rather than in the host name.",
        committed=True,
    ),
    Setting(
        "remote.*.anonymous",
        "boolean",
        "Whether to read without credentials, from a public bucket.",
        committed=True,
    ),
    Setting(
        "remote.*.sse",
        "choice",
        "The server-side encryption to ask S3 for.",
        committed=True,
        choices=("AES256", "aws:kms", "aws:kms:dsse"),
    ),
    Setting("remote.*.sse_kms_key_id", "text", "The KMS key for 'sse: aws:kms'.", committed=True),
    Setting(
        "remote.*.checksum",
        "choice",
        "The checksum to send with uploads beyond the signature; by default sha256 to Amazon and"
        " none to other servers, which may not know it.",
        committed=True,
        choices=("sha256", "md5", "none"),
    ),
    Setting(
        "remote.*.client",
        "choice",
        "What talks to S3: 'auto' is dver's own client, 'fsspec' goes through s3fs.",
        default="auto",
        committed=True,
        choices=("auto", "fsspec"),
    ),
    Setting("remote.*.profile", "text", "The profile in the AWS configuration files to use."),
    Setting("remote.*.ca_bundle", "path", "A file of certificates to trust for this remote."),
    Setting(
        "remote.*.timeout",
        "number",
        "Seconds to wait for an answer before a request is repeated.",
        default=60,
        minimum=1,
        maximum=86400,
    ),
    Setting(
        "remote.*.retries",
        "number",
        "How often a request that failed in passing is repeated.",
        default=8,
        maximum=100,
    ),
)

_BY_KEY = {setting.key: setting for setting in SETTINGS}

#: The options of a remote, ``url`` first.
REMOTE_OPTIONS: tuple[str, ...] = tuple(
    setting.key.rpartition(".")[2] for setting in SETTINGS if setting.key.startswith("remote.*.")
)


def pattern_of(key: str) -> str:
    """Return a key with the name of a remote or an alias replaced by ``*``."""
    parts = key.split(".")
    if (len(parts), parts[0]) in ((3, "remote"), (2, "alias")):
        parts[1] = "*"
    return ".".join(parts)


def find(key: str) -> Setting:
    """Return the setting of a key such as ``core.jobs`` or ``remote.origin.url``.

    Raises ConfigError for an unknown key, with the nearest one that exists.
    """
    setting = _BY_KEY.get(pattern_of(key))
    if setting is None:
        raise ConfigError(f"there is no setting {key[:80]!r}", hint=_nearest(key[:80]))
    if setting.key.startswith("remote."):
        check_remote_name(key.split(".")[1])
    elif "*" in setting.key and not is_alias_name(key.split(".")[1]):
        raise ConfigError(
            f"{key[6:86]!r} cannot be the name of an alias",
            hint="use up to 64 letters, digits and '-', beginning with a letter",
        )
    return setting


def is_alias_name(name: str) -> bool:
    """Tell whether a word can be an alias."""
    return re.fullmatch(r"[A-Za-z][A-Za-z0-9-]{0,63}", name) is not None


def _nearest(key: str) -> str:
    import difflib

    pattern = pattern_of(key)
    # What all options of a remote begin with alike makes none of them near.
    start = "remote.*." if pattern.startswith("remote.*.") else ""
    known = {one.removeprefix(start): one for one in _BY_KEY if one.startswith(start)}
    close = difflib.get_close_matches(pattern.removeprefix(start), known, n=1, cutoff=0.6)
    if not close:
        return "'dver config list --all' shows every setting"
    name = key.split(".")[1] if start else "NAME"
    return f"did you mean {known[close[0]].replace('*', name)!r}?"


def check_remote_name(name: str) -> None:
    """Raise ConfigError unless a text can be the name of a remote."""
    if not re.fullmatch(REMOTE_NAME, name):
        raise ConfigError(
            f"{name[:80]!r} cannot be the name of a remote",
            hint="use up to 64 letters, digits, '-' and '_', not beginning with '-'",
        )


_BOOLEANS = {"true": True, "yes": True, "on": True, "1": True}
_BOOLEANS |= {"false": False, "no": False, "off": False, "0": False}


def parse(setting: Setting, key: str, text: str) -> Scalar:
    """Return the value that a text stands for. Raises ConfigError, which names the key."""
    if any(ord(char) < 32 or 0x7F <= ord(char) < 0xA0 for char in text) or not _encodes(text):
        raise ConfigError(f"the value of {key} holds control characters or is not text")
    if setting.kind == "boolean":
        if text.lower() not in _BOOLEANS:
            raise ConfigError(f"{key} is neither true nor false: {text[:80]!r}")
        return _BOOLEANS[text.lower()]
    if setting.kind == "number":
        if not re.fullmatch(r"[0-9]{1,10}", text) or not (
            setting.minimum <= int(text) <= setting.maximum
        ):
            raise ConfigError(
                f"{key} is not a number from {setting.minimum} to {setting.maximum}: {text[:80]!r}"
            )
        return int(text)
    if not text:
        raise ConfigError(f"{key} has no value", hint=f"dver config unset {key}")
    if setting.kind == "choice" and text not in setting.choices:
        raise ConfigError(
            f"{key} cannot be {text[:80]!r}", hint=f"choose from {', '.join(setting.choices)}"
        )
    if setting.kind == "path" and not os.path.isabs(text) and not text.startswith("~"):
        raise ConfigError(f"{key} is not an absolute path: {text[:200]!r}")
    if setting.pattern and not re.fullmatch(setting.pattern, text, re.IGNORECASE):
        raise ConfigError(f"{key} is malformed: {text[:200]!r}")
    if key == "core.remote":
        check_remote_name(text)
    return text


def _encodes(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def spell(value: Scalar) -> str:
    """Return the text of a value, as it is written in a file and shown."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
