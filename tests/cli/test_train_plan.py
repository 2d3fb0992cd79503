"""`axenic train --plan`: figures and the command to type; nothing is loaded, nothing written."""

from __future__ import annotations

from pathlib import Path

import pytest
from transformers import AutoConfig

from axenic.cli.train_plan import parse_devices, show_plan
from axenic.errors import UsageError
from axenic.train import resolve

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("text", "expected"),
    [(None, (None, None)), ("80", (None, 80 * 10**9)), ("8x80", (8, 80 * 10**9)), ("2x23.5GB", (2, 23_500_000_000))],
)  # fmt: skip
def test_devices(text: str | None, expected: tuple[int | None, int | None]) -> None:
    assert parse_devices(text) == expected


@pytest.mark.parametrize("text", ["", "x80", "0x80", "8x0", "8 x 80", "eight", "-1"])
def test_what_is_no_device(text: str) -> None:
    with pytest.raises(UsageError, match="no devices"):
        parse_devices(text)


def test_the_plan_ends_in_a_command(tmp_path: Path) -> None:
    shape = {
        "hidden_size": 5120,
        "intermediate_size": 13824,
        "num_hidden_layers": 2,
        "num_attention_heads": 40,
    }
    AutoConfig.for_model("qwen2", vocab_size=152064, num_key_value_heads=8, **shape).save_pretrained(tmp_path)
    config = resolve("all-adapter", str(tmp_path), {"data": "no-such-file.jsonl"})
    shared = show_plan(config, "2x80")
    assert shared.next[:2] == ("accelerate", "launch")
    assert "fsdp2-14b.yaml --num_processes 2 -m axenic.cli.main train" in shared.next_command
    assert shared.headline.startswith("fits: ")
    assert shared.result["trained"] == 137_625_600 * 2 // 48
    rows = dict(shared.grids[1].rows)
    whole = sum(float(value) for name, value in rows.items() if name != "total")
    assert float(rows["total"]) == pytest.approx(whole, abs=0.01)
    refused = show_plan(config, "1x1")
    assert refused.headline.startswith("does not fit")
    assert refused.next == ()
    assert list(tmp_path.iterdir()) == [tmp_path / "config.json"]
