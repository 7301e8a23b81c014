"""Damage single files, as a failing disk does, and see that it is found and that nothing is wrong.

``python -m tests.faults.rot --offsets 500 --seed 1`` runs the long campaign; the ordinary test run
has a short one. Each trial takes a copy of one set of repositories and damages one file at a random
offset, without a change of its times: it flips a bit, zeroes a block or cuts the file off. Then it
asks that

- ``fsck --full`` finds the damage, names the file, and every version that cannot be had any more
- what is a cache does no harm at all, and is as good as new after the next command that needs it
- ``get``, ``cat``, ``checkout`` and ``pull`` write no wrong byte, and end with 0 only if all of the
  right ones are there
- ``fsck --repair --from`` a remote, or ``push --repair`` to one, makes everything whole again
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.faults.kills import Digests, digests, git
from tests.support.cli import Done, Dver
from tests.support.gitrepo import hermetic_environment

HOWS = ("flip", "flip", "zero", "cut")
VERSIONS = ("v1", "v2")
_BLOCK = 512


@dataclass
class Lab:
    """``here`` has two versions and a remote ``nas``; ``there`` is a clone without data.

    ``near`` is a clone that has them, with links into its cache of whole files.
    """

    top: Path
    versions: dict[str, Digests] = field(default_factory=dict)

    def repo(self, name: str) -> Path:
        """Return one of the repositories, or the remote."""
        return self.top / name

    def copy(self, to: Path) -> Lab:
        """Return a copy to be spoilt. The remote's URL is relative, so it goes along."""
        subprocess.run(["cp", "-a", self.top, to], check=True)
        return Lab(to, self.versions)


def prepare(top: Path) -> Lab:
    """Make the repositories that each trial copies."""
    lab = Lab(top)
    here, near = lab.repo("here"), lab.repo("near")
    rng = random.Random(5)
    env = dict(os.environ)
    (here / "data").mkdir(parents=True)
    git(here, "init", "-q", "-b", "main", ".", env=env)
    dver = Dver(here, in_process=True)
    dver("init", "-q")
    dver("remote", "add", "nas", "../nas", "-q")
    large = rng.randbytes(500_000)
    for version in VERSIONS:
        for i in range(24):
            if version == "v1" or i % 5 == 2:
                path = here / "data" / f"{i % 3}" / f"{i:03}.bin"
                path.parent.mkdir(exist_ok=True)
                path.write_bytes(rng.randbytes(rng.randrange(2000)) + b"text " * rng.randrange(300))
        large = large[:100_000] + rng.randbytes(1000) + large[100_000:]
        (here / "data/large.bin").write_bytes(large)
        (here / "one.txt").write_bytes(rng.randbytes(700) + version.encode())
        dver("add", "-q", "data", "one.txt")
        git(here, "add", "-A", env=env)
        git(here, "commit", "-qm", version, env=env)
        git(here, "tag", version, env=env)
        lab.versions[version] = _state(here)
        dver("push", "-q")
    dver("fsck", "--full", "-q")
    for name in ("near", "there"):
        git(top, "clone", "-q", str(here), name, env=env)
    Dver(near, in_process=True)("fetch", "-q", "--all")
    Dver(near, in_process=True)("checkout", "-q", "--link", "hardlink")
    Dver(near, in_process=True)("fsck", "--full", "-q")
    return lab


def _state(repo: Path) -> Digests:
    """Return the digests of the data of a work tree."""
    found = {f"data/{name}": one for name, one in digests(repo / "data").items()}
    return {**found, **{n: d for n, d in digests(repo).items() if n == "one.txt"}}


def spoil(path: Path, how: str, at: int) -> bool:
    """Damage a file from an offset on; say whether that changed it. Its times stay."""
    old = path.stat()
    data = path.read_bytes()
    if how == "flip":
        bad = data[:at] + bytes([data[at] ^ 1 << at % 8]) + data[at + 1 :]
    elif how == "zero":
        start = at - at % _BLOCK
        end = min(start + _BLOCK, len(data))
        bad = data[:start] + bytes(end - start) + data[end:]
    else:
        bad = data[:at]
    path.chmod(0o644)
    path.write_bytes(bad)
    path.chmod(old.st_mode & 0o777)
    os.utime(path, ns=(old.st_atime_ns, old.st_mtime_ns))
    return bad != data


@dataclass(frozen=True)
class Trial:
    """One damaged file: in which repository, by its path there, how, and where in it."""

    lab: Lab
    repo: str
    path: str
    how: str
    at: int

    def run(self, *args: str, where: str | None = None) -> Done:
        """Run a command in a repository, the damaged one if none is named."""
        done = Dver(self.lab.repo(where or self.repo), in_process=True).attempt(*args)
        assert done.exit_code != 70, f"dver {' '.join(args)} failed:\n{done.stderr}"
        return done

    def succeed(self, *args: str, where: str | None = None) -> Done:
        """Run a command that must succeed."""
        done = self.run(*args, where=where)
        assert done.exit_code == 0, (
            f"dver {' '.join(args)} ended with {done.exit_code}:\n{done.stdout}{done.stderr}"
        )
        return done

    def agree(self) -> None:
        """Agree to the remote, which is at another place in each copy."""
        for name in ("here", "near", "there"):
            self.succeed("remote", "trust", "nas", "-q", where=name)

    # reading

    def restores(self, where: str) -> set[str]:
        """Ask for every version; return those that cannot be had. No wrong byte may come."""
        lost = set()
        for version in VERSIONS:
            right = self.lab.versions[version]
            out = self.lab.top / f"out-{version}"
            args = ("data", "--rev", version, "-o", str(out))
            done = self.run("get", *args, where=where)
            got = {f"data/{name}": one for name, one in digests(out).items()}
            wrong = {name for name, one in got.items() if right[name] != one}
            assert not wrong, f"get wrote wrong bytes: {wrong}"
            if done.exit_code:
                assert done.exit_code in (6, 7), f"get ended with {done.exit_code}: {done.stderr}"
                # With an index that cannot be opened no command begins, whatever it is about.
                if Path(self.path).name not in done.stderr or "/index/" not in self.path:
                    lost.add(version)
            else:
                assert len(got) == len(right) - 1, "get ended with 0 and not all is there"
            shutil.rmtree(out, ignore_errors=True)
        return lost

    def cats(self, where: str, name: str) -> None:
        """Print a file of the newest version."""
        done = self.run("cat", name, where=where)
        right = (self.lab.repo("here") / name).read_bytes()
        if done.exit_code:
            assert not done.stdout_bytes, "cat printed something and failed"
        else:
            assert done.stdout_bytes == right, "cat printed wrong bytes and ended with 0"

    def checks_out(self, where: str, *command: str) -> bool:
        """Bring the data anew into a work tree; say whether all came."""
        repo = self.lab.repo(where)
        right = self.lab.versions["v2"]
        shutil.rmtree(repo / "data", ignore_errors=True)
        (repo / "one.txt").unlink(missing_ok=True)
        done = self.run(*command, where=where)
        got = _state(repo)
        wrong = {name for name, one in got.items() if right[name] != one}
        assert not wrong, f"{command[0]} wrote wrong bytes: {wrong}"
        assert done.exit_code or got == right, f"{command[0]} ended with 0 and not all is there"
        return done.exit_code == 0

    # checking

    def finds(self, *args: str) -> list[dict[str, Any]]:
        """Run a full check, and return its findings. It must not be content without any."""
        done = self.run("fsck", "--full", "--json", *args, where=self._checker)
        if "result" not in done.json:
            # Not even what the store is can be read.
            assert self.path.endswith("format.json"), done.stdout
            assert done.exit_code in (3, 7, 8), done.stdout
            return [{"where": "format.json", "lost": 0, "affected": []}]
        findings: list[dict[str, Any]] = done.json["result"]["findings"]
        assert (done.exit_code == 7) == bool(findings)
        return findings

    @property
    def _checker(self) -> str:
        return "here" if self.repo == "nas" else self.repo


# -- what is damaged, and what must be true then ---------------------------------------------


def _of_store(trial: Trial) -> None:
    """Ask what must be true of a local store with a damaged pack, segment or format record."""
    findings = trial.finds()
    key = trial.path.removeprefix(".git/dver/")
    if key == "format.json" and not findings:
        _does_no_harm(trial)
        return
    assert key in {one["where"] for one in findings}, f"{key} is not among {findings}"
    told = {one["path"] for finding in findings for one in finding["affected"]}
    commits = {one["commit"] for finding in findings for one in finding["affected"]}
    trial.cats("here", "data/large.bin")
    trial.cats("here", "one.txt")
    lost = trial.restores("here")
    for version in lost if told or key != "format.json" else ():
        commit = git(trial.lab.repo("here"), "rev-parse", version, env=dict(os.environ))
        assert commit in commits, f"{version} is lost, and its commit is not told"
        assert "data" in told, "what is lost is not told"
    trial.checks_out("here", "checkout")
    trial.succeed("fsck", "--repair", "--from", "nas")
    assert not trial.finds(), "not whole after a repair"
    assert not trial.restores("here")
    assert trial.checks_out("here", "checkout")


def _of_remote(trial: Trial) -> None:
    """Ask what must be true of a remote with a damaged file."""
    findings = trial.finds("-r", "nas")
    if trial.path == "format.json":
        trial.checks_out("there", "pull")
        return
    assert trial.path in {one["where"] for one in findings}, f"{trial.path}: {findings}"
    trial.checks_out("there", "pull")
    trial.restores("there")
    trial.succeed("push", "--repair", where="here")
    assert not trial.finds("-r", "nas"), "not whole after a repair"
    git(trial.lab.top, "clone", "-q", "here", "new", env=dict(os.environ))
    assert trial.checks_out("new", "pull")
    assert not trial.restores("new")


def _of_pointer(trial: Trial) -> None:
    """Ask what must be true of a damaged pointer in the work tree."""
    findings = trial.finds()
    assert findings, "a pointer that says something else is not found"
    trial.checks_out("here", "checkout")


def _of_links(trial: Trial) -> None:
    """Ask what must be true of a damaged file in the cache of whole files."""
    key = trial.path.removeprefix(".git/dver/")
    assert key in {one["where"] for one in trial.finds()}, f"{key} is not found"
    assert trial.checks_out("near", "checkout", "--link", "hardlink")
    assert not trial.finds()


def _does_no_harm(trial: Trial) -> None:
    """Ask that a damaged cache changes nothing at all."""
    where = trial.repo
    assert not trial.finds(), "a cache is told as damage"
    status = trial.succeed("status", "--json", where=where)
    assert all(one["data_state"] == "unchanged" for one in status.result["targets"]), status.stdout
    assert not trial.restores(where)
    assert trial.checks_out(where, "checkout")
    edited = trial.lab.repo(where) / "data/1/001.bin"
    edited.unlink()
    edited.write_bytes(b"edited")
    trial.succeed("add", "-q", "data", where=where)
    trial.succeed("push", "-q", where=where)
    trial.succeed("fsck", "--full", "-r", "nas", where=where)
    git(trial.lab.repo(where), "commit", "-qam", "more", env=dict(os.environ))
    assert trial.succeed("cat", "data/1/001.bin", "--rev", "HEAD").stdout_bytes == b"edited"


@dataclass(frozen=True)
class Victim:
    """Files of one repository, and what must be true once one of them is damaged."""

    name: str
    repo: str
    patterns: tuple[str, ...]
    holds: Callable[[Trial], None]
    weight: int = 1

    def files(self, lab: Lab) -> list[str]:
        """Return the paths of the files, in the repository."""
        top = lab.repo(self.repo)
        found = {path for pattern in self.patterns for path in top.glob(pattern)}
        return sorted(str(path.relative_to(top)) for path in found if path.is_file())


_STORE = ".git/dver/"
VICTIMS = {
    victim.name: victim
    for victim in (
        Victim("pack", "here", (_STORE + "packs/*/*",), _of_store, 6),
        Victim("segment", "here", (_STORE + "index/*",), _of_store, 3),
        Victim("format", "here", (_STORE + "format.json",), _of_store),
        Victim("remote pack", "nas", ("packs/*/*",), _of_remote, 6),
        Victim("remote segment", "nas", ("index/*",), _of_remote, 3),
        Victim("remote root", "nas", ("roots/*",), _of_remote, 2),
        Victim("remote format", "nas", ("format.json",), _of_remote),
        Victim("pointer", "here", ("*.dver",), _of_pointer, 2),
        Victim("link", "near", (_STORE + "links/*/*",), _of_links, 3),
        Victim("stat index", "here", (_STORE + "stat/*",), _does_no_harm, 2),
        Victim("proofs", "here", (_STORE + "proofs/*",), _does_no_harm),
        Victim("placed", "here", (_STORE + "placed",), _does_no_harm),
        Victim("memory", "near", (_STORE + "remotes/nas/**/*",), _does_no_harm, 3),
    )
}


def trial(lab: Lab, victim: Victim, how: str, rng: random.Random, scratch: Path) -> Trial | None:
    """Damage a file of a copy and ask all that must hold; None if nothing would change.

    Raises AssertionError for what is lost or wrong.
    """
    files = victim.files(lab)
    # Every other time by length, so that neither short files nor long ones are left out.
    sizes = [(lab.repo(victim.repo) / path).stat().st_size for path in files]
    weights = sizes if rng.random() < 0.5 else [size > 0 for size in sizes]
    [path] = rng.choices(files, weights)
    size = sizes[files.index(path)]
    one = Trial(lab.copy(scratch), victim.repo, path, how, rng.randrange(size))
    one.agree()
    if not spoil(one.lab.repo(victim.repo) / path, how, one.at):
        return None
    try:
        victim.holds(one)
    except AssertionError as error:
        raise AssertionError(f"{victim.name}: {path}, {how} at {one.at}: {error}") from error
    return one


def campaign(
    lab: Lab, offsets: int, seed: int, only: str | None = None
) -> Iterator[tuple[Victim, str]]:
    """Yield (victim, how) after each of so many trials."""
    rng = random.Random(f"rot {seed}")
    scratch = lab.top.parent / "trial"
    victims = [one for one in VICTIMS.values() if only in (None, one.name)]
    done = 0
    while done < offsets:
        # Each of them once, then as often as they weigh.
        [victim] = victims[done : done + 1] or rng.choices(victims, [one.weight for one in victims])
        how = rng.choice(HOWS)
        before = rng.getstate()
        try:
            one = trial(lab, victim, how, rng, scratch)
        except AssertionError as error:
            raise AssertionError(f"seed {seed}, trial {done}: {error}") from error
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
        if one is not None:
            done += 1
            yield victim, how
        elif before == rng.getstate():
            raise AssertionError(f"{victim.name}: there is nothing to damage")


def main() -> int:
    """Run the campaign from the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.rot", description=__doc__)
    parser.add_argument("--offsets", type=int, default=500, help="how often something is damaged")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", help="one of " + ", ".join(VICTIMS))
    parser.add_argument("--keep-going", action="store_true", help="tell what fails, and go on")
    args = parser.parse_args()
    counts: Counter[str] = Counter()
    failed = 0
    with (
        tempfile.TemporaryDirectory(prefix="dver-rot-") as temp,
        hermetic_environment(Path(temp) / "home"),
    ):
        lab = prepare(Path(temp) / "lab")
        rounds = range(args.offsets) if args.keep_going else [None]
        for number in rounds:
            seed = args.seed if number is None else args.seed * 100_000 + number
            count = args.offsets if number is None else 1
            only = args.only or (None if number is None else _turn(number))
            try:
                for victim, how in campaign(lab, count, seed, only):
                    counts[f"{victim.name}, {how}"] += 1
            except AssertionError as error:
                if number is None:
                    raise
                failed += 1
                print(f"FAILED {error}", flush=True)
    for what, number in sorted(counts.items()):
        print(f"{number:6,} {what}")
    print(f"{counts.total():,} trials with seed {args.seed}, {failed} failed")
    return 1 if failed else 0


def _turn(number: int) -> str:
    names = [one.name for one in VICTIMS.values() for _ in range(one.weight)]
    return names[number % len(names)]


if __name__ == "__main__":
    sys.exit(main())
