"""dver from Python: ``import dver`` and ``with dver.run(...)``.

What the command line does, without a command line. Nothing here prints.
"""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from dver.base.reporter import SILENT
from dver.config.load import environment
from dver.ops.making.inprocess import Recording, recorded
from dver.ops.making.runplan import RunOptions
from dver.repo import Repo

P = ParamSpec("P")
R = TypeVar("R")
Paths = Sequence[str | os.PathLike[str]] | Mapping[str, str]


@contextlib.contextmanager
def run(
    inputs: Paths = (),
    outputs: Paths = (),
    *,
    params: Mapping[str, Any] | Sequence[str] = (),
    metrics: Sequence[str] = (),
    step: str = "",
    message: str = "",
    clean: bool = False,
    repo: str | os.PathLike[str] | None = None,
) -> Iterator[Recording]:
    """Record what a block of Python makes out of what, as ``dver run`` does for a command.

    ``inputs`` and ``outputs`` are paths, or a mapping of paths to roles; ``params`` values by
    name, or files; ``metrics`` files that the block writes. In the block,
    ``log_metric(name, value)`` and ``log_param(key, value)`` add to the record; afterwards
    ``result`` is what was recorded. An exception in the block is recorded, and raised.

    ``repo`` is a directory in the repository, by default the current one. Raises the errors of
    :mod:`dver.base.errors`: for an input that is missing before the block is run.
    """
    opened = Repo.open(None if repo is None else os.fspath(repo), initialised=True)
    files = () if isinstance(params, Mapping) else tuple(params)
    options = RunOptions(
        (),
        step=step,
        deps=_with_roles(inputs),
        outs=_with_roles(outputs),
        params=files,
        metrics=tuple(metrics),
        message=message,
        clean=clean,
    )
    given = dict(params) if isinstance(params, Mapping) else {}
    try:
        with recorded(opened, options, given, environment(), SILENT) as recording:
            yield recording
    finally:
        opened.close()


def recorded_run(**options: Any) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Return a decorator that records each call of a function; ``options`` as in :func:`run`.

    The call's keyword arguments that are numbers or text are recorded as parameters.
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        @functools.wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> R:
            asked = {"step": function.__name__, **options}
            with run(**asked) as recording:
                for key, value in kwargs.items():
                    if isinstance(value, str | int | float | bool):
                        recording.log_param(key, value)
                return function(*args, **kwargs)

        return call

    return decorate


def _with_roles(paths: Paths) -> tuple[str, ...]:
    if isinstance(paths, Mapping):
        return tuple(f"{path}:{role}" if role else path for path, role in paths.items())
    return tuple(os.fspath(Path(path)) for path in paths)
