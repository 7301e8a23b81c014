"""Whole commands against S3 servers behind a network that fails, by seeds.

``python -m tests.faults.network --seeds 100`` runs the long campaign; the ordinary test run has a
few seeds. Each seed pushes two versions, pulls them into clones that have nothing, fetches one
file, asks where things are and checks the remote, all through :mod:`tests.faults.flaky` before a
real server (rclone's and moto's in turn), with a clock that jumps. It then asks that

- a push that ended with 0 had put all it was to put there, read by another way that never fails,
- a pull that ended with 0 wrote every byte, and what was said of the remote is true,
- a command that failed said so as a fault of the remote, with its cause, and what to do,
- the same command run again succeeds, without a fault at the latest after some attempts,
- the remote holds in the end exactly what it would without faults, and its full check is clean.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from dver.base import clock
from dver.base.oid import Oid
from dver.formats import root as roots
from dver.formats.root import RootObject
from dver.storage.local import LocalStorage
from dver.storage.s3 import S3Storage
from dver.storage.s3.settings import resolve
from dver.store import layout, walk
from dver.store.store import Store
from tests.faults.flaky import Flaky, Plan, flaky
from tests.faults.kills import Digests, digests, git
from tests.support.cli import Done, Dver
from tests.support.gitrepo import hermetic
from tests.support.s3server import S3Server, moto_server, rclone_server

ATTEMPTS = 4
_JUMPS = (-3 * 86_400, 86_400, -31 * 60, 31 * 60)
_RATES = (0.05, 0.1, 0.2, 0.4, 0.6)


class Hasty(clock.Clock):
    """A clock by which pauses pass at once, and that jumps by days and minutes, back and forth.

    It jumps before each command (:meth:`jump`), and now and then while a command waits.
    """

    def __init__(self, seed: str) -> None:
        self._slept = 0.0
        self._off = 0
        self._rng = random.Random(f"clock {seed}")

    def jump(self) -> None:
        self._off = self._rng.choice((0, 0, *_JUMPS)) * 10**9

    def now_ns(self) -> int:
        return time.time_ns() + self._off

    def monotonic(self) -> float:
        return time.monotonic() + self._slept

    def sleep(self, seconds: float) -> None:
        self._slept += seconds
        if self._off and self._rng.random() < 0.1:
            self.jump()
        time.sleep(min(seconds, 0.002))


@contextmanager
def hasty(seed: str) -> Iterator[Hasty]:
    """Let pauses pass at once, and the clock jump."""
    mine = Hasty(seed)
    before = clock.install(mine)
    try:
        yield mine
    finally:
        clock.install(before)


@dataclass(frozen=True)
class Held:
    """What a remote holds: what roots name, and all that can be reached from there."""

    objects: frozenset[tuple[str, str, Oid]] = frozenset()
    oids: frozenset[Oid] = frozenset()

    def __ge__(self, other: Held) -> bool:
        return self.objects >= other.objects and self.oids >= other.oids


@dataclass
class Lab:
    """Two versions, committed and tagged in ``here``; ``there`` and ``aside`` are clones.

    ``held`` says what a remote holds after each push without faults.
    """

    top: Path
    versions: dict[str, Digests] = field(default_factory=dict)
    held: dict[str, Held] = field(default_factory=dict)

    def copy(self, to: Path) -> Lab:
        """Return a copy to be used up."""
        subprocess.run(["cp", "-a", self.top, to], check=True)
        return Lab(to, self.versions, self.held)

    def repo(self, name: str) -> Path:
        return self.top / name


def prepare(top: Path) -> Lab:
    """Make the repositories that each seed copies."""
    lab = Lab(top)
    here = lab.repo("here")
    rng = random.Random(4)
    env = dict(os.environ)
    (here / "data").mkdir(parents=True)
    git(here, "init", "-q", "-b", "main", ".", env=env)
    Dver(here)("init", "-q")
    for version in ("v1", "v2"):
        for i in range(40):
            if version == "v1" or i % 5 == 2:
                path = here / "data" / f"{i % 4}" / f"{i:03}.bin"
                path.parent.mkdir(exist_ok=True)
                path.write_bytes(rng.randbytes(rng.randrange(3000)) + b"text " * rng.randrange(300))
        model = here / "data" / "model.bin"
        old = model.read_bytes() if model.exists() else rng.randbytes(1 << 20)
        model.write_bytes(old[: 1 << 18] + rng.randbytes(1000) + old[1 << 18 :])
        (here / "one.txt").write_text(f"{version}\n")
        Dver(here)("add", "-q", "data", "one.txt")
        git(here, "add", "-A", env=env)
        git(here, "commit", "-qm", version, env=env)
        git(here, "tag", version, env=env)
        lab.versions[version] = digests(here / "data")
    # A check would rightly miss what a commit names and nobody has pushed yet.
    narrow = ("--no-tags", "--single-branch", "--branch", "v1")
    git(top, "clone", "-q", *narrow, str(here), str(lab.repo("there")), env=env)
    git(top, "clone", "-q", str(here), str(lab.repo("aside")), env=env)
    return lab


def connect(lab: Lab, url: str, endpoint: str, client: str = "auto") -> None:
    """Give all repositories their remote."""
    for name in ("here", "there", "aside"):
        path = lab.repo(name) / ".git/dver/config.yaml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(
            f"core:\n  remote: nas\nremote:\n  nas:\n    url: {url}\n"
            f"    endpoint_url: {endpoint}\n    region: us-east-1\n    timeout: 1\n"
            f"    client: {client}\n"
        )


def held(server: S3Server, url: str) -> Held:
    """Return what a remote holds, and read every byte of it."""
    bucket, _, prefix = url.removeprefix("s3://").partition("/")
    remote = S3Storage(resolve(bucket, prefix, server.options, server.environ))
    with tempfile.TemporaryDirectory() as copy, closing(remote):
        storage = LocalStorage(copy)
        for entry in remote.list(""):
            storage.put(entry.key, remote.get(entry.key))
        objects: set[RootObject] = set()
        for entry in storage.list(layout.ROOTS):
            objects.update(roots.decode(storage.get(entry.key)).objects)
        if not objects:
            return Held()
        store = Store.open(storage)
        oids = {one.oid for one in objects}
        trees = [one.oid for one in objects if one.kind == "tree"]
        for oid, tree in walk.distinct(store, trees):
            oids.update([oid, *(entry.oid for entry in tree)])
        for oid in list(oids):
            for _ in store.stream(oid):
                pass
            oids.update(part for part, _ in store.parts(oid))
        return Held(frozenset((one.path, one.kind, one.oid) for one in objects), frozenset(oids))


@dataclass
class Trial:
    """One seed: the commands of three clones, and what must be true after each."""

    lab: Lab
    proxy: Flaky
    url: str
    plan: Plan | None
    clock: Hasty = field(default_factory=lambda: Hasty("none"))
    failed: Counter[str] = field(default_factory=Counter)
    runs: int = 0

    def run(
        self,
        where: str,
        *args: str,
        proves: Callable[[Done], None] = lambda _done: None,
        negative: int = 0,
    ) -> Done:
        """Run a command until it succeeds; ``proves`` checks what each success claims.

        ``negative`` is another exit code that is an answer as well.
        """
        words = " ".join(args)
        for attempt in range(ATTEMPTS + 1):
            plan = self.plan if attempt < ATTEMPTS else None
            if plan is not None:
                plan = replace(plan, seed=f"{plan.seed} {where} {words} {attempt}")
            self.proxy.follow(plan)
            self.clock.jump()
            done = Dver(self.lab.repo(where)).attempt(*args)
            self.runs += 1
            told = f"dver {words} in {where}: {done.exit_code}\n{done.stdout}{done.stderr}"
            told += "\n".join(["faults:", *self.proxy.log])
            last = self.proxy.log[-1] if self.proxy.log else ""
            self.proxy.follow(None)
            try:
                if done.exit_code in (0, negative):
                    proves(done)
                    return done
                self._is_told(done, plan, last)
            except AssertionError as error:
                raise AssertionError(f"{error}\n{told}") from error
            self.failed[args[0]] += 1
        raise AssertionError(f"fails without a fault: {told}")

    def _is_told(self, done: Done, plan: Plan | None, last: str) -> None:
        assert plan is not None, "it fails though nothing goes wrong"
        assert done.exit_code == 8, "a fault of the network is told as something else"
        # The first answer of all is no listing if hardly anything of one came.
        cut = " LIST " in last and last.endswith(("too short", "cut XML"))
        if not (cut and "is not S3" in done.stderr):
            assert "gave up after" in done.stderr, "a fault that passes is not told as one"
        assert "hint: " in done.stderr, "it fails without saying what to do next"

    # what must hold

    def is_pushed(self, version: str) -> Callable[[Done], None]:
        """The remote has what the fault-free one has then."""

        def proves(_done: Done) -> None:
            assert held(self.proxy.server, self.url) == self.lab.held[version], "not all arrived"

        return proves

    def is_pulled(self, where: str, version: str) -> Callable[[Done], None]:
        """Every file of a version is there, and the store is sound."""

        def proves(_done: Done) -> None:
            assert digests(self.lab.repo(where) / "data") == self.lab.versions[version]
            assert (self.lab.repo(where) / "one.txt").read_text() == f"{version}\n"
            Dver(self.lab.repo(where))("fsck", "--full", "-q")

        return proves

    def is_somewhere(self, done: Done) -> None:
        """What is said of a remote that was asked is true."""
        [place] = [
            one for one in json.loads(done.stdout)["result"]["places"] if one["name"] == "nas"
        ]
        assert place["state"] in ("complete", "unknown"), place

    def is_sound(self, done: Done) -> None:
        """A full check finds nothing, since nothing is wrong in the remote."""
        assert done.exit_code == 0, "a fault of the network is told as damage"

    # the script

    def play(self) -> None:
        """Run the script."""
        lab, env = self.lab, dict(os.environ)
        git(lab.repo("here"), "checkout", "-q", "v1", env=env)
        self.run("here", "push", proves=self.is_pushed("v1"))
        self.run("there", "pull", proves=self.is_pulled("there", "v1"))
        git(lab.repo("here"), "checkout", "-q", "main", env=env)
        self.run("here", "push", proves=self.is_pushed("v2"))
        self.run("here", "push", proves=self.is_pushed("v2"))
        git(lab.repo("there"), "fetch", "-q", str(lab.repo("here")), "v2", env=env)
        git(lab.repo("there"), "checkout", "-q", "FETCH_HEAD", env=env)
        self.run("there", "pull", proves=self.is_pulled("there", "v2"))
        self.run("aside", "fetch", "data/2/022.bin", proves=self.has_one_file)
        asked = ("whereis", "--json", "--check", "data")
        self.run("aside", *asked, proves=self.is_somewhere, negative=1)
        self.run("aside", "pull", proves=self.is_pulled("aside", "v2"))
        self.run("here", "fsck", "--full", "-r", "nas", proves=self.is_sound, negative=7)
        self.plan = None
        self.run("here", "fsck", "--full", "-r", "nas", proves=self.is_pushed("v2"))

    def has_one_file(self, _done: Done) -> None:
        aside = self.lab.repo("aside")
        Dver(aside)("checkout", "-q", "data/2/022.bin")
        assert digests(aside / "data") == {"2/022.bin": self.lab.versions["v2"]["2/022.bin"]}


def learn(lab: Lab, proxy: Flaky, url: str) -> None:
    """Find out what the remote holds after each push when nothing goes wrong."""
    scratch = lab.copy(lab.top.parent / "reference")
    connect(scratch, url, proxy.endpoint)
    for version in ("v1", "v2"):
        git(scratch.repo("here"), "checkout", "-q", version, env=dict(os.environ))
        Dver(scratch.repo("here"))("push", "-q")
        lab.held[version] = held(proxy.server, url)
    assert lab.held["v2"] >= lab.held["v1"] != lab.held["v2"]
    shutil.rmtree(scratch.top)


def plan_of(seed: int) -> Plan:
    """Return what goes wrong for a seed."""
    rng = random.Random(f"network {seed}")
    return Plan(f"network {seed}", rng.choice(_RATES), rng.choice((None, 2)))


def play(lab: Lab, proxy: Flaky, url: str, seed: int, plan: Plan, client: str) -> Trial:
    """Run the script for one seed in a copy of the repositories."""
    scratch = lab.copy(lab.top.parent / f"seed-{seed}")
    connect(scratch, url, proxy.endpoint, client)
    trial = Trial(scratch, proxy, url, plan)
    try:
        with hasty(plan.seed) as trial.clock:
            trial.play()
    except AssertionError as error:
        raise AssertionError(f"seed {seed}, {trial.plan}: {error}") from error
    shutil.rmtree(scratch.top)
    return trial


@dataclass
class Campaign:
    """The script over some servers, with each seed on one of them."""

    lab: Lab
    servers: list[Flaky]
    client: str = "auto"
    failed: Counter[str] = field(default_factory=Counter)
    runs: int = 0

    def __post_init__(self) -> None:
        self._buckets = [one.server.new_bucket() for one in self.servers]
        for one in self.servers:
            learn(self.lab, one, self.reference(one))

    def reference(self, server: Flaky) -> str:
        """Return the URL of a remote to which nothing has happened."""
        return f"s3://{self._buckets[self.servers.index(server)]}/reference"

    def play(self, seed: int, plan: Plan | None = None) -> None:
        """Run the script for one seed. Raises AssertionError for what is lost or not true."""
        at = seed % len(self.servers)
        url = f"s3://{self._buckets[at]}/seed-{seed}"
        trial = play(self.lab, self.servers[at], url, seed, plan or plan_of(seed), self.client)
        self.failed.update(trial.failed)
        self.runs += trial.runs

    @property
    def done(self) -> Counter[str]:
        """What went wrong, and how often."""
        return sum((one.done for one in self.servers), Counter[str]())


def isolate(home: Path) -> None:
    """Keep this process away from the configuration of whoever runs it."""
    home.mkdir(exist_ok=True)
    for name, value in hermetic(home).items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


def main() -> int:
    """Run the campaign from the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.network", description=__doc__)
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--first", type=int, default=1, help="the first seed")
    parser.add_argument("--client", default="auto", help="auto, or fsspec for s3fs")
    args = parser.parse_args()
    with ExitStack() as stack:
        temp = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="dver-network-")))
        isolate(temp / "home")
        running = (rclone_server(temp / "rclone"), moto_server())
        proxies = [stack.enter_context(flaky(stack.enter_context(one))) for one in running]
        os.environ.update(proxies[0].server.environ)
        del os.environ["AWS_ENDPOINT_URL"]
        lab = prepare(temp / "lab")
        campaign = Campaign(lab, proxies, args.client)
        bad = []
        for seed in range(args.first, args.first + args.seeds):
            try:
                campaign.play(seed)
            except AssertionError as error:
                bad.append(seed)
                print(f"{error}\n", flush=True)
        faults = ", ".join(f"{count} {name}" for name, count in sorted(campaign.done.items()))
        print(f"{args.seeds} seeds from {args.first}: {campaign.runs} commands, faults: {faults}")
        print(f"failed and run again: {dict(campaign.failed)}")
        print(f"bad seeds: {bad}" if bad else "nothing lost, nothing claimed that was not so")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
