"""Where a large object is cut: FastCDC, so that an edit moves only the borders next to it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

from dver.formats.storeinfo import Chunker

_cutters: dict[Chunker, Any] = {}


def _cutter(chunker: Chunker) -> Any:
    found = _cutters.get(chunker)
    if found is None:
        from pyfastcdc import FastCDC

        found = _cutters[chunker] = FastCDC(
            avg_size=chunker.avg_size,
            min_size=chunker.min_size,
            max_size=chunker.max_size,
            normalized_chunking=cast("Any", chunker.normalization),
            seed=chunker.seed,
        )
    return found


def cut(window: bytes | memoryview, chunker: Chunker, *, last: bool) -> Iterator[tuple[int, int]]:
    """Yield (offset, length) of the chunks of a window that begins at a chunk border.

    Unless it is the object's ``last`` window, the final chunk is held back, since its border may
    lie beyond the window: the caller puts those bytes before the next window. Borders depend on
    the content alone, whatever the windows.
    """
    held: tuple[int, int] | None = None
    for chunk in _cutter(chunker).cut_buf(window):
        if held is not None:
            yield held
        held = (chunk.offset, chunk.length)
    if held is not None and last:
        yield held
