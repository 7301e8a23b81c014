"""Commands on a disk that is full, over quota, read-only or broken.

``python -m tests.faults.disk`` runs the long campaign; the ordinary test run has a sample of it. A
layer below :mod:`dver.base.fsio`, in place of the system calls of :mod:`os`, lets the nth call that
changes anything fail, or the nth and all after it, for every n up to the number of those calls that
the command makes. After each fault it asks that

- the command ended with 10 and said what was wrong, at which path, and what to do; or with 0, if
  what failed was only something to remember, and then it had done all it was to do,
- no file of the user has changed but by being made what it was to become, as a whole,
- the store passes a full check, and so does the remote, and every version that was there restores,
- what it had begun to write is gone again, if it could be removed,
- the same command run again succeeds, unless all was done already.

With ``--mount``, as root on Linux, it also fills a small file system for real, to each of many
levels.
"""

from __future__ import annotations

import argparse
import contextlib
import errno
import os
import random
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from tests.faults.diskcommands import VICTIMS, Lab, Victim, prepare
from tests.faults.diskfaults import Fault, Layer
from tests.faults.kills import Digests, digests
from tests.faults.network import isolate
from tests.support.cli import Done, Dver

#: What an error's text says of each cause.
CAUSES = {
    errno.ENOSPC: "no space left on the disk",
    errno.EDQUOT: "the disk quota is used up",
    errno.EROFS: "the file system is read-only",
    errno.EIO: "the disk reports an I/O error",
}
#: Those that may change pointers, and what goes with them.
_RECORDING = ("add", "pull", "mv", "rm")


def count(lab: Lab, victim: Victim, number: int) -> int:
    """Return how many calls the command makes that could fail so; it must do its work."""
    lab.reset()
    victim.before(lab)
    with Layer(Fault(number, 0, lasting=False)) as layer:
        done = Dver(victim.cwd(lab)).attempt(*victim.args)
    assert done.exit_code == victim.code, done.stdout + done.stderr
    victim.done(lab)
    return layer.count


def trial(lab: Lab, victim: Victim, fault: Fault) -> int:
    """Run the command on a disk that fails and check everything; return its exit code.

    Raises AssertionError for what is wrong.
    """
    lab.reset()
    victim.before(lab)
    before = user_files(lab)
    with Layer(fault) as layer:
        done = Dver(victim.cwd(lab)).attempt(*victim.args)
    try:
        if not fault.lasting:
            _check_ignored(victim.cwd(lab))
        judge(lab, victim, fault.number, done, before)
        # Packs have random names, so that one directory more or less may be made.
        assert layer.hit or layer.count > fault.nth - 4, "nothing failed"
    except AssertionError as error:
        told = f"{fault} ({layer.hit}): exit code {done.exit_code}\n{done.stdout}{done.stderr}"
        raise AssertionError(f"{error}\n{told}") from error
    return done.exit_code


def judge(lab: Lab, victim: Victim, number: int, done: Done, before: Digests) -> None:
    """Check what a command said and left, and that it succeeds now."""
    cwd = victim.cwd(lab)
    succeeded = done.exit_code == victim.code
    if not succeeded:
        assert done.exit_code in (10, victim.partly), "it ends with another code"
        sort = "error: " if done.exit_code == 10 else "warning: "
        [line] = [one for one in done.stderr.splitlines() if one.startswith(sort)]
        # A checkout looks first whether there is room.
        looked = line.startswith("error: not enough space on the disk of ")
        cause = "bytes are needed" if looked and number == errno.ENOSPC else CAUSES[number]
        assert cause in line, "it does not tell the cause"
        line = line.rpartition(": ")[0] + f": {cause}" if looked else line
        subject = line.partition(f": {cause}")[0].split(" ")[-1]
        told = subject.startswith(str(lab.top)) or subject in known(lab, cwd)
        assert told, "it tells no path that anybody knows"
        assert "\nhint: " in done.stderr, "it does not tell what to do"
    else:
        victim.done(lab)
    left = list(lab.top.rglob(".dver-tmp-*"))
    if number in (errno.ENOSPC, errno.EDQUOT):
        assert not left, f"left behind: {left}"
    _check_files(lab, victim, before)
    # A clone to which nothing came yet rightly misses all, and so does what was damaged.
    if victim.keeps or succeeded:
        Dver(cwd)("fsck", "--full", "-q")
    if (lab.top / "nas/format.json").exists() and victim.where == "here":
        Dver(lab.here)("fsck", "--full", "-q", "-r", "nas")
    for version in victim.keeps:
        out = lab.top / f"out-{version}"
        Dver(cwd)("get", "-q", "data", "--rev", version, "-o", str(out))
        assert digests(out) == lab.versions[version], f"{version} is not what it was"
    again = Dver(cwd).attempt(*victim.args)
    if not victim.once:
        assert again.exit_code in (0, victim.code), f"run again: {again.stderr}"
    victim.done(lab)
    Dver(cwd)("fsck", "--full", "-q")


def known(lab: Lab, cwd: Path) -> set[str]:
    """Return the paths that a message may be about, relative to the repository."""
    found = {f"data/{path}" for version in lab.versions.values() for path in version}
    found.update(f"data/{version}/link" for version in lab.versions)
    found.update(os.path.dirname(path) for path in list(found))
    found.update(str(path.relative_to(cwd)) for path in cwd.rglob("*"))
    # What 'get' writes has the name that was asked for.
    return found | {"one.txt", "got"} | {f"got{path.removeprefix('data')}" for path in found}


def _check_ignored(cwd: Path) -> None:
    """Nothing is hidden from git that has no pointer, for then nobody would see it any more."""
    for path in cwd.rglob(".gitignore"):
        for line in path.read_text().splitlines():
            name = path.parent / line.removeprefix("/")
            tracked = name.with_name(f"{name.name}.dver").exists()
            assert tracked or not name.exists(), f"{name} is hidden and not tracked"


def user_files(lab: Lab) -> Digests:
    """Return a digest of each file of the user's: not those of git and dver themselves."""
    found = {}
    for name in ("here", "there"):
        top = lab.top / name
        for path, digest in digests(top).items():
            if not path.startswith(".git/") and ".dver-tmp-" not in path:
                found[f"{name}/{path}"] = digest
    return found


def _check_files(lab: Lab, victim: Victim, before: Digests) -> None:
    """Compare the user's files with those from before the command."""
    after = user_files(lab)
    wanted = lab.versions.get(victim.becomes or "", {})
    data = f"{victim.where}/data/"
    for path in before.keys() | after.keys():
        if before.get(path) == after.get(path):
            continue
        if path.endswith((".dver", ".gitignore")):
            assert victim.args[0] in _RECORDING, f"{path} changed"
            continue  # old or new, and the check says that what they name is there
        if victim.args[0] == "mv":
            # By one rename, all together.
            assert path.startswith((data, f"{victim.where}/moved/")), f"{path} changed"
            continue
        if path == f"{victim.where}/.dver/config.yaml":
            assert victim.args[0] == "remote", f"{path} changed"
            continue
        assert victim.becomes, f"{path} changed"
        if path.startswith(data):
            assert after.get(path) == wanted.get(path[len(data) :]), f"{path} is neither"
        else:
            assert path == f"{victim.where}/one.txt", f"{path} changed"


def faults(calls: int, number: int, rng: random.Random, most: int) -> Iterator[Fault]:
    """Yield the faults to try, ``most`` of them at random if there are more."""
    every = [
        Fault(number, nth, lasting) for nth in range(1, calls + 1) for lasting in (True, False)
    ]
    yield from every if len(every) <= most else rng.sample(every, most)


def campaign(
    lab: Lab, name: str, number: int, *, most: int = sys.maxsize, seed: int = 1, calls: int = 0
) -> tuple[int, Counter[int], list[str]]:
    """Try a command with one kind of fault; return (calls, exit codes counted, what was wrong).

    ``calls`` is what another kind, which befalls the same calls, has counted.
    """
    victim = VICTIMS[name]
    calls = calls or count(lab, victim, number)
    codes: Counter[int] = Counter()
    wrong = []
    for fault in faults(calls, number, random.Random(f"{name} {number} {seed}"), most):
        try:
            codes[trial(lab, victim, fault)] += 1
        except AssertionError as error:
            wrong.append(f"{name}: {error}")
    return calls, codes, wrong


# -- a real one -----------------------------------------------------------------------------------


@contextlib.contextmanager
def small_disk(at: Path, size: int) -> Iterator[Path]:
    """Mount an empty file system of so many bytes in memory."""
    at.mkdir(parents=True, exist_ok=True)
    options = f"size={size},mode=0777"
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "dver-test", at], check=True)
    try:
        yield at
    finally:
        subprocess.run(["umount", "-l", at], check=True)


def fill(top: Path, leave: int) -> Path:
    """Fill the file system of a directory but for so many bytes."""
    path = top / "ballast"
    with open(path, "wb") as file:
        found = os.statvfs(top)
        os.posix_fallocate(file.fileno(), 0, max(1, found.f_bavail * found.f_frsize - leave))
    return path


def full_disk(disk: Path, name: str, *, files: int, step: int) -> tuple[int, int, list[str]]:
    """Run a command with ever more space until it has enough; return (runs, enough, wrong)."""
    runs, wrong = 0, []
    lab = prepare(disk / "lab", files=files)
    victim = VICTIMS[name]
    for leave in range(0, 1 << 30, step):
        lab.reset()
        victim.before(lab)
        before = user_files(lab)
        ballast = fill(disk, leave)
        done = Dver(victim.cwd(lab)).attempt(*victim.args)
        ballast.unlink()
        runs += 1
        try:
            judge(lab, victim, errno.ENOSPC, done, before)
        except AssertionError as error:
            told = f"{done.exit_code}\n{done.stdout}{done.stderr}"
            wrong.append(f"{name}, {leave} bytes left: {error}\n{told}")
        if done.exit_code == victim.code:
            break
    return runs, leave, wrong


def full_disks(top: Path) -> list[str]:
    """Fill a disk for each command, and for those that use several processes one with more."""
    wrong: list[str] = []
    plans = [(name, 12, 16 << 10, 64 << 20) for name in VICTIMS]
    plans += [(name, 4000, 2 << 20, 512 << 20) for name in ("add again", "checkout", "pull")]
    for name, count_, step, size in plans:
        with small_disk(top, size) as disk:
            runs, enough, bad = full_disk(disk, name, files=count_, step=step)
        wrong += bad
        told = f"{runs} runs, enough with {enough >> 10} KiB, {len(bad)} bad"
        print(f"{name}, {count_} files on a full disk: {told}", flush=True)
        for one in bad:
            print(f"{one}\n", flush=True)
    return wrong


def main() -> int:
    """Run the campaign from the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.disk", description=__doc__)
    parser.add_argument("--only", help="one of " + ", ".join(VICTIMS))
    parser.add_argument("--cause", help="one of ENOSPC, EDQUOT, EROFS, EIO")
    parser.add_argument("--most", type=int, default=sys.maxsize, help="faults of each kind")
    parser.add_argument("--mount", action="store_true", help="fill a real file system as well")
    args = parser.parse_args()
    wrong: list[str] = []
    with tempfile.TemporaryDirectory(prefix="dver-disk-") as temp:
        isolate(Path(temp) / "home")
        if args.mount:
            wrong = full_disks(Path(temp) / "disk")
        lab = prepare(Path(temp) / "lab")
        for name in VICTIMS:
            for number in CAUSES:
                if args.only in (None, name) and args.cause in (None, errno.errorcode[number]):
                    calls, codes, bad = campaign(lab, name, number, most=args.most)
                    wrong += bad
                    told = f"{calls} calls, {codes.total() + len(bad)} faults, codes {dict(codes)}"
                    print(f"{name}, {errno.errorcode[number]}: {told}, {len(bad)} bad", flush=True)
                    for one in bad:
                        print(f"{one}\n", flush=True)
    print(f"{len(wrong)} bad" if wrong else "nothing lost, nothing half done")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
