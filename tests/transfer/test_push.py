from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from dver.base.errors import SystemFailure
from dver.formats import root as roots
from dver.storage.base import Entry, Storage
from dver.storage.local import LocalStorage
from dver.store.index import Segment
from dver.store.packfile import FinishedPack
from dver.transfer import session, uploads
from dver.transfer.segments import build_segments
from tests.transfer.world import Clone, flat, many, noise

CONTENT = {
    "small": b"a few bytes",
    "empty": b"",
    "large": noise(1, 3_000_000),
    "sub": {"deep": {"file": b"x" * 5000}, "none": {}},
}


def test_a_push_and_a_fetch_bring_every_byte(alice: Clone, bob: Clone) -> None:
    tree = alice.add("data", CONTENT)
    single = alice.add("model.bin", noise(2, 500_000))
    pushed = alice.push(tree, single)
    assert pushed.session and not pushed.lost
    fetched = bob.fetch(tree, single)
    assert not fetched.lost
    assert bob.content(tree) == flat(CONTENT)
    assert bob.content(single) == noise(2, 500_000)
    assert fetched.objects == pushed.objects == 9


def test_packs_come_before_segments_and_segments_before_the_root(alice: Clone) -> None:
    alice.push(alice.add("data", many(200)))
    kinds = [key.partition("/")[0] for key in alice.storage.puts()]
    assert kinds == sorted(kinds, key=["format.json", "packs", "index", "roots"].index)
    assert kinds.count("roots") == 1


def test_nothing_new_takes_four_requests_and_no_write(alice: Clone) -> None:
    tree = alice.add("data", many(100))
    alice.push(tree)
    pushed = alice.push(tree)
    assert alice.storage.verbs() == ["list", "list", "list", "get"]
    assert (pushed.session, pushed.objects, pushed.requests) == (None, 0, 4)


def test_many_small_files_take_a_handful_of_requests(alice: Clone) -> None:
    pushed = alice.push(alice.add("data", many(2000)))
    # format.json three times, three listings, two packs and a look at each, two segments (one
    # for the directories) and a root, each put and read back.
    assert pushed.requests <= 16
    assert (pushed.packs, pushed.objects) == (2, 2041)


def test_a_root_names_what_was_pushed(alice: Clone) -> None:
    tree = alice.add("data", many(10))
    pushed = alice.push(tree)
    root = roots.decode(alice.storage.get(f"roots/{pushed.session}"))
    assert root.objects == (tree,)
    assert (root.repo, root.commits) == ("r", ("a" * 40,))


def test_an_edit_sends_what_changed_and_little_more(alice: Clone, bob: Clone) -> None:
    before = noise(1, 2_000_000)
    after = before[:700_000] + b"inserted" + before[700_000:]
    content = many(500)
    alice.push(alice.add("data", {"model": before, **content}))
    new = alice.add("data", {"model": after, **content})
    pushed = alice.push(new)
    assert pushed.bytes < 60_000
    # Two listings of notices, one of purges and one beside the root are more than where one
    # listing tells all.
    assert pushed.requests <= 15
    assert not bob.fetch(new).lost
    assert bob.content(new)["model"] == after


def test_many_small_local_packs_become_one(bucket: Storage, alice: Clone, bob: Clone) -> None:
    objects = [alice.add(f"m{i}", noise(i, 1000)) for i in range(20)]
    pushed = alice.push(*objects)
    assert pushed.packs == len(list(bucket.list("packs/"))) == 1
    assert not bob.fetch(*objects).lost


def segments_read(clone: Clone) -> list[str]:
    return [key for verb, key, _ in clone.storage.log if key.startswith("index/") and verb == "get"]


def test_segments_are_merged_before_there_are_many(
    tmp_path: Path, bucket: Storage, alice: Clone
) -> None:
    objects = []
    for i in range(40):
        objects.append(alice.add(f"m{i}", noise(i, 100)))
        alice.push(objects[-1])
    bob = Clone(tmp_path / "bob", bucket)
    assert not bob.fetch(*objects).lost
    assert len(segments_read(bob)) == 1
    # Superseded segments count for nothing, and their rows are all in the one that replaced them.
    remote = bob.remote()
    remote.refresh_index()
    assert len(remote.index.segments()) == 1
    assert {oid for oid, _ in remote.locate([one.oid for one in objects])} == {
        one.oid for one in objects
    }


def test_a_new_clone_reads_no_segment_that_another_replaces(
    tmp_path: Path, bucket: Storage, alice: Clone, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dver.transfer.segments.SHORT", 1000)
    objects, most = [], 0
    for i in range(40):
        objects.append(alice.add(f"m{i}", many(i % 7 + 1, seed=i)))
        alice.push(objects[-1])
        bob = Clone(tmp_path / f"bob{i}", bucket)
        remote = bob.remote()
        remote.refresh_index()
        assert len(segments_read(bob)) == len(remote.index.segments())
        most = max(most, len(segments_read(bob)))
    assert 2 < most < 6
    assert not bob.fetch(*objects).lost


def test_whatever_the_times_of_segments_all_that_count_are_read(
    tmp_path: Path, bucket: Storage, alice: Clone, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A remote may have been copied, in any order, or not tell times at all."""
    objects = []
    for i in range(12):
        monkeypatch.setattr("dver.transfer.segments.SHORT", 1000 if i < 6 else 1 << 20)
        objects.append(alice.add(f"m{i}", many(4, seed=i)))
        alice.push(objects[-1])
    listed = bucket.list
    for order in (1.0, -1.0, None):

        def turned(prefix: str, order: float | None = order) -> Iterator[Entry]:
            for one in listed(prefix):
                yield one._replace(modified=None if order is None else order * (one.modified or 0))

        monkeypatch.setattr(bucket, "list", turned)
        assert not Clone(tmp_path / f"bob{order}", bucket).fetch(*objects).lost


def test_a_superseded_segment_counts_while_its_successor_is_absent(
    tmp_path: Path, bucket: Storage, alice: Clone
) -> None:
    objects = []
    for i in range(20):
        objects.append(alice.add(f"m{i}", noise(i, 100)))
        alice.push(objects[-1])
    remote = alice.remote()
    remote.refresh_index()
    [merged] = [one for one in remote.index.segments() if one.superseded]
    bucket.delete(f"index/{merged.name.hex()}")
    assert not Clone(tmp_path / "bob", bucket).fetch(*objects[:16]).lost


def test_missing_content_is_told_by_path_and_all_else_is_sent(alice: Clone, bob: Clone) -> None:
    content = many(10)
    tree = alice.add("data", content)
    gone = alice.add("gone", noise(9, 100))
    other = bob.add("here", b"here")
    # Bob has the directory listings only.
    with bob.store.writer() as writer:
        for oid in _trees(alice, tree):
            writer.add(alice.store.read(oid), 2)
        writer.commit()
    pushed = bob.push(tree, gone, other)
    assert {one.path for one in pushed.lost} == {
        *(f"data/{name}" for name in flat(content)),
        "gone",
    }
    assert {one.reason for one in pushed.lost} == {"missing"}
    assert len(pushed.lost[0].where) == 2
    root = roots.decode(bob.storage.get(f"roots/{pushed.session}"))
    assert (root.objects, root.commits) == ((other,), ())


def _trees(clone: Clone, tree):
    from dver.store import walk

    return [oid for _, oid, _ in walk.walk(clone.store, tree.oid)]


def test_what_is_only_in_the_remote_need_not_be_here(alice: Clone, bob: Clone) -> None:
    content = {"big": noise(5, 100_000), **many(10)}
    tree = alice.add("data", content)
    alice.push(tree)
    # Bob has one changed file and the trees, and nothing of what is unchanged.
    changed = {**content, "new": b"new"}
    new = alice.add("data", changed)
    with bob.store.writer() as writer:
        for oid in _trees(alice, new):
            writer.add(alice.store.read(oid), 2)
        writer.add(b"new")
        writer.commit()
    pushed = bob.push(new)
    assert not pushed.lost
    assert pushed.session


def test_versions_that_are_not_required_are_left_out_when_incomplete(
    alice: Clone, bob: Clone
) -> None:
    old = alice.add("data", many(10))
    new = bob.add("data", many(12))
    older = bob.add("older", b"older")
    pushed = bob.push(new, optional=(old, older))
    assert not pushed.lost
    assert [(one.path, one.commit) for one in pushed.skipped] == [("data", "c" * 40)]
    root = roots.decode(bob.storage.get(f"roots/{pushed.session}"))
    assert set(root.objects) == {new, older}
    assert root.commits == ("a" * 40,)


def test_a_dry_run_tells_and_writes_nothing(bucket: Storage, alice: Clone) -> None:
    tree = alice.add("data", many(100))
    told = alice.push(tree, dry_run=True)
    assert list(bucket.list("")) == []
    assert alice.storage.puts() == []
    done = alice.push(tree)
    assert (told.objects, told.packs, told.bytes) == (done.objects, done.packs, done.bytes)
    assert (told.session, alice.push(tree, dry_run=True).objects) == (None, 0)


def test_content_that_is_there_without_a_root_gets_one(alice: Clone) -> None:
    content = many(10)
    alice.push(alice.add("data", content))
    inner = alice.add("part", content["d000"])
    pushed = alice.push(inner)
    assert (pushed.packs, pushed.objects) == (0, 0)
    assert pushed.session


def test_two_clones_push_the_same_at_once(bucket: Storage, alice: Clone, bob: Clone) -> None:
    tree = alice.add("data", many(50))
    bob.add("data", many(50))
    bob.push(bob.add("other", b"other"))

    def hook(verb: str, key: str) -> None:
        if verb == "put" and key.startswith("packs/"):
            alice.storage.hook = lambda verb, key: None
            bob.push(tree)

    alice.storage.hook = hook
    assert alice.push(tree).session
    assert len(list(bucket.list("roots/"))) == 3
    assert alice.push(tree).requests == 6  # a root and a segment of Bob's are new to Alice


def test_a_directory_remote_is_made_by_the_first_push_only(tmp_path: Path) -> None:
    place = tmp_path / "disk" / "remote"
    place.parent.mkdir()
    clone = Clone(tmp_path / "alice", LocalStorage(place))
    tree = clone.add("data", many(20))
    assert clone.push(tree, dry_run=True).objects == 22
    assert not place.exists()
    assert clone.push(tree).session
    assert not Clone(tmp_path / "bob", LocalStorage(place)).fetch(tree).lost
    # A disk that is not mounted now is not an empty remote.
    place.rename(tmp_path / "unmounted")
    with pytest.raises(SystemFailure):
        clone.push(tree)


def test_a_flat_directory_of_many_files_is_chunked_and_comes_back(alice: Clone, bob: Clone) -> None:
    content = {f"file-with-a-long-name-{i:06}": b"%d" % i for i in range(3000)}
    tree = alice.add("flat", content)
    alice.push(tree)
    assert not bob.fetch(tree).lost
    assert bob.content(tree) == content


@pytest.mark.parametrize("damaged", [False, True])
def test_segments_built_ahead_name_what_was_sent_and_nothing_else(
    tmp_path: Path,
    alice: Clone,
    bob: Clone,
    monkeypatch: pytest.MonkeyPatch,
    damaged: bool,
) -> None:
    monkeypatch.setattr(session, "_WORTH_ROWS", 1)
    built: list[int] = []

    def counted(
        packs: Sequence[FinishedPack], live: Sequence[Segment], *rest: Any
    ) -> Iterator[bytes]:
        built.append(len(packs))
        return build_segments(packs, live, *rest)

    monkeypatch.setattr(session, "build_segments", counted)
    content = many(300, size=2000)
    tree = alice.add("data", content)
    directory = Path(alice.store.local_directory(), "packs")
    largest = max(directory.rglob("*"), key=lambda path: path.stat().st_size)
    if damaged:
        data = bytearray(largest.read_bytes())
        data[50_000] ^= 1
        largest.chmod(0o644)
        largest.write_bytes(data)
    pushed = alice.push(tree)
    assert len(pushed.lost) == damaged
    # What was built for a pack that was not sent is of no use.
    assert len(built) == 1 + damaged
    remote = alice.remote()
    remote.refresh_index()
    assert (bytes.fromhex(largest.name) in remote.index.packs()) == (not damaged)
    if not damaged:
        bob.fetch(tree)
        assert bob.content(tree) == flat(content)


@pytest.mark.parametrize("held", [0, 1 << 20])
def test_rows_of_packs_are_held_or_read_again(
    alice: Clone, bob: Clone, monkeypatch: pytest.MonkeyPatch, held: int
) -> None:
    monkeypatch.setattr(uploads, "_HELD_ROWS", held)
    monkeypatch.setattr(session, "_WORTH_ROWS", 1)
    made: list[bool] = []
    monkeypatch.setattr(
        session.Session,
        "foresee",
        lambda _, ready: made.extend(one.held is not None for one in ready),
    )
    content = many(300, size=2000)
    tree = alice.add("data", content)
    assert alice.push(tree).session
    assert made
    assert set(made) == {held > 0}
    bob.fetch(tree)
    assert bob.content(tree) == flat(content)
