"""What was meant by a word that is none: commands, options, paths, revisions, remotes, settings."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.support.cli import Dver
from tests.support.gitrepo import GitRepo


@pytest.fixture(scope="module")
def used(tmp_path_factory: pytest.TempPathFactory) -> Dver:
    """A repository with one of each."""
    from tests.support.gitrepo import hermetic_environment

    base = tmp_path_factory.mktemp("meant")
    (base / "home").mkdir()
    with hermetic_environment(base / "home"):
        repo = GitRepo.init(base / "repo")
        dver = Dver(repo.path, in_process=True)
        dver("init", "-q")
        repo.write("data/train.csv", "1")
        repo.write("model.bin", "2")
        repo.write("dver.yaml", "steps:\n  prepare:\n    command: 'true'\n    outs: [out]\n")
        dver("add", "-q", "data/train.csv", "model.bin")
        dver("remote", "add", "-q", "origin", "../remote")
        repo.commit("one")
        repo.git("branch", "experiment")
    return dver


@pytest.mark.parametrize(
    ("line", "command"),
    [
        ("log --rev", "log"),
        ("push -r", "push"),
        ("remote add x", "remote add"),
        ("config get a b", "config get"),
    ],
)
def test_wrong_usage_leads_to_the_help(used: Dver, line: str, command: str) -> None:
    told = used(*line.split(), code=2).stderr.splitlines()
    assert told[-1].startswith("hint: ") and told[-1].endswith(f"see 'dver {command} --help'")


@pytest.mark.parametrize(
    ("line", "code", "meant"),
    [
        ("stauts", 2, "'status'"),
        ("remote lst", 2, "'list'"),
        ("push --dryrun", 2, "--dry-run"),
        ("run -n train -- true", 2, "--name"),
        ("log model.bni", 4, "model.bin"),
        ("ls data/trian.csv", 4, "data/train.csv"),
        ("add modle.bin", 4, "model.bin"),
        ("checkout experimnet", 4, "experiment"),
        ("checkout modl.bin", 4, "model.bin"),
        ("diff main expriment data/train.csv", 4, None),
        ("diff experment", 4, "experiment"),
        ("diff data/trein.csv", 4, "data/train.csv"),
        ("ls --rev experimant", 4, "'experiment'"),
        ("report experimen", 4, "experiment"),
        ("push -r orgin", 4, "'origin'"),
        ("config get core.job", 11, "'core.jobs'"),
        ("remote set origin regoin eu", 11, "'remote.origin.region'"),
        ("repro prepar", 4, "'prepare'"),
        ("help pointer", 2, "'pointers'"),
    ],
)
def test_the_nearest_is_offered(used: Dver, line: str, code: int, meant: str | None) -> None:
    told = used(*line.split(), code=code).stderr.splitlines()
    assert told[0].startswith("error: ")
    if meant is not None:
        assert told[-1].startswith(f"hint: did you mean {meant}")


@pytest.mark.parametrize(
    ("line", "code", "meant"),
    [
        ("ls model.bin@experiment", 4, "'--rev experiment model.bin' names that version"),
        ("cat model.bin@experiment", 4, "'--rev experiment model.bin' names that version"),
        ("du data@experiment", 4, "'--rev experiment data' names that version"),
        ("ls model.bin@nothing", 4, "did you mean model.bin?"),
        ("reproduce model.bin --rev main", 2, "name the version with the path, as PATH@REV"),
        ("lineage --rev main model.bin", 2, "name the version with the path, as PATH@REV"),
    ],
)
def test_a_version_named_in_the_way_of_another_command(
    used: Dver, line: str, code: int, meant: str
) -> None:
    told = used(*line.split(), code=code).stderr.splitlines()
    assert told[-1] == f"hint: {meant}"


def test_a_version_typed_after_a_path_is_led_to_the_option(dver: Dver, git_repo: GitRepo) -> None:
    git_repo.write("data", "1")
    dver("add", "-q", "data")
    git_repo.commit()
    git_repo.git("tag", "v1")
    assert "hint: dver log --rev v1 data\n" in dver("log", "data@v1", code=4).stderr
    assert "hint: dver log --rev v1\n" in dver("log", "v1", code=4).stderr
    assert "hint: '--rev v1' names that version\n" in dver("ls", "v1", code=4).stderr
    hint = "hint: the revision stands before the path: dver diff v1 data\n"
    assert hint in dver("diff", "data@v1", code=4).stderr


def test_names_like_options_can_be_pasted(dver: Dver, git_repo: GitRepo) -> None:
    git_repo.write("-rf", "1")
    assert dver("add", "--", "-rf").stdout.startswith("new        ./-rf (1 B)\n")
    git_repo.commit()
    git_repo.write("-rf", "2")
    (git_repo.path / "-rf.dver").write_text("broken")
    hint = "'git log -- ./-rf.dver' lists its versions"
    assert hint in dver("checkout", "--", "-rf", code=7).stderr
    git_repo.git("checkout", "--", "./-rf.dver")
    assert dver("checkout", "--force", "./-rf").stdout.startswith("updated    ./-rf")


def test_a_missing_argument_shows_the_usage(dver: Dver) -> None:
    done = dver("get", code=2)
    assert done.stderr == (
        "error: missing argument '[REPO_URL] PATH'\n"
        "hint: usage: dver get [OPTIONS] [REPO_URL] PATH; see 'dver get --help'\n"
    )


def test_new_targets_that_differ_by_case_are_warned_of(dver: Dver, git_repo: GitRepo) -> None:
    for name in ("Foo", "foo", "bar"):
        git_repo.write(f"d/{name}", name)
    warning = "warning: d/Foo and d/foo are one file on some systems (macOS, Windows)\n"
    assert warning in dver("add", "d/Foo", "d/foo").stderr
    assert dver("add", "d/bar").stderr == ""
    git_repo.write("d/Bar", "plain")
    assert dver("add", "-q", "d/bar").stderr == ""
    git_repo.write("d/FOO", "3")
    assert "d/FOO" in dver("add", "d/FOO").stderr


def test_log_of_everything(dver: Dver, git_repo: GitRepo) -> None:
    git_repo.commit("set up")
    assert dver("log").stdout == ""
    for name in ("one", "two"):
        git_repo.write(f"d/{name}", name)
        dver("add", "-q", f"d/{name}")
        git_repo.commit(f"add {name}")
    done = dver("log", "--oneline", cwd=git_repo.path / "d").stdout.splitlines()
    assert [line.split()[2:4] for line in done] == [["added", "two"], ["added", "one"]]
    assert dver("log", "-n", "1").stdout.endswith("added: d/two, 3 B, " + done[0].split()[4] + "\n")
    result = dver("log", "--json").result
    assert (result["path"], [one["path"] for one in result["entries"]]) == (
        ".",
        ["d/two", "d/one"],
    )


def test_a_part_of_a_revision_is_told(dver: Dver, git_repo: GitRepo) -> None:
    for content in ("1", "22"):
        for name in ("a", "b"):
            git_repo.write(name, content + name)
        dver("add", "-q", "a", "b")
        git_repo.commit(content)
    dver("remote", "add", "-q", "origin", "../store")
    dver("push", "-q", "--all")
    shutil.rmtree(git_repo.path / ".git/dver")
    dver("fetch", "-q")
    dver("fetch", "-q", "--rev", "HEAD~1", "a")
    told = dver("checkout", "HEAD~1", code=6).stderr
    assert "warning: only a part is at HEAD~1 now, data and pointers: a\n" in told
    assert "hint: the same command does the rest once its content is here\n" in told
    assert "hint: dver fetch --rev HEAD~1 b\n" in told


def test_a_remote_given_by_its_path_is_as_seen_from_here(
    dver: Dver, git_repo: GitRepo, tmp_path: Path
) -> None:
    git_repo.write("data", "1")
    dver("add", "-q", "data")
    dver("remote", "add", "-q", "nas", str(tmp_path / "deep/store"))
    git_repo.commit()
    dver("push", "-q", "-r", "nas")
    shutil.rmtree(git_repo.path / ".git/dver")
    here = Dver(tmp_path / "deep/here")
    here.cwd.mkdir()
    here("get", str(git_repo.path), "data", "--remote-url", "../store")
    assert (here.cwd / "data").read_text() == "1"
    other = GitRepo.init(tmp_path / "deep/other")
    there = Dver(other.path)
    there("init", "-q")
    there("import", str(git_repo.path), "data", "--remote-url", "../store")
    assert (other.path / "data").read_text() == "1"


def test_a_purge_is_agreed_to_in_a_word(
    dver: Dver, git_repo: GitRepo, monkeypatch: pytest.MonkeyPatch
) -> None:
    git_repo.write("data", "secret")
    dver("add", "-q", "data")
    monkeypatch.setattr("tests.support.cli._Stream.isatty", lambda _self: True)
    monkeypatch.setenv("NO_COLOR", "1")
    done = dver("purge", "data", stdin=b"no\n", code=5, tty=True)
    assert "remove it for good? type 'yes' to go on: " in done.stderr
    assert "nothing was purged" in done.stderr
    dver("purge", "data", stdin=b"yes\n", tty=True)
    assert "purged" in dver("status").stdout


def test_what_a_run_made_can_be_staged_as_told(dver: Dver, git_repo: GitRepo) -> None:
    """Also the metrics, which git itself keeps; records by their directory."""
    git_repo.commit("set up")
    done = dver(
        *("run", "-o", "out", "-m", "m.json", "--"),
        *("sh", "-c", """echo 1 > out; echo '{"acc": 0.5}' > m.json"""),
    )
    line = "to stage the pointers, run: git add out.dver .gitignore m.json .dver/records\n"
    assert done.stdout.endswith(line)
    git_repo.git("add", *line.split()[7:])
    assert git_repo.git("status", "--short").count("\n") == 3
    assert dver("metrics", "show").stdout == (
        "made by     metric  value\nm.json out  acc     0.5\n"
    )
