"""``export dvc``: the real DVC lays out the same bytes and finds nothing to do."""

from __future__ import annotations

import os
from pathlib import Path

from tests.migration.conftest import Project, run_dvc

CHECK = """
import sys
from dvc.repo import Repo
repo = Repo(".")
repo.checkout()
print(repo.status())
repo.close()
"""


def test_dvc_lays_it_out_again(dvc: Project, tmp_path: Path) -> None:
    dvc.write("big.bin", os.urandom(600_000))
    dvc.dver("init")
    dvc.dver("add", "big.bin")
    dvc.dver("migrate", "dvc")
    done = dvc.dver("export", "dvc", str(tmp_path / "out"))
    assert "7 targets as DVC's" in done.stdout
    assert run_dvc(CHECK, tmp_path / "out").splitlines()[-1] == "{}"
    for name in ("big.bin", "model.bin", "data/moved.txt", "data/sub/deep/ü ö.txt"):
        assert (tmp_path / "out" / name).read_bytes() == (dvc.path / name).read_bytes()
    assert os.access(tmp_path / "out/model.bin", os.X_OK)
    assert (tmp_path / "out/data.dvc").read_bytes() == (dvc.path / "data.dvc").read_bytes()
    # A second time there is nothing new; in place DVC has all but one already.
    again = dvc.dver("export", "dvc", str(tmp_path / "out"))
    assert "0 objects, 0 B written" in again.stdout
    assert dvc.dver("export", "dvc", "--in-place").stdout.splitlines()[0] == "wrote  big.bin.dvc"
    assert run_dvc(CHECK, dvc.path).splitlines()[-1] == "{}"


def test_what_dvc_cannot_say(dvc: Project, tmp_path: Path) -> None:
    dvc.dver("init")
    dvc.write("odd/plain", "x")
    (dvc.path / "odd/link").symlink_to("plain")
    (dvc.path / "odd/void").mkdir()
    dvc.dver("add", "odd")
    done = dvc.dver("export", "dvc", str(tmp_path / "out"), code=5)
    assert "  odd/link\n  odd/void\n" in done.stderr
    assert not (tmp_path / "out/odd.dvc").exists()
    done = dvc.dver("export", "dvc", str(tmp_path / "out"), "--lossy")
    assert "odd/link: DVC has no word for it" in done.stderr
    assert (tmp_path / "out/odd.dvc").exists()


def test_other_content_is_not_written_over(dvc: Project, tmp_path: Path) -> None:
    dvc.dver("migrate", "dvc", "model.bin")
    dvc.dver("export", "dvc", str(tmp_path / "out"))
    dvc.write("model.bin", "other")
    dvc.dver("add", "model.bin")
    done = dvc.dver("export", "dvc", str(tmp_path / "out"), code=5)
    assert "is there already, and is of other content" in done.stderr
    done = dvc.dver("export", "dvc", "--in-place", code=5)
    assert "model.bin.dvc names other content of model.bin" in done.stderr
    dvc.write("here/x", "")
    assert "is no project of DVC" in dvc.dver("export", "dvc", "here", code=5).stderr
    assert "name a DIR, or give --in-place" in dvc.dver("export", "dvc", code=2).stderr
