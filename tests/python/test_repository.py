"""``dver.Repo``: every verb of the command line, with the results of the operations."""

from __future__ import annotations

import dataclasses
import inspect
import pickle
from pathlib import Path

import pytest

import dver
from dver.base.errors import DverError, NotFoundError, RepositoryError
from dver.base.reporter import Reporter
from dver.cli.root import root
from dver.ops.data import add, checkout, diff, mv, rm, status
from dver.ops.githooks import resolve
from dver.ops.looking import du, get, log, ls, whereis
from dver.ops.making import repro, reproduce, runplan, runs, sign
from dver.ops.sharing import fetch, importing, pull, push, update
from dver.ops.upkeep import drop, fsck, purge
from tests.python.conftest import Project
from tests.support.gitrepo import GitRepo

#: Commands that are about a terminal, or are called by git, and what does the same.
NOT_FOR_PROGRAMS = {"completion", "demo", "help", "hooks run"}
#: Commands that have no method yet.
NOT_YET: set[str] = set()
NAMES = {"import": "import_"}


def commands() -> list[str]:
    """Return every command, those of groups with their group's name."""
    found = []
    context = root.make_context("dver", [], resilient_parsing=True)
    for name in root.list_commands(context):
        command = root.get_command(context, name)
        below = getattr(command, "list_commands", None)
        found += [f"{name} {inner}" for inner in below(context)] if below else [name]
    return found


def test_every_command_has_a_method() -> None:
    repo, lacking = dver.Repo("."), []
    for name in commands():
        at: object = repo
        for word in name.split():
            at = getattr(at, NAMES.get(word, word).replace("-", "_"), None)
        if not callable(at) and name not in NOT_FOR_PROGRAMS | NOT_YET:
            lacking.append(name)
    assert lacking == [], "give dver.Repo a method (dver/python/verbs), or name them in NOT_YET"


def test_every_method_says_what_it_does() -> None:
    bare = [
        name
        for name, value in inspect.getmembers(dver.Repo)
        if not name.startswith("_") and not inspect.getdoc(value)
    ]
    assert bare == []


@pytest.mark.parametrize(
    ("method", "options", "otherwise"),
    [
        ("add", add.AddOptions, {"paths_from"}),
        ("checkout", checkout.CheckoutOptions, set()),
        ("diff", diff.DiffOptions, {"revisions"}),
        ("drop", drop.DropOptions, set()),
        ("du", du.DuOptions, set()),
        ("fetch", fetch.FetchOptions, set()),
        ("fsck", fsck.FsckOptions, set()),
        ("get", get.GetOptions, {"settings"}),
        ("import_", importing.ImportOptions, set()),
        ("log", log.LogOptions, set()),
        ("ls", ls.LsOptions, set()),
        ("mv", mv.MvOptions, set()),
        ("pull", pull.PullOptions, set()),
        ("purge", purge.PurgeOptions, set()),
        ("push", push.PushOptions, {"commits"}),
        ("repro", repro.ReproOptions, set()),
        ("reproduce", reproduce.ReproduceOptions, set()),
        ("resolve", resolve.ResolveOptions, set()),
        ("rm", rm.RmOptions, set()),
        ("run", runplan.RunOptions, {"apart"}),
        ("runs", runs.RunsOptions, set()),
        ("sign", sign.SignOptions, set()),
        ("status", status.StatusOptions, set()),
        ("update", update.UpdateOptions, set()),
        ("whereis", whereis.WhereisOptions, set()),
    ],
)
def test_a_method_takes_what_the_command_does(
    method: str, options: type, otherwise: set[str]
) -> None:
    """``otherwise``: options that a program has another way to give, or no use for."""
    taken = inspect.signature(getattr(dver.Repo, method)).parameters
    fields = {field.name for field in dataclasses.fields(options)}
    assert fields - otherwise <= taken.keys()
    for field in dataclasses.fields(options):
        given = taken.get(field.name)
        has_default = given is not None and given.default is not inspect.Parameter.empty
        if method == "purge":  # nobody is asked here
            continue
        if has_default and field.default is not dataclasses.MISSING and field.name != "access":
            assert given is not None and given.default == field.default, field.name


def test_a_working_day(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    git = GitRepo.init(tmp_path / "repo")
    repo = dver.Repo(git.path)
    assert repo.init().created
    (git.path / "data.csv").write_text("a\n")
    (git.path / "d").mkdir()
    (git.path / "d/x").write_text("x")
    added = repo.add("data.csv", Path("d"))
    assert [one.path for one in added.targets] == ["d", "data.csv"]
    git.commit("one")
    (git.path / "data.csv").write_text("b\n")
    assert repo.diff().changed
    assert [one.path for one in repo.status("data.csv").targets] == ["data.csv"]
    repo.checkout(None, "data.csv", force=True)
    assert (git.path / "data.csv").read_text() == "a\n"
    assert repo.remote.add("nas", str(tmp_path / "nas")).changed
    assert repo.push().objects > 0
    assert [one.name for one in repo.remote.list().remotes] == ["nas"]
    assert repo.fetch(dry_run=True).objects == 0
    assert repo.pull().checkout is not None
    assert [one.path for one in repo.ls(recursive=True).entries] == ["d/x", "data.csv"]
    assert repo.cat("d/x", rev="HEAD") == repo.read("d/x", rev="HEAD") == b"x"
    with repo.open("data.csv", rev="HEAD") as file:
        assert file.read() == "a\n"
    assert Path(repo.path("data.csv", rev="HEAD")).read_text() == "a\n"
    assert repo.filesystem("HEAD").cat_file("d/x") == b"x"
    assert len(repo.log("data.csv").entries) == 1
    assert repo.get("d/x", tmp_path / "out").size == 1
    assert repo.du().total.size == 3
    assert repo.whereis("data.csv").path == "data.csv"
    made = repo.run("sh", "-c", "cat data.csv > copy", deps=("data.csv",), outs=("copy",))
    assert made.exit == 0
    assert repo.runs().total == 1
    assert repo.lineage("copy").records
    assert repo.mv("data.csv", destination="moved.csv").targets
    assert repo.rm("copy", force=True).targets
    assert repo.fsck().is_sound
    assert repo.gc(dry_run=True).versions > 0
    assert repo.config.set("core.jobs", "3").changed
    assert repo.config.get("core.jobs").value == "3"
    assert dver.Repo(git.path, settings={"core.jobs": "7"}).config.get("core.jobs").value == "7"
    assert repo.doctor(offline=True).checks
    assert capfd.readouterr() == ("", "")


def test_errors_are_raised_with_what_to_do_next(project: Project, tmp_path: Path) -> None:
    repo = dver.Repo()
    with pytest.raises(NotFoundError) as caught:
        repo.checkout("nope")
    assert caught.value.exit_code == 4
    assert caught.value.__notes__
    with pytest.raises(RepositoryError, match="git repository"):
        dver.Repo(tmp_path).status()
    with pytest.raises(DverError):
        dver.Repo(GitRepo.init(tmp_path / "new").path).add("x")


def test_it_stands_in_a_directory_and_travels(
    project: Project, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    repo = dver.Repo("data")
    monkeypatch.chdir(tmp_path)
    assert repo.root == project.path
    sent = pickle.loads(pickle.dumps(repo))
    assert sent.cat("a.csv", rev="v1") == b"x,y\n1,one\n"
    assert repr(repo) == f"dver.Repo({str(project.path / 'data')!r})"


def test_a_reporter_hears_warnings(project: Project) -> None:
    heard = []

    class Ears(Reporter):
        def task(self, description: str, **options: object):
            heard.append(description)
            return super().task(description, **options)

    dver.Repo(reporter=Ears()).fsck(full=True)
    assert heard
