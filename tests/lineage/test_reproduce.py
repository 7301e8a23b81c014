"""Making old models again, and telling how close they come."""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from pathlib import Path

import pytest

from dver.formats import record
from tests.lineage.conftest import Project
from tests.support.cli import Done, Dver
from tests.support.gitrepo import GitRepo

PYTHON = sys.executable


def state(project: Project) -> tuple[str, str, bytes, dict[str, bytes]]:
    """Return all that a reproduction must leave alone."""
    files = {
        str(path.relative_to(project.path)): path.read_bytes()
        for path in project.path.rglob("*")
        if path.is_file() and ".git/" not in str(path) and ".dver/records" not in str(path)
    }
    refs = project.git.git("for-each-ref")
    index = (project.path / ".git/index").read_bytes()
    return refs, project.git.git("rev-parse", "HEAD"), index, files


def train_and_commit(project: Project, message: str = "model") -> str:
    project.train()
    return project.commit(message)


def test_an_old_model_bit_for_bit(
    project: Project, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    temporary = tmp_path_factory.mktemp("temporary")
    monkeypatch.setenv("TMPDIR", str(temporary))
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    commit = train_and_commit(project)
    project.git.git("tag", "v1")
    for name, text in (("data/rows.csv", "9\n"), ("params.json", '{"rate": 2}')):
        project.write(name, text)
    project.write("train.py", "raise SystemExit('broken meanwhile')")
    project.dver("add", "-q", "data")
    project.commit("all is different now")
    project.write("model.json", "lost")
    before = state(project)
    done = project.dver("reproduce", "--json", "model.json@v1")
    result = done.result
    assert result["grade"] == "exact"
    assert [(one["path"], one["grade"]) for one in result["outputs"]] == [
        ("metrics.json", "exact"),
        ("model.json", "exact"),
    ]
    assert result["commit"] != commit  # the model was made before it was committed
    assert result["missing"] == []
    assert "trained on 3" in done.stderr
    assert state(project) == before
    value = record.decode((project.path / result["file"]).read_bytes())
    assert (value.kind, value.step) == ("reproduce", "train")
    assert value.verdict is not None
    assert value.verdict.grade == "exact"
    assert [(one.id, one.why) for one in value.parents] == [(result["record"], "reproduces")]
    assert not list(temporary.glob("dver-reproduce-*"))


def test_by_record_and_by_a_file_known_only_by_its_content(project: Project) -> None:
    made = project.train().json["result"]
    project.commit()
    for target in (made["record"], made["record"][:10]):
        assert project.dver("reproduce", "--json", target).result["record"] == made["record"]
    stray = project.path / "downloaded.bin"
    shutil.copy(project.path / "model.json", stray)
    assert project.dver("reproduce", "--json", "downloaded.bin").result["grade"] == "exact"


def test_code_that_was_never_committed(project: Project) -> None:
    project.write("train.py", (project.path / "train.py").read_text().replace("/ (1", "/ (2"))
    project.write("extra.py", "x = 1\n")
    project.train()
    project.git.git("checkout", "-q", "train.py")
    (project.path / "extra.py").unlink()
    assert project.dver("reproduce", "--json", "model.json").result["grade"] == "exact"


def noisy(project: Project, model: str, metrics: str) -> None:
    """Make training depend on a counter outside of the repository."""
    counter = project.path.parent / "counter"
    counter.write_text("0")
    project.write(
        "train.py",
        "import json, pathlib\n"
        f"c = pathlib.Path({str(counter)!r}); n = int(c.read_text()); c.write_text(str(n + 1))\n"
        f"open('model.json', 'w').write({model})\n"
        f"open('metrics.json', 'w').write({metrics})\n",
    )
    project.commit("noisy")


@pytest.mark.parametrize(
    ("model", "metrics", "options", "grade", "code"),
    [
        ("'{\"w\": 1}' + ' ' * n", "'{\"auc\": 0.9}'", [], "content", 20),
        ("'{\"w\": 1}' + ' ' * n", "'{\"auc\": 0.9}'", ["--expect", "content"], "content", 0),
        ("str(n)", "json.dumps({'auc': 0.9})", [], "metric", 21),
        ("str(n)", "json.dumps({'auc': 0.9 + n / 1000})", [], "diverged", 22),
        ("str(n)", "json.dumps({'auc': 0.9 + n / 1000})", ["--absolute", "0.01"], "metric", 21),
        (
            "str(n)",
            "json.dumps({'auc': 0.9 + n / 1000})",
            ["--relative", "0.01", "--expect", "metric"],
            "metric",
            0,
        ),
    ],
)
def test_grades(
    project: Project, model: str, metrics: str, options: list[str], grade: str, code: int
) -> None:
    noisy(project, model, metrics)
    train_and_commit(project)
    done = project.dver("reproduce", "--json", *options, "model.json", code=code)
    assert done.json["result"]["grade"] == grade


def test_a_command_that_fails_now(project: Project) -> None:
    noisy(project, "str(1 // (1 - n))", "'{}'")
    train_and_commit(project)
    result = project.dver("reproduce", "--json", "model.json", code=22).json["result"]
    assert (result["grade"], result["exit"]) == ("diverged", 1)
    assert "exit code 1, not 0" in result["notes"][0]


def test_an_output_that_is_not_made_now(project: Project) -> None:
    noisy(project, "'x'", "'{}'")
    script = (project.path / "train.py").read_text()
    project.write("train.py", script + "if n: import os; os.unlink('model.json')\n")
    train_and_commit(project)
    result = project.dver("reproduce", "--json", "model.json", code=22).json["result"]
    assert [one["note"] for one in result["outputs"]] == ["", "it was not made"]


def test_inputs_are_read_only_and_outputs_are_away(project: Project) -> None:
    project.write(
        "train.py",
        "import os\n"
        "assert not os.path.exists('model.json')\n"
        "if os.getuid(): assert not os.access('data/rows.csv', os.W_OK)\n"
        "assert not os.stat('data/rows.csv').st_mode & 0o222 or not os.environ.get('AGAIN')\n"
        "open('model.json', 'w').write('m'); open('metrics.json', 'w').write('{}')\n",
    )
    project.commit()
    (project.path / ".gitignore").write_text("/data\n")
    train_and_commit(project)
    os.environ["AGAIN"] = "1"
    try:
        project.write("model.json", "in the way")
        assert project.dver("reproduce", "--json", "model.json@HEAD").result["grade"] == "exact"
    finally:
        del os.environ["AGAIN"]


def remote_of(project: Project, tmp_path: Path) -> None:
    project.dver("remote", "add", "-q", "origin", str(tmp_path / "remote"))
    project.commit("remote")
    project.dver("push", "-q")


def clone_of(project: Project, tmp_path: Path, *args: str) -> Dver:
    GitRepo.clone(project.path, tmp_path / "clone", *args)
    return Dver(tmp_path / "clone")


def test_in_a_fresh_clone_from_git_and_the_remote_alone(project: Project, tmp_path: Path) -> None:
    train_and_commit(project)
    remote_of(project, tmp_path)
    clone = clone_of(project, tmp_path)
    shutil.rmtree(project.path / ".git/dver")
    result = clone("reproduce", "--json", "model.json").result
    assert result["grade"] == "exact"


def test_after_squash_and_branch_deletion(project: Project, tmp_path: Path) -> None:
    project.git.git("checkout", "-qb", "work")
    project.write("train.py", (project.path / "train.py").read_text() + "# for this branch\n")
    project.commit("code")
    train_and_commit(project)
    project.git.git("checkout", "-q", "main")
    project.git.git("merge", "-q", "--squash", "work")
    project.commit("squashed")
    project.git.git("branch", "-qD", "work")
    remote_of(project, tmp_path)
    GitRepo.clone(f"file://{project.path}", tmp_path / "clone")
    clone = Dver(tmp_path / "clone")
    result = clone("reproduce", "--json", "model.json").result
    assert result["grade"] == "exact"


def test_when_no_commit_of_it_is_left(project: Project, tmp_path: Path) -> None:
    project.write("train.py", (project.path / "train.py").read_text() + "# never committed\n")
    train_dirty = project.train().json["result"]
    project.git.git("checkout", "-q", "train.py")
    project.commit("the model alone")
    remote_of(project, tmp_path)
    GitRepo.clone(f"file://{project.path}", tmp_path / "clone")
    result = Dver(tmp_path / "clone")("reproduce", "--json", "model.json").result
    assert result["record"] == train_dirty["record"]
    assert result["grade"] == "exact"
    assert "the code came from the store" in " ".join(result["notes"])


def test_a_remote_that_lost_an_input(project: Project, tmp_path: Path) -> None:
    train_and_commit(project)
    remote_of(project, tmp_path)
    clone = clone_of(project, tmp_path)
    clone("fetch", "-q", "model.json")
    shutil.rmtree(tmp_path / "remote")
    (tmp_path / "remote").mkdir()
    done = clone.attempt("reproduce", "--json", "model.json")
    assert done.exit_code != 0
    assert not list((tmp_path / "clone").glob("ran*"))


def test_what_is_missing_is_told_before_anything_runs(project: Project) -> None:
    train_and_commit(project)
    for name in ("packs", "index"):
        shutil.rmtree(project.path / ".git/dver" / name)
    done = project.dver("reproduce", "--json", "--no-record", "model.json", code=23)
    result = done.json["result"]
    assert result["grade"] == "blocked"
    assert result["exit"] is None
    assert any("the input data" in text for text in result["missing"])
    assert "trained" not in done.stderr


def test_check_runs_nothing(project: Project) -> None:
    train_and_commit(project)
    done = project.dver("reproduce", "--check", "--json", "model.json")
    assert (done.result["exit"], done.result["verdict"]) == (None, None)
    assert "trained" not in done.stderr


def test_what_no_record_knows(project: Project) -> None:
    done = project.dver("reproduce", "data", code=4)
    assert "no record tells what made data" in done.stderr
    project.dver("reproduce", "nothing", code=4)
    project.dver("reproduce", "0123456789", code=4)


def test_forged_and_broken_records_count_for_nothing(project: Project) -> None:
    made = project.train().json["result"]
    path = project.path / made["file"]
    forged = json.loads(path.read_bytes())
    forged["command"]["argv"] = ["touch", str(project.path / "owned")]
    path.write_text(json.dumps(forged, sort_keys=True, indent=1) + "\n")
    project.commit("forged")
    project.dver("reproduce", "model.json", code=4)
    assert not (project.path / "owned").exists()


def test_keep_leaves_the_directory(project: Project) -> None:
    train_and_commit(project)
    result = project.dver("reproduce", "--json", "--keep", "model.json").result
    where = Path(result["directory"])
    assert (where / "model.json").read_bytes() == (project.path / "model.json").read_bytes()
    assert (where / ".git").is_dir()
    shutil.rmtree(where.parent)


def test_as_people_read_it(project: Project) -> None:
    noisy(project, "str(n)", "json.dumps({'auc': 0.9 + n / 1000})")
    train_and_commit(project)
    done: Done = project.dver("reproduce", "model.json", code=22)
    lines = done.stdout.splitlines()
    assert lines[0] == "diverged   metrics.json: values: the values differ"
    assert lines[1].startswith("diverged   model.json: ")
    assert lines[2] == "metric     auc was 0.9 and is 0.901"
    assert any(line.startswith("DIVERGED: not the same (") for line in lines)
    assert lines[-1].startswith("to keep the verdict, run: git add .dver/records")
