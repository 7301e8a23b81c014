"""Signing and checking with ed25519 and ECDSA keys in PEM files, by the library cryptography.

It comes with ``pip install 'dver[sign]'``. Signatures are those that other DSSE programs make.
"""

from __future__ import annotations

import base64
import os
from typing import TYPE_CHECKING, Any

from dver.base.errors import FormatError, NotFoundError, RefusedError, SystemFailure
from dver.base.fsio import failure
from dver.base.quoting import show

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurve
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

_MAX_KEY = 1 << 20


def sign(key_file: str, message: bytes) -> tuple[bytes, str]:
    """Sign with a private key; return the signature, and the public key as OpenSSH writes it.

    Raises NotFoundError if the file is not there and RefusedError if it cannot be used.
    """
    _need_library()
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    key = _load(key_file)
    if isinstance(key, ed25519.Ed25519PrivateKey):
        signature = key.sign(message)
    elif isinstance(key, ec.EllipticCurvePrivateKey):
        signature = key.sign(message, ec.ECDSA(_hash_for(key.curve)))
    else:
        raise RefusedError(
            f"{show(key_file)} is neither an ed25519 nor an ECDSA key",
            hint="openssl genpkey -algorithm ed25519 -out key.pem",
        )
    public = key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    return signature, public.decode()


def sign_ecdsa(key_file: str, message: bytes) -> tuple[bytes, str]:
    """Sign with an ECDSA key; return the signature, and the SHA-256 of the public key in PEM.

    Raises NotFoundError if the file is not there and RefusedError for a key of another kind.
    """
    _need_library()
    import hashlib

    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    key = _load(key_file)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise RefusedError(
            f"{show(key_file)} is no ECDSA key, which model signatures are made with",
            hint="openssl ecparam -name prime256v1 -genkey -noout -out key.pem",
        )
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return key.sign(message, ec.ECDSA(_hash_for(key.curve))), hashlib.sha256(public).hexdigest()


def is_good(kind: str, key: bytes, signature: bytes, message: bytes) -> bool:
    """Say whether a public key, given in OpenSSH's form, made a signature."""
    _need_library()
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519
    from cryptography.hazmat.primitives.serialization import load_ssh_public_key

    try:
        public = load_ssh_public_key(f"{kind} {base64.b64encode(key).decode()}".encode())
        if isinstance(public, ed25519.Ed25519PublicKey):
            public.verify(signature, message)
        elif isinstance(public, ec.EllipticCurvePublicKey):
            public.verify(signature, message, ec.ECDSA(_hash_for(public.curve)))
        else:
            return False
    except (InvalidSignature, UnsupportedAlgorithm, ValueError):
        return False
    return True


def _load(key_file: str) -> PrivateKeyTypes:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    if not os.path.isfile(key_file):
        raise NotFoundError(f"there is no key {show(key_file)}")
    try:
        with open(key_file, "rb") as file:
            data = file.read(_MAX_KEY)
    except OSError as error:
        raise failure(error, "read", key_file) from error
    try:
        return load_pem_private_key(data, password=None)
    except TypeError as error:
        raise RefusedError(
            f"the key {show(key_file)} has a passphrase",
            hint="an ssh key (--ssh-key) may have one; ssh-keygen or its agent asks for it",
        ) from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise FormatError(
            f"{show(key_file)} holds no private key in PEM", hint="--ssh-key takes keys of OpenSSH"
        ) from error


def _hash_for(curve: EllipticCurve) -> Any:
    from cryptography.hazmat.primitives import hashes

    if curve.key_size <= 256:
        return hashes.SHA256()
    return hashes.SHA384() if curve.key_size <= 384 else hashes.SHA512()


def _need_library() -> None:
    try:
        import cryptography  # noqa: F401 - only whether it is there
    except ImportError as error:
        raise SystemFailure(
            "keys in PEM need the library cryptography",
            hint="pip install 'dver[sign]', or use an ssh key",
        ) from error
