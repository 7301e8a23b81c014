"""One command that ends at a numbered step: killed there, or by a power cut.

``python -m tests.faults.stepped STEP KIND SEED KEPT TOP PRISTINE AFTER -- ARGS...``. Every write,
sync, rename and so on of dver's files is a step; see :func:`dver.base.fsio.step`. With KIND
``power`` what a power cut leaves of TOP is written to AFTER. Prints nothing of its own; a command
that comes to its end before the step exits as it does.
"""

from __future__ import annotations

import os
import random
import signal
import sys
from pathlib import Path

from dver.base import fsio
from tests.faults.powerloss import Disk


def main() -> int:
    """Run the command."""
    step, kind, seed, kept, top, pristine, after, _, *args = sys.argv[1:]
    disk = Disk(Path(top), Path(pristine)) if kind == "power" else None
    left = int(step)

    def count(_name: str) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            fsio.install_hook(None)
            if disk is not None:
                disk.cut(Path(after), random.Random(int(seed)), float(kept))
            os.kill(os.getpid(), signal.SIGKILL)

    from dver.cli.main import main as run

    if disk is not None:
        disk.watch()
    fsio.install_hook(count)
    code = run(args)
    if disk is not None:
        disk.cut(Path(after), random.Random(int(seed)), float(kept))
    return code


if __name__ == "__main__":
    sys.exit(main())
