"""Running the git executable, and turning what it says on failure into dver's errors.

git is always run by its absolute path with a list of arguments, never through a shell, with its
standard input closed or fed, in the C locale (its messages are matched here), and without the
optional index refresh, so that a read of dver never writes to the repository.
"""

from __future__ import annotations

import functools
import os
import re
import subprocess
import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import IO, Self

from dver.base.errors import DverError, RepositoryError, SystemFailure
from dver.base.quoting import show

Arg = str | bytes

# Variables that change how git reads the path names we give it, or what it prints.
_DROPPED = (
    "GIT_LITERAL_PATHSPECS",
    "GIT_GLOB_PATHSPECS",
    "GIT_NOGLOB_PATHSPECS",
    "GIT_ICASE_PATHSPECS",
    "GIT_EXTERNAL_DIFF",
    "GIT_DIFF_OPTS",
)
#: Variables by which a hook, or whoever called us, says which repository git is to look at.
REPOSITORY_VARIABLES = (
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_COMMON_DIR",
    "GIT_OBJECT_DIRECTORY",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_SHALLOW_FILE",
)
#: What is read of git's output at once (bytes).
_CHUNK = 1 << 16


def environment(environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the variables to run git with; ``None`` starts from those of this process."""
    env = dict(os.environ if environ is None else environ)
    for name in _DROPPED:
        env.pop(name, None)
    env["LC_ALL"] = "C"
    env["GIT_OPTIONAL_LOCKS"] = "0"
    env["GIT_TERMINAL_PROMPT"] = "0"
    return env


@functools.cache
def executable(search_path: str | None = None) -> str:
    """Return the absolute path of git. Raises SystemFailure if it is not installed."""
    found = _which("git", search_path)
    if found is None or not os.path.isabs(found):
        # A relative entry of PATH would let the repository supply its own "git".
        raise SystemFailure(
            "git is not installed, or not on the PATH",
            hint="install git 2.25 or newer, from your system's packages or https://git-scm.com",
        )
    return found


def _which(name: str, search_path: str | None) -> str | None:
    if os.name == "nt":
        import shutil

        return shutil.which(name, path=search_path)
    # The same without shutil, which would bring every compression library along.
    path = os.environ.get("PATH", os.defpath) if search_path is None else search_path
    for directory in path.split(os.pathsep) if path else ():
        candidate = os.path.join(directory, name)
        if os.path.isfile(candidate) and os.access(candidate, os.X_OK):
            return candidate
    return None


def run(
    args: Sequence[Arg],
    *,
    cwd: Arg,
    env: Mapping[str, str],
    stdin: bytes | None = None,
    answers: Collection[int] = (0,),
) -> bytes:
    """Run ``git ARGS`` to its end and return its standard output.

    ``answers`` are the exit codes that are no failure. Others raise the error that
    :func:`explain` makes of git's message.
    """
    return run_code(args, cwd=cwd, env=env, stdin=stdin, answers=answers)[1]


def run_code(
    args: Sequence[Arg],
    *,
    cwd: Arg,
    env: Mapping[str, str],
    stdin: bytes | None = None,
    answers: Collection[int] = (0,),
) -> tuple[int, bytes]:
    """Run git as :func:`run` does and return (exit code, standard output)."""
    process = _start(args, cwd, env, subprocess.DEVNULL if stdin is None else subprocess.PIPE)
    return _finish(process, args, stdin, answers)


class Asked:
    """A run of git for a short answer, which is waited for later.

    What else is done until then is done meanwhile. Close it, or leave the block that it heads:
    unless it was waited for, git is stopped.
    """

    def __init__(self, args: Sequence[Arg], *, cwd: Arg, env: Mapping[str, str]) -> None:
        self._args = args
        self._process = _start(args, cwd, env, subprocess.DEVNULL)

    def answer(self, answers: Collection[int] = (0,)) -> tuple[int, bytes]:
        """Wait for the end, and return (exit code, standard output) as :func:`run_code` does."""
        return _finish(self._process, self._args, None, answers)

    def close(self) -> None:
        """Stop git if it was not waited for."""
        if self._process.returncode is None:
            self._process.kill()
            self._process.communicate()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@contextmanager
def pipe(
    args: Sequence[Arg],
    *,
    cwd: Arg,
    env: Mapping[str, str],
    stdin: bytes | None = None,
) -> Iterator[IO[bytes]]:
    """Run git and give its standard output to read while it runs, in bounded memory.

    Leaving the block before the end, or closing the stream, stops git. After the end a failure of
    git raises.
    """
    process = _start(args, cwd, env, subprocess.DEVNULL if stdin is None else subprocess.PIPE)
    assert process.stdout is not None and process.stderr is not None  # noqa: S101 - for mypy
    errors: list[bytes] = []
    threads = [threading.Thread(target=_drain, args=(process.stderr, errors), daemon=True)]
    if stdin is not None:
        threads.append(threading.Thread(target=_feed, args=(process.stdin, stdin), daemon=True))
    for thread in threads:
        thread.start()
    finished = False
    try:
        yield process.stdout
        finished = not process.stdout.closed and not process.stdout.read(1)
    finally:
        process.stdout.close()
        if not finished:
            process.kill()
        process.wait()
        for thread in threads:
            thread.join()
        process.stderr.close()
    if finished and process.returncode != 0:
        raise explain(args, process.returncode, b"".join(errors))


def split_nul(stream: IO[bytes]) -> Iterator[bytes]:
    """Yield the NUL-terminated strings of a stream."""
    rest = b""
    while data := stream.read(_CHUNK):
        parts = (rest + data).split(b"\0")
        rest = parts.pop()
        yield from parts
    if rest:
        yield rest


def _start(
    args: Sequence[Arg], cwd: Arg, env: Mapping[str, str], stdin: int
) -> subprocess.Popen[bytes]:
    command = [executable(env.get("PATH")), *args]
    try:
        return subprocess.Popen(
            command,
            cwd=cwd,
            env=env,
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
    except OSError as error:
        reason = os.strerror(error.errno or 0).lower()
        raise SystemFailure(f"cannot run git in {show(cwd)}: {reason}") from error
    except ValueError as error:
        raise RepositoryError("git cannot be asked about a name that contains NUL") from error


def _finish(
    process: subprocess.Popen[bytes],
    args: Sequence[Arg],
    stdin: bytes | None,
    answers: Collection[int],
) -> tuple[int, bytes]:
    out, err = process.communicate(stdin)
    if process.returncode not in answers:
        raise explain(args, process.returncode, err)
    return process.returncode, out


def _drain(stream: IO[bytes], into: list[bytes]) -> None:
    into.extend(stream)


def _feed(stream: IO[bytes] | None, data: bytes) -> None:
    if stream is None:
        return
    # git may stop reading early; its exit code then says why.
    try:
        stream.write(data)
        stream.close()
    except (BrokenPipeError, OSError):
        return


def explain(args: Sequence[Arg], code: int, stderr: bytes) -> DverError:
    """Return the error for a run of git that failed with this message."""
    text = os.fsdecode(stderr).strip()
    lines = [line for line in text.splitlines() if not line.startswith(("warning:", "hint:"))]
    if "dubious ownership" in text or "is owned by someone else" in text:
        advice = re.search(r"git config --global --add safe\.directory \S.*", text)
        return RepositoryError(
            _bare(lines[0]) if lines else text,
            hint=advice.group(0).strip() if advice else "git config --global --add safe.directory",
        )
    if "not a git repository" in text:
        return RepositoryError("this is not inside a git repository", hint="git init")
    if "No space left" in text or "Disk quota exceeded" in text:
        return SystemFailure(f"git ran out of disk space: {_bare(lines[-1])}")
    words = (os.fsdecode(arg) for arg in args)
    verb = next((word for word in words if word.islower() and word.replace("-", "").isalpha()), "")
    what = _bare(lines[0]) if lines else f"exit code {code}"
    return RepositoryError(f"'git {verb}' failed: {what}")


def _bare(line: str) -> str:
    return re.sub(r"^(?:fatal|error): ", "", line).strip()
