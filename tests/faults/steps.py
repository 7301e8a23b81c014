"""Stop commands at each of their steps, by a kill or a power cut, and see that nothing is lost.

``python -m tests.faults.steps`` goes through all steps of all commands; the ordinary test run takes
a few. A step is what :func:`dver.base.fsio.step` marks: an instant at which stopping leaves another
state on the disk. After a power cut three disks are looked at: one that kept only what was synced,
one that kept everything, and one that kept a random part. Then the same is asked as in
:mod:`tests.faults.kills`.
"""

from __future__ import annotations

import argparse
import random
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from tests.faults.kills import VICTIMS, Lab, Victim, check, environment, prepare

#: How likely a change that was not synced is there after a power cut.
KEPT = {"kill": (1.0,), "power": (0.0, 1.0, 0.5)}
ROOT = Path(__file__).parent.parent.parent


class Course:
    """One command, prepared, so that it can be stopped at any step."""

    def __init__(self, lab: Lab, victim: Victim, env: Mapping[str, str], scratch: Path) -> None:
        self._victim = victim
        # What other processes write could not be watched.
        self._env = {**env, "DVER_CORE_WORKERS": "1", "PYTHONPATH": str(ROOT)}
        self._scratch = scratch
        # At the place of the trials, since dver notes where a remote is that one agreed to.
        self._ready = lab.copy(scratch / "trial")
        victim.before(self._ready, self._env)
        self._ready.top.rename(scratch / "ready")
        self._ready = Lab(scratch / "ready", lab.versions)

    def stop(self, step: int, kind: str, seed: int, kept: float) -> bool:
        """Stop at a step and check; say whether the command had that many steps."""
        lab = self._ready.copy(self._scratch / "trial")
        after = self._scratch / "after"
        where = self._victim.cwd(lab)
        words = (str(step), kind, str(seed), str(kept), lab.top, self._ready.top, after)
        done = subprocess.run(
            [sys.executable, "-m", "tests.faults.stepped", *map(str, words), "--",
             *self._victim.args],
            cwd=where, env=self._env, capture_output=True, check=False,
        )  # fmt: skip
        stopped = done.returncode == -signal.SIGKILL
        assert stopped or done.returncode == 0, done.stdout.decode() + done.stderr.decode()
        if kind == "power":
            shutil.rmtree(lab.top)
            after.rename(lab.top)
        # A file of the workspace that was being written may be there in part, and so looks edited;
        # pulling and checking out do not wait for the disk, as git does not.
        writes = self._victim.name in ("checkout", "pull") and (where / "data").exists()
        again = ("--force",) if kind == "power" and writes else ()
        try:
            check(lab, self._victim, self._env, again)
        except AssertionError as error:
            raise AssertionError(
                f"{self._victim.name}: {kind} at step {step}, seed {seed}, kept {kept}: {error}"
            ) from error
        shutil.rmtree(lab.top)
        return stopped

    def steps(self, kind: str, seed: int, every: int) -> Iterator[int]:
        """Stop at each step, or at one in so many; yield their numbers. The last is the end."""
        rng = random.Random(f"{self._victim.name} {kind} {seed}")
        step = rng.randint(1, every)
        going = True
        while going:
            for kept in KEPT[kind]:
                going = self.stop(step, kind, rng.randrange(1 << 30), kept)
            yield step
            step += every


def main() -> int:
    """Run the campaign from the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.steps", description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--every", type=int, default=1, help="take one step in so many")
    parser.add_argument("--files", type=int, default=40, help="files in the data set")
    parser.add_argument("--only", help="one of " + ", ".join(VICTIMS))
    parser.add_argument("--kind", choices=("kill", "power"), help="default: both")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="dver-steps-") as temp:
        env = environment(Path(temp))
        lab = prepare(Path(temp) / "lab", env, files=args.files)
        for name, victim in VICTIMS.items():
            for kind in (args.kind,) if args.kind else ("kill", "power"):
                if args.only in (None, name):
                    scratch = Path(tempfile.mkdtemp(dir=temp))
                    course = Course(lab, victim, env, scratch)
                    found = list(course.steps(kind, args.seed, args.every))
                    times = len(found) * len(KEPT[kind])
                    print(
                        f"{name}: {times} x {kind}, up to step {found[-1]}, nothing lost",
                        flush=True,
                    )
                    shutil.rmtree(scratch)
    return 0


if __name__ == "__main__":
    sys.exit(main())
