"""What may import what, where each foreign library lives, and how long things may get.

The order is DESIGN's: imports go down, and packages of one layer do not know each other.
Everything is read from the syntax trees; nothing is imported.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "dver"

#: From the top to the bottom; packages of one row are independent of each other.
LAYERS = [
    {"__main__"},
    {"cli", "api", "python"},
    {"ui"},
    {"ops"},
    {"lineage"},
    {"repo"},
    {"workspace", "transfer", "foreign"},
    {"store", "git", "config"},
    {"storage"},
    {"formats"},
    {"base"},
]
RANK = {name: rank for rank, row in enumerate(LAYERS) for name in row}

#: The groups of operations: each stands on those before it.
GROUPS = (
    "targets", "data", "looking", "sharing", "making", "upkeep", "setup", "githooks", "migration",
)  # fmt: skip
#: (module, group) beyond that, imported only when there is such a thing to tell.
AHEAD = {
    ("ops.data.status", "making"): "the steps of a pipeline that are stale",
    ("ops.looking.log", "migration"): "versions from before dver",
    ("ops.targets.versions", "migration"): "pointers of DVC and git-lfs at old revisions",
}

#: Library -> the packages or modules that may import it.
HOMES = {
    "click": {"cli"},
    "rich": {"ui"},
    "fsspec": {"storage", "python.filesystem"},
    "s3fs": {"storage"},
    "botocore": {"storage"},
    "blake3": {"base.oid"},
    "xxhash": {"base.oid"},
    "zstandard": {"store"},
    "pyfastcdc": {"store"},
    "yaml": {"config", "lineage", "foreign"},
    "pathspec": {"workspace.ignore"},
    "cryptography": {"lineage"},
    "subprocess": {"git", "cli", "ui", "base.workers", "lineage"},
}

#: Call or attribute -> the packages or modules that may use it. What changes the disk may also
#: stand in a function that marks the instant with ``fsio.step``, for crash tests to stop at.
USES = {
    "os.environ": {"config.load", "cli"},
    "os.getenv": {"config.load", "cli"},
    "os.putenv": {"cli"},
    "time.time": {"base.clock"},
    "time.time_ns": {"base.clock"},
    "time.monotonic": {"base.clock"},
    "time.perf_counter": {"base.clock"},
    "time.sleep": {"base.clock"},
    "datetime.datetime.now": {"base.clock"},
    "datetime.datetime.utcnow": {"base.clock"},
    "print": {"cli", "ui"},
    "input": {"cli", "ui"},
    "sys.exit": {"cli", "ui", "__main__"},
    "sys.stdout": {"cli", "ui"},
    "sys.stderr": {"cli", "ui"},
    "sys.stdin": {"cli", "ui"},
    "eval": set(),
    "exec": {"base.dataclass"},
    "os.system": set(),
    "pickle.load": set(),
    "pickle.loads": set(),
    "yaml.load": set(),
    "os.fsync": {"base.fsio"},
    "os.rename": {"base.fsio", "base.pathwise"},
    "os.replace": {"base.fsio", "base.pathwise"},
    "os.link": {"base.fsio"},
    "open to write": {"base.fsio", "base.locking"},
    "write_text": {"cli.demo"},
    "write_bytes": {"cli.demo"},
}
CHANGES_DISK = {"os.rename", "os.replace", "os.link", "open to write"}
METHODS = {"write_text", "write_bytes"}

#: (module, use) that breaks the table above, and why it must.
WAIVED = {
    ("base.serving", "open to write"): "the pipe to the parent process, no file",
    ("base.serving", "sys.stdin"): "the pipe from the parent process",
    ("git.process", "os.environ"): "git is given the environment that dver was given",
    ("lineage.observer.sitecustomize", "os.environ"): "runs in the observed program",
    ("lineage.observer.sitecustomize", "open to write"): "a list of paths, for the observer",
    ("storage.base", "write_bytes"): "what get_file promises: a new file, not synced",
    ("storage.wrappers", "open to write"): "the fault injector tears files, for tests",
    ("workspace.statindex", "os.replace"): "a cache; losing it costs time only",
}

MAX_MODULE, MAX_FUNCTION = 450, 80


@dataclass(frozen=True)
class Module:
    """One module: its dotted name below ``dver`` (empty for the package itself), and its source."""

    name: str
    path: Path

    @property
    def package(self) -> str:
        return self.name.partition(".")[0]

    @cached_property
    def lines(self) -> int:
        return len(self.path.read_text(encoding="utf-8").splitlines())

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.path.read_text(encoding="utf-8"), filename=str(self.path))

    def is_in(self, homes: set[str]) -> bool:
        return any(self.name == home or self.name.startswith(home + ".") for home in homes)


def load() -> dict[str, Module]:
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        found[name] = Module(name, path)
    return found


MODULES = load()


@cache
def imports(module: Module) -> list[tuple[str, int, bool]]:
    """Return (dotted name, line, whether it happens at run time) of each import, wherever it is."""
    return list(find_imports(module))


def find_imports(module: Module) -> Iterator[tuple[str, int, bool]]:
    typing_only = {
        id(inner)
        for node in ast.walk(module.tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for statement in node.body
        for inner in ast.walk(statement)
    }
    for node in ast.walk(module.tree):
        real = id(node) not in typing_only
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node.lineno, real
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module.path}:{node.lineno}: imports are absolute"
            for alias in node.names:
                yield f"{node.module}.{alias.name}", node.lineno, real


def own(dotted: str) -> Module | None:
    """Return the module of dver that an imported name lives in, or None for a foreign one."""
    if dotted != "dver" and not dotted.startswith("dver."):
        return None
    name = dotted.removeprefix("dver").removeprefix(".")
    while name not in MODULES:
        name = name.rpartition(".")[0]
    return MODULES[name]


def test_every_package_has_its_layer() -> None:
    packages = {path.name for path in PACKAGE.iterdir() if (path / "__init__.py").exists()}
    assert packages <= set(RANK), f"no layer for {sorted(packages - set(RANK))}"


def test_imports_go_down() -> None:
    wrong = []
    for module in MODULES.values():
        for dotted, line, _ in imports(module):
            target = own(dotted)
            if target is None or target.package in ("", module.package) or not module.package:
                continue
            if RANK[target.package] <= RANK[module.package]:
                way = "up" if RANK[target.package] < RANK[module.package] else "sideways"
                wrong.append(f"{module.path}:{line}: {way} to dver.{target.name}")
    assert not wrong, "imports go down only:\n" + "\n".join(wrong)


def test_groups_of_operations_stand_on_those_before() -> None:
    rank = {name: number for number, name in enumerate(GROUPS)}
    wrong, used = [], set()
    for module in MODULES.values():
        parts = module.name.split(".")
        if parts[0] != "ops" or len(parts) < 3:
            assert module.name in ("ops", *(f"ops.{name}" for name in GROUPS)) or parts[0] != "ops"
            continue
        for dotted, line, real in imports(module):
            target = own(dotted)
            if not real or target is None or target.package != "ops":
                continue
            group = target.name.split(".")[1]
            if rank[group] > rank[parts[1]]:
                used.add((module.name, group))
                wrong.append((module.name, group, f"{module.path}:{line}: dver.{target.name}"))
    told = [text for name, group, text in wrong if (name, group) not in AHEAD]
    assert not told, "\n".join(told)
    assert used == set(AHEAD), f"nobody needs any more: {sorted(set(AHEAD) - used)}"


def test_there_are_no_cycles() -> None:
    """Not even through imports inside functions; those for type checkers alone do not count."""
    edges = {
        module.name: {
            target.name
            for dotted, _, real in imports(module)
            if real and (target := own(dotted)) is not None and target.name != module.name
        }
        for module in MODULES.values()
    }
    done: set[str] = set()

    def visit(name: str, trail: list[str]) -> None:
        if name in trail:
            cycle = [*trail[trail.index(name) :], name]
            pytest.fail("import cycle: " + " -> ".join(cycle))
        if name not in done:
            for target in sorted(edges[name]):
                visit(target, [*trail, name])
            done.add(name)

    for name in sorted(edges):
        visit(name, [])


@pytest.mark.parametrize("library", HOMES)
def test_each_library_has_one_home(library: str) -> None:
    users = [
        (module, line)
        for module in MODULES.values()
        for dotted, line, _ in imports(module)
        if dotted.partition(".")[0] == library
    ]
    wrong = [
        f"{module.path}:{line}"
        for module, line in users
        if not module.is_in(HOMES[library]) and (module.name, library) not in WAIVED
    ]
    assert not wrong, f"{library} belongs in {sorted(HOMES[library])}:\n" + "\n".join(wrong)


def test_every_run_time_dependency_has_a_home() -> None:
    import tomllib

    project = tomllib.loads((PACKAGE.parent / "pyproject.toml").read_text(encoding="utf-8"))
    names = {text.partition(">")[0] for text in project["project"]["dependencies"]}
    assert {name.replace("pyyaml", "yaml") for name in names} <= set(HOMES)


# what is used where


def uses(module: Module) -> Iterator[tuple[str, int]]:
    """Yield (entry of USES, line) for each use of it that is not marked by ``fsio.step``."""
    stepped = {
        line
        for node in ast.walk(module.tree)
        if isinstance(node, ast.FunctionDef) and any(map(is_step, ast.walk(node)))
        for line in range(node.lineno, (node.end_lineno or node.lineno) + 1)
    }
    for use, line in all_uses(module):
        if use not in CHANGES_DISK or line not in stepped:
            yield use, line


def is_step(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and ast.unparse(node.func) in ("step", "fsio.step")


def find_aliases(module: Module) -> dict[str, str]:
    aliases = {}
    for node in ast.walk(module.tree):
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                aliases[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    if "osat" in aliases:
        aliases["osat"] = "os"  # which it is, but for Windows
    return aliases


def all_uses(module: Module) -> Iterator[tuple[str, int]]:
    aliases = find_aliases(module)
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Call):
            name = dotted_name(node.func, aliases)
            if name in ("open", "io.open", "os.fdopen", "os.open") and writes(node):
                yield "open to write", node.lineno
            if name in USES and "." not in name:
                yield name, node.lineno
            last = name.rpartition(".")[2]
            if last == "open" and name not in ("open", "io.open", "os.open") and path_writes(node):
                yield "open to write", node.lineno
            if isinstance(node.func, ast.Attribute) and node.func.attr in METHODS:
                yield node.func.attr, node.lineno
        elif isinstance(node, ast.Attribute | ast.Name) and isinstance(node.ctx, ast.Load):
            name = dotted_name(node, aliases)
            if name in USES and "." in name:
                yield name, node.lineno


def dotted_name(node: ast.expr, aliases: dict[str, str]) -> str:
    if isinstance(node, ast.Name):
        return aliases.get(node.id, node.id)
    if isinstance(node, ast.Attribute):
        return f"{dotted_name(node.value, aliases)}.{node.attr}"
    return "?"


def constant_mode(node: ast.Call, position: int) -> str:
    found = [keyword.value for keyword in node.keywords if keyword.arg == "mode"]
    found += node.args[position : position + 1]
    mode = found[0] if found else None
    return mode.value if isinstance(mode, ast.Constant) and isinstance(mode.value, str) else ""


def writes(node: ast.Call) -> bool:
    """Say whether open, os.fdopen or os.open is called to write to something that is kept."""
    if node.args and ast.unparse(node.args[0]) == "os.devnull":
        return False
    flags = ast.unparse(node.args[1]) if len(node.args) > 1 else ""
    if any(flag in flags for flag in ("O_WRONLY", "O_RDWR", "O_CREAT", "O_APPEND")):
        return True
    return any(letter in constant_mode(node, 1) for letter in "wax+")


def path_writes(node: ast.Call) -> bool:
    """Say whether a method called open, such as Path's, is called to write."""
    return any(letter in constant_mode(node, 0) for letter in "wax+")


def test_time_output_environment_and_files_have_one_door() -> None:
    wrong, used = [], set()
    for module in MODULES.values():
        for use, line in uses(module):
            if module.is_in(USES[use]):
                continue
            if (module.name, use) in WAIVED:
                used.add((module.name, use))
                continue
            door = ", ".join(sorted(USES[use])) or "nowhere"
            wrong.append(f"{module.path}:{line}: {use} is for {door}")
    assert not wrong, "\n".join(wrong)
    idle = set(WAIVED) - used - {(name, library) for name, library in WAIVED if library in HOMES}
    assert not idle, f"waivers that nobody needs any more: {sorted(idle)}"


@pytest.mark.parametrize(
    ("source", "use"),
    [
        ("import os\nos.environ['X']", "os.environ"),
        ("from os import environ\nenviron['X']", "os.environ"),
        ("import time\ntime.time()", "time.time"),
        ("from time import sleep\nsleep(1)", "time.sleep"),
        ("import datetime\ndatetime.datetime.now()", "datetime.datetime.now"),
        ("from datetime import datetime\ndatetime.now()", "datetime.datetime.now"),
        ("print('x')", "print"),
        ("import sys\nsys.exit(1)", "sys.exit"),
        ("import os\nos.replace(a, b)", "os.replace"),
        ("from dver.base.osat import osat\nosat.rename(a, b)", "os.rename"),
        ("open(path, 'wb')", "open to write"),
        ("open(path, mode='a')", "open to write"),
        ("import os\nos.open(path, os.O_WRONLY | flags)", "open to write"),
        ("import os\nos.fdopen(fd, 'r+b')", "open to write"),
        ("path.open('x')", "open to write"),
        ("Path('x').write_text('')", "write_text"),
        ("eval('1')", "eval"),
    ],
)
def test_the_search_finds(source: str, use: str, tmp_path: Path) -> None:
    path = tmp_path / "module.py"
    path.write_text(source)
    assert use in [found for found, _ in uses(Module("x", path))]


@pytest.mark.parametrize(
    "source",
    [
        "open(path)",
        "open(path, 'rb')",
        "path.open()",
        "import os\nos.open(path, os.O_RDONLY)",
        "printer.print('x')",
        "clock.sleep(1)",
        "Store.open(storage)",
        "open(os.devnull, 'wb')",
        "def f():\n    fsio.step('rename')\n    os.rename(a, b)",
        "re.compile('w')",
    ],
)
def test_the_search_lets_pass(source: str, tmp_path: Path) -> None:
    path = tmp_path / "module.py"
    path.write_text(source)
    assert list(uses(Module("x", path))) == []


# sizes


def test_modules_are_short() -> None:
    long = {module.name: module.lines for module in MODULES.values() if module.lines > MAX_MODULE}
    assert not long, f"over {MAX_MODULE} lines, perhaps two ideas each: {long}"


def test_functions_are_short() -> None:
    long = []
    for module in MODULES.values():
        for node in ast.walk(module.tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = (node.end_lineno or node.lineno) - node.lineno + 1
                if length > MAX_FUNCTION:
                    long.append(f"{module.path}:{node.lineno}: {node.name} has {length} lines")
    assert not long, f"over {MAX_FUNCTION} lines, a missing idea each:\n" + "\n".join(long)
