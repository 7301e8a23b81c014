"""House rules that no linter knows."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from dver.base import errors

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "dver"
SOURCES = sorted(PACKAGE.rglob("*.py"))
TEXTS = [
    path
    for top in ("dver", "tests", "docs", ".ci", ".github")
    for path in sorted((ROOT / top).rglob("*"))
    if path.suffix in (".py", ".md", ".yml", ".toml", "") and path.is_file()
] + sorted(ROOT.glob("*.md"))

GRAB_BAGS = {"utils", "util", "helpers", "helper", "common", "misc", "shared", "lib", "tools"}


def test_there_are_no_grab_bags() -> None:
    names = {part for path in SOURCES for part in path.relative_to(PACKAGE).with_suffix("").parts}
    assert not names & GRAB_BAGS, "a module is named after what it holds"


def test_every_package_says_what_it_is_for() -> None:
    for path in PACKAGE.rglob("__init__.py"):
        assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))), path


def test_the_architecture_page_names_what_there_is() -> None:
    page = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    modules = set(re.findall(r"`([a-z0-9]+/[a-z0-9_/]+\.py)`", page))
    assert len(modules) > 20
    assert {name for name in modules if not (PACKAGE / name).exists()} == set()
    for homes, text in re.findall(r"(?ms)^### ([a-z, ]+)\n(.*?)(?=^##)", page):
        for name in re.findall(r"`([a-z0-9_]+\.py)`", text):
            places = [PACKAGE / package for package in homes.split(", ")]
            there = (PACKAGE / name).exists() or any(list(place.rglob(name)) for place in places)
            assert there, f"{name} is not in {homes}"
    drawn = set(re.findall(r"[│ ] ([a-z]+)  +[a-z]", page.partition("```")[2].partition("```")[0]))
    packages = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert packages <= drawn


def test_no_path_of_a_machine_is_in_the_sources() -> None:
    machine = re.compile(r"/(?:work|root|home/[a-z]+|Users/[A-Za-z]+)/(?:main|venv|\w+/)")
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()[:80]}"
        for path in TEXTS
        if path != Path(__file__)
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if machine.search(line)
    ]
    assert not found, "\n".join(found)


def test_nothing_is_left_open() -> None:
    mark = re.compile(r"\b(?:TODO|FIXME|XXX|HACK)\b|mark\.(?:skip|xfail)|pytest\.skip\(")
    found = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in TEXTS
        if path != Path(__file__) and path.suffix == ".py"
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if mark.search(line)
    ]
    assert not found, "\n".join(found)


def test_silenced_checks_say_which() -> None:
    """``# noqa: CODE``; a bare one would hide whatever comes later."""
    bare = re.compile(r"# noqa(?!: [A-Z]+[0-9]+)|# type: ignore(?!\[)")
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in SOURCES
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if bare.search(line)
    ]
    assert not found, "\n".join(found)


def test_silenced_checks_say_why() -> None:
    """In words, after the code or in a comment on the line above."""
    silenced = re.compile(r"# (?:noqa: [A-Z]+[0-9]+(?:, [A-Z]+[0-9]+)*|type: ignore\[[^]]*\])(.*)")
    found = []
    for path in SOURCES:
        above = ""
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            match = silenced.search(line)
            if match and not re.search(r"[a-z]{2}", match[1]) and not above.startswith("# "):
                found.append(f"{path.relative_to(ROOT)}:{number}: {line.strip()}")
            above = line.strip()
    assert not found, "\n".join(found)


# messages


def raised() -> Iterator[tuple[Path, ast.Call, str]]:
    """Yield (file, call, first text of the message) of every error of dver that is made."""
    kinds = {name for name in vars(errors) if isinstance(getattr(errors, name), type)}
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in kinds and node.args:
                yield path, node, text_of(node.args[0])


def text_of(node: ast.expr) -> str:
    """Return a message with ``{}`` in place of what is filled in."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        parts = [part.value if isinstance(part, ast.Constant) else "{}" for part in node.values]
        return "".join(map(str, parts))
    return "{}"


PROPER = ("BLAKE3", "DVER_", "FastCDC", "GIT_", "HTTP", "JSON", "S3", "UTF-8", "Windows", "YAML")


def test_messages_begin_small_and_end_without_a_full_stop() -> None:
    found = []
    for path, node, text in raised():
        begins_badly = text[:1].isupper() and not text.startswith(PROPER)
        if begins_badly or text.rstrip("{}").endswith((".", "!", "\n")):
            found.append(f"{path.relative_to(ROOT)}:{node.lineno}: {text}")
    assert not found, "\n".join(found)


def test_messages_are_one_line() -> None:
    found = [f"{path}:{node.lineno}: {text}" for path, node, text in raised() if "\n" in text]
    assert not found, "\n".join(found)


def test_hints_are_no_sentences_with_a_full_stop() -> None:
    found = []
    for path, node, _ in raised():
        for keyword in node.keywords:
            hint = text_of(keyword.value) if keyword.arg == "hint" else ""
            if hint.endswith(".") and not hint.endswith("..."):
                found.append(f"{path.relative_to(ROOT)}:{node.lineno}: {hint}")
    assert not found, "\n".join(found)


def test_the_search_for_messages_finds_them() -> None:
    assert len(list(raised())) > 100


def test_annotations_are_not_evaluated() -> None:
    """Start-up is a feature: no module pays for its annotations."""
    for path in SOURCES:
        text = path.read_text(encoding="utf-8")
        if "def " in text and "project" not in path.parts:  # that is what dver demo writes
            assert "from __future__ import annotations" in text, path
