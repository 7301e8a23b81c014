"""Making something again several times, and with all that it was made of."""

from __future__ import annotations

import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dver.formats import record
from dver.lineage import executing
from tests.lineage.conftest import Project

PYTHON = sys.executable
#: Training whose metrics depend on how often it ran.
NOISY = """\
import json, pathlib
counter = pathlib.Path({counter!r})
n = int(counter.read_text())
counter.write_text(str(n + 1))
open("model.json", "w").write(str(n))
open("metrics.json", "w").write(json.dumps({{"auc": {auc}[n], "rows": 3}}))
"""


def noisy(project: Project, *auc: float) -> None:
    counter = project.path.parent / "counter"
    counter.write_text("0")
    project.write("train.py", NOISY.format(counter=str(counter), auc=list(auc)))
    project.commit("noisy")
    project.train()
    project.commit("model")


def test_noise_is_measured_and_metrics_within_it_are_equal(project: Project) -> None:
    noisy(project, 0.9, 0.92, 0.91, 0.915)
    done = project.dver("reproduce", "--json", "--times", "3", "model.json", code=21)
    result = done.json["result"]
    assert (result["grade"], result["runs"]) == ("metric", 3)
    assert float(result["noise"]["auc"]) == 0.92 - 0.91
    assert result["noise"]["rows"] == "0.0"
    assert "model.json: 3 different results in 3 runs" in result["notes"]
    value = record.decode((project.path / result["file"]).read_bytes())
    assert value.verdict is not None
    assert (value.verdict.runs, dict(value.verdict.noise)) == (3, result["noise"])


def test_what_is_further_away_than_the_noise_diverged(project: Project) -> None:
    noisy(project, 0.9, 0.92, 0.911, 0.92)
    done = project.dver("reproduce", "--times", "3", "model.json", code=22)
    assert "metric     auc was 0.9 and is 0.911" in done.stdout
    assert "noise      auc: 0.009" in done.stdout
    assert "DIVERGED: not the same (3 runs, " in done.stdout


def test_the_same_bytes_each_time(project: Project) -> None:
    project.train()
    project.commit()
    result = project.dver("reproduce", "--json", "--times", "2", "--keep", "model.json").result
    assert (result["grade"], result["runs"], result["noise"]["loss"]) == ("exact", 2, "0.0")
    where = Path(result["directory"])
    kept = sorted(one.name for one in where.parent.iterdir())
    shutil.rmtree(where.parent)
    assert kept == ["1-1", "1-2"]


def chained(project: Project, *, stamp: str = "") -> dict[str, Any]:
    """Prepare, split and train: raw -> clean -> model."""
    project.write("raw.txt", "3\n1\n2\n")
    project.dver("add", "-q", "raw.txt")
    project.write(
        "clean.py",
        f"{stamp}\nrows = sorted(open('raw.txt').read().split())\n"
        "open('clean.csv', 'w').write('\\n'.join(rows) + extra)\n"
        if stamp
        else "rows = sorted(open('raw.txt').read().split())\n"
        "open('clean.csv', 'w').write('\\n'.join(rows))\n",
    )
    project.write(
        "train.py",
        "open('model.bin', 'w').write('weights ' + open('clean.csv').read().strip('\\n #'))\n",
    )
    project.commit("two steps")
    run = ("run", "--json", "--name")
    clean = project.dver(
        *run, "clean", "-d", "raw.txt", "-o", "clean.csv", "--", PYTHON, "clean.py"
    ).result
    train = project.dver(
        *run, "train", "-d", "clean.csv", "-o", "model.bin", "--", PYTHON, "train.py"
    ).result
    project.commit("model")
    return {"clean": clean["record"], "train": train["record"]}


def test_a_chain_is_made_from_its_roots_on(project: Project) -> None:
    ids = chained(project)
    # The intermediate data is lost, here and everywhere.
    (project.path / "clean.csv").unlink()
    result = project.dver("reproduce", "--json", "--chain", "model.bin").result
    assert (result["record"], result["grade"]) == (ids["train"], "exact")
    (link,) = result["chain"]
    assert (link["record"], link["step"], link["grade"]) == (ids["clean"], "clean", "exact")
    first, second = (record.decode((project.path / name).read_bytes()) for name in result["files"])
    assert [one.id for one in first.parents] == [ids["clean"]]
    assert [one.id for one in second.parents] == [ids["train"]]


def test_what_came_out_is_what_goes_in(project: Project) -> None:
    counter = project.path.parent / "counter"
    counter.write_text("")
    stamp = (
        f"import pathlib; c = pathlib.Path({str(counter)!r})\n"
        "extra = '\\n' + c.read_text(); c.write_text(c.read_text() + '#')\n"
    )
    chained(project, stamp=stamp)
    done = project.dver("reproduce", "--json", "--chain", "model.bin")
    result = done.result
    # The rows differ by a comment, and the model is the same all the same.
    assert result["grade"] == "exact"
    assert [one["grade"] for one in result["chain"]] == ["diverged"]
    value = record.decode((project.path / result["file"]).read_bytes())
    clean = record.decode((project.path / result["files"][0]).read_bytes())
    assert [one.oid for one in value.inputs] == [one.oid for one in clean.outputs]
    text = project.dver("reproduce", "--no-record", "--chain", "model.bin").stdout
    assert text.splitlines()[0].startswith("diverged   clean ")


def test_nothing_runs_if_something_in_the_chain_is_missing(project: Project) -> None:
    chained(project)
    project.write("raw.txt", "other")
    project.dver("add", "-q", "raw.txt")
    project.commit("other raw data")
    # Take the old raw data away from all versions that count.
    (project.path / "raw.txt").unlink()
    for name in ("packs", "index"):
        shutil.rmtree(project.path / ".git/dver" / name)
    done = project.dver("reproduce", "--json", "--no-record", "--chain", "model.bin", code=23)
    result = done.json["result"]
    assert (result["grade"], result["missing"]) == ("blocked", [])
    assert "the input raw.txt" in result["chain"][0]["missing"][0]
    assert result["notes"] == ["not made, since something else in the chain is missing"]


def test_an_interrupted_one_is_no_verdict(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.train()
    project.commit()
    execute = executing.execute

    def stopped(*args: Any) -> executing.Outcome:
        return replace(execute(*args), interrupted=True, exit=130)

    before = sorted((project.path / ".dver/records").rglob("*"))
    monkeypatch.setattr(executing, "execute", stopped)
    project.dver("reproduce", "--times", "2", "model.json", code=130)
    assert sorted((project.path / ".dver/records").rglob("*")) == before
