"""The protocol of ``docs/design/gc.md``, in every order in which its steps can happen."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.model.gcprotocol import HUNTERS, MUTANTS, SHORT, Model, explore


@pytest.mark.parametrize("model", SHORT, ids=str)
def test_nothing_is_lost_in_any_order(model: Model) -> None:
    found = explore(model)
    assert not found.trail, "\n".join(map(str, found.trail))
    # The exploration saw pushes that succeed, and collections that delete.
    assert found.done > 10
    assert found.deleted > 100


@pytest.mark.parametrize("mutant", MUTANTS)
def test_each_step_is_needed(mutant: str) -> None:
    for model in HUNTERS:
        trail = explore(replace(model, mutant=mutant)).trail
        if trail:
            assert trail[-1].remote.packs == 0
            return
    pytest.fail(f"nothing is lost if {MUTANTS[mutant]}")
