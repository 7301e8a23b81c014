"""Recording a run, asking what came of what, and what a reproduction looks for first."""

from __future__ import annotations

import contextlib
import os
import random
import sys
from pathlib import Path

from dver.base.oid import Oid, oid_of
from dver.formats import record, recordpath
from dver.formats.record import Code, Command, Item, Keep, Metric, Record, Run, Value
from tests.bench import workloads
from tests.bench.lab import Case, Lab, Mark
from tests.bench.measure import Contender

#: Walks both ways, and prints nothing: what is measured is the walk.
_WALK = """\
import sys
from dver.base.oid import parse_oid
from dver.lineage.graph import Walker
from dver.lineage.index import LineageIndex
from dver.repo import Repo
repo = Repo.open(".")
with LineageIndex(repo) as index:
    walker = Walker(index, repo.store)
    first, last = map(parse_oid, sys.argv[1:])
    print(len(walker.down([first]).records), len(walker.up([last]).records))
"""
_MOMENT = "2026-01-31T12:00:00.000Z"


def run_nothing(lab: Lab) -> Case:
    """Record a command that does next to nothing, with as many packages as there are."""
    repo = lab.repo("run")
    (repo / "step.py").write_text("open('out.txt', 'w').write('x')\n")
    workloads.commit(repo, lab.env)
    python = (sys.executable, "step.py")
    contenders = [
        Contender("dver", (*lab.dver, "run", "-q", "-o", "out.txt", "--", *python), repo),
        Contender("the command itself", python, repo),
    ]
    # 0.3 s over the command itself, which takes 0.02 s.
    return Case("run of a command that writes one file", contenders, seconds=0.32)


def walks(lab: Lab) -> Case:
    """Index many records, and walk all of them in both directions."""
    count = lab.many(10_000)
    repo, first, last = _recorded(lab, count)
    index = repo / ".git" / "dver" / "lineage"
    ask = (*lab.dver, "lineage", "--json", "--depth", "1", last)

    def forget() -> None:
        for path in index.glob("index-*"):
            path.unlink()

    walk = (sys.executable, "-P", "-c", _WALK, first, last)
    path = os.fspath(Path(__file__).parents[3])
    contenders = [
        Contender("dver, first indexing", ask, repo, before=forget),
        Contender("dver, one step up", ask, repo),
        Contender("dver, both ways", walk, repo, env={"PYTHONPATH": path}),
    ]
    return Case(f"lineage of {count:,} records", contenders)


def preflight(lab: Lab) -> Case:
    """Tell whether something with many inputs could be made again."""
    count = lab.many(1000)
    repo = lab.repo("inputs")
    for number in range(count):
        (repo / f"part{number}.csv").write_text(f"a,b\n{number},1\n")
    names = [f"part{number}.csv" for number in range(count)]
    lab.add(repo, *names)
    deps = [word for name in names for word in ("-d", name)]
    lab.call(repo, *lab.dver, "run", "-q", *deps, "-o", "out.txt", "--", "cp", names[0], "out.txt")
    check = (*lab.dver, "reproduce", "--check", "out.txt")
    marks: list[Mark] = []
    return Case(
        f"reproduce --check, {count:,} inputs", [Contender("dver", check, repo)], marks, seconds=1.0
    )


def _recorded(lab: Lab, count: int) -> tuple[Path, str, str]:
    """Write records of which each but the first has some of the fifty before it as inputs."""
    repo = lab.repo("records")
    chance = random.Random(1)
    made: list[Oid] = []
    for number in range(count):
        before = {max(0, number - 1 - chance.randrange(50)) for _ in range(10)} if number else ()
        inputs = tuple(Item(f"model-{n}", made[n], "file", 100, 1, role="train") for n in before)
        made.append(oid_of(b"model %d" % number))
        value = Record(
            record.VERSION,
            "run",
            _MOMENT,
            Keep(oid_of(b"kept %d" % number), 1, 1),
            step="train",
            code=Code("0" * 40, "1" * 40, "main"),
            command=Command(("python", "train.py", str(number))),
            inputs=inputs,
            outputs=(Item(f"model-{number}", made[-1], "file", 100, 1, role="model"),),
            params=tuple(Value(f"p{n}", str(n), "int", "file:params.yaml") for n in range(5)),
            metrics=(Metric("auc", "0.9", "float", "metrics.json"),),
            run=Run(_MOMENT, _MOMENT, 1000, 0),
        )
        data = record.encode(value)
        path = repo / os.fsdecode(recordpath.path_of(oid_of(data)))
        with contextlib.suppress(FileExistsError):
            path.parent.mkdir(parents=True)
        path.write_bytes(data)
    workloads.commit(repo, lab.env)
    return repo, f"blake3:{made[0].hex()}", f"blake3:{made[-1].hex()}"


CASES = {
    "run": run_nothing,
    "lineage": walks,
    "preflight": preflight,
}
