"""Records, and signatures of them, that another clone pushed and whose commits are not here."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.lineage.conftest import Project
from tests.support.cli import Dver
from tests.support.gitrepo import GitRepo


class Pair:
    """A clone that trained and pushed to the remote but not to git, and one that shares both."""

    def __init__(self, project: Project, tmp_path: Path) -> None:
        project.dver("remote", "add", "-q", "origin", str(tmp_path / "remote"))
        project.commit("remote")
        project.dver("push", "-q")
        self.project = project
        self.here = GitRepo.clone(project.path, tmp_path / "clone")
        self.dver = Dver(self.here.path)
        project.git.git("checkout", "-qb", "never-pushed")
        self.record = project.train().json["result"]["record"]
        project.commit("model")


@pytest.fixture
def pair(project: Project, tmp_path: Path) -> Pair:
    return Pair(project, tmp_path)


def test_what_others_made_with_this_data(pair: Pair) -> None:
    pair.project.dver("push", "-q")
    # By default nobody is asked while there is an answer, and here there is none.
    found = pair.dver("lineage", "--json", "--down", "data").result
    assert [(one["id"], one["remote"]) for one in found["records"]] == [(pair.record, "origin")]
    # It is known from now on, also without the remote.
    (pair.here.path.parent / "remote").rename(pair.here.path.parent / "away")
    assert pair.dver("lineage", "--json", pair.record[:10]).result["records"]
    assert "model.json" in pair.dver("lineage", "--down", "data").stdout


def test_a_named_remote_is_asked_though_there_is_an_answer(pair: Pair) -> None:
    pair.project.dver("push", "-q")
    pair.dver("pull", "-q")
    here = pair.dver(
        "run", "--json", "-d", "data", "-o", "other.txt", "--", "cp", "data/rows.csv", "other.txt"
    ).result["record"]
    asked = ("lineage", "--json", "--down", "data")
    assert [one["id"] for one in pair.dver(*asked).result["records"]] == [here]
    both = {one["id"] for one in pair.dver(*asked, "-r", "origin").result["records"]}
    assert both == {here, pair.record}
    (pair.here.path.parent / "remote").rename(pair.here.path.parent / "away")
    pair.dver(*asked, "-r", "nowhere", code=4)


def test_a_misspelled_path_asks_nobody(pair: Pair) -> None:
    pair.dver("pull", "-q")
    (pair.here.path.parent / "remote").rename(pair.here.path.parent / "away")
    done = pair.dver("lineage", "dta", code=4)
    assert "remote" not in done.stderr
    done = pair.dver("lineage", "data", code=4)
    assert "could not be asked" in done.stderr


def test_such_a_record_is_made_again_here(pair: Pair) -> None:
    pair.project.dver("push", "-q")
    result = pair.dver("reproduce", "--json", "--no-record", pair.record).result
    assert (result["record"], result["grade"]) == (pair.record, "exact")


def signed(project: Project, tmp_path: Path, name: str, record: str) -> str:
    key = tmp_path / name
    if not key.exists():
        subprocess.run(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", str(key)], check=True
        )
    result = project.dver("sign", "--json", "--ssh-key", str(key), record).result
    text: str = result["key"]
    return text


def test_signatures_travel_with_it(pair: Pair, tmp_path: Path) -> None:
    project = pair.project
    first = signed(project, tmp_path, "ada", pair.record)
    project.commit("signed")
    project.dver("push", "-q")
    project.dver("gc", "-q")
    second = signed(project, tmp_path, "bob", pair.record)
    project.dver("push", "-q")  # not committed yet
    done = pair.dver("verify", "--json", pair.record, code=1).json["result"]
    assert (done["verdict"], done["file"]) == ("untrusted", None)
    assert {one["key"] for one in done["signatures"]} == {first, second}


def test_foreign_bytes_in_the_place_of_a_record_count_for_nothing(
    pair: Pair, tmp_path: Path
) -> None:
    project = pair.project
    name = next(iter((project.path / ".dver/records").rglob("*.json")))
    forged = name.read_text().replace('"train"', '"fraud"')
    name.write_text(forged)
    project.commit("forged")
    project.dver("push", "-q")
    done = pair.dver("lineage", "--down", "data", code=4)
    assert "no record says that anything was made with data" in done.stderr
