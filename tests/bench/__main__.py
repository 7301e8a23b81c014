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

from tests.bench.cases import SCALE, STANDARD, Case, Lab
from tests.bench.measure import Failed, Series, compare, machine
from tests.bench.workloads import hermetic


def main() -> int:
    args = arguments()
    work = Path(tempfile.mkdtemp(prefix="dver-bench-", dir=args.directory))
    dvc = find_dvc(args.peers)
    env = hermetic(work / "home")
    cases = {**STANDARD, **(SCALE if args.scale_cases else {})}
    chosen = args.only.split(",") if args.only else list(cases)
    results: dict[str, object] = {"machine": machine(), "runs": args.runs, "cases": {}}
    fallen = 0
    print(f"{machine()}; medians of {args.runs} runs\n\n{render([])}", flush=True)
    try:
        for key in chosen:
            make = {**STANDARD, **SCALE}[key]
            print(f"... {key}", file=sys.stderr, flush=True)
            try:
                with ExitStack() as stack:
                    program = (sys.executable, "-P", "-m", "dver")
                    lab = Lab(work, env, program, dvc, args.size, stack)
                    case = make(lab)
                    series = compare(case.contenders, env, args.runs)
            except (Failed, OSError, ImportError) as error:
                print(line([key, "-", "failed", "-", str(error)[-200:]]), flush=True)
                fallen += 1
                continue
            rows, missed = table_rows(case, series)
            print("\n".join(map(line, rows)), flush=True)
            fallen += missed
            results["cases"][key] = {one.name: [vars_of(r) for r in one.runs] for one in series}  # type: ignore[index]
            if args.json:
                Path(args.json).write_text(json.dumps(results, indent=1) + "\n")
            if key not in ("million", "million-status"):
                clean(work)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return 1 if fallen and args.strict else 0


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--only", help="comma-separated names of cases")
    parser.add_argument("--runs", type=int, default=5, help="runs of each command (default 5)")
    parser.add_argument("--size", type=float, default=1.0, help="scale all workloads by this")
    parser.add_argument("--scale-cases", action="store_true", help="also 1,000,000 files and 20 GB")
    parser.add_argument("--compare", action="store_true", help="accepted; comparing is the default")
    parser.add_argument("--peers", type=Path, help="virtual environment with DVC, made if missing")
    parser.add_argument("--directory", help="where to work (default: the temporary directory)")
    parser.add_argument("--json", help="write all figures to this file")
    parser.add_argument("--strict", action="store_true", help="exit with 1 if a mark is missed")
    return parser.parse_args()


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


def vars_of(run: object) -> dict[str, float]:
    return {name: getattr(run, name) for name in ("seconds", "cpu", "peak")}


def table_rows(case: Case, series: list[Series]) -> tuple[list[list[str]], int]:
    """Return the rows for one case, and how many marks dver misses in it."""
    by_name = {one.name: one for one in series}
    own = by_name["dver"]
    rows, missed = [], 0
    for one in series:
        low, high = one.span
        verdicts = []
        for mark in case.marks:
            if mark.against == one.name:
                ratio = own.median / one.median
                missed += ratio > mark.ratio
                sign = "ok" if ratio <= mark.ratio else "MISSED"
                verdicts.append(f"{ratio:.2f} x (mark {mark.ratio:.2f} x: {sign})")
        if one is own:
            if case.seconds is not None:
                missed += own.median > case.seconds
                verdicts.append(f"mark {case.seconds:.2f} s: {own.median <= case.seconds}")
            if case.peak is not None:
                missed += own.peak > case.peak
                verdicts.append(f"mark {case.peak >> 20} MiB: {own.peak <= case.peak}")
        elif not verdicts:
            verdicts.append(f"{own.median / one.median:.2f} x")
        rows.append(
            [
                case.name if one is series[0] else "",
                one.name,
                f"{one.median:.3f} s ({low:.3f}-{high:.3f})",
                f"{one.peak >> 20} MiB",
                "; ".join(verdicts).replace("True", "ok").replace("False", "MISSED"),
            ]
        )
    return rows, missed


def render(rows: list[list[str]]) -> str:
    head = ["work", "command", "wall, median (min-max)", "peak memory", "dver / this"]
    return "\n".join(map(line, [head, ["---"] * len(head), *rows]))


def line(cells: list[str]) -> str:
    return "| " + " | ".join(cells).replace("\n", " ") + " |"


if __name__ == "__main__":
    sys.exit(main())
