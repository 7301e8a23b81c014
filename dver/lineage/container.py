"""Running a command in the container image that a record names, by docker or podman."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from dver.base.dataclass import dataclass
from dver.base.redact import printable, redact
from dver.lineage.setting import Call, Kind, SettingUnavailableError

ENGINES = ("docker", "podman")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_NAMES = "{{.Repository}}@{{.Digest}}"


@dataclass(frozen=True, slots=True)
class Container:
    """An image; the directories ``read`` of this machine can be read in it."""

    engine: str
    image: str
    read: tuple[str, ...] = ()
    kind: Kind = "container"
    notes: tuple[str, ...] = ()

    def variables(self, env: Mapping[str, str]) -> dict[str, str]:
        """Return the variables of the engine; those of the command go by :meth:`command`."""
        return dict(env)

    def command(self, call: Call) -> list[str]:
        """Return how the engine runs a command, as this user, in the directory of that name."""
        words = [self.engine, "run", "--rm", "-i", "-v", f"{call.top}:{call.top}"]
        for path in self.read:
            words += ["-v", f"{path}:{path}:ro"]
        words += ["-w", call.cwd]
        if sys.platform != "win32":
            words += ["--user", f"{os.getuid()}:{os.getgid()}"]
        for name in call.names:
            if name in call.env:
                words += ["-e", f"{name}={call.env[name]}"]
        return [*words, self.image, *call.argv]

    def python(self, argv: Sequence[str], env: Mapping[str, str]) -> list[str]:
        """Return how to start the interpreter in the image."""
        del env
        program = argv[argv.index(self.image) + 1] if self.image in argv else argv[0]
        is_python = os.path.basename(program).startswith(("python", "pypy"))
        python = program if is_python and ("/" not in program or program[0] == "/") else "python3"
        return [self.engine, "run", "--rm", self.image, python]


def find(image: str, environ: Mapping[str, str], read: Sequence[Path]) -> Container:
    """Return the recorded image, fetched if need be.

    Raises SettingUnavailableError if there is no engine, or it cannot get the image.
    """
    if not image:
        raise SettingUnavailableError(
            "the record names no container image",
            hint="'dver run --container IMAGE@DIGEST' records one",
        )
    engine = next(
        (found for one in ENGINES if (found := shutil.which(one, path=environ.get("PATH")))), None
    )
    if engine is None:
        raise SettingUnavailableError(
            f"neither docker nor podman is on PATH to run {printable(image)}",
            hint="install one of them, or use '--env venv'",
        )
    if image.startswith("-"):
        raise SettingUnavailableError(f"{printable(image)} is no name of an image")
    return Container(engine, _local(engine, image, environ), tuple(map(os.fspath, read)))


def _local(engine: str, image: str, environ: Mapping[str, str]) -> str:
    """Return by which name the engine has an image here."""
    code, _, told = _run([engine, "image", "inspect", image], environ)
    if code == 0:
        return image
    if _DIGEST.fullmatch(image):
        # The digest of a registry is no name by itself: some image here may have it.
        code, out, _ = _run([engine, "images", "--digests", "--format", _NAMES], environ)
        for line in out.splitlines() if code == 0 else ():
            if line.endswith(f"@{image}"):
                return line
        raise SettingUnavailableError(
            f"no image here has the digest {image}, and the record does not say where it is from",
            hint="pull it first; 'dver run --container NAME@DIGEST' records both",
        )
    code, _, told = _run([engine, "pull", "-q", image], environ)
    if code == 0:
        return image
    lines = [line.strip() for line in told.splitlines() if line.strip()]
    raise SettingUnavailableError(
        f"{os.path.basename(engine)} cannot get {printable(image)}:"
        f" {redact(printable(lines[-1] if lines else f'it ended with {code}'))}"
    )


def _run(argv: Sequence[str], environ: Mapping[str, str]) -> tuple[int, str, str]:
    try:
        done = subprocess.run(
            argv, env=dict(environ), stdin=subprocess.DEVNULL, capture_output=True, check=False
        )
    except OSError as error:
        return 127, "", str(error)
    return (
        done.returncode,
        done.stdout.decode("utf-8", "replace"),
        done.stderr.decode("utf-8", "replace"),
    )
