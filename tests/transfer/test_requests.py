"""How many requests a transfer makes, and that each one saved still shows what it must."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import pytest

from dver.base.errors import ObjectNotFound, RemoteError
from dver.base.reporter import SILENT
from dver.storage.base import Entry, Storage
from dver.storage.memory import MemoryStorage
from dver.storage.s3 import S3Storage
from dver.storage.s3.settings import resolve
from dver.transfer.closure import Offer
from dver.transfer.push import push
from dver.transfer.remote import Remote
from tests.support.s3server import Reply, Scripted
from tests.transfer.world import Clone, Hooked, many, noise


class OnePage(Hooked):
    """A storage that tells all its keys in one request, as S3 does if they are few."""

    def list_short(self) -> Sequence[Entry] | None:
        self._ask("list_short", "")
        return [
            entry._replace(etag=hashlib.md5(self.inner.get(entry.key)).hexdigest())
            for entry in self.inner.list("")
        ]


@pytest.fixture
def short(alice: Clone, bucket: Storage) -> OnePage:
    alice.storage = OnePage(bucket)
    return alice.storage


def test_nothing_new_takes_one_request(alice: Clone, short: OnePage) -> None:
    tree = alice.add("data", many(100))
    alice.push(tree)
    # What the listing says of format.json is learnt when that is next read.
    assert alice.push(tree).requests == 2
    pushed = alice.push(tree)
    assert short.verbs() == ["list_short"]
    assert (pushed.session, pushed.objects, pushed.requests) == (None, 0, 1)


def test_a_thousand_changed_files_take_eight(alice: Clone, bob: Clone, short: OnePage) -> None:
    tree = alice.add("data", many(3000))
    alice.push(tree)
    alice.push(tree)
    content = many(3000)
    for number in range(20):
        content[f"d{number:03}"] = many(50, seed=number + 1)["d000"]
    changed = alice.add("data", content)
    pushed = alice.push(changed)
    assert pushed.objects == 1021
    assert pushed.requests <= 8
    bob.fetch(changed)
    assert bob.content(changed) == alice.content(changed)


def test_small_pushes_cost_a_new_clone_no_requests(
    tmp_path: Path, bucket: Storage, alice: Clone
) -> None:
    content = many(400)
    taken = set()
    for number in range(8):
        content["d007"] = many(50, seed=number + 1)["d000"]
        tree = alice.add("data", content)
        alice.push(tree)
        fetched = Clone(tmp_path / str(number), bucket).fetch(tree, inside=(b"d002/f00101",))
        assert not fetched.lost
        taken.add(fetched.requests)
    # The listing, what it is, the segment, two directories, the file.
    assert taken == {6}


def test_an_emptied_place_is_seen_in_one_request(
    alice: Clone, bucket: Storage, short: OnePage
) -> None:
    tree = alice.add("data", many(20))
    alice.push(tree)
    for entry in list(bucket.list("")):
        bucket.delete(entry.key)
    pushed = alice.push(tree)
    assert pushed.session is not None
    assert pushed.objects == 22


def test_a_format_record_that_changed_is_read_again(
    alice: Clone, bob: Clone, bucket: Storage, short: OnePage
) -> None:
    tree = alice.add("data", many(20))
    alice.push(tree)
    alice.push(tree)
    other = MemoryStorage()
    bob.storage = Hooked(other)
    bob.push(bob.add("other", b"other"))
    for entry in list(bucket.list("")):
        bucket.delete(entry.key)
    for entry in other.list(""):
        bucket.put(entry.key, other.get(entry.key))
    pushed = alice.push(tree)
    assert ("get", "format.json", 0) in short.log
    assert pushed.objects == 22


def test_a_listing_is_not_used_twice(alice: Clone, short: OnePage) -> None:
    """What is looked at after the uploads must have been listed after them."""
    tree = alice.add("data", many(3000))
    lost: list[str] = []

    def swallow(verb: str, key: str) -> bool:
        if verb == "put" and key.startswith("packs/"):
            lost.append(key)
            return False
        return True

    short.hook = swallow
    with pytest.raises(RemoteError, match="said it stored"):
        alice.push(tree)
    assert len(lost) == 2
    with pytest.raises(ObjectNotFound):
        short.get(lost[0])


def test_many_packs_are_looked_at_in_one_listing(
    alice: Clone, bucket: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dver.transfer.uploads.PACK_TARGET", 20_000)
    objects = [alice.add(f"f{number}", noise(number, 3000)) for number in range(60)]
    pushed = alice.push(*objects)
    assert pushed.packs >= 8
    assert "head" not in alice.storage.verbs()
    assert alice.storage.log.count(("list", "packs/", 0)) == 2


def test_chunks_between_lists_are_read_once(alice: Clone, bob: Clone) -> None:
    """The lists of files of one directory lie so close that a request brings what is between."""
    content = {f"f{number:02}": noise(number, 20_000) for number in range(30)}
    tree = alice.add("data", {"part": content, "rest": noise(99, 3_000_000)})
    alice.push(tree)
    fetched = bob.fetch(tree, inside=(b"part",))
    assert not fetched.lost
    part = alice.add("part", content)
    assert bob.content(part) == content
    assert fetched.bytes < 1.25 * 30 * 20_000


def test_a_damaged_chunk_between_lists_is_asked_for_again(
    alice: Clone, bob: Clone, bucket: Storage
) -> None:
    content = {f"f{number:02}": noise(number, 20_000) for number in range(30)}
    tree = alice.add("data", {"part": content, "rest": noise(99, 3_000_000)})
    alice.push(tree)
    first = next(iter(alice.store.read_tree(tree.oid)))
    blob = alice.store.read_tree(first.oid).oid(20)
    _, place = list(alice.store.parts(blob))[1]
    key = f"packs/{place.pack.hex()[:2]}/{place.pack.hex()}"
    data = bytearray(bucket.get(key))
    data[place.offset + 60] ^= 1
    bucket.put(key, bytes(data))
    fetched = bob.fetch(tree, inside=(b"part",))
    assert [one.path for one in fetched.lost] == ["data/part/f20"]
    assert not bob.store.has(blob)


def test_a_server_that_says_yes_to_all_is_found_out(alice: Clone, lying_s3: Scripted) -> None:
    """Even one that has learnt what a listing looks like."""
    listing = b"<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>"
    lying_s3.default = Reply(body=listing, headers={"ETag": '"abc"'})
    keys = {"AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "secret", "HOME": "/nowhere"}
    storage = S3Storage(resolve("bucket", "", lying_s3.options, keys))
    tree = alice.add("data", many(20))
    remote = Remote("origin", storage, alice.path / "remotes" / "s3")
    with pytest.raises(RemoteError, match=r"not a dver store|does not have it"):
        push(alice.store, remote, [Offer(tree)], commits=(), repo_id="", reporter=SILENT)
    assert not any("roots/" in path for method, path, _, _ in lying_s3.requests if method == "PUT")
    remote.close()
