"""Every command's help, and the reference pages that follow from the same tree."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import click
import pytest

from dver.base import errors
from dver.base.errors import DverError
from dver.cli import concepts, manpage, reference
from dver.cli.command import EXIT_MEANINGS, Command, Lazy
from dver.cli.root import root
from dver.cli.tree import AGAIN, walk
from dver.ops.making.reproduce import EXIT_OF
from tests.support.cli import Dver

DOCS = Path(__file__).parents[2] / "docs" / "reference"
TREE = dict(walk())
COMMANDS = {name: found for name, found in TREE.items() if isinstance(found, Command)}


@pytest.mark.parametrize("name", COMMANDS)
def test_help_has_description_examples_and_exit_codes(name: str, outside: Dver) -> None:
    words = name.split()[1:]
    for flag in ("--help", "-h"):
        done = outside(*words, flag)
        assert done.stderr == ""
        lines = done.stdout.splitlines()
        assert lines[0].startswith(f"Usage: {name} [OPTIONS]")
        assert "Examples:" in lines
        assert "Exit codes:" in lines
        assert any(line.startswith("  --json ") for line in lines)
        assert max(map(len, lines)) <= 120


def test_help_is_a_command_too(outside: Dver) -> None:
    assert outside("help").stdout == outside("--help").stdout
    assert outside("help", "add").stdout == outside("add", "--help").stdout
    assert outside("help", "remote", "add").stdout == outside("remote", "add", "--help").stdout
    assert outside("-q", "help", "-v", "rm").stdout == outside("rm", "--help").stdout
    assert "no command 'nope'" in outside("help", "nope", code=2).stderr
    assert "did you mean 'pointers'" in outside("help", "pointer", code=2).stderr
    assert "did you mean 'add'" in outside("help", "remote", "ad", code=2).stderr
    assert "no command 'x'" in outside("help", "add", "x", code=2).stderr
    assert outside("help", "ls", "--json").result["kind"] == "command"


@pytest.mark.parametrize("name", COMMANDS)
def test_examples_are_command_lines_that_parse(name: str) -> None:
    command = COMMANDS[name]
    assert command.examples
    for comment, line in command.examples:
        assert comment[0].islower() or comment[0].isdigit()
        assert not comment.endswith(".")
        assert "dver" in line
        if line.startswith(name + " ") and not set(line) & set("&|>$"):
            words = split(line)[len(name.split()) :]
            parsed = command.make_parser(click.Context(command, info_name=name))
            _, rest, _ = parsed.parse_args(args=words)
            assert rest == []


def split(line: str) -> list[str]:
    import shlex

    return shlex.split(line)


@pytest.mark.parametrize("name", TREE)
def test_help_begins_with_the_summary_of_the_table(name: str) -> None:
    group, _, last = name.rpartition(" ")
    table = root if group == "dver" else TREE[group]
    assert isinstance(table, Lazy)
    summaries = {key: text for part in table.sections.values() for key, text in part.items()}
    text = TREE[name].help or ""
    first = " ".join(text.strip().split("\n\n")[0].split())
    assert first == summaries[last]


def test_options_are_spelled_the_same_everywhere() -> None:
    short: dict[str, set[str]] = {}
    for command in COMMANDS.values():
        for param in command.params:
            if isinstance(param, click.Option):
                longs = [name for name in param.opts if name.startswith("--")]
                for name in param.opts:
                    if len(name) == 2 and longs:
                        short.setdefault(name, set()).add(longs[0])
    assert {name: longs for name, longs in short.items() if len(longs) > 1} == {
        "-n": {"--dry-run", "--max-count"},
        "-o": {"--out", "--output"},
        "-r": {"--recursive", "--remote"},
    }


PAGES = {path.stem: path for path in Path(concepts.__file__).parent.glob("*.txt")}


def test_every_concept_has_a_page() -> None:
    assert set(PAGES) == set(concepts.CONCEPTS)
    assert not set(PAGES) & {name.split()[1] for name in TREE}


@pytest.mark.parametrize("name", PAGES)
def test_concepts(name: str, outside: Dver) -> None:
    text = PAGES[name].read_text(encoding="utf-8")
    assert outside("help", name).stdout == text
    lines = text.splitlines()
    assert lines[1] == ""
    assert max(map(len, lines)) <= 80
    assert lines[-1].startswith("See also: ")
    assert f"\n  {name.ljust(10)}  {concepts.CONCEPTS[name]}\n" in outside("help").stdout


@pytest.mark.parametrize("name", PAGES)
def test_concepts_name_commands_that_exist(name: str) -> None:
    text = PAGES[name].read_text(encoding="utf-8")
    assert set(re.findall(r"dver help ([a-z]+)", text)) <= {*PAGES, "COMMAND", "CONCEPT"}
    for start, rest in re.findall(r"(?m)(^  +|'|also: )dver ((?:[a-z]+ ?)+)", text):
        words = rest.split()
        full = f"dver {' '.join(words[:2])}"
        found = TREE.get(full) or TREE.get(f"dver {words[0]}")
        assert found is not None, f"{start}dver {rest}"
    for command, option in re.findall(r"dver ([a-z]+)[^'\n]*? (--?[a-z-]+)", text):
        if option != "--help" and (single := TREE.get(f"dver {command}")) and command != "config":
            known = {name for p in single.params for name in (*p.opts, *p.secondary_opts)}
            assert option in known | {"--"}, f"dver {command} {option}"


def test_the_manual_page_is_up_to_date() -> None:
    path = DOCS.parents[1] / "man" / "dver.1"
    assert path.read_text(encoding="ascii") == manpage.page(), f"run: {AGAIN}"


def test_the_manual_page_holds_everything(outside: Dver) -> None:
    page = outside("help", "--man").stdout
    assert page == manpage.page()
    for name in TREE:
        assert f'.SS "{name} '.replace("-", "\\-") in page
    for name in concepts.CONCEPTS:
        assert f'.SS "{name}"' in page
    # Nothing but macros begins with a dot, and nothing at all with an apostrophe.
    macros = {"TH", "SH", "SS", "TP", "PP", "B", "BR", "I", "nf", "fi", "nh", "ad"}
    for line in page.splitlines():
        assert not line.startswith("'")
        if line.startswith(".") and not line.startswith('.\\"'):
            assert line[1:].split()[0] in macros, line


def test_texts_that_troff_would_take_for_its_own_are_escaped() -> None:
    assert manpage.escaped(".SH \\x 'a' -b ~/x é") == (
        "\\&.SH \\ex \\(aqa\\(aq \\-b \\(ti/x \\[u00E9]"
    )


def test_help_of_the_groups(outside: Dver) -> None:
    for words in (["--help"], ["-h"], ["remote", "--help"], ["config", "-h"]):
        done = outside(*words)
        assert done.stderr == ""
        assert done.stdout.startswith("Usage: dver")


@pytest.mark.parametrize("page", reference.PAGES)
def test_reference_pages_are_up_to_date(page: str) -> None:
    path = DOCS / f"{page}.md"
    assert path.read_text(encoding="utf-8") == reference.page(page), f"run: {AGAIN}"


def test_the_generator_writes_all_there_is(tmp_path: Path) -> None:
    top = tmp_path / "checkout"
    for directory in ("docs/reference", "man"):
        (top / directory).mkdir(parents=True)
    subprocess.run([sys.executable, *AGAIN.split()[1:]], cwd=top, check=True)
    written = {path.name: path.read_text("utf-8") for path in top.rglob("*") if path.is_file()}
    pages = {f"{name}.md": reference.page(name) for name in reference.PAGES}
    assert written == {**pages, "dver.1": manpage.page()}


def test_exit_codes_are_those_of_the_errors() -> None:
    kinds = [
        kind
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, DverError) and kind is not DverError
    ]
    assert {kind.exit_code for kind in kinds} | {
        errors.EXIT_OK,
        errors.EXIT_NEGATIVE,
        errors.EXIT_BUG,
        errors.EXIT_INTERRUPTED,
        141,
        143,
        *EXIT_OF.values(),
    } == set(EXIT_MEANINGS)
    assert len({kind.code for kind in kinds}) == len(kinds)
