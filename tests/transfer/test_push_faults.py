"""What a push leaves when something goes wrong, and that running it again makes it good."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from dver.base.errors import RemoteError
from dver.base.oid import oid_of
from dver.base.reporter import Reporter
from dver.formats import root as roots
from dver.formats import storeinfo
from dver.formats.storeinfo import StoreInfo
from dver.storage.base import Storage
from dver.store import layout
from tests.transfer.world import TINY, Broken, Clone, fail_at, flat, many, noise

CONTENT = {"a": noise(1, 40_000), "b": {"c": b"small", "d": noise(2, 9_000)}, **many(60)}


def check_remote(bucket: Storage, clone: Clone) -> int:
    """Everything that a root names can be fetched and read; return the number of roots."""
    sessions = [entry.key for entry in bucket.list("roots/")]
    for key in sessions:
        root = roots.decode(bucket.get(key))
        fetched = clone.fetch(*root.objects)
        assert not fetched.lost
        for one in root.objects:
            clone.content(one)
    return len(sessions)


@pytest.mark.parametrize("jobs", [1, 3])
def test_stopping_before_any_write_leaves_no_root_that_dangles(
    tmp_path: Path, bucket: Storage, alice: Clone, jobs: int
) -> None:
    tree = alice.add("data", CONTENT)
    for number in range(100):
        alice.storage.hook = fail_at(number)
        try:
            alice.push(tree, jobs=jobs)
        except Broken:
            assert check_remote(bucket, Clone(tmp_path / f"bob{number}", bucket)) == 0
            for entry in list(bucket.list("")):
                bucket.delete(entry.key)
        else:
            break
    assert 4 < number < 20
    bob = Clone(tmp_path / "bob", bucket)
    assert check_remote(bucket, bob) == 1
    assert bob.content(tree) == flat(CONTENT)


def test_running_again_sends_only_what_had_not_arrived(bucket: Storage, alice: Clone) -> None:
    tree = alice.add("data", many(300, size=4000))
    alice.storage.hook = lambda verb, key: verb != "put" or not key.startswith("index/") or _fail()
    with pytest.raises(Broken):
        alice.push(tree)
    alice.storage.hook = lambda verb, key: None
    pushed = alice.push(tree)
    assert pushed.session
    assert [key for key in alice.storage.puts() if key.startswith("packs/")] == []
    assert (pushed.packs, pushed.bytes) == (0, 0)


def _fail() -> bool:
    raise Broken("made to fail")


def test_copied_packs_wait_in_the_spool_for_the_next_push(bucket: Storage, alice: Clone) -> None:
    # Six packs of a few kilobytes are copied into one, which arrives before the push dies.
    objects = [alice.add(f"m{i}", noise(i, 3000)) for i in range(6)]
    alice.storage.hook = lambda verb, key: verb != "put" or not key.startswith("index/") or _fail()
    with pytest.raises(Broken):
        alice.push(*objects)
    sent = [entry.key for entry in bucket.list("packs/")]
    assert len(sent) == 1
    alice.storage.hook = lambda verb, key: None
    assert alice.push(*objects).session
    assert [entry.key for entry in bucket.list("packs/")] == sent
    assert list((alice.path / "store" / "spool" / "origin" / "push").iterdir()) == []


def test_a_spooled_pack_that_rotted_is_made_again(
    bucket: Storage, alice: Clone, bob: Clone
) -> None:
    objects = [alice.add(f"m{i}", noise(i, 3000)) for i in range(6)]
    alice.storage.hook = fail_at(1)
    with pytest.raises(Broken):
        alice.push(*objects)
    [spooled] = (alice.path / "store" / "spool" / "origin" / "push").glob("*/*.pack")
    data = bytearray(spooled.read_bytes())
    data[500] ^= 1
    spooled.chmod(0o644)
    spooled.write_bytes(data)
    alice.storage.hook = lambda verb, key: None
    assert alice.push(*objects).session
    assert not bob.fetch(*objects).lost


@pytest.mark.parametrize("prefix", ["format.json", "packs/", "index/", "roots/"])
def test_an_endpoint_that_says_yes_and_does_nothing_is_found_out(alice: Clone, prefix: str) -> None:
    tree = alice.add("data", many(20))
    alice.storage.hook = lambda verb, key: not (verb == "put" and key.startswith(prefix))
    with pytest.raises(RemoteError, match=r"does not have it|has nothing there"):
        alice.push(tree)


@pytest.mark.parametrize("prefix", ["packs/", "index/", "roots/"])
def test_an_upload_that_was_cut_is_found_out(bucket: Storage, alice: Clone, prefix: str) -> None:
    tree = alice.add("data", many(20))

    def hook(verb: str, key: str) -> bool | None:
        if verb == "put" and key.startswith(prefix):
            bucket.put(key, b"cut")
            return False
        return None

    alice.storage.hook = hook
    with pytest.raises(RemoteError, match="said it stored"):
        alice.push(tree)


def test_a_listing_that_fails_is_an_error_and_not_an_empty_remote(alice: Clone) -> None:
    tree = alice.add("data", many(20))
    alice.push(tree)
    for prefix in ("roots/", "index/", "packs/"):
        alice.storage.hook = lambda verb, key, at=prefix: verb != "list" or key != at or _fail()
        with pytest.raises(Broken):
            alice.push(tree)


def test_a_pack_lost_in_the_bucket_is_sent_again(bucket: Storage, alice: Clone, bob: Clone) -> None:
    tree = alice.add("data", many(100))
    alice.push(tree)
    for entry in list(bucket.list("packs/")):
        bucket.delete(entry.key)
    assert alice.push(tree).packs == 2
    assert not bob.fetch(tree).lost


def test_a_pack_cut_short_in_the_bucket_is_sent_again(
    bucket: Storage, alice: Clone, bob: Clone
) -> None:
    tree = alice.add("data", many(100))
    alice.push(tree)
    largest = max(bucket.list("packs/"), key=lambda entry: entry.size)
    bucket.put(largest.key, bucket.get(largest.key)[:-100])
    assert alice.push(tree).packs == 1
    assert not bob.fetch(tree).lost


def test_a_segment_lost_in_the_bucket_is_noticed_and_made_again(
    bucket: Storage, alice: Clone, bob: Clone
) -> None:
    old = alice.add("data", many(50))
    alice.push(old)
    new = alice.add("data", many(51))
    alice.push(new)
    longest = max(bucket.list("index/"), key=lambda entry: entry.size)
    bucket.delete(longest.key)
    alice.push(new)
    assert not bob.fetch(old, new).lost
    assert alice.push(new).requests == 4


@pytest.mark.parametrize("data", [b"<html>welcome</html>", None])
def test_a_format_record_that_went_bad_fails_a_push_with_nothing_to_send(
    bucket: Storage, alice: Clone, data: bytes | None
) -> None:
    tree = alice.add("data", many(20))
    alice.push(tree)
    bucket.delete("format.json")
    if data is not None:
        bucket.put("format.json", data)
    with pytest.raises(RemoteError, match="not a dver store" if data else "no format.json"):
        alice.push(tree)


def test_a_segment_cut_short_in_the_bucket_is_noticed_and_made_again(
    bucket: Storage, alice: Clone, bob: Clone
) -> None:
    tree = alice.add("data", many(50))
    alice.push(tree)
    [segment] = [entry.key for entry in bucket.list("index/")]
    whole = bucket.get(segment)
    bucket.delete(segment)
    bucket.put(segment, whole[: len(whole) // 2])
    assert alice.push(tree).packs == 0
    assert not bob.fetch(tree).lost


def test_a_root_cut_short_in_the_bucket_is_noticed_and_made_again(
    bucket: Storage, alice: Clone
) -> None:
    tree = alice.add("data", many(50))
    alice.push(tree)
    [root] = [entry.key for entry in bucket.list("roots/")]
    whole = bucket.get(root)
    bucket.delete(root)
    bucket.put(root, whole[:-20])
    assert alice.push(tree).session
    assert alice.push(tree).session is None


def test_whoever_loses_the_race_to_make_the_remote_takes_what_is_there(
    bucket: Storage, alice: Clone, bob: Clone
) -> None:
    tree = alice.add("data", many(5))

    def hook(verb: str, key: str) -> None:
        if verb == "put" and key == storeinfo.KEY:
            alice.storage.hook = lambda verb, key: None
            bucket.put(key, storeinfo.encode(StoreInfo("7" * 32)))

    alice.storage.hook = hook
    alice.push(tree)
    assert storeinfo.decode(bucket.get(storeinfo.KEY)).store_id == "7" * 32
    assert not bob.fetch(tree).lost


def test_the_first_push_gives_the_remote_the_chunker_of_the_local_store(
    bucket: Storage, alice: Clone
) -> None:
    alice.push(alice.add("data", b"x"))
    assert storeinfo.decode(bucket.get(storeinfo.KEY)).chunker == TINY


def test_a_remote_that_was_replaced_by_another_store_is_looked_at_afresh(
    tmp_path: Path, bucket: Storage, alice: Clone, bob: Clone
) -> None:
    tree = alice.add("data", many(30))
    alice.push(tree)
    for entry in list(bucket.list("")):
        bucket.delete(entry.key)
    other = bob.add("other", b"of another store")
    bob.push(other)
    pushed = alice.push(tree)
    assert pushed.objects == 32
    assert not Clone(tmp_path / "carol", bucket).fetch(tree, other).lost


def test_a_wiped_remote_is_made_anew(bucket: Storage, alice: Clone, bob: Clone) -> None:
    tree = alice.add("data", many(30))
    alice.push(tree)
    for entry in list(bucket.list("")):
        bucket.delete(entry.key)
    assert alice.push(tree).objects == 32
    assert not bob.fetch(tree).lost


def test_a_place_with_packs_and_no_format_record_is_not_taken_over(
    bucket: Storage, alice: Clone
) -> None:
    tree = alice.add("data", many(5))
    alice.push(tree)
    bucket.delete(storeinfo.KEY)
    with pytest.raises(RemoteError, match=r"no\s+format\.json"):
        alice.push(alice.add("more", b"more"))


def test_what_is_no_store_is_not_pushed_to(bucket: Storage, alice: Clone) -> None:
    bucket.put(storeinfo.KEY, b"<html>welcome</html>")
    with pytest.raises(RemoteError, match="not a dver store"):
        alice.push(alice.add("data", b"x"))


def test_a_frame_damaged_here_is_never_sent(bucket: Storage, alice: Clone, bob: Clone) -> None:
    content = many(100, size=2000)
    tree = alice.add("data", content)
    whole = alice.add("other", b"sound")
    victim = oid_of(content["d001"]["f00070"])
    place = alice.store.place(victim)
    assert place is not None
    path = Path(alice.store.local_directory(), layout.pack_key(place.pack))
    data = bytearray(path.read_bytes())
    data[place.offset + 100] ^= 4
    path.chmod(0o644)
    path.write_bytes(data)
    pushed = alice.push(tree, whole)
    assert [(one.path, one.oid, one.reason) for one in pushed.lost] == [
        ("data/d001/f00070", victim, "damaged")
    ]
    root = roots.decode(bucket.get(f"roots/{pushed.session}"))
    assert root.objects == (whole,)
    assert root.commits == ()
    assert place.pack not in {layout.name_of(e.key) for e in bucket.list("packs/")}
    # All else went out, so that a good copy of one file from elsewhere completes it.
    assert [one.path for one in bob.fetch(tree).lost] == ["data/d001/f00070"]


def test_a_local_pack_that_is_gone_is_reported_by_path(alice: Clone) -> None:
    large = alice.add("large", noise(3, 200_000))
    small = alice.add("small", b"abc")
    place = alice.store.place(large.oid)
    assert place is not None
    os.unlink(Path(alice.store.local_directory(), layout.pack_key(place.pack)))
    pushed = alice.push(large, small)
    assert [(one.path, one.reason) for one in pushed.lost] == [("large", "missing")]
    assert pushed.session


def test_a_conditional_create_that_was_answered_twice_is_still_ours(
    bucket: Storage, alice: Clone
) -> None:
    def hook(verb: str, key: str) -> None:
        if verb == "put" and key.startswith("roots/"):
            hook.key = key

    alice.storage.hook = hook
    original = bucket.put

    def put(key: str, data: bytes, *, if_absent: bool = False) -> None:
        original(key, data, if_absent=if_absent)
        if key.startswith("roots/"):  # the answer was lost, and the client asks again
            original(key, data, if_absent=if_absent)

    bucket.put = put
    assert alice.push(alice.add("data", b"x")).session


def test_a_damaged_segment_is_made_again_and_stops_no_reader(
    tmp_path: Path, bucket: Storage, alice: Clone, bob: Clone
) -> None:
    first = alice.add("first", noise(1, 500))
    alice.push(first)
    second = alice.add("second", noise(2, 500))
    alice.push(second)
    merged = max(bucket.list("index/"), key=lambda entry: entry.size)
    data = bytearray(bucket.get(merged.key))
    data[150] ^= 1
    bucket.put(merged.key, data)
    # What it had replaced counts again.
    fetched = bob.fetch(first, second)
    assert [(one.path, one.reason) for one in fetched.lost] == [("second", "missing")]
    carol = Clone(tmp_path / "carol", bucket)
    carol.add("second", noise(2, 500))
    assert carol.push(second).objects == 1
    assert not bob.fetch(second).lost


def test_a_segment_that_a_new_clone_never_saw_is_missed_all_the_same(
    bucket: Storage, alice: Clone, bob: Clone
) -> None:
    tree = alice.add("data", many(40))
    alice.push(tree)
    [entry] = list(bucket.list("index/"))
    bucket.delete(entry.key)
    bob.add("data", many(40))
    assert bob.push(tree).objects == 42
    assert not Clone(bob.path / "carol", bucket).fetch(tree).lost


def test_a_damaged_root_keeps_nobody_from_pushing(
    bucket: Storage, alice: Clone, bob: Clone
) -> None:
    tree = alice.add("data", many(40))
    alice.push(tree)
    [entry] = list(bucket.list("roots/"))
    bucket.put(entry.key, bucket.get(entry.key).replace(b"data", b"dada"))
    bob.add("data", many(40))
    warned = []

    class Warned(Reporter):
        def warn(self, message: str, *, hint: str | None = None) -> None:
            warned.append(message)

    pushed = bob.push(tree, reporter=Warned())
    assert (pushed.objects, bool(pushed.session)) == (0, True)
    assert [entry.key in message for message in warned] == [True]


def test_a_remote_that_was_emptied_is_filled_again_and_told_of(
    bucket: Storage, alice: Clone
) -> None:
    tree = alice.add("data", many(20))
    alice.push(tree)
    for prefix in ("packs/", "index/", "roots/", "format.json"):
        for entry in list(bucket.list(prefix)):
            bucket.delete(entry.key)
    warned: list[str] = []

    class Ear(Reporter):
        def warn(self, message: str, *, hint: str | None = None) -> None:
            warned.append(message)

    assert alice.push(tree, reporter=Ear()).session
    assert ["it was emptied" in message for message in warned] == [True]
