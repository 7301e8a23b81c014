"""Names that a file system takes for one, or cannot hold."""

from __future__ import annotations

import os
from functools import partial

import pytest

from dver.base.errors import RefusedError
from dver.workspace import twins
from tests.support.workbench import Workbench
from tests.workspace.checkouts import versions, wipe


def test_twins_on_a_file_system_that_folds_names(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    (pointer,) = versions(bench, {b"README": b"1", b"sub/readme": b"2", b"readme": b"3"})
    wipe(bench)
    bench.checkout(pointer)
    wipe(bench)
    monkeypatch.setattr(twins, "folds_names", lambda safe: True)
    with pytest.raises(RefusedError) as caught:
        bench.checkout(pointer)
    assert caught.value.paths == ("data/README and data/readme",)
    assert bench.read() == {}


def test_a_twin_of_a_file_that_is_there(bench: Workbench, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = versions(bench, {b"a": b"1"}, {b"a": b"1", b"A": b"2"})
    bench.checkout(first)
    monkeypatch.setattr(twins, "folds_names", lambda safe: True)
    with pytest.raises(RefusedError, match="1 pair of names is"):
        bench.checkout(second)


def test_names_that_the_system_cannot_hold(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    (pointer,) = versions(bench, {b"fine": b"1", b"sub/10:30": b"2", b"end.": b"3"})
    wipe(bench)
    on_windows = partial(twins.refuse_unfit, platform="win32")
    monkeypatch.setattr("dver.workspace.checkout.refuse_unfit", on_windows)
    with pytest.raises(RefusedError, match="Windows cannot hold 2 names") as caught:
        bench.checkout(pointer)
    assert sorted(caught.value.paths) == [
        "data/end.: it ends with a dot or a space",
        'data/sub/10:30: it holds one of < > : " | ? * \\ or a control character',
    ]
    assert bench.read() == {}


def test_targets_and_directories_that_would_become_one(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    cafe = ["caf\u00e9/a".encode(), "cafe\u0301/b".encode()]
    apart = [b"Data/a", b"data/b", b"x/Data", *cafe]
    twins.refuse_twin_targets(apart, bench.root)
    monkeypatch.setattr(twins, "folds_names", lambda safe: True)
    with pytest.raises(RefusedError, match="2 pairs of names are one and the same") as caught:
        twins.refuse_twin_targets(apart, bench.root)
    assert "Data and data" in caught.value.paths
    twins.refuse_twin_targets([b"data/a", b"data/b", b"x/Data"], bench.root)


def test_this_file_system_is_asked(bench: Workbench) -> None:
    from dver.workspace.safedir import SafeRoot

    with SafeRoot(bench.root) as safe:
        folds = twins.folds_names(safe)
    bench.write({b"CaSe": b""}, under=b"")
    assert folds == os.path.exists(bench.path(b"cAsE"))
    assert os.listdir(bench.root) == [b"CaSe"]
