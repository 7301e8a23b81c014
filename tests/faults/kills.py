"""Kill commands at random moments, and see that nothing is lost.

``python -m tests.faults.kills --kills 200`` runs the long campaign; the ordinary test run has a
short one. Each trial starts from a copy of one set of repositories, kills the command and its
workers with SIGKILL after a random part of the time that it takes, and then asks that

- the store passes a full check, and so does the remote,
- every committed version that was there before can be restored byte for byte,
- the same command run again succeeds and does what it would have done,
- a checkout and a collection, long afterwards by the dates of the files, leave no temporary file.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.cli import Done, Dver

Digests = dict[str, str]

_ENV = {
    "GIT_AUTHOR_NAME": "A",
    "GIT_AUTHOR_EMAIL": "a@example.com",
    "GIT_COMMITTER_NAME": "A",
    "GIT_COMMITTER_EMAIL": "a@example.com",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
}


@dataclass
class Lab:
    """A repository ``here`` with three versions, its remote, and a clone ``there`` without data.

    ``versions`` has the digests of all files of each committed version. The last version is
    committed and not pushed. ``new`` in the repository is not tracked yet.
    """

    top: Path
    versions: dict[str, Digests] = field(default_factory=dict)

    @property
    def here(self) -> Path:
        return self.top / "here"

    @property
    def there(self) -> Path:
        return self.top / "there"

    def copy(self, to: Path) -> Lab:
        """Return a copy to be spoilt. The remote's URL is relative, so it goes along."""
        subprocess.run(["cp", "-a", self.top, to], check=True)
        return Lab(to, self.versions)


def environment(home: Path) -> dict[str, str]:
    """Return an environment without anybody's settings."""
    kept = {key: os.environ[key] for key in ("PATH", "PYTHONPATH") if key in os.environ}
    return {**kept, **_ENV, "HOME": str(home), "XDG_CONFIG_HOME": str(home / ".config")}


def start(cwd: Path, *args: str, env: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """Start a dver command in a process group of its own."""
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "dver", *args],
        cwd=cwd,
        env=dict(env),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )


def attempt(cwd: Path, *args: str, env: Mapping[str, str]) -> Done:
    """Run a dver command in this process, which is what nearly all of a trial consists of."""
    before = dict(os.environ)
    os.environ.clear()
    os.environ.update(env)
    try:
        return Dver(cwd, in_process=True).attempt(*args)
    finally:
        os.environ.clear()
        os.environ.update(before)


def dver(cwd: Path, *args: str, env: Mapping[str, str]) -> str:
    """Run a dver command that must succeed."""
    done = attempt(cwd, *args, env=env)
    assert done.exit_code == 0, (
        f"dver {' '.join(args)} ended with {done.exit_code}:\n{done.stdout}{done.stderr}"
    )
    return done.stdout


def git(cwd: Path, *args: str, env: Mapping[str, str]) -> str:
    """Run a git command that must succeed."""
    done = subprocess.run(["git", *args], cwd=cwd, env=dict(env), capture_output=True, check=True)
    return done.stdout.decode().strip()


def digests(top: Path) -> Digests:
    """Return a digest of each file below a directory, but temporary ones."""
    return {
        str(path.relative_to(top)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(top.rglob("*"))
        if path.is_file() and not path.name.startswith(".dver-tmp-")
    }


def prepare(top: Path, env: Mapping[str, str], *, files: int) -> Lab:
    """Make the repositories that each trial copies."""
    lab = Lab(top)
    rng = random.Random(20)
    (lab.here / "data").mkdir(parents=True)
    git(lab.here, "init", "-q", "-b", "main", ".", env=env)
    dver(lab.here, "init", "-q", env=env)
    dver(lab.here, "remote", "add", "nas", "../nas", "-q", env=env)
    for version in ("v1", "v2", "v3"):
        for i in range(files):
            if version == "v1" or i % 10 == int(version[1]):
                path = lab.here / "data" / f"{i % 7}" / f"{i:05}.bin"
                path.parent.mkdir(exist_ok=True)
                path.write_bytes(rng.randbytes(rng.randrange(3000)) + b"text " * rng.randrange(300))
        model = lab.here / "data" / "model.bin"
        old = model.read_bytes() if model.exists() else rng.randbytes(5 << 20)
        model.write_bytes(old[: 1 << 20] + rng.randbytes(1000) + old[1 << 20 :])
        dver(lab.here, "add", "-q", "data", env=env)
        git(lab.here, "add", "-A", env=env)
        git(lab.here, "commit", "-qm", version, env=env)
        git(lab.here, "tag", version, env=env)
        lab.versions[version] = digests(lab.here / "data")
        if version == "v2":
            dver(lab.here, "push", "-q", "--all", env=env)
    for i in range(files // 2):
        path = lab.here / "new" / f"{i:05}.bin"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(rng.randbytes(rng.randrange(4000)))
    (lab.here / "new" / "big.bin").write_bytes(rng.randbytes(6 << 20))
    # Not even the commit of what was not pushed, which a check would rightly miss.
    narrow = ("--no-tags", "--single-branch", "--branch", "v2")
    git(top, "clone", "-q", *narrow, str(lab.here), str(lab.there), env=env)
    return lab


@dataclass(frozen=True)
class Victim:
    """A command to kill: where it runs, what comes before it, and what it must have done."""

    name: str
    args: tuple[str, ...]
    cwd: Callable[[Lab], Path]
    before: Callable[[Lab, Mapping[str, str]], object]
    done: Callable[[Lab, Mapping[str, str]], bool]
    #: The versions that must be there whatever happens to the command.
    keeps: tuple[str, ...] = ("v1", "v2", "v3")


def _nothing(lab: Lab, env: Mapping[str, str]) -> None:
    """Prepare nothing."""


def _trust(lab: Lab, env: Mapping[str, str]) -> None:
    """Agree to the remote, which is at another place in each copy."""
    dver(lab.here, "remote", "trust", "nas", "-q", env=env)


def _drop_new(lab: Lab, env: Mapping[str, str]) -> None:
    """Leave garbage in the store: objects that no pointer names any more."""
    dver(lab.here, "add", "-q", "new", env=env)
    dver(lab.here, "rm", "-q", "--force", "new", env=env)


def _go_back(lab: Lab, env: Mapping[str, str]) -> None:
    git(lab.here, "checkout", "-q", "v1", env=env)


def _is_added(lab: Lab, env: Mapping[str, str]) -> bool:
    dver(lab.here, "get", "new", "-o", "../out", env=env)
    return digests(lab.top / "out") == digests(lab.here / "new")


def _is_pushed(lab: Lab, env: Mapping[str, str]) -> bool:
    git(lab.there, "fetch", "-q", "--tags", "origin", env=env)
    git(lab.there, "checkout", "-q", "v3", env=env)
    dver(lab.there, "pull", "-q", env=env)
    return digests(lab.there / "data") == lab.versions["v3"]


VICTIMS = {
    victim.name: victim
    for victim in (
        Victim("add", ("add", "-q", "new"), lambda lab: lab.here, _nothing, _is_added),
        Victim("push", ("push", "-q"), lambda lab: lab.here, _trust, _is_pushed),
        Victim(
            "pull",
            ("pull", "-q"),
            lambda lab: lab.there,
            _nothing,
            lambda lab, _env: digests(lab.there / "data") == lab.versions["v2"],
            keeps=(),
        ),
        Victim(
            "checkout",
            ("checkout", "-q"),
            lambda lab: lab.here,
            _go_back,
            lambda lab, _env: digests(lab.here / "data") == lab.versions["v1"],
        ),
        Victim("gc", ("gc", "-q"), lambda lab: lab.here, _drop_new, lambda _lab, _env: True),
    )
}


def trial(lab: Lab, victim: Victim, moment: float, env: Mapping[str, str]) -> bool:
    """Kill a command after some seconds and check everything; say whether it was still running.

    Raises AssertionError for what is lost or wrong.
    """
    victim.before(lab, env)
    cwd = victim.cwd(lab)
    process = start(cwd, *victim.args, env=env)
    time.sleep(moment)
    was_running = process.poll() is None
    os.killpg(process.pid, signal.SIGKILL) if was_running else None
    process.communicate()
    check(lab, victim, env)
    return was_running


def check(lab: Lab, victim: Victim, env: Mapping[str, str], again: tuple[str, ...] = ()) -> None:
    """See that nothing is lost after a command was stopped, and that it can be run again.

    ``again`` are options for that. Raises AssertionError for what is lost or wrong.
    """
    cwd = victim.cwd(lab)
    if (cwd / ".git/dver/format.json").exists():
        _require_sound(cwd, env, whole=bool(victim.keeps))
    if (lab.top / "nas/format.json").exists():
        dver(lab.here, "fsck", "--full", "-r", "nas", env=env)
    for version in victim.keeps:
        out = lab.top / f"out-{version}"
        dver(cwd, "get", "data", "--rev", version, "-o", str(out), env=env)
        assert digests(out) == lab.versions[version], f"{version} is not what it was"
    dver(cwd, *victim.args, *again, env=env)
    assert victim.done(lab, env), f"{victim.name}, run again, did not do its work"
    _require_sound(cwd, env, whole=bool(victim.keeps))
    for path in _temporaries(cwd):
        os.utime(path, (1, 1))
    dver(cwd, "checkout", "-q", env=env)
    dver(cwd, "gc", "-q", env=env)
    left = _temporaries(cwd)
    assert not left, f"left behind: {left}"


def _require_sound(cwd: Path, env: Mapping[str, str], *, whole: bool) -> None:
    """Check a store in full; if it need not be ``whole``, what is not there yet is no problem."""
    if whole:
        dver(cwd, "fsck", "--full", env=env)
        return
    problems = attempt(cwd, "fsck", "--full", "--json", env=env).json["result"]["findings"]
    found = [one for one in problems if one["what"] not in ("object-missing", "pack-unindexed")]
    assert not found, found


def _temporaries(cwd: Path) -> list[Path]:
    return [path for path in cwd.rglob(".dver-tmp-*") if path.is_file()]


def duration(lab: Lab, victim: Victim, env: Mapping[str, str]) -> float:
    """Return how long the command takes when nobody kills it (seconds)."""
    victim.before(lab, env)
    started = time.monotonic()
    dver(victim.cwd(lab), *victim.args, env=env)
    return time.monotonic() - started


def campaign(
    lab: Lab, victim: Victim, kills: int, seed: int, env: Mapping[str, str]
) -> tuple[int, int]:
    """Run trials until so many commands were killed; return (killed, tried)."""
    rng = random.Random(f"{victim.name} {seed}")
    scratch = lab.top.parent / "trial"
    seconds = duration(lab.copy(scratch), victim, env)
    shutil.rmtree(scratch)
    killed = tried = 0
    while killed < kills and tried < 3 * kills + 3:
        moment = rng.uniform(0, seconds)
        copy = lab.copy(scratch)
        try:
            killed += trial(copy, victim, moment, env)
        except AssertionError as error:
            raise AssertionError(
                f"{victim.name}, seed {seed}, trial {tried}, killed after {moment:.3f} s of"
                f" {seconds:.3f}: {error}"
            ) from error
        shutil.rmtree(scratch)
        tried += 1
    return killed, tried


def main() -> int:
    """Run the campaign from the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.kills", description=__doc__)
    parser.add_argument("--kills", type=int, default=200, help="kills of each command")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--files", type=int, default=4000, help="files in the data set")
    parser.add_argument("--only", help="one of " + ", ".join(VICTIMS))
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="dver-kills-") as temp:
        env = environment(Path(temp))
        lab = prepare(Path(temp) / "lab", env, files=args.files)
        for name, victim in VICTIMS.items():
            if args.only in (None, name):
                killed, tried = campaign(lab, victim, args.kills, args.seed, env)
                print(f"{name}: {killed} kills in {tried} runs, nothing lost", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
