"""A model that was signed with real keys, for tests of signatures."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from tests.lineage.conftest import Project


def ssh_key(project: Project, name: str = "key", kind: str = "ed25519") -> str:
    """Make an ssh key outside of the repository; return its path."""
    path = project.path.parent / name
    args = ["ssh-keygen", "-q", "-t", kind, "-N", "", "-C", name, "-f", str(path)]
    subprocess.run(args, check=True, capture_output=True)
    return str(path)


def pem_key(project: Project, key: Any, name: str = "key.pem", password: bytes = b"") -> str:
    path = project.path.parent / name
    how = BestAvailableEncryption(password) if password else NoEncryption()
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, how))
    return str(path)


def line_of(key: str, who: str = "ada@example.com", options: str = "") -> str:
    kind, text = Path(f"{key}.pub").read_text().split()[:2]
    return f"{who} {options} {kind} {text}\n"


def trust(project: Project, *lines: str) -> None:
    """Let the main branch, on which we are, trust some keys."""
    project.write(".dver/allowed_signers", "# who may sign\n" + "".join(lines))
    project.commit("trust")


def verdict(project: Project, code: int, target: str = "model.json", **more: Any) -> Any:
    found = project.dver("verify", "--json", target, code=code, **more).json["result"]
    words = {0: ("good",), 1: ("unsigned", "untrusted"), 7: ("bad",)}
    assert found["verdict"] in words[code]
    return found


def signature_file(project: Project) -> Path:
    (path,) = (project.path / ".dver/records").rglob("*.dsse.json")
    return path


@pytest.fixture
def model(project: Project) -> Project:
    project.train()
    project.commit("model")
    return project


def signed(model: Project) -> str:
    """Sign with a key that is trusted; return it."""
    key = ssh_key(model)
    trust(model, line_of(key))
    done = model.dver("sign", "--json", "--ssh-key", key, "model.json").result
    assert done["trusted"]
    model.commit("signed")
    return key
