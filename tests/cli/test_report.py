"""``dver report``: what a reviewer reads."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from dver.cli.markdown import code
from tests.support.cli import Dver
from tests.support.gitrepo import GitRepo

TRAIN = """import json
rate = json.load(open("params.json"))["rate"]
size = len(open("data/a.csv").read())
open("model.bin", "w").write(f"{size} {rate}")
json.dump({"auc": 0.9 + rate / 10}, open("metrics.json", "w"))
"""
RUN = ["run", "-q", "--name", "train", "-d", "data", "-p", "params.json"]
RUN += ["-o", "model.bin", "-m", "metrics.json", "--", sys.executable, "train.py"]


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository whose tag v1 and HEAD differ in data, a parameter, a metric and a model."""
    from tests.support.gitrepo import hermetic_environment

    base = tmp_path_factory.mktemp("report")
    (base / "home").mkdir()
    with hermetic_environment(base / "home"):
        repo = GitRepo.init(base / "repo")
        dver = Dver(repo.path, in_process=True)
        dver("init", "-q")
        dver("remote", "add", "origin", "../remote", "-q")
        repo.write("train.py", TRAIN)
        repo.write("params.json", '{"rate": 0.1}')
        repo.write("data/a.csv", "a" * 2048)
        repo.write("data/b.csv", "b" * 10)
        repo.write("gone.txt", "old")
        dver("add", "-q", "data", "gone.txt")
        repo.commit("data")
        dver(*RUN)
        repo.commit("model")
        repo.git("tag", "v1")
        repo.write("params.json", '{"rate": 0.2}')
        repo.write("data/a.csv", "a" * 3072)
        repo.write("data/`x`|@ada.csv", "x")
        (repo.path / "data/b.csv").unlink()
        dver("add", "-q", "data")
        dver("rm", "-q", "gone.txt")
        repo.commit("more data")
        dver(*RUN)
        repo.commit("another model")
        dver("push", "-q", "--all")
    return repo.path


def lines_of(text: str) -> list[str]:
    return [line for line in text.splitlines() if line]


def test_everything_that_a_change_does_is_told(history: Path) -> None:
    done = Dver(history)("report", "v1")
    told = lines_of(done.stdout)
    ids = [line for line in told if line.startswith("- `model.bin` was made by `train`")]
    assert len(ids) == 1
    assert ", which differs from `" in ids[0]
    start, end = told.index("## Data"), told.index("## Lineage")
    assert told[start:end] == [
        "## Data",
        "| data | change | size | files |",
        "|---|---|---|---|",
        "| `data` | modified | 3.0 KiB (+1015 B) | 1 added, 1 removed, 1 modified |",
        "| `gone.txt` | removed | 3 B |  |",
        "| `model.bin` | modified | 8 B |  |",
        "<details><summary>3 files in directories</summary>",
        "| file | change | size |",
        "|---|---|---|",
        '| `"data/\\140x\\140\\|@ada.csv"` | added | 1 B |',
        "| `data/a.csv` | modified | 3.0 KiB (+1.0 KiB) |",
        "| `data/b.csv` | removed | 10 B |",
        "</details>",
        "## Metrics",
        "| step | name | before | after | change |",
        "|---|---|---|---|---|",
        "| `train` | `auc` | `0.91` | `0.92` | +0.01 (!) |",
        "(!) not comparable: `taken on different data`",
        "## Parameters",
        "| step | name | before | after | change |",
        "|---|---|---|---|---|",
        "| `train` | `rate` | `0.1` | `0.2` | +0.1 |",
    ]
    assert "  - params `rate`: `0.1` to `0.2`" in told
    assert any(line.startswith("  - data `data`: `") for line in told)
    assert Dver(history)("report", "v1..HEAD").stdout == done.stdout
    assert Dver(history)("report", "v1...HEAD").stdout == done.stdout
    assert "| `../model.bin` | " in Dver(history / "data")("report", "v1").stdout
    assert Dver(history / "data")("diff", "v1...HEAD", "--stat").stdout.startswith(" .")
    assert Dver(history)("report", "v1", "main", "data", "model.bin", "gone.txt").exit_code == 0


def test_the_exit_code_and_json_are_for_programs(history: Path) -> None:
    dver = Dver(history)
    assert dver("report", "HEAD", "--exit-code").stdout == (
        "## Data\n\nNo tracked data, metric or parameter changes.\n\n"
    )
    assert dver("report", "v1", "--exit-code", code=1).stdout == dver("report", "v1").stdout
    result = dver("report", "v1", "--json").result
    assert [one["path"] for one in result["data"]["targets"]] == ["data", "gone.txt", "model.bin"]
    assert [one["change"] for one in result["metrics"]] == [pytest.approx(0.01)]
    assert result["made"][0]["step"] == "train"
    assert result["unexplained"] == []


def test_only_listings_are_read_from_the_remote(history: Path, tmp_path: Path) -> None:
    clone = GitRepo.clone(history, tmp_path / "clone")
    dver = Dver(clone.path)
    dver("remote", "set", "origin", "url", str(history.parent / "remote"), "--local", "-q")
    assert dver("report", "v1").stdout == Dver(history)("report", "v1").stdout
    assert not list((clone.path / ".git" / "dver").glob("packs/*/*"))


def test_a_remote_that_does_not_answer_costs_the_lists_only(history: Path, tmp_path: Path) -> None:
    clone = GitRepo.clone(history, tmp_path / "clone")
    dver = Dver(clone.path)
    done = dver("-c", "remote.origin.url=s3://x/y", "report", "v1")
    assert done.stderr.startswith("warning: files are not listed: ")
    assert done.stderr.count("warning:") == 1
    assert "The files of `data` cannot be listed" in done.stdout
    assert "| `train` | `auc` |" in done.stdout


def test_what_is_not_explained_any_more_is_told(history: Path, tmp_path: Path) -> None:
    clone = GitRepo.clone(history, tmp_path / "clone")
    dver = Dver(clone.path)
    clone.write("model.bin", "made by hand")
    dver("add", "-q", "model.bin")
    clone.commit("by hand")
    told = dver("report", "HEAD~1").stdout
    assert "- `model.bin`: **no record tells what made it**" in told
    assert "no record tells what made the version before" in dver("report", "HEAD", "v1").stdout


def test_what_is_wrong_is_told(history: Path) -> None:
    dver = Dver(history)
    assert "neither a revision nor a tracked path" in dver("report", "nope", code=4).stderr
    assert "no revision to compare with" in dver("report", "data", code=2).stderr
    assert "hint: did you mean data?" in dver("report", "v1", "HEAD", "--", "dat", code=4).stderr


def test_nothing_breaks_out_of_a_code_span() -> None:
    assert code("a|b") == "`a\\|b`"
    assert code("`a` @x") == "`` `a` @x ``"
    assert code("a``b`c") == "```a``b`c```"
    assert code("a\nb\x1b[1m<b>") == "`a b\\x1b[1m<b>`"
    assert code("") == code(" ") == ""
    assert os.linesep not in code("x\r\ny")
