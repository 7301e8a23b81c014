"""The commands that meet a bad disk, the repositories they run in, and what they must have done."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.faults.kills import Digests, digests, git
from tests.support.cli import Dver


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
