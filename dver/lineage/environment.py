"""What a run depends on beside code and data: interpreter, packages, system, hardware.

Asking takes a while, so it happens in processes of its own while the command runs. Environment
variables are recorded only if they are on a list: no rule could tell which of the others are
secret.
"""

from __future__ import annotations

import locale
import os
import platform
import shutil
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from dver.base.dataclass import dataclass
from dver.base.oid import oid_of
from dver.formats.canonical import dump, to_plain
from dver.formats.record import Environment
from dver.lineage.probing import Probe, answer, start

#: Variables that are known to change results, and never hold a secret.
RECORDED = (
    "PYTHONHASHSEED",
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "CUDA_VISIBLE_DEVICES",
    "CUBLAS_WORKSPACE_CONFIG",
    "TF_DETERMINISTIC_OPS",
    "TF_CUDNN_DETERMINISTIC",
    "XLA_FLAGS",
    "PYTORCH_CUDA_ALLOC_CONF",
    "LANG",
    "LC_ALL",
    "TZ",
)
_GPU_QUERY = ("--query-gpu=name,driver_version,memory.total", "--format=csv,noheader")


@dataclass(frozen=True, slots=True)
class Captured:
    """An environment, and the text of its list of packages, one on each line."""

    environment: Environment
    packages: bytes


class Capture:
    """Asks for the environment of a command, while it runs. Call :meth:`finish` at the end."""

    def __init__(
        self,
        argv: Sequence[str],
        env: Mapping[str, str],
        python: Sequence[str] = (),
        cache: Path | None = None,
    ) -> None:
        """Start asking; ``python`` starts the interpreter, where it is not found by the command.

        ``cache`` is a file that keeps what was answered, for as long as it is so.
        """
        self._env = dict(env)
        self._python = Probe(list(python) or [interpreter(argv, env)], self._env, cache)
        smi = shutil.which("nvidia-smi", path=env.get("PATH"))
        self._gpu = start([smi, *_GPU_QUERY], self._env) if smi else None

    def finish(self, variables: Sequence[str] = (), container: str = "") -> Captured:
        """Return what was found. What cannot be asked is left out; that is no error."""
        facts = self._python.answer()
        packages = "".join(f"{line}\n" for line in facts.get("packages", ())).encode()
        found = Environment(
            python={key: str(value) for key, value in facts.get("python", {}).items() if value},
            packages=oid_of(packages) if packages else None,
            system=system(),
            cpu=cpu(),
            gpus=_gpus(answer(self._gpu)),
            libraries=_libraries(packages),
            container=container or self._env.get("DVER_CONTAINER_DIGEST", ""),
        )
        named = [*RECORDED, *variables]
        values = {name: self._env[name] for name in sorted(set(named)) if name in self._env}
        return Captured(
            replace(found, vars=values, fingerprint=oid_of(dump(to_plain(found)))), packages
        )


def differences(
    recorded: Environment, now: Environment, packages: bytes, packages_now: bytes
) -> Iterator[str]:
    """Yield a line for each thing in an environment that is not as it was recorded."""
    for what in ("python", "system", "cpu", "libraries"):
        before, after = getattr(recorded, what), getattr(now, what)
        for key in sorted(before.keys() | after.keys()):
            if before.get(key) != after.get(key):
                yield f"{what} {key}: {before.get(key, 'nothing')} -> {after.get(key, 'nothing')}"
    if recorded.gpus != now.gpus:
        models = [
            " and ".join(one.get("model", "?") for one in env.gpus) for env in (recorded, now)
        ]
        yield f"gpu: {models[0] or 'none'} -> {models[1] or 'none'}"
    if recorded.container != now.container:
        yield f"container: {recorded.container or 'none'} -> {now.container or 'none'}"
    if packages:
        yield from _package_differences(packages, packages_now)


def _package_differences(packages: bytes, packages_now: bytes) -> Iterator[str]:
    before, after = versions_of(packages), versions_of(packages_now)
    for name in sorted(before.keys() | after.keys()):
        if before.get(name) != after.get(name):
            yield f"package {name}: {before.get(name, 'none')} -> {after.get(name, 'none')}"


def versions_of(packages: bytes) -> dict[str, str]:
    """Return the version of each package in a recorded list."""
    lines = (line.partition("==") for line in packages.decode("utf-8", "replace").splitlines())
    return {name: version for name, _, version in lines}


def interpreter(argv: Sequence[str], env: Mapping[str, str]) -> str:
    """Return the Python that a command runs with: its own, that of its script, or PATH's."""
    path = env.get("PATH")
    program = shutil.which(argv[0], path=path) if argv else None
    if program is not None:
        if os.path.basename(program).lower().startswith(("python", "pypy")):
            return program
        script = _shebang(program)
        if script is not None:
            return script
    for name in ("python3", "python"):
        found = shutil.which(name, path=path)
        if found is not None:
            return found
    return sys.executable


def _shebang(program: str) -> str | None:
    try:
        with open(program, "rb") as file:
            line = os.fsdecode(file.readline(512)) if file.read(2) == b"#!" else ""
    except OSError:
        return None
    words = line.split()
    if words and "python" in os.path.basename(words[0]) and os.path.isabs(words[0]):
        return words[0]
    return None


def system() -> dict[str, str]:
    """Return the operating system, its C library, locale and time zone."""
    libc = " ".join(platform.libc_ver()).strip()
    found = {
        "name": platform.system(),
        "release": platform.release(),
        "machine": platform.machine(),
        "libc": libc,
        "locale": ".".join(one for one in locale.getlocale() if one),
        "timezone": time.tzname[0],
    }
    return {key: value for key, value in found.items() if value}


def cpu() -> dict[str, str]:
    """Return the processor's model, and how many of it this process may use."""
    model = ""
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
            names = [line.partition(":")[2].strip() for line in file if line.startswith("model na")]
        model = names[0] if names else model
    except OSError:
        pass
    from dver.base.workers import usable_cores

    # Asking the platform starts a process.
    found = {"model": model or platform.processor(), "count": str(usable_cores())}
    return {key: value for key, value in found.items() if value}


def _gpus(answer: str) -> tuple[Mapping[str, str], ...]:
    found = []
    for line in answer.splitlines():
        cells = [cell.strip() for cell in line.split(",")]
        if len(cells) == 3:
            found.append(dict(zip(("model", "driver", "memory"), cells, strict=True)))
    return tuple(found)


def _libraries(packages: bytes) -> dict[str, str]:
    """Return versions of what computes on the hardware, as far as packages tell."""
    wanted = {"nvidia-cuda-runtime": "cuda", "nvidia-cudnn": "cudnn", "nvidia-cublas": "cublas"}
    found = {}
    for line in packages.decode().splitlines():
        name, _, version = line.partition("==")
        for prefix, short in wanted.items():
            if name.startswith(prefix):
                found[short] = version
    return found
