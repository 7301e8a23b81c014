"""A pipeline as text: a tree for people, DOT (https://graphviz.org) and Mermaid for programs."""

from __future__ import annotations

from collections.abc import Iterator

from dver.base.quoting import show
from dver.ops.making.dag import DagResult, DagStep
from dver.ui.console import Console


def as_tree(console: Console, result: DagResult) -> Iterator[str]:
    """Yield the lines of a tree: below each step are those that need it.

    A step that needs several stands below that one of them that is told last.
    """
    below: dict[str, list[str]] = {one.name: [] for one in result.steps}
    for one in result.steps:
        for name in one.after:
            if name in below:
                below[name].append(one.name)
    steps = {one.name: one for one in result.steps}
    told: set[str] = set()

    for root in result.steps:
        if any(name in steps for name in root.after):
            continue
        stack = [(root.name, "", "")]
        while stack:
            name, head, tail = stack.pop()
            waits = [one for one in steps[name].after if one in steps and one not in told]
            if name in told or waits:
                where = "above" if name in told else f"below {', '.join(waits)}"
                yield f"{head}{console.style(name, 'dim')} ({where})"
                continue
            told.add(name)
            yield f"{head}{_line(console, steps[name])}"
            children = [(one, tail + "├─ ", tail + "│  ") for one in below[name]]
            if children:
                children[-1] = (children[-1][0], tail + "└─ ", tail + "   ")
            stack += reversed(children)


def _line(console: Console, step: DagStep) -> str:
    name = console.style(step.name, "cyan")
    makes = ", ".join(map(show, step.outputs))
    arrow = f" -> {makes}" if makes else ""
    frozen = console.style(" (frozen)", "dim") if step.frozen else ""
    return f"{name}: {show(step.command)}{arrow}{frozen}"


def as_dot(result: DagResult) -> Iterator[str]:
    """Yield the lines of a DOT graph; arrows go to what needs a step."""
    yield "digraph pipeline {"
    yield "  rankdir=LR;"
    names = {one.name for one in result.steps}
    for one in result.steps:
        yield f"  {_quoted(one.name)} [shape=box];"
    for one in result.steps:
        for name in one.after:
            if name in names:
                yield f"  {_quoted(name)} -> {_quoted(one.name)};"
    yield "}"


def as_mermaid(result: DagResult) -> Iterator[str]:
    """Yield the lines of a Mermaid flow chart."""
    yield "flowchart LR"
    ids = {one.name: f"s{n}" for n, one in enumerate(result.steps)}
    for one in result.steps:
        yield f'  {ids[one.name]}["{_escaped(one.name)}"]'
    for one in result.steps:
        for name in one.after:
            if name in ids:
                yield f"  {ids[name]} --> {ids[one.name]}"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _escaped(text: str) -> str:
    pairs = (("&", "&amp;"), ('"', "&quot;"), ("<", "&lt;"), (">", "&gt;"), ("|", "&#124;"))
    for char, name in pairs:
        text = text.replace(char, name)
    return text
