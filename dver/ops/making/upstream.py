"""In which order records are made again, so that each finds what earlier ones made."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from dver.base.oid import Oid
from dver.formats.record import Item, Record

if TYPE_CHECKING:
    from dver.lineage.index import LineageIndex

#: No chain is longer than this.
MAX_RECORDS = 10_000


def upstream(index: LineageIndex, record_id: Oid, value: Record) -> list[tuple[Oid, Record]]:
    """Return all that a record builds on and that a command made, and itself at the end.

    What was made elsewhere, or by something that it is itself an input of, is not among them.
    """
    order: dict[Oid, Record] = {}
    # A chain may be longer than Python's stack is deep.
    stack = [(record_id, value, _makers(index, value))]
    under_way = {record_id}
    while stack:
        one, found, makers = stack[-1]
        for maker, made in makers:
            if maker not in order and maker not in under_way and len(order) < MAX_RECORDS:
                stack.append((maker, made, _makers(index, made)))
                under_way.add(maker)
                break
        else:
            stack.pop()
            under_way.discard(one)
            order[one] = found
    return list(order.items())


def _makers(index: LineageIndex, value: Record) -> Iterator[tuple[Oid, Record]]:
    for item in value.inputs:
        found = _maker(index, item)
        if found is not None:
            yield found


def _maker(index: LineageIndex, item: Item) -> tuple[Oid, Record] | None:
    """Return the record of the command that made an input: at its path, if there is such a one."""
    made: tuple[Oid, Record] | None = None
    for one in index.makers(item.oid):
        value = index.record(one)
        if value is None or value.kind == "reproduce" or value.command is None:
            continue
        if one.hex() == item.producer or any(out.path == item.path for out in value.outputs):
            return one, value
        made = made or (one, value)
    return made


def with_rebuilt(items: tuple[Item, ...], rebuilt: dict[Oid, Item]) -> tuple[Item, ...]:
    """Return inputs with what was made again in place of what was recorded."""
    return tuple(
        one
        if (new := rebuilt.get(one.oid)) is None or new.oid == one.oid
        else replace(
            one,
            oid=new.oid,
            kind=new.kind,
            size=new.size,
            files=new.files,
            executable=new.executable,
        )
        for one in items
    )
