"""One target that cannot be read keeps no other from being checked out."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from dver.base.errors import CorruptError
from dver.formats import pack
from dver.ops.data.status import StatusOptions, status
from dver.store import layout
from tests.support.workrepo import WorkRepo


def damage(repo: WorkRepo, target: str) -> None:
    """Flip a bit in the listing of a directory."""
    opened = repo.open()
    place = opened.store.place(repo.pointer(target).oid)
    assert place is not None
    path = Path(opened.store.local_directory(), layout.pack_key(place.pack))
    opened.close()
    content = bytearray(path.read_bytes())
    content[place.offset + pack.FRAME.size] ^= 1
    os.chmod(path, 0o644)
    path.write_bytes(content)


@pytest.fixture
def repo(tmp_path: Path) -> WorkRepo:
    made = WorkRepo.create(tmp_path / "repo")
    for name in ("a", "b", "c"):
        made.write(f"{name}/file", f"content of {name}")
    made.add("a", "b", "c")
    made.commit("data")
    damage(made, "b")
    made.unlink("a/file", "b/file", "c/file")
    return made


def test_the_others_are_checked_out_and_the_error_tells(repo: WorkRepo) -> None:
    with pytest.raises(CorruptError, match="b cannot be compared") as caught:
        repo.checkout()
    assert "fsck" in (caught.value.hint or "")
    assert repo.tree("a") == {"file": b"content of a"}
    assert repo.tree("c") == {"file": b"content of c"}
    assert repo.tree("b") == {}
    states = {one.path: one.data_state for one in repo.status().targets}
    assert states == {"a": "unchanged", "b": "unknown", "c": "unchanged"}


def test_a_part_of_it_as_well(repo: WorkRepo) -> None:
    with pytest.raises(CorruptError):
        repo.checkout("a", "b/file")
    assert repo.tree("a") == {"file": b"content of a"}


def test_removing_stops_before_anything_is_done(repo: WorkRepo) -> None:
    repo.write("a/file", "content of a")
    with pytest.raises(CorruptError):
        repo.rm("a", "b")
    assert repo.tree("a") == {"file": b"content of a"}
    assert repo._run(status, StatusOptions(), "").targets


def test_a_pipe_among_what_is_remembered_of_a_remote_stops_nobody(
    repo: WorkRepo, tmp_path: Path
) -> None:
    from dver.ops.sharing.push import PushOptions, push
    from dver.ops.sharing.remote import AddRemoteOptions, add_remote

    repo._run(add_remote, AddRemoteOptions("nas", str(tmp_path / "nas")), "")
    repo._run(push, PushOptions(paths=("a",)), "")
    cache = repo.path / ".git/dver/remotes/nas"
    for path in [path for path in cache.rglob("*") if path.is_file()]:
        path.unlink()
        os.mkfifo(path)
    assert repo.status_of("a").unpushed
    assert repo._run(push, PushOptions(paths=("a", "c")), "").session
