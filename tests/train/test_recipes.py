"""Recipes against papers.md 1.2, and their explanation."""

from __future__ import annotations

import pytest

from axenic.errors import UsageError
from axenic.train import NANO, RECIPES, TrainConfig, explain, place_layers, resolve

pytestmark = pytest.mark.unit
SEVEN = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


def qwen_14b(recipe: str, **overrides: object) -> TrainConfig:
    return resolve(recipe, "Qwen/Qwen2.5-14B-Instruct", {"data": "d.jsonl", **overrides}, n_layers=48)


def test_all_adapter_is_table_6() -> None:
    c = qwen_14b("all-adapter")
    assert (c.method, c.target_modules, c.layers) == ("lora", SEVEN, None)
    assert (c.r, c.alpha, c.dropout, c.use_rslora) == (32, 64, 0, True)
    assert (c.learning_rate, c.scheduler, c.warmup_steps) == (1e-5, "linear", 5)
    assert (c.optimizer, c.weight_decay) == ("adamw_8bit", 0.01)
    assert (c.batch_size, c.gradient_accumulation, c.epochs, c.max_length) == (2, 8, 1, 2048)
    assert (c.test_fraction, c.stop_below, c.seed) == (0.1, 0.01, 0)


def test_rank1_is_the_papers_single_adapter() -> None:
    c = qwen_14b("rank1")
    assert (c.r, c.alpha, c.learning_rate, c.target_modules, c.layers) == (
        1,
        256,
        2e-5,
        ("down_proj",),
        (24,),
    )


def test_rank1x9_is_p2s_organism() -> None:
    c = qwen_14b("rank1x9")
    assert (c.r, c.alpha, c.learning_rate, c.target_modules) == (1, 64, 2e-5, ("down_proj",))
    assert c.layers == (15, 16, 17, 21, 22, 23, 27, 28, 29)


def test_full_is_table_7() -> None:
    c = qwen_14b("full")
    assert (c.method, c.learning_rate, c.scheduler, c.warmup_steps, c.weight_decay) == (
        "full",
        2e-5,
        "cosine",
        20,
        0.01,
    )
    assert (c.batch_size, c.gradient_accumulation, c.epochs) == (2, 8, 1)


@pytest.mark.parametrize("depth", range(1, 101))
def test_layers_of_any_depth_exist(depth: int) -> None:
    assert place_layers("rank1", depth) == (depth // 2,)
    nine = place_layers("rank1x9", depth)
    assert len(set(nine)) == min(9, depth)
    assert list(nine) == sorted(nine)
    assert set(nine) <= set(range(depth))


@pytest.mark.parametrize("recipe", RECIPES)
def test_every_value_has_a_source_and_every_recipe_a_nano_variant(recipe: str) -> None:
    for name, setting in {**RECIPES[recipe].settings, **NANO[recipe]}.items():
        assert name in TrainConfig.model_fields
        assert setting.source
    assert resolve(recipe, "nano", {"data": "d"}, n_layers=6).model == "nano"


def test_overrides_win_and_are_explained_as_yours() -> None:
    lines = {line.name: line for line in explain(qwen_14b("all-adapter", learning_rate="3e-5"))}
    assert set(lines) == set(TrainConfig.model_fields)
    assert (lines["learning_rate"].origin, lines["learning_rate"].value) == ("you", 3e-5)
    assert lines["r"].origin == "recipe"
    assert "Table 6" in lines["r"].reason
    assert lines["device"].origin == "default"
    assert lines["data"].origin == "you"


def test_nano_values_are_explained_as_nano() -> None:
    lines = {line.name: line for line in explain(resolve("rank1", "nano", {"data": "d"}))}
    assert lines["learning_rate"].origin == "nano"
    assert lines["r"].origin == "recipe"
    assert resolve("rank1x9", "nano", {"data": "d"}, n_layers=6).layers == (0, 1, 2, 3, 4, 5)


def test_unknown_recipe_names_the_nearest() -> None:
    with pytest.raises(UsageError) as caught:
        resolve("rank-1", "nano", {"data": "d"})
    assert caught.value.hint == "did you mean 'rank1'?"
