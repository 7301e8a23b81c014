"""Remotes of DVC: which are asked, with what credentials, and what happens when one is down."""

from __future__ import annotations

import os
import shutil
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest

from dver.storage.s3 import S3Storage
from dver.storage.s3.settings import resolve
from tests.migration.conftest import Project, cached, drop_cache, drop_data
from tests.support.s3server import S3Server


def test_a_remote_on_s3_with_credentials_of_its_own(
    dvc: Project, moto_s3: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket = moto_s3.new_bucket()
    storage = S3Storage(resolve(bucket, "deep", moto_s3.options, moto_s3.environ))
    remote = dvc.path.parent / "remote"
    for path in remote.rglob("*"):
        if path.is_file():
            storage.put(path.relative_to(remote).as_posix(), path.read_bytes())
    storage.close()
    config = dvc.path / ".dvc/config"
    config.chmod(0o644)
    config.write_text(
        f"[core]\n    remote = s\n['remote \"s\"']\n    url = s3://{bucket}/deep\n"
        f"    endpointurl = {moto_s3.endpoint}\n"
    )
    (dvc.path / ".dvc/config.local").write_text(
        "['remote \"s\"']\n"
        f"    access_key_id = {moto_s3.access_key}\n    secret_access_key = {moto_s3.secret_key}\n"
    )
    dvc.commit("on S3")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    drop_cache(dvc)
    drop_data(dvc)
    place = f"s3://{bucket}/deep at {moto_s3.endpoint}"
    refused = dvc.dver("migrate", "dvc", "data", "model.bin", code=6).stderr
    assert f"{place} comes from .dvc/config" in refused
    assert "hint: if you know that place: dver migrate dvc --trust" in refused
    done = dvc.dver("migrate", "dvc", "--trust", "data", "model.bin")
    assert f"may be read from now on in this clone: {place}" in done.stdout
    dvc.dver("checkout", "data")
    assert (dvc.path / "data/a.txt").read_text() == "alpha again\n"
    secret = moto_s3.secret_key.encode()
    for directory, _, files in os.walk(dvc.path):
        for name in files:
            if name != "config.local":
                assert secret not in Path(directory, name).read_bytes()


def test_a_remote_that_is_down_takes_only_what_it_has(
    dvc: Project, moto_s3: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is here is taken over, the rest is told, and another run goes on with it."""
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setattr("dver.base.clock.sleep", lambda _seconds: None)
    bucket = moto_s3.new_bucket()
    storage = S3Storage(resolve(bucket, "deep", moto_s3.options, moto_s3.environ))
    for path in (dvc.path.parent / "remote").rglob("*"):
        if path.is_file():
            key = path.relative_to(dvc.path.parent / "remote").as_posix()
            storage.put(key, path.read_bytes())
    storage.close()
    good = (
        f"['remote \"store\"']\n    url = s3://{bucket}/deep\n"
        f"    endpointurl = {moto_s3.endpoint}\n"
        f"    access_key_id = {moto_s3.access_key}\n    secret_access_key = {moto_s3.secret_key}\n"
    )
    local = dvc.path / ".dvc/config.local"
    local.write_text(good.replace(moto_s3.endpoint, "http://127.0.0.1:9"))
    shutil.rmtree(dvc.path.parent / "remote")
    cached(dvc, b"gamma\n").unlink()
    cached(dvc, b"m" * 5000).unlink()
    shutil.rmtree(dvc.path / "data")
    (dvc.path / "model.bin").unlink()
    done = dvc.dver("migrate", "dvc", code=6)
    assert "not taken: data: sub/deep/ü ö.txt is not to be had from" in done.stderr
    assert "not taken: model.bin: its content is not to be had from" in done.stderr
    assert "store: " in done.stderr
    assert (dvc.path / "out.txt.dver").exists() and not (dvc.path / "data.dver").exists()
    first = set((dvc.path / ".dver/records").rglob("*.json"))
    local.write_text(good)
    dry = dvc.dver("migrate", "dvc", "--dry-run", "--json").result
    assert "dver.yaml" not in dry["writes"]
    done = dvc.dver("migrate", "dvc")
    assert done.stderr == ""
    assert {"data.dver", "model.bin.dver"} <= dvc.changed()
    # The records that wanted for this data are made up for.
    second = set((dvc.path / ".dver/records").rglob("*.json"))
    assert first < second and len(second - first) == dry["records"]
    dvc.commit("moved to dver")
    assert dvc.dver("migrate", "dvc", "--dry-run", "--json").result["writes"] == []


class _Asked(BaseHTTPRequestHandler):
    """A server that has nothing and notes what it is asked for."""

    paths: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        self.paths.append(self.path)
        self.send_error(404)

    do_HEAD = do_GET  # noqa: N815  the name that the library looks for

    def log_message(self, *_args: object) -> None:
        """Say nothing."""


def test_only_who_was_named_here_is_asked(dvc: Project) -> None:
    """Old revisions too ask no machine that only the committed settings lead to."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Asked)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}/x"
    config = dvc.path / ".dvc/config"
    config.chmod(0o644)
    config.write_text(f"[core]\n    remote = s\n['remote \"s\"']\n    url = {url}\n")
    dvc.commit("v3")
    dvc.git("tag", "v3")
    dvc.dver("migrate", "dvc", "model.bin")
    shutil.rmtree(dvc.path / ".dvc")
    shutil.rmtree(dvc.path / ".git/dver")
    for path in (*dvc.path.glob("*.dvc"), dvc.path / "dvc.lock"):
        path.unlink()
    dvc.commit("dver alone")
    done = dvc.dver("ls", "--rev", "v3", "data", code=6)
    assert f"{url} comes from .dvc/config" in done.stderr and not _Asked.paths
    # The settings of before are meant: nothing of DVC is left in the work tree.
    assert url in dvc.dver("migrate", "dvc", "--trust").stdout
    dvc.dver("ls", "--rev", "v3", "data", code=6)
    assert _Asked.paths
    server.shutdown()
    server.server_close()


def test_settings_that_cannot_be_read_leave_the_cache(dvc: Project) -> None:
    config = dvc.path / ".dvc/config"
    config.chmod(0o644)
    config.write_text("core\n")
    dvc.dver("migrate", "dvc")
    assert (dvc.path / "model.bin.dver").exists()


def test_only_remotes_that_have_it_are_asked(dvc: Project) -> None:
    """The default one, and those that an out names; not one that is out of reach and no use."""
    shutil.rmtree(dvc.path / ".dvc/cache")
    shutil.copytree(dvc.path.parent / "remote", dvc.path.parent / "other")
    shutil.rmtree(dvc.path.parent / "remote")
    config = dvc.path / ".dvc/config"
    config.chmod(0o644)
    text = config.read_text()
    config.write_text(
        f"{text}['remote \"other\"']\n    url = ../../other\n"
        "['remote \"far\"']\n    url = s3://nowhere/x\n    endpointurl = http://127.0.0.1:9\n"
    )
    (dvc.path / "model.bin").unlink()
    dvc.dver("migrate", "dvc", "model.bin", code=6)
    pointer = dvc.path / "model.bin.dvc"
    pointer.chmod(0o644)
    pointer.write_text(pointer.read_text() + "  remote: other\n")
    dvc.dver("migrate", "dvc", "model.bin")
    assert (dvc.path / "model.bin.dver").exists()
