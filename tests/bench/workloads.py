"""Deterministic data to work on."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from dver.base.oid import oid_of
from dver.formats import pack, pointer
from dver.formats import tree as trees
from dver.formats.pointer import Pointer
from dver.formats.tree import DIRECTORY, FILE, Entry
from dver.storage.local import LocalStorage
from dver.store.store import Store

_PIECE = 16 << 20


def small_files(
    root: Path, count: int, size: int, *, per_directory: int = 1000, seed: int = 1
) -> None:
    """Make ``count`` files of ``size`` incompressible bytes, so many in each directory."""
    block = random.Random(seed).randbytes(max(1 << 22, size * 2))
    for number in range(count):
        if number % per_directory == 0:
            directory = root / f"{number // per_directory:05}"
            directory.mkdir(parents=True, exist_ok=True)
        at = number * 4093 % (len(block) - size)
        with open(directory / f"{number:08}.bin", "wb", buffering=0) as file:
            file.write(number.to_bytes(8, "little") + block[at : at + size - 8])


def change_files(root: Path, number: int, *, seed: int) -> None:
    """Give so many files below ``root``, spread evenly, new content of the same length."""
    rng = random.Random(seed)
    files = sorted(root.rglob("*.bin"))
    for path in files[:: max(len(files) // number, 1)][:number]:
        path.write_bytes(rng.randbytes(path.stat().st_size))


def large_file(path: Path, size: int, *, seed: int = 2) -> None:
    """Make one file of incompressible bytes."""
    rng = random.Random(seed)
    with open(path, "wb") as file:
        left = size
        while left:
            left -= file.write(rng.randbytes(min(left, _PIECE)))


def with_inserted(source: Path, target: Path, size: int, *, seed: int = 3) -> None:
    """Copy a file with ``size`` new bytes in its middle."""
    middle = source.stat().st_size // 2
    with open(source, "rb") as old, open(target, "wb") as new:
        left = middle
        while left:
            left -= new.write(old.read(min(left, _PIECE)))
        new.write(random.Random(seed).randbytes(size))
        shutil.copyfileobj(old, new, _PIECE)


def table(path: Path, size: int, *, seed: int = 4) -> None:
    """Make a CSV of about ``size`` bytes: keys, times, categories, measurements, free text."""
    rng = random.Random(seed)
    with open(path, "w", encoding="ascii", newline="\n") as file:
        left = size - file.write("id,time,station,kind,temperature,pressure,flag,note\n")
        number = 0
        while left > 0:
            rows = "".join(_row(rng, number + i) for i in range(1000))
            number += 1000
            left -= file.write(rows)


_KINDS = ("wind", "rain", "sun", "snow", "fog")
_NOTES = ("", "", "", "calibrated", "sensor replaced", "manual reading", "estimated")


def _row(rng: random.Random, number: int) -> str:
    day, second = divmod(number * 7, 86_400)
    return (
        f"{number},2024-{day // 28 % 12 + 1:02}-{day % 28 + 1:02}T{second // 3600:02}:"
        f"{second // 60 % 60:02}:{second % 60:02},ST{rng.randrange(400):04},{rng.choice(_KINDS)},"
        f"{rng.gauss(12, 8):.2f},{rng.gauss(1013, 9):.1f},{rng.randrange(2)},{rng.choice(_NOTES)}\n"
    )


def with_rows(source: Path, target: Path, number: int, *, seed: int = 5) -> None:
    """Copy a CSV with so many new rows at random places."""
    rng = random.Random(seed)
    lines = source.read_bytes().splitlines(keepends=True)
    for at in sorted(rng.sample(range(1, len(lines)), number), reverse=True):
        lines.insert(at, _row(rng, 10**9 + at).encode())
    target.write_bytes(b"".join(lines))


def change_in_store(repo: Path, number: int, *, seed: int) -> None:
    """Give one file in each of so many directories of :func:`tree_in_store` new content."""
    store = Store.open(LocalStorage(repo / ".git" / "dver"))
    named = pointer.decode((repo / "data.dver").read_bytes())
    top = list(trees.decode(store.read(named.oid)))
    rng = random.Random(seed)
    step = max(len(top) // number, 1)
    with store.writer() as writer:
        for at in range(seed % step, len(top), step)[:number]:
            entries = list(trees.decode(store.read(top[at].oid)))
            which = seed % len(entries)
            new = writer.add(rng.randbytes(64))
            entries[which] = Entry(FILE, entries[which].name, 64, new)
            oid = writer.add(trees.encode(trees.build(entries, 0)), pack.TREE)
            top[at] = replace(top[at], oid=oid)
        whole = trees.build(top, named.files or 0)
        oid = writer.add(trees.encode(whole), pack.TREE)
        writer.commit()
    (repo / "data.dver").write_bytes(pointer.encode(Pointer("tree", oid, whole.size, whole.files)))


def tree_in_store(repo: Path, count: int, *, seed: int = 6) -> None:
    """Put ``count`` small objects in a repository's store, and a pointer ``data.dver`` to them.

    No file is made for them: this is for what works on the store alone.
    """
    store_path = repo / ".git" / "dver"
    store_path.mkdir(parents=True, exist_ok=True)
    store = Store.create(LocalStorage(store_path))
    salt = random.Random(seed).randbytes(8)
    directories = []
    with store.writer() as writer:
        for first in range(0, count, 1000):
            numbers = range(first, min(first + 1000, count))
            entries = [
                Entry(FILE, b"%08d.bin" % n, 64, writer.add(salt + n.to_bytes(8, "big") * 7))
                for n in numbers
            ]
            directories.append((b"%05d" % (first // 1000), trees.build(entries, 0)))
        top = []
        for name, tree in directories:
            oid = writer.add(trees.encode(tree), pack.TREE)
            top.append(Entry(DIRECTORY, name, tree.size, oid))
        whole = trees.build(top, count)
        oid = writer.add(trees.encode(whole), pack.TREE)
        writer.commit()
    (repo / "data.dver").write_bytes(pointer.encode(Pointer("tree", oid, whole.size, whole.files)))


def pointer_history(repo: Path, env: Mapping[str, str], commits: int) -> None:
    """Commit so many versions of the pointer ``model.bin.dver``, whose content is nowhere."""
    stream = []
    for number in range(commits):
        text = pointer.encode(Pointer("file", oid_of(number.to_bytes(8, "big")), 1000 + number))
        stream.append(
            b"commit refs/heads/main\ncommitter bench <bench@example.org> %d +0000\n"
            b"data 8\nversion\n" % (1_700_000_000 + number)
        )
        if not number:
            stream.append(b"from refs/heads/main^0\n")
        stream.append(b"M 100644 inline model.bin.dver\ndata %d\n%s\n" % (len(text), text))
    subprocess.run(
        ["git", "fast-import", "--quiet"], cwd=repo, env=dict(env), input=b"".join(stream),
        check=True,
    )  # fmt: skip
    git(repo, env, "reset", "-q", "--hard")


def repository(root: Path, env: Mapping[str, str]) -> Path:
    """Make an empty git repository."""
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir(parents=True)
    git(root, env, "init", "-q", "-b", "main")
    return root


def commit(repo: Path, env: Mapping[str, str], paths: Sequence[str] = (".",)) -> None:
    """Commit what git sees."""
    git(repo, env, "add", *paths)
    git(repo, env, "commit", "-q", "--allow-empty", "-m", "data")


def git(cwd: Path, env: Mapping[str, str], *args: str) -> None:
    """Run git, quietly, or fail."""
    subprocess.run(["git", *args], cwd=cwd, env=dict(env), check=True, stdout=subprocess.DEVNULL)


def size_of(*roots: Path) -> int:
    """Return the bytes of all files below some directories."""
    return sum(path.stat().st_size for root in roots for path in root.rglob("*") if path.is_file())


def hermetic(home: Path) -> dict[str, str]:
    """Return an environment without the user's git, DVC or dver configuration.

    After a commit of many files git would pack them in the background, on a processor that what
    is measured next was to have.
    """
    home.mkdir(parents=True, exist_ok=True)
    env = {"PATH": os.environ["PATH"], "HOME": str(home), "LC_ALL": "C.UTF-8"}
    for role in ("AUTHOR", "COMMITTER"):
        env[f"GIT_{role}_NAME"], env[f"GIT_{role}_EMAIL"] = "bench", "bench@example.org"
    settings = {"gc.auto": "0", "maintenance.auto": "false"}
    for number, (name, value) in enumerate(settings.items()):
        env[f"GIT_CONFIG_KEY_{number}"], env[f"GIT_CONFIG_VALUE_{number}"] = name, value
    env["GIT_CONFIG_COUNT"] = str(len(settings))
    return env | {"GIT_CONFIG_NOSYSTEM": "1", "DVC_NO_ANALYTICS": "1", "NO_COLOR": "1"}
