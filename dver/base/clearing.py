"""Removing a directory with all that is in it, also where that takes some patience."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any

from dver.base.osat import NATIVE


def clear_away(path: str | os.PathLike[str], *, ignore_errors: bool = False) -> None:
    """Do :func:`shutil.rmtree`; on Windows also what is read-only, or open for another moment."""
    import shutil

    if NATIVE or (ignore_errors and not os.path.lexists(path)):
        shutil.rmtree(path, ignore_errors=ignore_errors)
        return
    rmtree: Any = shutil.rmtree  # whose keyword depends on the version
    try:
        rmtree(path, **{"onexc" if sys.version_info >= (3, 12) else "onerror": _again})
    except OSError:
        if not ignore_errors:
            raise


def _again(call: Callable[..., Any], path: str, _: object) -> None:
    from dver.base import pathwise

    if call is os.rmdir:
        pathwise.rmdir(path)
    elif call is os.unlink:
        pathwise.unlink(path)
    else:
        call(path)  # what cannot be listed says why
