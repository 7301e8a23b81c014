"""Recording what a command made out of what."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dver.base.oid import oid_of, parse_oid
from dver.formats import record
from dver.formats.record import Record
from dver.repo import Repo
from dver.store.whole import is_whole
from tests.lineage.conftest import Project
from tests.support.cli import Done

PYTHON = sys.executable


def recorded(project: Project, done: Done) -> Record:
    """Return the record that a run wrote: its file is what the store has, under its name."""
    result = done.json["result"]
    data = (project.path / result["file"]).read_bytes()
    assert oid_of(data).hex() == result["record"] == Path(result["file"]).stem
    repo = Repo.open(project.path)
    try:
        assert repo.store.read(oid_of(data)) == data
    finally:
        repo.close()
    return record.decode(data)


def test_all_that_made_a_model(project: Project) -> None:
    project.write("uv.lock", "version = 1\n")
    project.commit()
    done = project.train("--env-lock", "uv.lock", "--message", "first try")
    value = recorded(project, done)
    assert done.stderr == "trained on 3\n"
    assert (value.kind, value.step, value.reason) == ("run", "train", "first try")
    assert value.code.commit == project.git.git("rev-parse", "HEAD")
    assert value.code.tree == project.git.git("rev-parse", "HEAD^{tree}")
    assert (value.code.branch, value.code.dirty, value.code.snapshot) == ("main", False, "")
    assert value.command is not None
    assert value.command.argv == (PYTHON, "train.py")
    assert [(i.path, i.kind, i.role, i.source) for i in value.inputs] == [
        ("data", "tree", "train", "dver"),
        ("params.json", "file", "config", "git"),
    ]
    assert [(o.path, o.role, o.source) for o in value.outputs] == [
        ("metrics.json", "metrics", ""),
        ("model.json", "model", "dver"),
    ]
    assert value.outputs[1].oid == oid_of((project.path / "model.json").read_bytes())
    assert [(p.key, p.value, p.type) for p in value.params] == [
        ("opt.name", "sgd", "text"),
        ("rate", "0.5", "float"),
    ]
    assert [(m.name, m.value, m.type) for m in value.metrics] == [
        ("loss", "0.25", "float"),
        ("rows", "3", "int"),
    ]
    assert value.run is not None
    assert (value.run.exit, value.run.signal) == (0, "")
    assert value.env.python["version"] == ".".join(map(str, sys.version_info[:3]))
    assert [lock.path for lock in value.env.locks] == ["uv.lock"]
    assert value.seeds == {"PYTHONHASHSEED": "0"}
    assert value.actor.email == "ada@example.com" or value.actor.email == ""
    repo = Repo.open(project.path)
    try:
        assert repo.store.read(value.run.stdout or b"") == b"trained on 3\n"
        assert b"pytest==" in repo.store.read(value.env.packages or b"")
        kept = repo.store.read_tree(value.keep.oid)
        assert [e.name for e in kept] == [b"code", b"env", b"inputs", b"outputs", b"stdout"]
    finally:
        repo.close()


def test_the_output_is_tracked_and_the_record_is_for_git(project: Project) -> None:
    result = project.train().json["result"]
    wanted = ["model.json.dver", ".gitignore", "metrics.json", result["file"]]
    assert result["to_stage"] == wanted
    project.git.git("add", *result["to_stage"])
    assert project.dver("status", "--json").result["targets"][1]["data_state"] == "unchanged"
    again = project.train("--stage").json["result"]
    assert again["staged"]
    assert again["record"] != result["record"]


def test_code_that_is_not_committed_is_kept_and_nothing_is_touched(project: Project) -> None:
    project.write("train.py", (project.path / "train.py").read_text() + "# changed\n")
    project.write("new.py", "x = 1\n")
    project.write("staged.py", "y = 1\n")
    project.git.git("add", "staged.py")
    before = project.git.git("status", "--porcelain")
    index = (project.path / ".git/index").read_bytes()
    value = recorded(project, project.train())
    after = project.git.git("status", "--porcelain")
    assert set(before.splitlines()) <= set(after.splitlines())
    assert (project.path / ".git/index").read_bytes() == index
    assert value.code.dirty
    kept = project.git.git("ls-tree", "-r", "--name-only", value.code.snapshot).split()
    assert {"new.py", "staged.py", "train.py"} <= set(kept)
    assert project.git.git("show", f"{value.code.snapshot}:train.py").endswith("# changed")
    refs = project.git.git("for-each-ref", "--format=%(refname)", "refs/dver").split()
    assert len(refs) == 1
    assert project.git.git("rev-parse", refs[0]) == value.code.snapshot
    project.git.git("gc", "-q", "--prune=now")
    assert project.git.git("cat-file", "-t", value.code.snapshot) == "commit"


def test_before_the_first_commit(git_repo, tmp_path: Path) -> None:
    from tests.support.cli import Dver

    dver = Dver(git_repo.path)
    dver("init", "-q")
    (git_repo.path / "code.py").write_text("open('out', 'w').write('x')")
    done = dver("run", "--json", "-o", "out", "--", PYTHON, "code.py")
    data = (git_repo.path / done.json["result"]["file"]).read_bytes()
    value = record.decode(data)
    assert (value.code.commit, value.code.dirty) == ("", True)
    assert git_repo.git("show", f"{value.code.snapshot}:code.py").startswith("open")


@pytest.mark.parametrize(
    ("name", "text", "why"),
    [
        (".env", "A=1", "file with secrets"),
        ("id_rsa", "x", "file with secrets"),
        ("settings.py", "KEY = 'AKIA" + "A" * 16 + "'", "seems to hold a secret"),
        ("key.txt", "-----BEGIN RSA PRIVATE KEY-----", "seems to hold a secret"),
        ("big.bin", "x" * (11 << 20), "larger than 10 MiB"),
    ],
)
def test_what_a_snapshot_leaves_out(project: Project, name: str, text: str, why: str) -> None:
    project.write(name, text)
    project.write("fine.py", "")
    done = project.train()
    value = recorded(project, done)
    assert value.code.left_out == (name,)
    assert value.code.dirty
    assert why in done.stderr
    kept = project.git.git("ls-tree", "-r", "--name-only", value.code.snapshot).split()
    assert name not in kept
    assert "fine.py" in kept


def test_clean_refuses_before_anything_runs(project: Project) -> None:
    project.write("train.py", "raise SystemExit(9)")
    done = project.train("--clean", code=5)
    assert "not as committed: train.py" in done.json["error"]["message"]
    project.git.git("checkout", "-q", "train.py")
    project.train("--clean")


def test_a_record_that_is_not_committed_makes_nothing_dirty(project: Project) -> None:
    project.write(".gitignore", "/data\n/model.json\n/metrics.json\n")
    project.commit()
    project.train()
    assert recorded(project, project.train()).code.dirty  # for model.json.dver
    project.git.git("add", "model.json.dver")
    project.git.git("commit", "-qm", "model")
    assert not recorded(project, project.train("--clean")).code.dirty


def test_a_failed_run_is_recorded_without_outputs(project: Project) -> None:
    project.write("train.py", "import sys; print('so far'); open('model.json','w'); sys.exit(3)")
    done = project.train(code=3)
    value = recorded(project, done)
    assert value.run is not None
    assert value.run.exit == 3
    assert value.outputs == ()
    assert not (project.path / "model.json.dver").exists()


def test_a_command_that_is_killed(project: Project) -> None:
    project.write("train.py", "import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
    value = recorded(project, project.train(code=128 + signal.SIGKILL))
    assert value.run is not None
    assert value.run.signal == "SIGKILL"


def test_an_output_that_was_not_made(project: Project) -> None:
    project.write("train.py", "open('metrics.json', 'w').write('{}')")
    error = project.train(code=4).json["error"]
    assert error["paths"] == ["model.json"]
    assert "recorded as" in error["message"]
    assert list((project.path / ".dver/records").rglob("*.json"))


@pytest.mark.parametrize(
    ("args", "code", "words"),
    [
        (["-d", "data", "-o", "data", "--", "true"], 2, "is an input too"),
        (["-d", "data/rows.csv", "-o", "data", "--", "true"], 2, "is an input too"),
        (["-d", "data", "-o", "data/out", "--", "true"], 2, "is an input too"),
        (["-o", "out", "-o", "out/x", "--", "true"], 2, "lies in the output"),
        (["-o", ".", "--", "true"], 2, "whole repository"),
        (["-d", "gone", "--", "true"], 4, "there is no gone"),
        (["-p", "gone.yaml", "--", "true"], 4, "no file gone.yaml"),
        (["-p", "params.json:nope", "--", "true"], 4, "no parameter 'nope'"),
        (["--", "no-such-program"], 4, "no program no-such-program"),
        ([], 2, "no command"),
    ],
)
def test_what_stops_a_run_before_it_begins(
    project: Project, args: list[str], code: int, words: str
) -> None:
    done = project.dver("run", "--json", *args, code=code)
    assert words in done.json["error"]["message"]
    assert not (project.path / ".dver/records").exists()


def test_undeclared_files_are_noticed(project: Project) -> None:
    project.write("hidden.txt", "2")
    project.write(".gitignore", "/data\nhidden.txt\nscratch.txt\nmetrics.json\n")
    script = "open('hidden.txt').read()\nopen('scratch.txt', 'w').write('1')\n"
    project.write("train.py", script + (project.path / "train.py").read_text())
    project.commit()
    result = project.train().json["result"]
    assert (result["reads"], result["writes"]) == (["hidden.txt"], ["scratch.txt"])
    error = project.train("--strict", code=5).json["error"]
    assert error["paths"] == ["hidden.txt", "scratch.txt"]
    plain = project.dver(
        "run", "--json", "--strict", "-d", "hidden.txt", "-o", "out", "--",
        PYTHON, "-c", "open('out','w').write(open('hidden.txt').read()); open('train.py')",
    ).json["result"]  # fmt: skip
    assert (plain["reads"], plain["writes"]) == ([], [])


def test_a_users_own_sitecustomize_still_runs(project: Project, monkeypatch) -> None:
    own = project.path.parent / "own"
    own.mkdir()
    (own / "sitecustomize.py").write_text("import os; os.environ['FROM_SITE'] = 'yes'")
    monkeypatch.setenv("PYTHONPATH", str(own))
    code = "import os; open('out','w').write(os.environ['FROM_SITE'])"
    project.dver("run", "-o", "out", "--", PYTHON, "-c", code)
    assert (project.path / "out").read_text() == "yes"


def test_an_input_that_was_changed_is_kept_as_it_was(project: Project) -> None:
    project.write("data/rows.csv", "5\n")
    value = recorded(project, project.train())
    tree = value.inputs[0].oid
    project.write("data/rows.csv", "7\n")
    project.dver("add", "-q", "data")
    repo = Repo.open(project.path)
    try:
        entry = repo.store.read_tree(tree).find(b"rows.csv")
        assert entry is not None
        assert repo.store.read(entry.oid) == b"5\n"
    finally:
        repo.close()


def test_garbage_collection_keeps_what_records_need(project: Project) -> None:
    project.write("data/rows.csv", "5\n")
    value = recorded(project, project.train())
    project.write("data/rows.csv", "1\n2\n3\n")
    project.dver("gc", "-q")
    assert_whole(project, value)
    project.commit()
    project.dver("gc", "-q")
    assert_whole(project, value)
    for path in (project.path / ".dver/records").rglob("*.json"):
        path.unlink()
    project.commit("records removed, but still in history")
    project.dver("gc", "-q")
    assert_whole(project, value)
    dver_index = project.path / ".git/dver/lineage"
    assert not dver_index.exists() or dver_index.is_dir()


def assert_whole(project: Project, value: Record) -> None:

    repo = Repo.open(project.path)
    try:
        assert is_whole(repo.store, value.keep.oid)
    finally:
        repo.close()


def test_what_runs_under_way_have_stored_is_kept(project: Project) -> None:
    project.write("data/rows.csv", "77\n")
    script = (
        "import subprocess, sys\n"
        "open('out', 'w').close()\n"
        "sys.exit(subprocess.call([sys.executable, '-m', 'dver', 'gc', '-q']))"
    )
    done = project.dver(
        "run", "--json", "-d", "data", "-o", "out", "--",
        PYTHON, "-c", script,
    )  # fmt: skip
    assert_whole(project, recorded(project, done))
    assert not list((project.path / ".git/dver/runs").iterdir())


def test_a_command_that_commits_and_uses_dver(project: Project) -> None:
    script = (
        "import subprocess as s\n"
        "open('extra', 'w').write('x')\n"
        "s.check_call(['git', 'checkout', '-qb', 'other'])\n"
        "s.check_call([PYTHON, '-m', 'dver', 'add', '-q', 'extra'])\n"
        "s.check_call(['git', 'add', '-A']); s.check_call(['git', 'commit', '-qm', 'inside'])\n"
        "open('out', 'w').write('y')\n"
    )
    script = script.replace("PYTHON", repr(PYTHON))
    head = project.git.git("rev-parse", "HEAD")
    done = project.dver("run", "--json", "-o", "out", "--", PYTHON, "-c", script)
    value = recorded(project, done)
    assert (value.code.commit, value.code.branch) == (head, "main")
    assert project.git.git("log", "-1", "--format=%s") == "inside"
    assert (project.path / "out.dver").exists()


def test_eight_runs_at_once(project: Project) -> None:
    project.write(".gitignore", "/data\n")
    project.commit()
    code = "import sys, time; time.sleep(0.2); open(sys.argv[1], 'w').write(sys.argv[1])"
    processes = [
        subprocess.Popen(
            [PYTHON, "-m", "dver", "run", "--json", "-d", "data", "-o", f"out{n}", "--",
             PYTHON, "-c", code, f"out{n}"],
            cwd=project.path, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )
        for n in range(8)
    ]  # fmt: skip
    for n, process in enumerate(processes):
        out, err = process.communicate(timeout=120)
        assert process.returncode == 0, err
        result = json.loads(out)["result"]
        value = record.decode((project.path / result["file"]).read_bytes())
        assert [one.path for one in value.outputs] == [f"out{n}"]
        assert value.outputs[0].oid == oid_of(f"out{n}".encode())
        assert (project.path / f"out{n}.dver").exists()
    assert len(list((project.path / ".dver/records").rglob("*.json"))) == 8


def test_an_interrupt_reaches_the_command_and_is_recorded(project: Project) -> None:
    code = (
        "import time, sys\n"
        "try:\n    open('ready', 'w').close(); time.sleep(60)\n"
        "except KeyboardInterrupt:\n    print('cleaned up'); sys.exit(7)\n"
    )
    process = subprocess.Popen(
        [PYTHON, "-m", "dver", "run", "-o", "out", "--", PYTHON, "-c", code],
        cwd=project.path, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        start_new_session=True,
    )  # fmt: skip
    for _ in range(600):
        if (project.path / "ready").exists():
            break
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert b"cleaned up" in out
    (path,) = (project.path / ".dver/records").rglob("*.json")
    value = record.decode(path.read_bytes())
    assert value.run is not None
    assert value.run.exit == 7


def test_output_that_nobody_reads_does_not_stop_a_run(project: Project) -> None:
    code = "print('x' * 10_000_000); open('out', 'w').write('done')"
    process = subprocess.Popen(
        [PYTHON, "-m", "dver", "run", "-o", "out", "--", PYTHON, "-c", code],
        cwd=project.path, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    assert process.stdout is not None
    process.stdout.read(10)
    process.stdout.close()
    process.wait(timeout=60)
    assert (project.path / "out.dver").exists()


def test_odd_names(project: Project) -> None:
    name = os.fsdecode(b"sp ace\n\xff.bin")
    (project.path / name).write_bytes(b"in")
    code = "import sys; open(sys.argv[2], 'wb').write(open(sys.argv[1], 'rb').read())"
    done = project.dver(
        "run", "--json", "-d", name, "-o", "a:b", "--", PYTHON, "-c", code, name, "a:b", code=4
    )
    assert done.json["error"]["paths"] == ["a"]
    (project.path / "a:b").write_bytes(b"")
    done = project.dver(
        "run", "--json", "-d", name, "-o", "a:b", "--", PYTHON, "-c", code, name, "a:b"
    )
    value = recorded(project, done)
    assert value.inputs[0].path == name
    assert value.inputs[0].oid == oid_of(b"in")
    assert value.outputs[0].path == "a:b"


def test_from_a_sub_directory(project: Project) -> None:
    (project.path / "sub").mkdir()
    code = "import os; open('out', 'w').write(os.path.basename(os.getcwd()))"
    done = project.dver("run", "--json", "-d", "../data", "-o", "out", "--", PYTHON, "-c", code,
                        cwd=project.path / "sub")  # fmt: skip
    result = done.json["result"]
    assert [one["path"] for one in result["outputs"]] == ["out"]
    value = record.decode((project.path / "sub" / result["file"]).read_bytes())
    assert value.command is not None
    assert value.command.cwd == "sub"
    assert [one.path for one in value.outputs] == ["sub/out"]
    assert (project.path / "sub/out").read_text() == "sub"


def test_a_push_sends_records_and_what_they_need(project: Project, tmp_path: Path) -> None:
    project.write("data/rows.csv", "5\n")
    value = recorded(project, project.train())
    project.dver("remote", "add", "origin", str(tmp_path / "remote"))
    project.commit()
    project.dver("push", "-q")
    # Only the record's tree names this version of the data.
    from dver.transfer.fetch import fetch
    from dver.transfer.wants import Want

    repo = Repo.open(project.path)
    try:
        for name in ("packs", "index"):
            import shutil

            shutil.rmtree(project.path / ".git/dver" / name)
        repo.store.refresh()
        assert not is_whole(repo.store, value.keep.oid)
        remote = repo.open_remote(None, write=False)
        want = Want("tree", value.keep.oid, value.keep.size, "record", (), "")
        from dver.base.reporter import SILENT

        fetch(repo.store, remote, [want], reporter=SILENT)
        assert is_whole(repo.store, value.keep.oid)
    finally:
        repo.close()
    done = project.dver("push", "--json")
    assert done.result["objects"] == 0


def test_ids_are_what_b3sum_prints(project: Project) -> None:
    result = project.train().json["result"]
    data = (project.path / result["file"]).read_bytes()
    assert parse_oid(result["record"]) == oid_of(data)


def test_modules_that_are_imported_are_seen(project: Project) -> None:
    project.write("lib/__init__.py", "")
    project.write("lib/scaling.py", "RATE = 2\n")
    project.write("secret_rates.py", "RATE = 3\n")
    project.write(".gitignore", "/data\n/secret_rates.py\n__pycache__/\n")
    project.write(
        "train.py",
        "import secret_rates\nfrom lib import scaling\n"
        "open('model.json', 'w').write(str(scaling.RATE * secret_rates.RATE))\n"
        "open('metrics.json', 'w').write('{}')\n",
    )
    project.commit("modules")
    for _ in range(2):  # the second time they are compiled already
        result = project.train().json["result"]
        value = record.decode((project.path / result["file"]).read_bytes())
        assert value.code.used == ("lib/__init__.py", "lib/scaling.py", "train.py")
        assert result["reads"] == ["secret_rates.py"]


def test_status_names_records_that_a_commit_leaves_out(project: Project) -> None:
    project.train()
    project.git.git("commit", "-q", "-a", "-m", "new files are left out")
    assert project.dver("status", "--json").result["records"] == 1
    told = project.dver("status").stdout
    assert "Records of runs that git does not have:\n  (use 'git add .dver/records'" in told
    assert "Records" not in project.dver("status", "model.json").stdout
    project.git.git("add", ".dver/records")
    assert "Records" not in project.dver("status").stdout
