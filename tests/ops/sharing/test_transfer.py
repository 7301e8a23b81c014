"""push, fetch and pull between clones."""

from __future__ import annotations

import os
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from dver.base.errors import (
    ConfigError,
    CorruptError,
    DverError,
    MissingContentError,
    NotFoundError,
)
from dver.formats import root as roots
from dver.ops.sharing.fetch import FetchOptions, FetchResult, fetch
from dver.ops.sharing.pull import PullOptions, PullResult, pull
from dver.ops.sharing.push import PushOptions, PushResult, push
from tests.support.cli import Dver
from tests.support.workrepo import WorkRepo


class Peer(WorkRepo):
    """A clone that shares a remote."""

    def push(self, *paths: str, below: str = "", **options: Any) -> PushResult:
        return self._run(push, PushOptions(paths=paths, **options), below)

    def fetch(self, *paths: str, below: str = "", **options: Any) -> FetchResult:
        return self._run(fetch, FetchOptions(paths=paths, **options), below)

    def pull(self, *paths: str, below: str = "", **options: Any) -> PullResult:
        return self._run(pull, PullOptions(paths=paths, **options), below)

    def has(self, path: str) -> bool:
        """Say whether the whole content of a target is in the local store."""
        repo = self.open()
        try:
            pointer = self.pointer(path)
            if pointer.kind == "file":
                return repo.store.has(pointer.oid)
            walk = import_module("dver.store.walk")
            return all(
                repo.store.has(entry.oid)
                for _, _, tree in walk.walk(repo.store, pointer.oid)
                for entry in tree
            )
        except MissingContentError:
            return False
        finally:
            repo.close()

    def data(self, path: str, content: dict[str, str] | str, message: str | None = None) -> str:
        """Write data, add it and commit, and return the commit."""
        if isinstance(content, str):
            self.write(path, content)
        else:
            for name, text in content.items():
                self.write(f"{path}/{name}", text)
        self.add(path)
        return self.commit(message or f"data in {path}")


def remote_roots(place: Path) -> list[roots.Root]:
    return [roots.decode(path.read_bytes()) for path in sorted((place / "roots").iterdir())]


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "remote"


@pytest.fixture
def alice(tmp_path: Path, place: Path) -> Peer:
    made = Peer.create(tmp_path / "alice")
    Dver(made.path)("remote", "add", "origin", str(place))
    made.commit("remote")
    return made


def clone_of(peer: Peer, path: Path, *args: str) -> Peer:
    Peer.clone(peer.path, path, *args)
    return Peer(path)


FILES = {f"{i % 3}/{i}.txt": f"content {i}\n" * 20 for i in range(30)}


def test_a_colleague_pulls_what_was_pushed(tmp_path: Path, alice: Peer, place: Path) -> None:
    alice.data("data", FILES)
    head = alice.data("model.bin", "weights")
    pushed = alice.push()
    assert pushed.objects == 30 + 4 + 1
    assert (pushed.remote, pushed.versions, pushed.skipped) == ("origin", 2, ())
    [root] = remote_roots(place)
    assert {one.path for one in root.objects} == {"data", "model.bin"}
    assert root.commits == (head,)
    assert root.repo == alice.git("rev-list", "--max-parents=0", "HEAD").strip()
    bob = clone_of(alice, tmp_path / "bob")
    pulled = bob.pull()
    assert pulled.fetched.objects == pushed.objects
    assert bob.tree("data") == {name: text.encode() for name, text in FILES.items()}
    assert (bob.path / "model.bin").read_text() == "weights"
    assert bob.pull().fetched.requests == 0


def test_pushing_again_does_nothing_in_four_requests(alice: Peer, place: Path) -> None:
    alice.data("data", FILES)
    alice.push()
    again = alice.push()
    assert (again.objects, again.session, again.requests) == (0, None, 4)
    alice.write("code.py", "print()")
    alice.commit("code only")
    assert alice.push().session is None
    assert len(remote_roots(place)) == 1


def test_a_push_takes_older_versions_along(tmp_path: Path, alice: Peer) -> None:
    first = alice.data("data", FILES)
    alice.data("data", {"new.txt": "new"})
    alice.data("gone", "this is not in HEAD")
    os.unlink(alice.path / "gone.dver")
    alice.commit("gone")
    assert alice.push().versions == 3
    bob = clone_of(alice, tmp_path / "bob")
    bob.fetch(all=True)
    bob.checkout("data", rev=first)
    assert "new.txt" not in bob.tree("data")
    bob.git("checkout", "-q", "HEAD~1", "--", "gone.dver")
    assert bob.has("gone")


def test_older_versions_that_are_nowhere_are_skipped_and_named(
    tmp_path: Path, alice: Peer, place: Path
) -> None:
    old = alice.data("data", "version one")
    alice.data("data", "version two")
    alice.push(revisions=("HEAD",))
    bob = clone_of(alice, tmp_path / "bob")
    bob.pull()
    bob.data("more", "more data")
    pushed = bob.push()
    assert [(one.path, one.commit) for one in pushed.skipped] == [("data", old)]
    assert pushed.session
    # Who has it, sends it by a plain push, though later commits were pushed before.
    assert alice.push().objects == 1
    assert clone_of(alice, tmp_path / "carol").fetch(revisions=(old,)).objects == 1


def test_history_is_read_once(alice: Peer) -> None:
    alice.data("data", "one")
    alice.data("data", "two")
    assert alice.push().versions == 2
    assert alice.push().versions == 1
    alice.data("data", "three")
    assert alice.push().versions == 1
    assert alice.push(all=True).versions == 3


def test_workspace_pointers_are_pushed_before_they_are_committed(alice: Peer, place: Path) -> None:
    alice.data("data", "one")
    alice.write("data", "two")
    alice.add("data")
    assert alice.push().objects == 2


def test_a_range_and_a_revision(tmp_path: Path, alice: Peer, place: Path) -> None:
    commits = [alice.data("data", f"version {i}") for i in range(5)]
    assert alice.push(revisions=(f"{commits[0]}..{commits[2]}",)).objects == 2
    assert alice.push(revisions=(commits[4],)).objects == 1
    bob = clone_of(alice, tmp_path / "bob")
    assert bob.fetch(revisions=(f"{commits[0]}..{commits[2]}",)).objects == 2
    with pytest.raises(MissingContentError) as caught:
        bob.fetch(all=True)
    assert caught.value.exit_code == 6
    assert len(caught.value.paths) == 2
    assert bob.fetch().objects == 0


def test_paths_restrict_to_targets_and_parts(tmp_path: Path, alice: Peer, place: Path) -> None:
    alice.data("sets/a", FILES)
    alice.data("sets/b", {"x": "x" * 10})
    alice.data("model", "weights")
    assert alice.push("sets/a/1", "model").objects == 11 + 1
    assert {one.path for one in remote_roots(place)[0].objects} == {"sets/a/1", "model"}
    assert alice.push("a", below="sets").objects == 30 + 4 - 11
    alice.push()
    bob = clone_of(alice, tmp_path / "bob")
    pulled = bob.pull("sets/a/2")
    assert pulled.fetched.objects == 1 + 11
    assert set(bob.tree("sets/a")) == {name for name in FILES if name.startswith("2/")}
    assert not (bob.path / "model").exists()
    assert bob.pull("sets").fetched.objects == 30 + 4 + 2 - 12
    assert bob.tree("sets/a") == {name: text.encode() for name, text in FILES.items()}


@pytest.mark.parametrize("verb", ["push", "fetch", "pull"])
def test_unknown_paths_revisions_and_remotes(alice: Peer, verb: str) -> None:
    alice.data("data", FILES)
    alice.push()
    run = getattr(alice, verb)
    with pytest.raises(NotFoundError, match="nowhere"):
        run("nowhere")
    with pytest.raises(NotFoundError, match="absent"):
        run("data/absent/x")
    with pytest.raises(NotFoundError, match="v9"):
        run(revisions=("v9",))
    with pytest.raises(NotFoundError, match="backup"):
        run(remote="backup")


def test_missing_content_names_paths_oids_and_places(
    tmp_path: Path, alice: Peer, place: Path
) -> None:
    alice.data("data", FILES)
    alice.push(revisions=("HEAD",))
    lost = {**FILES, "extra": "not pushed"}
    alice.data("data", lost)
    alice.data("other", "other")
    bob = clone_of(alice, tmp_path / "bob")
    Dver(alice.path)("push", "other")
    with pytest.raises(MissingContentError) as caught:
        bob.pull()
    oid = alice.pointer("data").oid.hex()
    assert caught.value.paths == (f"data (blake3:{oid})",)
    assert "origin" in caught.value.message
    # All else was brought.
    assert (bob.path / "other").read_text() == "other"
    bob.write("mine", "mine")
    bob.add("mine")
    Dver(bob.path)("remote", "trust", "origin")
    with pytest.raises(MissingContentError) as caught:
        bob.push()
    assert caught.value.paths == (f"data (blake3:{oid})",)
    assert len(remote_roots(place)) == 3


def test_a_damaged_remote_is_told_apart_from_a_missing_object(
    tmp_path: Path, alice: Peer, place: Path
) -> None:
    alice.data("data", FILES)
    alice.push()
    victim = max((place / "packs").glob("*/*"), key=lambda path: path.stat().st_size)
    data = bytearray(victim.read_bytes())
    data[len(data) // 3] ^= 1
    victim.chmod(0o644)
    victim.write_bytes(data)
    bob = clone_of(alice, tmp_path / "bob")
    with pytest.raises(CorruptError) as caught:
        bob.pull()
    assert len(caught.value.paths) == 1
    assert len(bob.tree("data")) == 29


def test_a_dry_run_changes_nothing(tmp_path: Path, alice: Peer, place: Path) -> None:
    alice.data("data", FILES)
    told = alice.push(dry_run=True)
    assert told.objects == 34
    assert not [path for path in place.rglob("*") if path.is_file()]
    alice.push()
    bob = clone_of(alice, tmp_path / "bob")
    assert bob.fetch(dry_run=True).objects == 34
    assert bob.pull(dry_run=True).checkout is None
    assert not bob.has("data")
    assert not (bob.path / "data").exists()


def test_a_committed_remote_is_not_pushed_to_before_it_is_trusted(
    tmp_path: Path, alice: Peer
) -> None:
    alice.data("data", "x")
    bob = clone_of(alice, tmp_path / "bob")
    bob.data("mine", "y")
    with pytest.raises(ConfigError, match="agreed"):
        bob.push("mine")
    alice.push()
    bob.pull("data")  # reading shows that the place is the project's
    assert bob.push("mine").objects == 1


def test_a_broken_pointer_in_history_does_not_stop_a_push(alice: Peer) -> None:
    alice.data("data", "x")
    good = (alice.path / "data.dver").read_bytes()
    alice.write("data.dver", b"<<<<<<< ours\n")
    alice.commit("oops")
    alice.write("data.dver", good)
    alice.commit("mended")
    assert alice.push().objects == 1
    assert any("conflict" in warning for warning in alice.heard.warnings)


def test_a_repository_without_a_commit_and_a_bare_one(tmp_path: Path, place: Path) -> None:
    peer = Peer.create(tmp_path / "new")
    peer.write("data", "x")
    peer.add("data")
    peer.git("update-ref", "-d", "HEAD")
    Dver(peer.path)("remote", "add", "origin", str(place))
    assert peer.push().objects == 1
    peer.commit("first")
    Peer.clone(peer.path, tmp_path / "bare", "--bare")
    bare = Peer(tmp_path / "bare")
    assert bare.fetch().objects == 1


def test_a_shallow_clone_pushes_what_it_has(tmp_path: Path, alice: Peer, place: Path) -> None:
    alice.data("data", "one")
    alice.data("data", "two")
    alice.push()
    bob = clone_of(alice, tmp_path / "bob", "--depth=1", "--no-local")
    bob.pull()
    bob.data("data", "three")
    assert bob.push().objects == 1
    # Where history is cut, nothing tells which project it is.
    first = alice.git("rev-list", "--max-parents=0", "HEAD").strip()
    assert {root.repo for root in remote_roots(place)} == {first, ""}
    # When more history comes, it is looked at.
    bob.git("fetch", "-q", "--unshallow")
    assert bob.push().skipped == ()


@pytest.mark.parametrize("server", ["moto_s3", "rclone_s3"])
def test_through_a_real_s3_server(
    tmp_path: Path,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
    server: str,
) -> None:
    s3 = request.getfixturevalue(server)
    for name, value in s3.environ.items():
        monkeypatch.setenv(name, value)
    alice = Peer.create(tmp_path / "alice")
    Dver(alice.path)("remote", "add", "origin", s3.new_url())
    alice.data("data", {**FILES, "large": "0123456789" * 200_000})
    pushed = alice.push()
    assert pushed.requests <= 12
    assert alice.push().requests == 2
    bob = clone_of(alice, tmp_path / "bob")
    bob.pull()
    assert bob.tree("data") == alice.tree("data")
    bob.data("data", {"0/0.txt": "changed"})
    assert bob.push().requests <= 10


def test_a_server_that_says_yes_to_everything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lying_s3: Any
) -> None:
    for name, value in lying_s3.environ.items() if hasattr(lying_s3, "environ") else ():
        monkeypatch.setenv(name, value)
    alice = Peer.create(tmp_path / "alice")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "y")
    config = f"remote:\n  origin:\n    url: s3://bucket/p\n    endpoint_url: {lying_s3.endpoint}\n"
    alice.write(".git/dver/config.yaml", config + "core:\n  remote: origin\n")
    alice.data("data", "x")
    with pytest.raises(DverError) as caught:
        alice.push()
    assert caught.value.exit_code in (7, 8)
