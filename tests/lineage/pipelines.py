"""A project with a pipeline of three steps, for tests of what runs it."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from dver.base.oid import oid_of, parse_oid
from dver.formats import record, recordpath
from dver.formats.record import Record
from tests.lineage.conftest import Project, Templates
from tests.support.gitrepo import GitRepo

STEP = """\
import json, sys
from pathlib import Path

out, *ins = sys.argv[1:]
total = sum(sum(map(int, Path(one).read_text().split())) for one in ins)
rate = json.loads(Path("params.json").read_text())["rate"]
print(out, "of", *ins)
Path(out).parent.mkdir(parents=True, exist_ok=True)
Path(out).write_text(str(int(total * rate * 2)))
"""


PIPELINE = f"""\
steps:
  prepare:
    command: {sys.executable} step.py clean/rows data/rows.csv
    deps: [data]
    outs: [clean]
  train:
    command: {sys.executable} step.py model clean/rows
    deps:
      clean: train
    params:
      params.json: rate
    outs:
      model: model
  other:
    command: {sys.executable} step.py extra step.txt
    deps: [step.txt]
    outs: [extra]
"""


class Pipeline(Project):
    """A project with a pipeline of three steps, one of which needs another."""

    def prepare(self) -> None:
        super().prepare()
        self.write("step.py", STEP)
        self.write("step.txt", "7\n")
        self.write("dver.yaml", PIPELINE)
        self.commit("pipeline")

    def repro(self, *args: str, code: int = 0) -> dict[str, Any]:
        """Run ``dver repro --json``; return each step by name."""
        return {one["name"]: one for one in self.result(*args, code=code)["steps"]}

    def result(self, *args: str, code: int = 0) -> Any:
        """Run ``dver repro --json``; return its result."""
        return self.dver("repro", "--json", *args, code=code).json["result"]

    def actions(self, *args: str, code: int = 0) -> dict[str, str]:
        """Return what became of each step."""
        return {name: one["action"] for name, one in self.repro(*args, code=code).items()}

    def error(self, *args: str, code: int) -> Any:
        """Return the error that stops a pipeline before anything runs."""
        before = set((self.path / ".dver").rglob("*.json"))
        found = self.dver("repro", "--json", *args, code=code).json["error"]
        assert set((self.path / ".dver").rglob("*.json")) == before
        return found

    def record(self, record_id: str) -> Record:
        """Return a record by its id."""
        path = self.path / os.fsdecode(recordpath.path_of(parse_oid(record_id)))
        return record.decode(path.read_bytes(), oid_of(path.read_bytes()))

    def change(self, old: str, new: str, name: str = "dver.yaml") -> None:
        """Replace a text in a file."""
        text = (self.path / name).read_text()
        assert old in text
        self.write(name, text.replace(old, new))


@pytest.fixture
def pipe(git_repo: GitRepo, templates: Templates) -> Iterator[Pipeline]:
    with templates.filled(Pipeline(git_repo)) as project:
        yield project


CURRENT = {"prepare": "current", "train": "current", "other": "current"}
