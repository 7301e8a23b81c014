"""What was meant by a word that is none: commands, options, paths, revisions, remotes, settings."""

from __future__ import annotations

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
    assert told[-1] == f"hint: see 'dver {command} --help'"


@pytest.mark.parametrize(
    ("line", "code", "meant"),
    [
        ("stauts", 2, "'status'"),
        ("remote lst", 2, "'list'"),
        ("push --dryrun", 2, "--dry-run"),
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
