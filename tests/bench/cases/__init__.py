"""What is measured, against what, and the marks that are promised."""

from __future__ import annotations

from collections.abc import Callable

from tests.bench.cases import (
    durability,
    history,
    largefile,
    lineage,
    migration,
    reading,
    s3,
    scale,
    smallfiles,
    starting,
    store,
)
from tests.bench.lab import Case, Lab

STANDARD: dict[str, Callable[[Lab], Case]] = {
    **smallfiles.CASES,
    **s3.CASES,
    **largefile.CASES,
    **history.CASES,
    **store.CASES,
    **durability.CASES,
    **reading.CASES,
    **starting.CASES,
    **lineage.CASES,
    **migration.CASES,
}
SCALE = scale.CASES
