"""``get``: any version to anywhere, from this repository and from others."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from dver.base import fsio
from dver.base.errors import (
    ConfigError,
    CorruptError,
    DverError,
    MissingContentError,
    NotFoundError,
    RefusedError,
    RemoteError,
    UsageError,
)
from dver.base.reporter import SILENT
from dver.ops.looking.get import GetOptions, GetResult, get
from dver.repo import Repo
from tests.support.datarepo import DataRepo
from tests.support.gitrepo import GitRepo
from tests.support.trees import Nested

TREE: Nested = {"a": "1", "run": "#!/bin/sh", "sub": {"c": "333"}, "void": {}}


_made: list[DataRepo] = []


@pytest.fixture
def template(tmp_path_factory: pytest.TempPathFactory) -> DataRepo:
    """Two versions, tagged v1 and v2, in the local store and pushed to a directory; made once."""
    if not _made:
        base = tmp_path_factory.mktemp("get")
        made = DataRepo.create(base / "repo")
        made.add_remote(base / "remote")
        made.version("one", d=TREE, f="file one")
        made.git("tag", "v1")
        made.version("two", d=TREE | {"a": "22"}, f="file two")
        made.git("tag", "-a", "-m", "two", "v2")
        made.push(every=True)
        _made.append(made)
    return _made[0]


@pytest.fixture
def data(template: DataRepo, tmp_path: Path) -> DataRepo:
    """A copy of the template; the remote is one for all."""
    shutil.copytree(template.path, tmp_path / "repo", symlinks=True)
    return DataRepo(tmp_path / "repo")


def run(data: DataRepo, path: str, output: str | None = None, **options: object) -> GetResult:
    below = str(options.pop("below", ""))
    asked = GetOptions(path, output, **options)
    repo = data.repo(below)
    try:
        return get(repo, asked, SILENT)
    finally:
        repo.close()


def elsewhere(
    monkeypatch: pytest.MonkeyPatch, where: Path, url: str, path: str, **options: object
) -> GetResult:
    where.mkdir(exist_ok=True)
    monkeypatch.chdir(where)
    return get(None, GetOptions(path, url=url, **options), SILENT)


def laid_out(path: Path) -> dict[str, str]:
    """Everything below a path: files with content and an x if executable, links, directories."""
    found = {}
    for where, names, files in os.walk(path):
        for name in [*names, *files]:
            at = Path(where, name)
            key = str(at.relative_to(path))
            if at.is_symlink():
                found[key] = f"-> {os.readlink(at)}"
            elif at.is_dir():
                found[key + "/"] = ""
            else:
                found[key] = at.read_text() + (" x" if os.access(at, os.X_OK) else "")
    return found


OLD = {"a": "1", "run": "#!/bin/sh x", "sub/": "", "sub/c": "333", "void/": ""}


def test_a_directory_of_a_revision(data: DataRepo) -> None:
    before = data.git("status", "--porcelain", "--ignored")
    result = run(data, "d", "../out", rev="v1")
    assert laid_out(data.path.parent / "out") == OLD
    assert (result.kind, result.size, result.files, result.output) == ("directory", 13, 3, "../out")
    assert result.commit == data.git("rev-parse", "v1")
    assert result.fetched_bytes == 0
    assert data.git("status", "--porcelain", "--ignored") == before
    assert not (data.path / "d").exists()


def test_files_parts_and_where_they_go(data: DataRepo, tmp_path: Path) -> None:
    run(data, "f", str(tmp_path / "one"), rev="v1")
    assert (tmp_path / "one").read_text() == "file one"
    run(data, "d/sub", str(tmp_path / "sub"))
    assert laid_out(tmp_path / "sub") == {"c": "333"}
    (tmp_path / "into").mkdir()
    assert run(data, "d/run", f"{tmp_path}/into/").output == str(tmp_path / "into" / "run")
    assert os.access(tmp_path / "into" / "run", os.X_OK)
    run(data, "f.dver", f"{tmp_path}/new/deeper/", rev="v1")
    assert (tmp_path / "new/deeper/f").read_text() == "file one"
    (data.path / "x").mkdir()
    assert run(data, "../f", below="x").output == "f"
    assert (data.path / "x/f").read_text() == "file two"
    run(data, "d/void", str(tmp_path / "void"))
    assert laid_out(tmp_path / "void") == {}
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(fsio.TEMP_PREFIX)] == []


def test_nothing_is_overwritten_without_force(data: DataRepo, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("precious")
    (tmp_path / "dir/d").mkdir(parents=True)
    (tmp_path / "dir/d/mine").write_text("precious")
    (tmp_path / "dangling").symlink_to("nowhere")
    taken = (("f", "out"), ("d", "out"), ("d", "dir"), ("d", "dir/"), ("f", "dangling"))
    for path, output in taken:
        with pytest.raises(RefusedError, match="exists already"):
            run(data, path, f"{tmp_path}/{output}")
    assert (tmp_path / "out").read_text() == "precious"
    run(data, "f", str(tmp_path / "out"), force=True)
    assert (tmp_path / "out").read_text() == "file two"
    run(data, "d", str(tmp_path / "out"), force=True, rev="v1")
    assert laid_out(tmp_path / "out") == OLD
    run(data, "d", f"{tmp_path}/dir/", force=True, rev="v1")
    assert laid_out(tmp_path / "dir/d") == OLD
    run(data, "d", str(tmp_path / "dir"), force=True, rev="v1")
    assert laid_out(tmp_path / "dir") == OLD


def test_repositories_and_where_we_stand_are_never_replaced(data: DataRepo) -> None:
    (data.path / "x").mkdir()
    assert run(data, "../f", ".", below="x").output == "./f"
    for output in ("../x", str(data.path), str(data.path.parent), "../.git/hooks"):
        with pytest.raises(RefusedError, match="cannot be written"):
            run(data, "../d", output, below="x", force=True)
    with pytest.raises(UsageError, match="no name"):
        run(data, "f", "-")
    assert (data.path / "x/f").exists()


@pytest.mark.parametrize("output", ["pipe", "sub/pipe"])
def test_what_is_neither_file_nor_directory_is_never_replaced(
    data: DataRepo, tmp_path: Path, output: str
) -> None:
    path = tmp_path / output
    path.parent.mkdir(exist_ok=True)
    os.mkfifo(path)
    for what in ("f", "d"):
        with pytest.raises(RefusedError, match="a device, a pipe or a socket"):
            run(data, what, str(path), rev="v1", force=True)
    assert path.is_fifo()


def test_what_is_missing_is_fetched_and_only_that(data: DataRepo, tmp_path: Path) -> None:
    big = os.urandom(400_000).hex()
    data.version("three", d={"big": big, "small": "s"})
    data.add_remote(tmp_path / "remote", "own")
    data.push(to="own")
    data.forget_store()
    result = run(data, "d/small", str(tmp_path / "small"), remote="own")
    assert (tmp_path / "small").read_text() == "s"
    assert 0 < result.fetched_bytes < 100_000
    assert run(data, "d/big", str(tmp_path / "big"), remote="own").fetched_bytes > 300_000
    assert (tmp_path / "big").read_text() == big
    assert run(data, "d", str(tmp_path / "d")).fetched_bytes == 0


def test_missing_everywhere_says_what_and_where(data: DataRepo, tmp_path: Path) -> None:
    pointer = data.track("lost", "nowhere", stored=False)
    with pytest.raises(MissingContentError) as caught:
        run(data, "lost", str(tmp_path / "out"))
    assert "remote" in caught.value.message
    assert any("lost" in p and pointer.oid.hex() in p for p in caught.value.paths)
    assert not (tmp_path / "out").exists()
    alone = DataRepo.create(tmp_path / "alone")
    alone.track("lost", "nowhere", stored=False)
    with pytest.raises(MissingContentError, match="local store"):
        run(alone, "lost", str(tmp_path / "out"))


def test_wrong_use(data: DataRepo, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no such revision"):
        run(data, "d", "out", rev="nope")
    with pytest.raises(NotFoundError, match="nope"):
        run(data, "nope", "out")
    with pytest.raises(NotFoundError, match="d/nope"):
        run(data, "d/nope", "out")
    with pytest.raises(NotFoundError, match="no remote"):
        data.forget_store()
        run(data, "d", "out", remote="nope")
    with pytest.raises(UsageError):
        get(None, GetOptions("d"), SILENT)


def test_damaged_content_leaves_nothing(data: DataRepo, tmp_path: Path) -> None:
    for pack in (data.path / ".git/dver/packs").rglob("*"):
        if pack.is_file():
            raw = pack.read_bytes()
            pack.chmod(0o644)
            pack.write_bytes(raw.replace(b"333", b"334"))
    with pytest.raises(CorruptError):
        run(data, "d", str(tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_from_a_local_repository_its_own_store_is_read(
    data: DataRepo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Repo, "open_remote", None)
    before = sorted(p for p in (data.path / ".git/dver").rglob("*"))
    result = elsewhere(monkeypatch, tmp_path / "here", str(data.path), "d", rev="v1")
    assert laid_out(tmp_path / "here/d") == OLD
    assert (result.output, result.fetched_bytes) == ("d", 0)
    elsewhere(monkeypatch, tmp_path / "here", "../repo", "f", output="copy")
    assert (tmp_path / "here/copy").read_text() == "file two"
    assert sorted(p for p in (data.path / ".git/dver").rglob("*")) == before


def test_from_a_local_repository_that_has_not_fetched(
    data: DataRepo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data.forget_store()
    result = elsewhere(monkeypatch, tmp_path / "here", str(data.path), "d/sub")
    assert laid_out(tmp_path / "here/sub") == {"c": "333"}
    assert result.fetched_bytes > 0
    assert not (data.path / ".git/dver/packs").exists()
    assert os.listdir(tmp_path / "here") == ["sub"]


@pytest.mark.parametrize("rev", [None, "main", "v1", "v2", "main~1", "full id"])
def test_from_a_git_url(
    data: DataRepo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rev: str | None
) -> None:
    bare = GitRepo.clone(data.path, tmp_path / "bare.git", "--bare")
    bare.git("config", "uploadpack.allowFilter", "true")
    commit = (
        data.git("rev-parse", f"{rev or 'HEAD'}^{{commit}}") if rev != "full id" else data.head()
    )
    # A URL that is no directory to us, and one to git.
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", f"url.file://{tmp_path}/.insteadOf")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", "https://example.invalid/")
    result = elsewhere(
        monkeypatch,
        tmp_path / "here",
        "https://example.invalid/bare.git",
        "d/a",
        rev=commit if rev == "full id" else rev,
        output="out",
    )
    assert result.commit == commit
    expected = "1" if rev in ("v1", "main~1") else "22"
    assert (tmp_path / "here/out").read_text() == expected
    assert os.listdir(tmp_path / "here") == ["out"]


@pytest.mark.parametrize("how", ["path", "url"])
def test_what_git_itself_tracks_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """Also of a repository that never saw dver; links and submodules are not followed."""
    made = GitRepo.init(tmp_path / "code")
    made.write("src/tool.sh", "#!/bin/sh\n").chmod(0o755)
    made.write("src/deep/a", "A")
    made.write("stub", "version https://git-lfs.github.com/spec/v1\n")
    (made.path / "link").symlink_to("stub")
    made.commit("code")
    made.write("src/deep/a", "changed")
    made.commit("later")
    url = str(made.path)
    if how == "url":
        GitRepo.clone(made.path, tmp_path / "bare.git", "--bare")
        monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
        monkeypatch.setenv("GIT_CONFIG_KEY_0", f"url.file://{tmp_path}/.insteadOf")
        monkeypatch.setenv("GIT_CONFIG_VALUE_0", "https://example.invalid/")
        url = "https://example.invalid/bare.git"
    here = tmp_path / "here"
    result = elsewhere(monkeypatch, here, url, "src", rev="main~1")
    assert (result.kind, result.files, result.size) == ("directory", 2, 11)
    assert laid_out(here / "src") == {"tool.sh": "#!/bin/sh\n x", "deep/": "", "deep/a": "A"}
    assert elsewhere(monkeypatch, here, url, "src/deep/a", output="b").kind == "file"
    assert (here / "b").read_text() == "changed"
    with pytest.raises(RefusedError, match="exists"):
        elsewhere(monkeypatch, here, url, "src/deep/a", output="b")
    for path, said in (("link", "a symlink"), ("stub", "kept by git-lfs")):
        with pytest.raises(RefusedError, match=said):
            elsewhere(monkeypatch, here, url, path, output="c")
    with pytest.raises(NotFoundError, match=r"there is no src/none at HEAD of "):
        elsewhere(monkeypatch, here, url, "src/none")
    assert sorted(os.listdir(here)) == ["b", "src"]


def test_the_settings_are_those_of_the_revision(
    data: DataRepo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (data.path / ".dver/config.yaml").write_text("remote:\n  origin:\n    url: /nowhere\n")
    data.commit("moved the remote")
    GitRepo.clone(data.path, tmp_path / "bare.git", "--bare")
    url = f"file://{tmp_path}/bare.git"
    monkeypatch.setattr("dver.ops.looking.elsewhere._local_path", lambda url: None)
    elsewhere(monkeypatch, tmp_path / "here", url, "f", rev="v1", output="one")
    assert (tmp_path / "here/one").read_text() == "file one"
    with pytest.raises((RemoteError, MissingContentError)):
        elsewhere(monkeypatch, tmp_path / "here", url, "f", output="two")
    assert not (tmp_path / "here/two").exists()


def test_hooks_environment_does_not_lead_astray(
    data: DataRepo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = GitRepo.init(tmp_path / "other")
    other.commit("x", x="1")
    monkeypatch.setenv("GIT_DIR", str(other.path / ".git"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(other.path / ".git/index"))
    elsewhere(monkeypatch, tmp_path / "here", str(data.path), "f")
    assert (tmp_path / "here/f").read_text() == "file two"


def test_a_repository_that_cannot_be_had(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for url in (
        f"file://{tmp_path}/nothing",
        "--upload-pack=touch pwned",
        "ext::sh -c touch% pwned",
    ):
        with pytest.raises(RemoteError, match="clone"):
            elsewhere(monkeypatch, tmp_path / "here", url, "d")
    assert os.listdir(tmp_path / "here") == []


def test_a_relative_remote_needs_the_repository_itself(
    template: DataRepo, data: DataRepo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (data.path / ".dver/config.yaml").write_text("remote:\n  origin:\n    url: ../remote\n")
    (tmp_path / "remote").symlink_to(template.path.parent / "remote")
    data.commit("relative")
    data.forget_store()
    elsewhere(monkeypatch, tmp_path / "here", str(data.path), "f")
    assert (tmp_path / "here/f").read_text() == "file two"
    monkeypatch.setattr("dver.ops.looking.elsewhere._local_path", lambda url: None)
    with pytest.raises(ConfigError, match="relative"):
        elsewhere(monkeypatch, tmp_path / "here", f"file://{data.path}", "f", output="again")


def test_another_remote_for_another_repository(
    data: DataRepo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the other repository says of its remote can be overruled: by URL, and by settings."""
    remote = tmp_path / "copy"
    made = DataRepo(tmp_path / "repo")
    made.add_remote(remote, "copy")
    made.push(to="copy")
    made.git("clone", "-q", "--bare", str(made.path), str(tmp_path / "bare.git"))
    where, url = tmp_path / "elsewhere", f"file://{tmp_path / 'bare.git'}"
    with pytest.raises(DverError):
        elsewhere(monkeypatch, where, url, "f", remote_url=str(tmp_path / "nothing"))
    assert elsewhere(monkeypatch, where, url, "f", remote_url=str(remote)).fetched_bytes
    settings = (("remote.spare.url", str(remote)),)
    elsewhere(monkeypatch, where, url, "d", remote="spare", settings=settings)
    assert (where / "f").read_text() == "file two"
    assert (where / "d/a").read_text() == "22"
    with pytest.raises(UsageError, match="another repository"):
        run(data, "f", str(tmp_path / "out"), remote_url=str(remote))
