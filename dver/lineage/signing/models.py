"""OpenSSF model signatures, version 1.0: https://github.com/sigstore/model-transparency.

A Sigstore bundle around a DSSE envelope around an in-toto statement, whose predicate has the
SHA-256 of every file of a model.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence

from dver.lineage.exporting.intoto import STATEMENT
from dver.lineage.signing.dsse import PAYLOAD_TYPE

PREDICATE = "https://model_signing/signature/v1.0"
BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json"
#: What a verifier passes over in a directory: the signature itself, and git's own files.
IGNORED = ("model.sig", ".git", ".gitattributes", ".github", ".gitignore")
#: The name of the one file of a model that is no directory.
SELF = "."


def statement(name: str, files: Sequence[tuple[str, str]]) -> bytes:
    """Return the statement about a model: ``files`` are (path in it, SHA-256 in hex digits)."""
    listed = [one for one in sorted(files) if one[0].split("/")[0] not in IGNORED]
    whole = hashlib.sha256(b"".join(bytes.fromhex(digest) for _, digest in listed))
    fields = {
        "_type": STATEMENT,
        "subject": [{"name": name, "digest": {"sha256": whole.hexdigest()}}],
        "predicateType": PREDICATE,
        "predicate": {
            "serialization": {
                "method": "files",
                "hash_type": "sha256",
                "allow_symlinks": False,
                "ignore_paths": list(IGNORED),
            },
            "resources": [
                {"name": path, "algorithm": "sha256", "digest": digest} for path, digest in listed
            ],
        },
    }
    return json.dumps(fields, sort_keys=True).encode()


def bundle(payload: bytes, signature: bytes, hint: str) -> bytes:
    """Return the bundle of a statement and a signature; ``hint`` names the public key."""
    fields = {
        "mediaType": BUNDLE,
        "verificationMaterial": {"publicKey": {"hint": hint}, "tlogEntries": []},
        "dsseEnvelope": {
            "payload": base64.b64encode(payload).decode(),
            "payloadType": PAYLOAD_TYPE,
            "signatures": [{"sig": base64.b64encode(signature).decode(), "keyid": ""}],
        },
    }
    return json.dumps(fields).encode() + b"\n"
