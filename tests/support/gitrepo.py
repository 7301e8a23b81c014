"""Git repositories for tests: hermetic, with a fixed identity and fixed dates."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

#: 2026-01-01T00:00:00Z; the n-th commit of a repository is n seconds later.
START = 1_767_225_600

_CLEARED = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR", "GIT_PREFIX")


def hermetic(home: Path) -> dict[str, str | None]:
    """Return the variables (None: to be unset) that keep git and dver off the user's own files."""
    variables: dict[str, str | None] = dict.fromkeys(_CLEARED)
    variables.update((name, None) for name in os.environ if name.startswith("DVER_"))
    variables |= {
        "HOME": str(home),
        "XDG_CONFIG_HOME": str(home / ".config"),
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_AUTHOR_NAME": "Ada Test",
        "GIT_AUTHOR_EMAIL": "ada@example.com",
        "GIT_COMMITTER_NAME": "Ada Test",
        "GIT_COMMITTER_EMAIL": "ada@example.com",
        "GIT_TERMINAL_PROMPT": "0",
        "LC_ALL": "C",
        "PAGER": "cat",
        "TZ": "UTC",
    }
    return variables


@contextmanager
def hermetic_environment(home: Path) -> Iterator[None]:
    """Let these variables be so for a while."""
    before = dict(os.environ)
    try:
        for name, value in hermetic(home).items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


class GitRepo:
    """A git repository in a directory. The environment comes from the ``hermetic`` fixture."""

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self._ticks = 0

    @classmethod
    def init(cls, path: Path | str, *args: str) -> GitRepo:
        """Create a repository, its branch named ``main``; ``args`` go to ``git init``."""
        repo = cls(path)
        repo.path.mkdir(parents=True, exist_ok=True)
        repo.git("init", "--quiet", "--initial-branch=main", *args)
        return repo

    @classmethod
    def clone(cls, source: Path | str, path: Path | str, *args: str) -> GitRepo:
        """Clone a repository; ``args`` go to ``git clone``."""
        subprocess.run(
            ["git", "clone", "--quiet", *args, "--", str(source), str(path)],
            check=True,
            capture_output=True,
        )
        return cls(path)

    def git(
        self,
        *args: str | bytes,
        stdin: bytes | None = None,
        check: bool = True,
        env: Mapping[str, str] | None = None,
    ) -> str:
        """Run git in the repository and return its output, without the last line break."""
        return os.fsdecode(self.git_bytes(*args, stdin=stdin, check=check, env=env)).removesuffix(
            "\n"
        )

    def git_bytes(
        self,
        *args: str | bytes,
        stdin: bytes | None = None,
        check: bool = True,
        env: Mapping[str, str] | None = None,
    ) -> bytes:
        """Run git in the repository and return its output as it is."""
        date = f"{START + self._ticks} +0000"
        done = subprocess.run(
            ["git", *args],
            cwd=self.path,
            input=stdin if stdin is not None else b"",
            capture_output=True,
            check=False,
            env={
                **os.environ,
                "GIT_AUTHOR_DATE": date,
                "GIT_COMMITTER_DATE": date,
                **(env or {}),
            },
        )
        if check and done.returncode != 0:
            raise AssertionError(f"git {args} failed: {os.fsdecode(done.stderr)}")
        return done.stdout

    def write(self, name: str | bytes, content: bytes | str = b"") -> Path:
        """Write a file, its directories made as needed, and return its path."""
        path = os.path.join(os.fsencode(self.path), os.fsencode(name))
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
        return Path(os.fsdecode(path))

    def commit(self, message: str = "change", **files: bytes | str) -> str:
        """Write the files given as keywords, add everything, commit, and return the commit's id."""
        for name, content in files.items():
            self.write(name, content)
        self.git("add", "--all")
        return self.commit_staged(message)

    def commit_files(
        self, files: Mapping[str, bytes | str] | Mapping[bytes, bytes], message: str = "change"
    ) -> str:
        """Write files, add everything, commit, and return the commit's id."""
        for name, content in files.items():
            self.write(name, content)
        return self.commit(message)

    def commit_staged(self, message: str = "change") -> str:
        """Commit the index, even if nothing changed, and return the commit's id."""
        self._ticks += 1
        self.git("commit", "--quiet", "--allow-empty", "-m", message)
        return self.head()

    def head(self) -> str:
        """Return the id of HEAD's commit."""
        return self.git("rev-parse", "HEAD")
