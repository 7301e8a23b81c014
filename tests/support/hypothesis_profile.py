"""How hypothesis runs: the same examples every time, unless somebody asks for a long hunt.

Import it in the ``conftest.py`` of a directory whose tests use hypothesis.
"""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

settings.register_profile(
    "suite",
    deadline=None,
    derandomize=True,
    database=None,
    max_examples=60,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
settings.register_profile(
    "hunt", settings.get_profile("suite"), derandomize=False, max_examples=5000
)
settings.load_profile(os.environ.get("DVER_HYPOTHESIS", "suite"))
