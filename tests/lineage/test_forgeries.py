"""Everything that somebody might do to signed records, and to what they are about."""

from __future__ import annotations

import json
from typing import Any

from dver.base.oid import Oid, oid_of
from dver.formats import recordpath
from dver.lineage.signing import dsse, sshkeys
from tests.lineage.conftest import Project
from tests.lineage.signed import model, signature_file, signed, ssh_key, verdict

__all__ = ["model"]


def forge(project: Project, **changes: Any) -> str:
    """Write a record that says something else, with the signatures of the real one."""
    (path,) = [
        one for one in (project.path / ".dver/records").rglob("*.json") if "dsse" not in one.name
    ]
    fields = json.loads(path.read_bytes()) | changes
    data = json.dumps(fields, sort_keys=True, indent=1).encode() + b"\n"
    forged_id = oid_of(data)
    place = project.path / recordpath.path_of(forged_id).decode()
    place.parent.mkdir(exist_ok=True)
    place.write_bytes(data)
    signatures = place.with_name(f"{forged_id.hex()}.dsse.json")
    signatures.write_bytes(signature_file(project).read_bytes())
    return forged_id.hex()


def test_a_forged_record_with_the_signature_of_another(model: Project) -> None:
    signed(model)
    forged_id = forge(model, reason="approved by everybody")
    model.commit("forged")
    found = verdict(model, 7, forged_id)
    assert found["reason"] == "what was signed is another record"


def test_an_altered_record_file(model: Project) -> None:
    signed(model)
    record_id = verdict(model, 0)["record"]
    path = model.path / recordpath.path_of(Oid(bytes.fromhex(record_id))).decode()
    path.write_bytes(path.read_bytes().replace(b'"rate"', b'"Rate"'))
    assert "was altered" in verdict(model, 7)["reason"]


def test_an_altered_model(model: Project) -> None:
    signed(model)
    model.write("model.json", "{}")
    assert "is not what its pointer names" in verdict(model, 7)["reason"]
    verdict(model, 0, "model.json@HEAD")
    (model.path / "model.json").unlink()
    verdict(model, 0)


def test_an_altered_statement(model: Project) -> None:
    signed(model)
    path = signature_file(model)
    envelope = dsse.decode(path.read_bytes())
    for change in (b'"rate"', b'"sha256"'):
        payload = envelope.payload.replace(change, change.upper(), 1)
        path.write_bytes(dsse.encode(dsse.Envelope(payload, envelope.signatures)))
        found = verdict(model, 7)
        assert found["signatures"][0]["verdict"] == "bad"


def test_a_statement_that_hides_an_output(model: Project) -> None:
    key = signed(model)
    path = signature_file(model)
    fields = json.loads(dsse.decode(path.read_bytes()).payload)
    fields["subject"] = fields["subject"][:1]
    payload = json.dumps(fields).encode()
    data = sshkeys.sign(key, dsse.Envelope(payload, ()).signed, {"PATH": "/usr/bin:/bin"})
    path.write_bytes(dsse.encode(dsse.Envelope(payload, (dsse.Signature("", data),))))
    found = verdict(model, 7)
    assert found["signatures"][0]["verdict"] == "good"
    assert found["reason"] == "what was signed does not name the output metrics.json"


def test_a_replaced_signature(model: Project) -> None:
    signed(model)
    record_id = verdict(model, 0)["record"]
    path = signature_file(model)
    good = dsse.decode(path.read_bytes())
    other = ssh_key(model, "other")
    model.write("params.json", '{"rate": 4}')
    again = model.train().json["result"]["record"]
    model.dver("sign", "-q", "--ssh-key", str(model.path.parent / "key"), again)
    foreign = dsse.decode(
        (model.path / ".dver/records" / again[:2] / f"{again}.dsse.json").read_bytes()
    )
    # Of the right key, over something else.
    path.write_bytes(dsse.encode(dsse.Envelope(good.payload, foreign.signatures)))
    assert verdict(model, 7, record_id)["reason"] == "a signature does not fit what was signed"
    # The right one over the right thing, for another record.
    path.write_bytes(dsse.encode(foreign))
    assert verdict(model, 7, record_id)["reason"] == "what was signed is another record"
    # Of a key that nobody trusts.
    path.write_bytes(dsse.encode(dsse.Envelope(good.payload, ())))
    assert verdict(model, 1, record_id)["verdict"] == "unsigned"
    model.dver("sign", "-q", "--ssh-key", other, record_id)
    assert verdict(model, 1, record_id)["verdict"] == "untrusted"


NO_ENVELOPES = [
    b"",
    b"[]",
    b"{}",
    b'{"payloadType": "text/plain", "payload": "", "signatures": []}',
    b'{"payloadType": "application/vnd.in-toto+json", "payload": "!", "signatures": []}',
    b'{"payloadType": "application/vnd.in-toto+json", "payload": "", "signatures": [1]}',
    b'{"payloadType": "application/vnd.in-toto+json", "payload": "", "signatures": {}}',
    b'{"payloadType": "application/vnd.in-toto+json", "payload": "e30=", "signatures": []}',
    b"[" * 100_000,
]


def test_what_is_no_envelope(model: Project) -> None:
    key = signed(model)
    for data in NO_ENVELOPES:
        signature_file(model).write_bytes(data)
        verdict(model, 7)
    model.dver("sign", "--ssh-key", key, "model.json", code=7)
    assert signature_file(model).read_bytes() == NO_ENVELOPES[-1]


def test_signatures_that_are_none(model: Project) -> None:
    signed(model)
    path = signature_file(model)
    payload = dsse.decode(path.read_bytes()).payload
    for data in (b"SSHSIG", b"SSHSIG" + b"\0" * 40, b"SSHSIG" + b"\xff" * 40, b"x", b""):
        path.write_bytes(dsse.encode(dsse.Envelope(payload, (dsse.Signature("SHA256:x", data),))))
        assert verdict(model, 7 if data.startswith(b"SSHSIG") else 1)["verdict"] != "good"
