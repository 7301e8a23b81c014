"""OpenSSF model signatures, verified by the program that others verify them with."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.lineage.conftest import Project


def key_pair(directory: Path, curve: str) -> tuple[Path, Path]:
    private, public = directory / "key.pem", directory / "public.pem"
    made = ["openssl", "ecparam", "-name", curve, "-genkey", "-noout", "-out", private]
    subprocess.run(made, check=True)
    subprocess.run(
        ["openssl", "ec", "-in", private, "-pubout", "-out", public],
        check=True,
        capture_output=True,
    )
    return private, public


def verify(model: Path, signature: Path, public: Path) -> Any:
    # In a process of its own: it sets up logging and warns of what it imports.
    command = [sys.executable, "-m", "model_signing", "verify", "key", str(model)]
    command += ["--signature", str(signature), "--public_key", str(public)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_a_directory_and_a_file(project: Project, tmp_path: Path) -> None:
    private, public = key_pair(tmp_path, "prime256v1")
    project.write("model/weights.bin", "weights")
    project.write("model/deep/config.json", "{}")
    project.dver("add", "-q", "model")
    project.commit("model")
    args = ("sign", "--json", "--key", private, "--model-signature")
    result = project.dver(*args, "model/model.sig", "model").result
    assert result["files"] == 2
    done = verify(project.path / "model", project.path / "model" / "model.sig", public)
    assert done.returncode == 0, done.stdout + done.stderr

    (project.path / "model" / "weights.bin").write_text("tampered")
    done = verify(project.path / "model", project.path / "model" / "model.sig", public)
    assert done.returncode != 0
    # What is signed is the recorded version, so that it can be signed again all the same.
    project.dver("get", "-q", "--rev", "HEAD", "model", "-o", str(tmp_path / "model"))
    assert verify(tmp_path / "model", project.path / "model" / "model.sig", public).returncode == 0


def test_a_file_with_another_curve(project: Project, tmp_path: Path) -> None:
    private, public = key_pair(tmp_path, "secp384r1")
    project.write("model.bin", "weights")
    project.dver("add", "-q", "model.bin")
    done = project.dver("sign", "--key", private, "--model-signature", "model.sig", "model.bin")
    assert done.stdout.startswith("signed     model.bin in model.sig (1 file)")
    done = verify(project.path / "model.bin", project.path / "model.sig", public)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("args", "code", "message"),
    [
        (("--model-signature", "x.sig", "data"), 2, "needs an ECDSA key"),
        (("--key", "no.pem", "--model-signature", "x.sig", "data"), 4, "there is no key "),
        (("--key", "ed.pem", "--model-signature", "x.sig", "data"), 5, "is no ECDSA key"),
        (("--key", "ed.pem", "--model-signature", "x.sig", "gone"), 4, "does not track"),
    ],
)
def test_what_cannot_be_signed(
    project: Project, args: tuple[str, ...], code: int, message: str
) -> None:
    subprocess.run(
        ["openssl", "genpkey", "-algorithm", "ed25519", "-out", project.path / "ed.pem"], check=True
    )
    assert message in project.dver("sign", *args, code=code).stderr
    assert not (project.path / "x.sig").exists()
