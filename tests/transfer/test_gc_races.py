"""Collections, pushes and restorers at the same time: one in front of each request of the other.

What happens when they take turns more than once is explored in ``tests/model``. The ordinary test
run takes every other request, ``DVER_HYPOTHESIS=hunt`` each.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from dver.base.errors import MissingContentError, NotFoundError
from dver.base.reporter import SILENT
from dver.storage.base import Storage
from dver.storage.memory import MemoryStorage
from dver.transfer.gc.trash import restore
from tests.transfer.collecting import AtRequest, dropping, forget_roots, gc, keys, time
from tests.transfer.world import Clone, many, noise

__all__ = ["time"]
pytestmark = pytest.mark.usefixtures("time")
CONTENT = many(20, seed=3)
STRIDE = 1 if os.environ.get("DVER_HYPOTHESIS") == "hunt" else 2


class World:
    """A new bucket with garbage that holds CONTENT, and clones of it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.bucket: Storage = MemoryStorage()
        self.alice = self.clone("alice")
        self.bob = self.clone("bob")
        self.old = self.alice.add("dead", CONTENT)
        self.alice.push(self.old)
        self.bob.push(self.bob.add("other", noise(1, 500)))
        self.new = self.alice.add("data", {**CONTENT, "new": noise(2, 400)})

    def clone(self, name: str) -> Clone:
        return Clone(self.path / name, self.bucket)

    def check(self) -> None:
        """See that what was pushed can be had, and still can after another collection."""
        carol = self.clone("carol")
        assert not carol.fetch(self.new).lost
        assert carol.content(self.new) == self.alice.content(self.new)
        gc(carol, grace=0)
        assert not self.clone("dave").fetch(self.new).lost


@pytest.mark.parametrize("rooted", [False, True])
def test_a_collection_between_any_two_requests_of_a_push(tmp_path: Path, rooted: bool) -> None:
    """The push relies on what nobody needs, or on what the collection drops at that moment."""
    number = 0
    while True:
        world = World(tmp_path / str(number))
        sessions = [key.removeprefix("roots/") for key in keys(world.bucket, "roots/")]
        if not rooted:
            forget_roots(world.bucket)
            world.bob.push(world.bob.add("another", noise(3, 500)))

        def collected(world: World = world, sessions: list[str] = sessions) -> None:
            gc(world.bob, grace=0, policy=dropping(*sessions) if rooted else None)
            gc(world.bob, grace=0)

        hook = world.alice.storage.hook = AtRequest(number, collected)
        assert world.alice.push(world.new).session
        world.alice.storage.hook = lambda verb, key: None
        world.check()
        if not hook.reached:
            break
        number += STRIDE
    assert number > 12


@pytest.mark.parametrize("again", [False, True])
def test_a_push_between_any_two_requests_of_a_collection(tmp_path: Path, again: bool) -> None:
    """With ``again`` another collection runs just behind the push."""
    number = 0
    while True:
        world = World(tmp_path / str(number))
        forget_roots(world.bucket)
        world.bob.push(world.bob.add("another", noise(3, 500)))

        def pushed(world: World = world) -> None:
            assert world.alice.push(world.new).session
            if again:
                gc(world.clone("erin"), grace=0)

        hook = world.bob.storage.hook = AtRequest(number, pushed)
        gc(world.bob, grace=0)
        if not hook.reached:
            break
        world.check()
        number += STRIDE
    assert number > 20


def test_a_restorer_between_any_two_requests_of_a_collection(tmp_path: Path) -> None:
    """Either it comes in time and all of it stays, or it says that it came too late."""
    number = late = 0
    while True:
        world = World(tmp_path / str(number))
        pushed = world.alice.push(world.new)
        gc(world.bob, policy=dropping(str(pushed.session)))
        results: list[bool] = []

        def restored(world: World = world, results: list[bool] = results) -> None:
            carol = world.clone("carol")
            try:
                restore(carol.store, carol.remote(), [], SILENT)
            except MissingContentError:
                results.append(False)
            else:
                results.append(True)

        hook = world.bob.storage.hook = AtRequest(number, restored)
        gc(world.bob, grace=0)
        if not hook.reached:
            break
        found = world.clone("dave").fetch(world.new)
        late += results == [False]
        assert not (found.lost and _is_rooted(world))
        assert not (found.lost and results == [True])
        number += STRIDE
    assert number > 20
    assert late


def _is_rooted(world: World) -> bool:
    remote = world.clone("frank").remote()
    remote.refresh_roots()
    return world.new.oid in remote.kept()


def test_a_collection_between_any_two_requests_of_a_restorer(tmp_path: Path) -> None:
    number = restored = 0
    while True:
        world = World(tmp_path / str(number))
        session = str(world.alice.push(world.new).session)
        gc(world.bob, policy=dropping(session))
        hook = AtRequest(number, lambda world=world: gc(world.bob, grace=0))
        world.alice.storage.hook = hook
        try:
            restore(world.alice.store, world.alice.remote(), [session], SILENT)
        except (MissingContentError, NotFoundError):
            pass  # it came too late, and said so
        else:
            restored += 1
            assert not world.clone("dave").fetch(world.new).lost
            gc(world.clone("erin"), grace=0)
            assert not world.clone("frank").fetch(world.new).lost
        if not hook.reached:
            break
        number += STRIDE
    assert number > 8
    assert 0 < restored < number


def test_two_collections_at_once(tmp_path: Path) -> None:
    """An object that lies in two packs loses one of them, and never both."""
    number = 0
    while True:
        world = World(tmp_path / str(number))
        twin = world.clone("twin")
        twin.add("data", {**CONTENT, "new": noise(2, 400)})
        first = AtRequest(2, lambda world=world: world.alice.push(world.new))
        twin.storage.hook = first
        twin.push(world.new)
        twin.storage.hook = lambda verb, key: None
        hook = AtRequest(number, lambda world=world: gc(world.alice, grace=0))
        world.bob.storage.hook = hook
        gc(world.bob, grace=0)
        world.check()
        if not hook.reached:
            break
        number += STRIDE
    assert number > 12


class Killed(BaseException):
    """The process is gone: nothing that it would still do happens."""


class KillAt:
    """A hook that ends everything from the request of that number on."""

    def __init__(self, number: int) -> None:
        self._left = number

    def __call__(self, verb: str, key: str) -> None:
        self._left -= 1
        if self._left < 0:
            raise Killed


def test_a_collection_killed_before_any_request(tmp_path: Path) -> None:
    """What it leaves harms no push, and the next collection does what it did not."""
    number = 0
    while True:
        world = World(tmp_path / str(number))
        forget_roots(world.bucket)
        world.bob.push(world.bob.add("another", noise(3, 500)))
        before = set(keys(world.bucket, "packs/"))
        world.bob.storage.hook = KillAt(number)
        try:
            gc(world.bob, grace=0)
        except Killed:
            pass
        else:
            break
        carol = world.clone("carol")
        assert not carol.fetch(world.bob.add("another", noise(3, 500))).lost
        assert world.alice.push(world.new).session
        world.check()
        gc(world.clone("erin"), grace=0)
        left = set(keys(world.bucket, "packs/"))
        assert len(left - before) <= 3, f"before request {number}"
        assert len(left) <= 5, f"before request {number}"
        number += STRIDE
    assert number > 20


def test_a_push_killed_before_any_request(tmp_path: Path) -> None:
    """A collection removes what it left, and running it again succeeds."""
    number = 0
    while True:
        world = World(tmp_path / str(number))
        world.alice.storage.hook = KillAt(number)
        try:
            world.alice.push(world.new)
        except Killed:
            pass
        else:
            break
        world.alice.storage.hook = lambda verb, key: None
        gc(world.bob, grace=0)
        assert not world.clone("carol").fetch(world.old).lost
        assert not world.alice.push(world.new).lost
        world.check()
        number += STRIDE
    assert number > 8


def twins(world: World) -> None:
    """Store the new content twice, in packs and segments of their own, each with a root."""
    twin = world.clone("twin")
    twin.add("data", {**CONTENT, "new": noise(2, 400)})

    def first(verb: str, key: str, world: World = world) -> None:
        if verb == "put" and key.startswith("packs/"):
            twin.storage.hook = lambda verb, key: None
            world.alice.push(world.new)

    twin.storage.hook = first
    twin.push(world.new)


@pytest.mark.parametrize("inner", ["push", "collection"])
def test_segments_are_merged_while_their_packs_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, inner: str
) -> None:
    """Who merges keeps one row for each object, which may be that in the pack that goes."""
    number = deleted = 0
    while True:
        world = World(tmp_path / str(number))
        twins(world)
        carol = world.clone("carol")
        more = carol.add("more", noise(5, 600))
        if inner == "push":
            hook = AtRequest(number, lambda carol=carol, more=more: carol.push(more))
            world.bob.storage.hook = hook
            deleted += len(gc(world.bob, grace=0).swept.deleted)
        else:
            hook = AtRequest(number, lambda world=world: gc(world.bob, grace=0))
            carol.storage.hook = hook
            assert carol.push(more).session
            deleted += 1
        if not hook.reached:
            break
        fresh = world.clone("fresh")
        assert not fresh.fetch(world.new, world.old, more).lost, f"before request {number}"
        gc(world.clone("again"), grace=0)
        last = world.clone("last")
        assert not last.fetch(world.new, world.old, more).lost, f"before request {number}"
        assert last.content(world.new) == world.alice.content(world.new)
        number += STRIDE
    assert number > 10
    assert deleted > number // STRIDE
