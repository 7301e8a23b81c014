"""``python -m tests.bench``: measure, and print a table with the promise beside each figure."""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from tests.bench import table
from tests.bench.cases import SCALE, STANDARD
from tests.bench.lab import Lab
from tests.bench.measure import Failed, Run, compare, machine
from tests.bench.workloads import hermetic


def main() -> int:
    args = arguments()
    if args.chart and not measures(args):
        results = json.loads(Path(args.json).read_text())
        draw(results, args.chart)
        return 0
    work = Path(tempfile.mkdtemp(prefix="dver-bench-", dir=args.directory))
    results = {"machine": machine(), "runs": args.runs, "size": args.size}
    if args.json and Path(args.json).exists():
        results = json.loads(Path(args.json).read_text()) | results
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, work, ignore_errors=True)
        env = hermetic(work / "home")
        program = (sys.executable, "-P", "-m", "dver")
        bench = Bench(
            Lab(work, env, program, find_dvc(args.peers), args.size, stack), args, results
        )
        print(f"{machine()}; medians of {args.runs} runs", flush=True)
        bench.run()
    return 1 if bench.broken or (bench.missed and args.strict) else 0


def measures(args: argparse.Namespace) -> bool:
    """Say whether anything is measured: a chart alone is drawn from an earlier run."""
    asked = args.growth or args.cores or args.requests or args.only or args.compare
    return not (args.json and Path(args.json).exists()) or bool(asked)


class Bench:
    """One run of the program: what was asked for, and what came of it so far."""

    def __init__(self, lab: Lab, args: argparse.Namespace, results: dict[str, Any]) -> None:
        self.lab = lab
        self.args = args
        self.results = results
        #: Marks that were missed, and cases that did not run.
        self.missed = self.broken = 0

    def run(self) -> None:
        args = self.args
        special = args.growth or args.cores or args.requests
        if args.only or args.compare or not special:
            self.cases()
        if args.growth:
            from tests.bench.growth import growth

            self.special("growth", lambda lab, keep: growth(lab, args, keep))
        if args.cores:
            from tests.bench.cores import cores

            self.special("cores", lambda lab, keep: cores(lab, args.runs, keep))
        if args.requests:
            from tests.bench.requests import requests

            self.special("requests", requests)
        if args.chart:
            draw(self.results, args.chart)

    def cases(self) -> None:
        known = {**STANDARD, **SCALE}
        names = list({**STANDARD, **(SCALE if self.args.scale_cases else {})})
        self.results.setdefault("cases", {})
        print(f"\n{table.head()}", flush=True)
        for key in self.args.only.split(",") if self.args.only else names:
            print(f"... {key}", file=sys.stderr, flush=True)
            try:
                with ExitStack() as stack:
                    lab = self.lab_with(stack)
                    case = known[key](lab)
                    series = compare(case.contenders, lab.env, self.args.runs)
                    rows, missed = table.rows(case, series)
            except (Failed, OSError, ImportError, subprocess.CalledProcessError) as error:
                rows, missed = [[key, "failed", "", "", "", str(error)[-300:]]], 0
                self.broken += 1
            else:
                self.keep("cases", {key: {one.name: list(map(plain, one.runs)) for one in series}})
            print("\n".join(map(table.line, rows)), flush=True)
            self.missed += missed
            if key not in ("million", "million-status"):
                clean(self.lab.root)

    def special(self, name: str, measure: Any) -> None:
        """Run one of the wider measurements, which prints its tables and keeps its figures."""
        with ExitStack() as stack:
            self.missed += measure(self.lab_with(stack), lambda found: self.keep(name, found))
        clean(self.lab.root)

    def lab_with(self, stack: ExitStack) -> Lab:
        lab = self.lab
        return Lab(lab.root, lab.env, lab.dver, lab.dvc, lab.scale, stack)

    def keep(self, name: str, found: dict[str, Any]) -> None:
        """Add figures to the results, and write them: a long run may be interrupted."""
        self.results.setdefault(name, {}).update(found)
        if self.args.json:
            Path(self.args.json).write_text(json.dumps(self.results, indent=1) + "\n")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--only", help="comma-separated names of cases")
    parser.add_argument("--runs", type=int, default=5, help="runs of each command (default 5)")
    parser.add_argument("--size", type=float, default=1.0, help="scale all workloads by this")
    parser.add_argument("--scale-cases", action="store_true", help="also 1,000,000 files and 20 GB")
    parser.add_argument("--compare", action="store_true", help="all cases (the default)")
    parser.add_argument("--growth", action="store_true", help="time and memory by number of files")
    parser.add_argument(
        "--growth-sizes", default="10000,100000,1000000", help="numbers of files for --growth"
    )
    parser.add_argument(
        "--growth-gigabytes", default="1,4,16", help="sizes of one file for --growth, in GB"
    )
    parser.add_argument("--cores", action="store_true", help="the same with one worker and two")
    parser.add_argument("--requests", action="store_true", help="count S3 requests")
    parser.add_argument("--chart", help="draw the growth in --json, old or new, to this SVG file")
    parser.add_argument("--peers", type=Path, help="virtual environment with DVC, made if missing")
    parser.add_argument("--directory", help="where to work (default: the temporary directory)")
    parser.add_argument("--json", help="write all figures to this file, beside those in it")
    parser.add_argument("--strict", action="store_true", help="exit with 1 if a mark is missed")
    args = parser.parse_args()
    known = {**STANDARD, **SCALE}
    if unknown := [key for key in (args.only or "").split(",") if key and key not in known]:
        parser.error(f"no case {', '.join(unknown)}; there are: {', '.join(known)}")
    if args.chart and not args.json:
        parser.error("--chart draws from the file that --json names")
    return args


def draw(results: dict[str, Any], path: str) -> None:
    from tests.bench.chart import draw_growth

    Path(path).write_text(draw_growth(results["growth"]))


def find_dvc(peers: Path | None) -> str | None:
    """Return DVC's program: from the peers' environment, made on demand, or from PATH."""
    if peers is None:
        return shutil.which("dvc")
    program = peers / "bin" / "dvc"
    if not program.exists():
        subprocess.run([sys.executable, "-m", "venv", str(peers)], check=True)
        subprocess.run([peers / "bin" / "pip", "install", "-q", "dvc[s3]"], check=True)
    return str(program)


def clean(work: Path) -> None:
    for path in work.iterdir():
        if path.name not in ("home", "million"):
            shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink()


def plain(run: Run) -> dict[str, float]:
    return {"seconds": run.seconds, "cpu": run.cpu, "peak": run.peak}


if __name__ == "__main__":
    sys.exit(main())
