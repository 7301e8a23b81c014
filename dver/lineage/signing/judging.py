"""What signatures are worth: over the right bytes, by a key that is trusted."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from dver.base.dataclass import dataclass
from dver.base.errors import FormatError
from dver.base.oid import oid_of
from dver.base.quoting import show
from dver.formats import canonical
from dver.lineage.exporting.intoto import STATEMENT
from dver.lineage.exporting.spelling import RECORD, Recorded, text
from dver.lineage.signing import pemkeys, signers, sshkeys
from dver.lineage.signing.dsse import Envelope, Signature
from dver.lineage.signing.signers import Signer, Trust

Judgement = Literal["good", "unsigned", "untrusted", "bad"]


@dataclass(frozen=True, slots=True)
class Judged:
    """One signature: its key's fingerprint, who that is, and what it is worth."""

    key: str
    principal: str
    verdict: Judgement
    note: str = ""


def judge(envelope: Envelope, trust: Trust, environ: Mapping[str, str]) -> list[Judged]:
    """Judge each signature of an envelope."""
    known = list(signers.signers(trust.data))
    return [
        _judge_ssh(one, envelope.signed, trust, environ)
        if sshkeys.is_ssh_signature(one.data)
        else _judge_plain(one, envelope.signed, known, trust)
        for one in envelope.signatures
    ]


def overall(judged: Sequence[Judged]) -> Judgement:
    """Return what all signatures together are worth: one good one is enough."""
    for verdict in ("good", "bad", "untrusted"):
        if any(one.verdict == verdict for one in judged):
            return verdict
    return "unsigned"


def _judge_ssh(one: Signature, signed: bytes, trust: Trust, environ: Mapping[str, str]) -> Judged:
    try:
        key = signers.fingerprint(sshkeys.public_key_of(one.data))
    except FormatError as error:
        return Judged(one.key, "", "bad", error.message)
    if not sshkeys.is_sound(one.data, signed, environ):
        return Judged(key, "", "bad", "this key did not sign this")
    principal = sshkeys.signer_of(one.data, signed, trust.data, environ)
    if principal is None:
        return Judged(key, "", "untrusted", f"no such key is valid in {trust.where}")
    return Judged(key, principal, "good")


def _judge_plain(one: Signature, signed: bytes, known: Sequence[Signer], trust: Trust) -> Judged:
    lines = [signer for signer in known if signer.fingerprint == one.key]
    if not lines:
        return Judged(one.key, "", "untrusted", f"no such key is in {trust.where}")
    if not pemkeys.is_good(lines[0].kind, lines[0].key, one.data, signed):
        return Judged(one.key, "", "bad", "this key did not sign this")
    now = signers.now()
    problems = [signer.problem(now) for signer in lines]
    if "" in problems:
        return Judged(one.key, lines[problems.index("")].principal, "good")
    return Judged(one.key, lines[0].principal, "untrusted", problems[0])


def misfit(payload: bytes, one: Recorded) -> str:
    """Return why signed bytes are not the statement of a record, "" if they are.

    The statement has the record in it, whole, so that its id follows from the signed bytes alone.
    """
    try:
        fields = json.loads(payload)
        if fields["_type"] != STATEMENT or fields["predicateType"] != RECORD:
            return "what was signed is no statement about a record"
        if oid_of(canonical.dump(fields["predicate"])) != one.id:
            return "what was signed is another record"
        subjects = {_subject(each) for each in fields["subject"]}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return "what was signed is no statement about a record"
    for item in one.value.outputs:
        if (text(item.path), item.oid.hex()) not in subjects:
            return f"what was signed does not name the output {show(item.path)}"
    return ""


def _subject(fields: Any) -> tuple[str, str]:
    return str(fields["name"]), str(fields["digest"].get("blake3", ""))
