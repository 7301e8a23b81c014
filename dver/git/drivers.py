"""Telling git, in this clone alone, to merge and to show pointers with dver.

Git needs two things: an attribute of the files, and the command that it stands for. The command
can only be in the configuration of a clone, since nothing that is committed may name a program; so
the attribute is kept beside it, in ``info/attributes``, and nothing needs to be committed. Where
the attribute is committed all the same, clones without the command merge pointers as text.
"""

from __future__ import annotations

import os
from pathlib import Path

from dver.base import fsio
from dver.git.repository import Git

DRIVER = "git-driver"
# Whoever deletes dver's directory must not lose `git diff` with it, nor one side of a merge:
# without the script, git does with pointers what it does with any text.
_WHERE = f'd="$(git rev-parse --git-common-dir)/dver/{DRIVER}"; [ -f "$d" ]'
_MERGE = (
    f'{_WHERE} && {{ sh "$d" merge %O %A %B %L %P; exit; }};'
    " git merge-file -L ours -L base -L theirs %A %O %B"
)
_TEXTCONV = f"""sh -c '{_WHERE} && exec sh "$d" textconv "$1"; exec cat -- "$1"' dver"""
_NOTE = b"# The next line is dver's; 'dver hooks uninstall' takes both away.\n"
_MAX_ATTRIBUTES = 16 << 20

#: name of the driver -> (section of git's configuration, its keys, the attribute)
DRIVERS = {
    "merge": (
        "merge.dver",
        {
            "name": "merge pointers of dver, file by file",
            "driver": _MERGE,
            "recursive": "binary",
        },
        b"merge=dver",
    ),
    "diff": ("diff.dver", {"textconv": _TEXTCONV}, b"diff=dver"),
}


def is_configured(git: Git, name: str) -> bool:
    """Tell whether a driver is set up in this clone just as this version of dver does it."""
    section, wanted, attribute = DRIVERS[name]
    return _section(git, section) == wanted and attribute in _attributes(_read(_file(git)))


def is_there(git: Git, name: str) -> bool:
    """Tell whether a driver is set up in this clone, be it as another version does it."""
    return bool(_section(git, DRIVERS[name][0]))


def configure(git: Git, name: str) -> bool:
    """Set a driver up; return False if it was."""
    if is_configured(git, name):
        return False
    section, wanted, attribute = DRIVERS[name]
    if _section(git, section):
        git.run("config", "--local", "--remove-section", section)
    for key, value in wanted.items():
        git.run("config", "--local", f"{section}.{key}", value)
    _set_attributes(git, _attributes(_read(_file(git))) | {attribute})
    return True


def remove(git: Git, name: str) -> bool:
    """Take a driver away; return False if there was none."""
    section, _, attribute = DRIVERS[name]
    there = _section(git, section)
    if there:
        git.run("config", "--local", "--remove-section", section)
    attributes = _attributes(_read(_file(git)))
    if attribute in attributes:
        _set_attributes(git, attributes - {attribute})
    return bool(there) or attribute in attributes


def _section(git: Git, section: str) -> dict[str, str]:
    out = git.run(
        *("config", "--local", "-z", "--get-regexp", f"^{section.replace('.', '[.]')}[.]"),
        answers=(0, 1),
    )
    pairs = (os.fsdecode(one).partition("\n") for one in out.split(b"\0") if one)
    return {key.rpartition(".")[2]: value for key, _, value in pairs}


def _file(git: Git) -> Path:
    return git.common_dir / "info" / "attributes"


def _read(path: Path) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read(_MAX_ATTRIBUTES)
    except FileNotFoundError:
        return b""
    except OSError as error:
        raise fsio.failure(error, "read", path) from error


def _attributes(data: bytes) -> frozenset[bytes]:
    """Return the attributes that dver's own lines set; they stand first, so that others win."""
    if not data.startswith(_NOTE):
        return frozenset()
    words = data[len(_NOTE) :].partition(b"\n")[0].split(b" ")
    return frozenset(words[1:]) if words[0] == b"*.dver" else frozenset()


def _set_attributes(git: Git, attributes: frozenset[bytes]) -> None:
    path = _file(git)
    data = _read(path)
    if _attributes(data):
        data = data[len(_NOTE) :].partition(b"\n")[2]
    if attributes:
        data = _NOTE + b"*.dver " + b" ".join(sorted(attributes)) + b"\n" + data
    if data:
        fsio.write_atomic(path, data, durable=False)
    else:
        fsio.remove(path)
