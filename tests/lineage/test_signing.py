"""Signed records, with real keys: who may sign, and whom to trust."""

from __future__ import annotations

import base64
import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from securesystemslib.dsse import Envelope
from securesystemslib.signer import CryptoSigner, SSlibKey

from dver.formats import recordpath
from dver.lineage.signing import dsse, judging, signers
from tests.lineage.conftest import Project
from tests.lineage.signed import (
    line_of,
    model,
    pem_key,
    signature_file,
    signed,
    ssh_key,
    trust,
    verdict,
)
from tests.support.cli import Done, Dver
from tests.support.gitrepo import GitRepo

__all__ = ["model"]


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa", "rsa"])
def test_ssh_keys(model: Project, kind: str) -> None:
    key = ssh_key(model, kind=kind)
    assert verdict(model, 1)["verdict"] == "unsigned"
    done = model.dver("sign", "--json", "--ssh-key", key, "model.json").result
    assert (done["trusted"], done["signatures"]) == (False, 1)
    found = verdict(model, 1)
    assert found["verdict"] == "untrusted"
    assert found["signatures"][0]["principal"] == ""
    trust(model, done["line"] + "\n")
    found = verdict(model, 0)
    (one,) = found["signatures"]
    assert (one["key"], one["verdict"]) == (done["key"], "good")
    assert done["line"].startswith(one["principal"])
    listed = subprocess.run(["ssh-keygen", "-lf", key], capture_output=True, text=True, check=True)
    assert listed.stdout.split()[1] == done["key"]
    assert recordpath.id_of(str(signature_file(model)).encode()) is None


@pytest.mark.parametrize(
    "key",
    [
        ed25519.Ed25519PrivateKey.generate(),
        *(ec.generate_private_key(one()) for one in (ec.SECP256R1, ec.SECP384R1, ec.SECP521R1)),
    ],
    ids=["ed25519", "p256", "p384", "p521"],
)
def test_pem_keys_and_another_program(model: Project, key: Any) -> None:
    done = model.dver("sign", "--json", "--key", pem_key(model, key), "model.json").result
    assert verdict(model, 1)["verdict"] == "untrusted"
    trust(model, done["line"] + "\n")
    assert verdict(model, 0)["signatures"][0]["key"] == done["key"]
    data = signature_file(model).read_bytes()
    envelope = Envelope.from_dict(json.loads(data))
    public = SSlibKey.from_crypto(key.public_key(), keyid=done["key"])
    assert list(envelope.verify([public], 1)) == [done["key"]]
    fields = json.loads(data)
    fields["signatures"][0]["sig"] = base64.b64encode(b"\0" * 64).decode()
    signature_file(model).write_text(json.dumps(fields))
    verdict(model, 7)


def test_what_was_signed_by_another_program(model: Project) -> None:
    key = ed25519.Ed25519PrivateKey.generate()
    done = model.dver("sign", "--json", "--key", pem_key(model, key), "model.json").result
    trust(model, done["line"] + "\n")
    fields = json.loads(signature_file(model).read_bytes())
    envelope = Envelope.from_dict(fields)
    envelope.signatures.clear()
    envelope.sign(CryptoSigner(key, SSlibKey.from_crypto(key.public_key(), keyid=done["key"])))
    signature_file(model).write_text(json.dumps(envelope.to_dict()))
    verdict(model, 0)


def test_from_a_clone_and_at_a_revision(model: Project, tmp_path: Path) -> None:
    signed(model)
    model.git.git("tag", "v1")
    model.write("params.json", '{"rate": 3}')
    model.train()
    model.commit("another")
    clone = Dver(GitRepo.clone(model.path, tmp_path / "clone").path)
    assert clone("verify", "model.json", code=1).stdout.startswith("UNSIGNED")
    done = clone("verify", "model.json@v1")
    assert "good       ada@example.com SHA256:" in done.stdout
    assert "GOOD: signed by somebody whom the default branch trusts" in done.stdout
    # The signature is found in history, too.
    GitRepo(tmp_path / "clone").git("rm", "-rq", ".dver/records")
    clone("verify", "model.json@v1")


def test_the_statement_is_what_lineage_prints(model: Project) -> None:
    signed(model)
    payload = json.loads(dsse.decode(signature_file(model).read_bytes()).payload)
    assert payload == json.loads(model.dver("lineage", "--format", "in-toto", "model.json").stdout)


# whom to trust


def test_a_key_that_only_the_feature_branch_trusts(model: Project, tmp_path: Path) -> None:
    """Nor in the work tree, nor in the commit that is verified."""
    mine = ssh_key(model, "mine")
    model.git.git("checkout", "-qb", "feature")
    model.dver("sign", "-q", "--ssh-key", mine, "model.json")
    trust(model, line_of(mine))
    found = verdict(model, 1)
    assert (found["verdict"], found["trust"]) == ("untrusted", ".dver/allowed_signers of main")
    assert verdict(model, 1, "model.json@feature")["verdict"] == "untrusted"
    # Also in a clone that has only that branch checked out, and whose own main is ahead.
    clone = GitRepo.clone(model.path, tmp_path / "clone", "--branch=feature")
    clone.git("remote", "set-head", "origin", "main")
    dver = Dver(clone.path)
    assert "of origin/main" in dver("verify", "model.json", code=1).stdout
    clone.git("branch", "main", "feature")
    dver("verify", "model.json", code=1)
    # Once it is merged, it counts.
    model.git.git("checkout", "-q", "main")
    model.git.git("merge", "-q", "feature")
    verdict(model, 0)
    clone.git("fetch", "-q")
    dver("verify", "model.json")


def test_without_a_default_branch(model: Project) -> None:
    key = signed(model)
    assert verdict(model, 0)["trust"] == ".dver/allowed_signers of main"
    model.git.git("branch", "-m", "trunk")
    found = verdict(model, 1)
    assert found["trust"] == "the default branch, which is not in this clone"
    model.git.git("branch", "master")
    verdict(model, 0)
    assert Path(key).exists()


def test_a_symlink_is_no_list_of_keys(model: Project) -> None:
    signed(model)
    path = model.path / ".dver/allowed_signers"
    path.rename(model.path / "elsewhere")
    path.symlink_to("../elsewhere")
    model.commit("link")
    verdict(model, 1)


#: Options of a line, and whether it counts with them.
OPTIONS = {
    'namespaces="dver"': True,
    'namespaces="git,dv*"': True,
    'namespaces="git"': False,
    'namespaces="*,!dver"': False,
    'valid-before="20200101"': False,
    'valid-after="20990101Z"': False,
    'valid-after="20200101Z",valid-before="209901010000Z"': True,
    'valid-before="soon"': False,
    "cert-authority": False,
}


def test_options_of_allowed_signers(model: Project) -> None:
    """They mean the same for keys that ssh-keygen checks and for those that dver checks."""
    ssh = ssh_key(model)
    pem = pem_key(model, ed25519.Ed25519PrivateKey.generate())
    lines = [
        model.dver("sign", "--json", option, key, "model.json").result["line"]
        for option, key in (("--ssh-key", ssh), ("--key", pem))
    ]
    envelope = dsse.decode(signature_file(model).read_bytes())
    for options, counts in OPTIONS.items():
        data = "".join(f"somebody {options} {' '.join(one.split()[-2:])}\n" for one in lines)
        judged = judging.judge(envelope, signers.Trust("main", data.encode()), os.environ)
        wanted = "good" if counts else "untrusted"
        assert [one.verdict for one in judged] == [wanted] * 2, options
    trust(model, f"somebody {lines[1].split(' ', 1)[1]}\n")
    verdict(model, 0)


def test_lines_that_do_not_parse_are_passed_over() -> None:
    lines = b"# x\n\nada\nada ssh-ed25519\nada ssh-ed25519 !\nada what AAAA\n\xff ssh-x AA==\n"
    assert [one.key for one in signers.signers(lines)] == [b"\0"]


# signing


def test_several_may_sign(model: Project) -> None:
    first = signed(model)
    second = ssh_key(model, "second")
    done = model.dver("sign", "--json", "--ssh-key", second, "model.json").result
    assert done["signatures"] == 2
    found = verdict(model, 0)
    assert [one["verdict"] for one in found["signatures"]] == ["good", "untrusted"]
    trust(model, line_of(second, "bob@example.com"))
    assert [one["verdict"] for one in verdict(model, 0)["signatures"]] == ["untrusted", "good"]
    assert model.dver("sign", "--json", "--ssh-key", first, "model.json").result["signatures"] == 2


def test_with_the_key_that_git_signs_with(model: Project) -> None:
    assert "which key" in model.dver("sign", "model.json", code=2).stderr
    key = ssh_key(model)
    model.git.git("config", "user.signingkey", key)
    model.dver("sign", "model.json", code=2)
    model.git.git("config", "gpg.format", "ssh")
    done = model.dver("sign", "model.json")
    assert "signed" in done.stdout
    assert "does not trust this key" in done.stderr
    assert verdict(model, 1)["verdict"] == "untrusted"


def test_a_run_after_signing_is_of_clean_code(model: Project) -> None:
    signed(model)
    model.dver("sign", "-q", "--ssh-key", str(model.path.parent / "key"), "model.json")
    model.train("--clean")


def wrong_keys(model: Project) -> list[tuple[list[str], int, str]]:
    locked = pem_key(model, ed25519.Ed25519PrivateKey.generate(), "locked.pem", b"secret")
    rsa_key = pem_key(model, rsa.generate_private_key(65537, 2048), "rsa.pem")
    text = str(model.write("text.txt", "hello"))
    return [
        (["--key", "gone.pem"], 4, "there is no key"),
        (["--ssh-key", "gone"], 4, "there is no key"),
        (["--key", locked], 5, "has a passphrase"),
        (["--key", rsa_key], 5, "neither an ed25519 nor an ECDSA key"),
        (["--key", text], 7, "no private key in PEM"),
        (["--ssh-key", text], 5, "ssh-keygen cannot sign"),
        (["--ssh-key", text, "--key", text], 2, "with one key"),
    ]


def test_keys_that_cannot_be_used(model: Project) -> None:
    for args, code, words in wrong_keys(model):
        done: Done = model.dver("sign", *args, "model.json", code=code)
        assert words in done.stderr
        assert "secret" not in done.stderr
    assert not list((model.path / ".dver/records").rglob("*.dsse.json"))


def test_without_ssh_keygen(model: Project, tmp_path: Path) -> None:
    key = signed(model)
    for name in ("git", "python3"):
        found = subprocess.run(["which", name], capture_output=True, text=True, check=True)
        (tmp_path / "bin").mkdir(exist_ok=True)
        (tmp_path / "bin" / name).symlink_to(found.stdout.strip())
    env = {"PATH": str(tmp_path / "bin")}
    assert "not installed" in model.dver("verify", "model.json", env=env, code=10).stderr
    model.dver("sign", "--ssh-key", key, "model.json", env=env, code=10)


def test_bytes_that_went_meanwhile_make_another_statement(model: Project) -> None:
    import shutil

    signed(model)
    for name in ("packs", "index"):
        shutil.rmtree(model.path / ".git/dver" / name)
    key = ssh_key(model, "second")
    done = model.dver("sign", "--ssh-key", key, "model.json", code=5)
    assert "another statement of this record was signed before" in done.stderr
    verdict(model, 0, "model.json@HEAD")


def test_odd_names(project: Project) -> None:
    code = "open('a b\\u00fc\\udcff', 'wb').close()"
    project.dver("run", "-o", "a b\u00fc\udcff", "--", "python3", "-c", code)
    project.commit()
    key = ssh_key(project, "my key")
    trust(project, line_of(key, '"ada lovelace"'))
    project.dver("sign", "-q", "--ssh-key", key, "a b\u00fc\udcff")
    found = verdict(project, 0, "a b\u00fc\udcff")
    assert found["signatures"][0]["verdict"] == "good"
