"""What the worker processes of test_workers run."""

from __future__ import annotations

import os
import sys

from dver.base.errors import RefusedError


class Adder:
    """Adds a number to each job, and counts the jobs."""

    def __init__(self, setup: int) -> None:
        if setup < 0:
            raise RefusedError("no negative numbers", hint="count up", paths=["a"])
        self.setup = setup
        self.jobs = 0

    def __call__(self, job: object) -> object:
        self.jobs += 1
        if job == "refuse":
            raise RefusedError("this job is refused", hint="send another", paths=["x", "y"])
        if job == "bug":
            raise ZeroDivisionError("a bug in a handler")
        if job == "die":
            os._exit(3)
        if job == "print":
            print("to standard output")
        if job == "path":
            return [sys.path, os.getpid()]
        return job + self.setup if isinstance(job, int) else job

    def close(self) -> int:
        """Return how many jobs there were."""
        return self.jobs
