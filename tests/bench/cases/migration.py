"""Taking over a dataset of DVC, beside adding the same files."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from tests.bench import workloads
from tests.bench.lab import Case, Lab, Mark, fresh_store, wipe
from tests.bench.measure import Contender


def migrate(lab: Lab) -> Case:
    """Take over what DVC has: from the workspace, and from its cache alone."""
    count = lab.many(70_000)
    added = lab.files("migrate-add", count, 276, add=False)
    here = _project(lab, "migrate-here", added / "data")
    cached = _project(lab, "migrate-cached", added / "data")
    shutil.rmtree(cached / "data")
    command = (*lab.dver, "migrate", "dvc")
    contenders = [
        Contender("dver", command, here, _as_before(here)),
        Contender("dver, data not in the workspace", command, cached, _as_before(cached)),
        Contender(
            "dver add",
            (*lab.dver, "add", "data"),
            added,
            fresh_store(added, added / "data.dver"),
        ),
    ]
    marks = [Mark("dver add", 1.25), Mark("dver add", 1.5, own="dver, data not in the workspace")]
    return Case(f"take over {count:,} files of DVC", contenders, marks)


def _as_before(repo: Path) -> Callable[[], None]:
    return wipe(repo / ".git" / "dver", repo / ".dver", repo / "data.dver")


def _project(lab: Lab, name: str, data: Path) -> Path:
    """Return a project in which DVC has some data, in the layout of DVC 3."""
    repo = workloads.repository(lab.root / name, lab.env)
    shutil.copytree(data, repo / "data")
    cache = repo / ".dvc" / "cache" / "files" / "md5"
    rows = []
    for directory, _, files in os.walk(data):
        for file in files:
            path = Path(directory, file)
            md5 = hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()
            place = cache / md5[:2] / md5[2:]
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, place)
            rows.append({"md5": md5, "relpath": path.relative_to(data).as_posix()})
    rows.sort(key=lambda row: row["relpath"])
    listing = json.dumps(rows, sort_keys=True).encode()
    top = hashlib.md5(listing, usedforsecurity=False).hexdigest()
    (cache / top[:2]).mkdir(exist_ok=True)
    (cache / top[:2] / f"{top[2:]}.dir").write_bytes(listing)
    (repo / ".dvc" / "config").write_text("[core]\n")
    (repo / ".dvc" / ".gitignore").write_text("/cache\n")
    (repo / "data.dvc").write_text(
        f"outs:\n- md5: {top}.dir\n  nfiles: {len(rows)}\n  hash: md5\n  path: data\n"
    )
    (repo / ".gitignore").write_text("/data\n")
    workloads.commit(repo, lab.env)
    return repo


CASES: dict[str, Callable[[Lab], Case]] = {"migrate-dvc": migrate}
