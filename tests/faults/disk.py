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


def prepare(top: Path, *, files: int = 12) -> Lab:
    """Make the repositories. From 3,000 files on, commands use several processes."""
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
        for i in range(files):
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

    ``becomes`` is what the files of ``data`` may become, None if they may not change. ``code`` is
    the exit code of success; ``once`` says that there is nothing to do for a second run. ``partly``
    is the exit code if all was done here and not in a remote; a warning then says why.
    """

    args: tuple[str, ...]
    where: str
    done: Callable[[Lab], None]
    before: Callable[[Lab], object] = lambda lab: None
    becomes: str | None = None
    keeps: tuple[str, ...] = ("v1", "v2", "v3")
    code: int = 0
    once: bool = False
    partly: int = 10

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


def _lay_out_two(lab: Lab) -> None:
    for name in ("a/x", "b/y"):
        (lab.here / name).parent.mkdir()
        (lab.here / name).write_text(name)


def _are_tracked(lab: Lab) -> None:
    for name in ("a/x", "b/y"):
        assert Dver(lab.here)("cat", name).stdout == name
        assert (lab.here / name).with_name(".gitignore").read_text() == f"/{name[-1]}\n"


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


def _is_moved(lab: Lab) -> None:
    _is_back_at(lab, "v3", "moved")
    assert not (lab.here / "data.dver").exists()
    assert (lab.here / ".gitignore").read_text().splitlines() == ["/one.txt", "/moved"]
    assert Dver(lab.here)("status", "--porcelain", "--no-remote").stdout.count("\n") == 1


def _is_back_at(lab: Lab, version: str, name: str) -> None:
    assert digests(lab.here / name) == lab.versions[version]


def _is_removed(lab: Lab) -> None:
    assert not (lab.here / "data").exists()
    assert not (lab.here / "data.dver").exists()
    assert (lab.here / ".gitignore").read_text() == "/one.txt\n"


def _is_fetched(lab: Lab) -> None:
    out = _gone(lab, "out-fetched")
    (lab.top / "nas").rename(lab.top / "away")
    try:
        Dver(lab.there)("get", "-q", "data", "-o", str(out))
    finally:
        (lab.top / "away").rename(lab.top / "nas")
    assert digests(out) == lab.versions["v2"]


def _is_got(lab: Lab) -> None:
    assert digests(lab.top / "got") == lab.versions["v1"]


def _has_remote(lab: Lab) -> None:
    assert "../other" in (lab.here / ".dver/config.yaml").read_text()
    assert "../nas" in (lab.here / ".dver/config.yaml").read_text()


def _damage(lab: Lab) -> None:
    """Spoil a byte of a pack that has more than one object, and lose an index segment."""
    store = lab.here / ".git/dver"
    pack = max(
        (store / "packs").rglob("*"), key=lambda path: path.is_file() and path.stat().st_size
    )
    pack.chmod(0o644)
    with open(pack, "r+b") as file:
        file.seek(pack.stat().st_size // 2)
        byte = file.read(1)[0]
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte ^ 1]))
    min((store / "index").iterdir()).unlink()


def _is_repaired(lab: Lab) -> None:
    run = Dver(lab.here)
    run("add", "-q", "data", "one.txt")
    run("fetch", "-q", "--all")
    run("fsck", "-q", "--full")


def _is_dropped(lab: Lab) -> None:
    assert "would drop 0 objects" in Dver(lab.here)("drop", *_DROPPED, "--dry-run").stdout


def _is_swept(lab: Lab) -> None:
    """What was dropped is in the trash, and what was kept is there in full."""
    other = _gone(lab, "other")
    git(lab.top, "clone", "-q", "--branch", "v2", str(lab.here), str(other), env=dict(os.environ))
    Dver(other)("pull", "-q")
    assert digests(other / "data") == lab.versions["v2"]


#: It must not be compressed, since its bytes are looked for.
_SECRET = random.Random(3).randbytes(3000)


def _push_a_secret(lab: Lab) -> None:
    (lab.here / "secret").write_bytes(_SECRET)
    run = Dver(lab.here)
    run("add", "-q", "secret")
    git(lab.here, "add", "-A", env=dict(os.environ))
    git(lab.here, "commit", "-qm", "too much", env=dict(os.environ))
    run("push", "-q")


def _is_purged(lab: Lab) -> None:
    assert (lab.here / "secret").read_bytes() == _SECRET
    piece = _SECRET[:64]
    for top in (lab.here / ".git/dver", lab.top / "nas"):
        for path in top.rglob("*"):
            assert not path.is_file() or piece not in path.read_bytes(), f"it is in {path}"


_DROPPED = ("data", "--rev", "v1")
VICTIMS = {
    "init": Victim(("init",), "bare", _is_set_up, keeps=()),
    "add": Victim(("add", "new"), "here", _is_added),
    "add again": Victim(("add", "data", "one.txt"), "here", _is_updated, _change),
    "add in two": Victim(("add", "a/x", "b/y"), "here", _are_tracked, _lay_out_two),
    "push": Victim(("push",), "here", _is_pushed),
    "pull": Victim(("pull",), "there", _is_pulled, becomes="v2", keeps=()),
    "checkout": Victim(("checkout",), "here", _is_back, _go_back, becomes="v1"),
    "gc": Victim(("gc",), "here", _is_collected, _drop_new),
    "fetch": Victim(("fetch",), "there", _is_fetched, keeps=()),
    "get": Victim(("get", "data", "--rev", "v1", "-o", "../got"), "here", _is_got, once=True),
    "mv": Victim(("mv", "data", "moved"), "here", _is_moved, once=True),
    "rm": Victim(("rm", "data"), "here", _is_removed, becomes="nothing", once=True),
    "remote add": Victim(("remote", "add", "other", "../other"), "here", _has_remote),
    "drop": Victim(("drop", *_DROPPED), "here", _is_dropped),
    "purge": Victim(("purge", "-y", "secret"), "here", _is_purged, _push_a_secret, partly=8),
    "gc remote": Victim(("gc", "-r", "nas", "--grace", "0s"), "here", _is_swept),
    # What was not pushed yet and is damaged is lost here.
    "repair": Victim(("fsck", "--repair"), "here", _is_repaired, _damage, keeps=(), code=7),
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
