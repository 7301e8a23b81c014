"""Asking records: what made this, and what was made with it."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from dver.base.oid import oid_of
from tests.lineage.conftest import Project
from tests.support.gitrepo import GitRepo

PYTHON = sys.executable
COPY = "import sys; open(sys.argv[2], 'w').write(open(sys.argv[1]).read() + sys.argv[2])"


@pytest.fixture
def chain(project: Project) -> Project:
    """data -> clean.txt -> model.json and report.txt, committed."""
    project.dver("run", "-q", "--name", "clean", "-d", "data", "-o", "clean.txt", "--",
                 PYTHON, "-c", COPY, "data/rows.csv", "clean.txt")  # fmt: skip
    project.dver("run", "-q", "--name", "fit", "-d", "clean.txt:train", "-o", "model.bin:model",
                 "--", PYTHON, "-c", COPY, "clean.txt", "model.bin")  # fmt: skip
    project.dver("run", "-q", "--name", "report", "-d", "model.bin", "-o", "report.txt", "--",
                 PYTHON, "-c", COPY, "model.bin", "report.txt")  # fmt: skip
    project.commit("chain")
    return project


def steps(result: dict) -> list[str]:
    return [one["step"] for one in result["records"]]


def test_up_to_the_roots(chain: Project) -> None:
    result = chain.dver("lineage", "--json", "report.txt").result
    assert steps(result) == ["report", "fit", "clean"]
    paths = {path for one in result["objects"] for path in one["paths"]}
    assert paths == {"report.txt", "model.bin", "clean.txt", "data"}
    assert result["complete"]
    near = chain.dver("lineage", "--json", "--depth", "1", "report.txt").result
    assert (steps(near), near["complete"]) == (["report"], False)


def test_down_from_data_and_from_a_file_inside_it(chain: Project) -> None:
    for target in ("data", "data/rows.csv", oid_of(b"1\n2\n3\n").hex()):
        result = chain.dver("lineage", "--json", "--down", target).result
        assert steps(result) == ["clean", "fit", "report"], target
    assert chain.dver("lineage", "--json", "--down", "data/rows.csv").result["inside"]


def test_at_an_old_revision(chain: Project) -> None:
    chain.write("data/rows.csv", "4\n")
    chain.dver("add", "-q", "data")
    chain.commit("new data")
    chain.dver("lineage", "--down", "data", code=4)
    assert steps(chain.dver("lineage", "--json", "--down", "data@HEAD~1").result)


def test_by_record_and_by_content(chain: Project) -> None:
    result = chain.dver("lineage", "--json", "model.bin").result
    fit = result["records"][0]["id"]
    assert steps(chain.dver("lineage", "--json", fit[:12]).result) == ["fit", "clean"]
    assert steps(chain.dver("lineage", "--json", "--down", fit).result) == ["fit", "report"]
    shutil.copy(chain.path / "model.bin", chain.path / "copy.bin")
    assert steps(chain.dver("lineage", "--json", "copy.bin").result) == ["fit", "clean"]


def test_records_of_other_branches_count(chain: Project) -> None:
    chain.git.git("checkout", "-qb", "side")
    chain.dver("run", "-q", "--name", "side", "-d", "model.bin", "-o", "side.txt", "--",
               PYTHON, "-c", COPY, "model.bin", "side.txt")  # fmt: skip
    chain.commit("side")
    chain.git.git("checkout", "-q", "main")
    assert "side" in steps(chain.dver("lineage", "--json", "--down", "model.bin").result)


def test_in_a_fresh_clone(chain: Project, tmp_path: Path) -> None:
    from tests.support.cli import Dver

    GitRepo.clone(chain.path, tmp_path / "clone")
    clone = Dver(tmp_path / "clone")
    assert steps(clone("lineage", "--json", "report.txt").result) == ["report", "fit", "clean"]


def test_a_damaged_index_is_made_anew(chain: Project) -> None:
    chain.dver("lineage", "report.txt")
    (path,) = (chain.path / ".git/dver/lineage").glob("index-*.db")
    path.write_bytes(b"no database at all, and longer than a header of one would be" * 20)
    assert steps(chain.dver("lineage", "--json", "report.txt").result)[0] == "report"


def test_as_people_read_it(chain: Project) -> None:
    lines = chain.dver("lineage", "report.txt").stdout.splitlines()
    assert lines[0].startswith("report.txt ")
    assert lines[1].startswith("└─ report: ")
    assert lines[2].startswith("   └─ model.bin ")
    assert lines[3].startswith("      └─ fit: ")
    assert "(train, " in lines[4]


def test_as_dot_and_mermaid(chain: Project) -> None:
    dot = chain.dver("lineage", "--format", "dot", "model.bin").stdout
    assert dot.startswith("digraph lineage {\n")
    assert dot.count("->") == 4
    mermaid = chain.dver("lineage", "--format", "mermaid", "model.bin").stdout
    assert mermaid.startswith("flowchart LR\n")
    assert mermaid.count("-->") == 4


def test_what_nobody_knows(chain: Project) -> None:
    assert "no record says what made data" in chain.dver("lineage", "data", code=4).stderr
    assert "anything was made with" in chain.dver("lineage", "--down", "report.txt", code=4).stderr


def test_runs_are_listed_chosen_and_ordered(project: Project) -> None:
    for rate in ("0.5", "0.1", "2.0"):
        project.write("params.json", f'{{"rate": {rate}}}')
        project.train("--message", f"rate {rate}")
        project.commit()
    project.write("train.py", "raise SystemExit(2)")
    project.train(code=2)

    def rates(*args: str) -> list[str]:
        rows = project.dver("runs", "--json", *args).result["runs"]
        return [row["params"]["rate"] for row in rows]

    assert rates() == ["2.0", "0.1", "0.5"]
    assert rates("--failed") == ["2.0", "2.0", "0.1", "0.5"]
    assert rates("--sort", "loss") == ["2.0", "0.5", "0.1"]
    assert rates("--sort", "-loss") == ["0.1", "0.5", "2.0"]
    assert rates("--where", "loss < 0.3") == ["2.0", "0.5"]
    assert rates("--where", "rate >= 0.5", "--where", "rate != 2") == ["0.5"]
    assert rates("--where", "reason ~ 0.1") == ["0.1"]
    assert rates("--where", "input = data", "-n", "1") == ["2.0"]
    assert rates("--where", "nothing = 1") == []
    table = project.dver("runs").stdout.splitlines()
    assert table[0].split() == ["run", "created", "step", "loss", "rows", "rate"]
    assert len(table) == 4
    csv = project.dver("runs", "--csv").stdout.splitlines()
    assert csv[0].endswith("params.rate,metrics.loss,metrics.rows")
    project.dver("runs", "--where", "what", code=2)


def two_models(project: Project) -> None:
    """Train, change data, code and a parameter, and train again."""
    project.train()
    project.commit("first")
    project.git.git("tag", "v1")
    project.write("data/rows.csv", "1\n2\n3\n4\n")
    project.write("data/more.csv", "")
    project.write("train.py", (project.path / "train.py").read_text() + "# changed\n")
    project.write("params.json", '{"rate": 0.25}')
    project.train()
    project.commit("second")


def test_what_changed_between_two_models(project: Project) -> None:
    two_models(project)
    done = project.dver("lineage", "diff", "--json", "model.json@v1", "model.json")
    result = done.result
    assert result["files"] == ["new data/more.csv", "changed data/rows.csv"]
    assert result["code"] == ["changed params.json", "changed train.py"]
    rows = {(row["kind"], row["name"]): row["values"] for row in result["rows"]}
    assert rows["params", "rate"] == ["0.5", "0.25"]
    assert rows["params", "opt.name"] == ["sgd", None]
    assert ("environment", "python version") not in rows
    metrics = [row for row in result["rows"] if row["kind"] == "metrics"]
    assert {row["note"] for row in metrics} == {"taken on different data"}
    assert not any(row["comparable"] for row in metrics)
    lines = project.dver("lineage", "diff", "model.json@v1", "model.json").stdout.splitlines()
    assert lines[0] == "data"
    assert "    changed data/rows.csv" in lines
    assert "    changed train.py" in lines


def test_runs_side_by_side(project: Project) -> None:
    two_models(project)
    lines = project.dver("compare", "model.json@v1", "model.json").stdout.splitlines()
    assert lines[0].split()[::2] == ["model.json@v1", "model.json"]
    assert any(line.split()[:4] == ["params", "rate", "0.5", "0.25"] for line in lines)
    assert any("not comparable: taken on different data" in line for line in lines)
    same = project.dver("compare", "--json", "model.json", "model.json").result
    assert {row["kind"] for row in same["rows"]} == {"metrics"}
    project.dver("compare", "model.json", code=2)


def test_metrics_and_parameters_at_revisions(project: Project) -> None:
    two_models(project)
    shown = project.dver("metrics", "show", "--json", "v1").result["values"]
    assert [(one["step"], one["name"], one["value"]) for one in shown] == [
        ("train", "loss", "0.25"),
        ("train", "rows", "3"),
    ]
    assert project.dver("params").stdout.splitlines()[1].split() == ["train", "rate", "0.25"]
    changes = project.dver("params", "diff", "--json", "v1").result["changes"]
    assert [(one["name"], one["old"], one["new"], one["change"]) for one in changes] == [
        ("opt.name", "sgd", None, None),
        ("rate", "0.5", "0.25", -0.25),
    ]
    line = project.dver("metrics", "diff", "v1", "HEAD").stdout.splitlines()[0]
    assert "not comparable: taken on different data" in line
    assert project.dver("metrics", "diff").stdout == ""
    project.dver("metrics", "diff", "a", "b", "c", code=2)


def test_what_others_recorded_moves_no_cursor(project: Project) -> None:
    evil = "fit\x1b[2Jed"
    code = COPY + " # \x1b]0;title\x07"
    words = ("--", PYTHON, "-c", code, "data/rows.csv", "out.txt")
    project.dver("run", "-q", "--name", evil, "-d", "data", "-o", "out.txt", *words)
    for args in (["lineage", "out.txt"], ["runs"], ["compare", "out.txt", "out.txt"], ["metrics"]):
        done = project.dver(*args)
        assert "\x1b" not in done.stdout + done.stderr, args
