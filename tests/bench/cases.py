"""What is measured, against what, and the mark that issue and documentation promise."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from tests.bench import workloads
from tests.bench.measure import Contender


@dataclass(frozen=True)
class Mark:
    """A promise: dver's median is at most ``ratio`` times that of ``against``."""

    against: str
    ratio: float


@dataclass(frozen=True)
class Case:
    """One row of the table: the contenders (dver's is named "dver") and the marks."""

    name: str
    contenders: Sequence[Contender]
    marks: Sequence[Mark] = ()
    #: Upper bounds for dver itself: seconds, and peak bytes.
    seconds: float | None = None
    peak: int | None = None


@dataclass(frozen=True)
class Lab:
    """Where and with what to measure."""

    root: Path
    env: Mapping[str, str]
    dver: tuple[str, ...]
    dvc: str | None
    scale: float
    stack: ExitStack

    def many(self, count: int) -> int:
        """Return a number of files, scaled."""
        return max(int(count * self.scale), 10)

    def repo(self, name: str) -> Path:
        """Make a git repository with dver (and DVC, where there is one) set up."""
        path = workloads.repository(self.root / name, self.env)
        self.call(path, *self.dver, "init")
        return path

    def dvc_repo(self, name: str) -> Path:
        """Make a git repository with DVC set up."""
        path = workloads.repository(self.root / name, self.env)
        self.call(path, str(self.dvc), "init", "-q")
        return path

    def call(self, cwd: Path, *argv: str, env: Mapping[str, str] | None = None) -> None:
        """Run a command for preparation, quietly, or fail."""
        subprocess.run(
            argv, cwd=cwd, env={**self.env, **(env or {})}, check=True, stdout=subprocess.DEVNULL
        )


def wipe(*paths: Path) -> Callable[[], None]:
    """Return what removes files and directories, for use before a run."""

    def remove() -> None:
        for path in paths:
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)

    return remove


def fresh_store(repo: Path, *more: Path) -> Callable[[], None]:
    """Return what empties a repository's local store, remembered stats and pointers."""
    state = repo / ".git" / "dver"
    return wipe(state, *more)


def small_add(lab: Lab) -> Case:
    """Add many small files for the first time."""
    count = lab.many(100_000)
    repo = lab.repo("add-dver")
    workloads.small_files(repo / "data", count, 4096)
    contenders = [
        Contender("dver", (*lab.dver, "add", "data"), repo, fresh_store(repo, repo / "data.dver")),
        Contender("tar", ("tar", "cf", "../t.tar", "data"), repo, wipe(lab.root / "t.tar")),
    ]
    marks = [Mark("tar", 2.0)]
    if lab.dvc:
        other = lab.dvc_repo("add-dvc")
        shutil.copytree(repo / "data", other / "data")

        def before() -> None:
            # DVC remembers hashes outside of the repository, by inode: new files, no memory.
            wipe(other / "data", other / ".dvc" / "cache", other / "data.dvc")()
            shutil.copytree(repo / "data", other / "data")

        contenders.append(Contender("dvc", (lab.dvc, "add", "-q", "data"), other, before, runs=2))
        marks.append(Mark("dvc", 1 / 3))
    return Case(f"add {count:,} x 4 KB, fresh", contenders, marks)


def small_status(lab: Lab) -> Case:
    """Ask for the status when nothing has changed."""
    count = lab.many(100_000)
    repo = lab.repo("status-dver")
    workloads.small_files(repo / "data", count, 4096)
    lab.call(repo, *lab.dver, "add", "data")
    workloads.git(repo, lab.env, "add", ".")
    workloads.git(repo, lab.env, "commit", "-qm", "data")
    lab.call(repo, *lab.dver, "status")
    plain = workloads.repository(lab.root / "status-git", lab.env)
    shutil.copytree(repo / "data", plain / "data")
    workloads.git(plain, lab.env, "add", ".")
    workloads.git(plain, lab.env, "commit", "-qm", "data")
    workloads.git(plain, lab.env, "status")
    contenders = [
        Contender("dver", (*lab.dver, "status"), repo),
        Contender("git", ("git", "status"), plain),
    ]
    return Case(f"status of {count:,} files, nothing changed", contenders, [Mark("git", 4.0)])


def small_checkout(lab: Lab) -> Case:
    """Check out many small files into an empty workspace."""
    count = lab.many(100_000)
    repo = lab.repo("checkout-dver")
    workloads.small_files(repo / "data", count, 4096)
    lab.call(repo, *lab.dver, "add", "data")
    lab.call(repo, "tar", "cf", "../c.tar", "data")
    out = lab.root / "untar"
    out.mkdir()
    contenders = [
        Contender("dver", (*lab.dver, "checkout"), repo, wipe(repo / "data")),
        Contender("untar", ("tar", "xf", "../c.tar"), out, wipe(out / "data")),
    ]
    return Case(f"checkout {count:,} x 4 KB, empty workspace", contenders, [Mark("untar", 2.0)])


def large_add(lab: Lab) -> Case:
    """Add one large file that does not compress."""
    size = max(int(2_000_000_000 * lab.scale), 20_000_000)
    repo = lab.repo("large-dver")
    workloads.large_file(repo / "big.bin", size)
    contenders = [
        Contender(
            "dver", (*lab.dver, "add", "big.bin"), repo, fresh_store(repo, repo / "big.bin.dver")
        ),
        Contender("cp", ("cp", "big.bin", "../copy.bin"), repo, wipe(lab.root / "copy.bin")),
        Contender(
            "cp+sync",
            ("sh", "-c", "cp big.bin ../copy.bin && sync ../copy.bin"),
            repo,
            wipe(lab.root / "copy.bin"),
        ),
    ]
    marks = [Mark("cp+sync", 1.2)]
    return Case(f"add one file of {size / 1e9:.1f} GB", contenders, marks, peak=300 << 20)


def large_checkout(lab: Lab) -> Case:
    """Check that file out by copying."""
    size = max(int(2_000_000_000 * lab.scale), 20_000_000)
    repo = lab.repo("large-out-dver")
    workloads.large_file(repo / "big.bin", size)
    lab.call(repo, *lab.dver, "add", "big.bin")
    shutil.copy(repo / "big.bin", lab.root / "source.bin")
    contenders = [
        Contender("dver", (*lab.dver, "checkout"), repo, wipe(repo / "big.bin")),
        Contender("cp", ("cp", "source.bin", "copy2.bin"), lab.root, wipe(lab.root / "copy2.bin")),
    ]
    return Case(
        f"checkout one file of {size / 1e9:.1f} GB", contenders, [Mark("cp", 1.5)], peak=300 << 20
    )


def directory_push(lab: Lab) -> Case:
    """Push many small files to a directory, as one piece of work."""
    count = lab.many(100_000)
    repo = lab.repo("push-dver")
    workloads.small_files(repo / "data", count, 4096)
    remote = lab.root / "remote"
    lab.call(repo, *lab.dver, "add", "data")
    lab.call(repo, *lab.dver, "remote", "add", "origin", str(remote))
    lab.call(repo, "tar", "cf", "../p.tar", "data")
    contenders = [
        Contender(
            "dver",
            (*lab.dver, "push"),
            repo,
            wipe(remote, repo / ".git" / "dver" / "remotes"),
        ),
        Contender("cp", ("cp", "p.tar", "p2.tar"), lab.root, wipe(lab.root / "p2.tar")),
    ]
    return Case(f"push {count:,} x 4 KB to a directory", contenders, [Mark("cp", 2.0)])


def s3_push(lab: Lab) -> Case:
    """Push small files to an S3 server on loopback."""
    from tests.support.s3server import rclone_binary, rclone_server

    count = lab.many(10_000)
    (lab.root / "s3-data").mkdir()
    server = lab.stack.enter_context(rclone_server(lab.root / "s3-data"))
    env = {
        "AWS_ACCESS_KEY_ID": server.access_key,
        "AWS_SECRET_ACCESS_KEY": server.secret_key,
        "AWS_REGION": "us-east-1",
    }
    repo = lab.repo("s3-dver")
    workloads.small_files(repo / "data", count, 4096)
    lab.call(repo, *lab.dver, "add", "data")
    lab.call(repo, "tar", "cf", "../s3.tar", "data")
    numbers: Iterator[int] = iter(range(1_000_000))

    def next_bucket() -> None:
        bucket = server.new_bucket()
        wipe(repo / ".git" / "dver" / "remotes", repo / ".dver" / "config.yaml")()
        (repo / ".dver" / "config.yaml").write_text("")
        url = f"s3://{bucket}/data-{next(numbers)}"
        lab.call(repo, *lab.dver, "remote", "add", "origin", url, env=env)
        lab.call(
            repo, *lab.dver, "remote", "set", "origin", "endpoint_url", server.endpoint, env=env
        )

    contenders = [Contender("dver", (*lab.dver, "push"), repo, next_bucket, env=env)]
    marks = []
    rclone = (
        rclone_binary(),
        f"--s3-endpoint={server.endpoint}",
        "--s3-provider=Rclone",
        f"--s3-access-key-id={server.access_key}",
        f"--s3-secret-access-key={server.secret_key}",
        "--config=/dev/null",
        "copy",
        "s3.tar",
    )
    target = f":s3:{server.new_bucket()}"

    def forget() -> None:
        for path in (lab.root / "s3-data").glob("*/s3.tar"):
            path.unlink()

    contenders.append(Contender("rclone tar", (*rclone, target), lab.root, forget))
    marks.append(Mark("rclone tar", 3.0))
    if lab.dvc:
        other = lab.dvc_repo("s3-dvc")
        shutil.copytree(repo / "data", other / "data")
        lab.call(other, lab.dvc, "add", "-q", "data")

        def next_dvc() -> None:
            url = f"s3://{server.new_bucket()}/dvc-{next(numbers)}"
            lab.call(other, str(lab.dvc), "remote", "add", "-q", "-f", "-d", "o", url)
            lab.call(other, str(lab.dvc), "remote", "modify", "o", "endpointurl", server.endpoint)

        contenders.append(
            Contender("dvc", (lab.dvc, "push", "-q"), other, next_dvc, env=env, runs=2)
        )
        marks.append(Mark("dvc", 1 / 10))
    return Case(f"push {count:,} x 4 KB to S3 on loopback", contenders, marks)


def start_up(lab: Lab) -> Case:
    """Start the program."""
    contenders = [
        Contender("dver", (*lab.dver, "--version"), lab.root),
        Contender("python -c 'import click'", (sys.executable, "-c", "import click"), lab.root),
    ]
    return Case("dver --version", contenders, seconds=0.1)


def few_pointers(lab: Lab) -> Case:
    """Ask for the status of ten small files."""
    repo = lab.repo("few")
    for number in range(10):
        (repo / f"file{number}.csv").write_text(f"a,b\n{number},1\n")
    lab.call(repo, *lab.dver, "add", *[f"file{number}.csv" for number in range(10)])
    workloads.git(repo, lab.env, "add", ".")
    workloads.git(repo, lab.env, "commit", "-qm", "data")
    contenders = [
        Contender("dver", (*lab.dver, "status"), repo),
        Contender("git", ("git", "status"), repo),
    ]
    return Case("status of 10 small files", contenders)


def million(lab: Lab, *, flat: bool) -> Case:
    """Add a million files of 1 KB; the interesting figure is memory."""
    count = lab.many(1_000_000)
    repo = lab.repo("million-flat" if flat else "million")
    workloads.small_files(repo / "data", count, 1024, per_directory=count if flat else 1000)
    shape = "one flat directory" if flat else "nested directories"
    contender = Contender(
        "dver", (*lab.dver, "add", "data"), repo, fresh_store(repo, repo / "data.dver"), runs=1
    )
    return Case(f"add {count:,} x 1 KB, {shape}", [contender], peak=1 << 30)


def million_status(lab: Lab) -> Case:
    """Ask for the status of a million files."""
    repo = lab.root / "million"
    contender = Contender("dver", (*lab.dver, "status"), repo, runs=2)
    return Case(f"status of {lab.many(1_000_000):,} files", [contender], peak=1 << 30)


def million_checkout(lab: Lab) -> Case:
    """Check out a million files."""
    repo = lab.root / "million"
    contender = Contender("dver", (*lab.dver, "checkout"), repo, wipe(repo / "data"), runs=1)
    return Case(f"checkout {lab.many(1_000_000):,} x 1 KB", [contender], peak=1 << 30)


def huge_file(lab: Lab) -> Case:
    """Add one file of 20 GB; the interesting figure is memory."""
    size = max(int(20_000_000_000 * lab.scale), 20_000_000)
    repo = lab.repo("huge")
    workloads.large_file(repo / "huge.bin", size)
    contender = Contender(
        "dver", (*lab.dver, "add", "huge.bin"), repo, fresh_store(repo, repo / "huge.bin.dver"),
        runs=1,
    )  # fmt: skip
    return Case(f"add one file of {size / 1e9:.0f} GB", [contender], peak=400 << 20)


STANDARD: dict[str, Callable[[Lab], Case]] = {
    "start": start_up,
    "few": few_pointers,
    "add": small_add,
    "status": small_status,
    "checkout": small_checkout,
    "large-add": large_add,
    "large-checkout": large_checkout,
    "push": directory_push,
    "s3": s3_push,
}
SCALE: dict[str, Callable[[Lab], Case]] = {
    "million": lambda lab: million(lab, flat=False),
    "million-status": million_status,
    "million-checkout": million_checkout,
    "million-flat": lambda lab: million(lab, flat=True),
    "huge": huge_file,
}
