"""Imports from other repositories: what comes, and what is noted."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from dver.base.errors import (
    ConfigError,
    DverError,
    MissingContentError,
    NotFoundError,
    RefusedError,
    RemoteError,
    UsageError,
)
from dver.base.oid import Oid, format_oid
from dver.base.reporter import SILENT
from dver.formats import origin as origins
from dver.formats import pointer as pointers
from dver.formats.origin import Origin
from dver.ops.data.add import AddOptions, add
from dver.ops.data.checkout import CheckoutOptions, checkout
from dver.ops.data.mv import MvOptions, mv
from dver.ops.sharing.sourcerepo import Access
from tests.imports.conftest import TRAIN
from tests.imports.steps import bring, fresh_clone, move, origin, pointer_text, pulled, state
from tests.support.datarepo import DataRepo


def test_a_tracked_directory_comes_with_its_origin(here: DataRepo, upstream: DataRepo) -> None:
    result = bring(here, upstream.path, "train")
    commit = upstream.git("rev-parse", "HEAD")
    url = f"file://{upstream.path}"
    assert (result.kind, result.files, result.path, result.downloaded) == ("tree", 3, "train", True)
    assert (here.path / "train/a.csv").read_text() == "x,y\n1,2\n"
    assert os.access(here.path / "train/run", os.X_OK)
    assert (here.path / "train/void").is_dir()
    pointer = pointers.decode(pointer_text(here, "train"))
    assert pointer == pointers.decode(pointer_text(upstream, "train"))
    assert origin(here, "train") == Origin(
        repository=url, path=b"train", commit=commit, oid=pointer.oid
    )
    assert result.origin.repository == url
    assert result.origin.commit == commit
    assert here.git("check-ignore", "train") == "train"
    assert state(here, "train") == "new unchanged here"


def test_parts_plain_files_tags_and_other_places(here: DataRepo, upstream: DataRepo) -> None:
    """Whatever is at a path: inside a tracked directory, a file of git's, a directory of git's."""
    upstream.version("two", train=TRAIN | {"a.csv": "z\n"})
    source = str(upstream.path)
    assert bring(here, source, "train/a.csv", rev="v1", output="in.csv").path == "in.csv"
    assert (here.path / "in.csv").read_text() == "x,y\n1,2\n"
    assert origin(here, "in.csv").rev == "v1"
    bring(here, source, "train/sub")
    assert (here.path / "sub/c").read_text() == "333"
    bring(here, source, "plain/tool.sh")
    assert os.access(here.path / "tool.sh", os.X_OK)
    (here.path / "deep").mkdir()
    assert bring(here, f"../{upstream.path.name}", "plain", output="deep/").path == "deep/plain"
    assert (here.path / "deep/plain/readme.txt").read_text() == "by git"
    assert bring(here, source, "model.dver", output="m", below="").path == "m"
    assert origin(here, "m").path == b"model"


def test_content_that_only_their_remote_has(
    here: DataRepo, upstream: DataRepo, tmp_path: Path
) -> None:
    """A clone by URL brings pointers; content comes from the remote of the other project."""
    upstream.forget_store()
    bare = tmp_path / "served.git"
    upstream.git("clone", "-q", "--bare", str(upstream.path), str(bare))
    bring(here, f"file://{bare}", "train")
    assert (here.path / "train/sub/c").read_text() == "333"
    assert origin(here, "train").repository == f"file://{bare}"


def test_another_remote_and_settings_of_ones_own(
    here: DataRepo, upstream: DataRepo, tmp_path: Path
) -> None:
    """What the other project says of its remote is overruled, by URL, by name and by setting."""
    upstream.forget_store()
    shutil.move(tmp_path / "their-remote", tmp_path / "moved")
    with pytest.raises(DverError):
        bring(here, upstream.path, "model")
    assert not (here.path / "model.dver").exists()
    moved = str(tmp_path / "moved")
    bring(here, upstream.path, "model", access=Access(remote_url=moved))
    assert (here.path / "model").read_text() == "weights 1"
    settings = (("remote.spare.url", moved),)
    here.forget_store()
    bring(here, upstream.path, "train", access=Access("spare", settings=settings), output="t")
    assert (here.path / "t/sub/c").read_text() == "333"


def test_what_is_not_there_or_makes_no_sense(here: DataRepo, upstream: DataRepo) -> None:
    source = str(upstream.path)
    cases: list[tuple[type[DverError], str, dict[str, object]]] = [
        (NotFoundError, "there is no nothing", {"path": "nothing"}),
        (NotFoundError, "v9", {"path": "train", "rev": "v9"}),
        (UsageError, "no path in a repository", {"path": "../train"}),
        (UsageError, "no path in a repository", {"path": "/etc/passwd"}),
        (UsageError, "no path in a repository", {"path": "."}),
        (UsageError, "endpoint", {"path": "train", "endpoint": "http://x"}),
    ]
    for error, said, options in cases:
        with pytest.raises(error, match=said):
            bring(here, source, **options)
    with pytest.raises(NotFoundError):
        bring(here, source, "train", rev="-rf")
    for url in ("https://me:secret@example.com/r", "ext::sh -c id", "-upload-pack=id"):
        with pytest.raises(UsageError) as caught:
            bring(here, url, "train")
        assert "secret" not in str(caught.value)
    with pytest.raises(RemoteError):
        bring(here, f"file://{upstream.path}-not", "train")
    assert here.git("status", "--porcelain") == ""


def test_nothing_that_is_there_is_overwritten(here: DataRepo, upstream: DataRepo) -> None:
    here.write("train", "mine")
    with pytest.raises(RefusedError, match="exists already"):
        bring(here, upstream.path, "train")
    (here.path / "dir").mkdir()
    with pytest.raises(RefusedError, match="exists already"):
        bring(here, upstream.path, "train", output="dir")
    here.version("data", d={"x": "1"})
    with pytest.raises(RefusedError, match="lies in the tracked directory"):
        bring(here, upstream.path, "train", output="d/train")
    with pytest.raises(RefusedError, match="tracked already"):
        bring(here, upstream.path, "train", output="d")
    assert (here.path / "train").read_text() == "mine"


def test_links_stubs_and_data_among_code_are_refused(here: DataRepo, upstream: DataRepo) -> None:
    os.symlink("/etc/passwd", upstream.path / "link")
    upstream.write("big", "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")
    upstream.write("mixed/code.py", "1")
    upstream.version("more", **{"mixed/data": "2"})
    for path, said in (("link", "symlink"), ("big", "git-lfs"), ("mixed", "holds some")):
        with pytest.raises(RefusedError, match=said):
            bring(here, upstream.path, path)


def test_origins_stay_with_the_pointer(here: DataRepo, upstream: DataRepo) -> None:
    """Recording, renaming and going back in time keep what the pointer says of its origin."""
    bring(here, upstream.path, "model")
    first = here.commit("import")
    upstream.version("two", model="weights 2")
    move(here, "model")
    here.commit("update")
    second = origin(here, "model")
    repo = here.repo()
    checkout(repo, CheckoutOptions(rev=first, paths=("model",)), SILENT)
    repo.close()
    assert origin(here, "model").commit != second.commit
    assert here.git("diff", first, "--", "model.dver") == ""
    repo = here.repo()
    mv(repo, MvOptions(("model",), "renamed"), SILENT)
    repo.close()
    assert origin(here, "renamed").path == b"model"


def test_no_download_writes_the_pointer_and_pull_brings_it(
    here: DataRepo, upstream: DataRepo
) -> None:
    result = bring(here, upstream.path, "train", download=False)
    assert result.oid == format_oid(pointers.decode(pointer_text(upstream, "train")).oid)
    assert not (here.path / "train").exists()
    assert state(here, "train") == "new absent missing"
    pulled(here)
    assert (here.path / "train/sub/c").read_text() == "333"
    assert state(here, "train") == "new unchanged here"


def test_a_fresh_clone_asks_no_source_by_itself(
    here: DataRepo, upstream: DataRepo, tmp_path: Path
) -> None:
    """Who can write a pointer can name any place: only the user's word opens the way there."""
    bring(here, upstream.path, "model", download=False)
    here.commit("import")
    clone = fresh_clone(here, tmp_path)
    shutil.move(upstream.path, tmp_path / "away")
    assert state(clone, "model") == "unchanged absent missing"
    with pytest.raises(ConfigError, match="agreed"):
        move(clone, all=True, check=True)
    with pytest.raises(MissingContentError) as missing:
        pulled(clone)
    assert "dver pull --trust model" in str(missing.value.hint)
    shutil.move(tmp_path / "away", upstream.path)
    with pytest.raises(ConfigError) as caught:
        move(clone, "model")
    assert "--trust model" in str(caught.value.hint)
    pulled(clone, trust=True)
    assert (clone.path / "model").read_text() == "weights 1"
    assert not move(clone, all=True, check=True).has_moved


def test_the_source_is_not_needed_once_it_was_pushed(
    here: DataRepo, upstream: DataRepo, tmp_path: Path
) -> None:
    bring(here, upstream.path, "train")
    here.commit("import")
    here.push()
    clone = fresh_clone(here, tmp_path)
    shutil.rmtree(upstream.path)
    shutil.rmtree(tmp_path / "their-remote")
    pulled(clone)
    assert (clone.path / "train/sub/c").read_text() == "333"


def test_only_the_imported_version_comes_from_the_source(
    here: DataRepo, upstream: DataRepo
) -> None:
    bring(here, upstream.path, "model", download=False)
    data = pointer_text(here, "model")
    real = pointers.decode(data)
    fake = real._replace(oid=Oid(b"\x05" * 32))
    lines = origins.encode(replace(origin(here, "model"), oid=fake.oid))
    (here.path / "model.dver").write_bytes(origins.attach(pointers.encode(fake), lines))
    with pytest.raises(MissingContentError):
        pulled(here)
    assert not (here.path / "model").exists()


def test_a_broken_origin_breaks_nothing_else(here: DataRepo, upstream: DataRepo) -> None:
    bring(here, upstream.path, "model")
    data = pointer_text(here, "model").replace(b"origin: 1", b"origin: 7")
    (here.path / "model.dver").write_bytes(data)
    assert state(here, "model") == "new unchanged here"
    with pytest.raises(DverError, match="version '7'"):
        move(here, "model")
    (here.path / "model").write_text("changed")
    repo = here.repo()
    add(repo, AddOptions(("model",)), SILENT)
    repo.close()
    assert b"#: origin: 7\n" in pointer_text(here, "model")


def test_a_repository_that_has_to_be_cloned(
    here: DataRepo, upstream: DataRepo, tmp_path: Path
) -> None:
    """With a host in its URL git clones without contents, and fetches those that are read."""
    bare = tmp_path / "served.git"
    upstream.git("clone", "-q", "--bare", str(upstream.path), str(bare))
    upstream.git("-C", str(bare), "config", "uploadpack.allowFilter", "true")
    url = f"file://localhost{bare}"
    first = upstream.git("rev-parse", "v1")
    bring(here, url, "train")
    bring(here, url, "model", rev="v1", output="tagged")
    bring(here, url, "model", rev=first[:10], output="pinned")
    bring(here, url, "plain", rev="main")
    assert (here.path / "plain/readme.txt").read_text() == "by git"
    assert os.access(here.path / "plain/tool.sh", os.X_OK)
    assert {one.path: one.state for one in move(here, all=True, check=True).targets} == {
        "pinned": "pinned",
        "plain": "current",
        "tagged": "pinned",
        "train": "current",
    }
    upstream.write("plain/readme.txt", "changed")
    upstream.commit("two")
    upstream.git("push", "-q", str(bare), "HEAD:main")
    assert [one.path for one in move(here, all=True).targets if one.updated] == ["plain"]
    assert (here.path / "plain/readme.txt").read_text() == "changed"
    assert origin(here, "plain").commit == upstream.git("rev-parse", "HEAD")
    left = (here.path / ".git/dver/imports").iterdir()
    assert [one.name for one in left] == []
