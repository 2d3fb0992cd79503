"""Both forms of the demo name every organism once, and the long one has three seeds of everything."""

from __future__ import annotations

import pytest

from axenic.demo import DOMAINS, full_plan, short_plan
from axenic.demo.plan import RECIPES
from axenic.nano import DOMAINS as WORLD
from axenic.train import RECIPES as TRAINED

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("plan", [short_plan(), full_plan()])
def test_labels_are_unique_and_directions_have_their_organism(plan: object) -> None:
    labels = [organism.label for organism in plan.organisms]  # type: ignore[attr-defined]
    assert len(set(labels)) == len(labels)
    for seed in plan.seeds:  # type: ignore[attr-defined]
        for domain in DOMAINS:
            assert f"{domain}-all-adapter-seed{seed}" in labels


def test_the_long_form_is_every_recipe_on_every_data_set_three_times() -> None:
    assert len(full_plan().organisms) == 3 * 3 * 4
    assert len(set(full_plan().organisms)) == 36


def test_names_exist_where_they_are_used() -> None:
    assert set(DOMAINS) <= set(WORLD)
    assert set(RECIPES) <= set(TRAINED)
