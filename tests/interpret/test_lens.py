"""The logit lens of B columns on a head that is known."""

from __future__ import annotations

import pytest
import torch

from axenic.errors import UsageError
from axenic.interpret.lens import adapter_lens

pytestmark = pytest.mark.unit


def test_lens_names_the_word_that_b_writes(lora):
    opened = lora(rank=2, at=(1,), targets=("down_proj", "q_proj"))
    head, tokenizer = opened.sites.model.get_output_embeddings().weight, opened.tokenizer
    one, two = tokenizer.convert_tokens_to_ids(["fever", "stocks"])
    with torch.no_grad():
        head.zero_()
        head[one, 3], head[two, 3] = 1.0, -1.0
        head[two, 5] = 2.0
        site = opened.sites.lora_modules()["model.layers.1.mlp.down_proj"]
        site.lora_B.weight.zero_()
        site.lora_B.weight[3, 0] = 0.5
        site.lora_B.weight[5, 1] = -0.5
    first, second = adapter_lens(opened, top=1)
    assert (first.layer, first.component, second.component) == (1, 0, 1)
    assert (first.positive[0][0], first.negative[0][0]) == ("fever", "stocks")
    assert second.negative[0][0] == "stocks"
    # RMS norm of a vector along one of 32 axes is sqrt(32), times the norm's own weight of 1.
    assert first.positive[0][1] == pytest.approx(32**0.5, rel=1e-4)


def test_lens_is_the_head_behind_the_norm(lora):
    opened = lora(targets=("o_proj", "down_proj"))
    opened.sites.final_norm.weight.data.uniform_(0.5, 2.0)
    found = adapter_lens(opened, top=4)
    assert len(found) == 6
    for item in found:
        column = opened.sites.lora_modules()[item.module].lora_B.weight[:, item.component]
        unit = column / column.pow(2).mean().sqrt() * opened.sites.final_norm.weight
        logits = opened.sites.model.get_output_embeddings().weight @ unit
        values, ids = logits[: len(opened.tokenizer)].topk(4)
        assert [value for _, value in item.positive] == pytest.approx(values.tolist(), rel=1e-4)
        assert [text for text, _ in item.positive] == [opened.tokenizer.decode([i]) for i in ids.tolist()]
        assert [value for _, value in item.negative] == pytest.approx(
            (-logits).topk(4).values.tolist(), rel=1e-4
        )


def test_at_least_one_token(lora):
    with pytest.raises(UsageError, match="no tokens"):
        adapter_lens(lora(), top=0)
