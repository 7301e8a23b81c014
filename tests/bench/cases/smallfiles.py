"""Many small files: add, status, checkout, and sharing them through a directory."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from tests.bench import workloads
from tests.bench.lab import Case, Lab, Mark, fresh_store, wipe
from tests.bench.measure import Contender


def add(lab: Lab) -> Case:
    """Add many small files for the first time."""
    count = lab.many(100_000)
    repo = lab.files("add", count, add=False)
    contenders = [
        Contender("dver", (*lab.dver, "add", "data"), repo, fresh_store(repo, repo / "data.dver")),
        Contender("tar cf", ("tar", "cf", "../t.tar", "data"), repo, wipe(lab.root / "t.tar")),
        *_others_adding(lab, repo / "data"),
    ]
    return Case(f"add {count:,} x 4 KB, fresh", contenders, [Mark("tar cf", 2.0)])


def _others_adding(lab: Lab, data: Path) -> list[Contender]:
    found = []
    if lab.dvc:
        repo = lab.dvc_repo("add-dvc")

        # DVC remembers hashes outside of the repository, by inode: new files, no memory.
        def before() -> None:
            _replace(data, repo / "data", repo / ".dvc" / "cache", repo / "data.dvc")

        found.append(Contender("dvc add", (lab.dvc, "add", "-q", "data"), repo, before, runs=2))
    if restic := shutil.which("restic"):
        store = lab.root / "restic"
        env = {"RESTIC_PASSWORD": "bench", "RESTIC_REPOSITORY": str(store)}

        def init() -> None:
            wipe(store)()
            lab.call(lab.root, restic, "init", "-q", env=env)

        backup = (restic, "backup", "-q", "--no-cache", str(data))
        found.append(Contender("restic backup", backup, lab.root, init, env=env, runs=2))
    if shutil.which("git-lfs"):
        repo = workloads.repository(lab.root / "add-lfs", lab.env)
        lab.call(repo, "git", "lfs", "install", "--local")
        lab.call(repo, "git", "lfs", "track", "data/**")

        def empty() -> None:
            _replace(data, repo / "data", repo / ".git" / "lfs", repo / ".git" / "index")

        found.append(Contender("git add, LFS", ("git", "add", "data"), repo, empty, runs=2))
    if oxen := shutil.which("oxen"):
        repo = lab.root / "add-oxen"

        def renew() -> None:
            wipe(repo)()
            shutil.copytree(data, repo / "data")
            lab.call(repo, oxen, "init")

        repo.mkdir()
        found.append(Contender("oxen add", (oxen, "add", "data"), repo, renew, runs=2))
    return found


def _replace(data: Path, copy: Path, *memory: Path) -> None:
    wipe(copy, *memory)()
    shutil.copytree(data, copy)


def _plain_git(lab: Lab, name: str, data: Path) -> Path:
    """Return a git repository that holds the same files itself."""
    plain = workloads.repository(lab.root / name, lab.env)
    shutil.copytree(data, plain / "data")
    workloads.commit(plain, lab.env)
    workloads.git(plain, lab.env, "status")
    return plain


def _one_changed(root: Path) -> Callable[[], None]:
    """Return what gives one file, always the same, content that it never had."""
    path = sorted(root.rglob("*.bin"))[7]
    number = iter(range(1_000_000))
    return lambda: path.write_bytes(b"changed %d" % next(number))


def add_again(lab: Lab) -> Case:
    """Add again after one file has changed."""
    count = lab.many(100_000)
    repo = lab.files("again", count)
    plain = _plain_git(lab, "again-git", repo / "data")
    contenders = [
        Contender("dver", (*lab.dver, "add", "data"), repo, _one_changed(repo / "data")),
        Contender("git status", ("git", "status"), plain, _one_changed(plain / "data")),
    ]
    name = f"add {count:,} files again, one changed"
    return Case(name, contenders, [Mark("git status", 2.0)])


def status(lab: Lab) -> Case:
    """Ask for the status when nothing has changed."""
    count = lab.many(100_000)
    repo = lab.files("status", count)
    lab.call(repo, *lab.dver, "status")
    plain = _plain_git(lab, "status-git", repo / "data")
    contenders = [
        Contender("dver", (*lab.dver, "status"), repo),
        Contender("git status", ("git", "status"), plain),
    ]
    name = f"status of {count:,} files, nothing changed"
    return Case(name, contenders, [Mark("git status", 1.5)])


def checkout(lab: Lab) -> Case:
    """Check out many small files into an empty workspace."""
    count = lab.many(100_000)
    repo = lab.files("checkout", count)
    lab.call(repo, "tar", "cf", "../c.tar", "data")
    out = lab.root / "untar"
    out.mkdir()
    contenders = [
        Contender("dver", (*lab.dver, "checkout"), repo, wipe(repo / "data")),
        Contender("tar xf", ("tar", "xf", "../c.tar"), out, wipe(out / "data")),
    ]
    return Case(f"checkout {count:,} x 4 KB, empty workspace", contenders, [Mark("tar xf", 2.0)])


def checkout_again(lab: Lab) -> Case:
    """Check out a version in which one file differs from the workspace."""
    count = lab.many(100_000)
    repo = lab.files("other", count)
    _one_changed(repo / "data")()
    lab.add(repo, "data")
    plain = _plain_git(lab, "other-git", repo / "data")
    back = (*lab.dver, "checkout", "HEAD", "data")

    def before() -> None:
        lab.call(repo, *lab.dver, "checkout", "HEAD~1", "data")

    contenders = [
        Contender("dver", back, repo, before),
        Contender("git status", ("git", "status"), plain, _one_changed(plain / "data")),
    ]
    name = f"checkout {count:,} files, one differs"
    return Case(name, contenders, [Mark("git status", 2.0)])


def _with_directory(lab: Lab, name: str) -> tuple[int, Path, Path]:
    count = lab.many(100_000)
    repo = lab.files(name, count)
    remote = lab.root / f"{name}-remote"
    lab.call(repo, *lab.dver, "remote", "add", "origin", str(remote))
    workloads.commit(repo, lab.env)
    lab.call(repo, "tar", "cf", "../p.tar", "data")
    return count, repo, remote


def push(lab: Lab) -> Case:
    """Push many small files to a directory, as one piece of work."""
    count, repo, remote = _with_directory(lab, "push")
    forget = wipe(remote, repo / ".git" / "dver" / "remotes")
    contenders = [
        Contender("dver", (*lab.dver, "push"), repo, forget),
        Contender("cp of a tar", ("cp", "p.tar", "p2.tar"), lab.root, wipe(lab.root / "p2.tar")),
    ]
    name = f"push {count:,} x 4 KB to a directory"
    return Case(name, contenders, [Mark("cp of a tar", 2.0)])


def pull(lab: Lab) -> Case:
    """Pull them from there into a fresh clone."""
    count, repo, _ = _with_directory(lab, "pull")
    lab.call(repo, *lab.dver, "push")
    clone = lab.clone(repo, "pull-clone")
    out = lab.root / "pull-tar"
    out.mkdir()
    both = ("sh", "-c", "cp ../p.tar p.tar && tar xf p.tar")
    contenders = [
        Contender("dver", (*lab.dver, "pull"), clone, fresh_store(clone, clone / "data")),
        Contender("cp + tar xf", both, out, wipe(out / "data", out / "p.tar")),
    ]
    name = f"pull {count:,} x 4 KB from a directory into a fresh clone"
    return Case(name, contenders, [Mark("cp + tar xf", 2.0)])


CASES = {
    "add": add,
    "add-again": add_again,
    "status": status,
    "checkout": checkout,
    "checkout-again": checkout_again,
    "push": push,
    "pull": pull,
}
