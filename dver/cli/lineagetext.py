"""Lineage as text: a tree for people, DOT (https://graphviz.org) and Mermaid for programs."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from dver.base.quoting import show
from dver.base.redact import printable
from dver.ops.making.lineage import LineageObject, LineageRecord, LineageResult
from dver.ui.console import Console
from dver.ui.humanize import size

_SHOWN = 10


def as_tree(console: Console, result: LineageResult) -> Iterator[str]:
    """Yield the lines of a tree that begins with what was asked for."""
    yield from _Tree(console, result).lines()
    if not result.complete:
        yield console.style("... and more, further away", "dim")


class _Tree:
    """Objects and records in turn, each record's inputs (or outputs) below it."""

    def __init__(self, console: Console, result: LineageResult) -> None:
        self._console = console
        self._result = result
        self._objects = {one.oid: one for one in result.objects}
        self._records = {one.id: one for one in result.records}
        first, second = ("input", "output") if result.down else ("output", "input")
        #: From an object to records, and from a record to (object, path, role).
        self._next: dict[str, list[str]] = {}
        self._below: dict[str, list[tuple[str, str, str, str]]] = {}
        for edge in result.edges:
            if edge.kind == first:
                self._next.setdefault(edge.object, []).append(edge.record)
            if edge.kind == second:
                self._below.setdefault(edge.record, []).append(
                    (edge.object, edge.path, edge.role, edge.origin)
                )
        self._told: set[str] = set()

    def lines(self) -> Iterator[str]:
        """Yield all lines."""
        roots = dict.fromkeys(self._result.start)
        for oid in roots:
            one = self._objects.get(oid)
            path = one.paths[0] if one is not None else self._result.target
            yield self._object(oid, path, "")
            holders = self._result.inside.get(oid, ())
            for holder in holders:
                inner = self._objects.get(holder)
                where = inner.paths[0] if inner is not None else holder[7:17]
                yield f"    in {show(where)} {self._dim(holder[7:17])}"
            yield from self._records_of([oid, *holders], "")

    def _records_of(self, oids: list[str], indent: str) -> Iterator[str]:
        found = list(dict.fromkeys(one for oid in oids for one in self._next.get(oid, ())))
        for n, record_id in enumerate(found):
            last = n == len(found) - 1
            yield f"{indent}{'└' if last else '├'}─ {self._record(self._records[record_id])}"
            if record_id in self._told:
                continue
            self._told.add(record_id)
            inner = indent + ("   " if last else "│  ")
            below = self._below.get(record_id, [])
            for m, (oid, path, role, origin) in enumerate(below):
                end = m == len(below) - 1
                came = f"  from {printable(origin)}" if origin else ""
                yield f"{inner}{'└' if end else '├'}─ {self._object(oid, path, role)}{came}"
                yield from self._records_of([oid], inner + ("   " if end else "│  "))

    def _object(self, oid: str, path: str, role: str) -> str:
        one = self._objects.get(oid)
        amount = f", {size(one.size)}" if one is not None else ""
        told = f" ({printable(role)}{amount})" if role else f" ({amount[2:]})" if amount else ""
        return f"{self._console.style(show(path), 'bold')} {self._dim(oid[7:17])}{told}"

    def _record(self, one: LineageRecord) -> str:
        what = printable(one.step or one.kind)
        command = printable(shlex.join(one.command))
        parts = [self._dim(one.id[:10]), printable((one.made or one.created)[:10])]
        if one.claimed:
            by = f" made by {printable(one.author)}" if one.author else ""
            parts.append(self._console.style(f"claimed{by}", "yellow"))
        if one.commit:
            parts.append(f"commit {printable(one.commit[:10])}{'+' if one.dirty else ''}")
        if one.remote:
            parts.append(self._dim(f"from {printable(one.remote)}"))
        if one.exit:
            parts.append(self._console.style(f"exit code {one.exit}", "red"))
        metrics = ", ".join(f"{key}={text}" for key, text in list(one.metrics.items())[:_SHOWN])
        tail = f"  {printable(metrics)}" if metrics else ""
        shown = f": {command}" if command else ""
        return f"{self._console.style(what, 'cyan')}{shown}  {' '.join(parts)}{tail}"

    def _dim(self, text: str) -> str:
        return self._console.style(text, "dim")


def as_dot(result: LineageResult) -> Iterator[str]:
    """Yield the lines of a DOT graph; arrows go from inputs to outputs."""
    yield "digraph lineage {"
    yield "  rankdir=LR;"
    for one in result.objects:
        yield f"  {_quoted(one.oid)} [label={_quoted(_name(one))}, shape=box];"
    for record in result.records:
        yield f"  {_quoted(record.id)} [label={_quoted(_title(record))}, shape=ellipse];"
    for edge in result.edges:
        ends = (edge.object, edge.record) if edge.kind == "input" else (edge.record, edge.object)
        label = f" [label={_quoted(edge.role)}]" if edge.role else ""
        yield f"  {_quoted(ends[0])} -> {_quoted(ends[1])}{label};"
    yield "}"


def as_mermaid(result: LineageResult) -> Iterator[str]:
    """Yield the lines of a Mermaid flow chart."""
    yield "flowchart LR"
    ids = {one.oid: f"o{n}" for n, one in enumerate(result.objects)}
    ids |= {one.id: f"r{n}" for n, one in enumerate(result.records)}
    for one in result.objects:
        yield f'  {ids[one.oid]}["{_escaped(_name(one))}"]'
    for record in result.records:
        yield f'  {ids[record.id]}(["{_escaped(_title(record))}"])'
    for edge in result.edges:
        ends = (edge.object, edge.record) if edge.kind == "input" else (edge.record, edge.object)
        arrow = f'-->|"{_escaped(edge.role)}"|' if edge.role else "-->"
        yield f"  {ids[ends[0]]} {arrow} {ids[ends[1]]}"


def _name(one: LineageObject) -> str:
    return f"{one.paths[0]} {one.oid[7:17]}"


def _title(record: LineageRecord) -> str:
    return f"{record.step or record.kind} {record.id[:10]}"


def _quoted(text: str) -> str:
    shown = show(text).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{shown}"'


def _escaped(text: str) -> str:
    shown = show(text)
    for char, name in (
        ("&", "&amp;"),
        ('"', "&quot;"),
        ("<", "&lt;"),
        (">", "&gt;"),
        ("|", "&#124;"),
    ):
        shown = shown.replace(char, name)
    return shown
