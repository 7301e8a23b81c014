"""DSSE v1 envelopes: https://github.com/secure-systems-lab/dsse."""

from __future__ import annotations

import base64
import binascii
import json

from dver.base.dataclass import dataclass
from dver.base.errors import FormatError

PAYLOAD_TYPE = "application/vnd.in-toto+json"
#: An envelope is not larger than this (bytes): a record, in base64, and some signatures.
MAX_SIZE = 32 << 20
MAX_SIGNATURES = 100


@dataclass(frozen=True, slots=True)
class Signature:
    """A signature, and which key is said to have made it."""

    key: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Envelope:
    """Some bytes and signatures over them and their type."""

    payload: bytes
    signatures: tuple[Signature, ...]

    @property
    def signed(self) -> bytes:
        """The bytes that signatures are over."""
        return pre_authentication(PAYLOAD_TYPE, self.payload)


def pre_authentication(kind: str, payload: bytes) -> bytes:
    """Return DSSE's pre-authentication encoding, which binds a payload to its type."""
    name = kind.encode()
    return b"DSSEv1 %d %b %d %b" % (len(name), name, len(payload), payload)


def encode(envelope: Envelope) -> bytes:
    """Return an envelope as JSON."""
    fields = {
        "payload": base64.b64encode(envelope.payload).decode(),
        "payloadType": PAYLOAD_TYPE,
        "signatures": [
            {"keyid": one.key, "sig": base64.b64encode(one.data).decode()}
            for one in envelope.signatures
        ],
    }
    return json.dumps(fields, indent=1).encode() + b"\n"


def decode(data: bytes) -> Envelope:
    """Parse an envelope of the one type that is used here. Raises FormatError."""
    if len(data) > MAX_SIZE:
        raise FormatError(f"a signature file is longer than {MAX_SIZE} bytes")
    try:
        fields = json.loads(data)
        if fields["payloadType"] != PAYLOAD_TYPE:
            raise FormatError("a signature file is about something else than a record")
        signatures = fields["signatures"]
        if not isinstance(signatures, list) or len(signatures) > MAX_SIGNATURES:
            raise FormatError(f"a signature file has no list of at most {MAX_SIGNATURES}")
        return Envelope(
            _unpacked(fields["payload"]),
            tuple(
                Signature(str(one.get("keyid", "")), _unpacked(one["sig"])) for one in signatures
            ),
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise FormatError("a signature file is no DSSE envelope") from error


def _unpacked(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        # DSSE allows both alphabets.
        return base64.b64decode(text, altchars=b"-_", validate=True)
