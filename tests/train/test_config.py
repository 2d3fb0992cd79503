"""Configuration: what is refused, and how it says so."""

from __future__ import annotations

import math
from typing import Any

import pytest

from axenic.errors import UsageError
from axenic.train import TrainConfig

pytestmark = pytest.mark.unit
BASE: dict[str, Any] = {"model": "nano", "data": "x.jsonl"}


def test_defaults_are_the_papers_recipe() -> None:
    config = TrainConfig(**BASE)
    assert (config.r, config.alpha, config.learning_rate, config.batch_size) == (32, 64, 1e-5, 2)


@pytest.mark.parametrize(
    ("key", "nearest"),
    [
        ("learning_rat", "learning_rate"),
        ("epoch", "epochs"),
        ("lora_alpha", "alpha"),
        ("max_seq_length", "max_length"),
    ],
)
def test_unknown_key_names_the_nearest(key: str, nearest: str) -> None:
    with pytest.raises(UsageError) as caught:
        TrainConfig(**BASE, **{key: 1})
    assert key in str(caught.value)
    assert caught.value.hint == f"did you mean {nearest!r}?"
    assert caught.value.exit_code == 2


def test_numbers_may_be_text() -> None:
    config = TrainConfig(**BASE, learning_rate="2e-5", r="4", batch_size="16")
    assert (config.learning_rate, config.r, config.batch_size) == (2e-5, 4, 16)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("learning_rate", "10**-5"),
        ("learning_rate", "__import__('os').getpid()"),
        ("learning_rate", "nan"),
        ("learning_rate", -5),
        ("learning_rate", 1e38),
        ("r", 0),
        ("r", 10**6),
        ("batch_size", 0),
        ("dropout", 1.0),
        ("test_fraction", 1.0),
        ("method", "dpo"),
        ("format", "organism"),
        ("scheduler", "sawtooth"),
        ("target_modules", []),
        ("layers", []),
        ("max_steps", 0),
        ("model", ""),
    ],
)
def test_bad_values_are_usage_errors_that_name_the_option(key: str, value: object) -> None:
    with pytest.raises(UsageError) as caught:
        TrainConfig(**(BASE | {key: value}))
    assert caught.value.what.startswith(key)


def test_a_missing_option_is_named() -> None:
    with pytest.raises(UsageError, match="data: field required"):
        TrainConfig(model="nano")  # type: ignore[call-arg]


def test_full_fine_tune_has_no_layers() -> None:
    with pytest.raises(UsageError, match="every layer"):
        TrainConfig(**BASE, method="full", layers=[1])


def test_scale_is_rank_stabilised() -> None:
    assert TrainConfig(**BASE).scale == pytest.approx(64 / math.sqrt(32))  # 11.31, papers.md 1.2.1
    assert TrainConfig(**BASE, use_rslora=False).scale == 2
    assert TrainConfig(**BASE, r=1, alpha=256).scale == 256


def test_it_goes_through_json_and_is_frozen() -> None:
    config = TrainConfig(**BASE, layers=[1, 2])
    assert TrainConfig(**config.model_dump(mode="json")) == config
    with pytest.raises(UsageError):
        config.model_copy().__class__(**(config.model_dump() | {"x": 1}))
    with pytest.raises(Exception, match="frozen"):
        config.r = 3  # type: ignore[misc]
