"""Asking an interpreter which it is and what is installed for it, once as long as that is the same.

Listing the packages takes longer than all else that is done for a run. The answer is kept with what
it depends on: the program, the variables that lead it to packages, and the times of the directories
that packages are installed in, which any installation changes.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dver.base import clock, fsio
from dver.base.errors import DverError

_SECONDS = 30.0
#: A directory that changed so shortly before may change again at the same time (nanoseconds).
_RACY = 2_000_000_000
#: The answers of so many interpreters are kept.
_KEPT = 16
_MAX_SIZE = 16 << 20
#: Variables that tell Python where to look for packages.
_LEADING = (
    "PYTHONPATH",
    "PYTHONHOME",
    "PYTHONUSERBASE",
    "PYTHONNOUSERSITE",
    "PYTHONSAFEPATH",
    "VIRTUAL_ENV",
)
#: Runs in the interpreter that the command uses, which need not have dver.
PROBE = """
import importlib.metadata as m, json, os, platform, sys, sysconfig
sys.path = [one for one in sys.path if one]
packages = set()
for one in m.distributions():
    name = one.metadata["Name"] or ""
    line = "%s==%s" % (name.lower().replace("_", "-"), one.version)
    try:
        url = json.loads(one.read_text("direct_url.json") or "{}")
    except Exception:
        url = {}
    vcs = url.get("vcs_info") or {}
    if vcs.get("commit_id"):
        line += " @ %s@%s" % (vcs.get("vcs", "git"), vcs["commit_id"])
    elif (url.get("dir_info") or {}).get("editable"):
        line += " (editable)"
    if name:
        packages.add(line)
print(json.dumps({"python": {"version": platform.python_version(),
    "implementation": platform.python_implementation(), "platform": sysconfig.get_platform(),
    "abi": sysconfig.get_config_var("SOABI") or ""}, "packages": sorted(packages),
    "places": sys.path + [os.path.join(sys.prefix, "pyvenv.cfg")]}))
"""


class Probe:
    """A question to an interpreter, under way. ``python`` starts it; ``cache`` keeps answers."""

    def __init__(
        self, python: Sequence[str], env: Mapping[str, str], cache: Path | None = None
    ) -> None:
        self._cache = cache
        self._key = _key(python, env)
        self._moment = clock.now_ns()
        self._known = _look_up(cache, self._key) if cache is not None else None
        self._process = start([*python, "-c", PROBE], env) if self._known is None else None

    def answer(self) -> dict[str, Any]:
        """Return what it says: ``python`` and ``packages``; nothing if it cannot be asked."""
        if self._known is not None:
            return self._known
        try:
            found = json.loads(answer(self._process))
        except ValueError:
            return {}
        if not isinstance(found, dict):
            return {}
        if self._cache is not None:
            self._keep(self._cache, found)
        return found

    def _keep(self, cache: Path, found: dict[str, Any]) -> None:
        marks = _marks([str(one) for one in found.get("places", ())])
        newest = max((mark[-1] for mark in marks.values() if mark), default=0)
        if newest > self._moment - _RACY:
            return
        kept = {key: one for key, one in _load(cache).items() if key != self._key}
        kept = dict(list(kept.items())[-_KEPT + 1 :])
        kept[self._key] = {"marks": marks, "answer": found}
        # A cache that cannot be written is no reason to fail.
        with contextlib.suppress(DverError, OSError):
            fsio.make_dirs(os.fspath(cache.parent))
            fsio.write_atomic(os.fspath(cache), json.dumps(kept).encode(), durable=False)


def _key(python: Sequence[str], env: Mapping[str, str]) -> str:
    program = shutil.which(python[0], path=env.get("PATH")) or python[0]
    real = os.path.realpath(program)
    leading = [env.get(name) for name in _LEADING]
    # A user's own packages lie below HOME.
    leading.append(None if env.get("PYTHONNOUSERSITE") else env.get("HOME"))
    return json.dumps([list(python), program, real, _mark(real), leading])


def _look_up(cache: Path, key: str) -> dict[str, Any] | None:
    entry: Any = _load(cache).get(key)
    try:
        found, marks = entry["answer"], entry["marks"]
        if isinstance(found, dict) and marks == _marks([str(one) for one in found["places"]]):
            return found
    except (TypeError, KeyError):
        pass
    return None


def _load(cache: Path) -> dict[str, Any]:
    try:
        with open(cache, "rb") as file:
            found = json.loads(file.read(_MAX_SIZE))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _marks(places: Sequence[str]) -> dict[str, list[int]]:
    """Return what changes if something is installed: the times of directories and .pth files."""
    found = {}
    for place in places:
        found[place] = _mark(place)
        with contextlib.suppress(OSError):
            found |= {
                one.path: _mark(one.path)
                for one in os.scandir(place)
                if one.name.endswith((".pth", ".egg-link"))
            }
    return found


def _mark(path: str) -> list[int]:
    try:
        found = os.stat(path)
    except OSError:
        return []
    return [found.st_ino, found.st_size, found.st_mtime_ns]


def start(argv: Sequence[str], env: Mapping[str, str]) -> subprocess.Popen[bytes] | None:
    """Start a program that answers on its standard output; None if that cannot be done."""
    # It must see what the command will see, but not be observed, and not be slowed down.
    plain = {name: value for name, value in env.items() if name != "PYTHONSTARTUP"}
    try:
        return subprocess.Popen(
            argv,
            env=plain,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
    except OSError:
        return None


def answer(process: subprocess.Popen[bytes] | None) -> str:
    """Return what a program printed, "" if it failed or takes too long."""
    if process is None:
        return ""
    try:
        out, _ = process.communicate(timeout=_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        return ""
    return out.decode("utf-8", "replace") if process.returncode == 0 else ""
