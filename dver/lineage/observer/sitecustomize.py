"""Notes which files below the repository a Python program opens. Found by ``PYTHONPATH``.

It imports nothing of dver, and never gets in the way: what goes wrong here is not heard of. A
``sitecustomize`` that it hides is run after it.
"""

from __future__ import annotations

import os
import sys


def _observe() -> None:
    into, root = os.environ.get("DVER_OBSERVE_INTO"), os.environ.get("DVER_OBSERVE_ROOT")
    if not into or not root:
        return
    try:
        # One write per line: several processes append to the same file.
        out = os.open(into, os.O_WRONLY | os.O_APPEND | getattr(os, "O_CLOEXEC", 0))
    except OSError:
        return
    top = os.path.join(root, "")
    seen = set()
    busy: list[int] = []

    def hook(event: str, args: tuple) -> None:  # type: ignore[type-arg]  # as events have them
        if event != "open" or busy:
            return
        busy.append(1)
        try:
            path, mode, flags = args
            if isinstance(path, int):
                return
            name = os.path.join(os.getcwd(), os.fsdecode(path))
            if ".." in name:
                name = os.path.normpath(name)
            writes = bool((flags or 0) & (os.O_WRONLY | os.O_RDWR)) or (
                isinstance(mode, str) and any(letter in mode for letter in "wax+")
            )
            key = (name, writes)
            if name.startswith(top) and key not in seen:
                seen.add(key)
                os.write(out, (b"w" if writes else b"r") + os.fsencode(name) + b"\0")
        except Exception:  # noqa: BLE001, S110 - a program must not fail since it is watched
            pass
        finally:
            busy.clear()

    sys.addaudithook(hook)


def _run_hidden() -> None:
    """Run the ``sitecustomize`` that would have been found without this one."""
    from importlib.machinery import PathFinder
    from importlib.util import module_from_spec

    here = os.path.dirname(os.path.abspath(__file__))
    sys.path[:] = [one for one in sys.path if os.path.abspath(one) != here]
    spec = PathFinder.find_spec("sitecustomize", sys.path)
    if spec is not None and spec.loader is not None:
        spec.loader.exec_module(module_from_spec(spec))


_observe()
_run_hidden()
