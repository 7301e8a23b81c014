"""Clocks that jump, between any two steps, change nothing about what is seen and kept.

The clock of the machine is also that of the file system, so both jump: what the system calls say
of a file's times is moved by as much as the clock was off when they were set.
"""

from __future__ import annotations

import os
import sys
import time
from bisect import bisect_right
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

from hypothesis import example, given, settings
from hypothesis import strategies as st

from dver.base import clock
from dver.base.oid import oid_of
from dver.workspace import fsclock
from tests.support.cli import Dver
from tests.support.hypothesis_profile import settings as profile
from tests.support.workrepo import WorkRepo

SECOND = 10**9
MINUTE, DAY = 60, 86_400
#: The coarse clock is the one that file systems of Linux stamp with; Python has no name for it.
_TICKING = 5 if sys.platform == "linux" else time.CLOCK_REALTIME
_STAT = os.stat


class Jumping(clock.Clock):
    """The machine's clock, which jumps; :meth:`seen` tells what a file's time looks like.

    ``grain`` is the step of the file system's times, in ns.
    """

    def __init__(self, grain: int = 1) -> None:
        self._grain = grain
        self._since = [0]
        self._off = [0]
        self._set: dict[int, int] = {}

    def now_ns(self) -> int:
        return time.time_ns() + self._off[-1]

    def jump(self, seconds: int) -> None:
        """Set the clock forward, or back."""
        now = time.time_ns()
        # Whatever is touched from here on must be stamped after this.
        while time.clock_gettime_ns(_TICKING) <= now:
            pass
        self._since.append(now)
        self._off.append(self._off[-1] + seconds * SECOND)

    def seen(self, ns: int) -> int:
        """Return the time that was set as ``ns`` by the true clock."""
        if ns in self._set:
            return self._set[ns]
        moved = ns + self._off[bisect_right(self._since, ns) - 1]
        return moved - moved % self._grain

    def date(self, path: Path, seconds: int) -> None:
        """Give a file an mtime so many seconds from now, as ``touch -d`` does."""
        true = time.time_ns() + seconds * SECOND
        self._set[true] = self.now_ns() + seconds * SECOND
        os.utime(path, ns=(true, true))

    def _moved(self, found: os.stat_result) -> os.stat_result:
        times = {f"st_{one}time_ns": self.seen(getattr(found, f"st_{one}time_ns")) for one in "amc"}
        seconds = {name.removesuffix("_ns"): ns / SECOND for name, ns in times.items()}
        whole = [ns // SECOND for ns in times.values()]
        return os.stat_result((*tuple(found)[:7], *whole), {**times, **seconds})

    @contextmanager
    def everywhere(self) -> Iterator[None]:
        """Let this be the clock of dver and of the file system."""

        def moving(real: Any) -> Any:
            return lambda *args, **options: self._moved(real(*args, **options))

        before = clock.install(self)
        try:
            with ExitStack() as stack:
                for name in ("stat", "lstat", "fstat"):
                    stack.enter_context(mock.patch.object(os, name, moving(getattr(os, name))))
                yield
        finally:
            clock.install(before)


FILES = ("data/a", "data/sub/b", "one")


@dataclass
class World:
    """A repository with a directory and a file, and what must be said of them."""

    repo: WorkRepo
    clock: Jumping
    recorded: dict[str, str] = field(default_factory=dict)
    committed: list[dict[str, str]] = field(default_factory=list)

    @classmethod
    def create(cls, path: Path, clock: Jumping) -> World:
        repo = WorkRepo.create(path / "repo")
        Dver(repo.path)("remote", "add", "nas", str(path / "nas"))
        repo.commit("remote")
        world = cls(repo, clock)
        for name in FILES:
            repo.write(name, "content 0")
        world.add()
        return world

    def content(self) -> dict[str, str]:
        return {name: (self.repo.path / name).read_text() for name in FILES}

    # the steps

    def write(self, number: int, value: int, keep: bool, ahead: int) -> None:
        """Change a file in place: same inode, same size; ``keep`` its mtime, or set it."""
        path = self.repo.path / FILES[number]
        before, true = os.stat(path).st_mtime_ns, _STAT(path).st_mtime_ns
        with open(path, "r+") as file:
            file.write(f"content {value}")
        if keep:
            os.utime(path, ns=(true, true))
            assert os.stat(path).st_mtime_ns == before
        elif ahead:
            self.clock.date(path, ahead)

    def jump(self, seconds: int) -> None:
        self.clock.jump(seconds)

    def add(self) -> None:
        self.repo.add("data", "one")
        self.recorded = self.content()
        assert self.repo.pointer("one").oid == oid_of(self.recorded["one"].encode())
        self.repo.git("add", "-A")
        self.repo.git("commit", "--quiet", "--allow-empty", "--message", "add")
        self.committed.append(self.recorded)

    def status(self) -> None:
        now = self.content()
        found = {one.path: one for one in self.repo.status(no_remote=True).targets}
        for target in ("data", "one"):
            changed = {
                name
                for name in FILES
                if name.startswith(target) and now[name] != self.recorded[name]
            }
            state = found[target].data_state
            assert state == ("modified" if changed else "unchanged"), (target, changed)

    def checkout(self) -> None:
        self.repo.checkout(force=True)
        assert self.content() == self.recorded

    def push(self) -> None:
        run = Dver(self.repo.path)
        run("push", "-q")
        run("fsck", "-q", "--full", "-r", "nas")

    def gc(self) -> None:
        Dver(self.repo.path)("gc", "-q")

    def finish(self) -> None:
        """Everything that was committed is there, and is what it was."""
        self.status()
        run = Dver(self.repo.path)
        run("fsck", "-q", "--full")
        for back, content in enumerate(reversed(self.committed)):
            for name in FILES:
                done = run("cat", name, "--rev", f"HEAD~{back}")
                assert done.stdout == content[name]


JUMPS = st.sampled_from([-3 * DAY, -DAY, -31 * MINUTE, -5 * MINUTE, 5 * MINUTE, 31 * MINUTE, DAY])
WRITES = st.tuples(
    st.just("write"),
    st.integers(0, 2),
    st.integers(0, 2),
    st.booleans(),
    st.sampled_from([0, 0, 3 * DAY, -DAY]),
)
STEPS = st.one_of(
    WRITES,
    WRITES,
    st.tuples(st.just("jump"), JUMPS),
    st.tuples(st.just("jump"), JUMPS),
    st.sampled_from([("add",), ("status",), ("status",), ("checkout",), ("push",), ("gc",)]),
)


@settings(max_examples=max(8, profile.default.max_examples // 5))
@given(st.lists(STEPS, min_size=3, max_size=14))
@example([("jump", DAY), ("add",), ("jump", -DAY), ("write", 0, 1, True, 0), ("status",)])
@example([("write", 0, 1, False, 3 * DAY), ("add",), ("jump", 3 * DAY), ("write", 0, 2, True, 0)])
@example([("add",), ("push",), ("jump", -3 * DAY), ("gc",), ("write", 2, 1, True, 0), ("push",)])
def test_no_jump_hides_a_change_or_loses_anything(
    tmp_path_factory: Any, steps: list[tuple[Any, ...]]
) -> None:
    jumping = Jumping()
    with jumping.everywhere():
        world = World.create(tmp_path_factory.mktemp("clocks"), jumping)
        for name, *args in steps:
            getattr(world, name)(*args)
        world.finish()


def test_a_change_within_one_tick_is_seen(tmp_path: Path) -> None:
    """Written, added, and written again so soon that no time of the file tells the two apart."""
    jumping = Jumping(grain=1 << 60)
    with jumping.everywhere():
        world = World.create(tmp_path, jumping)
        before = os.stat(tmp_path / "repo/data/a")
        for value in (1, 2, 1):
            world.write(0, value, True, 0)
            world.status()
        world.add()
        world.write(0, 2, True, 0)
        after = os.stat(tmp_path / "repo/data/a")
        assert all(
            getattr(before, name) == getattr(after, name)
            for name in ("st_ino", "st_size", "st_mtime_ns", "st_ctime_ns")
        )
        world.status()
        world.add()
        world.status()


def test_the_simulation_moves_the_times_of_files(tmp_path: Path) -> None:
    jumping = Jumping()
    with jumping.everywhere():
        (tmp_path / "before").touch()
        jumping.jump(DAY)
        (tmp_path / "after").touch()
        jumping.jump(-2 * DAY)
        (tmp_path / "back").touch()
        jumping.date(tmp_path / "before", MINUTE)
        times = [os.stat(tmp_path / name).st_mtime_ns for name in ("after", "back", "before")]
        after, back, before = ((ns - clock.now_ns()) / SECOND for ns in times)
        assert abs(after - 2 * DAY) < 5
        assert abs(back) < 5
        assert abs(before - MINUTE) < 5
        fd = os.open(tmp_path, os.O_RDONLY)
        try:
            moment = fsclock.moment_in(fd)
        finally:
            os.close(fd)
        assert abs(moment - clock.now_ns()) < 5 * SECOND
