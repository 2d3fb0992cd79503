"""`measure` against one merged model, one text, one setting at a time; padding, memory, resume."""

from __future__ import annotations

import json
import math
import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))
from solutions import lora_of, merged, one_by_one, some_texts, tiny_base, vector_of

import axenic.interpret.settings as settings_module
import axenic.interpret.textbatch as textbatch
from axenic.data import IGNORE, Encoded
from axenic.errors import DataError, UsageError
from axenic.files import Table
from axenic.interpret.parts import Shift
from axenic.interpret.settings import measure
from axenic.interpret.solution import solution_of

pytestmark = pytest.mark.unit


def settings_of(solution):
    return [
        *(solution.scaled(c) for c in (0.0, 0.5, 2.0)),
        solution.noisy(0.3, 42),
        solution.noisy(1.0, 43),
        solution.random(0, 1.5),
    ]


@pytest.mark.parametrize("make", [lora_of, vector_of])
@pytest.mark.parametrize("family", ["qwen2", "gemma2"])
@pytest.mark.parametrize("batch_tokens", [1, 130])
def test_sums_are_those_of_brute_force(make, family, batch_tokens):
    base = tiny_base(family)
    solution = make(base)
    settings, texts = settings_of(solution), some_texts(4)
    found = measure(solution, settings, texts, batch_tokens=batch_tokens)
    nll, kl, plain = one_by_one(base, settings, texts)
    # Gemma 2 takes the softmax of its attention in float32, whatever the model's dtype: padding moves the last digits.
    close = 1e-6 if family == "gemma2" else 1e-9
    np.testing.assert_allclose(found.nll_NK, nll, rtol=close)
    np.testing.assert_allclose(found.kl_NK, kl, rtol=10 * close, atol=close)
    np.testing.assert_allclose(found.base_nll_N, plain, rtol=close)
    assert found.tokens_N.tolist() == [sum(label != IGNORE for label in t.labels[1:]) for t in texts]
    assert found.kl_tokens_N.tolist() == [len(text.input_ids) for text in texts]


def test_without_kl_the_losses_are_the_same():
    solution = lora_of(tiny_base())
    settings, texts = settings_of(solution), some_texts(4)
    with_kl, without = (measure(solution, settings, texts, kl=kl) for kl in (True, False))
    np.testing.assert_allclose(without.nll_NK, with_kl.nll_NK, rtol=1e-12)
    assert without.kl_NK is None


def test_padding_changes_nothing_on_either_side():
    """Together (padded on the right), alone, and the model's own forward with padding on the left."""
    base = tiny_base("qwen3")
    solution = lora_of(base)
    setting = solution.scaled(1.3)
    texts = some_texts(5, seed=3)
    together = measure(solution, [setting], texts).nll_NK[:, 0]
    alone = [measure(solution, [setting], [text]).nll_NK[0, 0] for text in texts]
    np.testing.assert_allclose(together, alone, rtol=1e-10)

    longest = max(len(text.input_ids) for text in texts)
    pads = [longest - len(text.input_ids) for text in texts]
    ids = torch.tensor([[0] * pad + t.input_ids for pad, t in zip(pads, texts, strict=True)])
    mask = torch.tensor([[0] * pad + [1] * (longest - pad) for pad in pads])
    position = (mask.cumsum(1) - 1).clamp_min(0)
    with torch.no_grad():
        logits = merged(setting, base)(input_ids=ids, attention_mask=mask, position_ids=position).logits
    log = logits.log_softmax(-1)
    for row, (pad, text) in enumerate(zip(pads, texts, strict=True)):
        nll = -sum(
            float(log[row, pad + t - 1, label]) for t, label in enumerate(text.labels) if t and label >= 0
        )
        assert together[row] == pytest.approx(nll, rel=1e-6)


def test_linear_toy_has_the_closed_form():
    """Blocks that add nothing and no norm: a vector v on the last block moves the logits by W v, and the KL is known."""
    base = tiny_base("llama")
    model = base.sites.model
    saved = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    with torch.no_grad():
        for block in base.sites.blocks:
            block.self_attn.o_proj.weight.zero_()
            block.mlp.down_proj.weight.zero_()
    try:
        v = torch.linspace(-1, 1, 16, dtype=torch.float64)
        solution = solution_of(base, "v", (Shift("model.layers.2", v, 2.0),))
        (text,) = some_texts(1, seed=2)
        found = measure(solution, [solution.scaled(0.7)], [text])
        h_TD = model.model.embed_tokens.weight[text.input_ids]
        gain_D, W_VD = model.model.norm.weight, model.lm_head.weight
        eps = model.config.rms_norm_eps

        def logits(x_TD):
            return (x_TD / (x_TD.square().mean(-1, keepdim=True) + eps).sqrt() * gain_D) @ W_VD.T

        log_p, log_q = (logits(x).log_softmax(-1) for x in (h_TD, h_TD + 0.7 * 2.0 * v))
        kl = float((log_p.exp() * (log_p - log_q)).sum())
        nll = -sum(float(log_q[t - 1, label]) for t, label in enumerate(text.labels) if t and label >= 0)
        # The model takes its norm in float32.
        assert found.kl_NK[0, 0] == pytest.approx(kl, rel=1e-6)
        assert found.nll_NK[0, 0] == pytest.approx(nll, rel=1e-6)
    finally:
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                parameter.copy_(saved[name])


def test_little_memory_gives_the_same(monkeypatch):
    solution = lora_of(tiny_base())
    settings, texts = settings_of(solution), some_texts(4)
    whole = measure(solution, settings, texts)
    monkeypatch.setattr(textbatch, "LOGIT_CELLS", 1)
    monkeypatch.setattr(settings_module, "FACTOR_BYTES", 1)
    parts = measure(solution, settings, texts)
    np.testing.assert_allclose(parts.nll_NK, whole.nll_NK, rtol=1e-10)
    np.testing.assert_allclose(parts.kl_NK, whole.kl_NK, rtol=1e-9, atol=1e-10)


def test_zero_is_the_base_bit_for_bit_and_costs_nothing():
    solution = vector_of(tiny_base("qwen2", torch.float32))
    found = measure(solution, [solution.scaled(0)], some_texts(6))
    assert (found.nll_NK[:, 0] == found.base_nll_N).all()
    assert (found.kl_NK == 0).all()


@pytest.mark.parametrize("family", ["qwen2", "gemma3_text", "mistral"])
def test_float32_model_gives_the_same_to_its_rounding(family):
    wide, narrow = tiny_base(family), tiny_base(family, torch.float32)
    texts = some_texts(4)
    found = [measure(s, settings_of(s), texts) for s in (lora_of(wide), lora_of(narrow))]
    np.testing.assert_allclose(found[1].nll_NK, found[0].nll_NK, rtol=1e-4)
    np.testing.assert_allclose(found[1].kl_NK, found[0].kl_NK, rtol=1e-2, atol=1e-4)


def test_second_run_computes_nothing_and_says_the_same(tmp_path):
    base = tiny_base()
    solution = lora_of(base)
    settings, texts = settings_of(solution), some_texts(5)
    out = tmp_path / "sums.jsonl"
    first = measure(solution, settings, texts, out=out)
    before = out.read_bytes()
    handle = base.sites.decoder.register_forward_pre_hook(_forbidden)
    try:
        again = measure(solution, settings, texts, out=out)
    finally:
        handle.remove()
    assert (again.nll_NK == first.nll_NK).all()
    assert (again.kl_NK == first.kl_NK).all()
    assert out.read_bytes() == before
    assert len(Table(out).rows()) == 5 * 6  # five settings that are not the base, and the base


@pytest.mark.parametrize("share", [0.0, 0.5, 0.99])
def test_what_a_kill_took_is_measured_again(tmp_path, share):
    solution = lora_of(tiny_base())
    settings, texts = settings_of(solution), some_texts(5)
    out = tmp_path / "sums.jsonl"
    first = measure(solution, settings, texts, out=out, batch_tokens=60)
    whole = out.read_bytes()
    out.write_bytes(whole[: int(share * len(whole))])
    again = measure(solution, settings, texts, out=out, batch_tokens=60)
    np.testing.assert_allclose(again.nll_NK, first.nll_NK, rtol=1e-12)
    np.testing.assert_allclose(again.kl_NK, first.kl_NK, rtol=1e-9, atol=1e-12)
    assert sorted(row["id"] for row in Table(out).rows()) == sorted(
        json.loads(line)["id"] for line in whole.splitlines()
    )


def test_table_of_another_solution_dtype_or_without_kl_is_not_taken(tmp_path):
    texts = some_texts(2)
    out = tmp_path / "sums.jsonl"
    solution = lora_of(tiny_base())
    measure(solution, [solution.scaled(1)], texts, out=out)
    for other, kl in (
        (lora_of(tiny_base(), seed=1), True),
        (lora_of(tiny_base("qwen2", torch.float32)), True),
        (solution, False),
    ):
        lines = len(Table(out).rows())
        measure(other, [other.scaled(1)], texts, out=out, kl=kl)
        assert len(Table(out).rows()) > lines


def test_twice_the_same_setting_or_text_is_measured_once(tmp_path):
    solution = lora_of(tiny_base())
    (text,) = some_texts(1)
    settings = [solution.scaled(1), solution.at_norm(solution.norm), solution.noisy(0, 1)]
    found = measure(solution, settings, [text, replace(text)], out=tmp_path / "sums.jsonl")
    assert (found.nll_NK == found.nll_NK[0, 0]).all()
    assert len(Table(tmp_path / "sums.jsonl").rows()) == 2


def test_damaged_line_is_named(tmp_path):
    out = tmp_path / "sums.jsonl"
    Table(out).append([{"id": "x", "nll": "many"}])
    solution = lora_of(tiny_base())
    with pytest.raises(DataError, match="no measurement"):
        measure(solution, [solution.scaled(1)], some_texts(1), out=out)


def test_loss_that_is_not_finite_is_an_error():
    solution = vector_of(tiny_base("qwen2", torch.float32))
    with pytest.raises(DataError, match="not finite"):
        measure(solution, [solution.scaled(1e38)], some_texts(1))


def test_nothing_to_measure_is_refused():
    one, two = lora_of(tiny_base(), seed=1), lora_of(tiny_base(), seed=2)
    texts = some_texts(1)
    for settings, chosen, tokens in (
        ([], texts, 10),
        ([one.scaled(1)], [], 10),
        ([two.scaled(1)], texts, 10),
        ([one.scaled(1)], texts, 0),
    ):
        with pytest.raises(UsageError, match="nothing to measure"):
            measure(one, settings, chosen, batch_tokens=tokens)
    for labels in ([IGNORE] * 3, [5, IGNORE, IGNORE]):
        with pytest.raises(DataError, match="no token"):
            measure(one, [one.scaled(1)], [Encoded([5, 6, 7], labels)])


def test_progress_ends_where_it_said():
    seen = []
    solution = lora_of(tiny_base())
    measure(
        solution,
        settings_of(solution),
        some_texts(5),
        batch_tokens=90,
        progress=lambda stage, done, total, unit="", **facts: seen.append((stage, done, total)),
    )
    assert seen[-1] == ("measure", 30, 30)
    assert all(a[1] <= b[1] for a, b in pairwise(seen))
    assert math.isfinite(seen[0][1])


def _forbidden(module, args):
    raise AssertionError("the model ran")
