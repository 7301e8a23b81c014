"""What is told of a pipeline: its graph, what a run did, and what is stale."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.lineage.conftest import Project
from tests.lineage.pipelines import Pipeline, pipe
from tests.support.cli import Done

__all__ = ["pipe"]


def test_dag(pipe: Pipeline) -> None:
    tree = pipe.dver("dag").stdout
    assert [line.partition(":")[0] for line in tree.splitlines()] == [
        "prepare",
        "└─ train",
        "other",
    ]
    mermaid = pipe.dver("dag", "--format", "mermaid", "train").stdout
    assert mermaid == 'flowchart LR\n  s0["prepare"]\n  s1["train"]\n  s0 --> s1\n'
    dot = pipe.dver("dag", "--format", "dot").stdout
    assert '"prepare" -> "train";' in dot
    found = pipe.dver("dag", "--json").result["steps"]
    assert [one["after"] for one in found] == [[], ["prepare"], []]
    assert found[1]["inputs"] == ["clean", "params.json", "step.py"]
    pipe.change("extra step.txt", "extra model clean/rows")
    tree = pipe.dver("dag").stdout
    assert [line.partition(":")[0] for line in tree.splitlines()] == [
        "prepare",
        "├─ train",
        "│  └─ other",
        "└─ other (above)",
    ]


def tells(done: Done) -> list[str]:
    return [one for one in done.stdout.splitlines() if one]


def test_text_for_people(pipe: Pipeline) -> None:
    lines = tells(pipe.dver("repro"))
    assert lines[0] == "run        prepare: no run of it is recorded on this branch"
    assert lines[1] == "clean/rows of data/rows.csv"
    assert lines[2].startswith("recorded   prepare as ")
    assert lines[-1].startswith("to stage ")
    assert tells(pipe.dver("repro")) == [
        "up to date prepare", "up to date train", "up to date other",
    ]  # fmt: skip
    assert pipe.dver("repro", "-q").stdout == ""
    assert json.loads(pipe.dver("repro", "--json").stdout)["ok"]


def test_status_names_stale_steps(pipe: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    pipe.repro()
    assert pipe.dver("status", "--json").result["pipeline"] == {
        "steps": 3, "stale": [], "problem": None,
    }  # fmt: skip
    assert "Steps" not in pipe.dver("status").stdout
    pipe.change('"rate": 0.5', '"rate": 1.0', "params.json")
    (stale,) = pipe.dver("status", "--json").result["pipeline"]["stale"]
    assert stale == {"name": "train", "reasons": ["parameter rate changed from 0.5 to 1.0"]}
    assert "train: parameter rate changed from 0.5 to 1.0" in pipe.dver("status").stdout
    assert pipe.dver("status", "--porcelain").stdout.count("train") == 0
    monkeypatch.setattr("dver.ops.making.stalesteps._MOST_BYTES", 3)
    pipe.write("data/rows.csv", "4\n4\n4\n")
    assert "much data changed" in pipe.dver("status").stdout
    pipe.change("steps:", "stages:")
    assert "unknown key 'stages'" in pipe.dver("status").stdout
    (pipe.path / "dver.yaml").unlink()
    assert pipe.dver("status", "--json").result["pipeline"] is None


def test_a_status_without_a_pipeline_loads_nothing_for_it(project: Project) -> None:
    code = (
        "import sys; from dver.cli.main import main; main(['status']);"
        "print([one for one in sys.modules if one in ('yaml', 'sqlite3', 'dver.lineage.pipeline')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=project.path, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]", done.stdout


def test_what_was_read_and_not_declared_is_told(pipe: Pipeline) -> None:
    pipe.write(".gitignore", "/data\nhidden\n")
    pipe.write("hidden", "1")
    pipe.change("import json, sys", "import json, sys; open('hidden').read()", "step.py")
    assert "warning: other: undeclared read: hidden\n" in pipe.dver("repro", "other").stderr
    assert pipe.repro("-f", "other")["other"]["reads"] == ["hidden"]


def test_metrics_are_told(pipe: Pipeline) -> None:
    pipe.change("outs: [extra]", "metrics: [m.json]")
    pipe.change("step.py extra", "step.py m.json")
    script = "Path(out).write_text(json.dumps({'auc': total}))"
    pipe.change("Path(out).write_text(str(int(total * rate * 2)))", script, "step.py")
    assert "auc=7" in pipe.dver("repro", "other").stdout
    assert pipe.repro("-f", "other")["other"]["metrics"] == {"auc": "7"}


def test_a_long_chain_is_drawn_and_planned(pipe: Pipeline) -> None:
    count = 1500
    steps = [f"  s{n}: {{command: [true], deps: [o{n}], outs: [o{n + 1}]}}\n" for n in range(count)]
    pipe.write("dver.yaml", "steps:\n" + "".join(steps))
    pipe.write("o0", "")
    lines = pipe.dver("dag").stdout.splitlines()
    assert len(lines) == count
    assert lines[-1].endswith(f"s{count - 1}: true -> o{count}")
    actions = list(pipe.actions("-n").values())
    assert actions == ["run", *["pending"] * (count - 1)]
