"""Damaged stores that never change, and what must be said of each of them.

``canned/<case>.tar.gz`` holds a repository and its remote as they were when this file was run with
``--write``, each damaged in one way; ``canned/verdicts.json`` what a check finds, what a repair
does, and what can be had before and after. Stores that somebody has are like these: a later dver
must say the same of them, or somebody must say why not. So
``python -m tests.faults.damaged --write`` adds the cases that are missing, and leaves those that
are there; ``--verdicts`` writes the verdicts anew.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dver.formats import pack
from dver.store import layout
from tests.faults.kills import digests, git
from tests.support.cli import Dver
from tests.support.gitrepo import hermetic_environment

CANNED = Path(__file__).parent / "canned"
VERDICTS = CANNED / "verdicts.json"
Verdict = dict[str, Any]


def prepare(top: Path) -> None:
    """Make a repository with two versions, a remote that has them, and a pack of garbage."""
    repo = top / "repo"
    repo.mkdir(parents=True)
    env = dict(os.environ)
    git(repo, "init", "-q", "-b", "main", ".", env=env)
    dver = Dver(repo, in_process=True)
    dver("init", "-q")
    dver("remote", "add", "nas", "../nas", "-q")
    for version in (1, 2):
        (repo / "data/s").mkdir(parents=True, exist_ok=True)
        # Long enough for three chunks, and short once it is compressed.
        lines = (b"%d block %d\n" % (version, i // 6000) for i in range(60000))
        (repo / "data/large").write_bytes(b"".join(lines))
        (repo / "data/s/small").write_text(f"version {version}\n" * 9)
        (repo / "data/same").write_text("always the same\n" * 9)
        (repo / "one").write_text(f"one {version}\n" * 9)
        dver("add", "-q", "data", "one")
        git(repo, "add", "-A", env=env)
        git(repo, "commit", "-qm", f"version {version}", env=env)
        dver("push", "-q")
    (repo / "gone").write_text("nobody needs this\n" * 9)
    dver("add", "-q", "gone")
    dver("rm", "-q", "--force", "gone")
    git(repo, "checkout", "-q", "--", ".", env=env)
    git(repo, "gc", "-q", "--prune=now", env=env)
    shutil.rmtree(repo / ".git/hooks", ignore_errors=True)
    shutil.rmtree(repo / ".git/dver/stat", ignore_errors=True)


# -- damage ----------------------------------------------------------------------------------


def _files(top: Path, part: str) -> list[Path]:
    return sorted(path for path in (top / part).rglob("*") if path.is_file())


def _local(top: Path) -> Path:
    return top / "repo/.git/dver"


def _pack_of(top: Path, kind: int) -> Path:
    """Return the first pack, by its length, that has a frame of a kind in it."""
    from dver.store.packfile import read_footer

    packs = sorted(_files(top, "packs"), key=lambda path: (path.stat().st_size, path))
    return next(one for one in packs if kind in {frame.kind for frame in read_footer(str(one))})


def _garbage(top: Path) -> Path:
    """Return the pack that holds one small object and nothing else."""
    from dver.store.packfile import read_footer

    return next(one for one in _files(top, "packs") if len(read_footer(str(one))) == 1)


def _change(path: Path, change: Callable[[bytearray], bytes | bytearray]) -> None:
    path.chmod(0o644)
    path.write_bytes(change(bytearray(path.read_bytes())))


def _flip(data: bytearray, at: int) -> bytearray:
    data[at] ^= 1
    return data


def _flip_first_frame(path: Path) -> None:
    _change(path, lambda data: _flip(data, pack.HEADER.size + pack.FRAME.size + 3))


def _twice(top: Path) -> None:
    """Store everything a second time, in other packs, and damage one of the first ones."""
    packs = _files(_local(top), "packs")
    kept = {path: path.read_bytes() for path in (*packs, *_files(_local(top), "index"))}
    for path in kept:
        path.unlink()
    Dver(top / "repo", in_process=True)("add", "-q", "data", "one")
    for path, data in kept.items():
        path.write_bytes(data)
    _flip_first_frame(_pack_of(_local(top), pack.CHUNK))


def _pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def _false_size(top: Path) -> None:
    path = top / "repo/data.dver"
    text = path.read_text()
    size = next(line for line in text.splitlines() if line.startswith("size: "))
    path.write_text(text.replace(size, "size: 12"))


def _obsolete(top: Path) -> None:
    """Bring a segment back that another one has superseded."""
    before = {path: path.read_bytes() for path in _files(_local(top), "index")}
    Dver(top / "repo", in_process=True)("gc", "-q")
    for path, data in before.items():
        path.write_bytes(data)


def _unlink_all(paths: list[Path]) -> None:
    for path in paths:
        path.unlink()


CASES: dict[str, Callable[[Path], object]] = {
    "sound": lambda top: None,
    "index-missing": lambda top: _unlink_all(_files(_local(top), "index")),
    "index-damaged": lambda top: _change(_files(_local(top), "index")[0], lambda d: _flip(d, 300)),
    "index-cut": lambda top: _change(_files(_local(top), "index")[0], lambda d: d[:100]),
    "index-obsolete": _obsolete,
    "index-is-a-pipe": lambda top: _pipe(_files(_local(top), "index")[0]),
    "pack-missing": lambda top: _pack_of(_local(top), pack.CHUNK).unlink(),
    "pack-unused-missing": lambda top: _garbage(_local(top)).unlink(),
    "pack-without-footer": lambda top: _change(
        _pack_of(_local(top), pack.CHUNK), lambda d: d[:-40]
    ),
    "pack-flipped": lambda top: _flip_first_frame(_pack_of(_local(top), pack.CHUNK)),
    "pack-flipped-tree": lambda top: _flip_first_frame(_pack_of(_local(top), pack.TREE)),
    "pack-empty": lambda top: _change(_pack_of(_local(top), pack.CHUNK), lambda d: b""),
    "pack-is-a-pipe": lambda top: _pipe(_pack_of(_local(top), pack.TREE)),
    "pack-twice": _twice,
    "pointer-false": _false_size,
    "format-damaged": lambda top: _change(_local(top) / "format.json", lambda d: d[:50]),
    "remote-pack-flipped": lambda top: _flip_first_frame(_pack_of(top / "nas", pack.CHUNK)),
    "remote-pack-missing": lambda top: _pack_of(top / "nas", pack.TREE).unlink(),
    "remote-index-missing": lambda top: _files(top / "nas", "index")[0].unlink(),
    "remote-index-damaged": lambda top: _change(_files(top / "nas", "index")[0], lambda d: d[:80]),
    "remote-root-damaged": lambda top: _change(
        _files(top / "nas", "roots")[0], lambda d: _flip(d, 9)
    ),
}


def make(case: str, top: Path) -> None:
    """Make a case in an empty directory."""
    prepare(top)
    CASES[case](top)
    # What a clone remembers would let it see what a new one does not.
    shutil.rmtree(_local(top) / "proofs", ignore_errors=True)


def pack_up(top: Path, archive: Path) -> None:
    """Write an archive of a case."""
    with tarfile.open(archive, "w:gz", compresslevel=9) as file:
        for name in ("repo", "nas"):
            file.add(top / name, name)


def unpack(case: str, top: Path) -> None:
    """Unpack a case, as files of whoever runs this."""

    def ours(member: tarfile.TarInfo, path: str) -> tarfile.TarInfo:
        del path
        member.uid, member.gid = os.getuid(), os.getgid()
        return member

    with tarfile.open(CANNED / f"{case}.tar.gz") as file:
        file.extractall(top, filter=ours)


# -- verdicts --------------------------------------------------------------------------------


def _findings(dver: Dver, *args: str) -> list[str] | str:
    """Return what a check finds, without names that are different each time."""
    done = dver.attempt("fsck", "--json", *args)
    if "result" not in done.json:
        return f"exit {done.exit_code}"
    told = []
    for one in done.json["result"]["findings"]:
        where = one["where"] if layout.name_of(one["where"]) is None else "*"
        where = "*" if where.startswith(("roots/", "blake3:")) else where
        lost = f" {one['lost']} lost" if one["lost"] else ""
        affected = sorted(
            f"{it['path']}{'' if it['commit'] else ' here'}{list(it['files'])}"
            for it in one["affected"]
        )
        told.append(f"{one['what']} {where}{lost} {' '.join(affected)}".strip())
    return sorted(told)


def _can_have(dver: Dver, top: Path) -> str:
    """Bring the data of the workspace anew, and say what came: files that are wrong never do."""
    right = json.loads((top / "right.json").read_text())
    for name in ("data", "one"):
        path = dver.cwd / name
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    done = dver.attempt("checkout")
    got = digests(dver.cwd / "data")
    if (dver.cwd / "one").exists():
        got["../one"] = digests(dver.cwd)["one"]
    assert got.items() <= right.items(), "wrong bytes were written"
    return f"exit {done.exit_code}, {len(got)} of {len(right)} files"


def _after_gc(top: Path) -> str:
    """Collect garbage in a copy, which must lose nothing, and say what is found then."""
    copy = top / "copy"
    subprocess.run(["cp", "-a", top / "repo", copy], check=True)
    dver = Dver(copy, in_process=True)
    code = dver.attempt("gc").exit_code
    dver.attempt("fsck", "--repair")
    found = _findings(dver, "--full")
    return f"exit {code}, and repaired then: {found}"


def judge(top: Path) -> Verdict:
    """Return the verdict on an unpacked case, which is changed by that."""
    repo = top / "repo"
    found = {**digests(repo / "data"), "../one": digests(repo)["one"]}
    (top / "right.json").write_text(json.dumps(found))
    dver = Dver(repo, in_process=True)
    dver.attempt("remote", "trust", "nas", "-q")
    verdict: Verdict = {
        "fsck": _findings(dver),
        "fsck --full": _findings(dver, "--full"),
        "fsck --full -r nas": _findings(dver, "--full", "-r", "nas"),
        "checkout": _can_have(dver, top),
        "gc": _after_gc(top),
    }
    done = dver.attempt("fsck", "--repair", "--full", "--json")
    repaired = done.json["result"]["repaired"]
    verdict["fsck --repair"] = (
        f"exit {done.exit_code}, {len(repaired['quarantined'])} moved,"
        f" {repaired['salvaged']} saved, {repaired['lost']} lost"
    )
    verdict["checkout then"] = _can_have(dver, top)
    verdict["fsck --repair --from nas"] = (
        f"exit {dver.attempt('fsck', '--repair', '--from', 'nas', '--full').exit_code}"
    )
    verdict["pull"] = f"exit {dver.attempt('pull').exit_code}"
    healed = dver.attempt("push", "--repair", "--json")
    if healed.exit_code:
        verdict["push --repair"] = f"exit {healed.exit_code}"
    else:
        done_there = healed.result["healed"]
        verdict["push --repair"] = (
            f"exit 0, {len(done_there['damaged'])} damaged, {len(done_there['replaced'])} written"
            f" again, {len(done_there['aside'])} moved, {done_there['salvaged']} saved"
        )
    verdict["fsck --full -r nas then"] = _findings(dver, "--full", "-r", "nas")
    verdict["fsck --full then"] = _findings(dver, "--full")
    verdict["checkout in the end"] = _can_have(dver, top)
    return verdict


def main() -> int:
    """Write what is missing."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.damaged", description=__doc__)
    parser.add_argument("--write", action="store_true", help="add the cases that are missing")
    parser.add_argument("--verdicts", action="store_true", help="write all verdicts anew")
    args = parser.parse_args()
    CANNED.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as temp, hermetic_environment(Path(temp, "home")):
        for case in CASES if args.write else ():
            archive = CANNED / f"{case}.tar.gz"
            if not archive.exists():
                make(case, Path(temp, "made", case))
                pack_up(Path(temp, "made", case), archive)
        if args.verdicts or args.write:
            verdicts = {}
            for case in CASES:
                unpack(case, Path(temp, "judged", case))
                verdicts[case] = judge(Path(temp, "judged", case))
            VERDICTS.write_text(json.dumps(verdicts, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
