"""What the tests of imports do, each in one call, and what they look at afterwards."""

from __future__ import annotations

from pathlib import Path

from dver.base.reporter import SILENT
from dver.formats import origin as origins
from dver.formats.origin import Origin
from dver.ops.data.status import StatusOptions, status
from dver.ops.sharing.importing import ImportOptions, ImportResult, import_data
from dver.ops.sharing.pull import PullOptions, PullResult, pull
from dver.ops.sharing.update import UpdateOptions, UpdateResult, update
from tests.support.datarepo import DataRepo


def bring(
    here: DataRepo, source: object, path: str | None = None, **options: object
) -> ImportResult:
    repo = here.repo(str(options.pop("below", "")))
    try:
        return import_data(repo, ImportOptions(str(source), path, **options), SILENT)
    finally:
        repo.close()


def move(here: DataRepo, *paths: str, **options: object) -> UpdateResult:
    repo = here.repo()
    try:
        return update(repo, UpdateOptions(paths, **options), SILENT)
    finally:
        repo.close()


def pulled(here: DataRepo, *paths: str, **options: object) -> PullResult:
    repo = here.repo()
    try:
        return pull(repo, PullOptions(paths=paths, **options), SILENT)
    finally:
        repo.close()


def pointer_text(here: DataRepo, path: str) -> bytes:
    return (here.path / f"{path}.dver").read_bytes()


def origin(here: DataRepo, path: str) -> Origin:
    found = origins.decode(pointer_text(here, path))
    assert found is not None
    return found


def state(here: DataRepo, path: str) -> str:
    repo = here.repo()
    try:
        (one,) = status(repo, StatusOptions(paths=(path,)), SILENT).targets
        return f"{one.pointer_state} {one.data_state} {'missing' if one.missing else 'here'}"
    finally:
        repo.close()


def fresh_clone(here: DataRepo, tmp_path: Path) -> DataRepo:
    here.git("clone", "-q", str(here.path), str(tmp_path / "clone"))
    return DataRepo(tmp_path / "clone")
