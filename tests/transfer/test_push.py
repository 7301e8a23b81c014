from __future__ import annotations

from dver.formats import root as roots
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


def test_nothing_new_takes_three_requests_and_no_write(alice: Clone) -> None:
    tree = alice.add("data", many(100))
    alice.push(tree)
    pushed = alice.push(tree)
    assert alice.storage.verbs() == ["list", "list", "list"]
    assert (pushed.session, pushed.objects, pushed.requests) == (None, 0, 3)


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
