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
- the same command run again succeeds.

With ``--mount``, as root on Linux, it also fills a small file system for real, to each of many
levels.
"""

from __future__ import annotations

import argparse
import contextlib
import errno
import os
import random
import shutil
import stat
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Self

from tests.faults.kills import Digests, digests, git
from tests.faults.network import isolate
from tests.support.cli import Done, Dver

#: What an error's text says of each cause.
CAUSES = {
    errno.ENOSPC: "no space left on the disk",
    errno.EDQUOT: "the disk quota is used up",
    errno.EROFS: "the file system is read-only",
    errno.EIO: "the disk reports an I/O error",
}
#: These need space; those, in addition, a disk that can be written at all.
_GROWING = (
    *("write", "writev", "pwrite", "fsync", "open", "mkdir", "rename", "replace", "link"),
    *("symlink", "copy_file_range", "ftruncate"),
)
_CHANGING = ("unlink", "remove", "rmdir", "chmod", "fchmod", "utime")
_BY_DESCRIPTOR = ("write", "writev", "pwrite", "fsync", "ftruncate")


@dataclass(frozen=True)
class Fault:
    """The ``nth`` call fails (0: none does), with ``lasting`` all after it too.

    A lasting lack of space begins with a write that is cut short.
    """

    number: int
    nth: int
    lasting: bool

    def __str__(self) -> str:
        since = "from call" if self.lasting else "at call"
        return f"{errno.errorcode[self.number]} {since} {self.nth}"


class Layer:
    """Stands in for the calls of :mod:`os` that change a file system, and counts them.

    With ``only`` the others do not count, and never fail.
    """

    def __init__(self, fault: Fault) -> None:
        self.fault = fault
        self.only = ""
        self.count = 0
        self.hit = ""
        self._lock = threading.Lock()
        self._real: dict[str, Any] = {}

    def __enter__(self) -> Self:
        # It asks what the calls can do when it is imported, and must meet the true ones.
        import_module("dver.workspace.safedir")
        names = _GROWING
        if self.fault.number in (errno.EROFS, errno.EIO):
            names += _CHANGING
        for name in names:
            if hasattr(os, name):
                self._real[name] = getattr(os, name)
                setattr(os, name, self._failing(name, self._real[name]))
        return self

    def __exit__(self, *exc: object) -> None:
        for name, real in self._real.items():
            setattr(os, name, real)

    def _failing(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **options: Any) -> Any:
            if not self._changes(name, args) or self.only not in ("", name):
                return real(*args, **options)
            with self._lock:
                self.count += 1
                first = self.count == self.fault.nth
                fails = first or (self.fault.lasting and 0 < self.fault.nth < self.count)
            if not fails:
                return real(*args, **options)
            if first:
                self.hit = f"{name} {args[0] if name not in _BY_DESCRIPTOR else ''}"
            if name == "write" and first and self.fault.lasting and len(args[1]) > 1:
                return real(args[0], memoryview(args[1])[: len(args[1]) // 2])
            number = self.fault.number
            path = args[0] if isinstance(args[0], str | bytes | os.PathLike) else None
            raise OSError(number, os.strerror(number), *([path] if path is not None else []))

        return call

    def _changes(self, name: str, args: tuple[Any, ...]) -> bool:
        if name == "open":
            return bool(args[1] & (os.O_CREAT | os.O_TRUNC))
        if name in _BY_DESCRIPTOR:
            # Pipes to git are no disk.
            mode = os.fstat(args[0]).st_mode
            return stat.S_ISREG(mode) or stat.S_ISDIR(mode)
        return True


@dataclass
class Lab:
    """A repository ``here`` with three versions, of which two are pushed to ``nas``.

    ``there`` is a clone at the second version without data, ``bare`` a git repository without
    dver, and ``new`` in ``here`` is not tracked yet. All is used in place: a copy stands by.
    """

    top: Path
    versions: dict[str, Digests]

    @property
    def here(self) -> Path:
        return self.top / "here"

    @property
    def there(self) -> Path:
        return self.top / "there"

    @property
    def bare(self) -> Path:
        return self.top / "bare"

    @property
    def spare(self) -> Path:
        return self.top.with_name(f"{self.top.name}-spare")

    def reset(self) -> None:
        """Make all as it was."""
        shutil.rmtree(self.top, ignore_errors=True)
        subprocess.run(["cp", "-a", self.spare, self.top], check=True)


def prepare(top: Path) -> Lab:
    """Make the repositories."""
    lab = Lab(top, {})
    env = dict(os.environ)
    rng = random.Random(2)
    data = lab.here / "data"
    data.mkdir(parents=True)
    git(lab.here, "init", "-q", "-b", "main", ".", env=env)
    run = Dver(lab.here)
    run("init", "-q")
    run("remote", "add", "nas", "../nas", "-q")
    for version in ("v1", "v2", "v3"):
        for i in range(12):
            if version == "v1" or i % 4 == int(version[1]):
                path = data / f"{i % 3}" / f"{i:02}.bin"
                path.parent.mkdir(exist_ok=True)
                path.write_bytes(rng.randbytes(rng.randrange(3000)) + b"text " * rng.randrange(300))
        model = data / "model.bin"
        old = model.read_bytes() if model.exists() else rng.randbytes(400 << 10)
        model.write_bytes(old[: 1 << 17] + rng.randbytes(1000) + old[1 << 17 :])
        (data / version).mkdir()
        (data / version / "only.txt").write_text(version)
        os.symlink("only.txt", data / version / "link")
        (lab.here / "one.txt").write_text(version)
        run("add", "-q", "data", "one.txt")
        git(lab.here, "add", "-A", env=env)
        git(lab.here, "commit", "-qm", version, env=env)
        git(lab.here, "tag", version, env=env)
        lab.versions[version] = digests(data)
        if version == "v2":
            run("push", "-q", "--all")
    (lab.here / "new/sub").mkdir(parents=True)
    for i in range(6):
        (lab.here / f"new/sub/{i}.bin").write_bytes(rng.randbytes(2000))
    (lab.here / "new/big.bin").write_bytes(rng.randbytes(300 << 10))
    narrow = ("--no-tags", "--single-branch", "--branch", "v2")
    git(top, "clone", "-q", *narrow, str(lab.here), str(lab.there), env=env)
    (lab.bare / "src").mkdir(parents=True)
    git(lab.bare, "init", "-q", "-b", "main", ".", env=env)
    subprocess.run(["cp", "-a", top, lab.spare], check=True)
    return lab


@dataclass(frozen=True)
class Victim:
    """A command on a bad disk: where it runs, what comes before it, what it must have done.

    ``becomes`` is what the files of ``data`` may become, None if they may not change.
    """

    args: tuple[str, ...]
    where: str
    done: Callable[[Lab], None]
    before: Callable[[Lab], object] = lambda lab: None
    becomes: str | None = None
    keeps: tuple[str, ...] = ("v1", "v2", "v3")

    def cwd(self, lab: Lab) -> Path:
        return lab.top / self.where


def _gone(lab: Lab, name: str) -> Path:
    """Return a path beside the repositories at which there is nothing."""
    shutil.rmtree(lab.top / name, ignore_errors=True)
    return lab.top / name


def _is_added(lab: Lab) -> None:
    out = _gone(lab, "out-new")
    Dver(lab.here)("get", "-q", "new", "-o", str(out))
    assert digests(out) == digests(lab.here / "new")
    assert (lab.here / ".gitignore").read_text().splitlines().count("/new") == 1


def _is_updated(lab: Lab) -> None:
    out = _gone(lab, "out-updated")
    Dver(lab.here)("get", "-q", "data", "-o", str(out))
    assert digests(out) == digests(lab.here / "data")
    assert Dver(lab.here)("status", "--porcelain", "--no-remote").stdout.count("one.txt") == 1


def _change(lab: Lab) -> None:
    (lab.here / "data/1/01.bin").write_bytes(b"changed")
    (lab.here / "data/more.txt").write_text("more")
    (lab.here / "one.txt").write_text("changed")


def _is_pushed(lab: Lab) -> None:
    other = _gone(lab, "other")
    git(lab.top, "clone", "-q", str(lab.here), str(other), env=dict(os.environ))
    Dver(other)("pull", "-q")
    assert digests(other / "data") == lab.versions["v3"]


def _is_pulled(lab: Lab) -> None:
    assert digests(lab.there / "data") == lab.versions["v2"]
    assert (lab.there / "one.txt").read_text() == "v2"


def _drop_new(lab: Lab) -> None:
    Dver(lab.here)("add", "-q", "new")
    Dver(lab.here)("rm", "-q", "--force", "new")


def _is_collected(lab: Lab) -> None:
    assert "nothing" in Dver(lab.here)("gc", "--dry-run").stdout


def _go_back(lab: Lab) -> None:
    git(lab.here, "checkout", "-q", "v1", env=dict(os.environ))


def _is_back(lab: Lab) -> None:
    assert digests(lab.here / "data") == lab.versions["v1"]
    assert Dver(lab.here)("status", "--porcelain", "--no-remote").stdout == ""


def _is_set_up(lab: Lab) -> None:
    assert (lab.bare / ".dver/config.yaml").read_text().startswith("# dver is set up")
    (lab.bare / "src/file").write_text("content")
    Dver(lab.bare)("add", "-q", "src")


VICTIMS = {
    "init": Victim(("init",), "bare", _is_set_up, keeps=()),
    "add": Victim(("add", "new"), "here", _is_added),
    "add again": Victim(("add", "data", "one.txt"), "here", _is_updated, _change),
    "push": Victim(("push",), "here", _is_pushed),
    "pull": Victim(("pull",), "there", _is_pulled, becomes="v2", keeps=()),
    "checkout": Victim(("checkout",), "here", _is_back, _go_back, becomes="v1"),
    "gc": Victim(("gc",), "here", _is_collected, _drop_new),
}


def count(lab: Lab, victim: Victim, number: int) -> int:
    """Return how many calls the command makes that could fail so; it must do its work."""
    lab.reset()
    victim.before(lab)
    with Layer(Fault(number, 0, lasting=False)) as layer:
        done = Dver(victim.cwd(lab)).attempt(*victim.args)
    assert done.exit_code == 0, done.stderr
    victim.done(lab)
    return layer.count


def trial(lab: Lab, victim: Victim, fault: Fault) -> int:
    """Run the command on a disk that fails and check everything; return its exit code.

    Raises AssertionError for what is wrong.
    """
    lab.reset()
    victim.before(lab)
    before = files(lab)
    with Layer(fault) as layer:
        done = Dver(victim.cwd(lab)).attempt(*victim.args)
    try:
        judge(lab, victim, fault.number, done, before)
        assert layer.hit, "nothing failed"
    except AssertionError as error:
        told = f"{fault} ({layer.hit}): exit code {done.exit_code}\n{done.stdout}{done.stderr}"
        raise AssertionError(f"{error}\n{told}") from error
    return done.exit_code


def judge(lab: Lab, victim: Victim, number: int, done: Done, before: Digests) -> None:
    """Check what a command said and left, and that it succeeds now."""
    cwd = victim.cwd(lab)
    if done.exit_code:
        assert done.exit_code == 10, "it ends with another code"
        [line] = [one for one in done.stderr.splitlines() if one.startswith("error: ")]
        cause = CAUSES[number]
        assert cause in line, "it does not tell the cause"
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
    # A clone to which nothing came yet rightly misses all.
    if victim.keeps or done.exit_code == 0:
        Dver(cwd)("fsck", "--full", "-q")
    if (lab.top / "nas/format.json").exists() and victim.where == "here":
        Dver(lab.here)("fsck", "--full", "-q", "-r", "nas")
    for version in victim.keeps:
        out = lab.top / f"out-{version}"
        Dver(cwd)("get", "-q", "data", "--rev", version, "-o", str(out))
        assert digests(out) == lab.versions[version], f"{version} is not what it was"
    Dver(cwd)(*victim.args)
    victim.done(lab)
    Dver(cwd)("fsck", "--full", "-q")


def known(lab: Lab, cwd: Path) -> set[str]:
    """Return the paths that a message may be about, relative to the repository."""
    found = {f"data/{path}" for version in lab.versions.values() for path in version}
    found.update(f"data/{version}/link" for version in lab.versions)
    found.update(os.path.dirname(path) for path in list(found))
    found.update(str(path.relative_to(cwd)) for path in cwd.rglob("*"))
    return found | {"one.txt"}


def files(lab: Lab) -> Digests:
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
    after = files(lab)
    wanted = lab.versions.get(victim.becomes or "", {})
    data = f"{victim.where}/data/"
    for path in before.keys() | after.keys():
        if before.get(path) == after.get(path):
            continue
        if path.endswith((".dver", ".gitignore")):
            assert victim.args[0] in ("add", "pull"), f"{path} changed"
            continue  # old or new, and the check says that what they name is there
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
    lab: Lab, name: str, number: int, *, most: int = sys.maxsize, seed: int = 1
) -> tuple[int, Counter[int], list[str]]:
    """Try a command with one kind of fault; return (calls, exit codes counted, what was wrong)."""
    victim = VICTIMS[name]
    calls = count(lab, victim, number)
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
    at.mkdir(parents=True)
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


def full_disk(top: Path, *, step: int = 32 << 10) -> tuple[int, list[str]]:
    """Run every command with ever more space until it has enough; return (runs, what was wrong)."""
    runs, wrong = 0, []
    with small_disk(top, 96 << 20) as disk:
        lab = prepare(disk / "lab")
        for name, victim in VICTIMS.items():
            for leave in range(0, 64 << 20, step):
                lab.reset()
                victim.before(lab)
                before = files(lab)
                ballast = fill(disk, leave)
                done = Dver(victim.cwd(lab)).attempt(*victim.args)
                ballast.unlink()
                runs += 1
                try:
                    judge(lab, victim, errno.ENOSPC, done, before)
                except AssertionError as error:
                    told = f"{done.exit_code}\n{done.stdout}{done.stderr}"
                    wrong.append(f"{name}, {leave} bytes left: {error}\n{told}")
                if done.exit_code == 0:
                    break
            else:
                wrong.append(f"{name}: it never has enough space")
            print(f"{name}: enough with {leave >> 10} KiB", flush=True)
    return runs, wrong


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
            runs, wrong = full_disk(Path(temp) / "disk")
            print(f"full disk: {runs} runs", flush=True)
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
