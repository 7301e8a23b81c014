"""Signing and checking with ssh keys, by OpenSSH's own ``ssh-keygen -Y`` (8.2 or newer)."""

from __future__ import annotations

import base64
import os
import shutil
import struct
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from typing import Self

from dver.base import fsio
from dver.base.errors import FormatError, NotFoundError, RefusedError, SystemFailure
from dver.base.quoting import show
from dver.lineage.signing.signers import NAMESPACE

MAGIC = b"SSHSIG"
_BEGIN, _END = "-----BEGIN SSH SIGNATURE-----", "-----END SSH SIGNATURE-----"
_SECONDS = 300.0


def is_ssh_signature(data: bytes) -> bool:
    """Say whether a signature is one of ssh-keygen's."""
    return data.startswith(MAGIC)


def public_key_of(signature: bytes) -> bytes:
    """Return the public key that a signature carries. Raises FormatError if it has none."""
    try:
        version, length = struct.unpack_from(">II", signature, len(MAGIC))
    except struct.error as error:
        raise FormatError("an ssh signature is cut short") from error
    key = signature[len(MAGIC) + 8 :][:length]
    if version != 1 or len(key) != length or not key:
        raise FormatError("an ssh signature does not parse")
    return key


def public_text(key: bytes) -> str:
    """Return a public key as OpenSSH writes it: its kind, and base64."""
    (length,) = struct.unpack_from(">I", key)
    return f"{key[4 : 4 + length].decode('ascii', 'replace')} {base64.b64encode(key).decode()}"


def sign(key_file: str, message: bytes, environ: Mapping[str, str]) -> bytes:
    """Sign with a private key, or with the agent if the file is a public one.

    ssh-keygen asks for a passphrase on the terminal. Raises NotFoundError if the file is not there
    and RefusedError if it cannot be used.
    """
    if not os.path.isfile(key_file):
        raise NotFoundError(f"there is no key {show(key_file)}")
    done = _run(["-Y", "sign", "-f", key_file, "-n", NAMESPACE], environ, message)
    if done.returncode != 0:
        raise RefusedError(f"ssh-keygen cannot sign with {show(key_file)}: {_reason(done)}")
    lines = done.stdout.decode("ascii", "replace").split()
    body = "".join(lines).removeprefix(_BEGIN.replace(" ", "")).removesuffix(_END.replace(" ", ""))
    return base64.b64decode(body)


def is_sound(signature: bytes, message: bytes, environ: Mapping[str, str]) -> bool:
    """Say whether some key, whoever's it is, signed a message."""
    with _Files() as files:
        path = files.put("signature", _armored(signature))
        args = ["-Y", "check-novalidate", "-n", NAMESPACE, "-s", path]
        return _run(args, environ, message).returncode == 0


def signer_of(
    signature: bytes, message: bytes, allowed: bytes, environ: Mapping[str, str]
) -> str | None:
    """Return who signed a message, None if none of the allowed signers did, now valid."""
    with _Files() as files:
        path, trust = files.put("signature", _armored(signature)), files.put("allowed", allowed)
        found = _run(["-Y", "find-principals", "-s", path, "-f", trust], environ, b"")
        for principal in found.stdout.decode("utf-8", "replace").splitlines():
            args = ["-Y", "verify", "-f", trust, "-I", principal, "-n", NAMESPACE, "-s", path]
            if principal and _run(args, environ, message).returncode == 0:
                return principal
    return None


class _Files:
    """Small files that live as long as the ``with`` block."""

    def __enter__(self) -> Self:
        self._directory = tempfile.TemporaryDirectory(prefix="dver-sign-")
        return self

    def __exit__(self, *_: object) -> None:
        self._directory.cleanup()

    def put(self, name: str, data: bytes) -> str:
        """Write a file and return its path."""
        path = os.path.join(self._directory.name, name)
        fsio.write_atomic(path, data, mode=0o600, durable=False)
        return path


def _armored(signature: bytes) -> bytes:
    text = base64.b64encode(signature).decode()
    lines = [text[at : at + 70] for at in range(0, len(text), 70)]
    return "\n".join([_BEGIN, *lines, _END, ""]).encode()


def _run(
    args: Sequence[str], environ: Mapping[str, str], message: bytes
) -> subprocess.CompletedProcess[bytes]:
    program = shutil.which("ssh-keygen", path=environ.get("PATH"))
    if program is None or not os.path.isabs(program):
        raise SystemFailure(
            "ssh-keygen is not installed, or not on the PATH",
            hint="install OpenSSH 8.2 or newer, or sign with --key and a PEM file",
        )
    try:
        return subprocess.run(
            [program, *args],
            input=message,
            capture_output=True,
            check=False,
            env=dict(environ),
            timeout=_SECONDS,
        )
    except subprocess.TimeoutExpired as error:
        raise SystemFailure("ssh-keygen did not answer in time") from error


def _reason(done: subprocess.CompletedProcess[bytes]) -> str:
    lines = done.stderr.decode("utf-8", "replace").strip().splitlines()
    return lines[-1].rstrip(".") if lines else f"exit code {done.returncode}"
