"""What DVC and git-lfs version: at a commit, or in the work tree.

A commit in which dver is set up is dver's own: what else lies in it is not looked at. In one from
before, the files of DVC and git-lfs say what there was.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Self

from dver.base.dataclass import dataclass
from dver.base.errors import FormatError
from dver.base.quoting import show
from dver.config import sources
from dver.foreign import dvcfiles, dvcproject, lfsfiles
from dver.foreign.dvcfiles import LOCK, PIPELINE, DvcFile, LockedStage, Out
from dver.foreign.dvcproject import Project
from dver.foreign.places import Places, of_project
from dver.git.pointers import REGULAR, read_blobs
from dver.git.process import split_nul
from dver.repo.layout import COMMITTED_CONFIG
from dver.repo.naming import in_git

if TYPE_CHECKING:
    from dver.repo import Repo

_MAX_FILE = 64 << 20
_CONFIG_TEXT = dvcproject.CONFIG.decode()


@dataclass(slots=True)
class Found:
    """What other tools version: the outs by the paths of their data, and what says so.

    ``files`` are the ``.dvc`` files and ``stages`` those of ``dvc.lock``, by the path of the file.
    ``named`` tells for each out which file names it. ``broken`` says which files cannot be read;
    ``configs`` are the settings of the DVC projects as committed, by the projects' directories.
    """

    outs: dict[bytes, Out] = field(default_factory=dict)
    files: dict[bytes, DvcFile] = field(default_factory=dict)
    stages: dict[bytes, dict[str, LockedStage]] = field(default_factory=dict)
    named: dict[bytes, bytes] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)
    configs: dict[bytes, bytes] = field(default_factory=dict)

    def project_of(self, path: bytes) -> bytes:
        """Return the directory of the DVC project that a file belongs to."""
        directory = path.rpartition(b"/")[0]
        while directory and directory not in self.configs:
            directory = directory.rpartition(b"/")[0]
        return directory

    def take(self, files: Mapping[bytes, bytes], is_in_git: Iterable[bytes]) -> None:
        """Read DVC's files, given by path; what git has itself is no data of DVC's."""
        plain = frozenset(is_in_git)
        for path in sorted(files, key=lambda one: (not one.endswith(dvcfiles.SUFFIX), one)):
            try:
                self._take(path, files)
            except FormatError as error:
                self.broken.append(error.message)
        for path in [path for path, out in self.outs.items() if not out.cached or path in plain]:
            del self.outs[path]

    def _take(self, path: bytes, files: Mapping[bytes, bytes]) -> None:
        name = path.rpartition(b"/")[2]
        outs: list[Out] = []
        if name.endswith(dvcfiles.SUFFIX):
            read = dvcfiles.read_dvc_file(path, files[path])
            self.files[path] = read
            outs += read.outs
        elif name == LOCK:
            pipeline = files.get(path[: -len(LOCK)] + PIPELINE, b"")
            directories = dvcfiles.stage_directories(path, pipeline)
            self.stages[path] = dvcfiles.read_lock(path, files[path], directories)
            outs += [out for stage in self.stages[path].values() for out in stage.outs]
        for out in outs:
            self.outs.setdefault(out.path, out)
            self.named.setdefault(out.path, path)


def is_dvc_file(path: bytes) -> bool:
    """Tell whether a path is that of a file by which DVC says what it versions."""
    name = path.rpartition(b"/")[2]
    if name in (LOCK, PIPELINE):
        return True
    return name.endswith(dvcfiles.SUFFIX) and len(name) > len(dvcfiles.SUFFIX)


def at_commit(repo: Repo, commit: str) -> Found:
    """Return what other tools version in a commit. Nothing in one in which dver is set up."""
    found = Found()
    git = repo.git
    if git.read_file(commit, COMMITTED_CONFIG) is not None:
        return found
    wanted: dict[bytes, str] = {}
    plain: set[bytes] = set()
    attributes: list[str] = []
    with git.pipe("ls-tree", "-r", "-z", "--full-tree", commit) as out:
        for mode, blob, path in _entries(out):
            plain.add(path)
            if mode not in REGULAR:
                continue
            if is_dvc_file(path) or _is_config(path):
                wanted[path] = blob
            elif path.endswith(b".gitattributes"):
                attributes.append(blob)
    blobs = read_blobs(git, [*wanted.values(), *attributes], limit=_MAX_FILE)
    for path, blob in list(wanted.items()):
        if _is_config(path):
            found.configs[path[: -len(dvcproject.CONFIG) - 1]] = blobs[blob]
            del wanted[path]
    found.take({path: blobs[blob] for path, blob in wanted.items()}, plain)
    if any(lfsfiles.FILTER.search(blobs[blob]) for blob in attributes):
        for pointer in lfs_pointers(repo, commit):
            found.outs.setdefault(pointer.path, pointer)
    return found


def settings_of_history(repo: Repo) -> Found:
    """Return the settings that DVC had at the top when a commit before HEAD last had any."""
    found = Found()
    git = repo.git
    out = git.run(
        *("log", "--format=%H %P", "--full-history", "--", f":(top,literal){_CONFIG_TEXT}"),
        answers=(0, 128),  # no commit yet
    )
    for commit in dict.fromkeys(out.decode().split()):
        data = git.read_file(commit, dvcproject.CONFIG)
        if data is not None:
            found.configs[b""] = data
            break
    return found


def _is_config(path: bytes) -> bool:
    return path == dvcproject.CONFIG or path.endswith(b"/" + dvcproject.CONFIG)


def _entries(out: IO[bytes]) -> Iterator[tuple[bytes, str, bytes]]:
    for entry in split_nul(out):
        facts, _, path = entry.partition(b"\t")
        mode, _, blob = facts.split(b" ")[:3]
        yield mode, blob.decode(), path


def lfs_pointers(repo: Repo, commit: str) -> Iterator[Out]:
    """Yield the files of a commit that are pointers of git-lfs."""
    candidates: dict[bytes, tuple[str, bool]] = {}
    with repo.git.pipe("ls-tree", "-r", "-l", "-z", "--full-tree", commit) as out:
        for entry in split_nul(out):
            facts, _, path = entry.partition(b"\t")
            mode, _, name, size = facts.split()
            if mode in REGULAR and lfsfiles.MIN_SIZE <= int(size) < lfsfiles.MAX_SIZE:
                candidates[path] = name.decode(), mode == b"100755"
    blobs = read_blobs(repo.git, [blob for blob, _ in candidates.values()])
    for path, (blob, executable) in candidates.items():
        pointer = lfsfiles.read_pointer(path, blobs[blob], executable=executable)
        if pointer is not None:
            yield pointer


def in_work_tree(repo: Repo) -> Found:
    """Return what DVC versions by the files in the work tree, tracked by git or not yet."""
    git = repo.git
    args = ("ls-files", "-z", "--cached", "--others", "--exclude-standard")
    specs = [f":(top,glob)**/{name}" for name in ("*.dvc", "dvc.lock", "dvc.yaml")]
    found = Found()
    files: dict[bytes, bytes] = {}
    with git.pipe(*args, "--", *specs) as out:
        listed = list(dict.fromkeys(split_nul(out)))
    for path in listed:
        if is_dvc_file(path):
            data = read_limited(repo.absolute(path))
            if data is not None:
                files[path] = data
    for directory in _project_directories(repo, files):
        found.configs[directory] = (
            read_limited(repo.absolute(_join(directory, dvcproject.CONFIG))) or b""
        )
    with git.pipe("ls-files", "-z", "--cached") as out:
        found.take(files, split_nul(out))
    return found


def _project_directories(repo: Repo, files: Iterable[bytes]) -> set[bytes]:
    found = set()
    looked: set[bytes] = set()
    for path in files:
        directory = path
        while directory:
            directory = directory.rpartition(b"/")[0]
            if directory in looked:
                break
            looked.add(directory)
            if os.path.isdir(repo.absolute(_join(directory, dvcproject.DIRECTORY))):
                found.add(directory)
    return found


def _join(directory: bytes, name: bytes) -> bytes:
    return directory + b"/" + name if directory else name


def read_limited(path: bytes) -> bytes | None:
    """Return a file of the work tree, None if there is none. Raises FormatError for a huge one."""
    from dver.ops.targets.target import read_pointer

    data = read_pointer(path, limit=_MAX_FILE)
    if data is not None and len(data) > _MAX_FILE:
        raise FormatError(f"{show(path)} is larger than {_MAX_FILE >> 20} MiB")
    return data


class PlacesOf:
    """Where the objects of DVC projects and of git-lfs lie; opened when they are asked for."""

    def __init__(self, repo: Repo, found: Found) -> None:
        self._repo = repo
        self._found = found
        self._opened: dict[bytes | None, Places] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        for places in self._opened.values():
            places.close()

    def of(self, out: Out) -> Places:
        """Return where to look for what an out holds."""
        if out.algorithm == "sha256":
            return self._get(None)
        named = self._found.named.get(out.path, out.path)
        return self._get(self._found.project_of(named))

    def _get(self, project: bytes | None) -> Places:
        if project not in self._opened:
            self._opened[project] = self._lfs() if project is None else self._dvc(project)
        return self._opened[project]

    def _dvc(self, project: bytes) -> Places:
        repo = self._repo
        try:
            opened = self._project(project)
        except FormatError as error:
            # Its cache is where it is if nothing says otherwise.
            cache = repo.root / os.fsdecode(project) / ".dvc" / "cache"
            places = Places(dvcproject.keys, [cache])
            places.problems.append(error.message)
            return places
        return of_project(
            opened,
            repo.root,
            repo.environ,
            lambda place: sources.is_agreed(repo.common_state_dir, place),
        )

    def _project(self, project: bytes) -> Project:
        repo = self._repo
        main = repo.git.common_dir.parent
        return dvcproject.open_project(
            repo.root,
            project,
            repo.environ,
            committed=self._found.configs.get(project),
            main_top=main if main != repo.root else None,
            named={out.remote for out in self._found.outs.values() if out.remote},
            local_is_shared=self._is_tracked(dvcproject.local_file(repo.root, project)),
        )

    def agree(self) -> list[str]:
        """Agree to read from the remotes that committed settings lead to; return their places.

        These are the remotes of the projects that were found. Raises FormatError.
        """
        places = set()
        for project in sorted({b"", *self._found.configs}):
            for remote in self._project(project).remotes:
                if remote.is_elsewhere and remote.is_committed:
                    places.add(remote.place)
        for place in sorted(places):
            sources.agree(self._repo.common_state_dir, place)
        return sorted(places)

    def _is_tracked(self, path: Path) -> bool:
        """Tell whether git has a file or a symlink that leads to it."""
        if not os.path.lexists(path):
            return False
        root = os.path.realpath(self._repo.root)
        inside = [in_git(path, self._repo.root), in_git(os.path.realpath(path), root)]
        paths = [os.fsencode(one) for one in inside if one.split("/")[0] != os.pardir]
        return bool(self._repo.git.tracked_by_git(paths))

    def _lfs(self) -> Places:
        return Places(lfsfiles.keys, [self._lfs_directory()])

    def _lfs_directory(self) -> Path:
        git = self._repo.git
        told = git.run("config", "--type=path", "--get", "lfs.storage", answers=(0, 1))
        return git.common_dir / (os.fsdecode(told).strip() or "lfs") / "objects"
