"""A sample of the campaign on bad disks in the ordinary test run, and what it once found."""

from __future__ import annotations

import errno
from collections.abc import Iterator

import pytest

from tests.faults.disk import campaign, trial, user_files
from tests.faults.diskcommands import VICTIMS, Lab, prepare
from tests.faults.diskfaults import Fault, Layer
from tests.support.cli import Dver


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Lab]]:
    """The repositories, made once: each trial begins with a copy."""
    return {}


@pytest.fixture
def lab(shared: dict[str, Lab], tmp_path_factory: pytest.TempPathFactory) -> Lab:
    if not shared:
        shared["lab"] = prepare(tmp_path_factory.mktemp("disk") / "lab")
    shared["lab"].reset()
    return shared["lab"]


@pytest.mark.parametrize("name", VICTIMS)
def test_a_bad_disk_loses_nothing(lab: Lab, name: str) -> None:
    calls = 0
    for number in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO):
        # The first two befall the same calls, and so do the others.
        known = calls if number in (errno.EDQUOT, errno.EIO) else 0
        calls, codes, wrong = campaign(lab, name, number, most=1, calls=known)
        assert calls > 5
        assert not wrong, "\n".join(wrong)
        assert codes.total() == 1


def test_a_full_disk_is_told_with_the_path_of_the_file(lab: Lab) -> None:
    victim = VICTIMS["pull"]
    told = set()
    for nth in (104, 108, 112, 116, 120, 124, 128, 132):
        lab.reset()
        with Layer(Fault(errno.ENOSPC, nth, lasting=False)):
            done = Dver(victim.cwd(lab)).attempt(*victim.args)
        if done.exit_code:
            told.add(done.stderr.partition(": no space")[0].removeprefix("error: cannot write "))
    paths = {path for path in told if not path.startswith(("/", "error: "))}
    assert len(paths) > 2
    assert paths <= {f"data/{path}" for path in lab.versions["v2"]}


def test_a_directory_that_cannot_be_removed_is_told(lab: Lab) -> None:
    victim = VICTIMS["checkout"]
    victim.before(lab)
    here = Dver(lab.here)
    with Layer(Fault(errno.EIO, 0, lasting=False)) as layer:
        layer.only = "rmdir"
        layer.fault = Fault(errno.EIO, 1, lasting=True)
        done = here.attempt(*victim.args)
    assert done.exit_code == 10
    assert "could not be checked out" in done.stderr
    assert "data/v3" in done.stderr
    here(*victim.args)
    victim.done(lab)


@pytest.mark.parametrize("number", [errno.EIO, errno.EROFS])
def test_a_broken_disk_is_no_lack_of_rights(lab: Lab, number: int) -> None:
    """A collection in a remote tries first whether anything can be deleted there."""
    with Layer(Fault(number, 1, lasting=False)) as layer:
        layer.only = "unlink"
        done = Dver(lab.here).attempt(*VICTIMS["gc remote"].args)
    assert layer.hit
    assert done.exit_code == 10, done.stderr


def test_a_pack_that_cannot_be_begun_leaves_no_file(lab: Lab) -> None:
    victim = VICTIMS["pull"]
    codes = []
    for nth in range(1, 8):
        lab.reset()
        with Layer(Fault(errno.ENOSPC, nth, lasting=False)) as layer:
            layer.only = "write"
            codes.append(Dver(victim.cwd(lab)).attempt(*victim.args).exit_code)
        assert not list(lab.top.rglob(".dver-tmp-*"))
    assert codes.count(10) > 3


def test_a_layer_that_fails_nothing_changes_nothing(lab: Lab) -> None:
    with Layer(Fault(errno.EIO, 0, lasting=True)) as layer:
        Dver(lab.here)("add", "new")
    assert layer.count > 20
    assert not layer.hit


def test_what_a_fault_spoils_is_found(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """The campaign's own eyes: a command that claims to have done what it has not is noticed."""
    before = user_files(lab)
    assert before == user_files(lab)
    (lab.here / "one.txt").write_text("spoilt")
    assert before != user_files(lab)
    monkeypatch.setattr("dver.ops.data.add.write_pointers", lambda *args: [])
    with pytest.raises(AssertionError, match="new"):
        trial(lab, VICTIMS["add"], Fault(errno.ENOSPC, 1, lasting=False))
