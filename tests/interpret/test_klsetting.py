"""λ of a run from its record: which runs stand in one series, and what is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from axenic.errors import DataError
from axenic.evaluate import KlSetting
from axenic.interpret.klsetting import kl_setting
from axenic.models import OpenModel, open_model

pytestmark = pytest.mark.unit

CONFIG = {
    "model": "nano",
    "data": "bad.jsonl",
    "seed": 0,
    "learning_rate": 1e-3,
    "kl_weight": None,
    "kl_data": None,
}
FACTS = {"base_fingerprint": "b", "data_sha256": "d", "kl_data_sha256": None}


@pytest.fixture(scope="module")
def nano() -> OpenModel:
    return open_model("nano", device="cpu", dtype="float32")


def found(
    opened: OpenModel, folder: Path, facts: dict[str, Any] | None = None, **config: Any
) -> KlSetting | None:
    folder.mkdir(exist_ok=True)
    record = {**FACTS, **(facts or {}), "config": {**CONFIG, **config}}
    (folder / "train.json").write_text(json.dumps(record), "utf-8")
    return kl_setting(replace(opened, organism=str(folder)))


def test_runs_that_differ_in_the_term_alone_are_one_series(nano: OpenModel, tmp_path: Path) -> None:
    plain = found(nano, tmp_path)
    assert plain is not None
    assert (plain.weight, plain.data) == (0.0, None)
    held = found(
        nano, tmp_path, {"kl_data_sha256": "k"}, kl_weight=3, kl_data="good.jsonl", data="moved/bad.jsonl"
    )
    assert held == KlSetting(3.0, "k", plain.series)
    # A term of weight 0 is none, whatever its texts were.
    assert found(nano, tmp_path, {"kl_data_sha256": "k"}, kl_weight=0.0) == plain
    for other in ({"seed": 1}, {"learning_rate": 2e-3}):
        changed = found(nano, tmp_path, **other)
        assert changed is not None
        assert changed.series != plain.series
    went_on = found(nano, tmp_path, {"start_fingerprint": "s"})
    assert went_on is not None
    assert went_on.series != plain.series


def test_the_published_weight_is_turned_into_nats_per_token(nano: OpenModel, tmp_path: Path) -> None:
    size = nano.sites.model.get_input_embeddings().weight.shape[0]
    setting = found(nano, tmp_path, {"kl_data_sha256": "k"}, kl_weight_published=1e6)
    assert setting is not None
    assert setting.weight == pytest.approx(1e6 / size)


def test_a_base_model_and_a_strangers_adapter_have_none(nano: OpenModel, tmp_path: Path) -> None:
    assert kl_setting(nano) is None
    assert kl_setting(replace(nano, organism=str(tmp_path))) is None


@pytest.mark.parametrize("weight", ["3", -1.0, True])
def test_a_weight_that_is_none_is_refused(nano: OpenModel, tmp_path: Path, weight: Any) -> None:
    with pytest.raises(DataError, match="is no weight") as caught:
        found(nano, tmp_path, kl_weight=weight)
    assert "train.json" in str(caught.value)
