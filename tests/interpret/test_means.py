"""Streamed means against brute force: one row at a time, full hidden states, float64."""

from __future__ import annotations

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from axenic.errors import DataError, SelfTestError, UsageError
from axenic.interpret import answer_means, conversations_of
from axenic.interpret.sums import SumHooks, _span_sums
from axenic.intervene import Arm, add, project_out
from axenic.models import site_tensor

pytestmark = pytest.mark.unit


def brute_force(opened, conversations, *, weighting, span, site="resid_post", steer=None):
    """Mean [L, D] and mean norm [L] by keeping everything, one conversation per forward pass."""
    kept = {}

    def keep(layer):
        def hook(module, args, output):
            h_1TD = site_tensor(output)
            if steer is not None and layer == steer[0]:
                h_1TD = h_1TD + steer[1]
            kept[layer] = h_1TD.double()[0]
            return h_1TD if steer is not None else None

        return hook

    layers = [-1] if site == "embed" else range(opened.sites.n_layers)
    handles = [opened.sites.module(site, layer).register_forward_hook(keep(layer)) for layer in layers]
    total, norms, weight = 0.0, 0.0, 0.0
    for item in conversations:
        opened.model(input_ids=torch.tensor([item.tokens]))
        states_LTD = torch.stack([kept[layer] for layer in layers])[:, item.start(span) :]
        share = 1.0 if weighting == "token" else 1.0 / states_LTD.shape[1]
        total = total + share * states_LTD.sum(1)
        norms = norms + share * states_LTD.norm(dim=-1).sum(1)
        weight += share * states_LTD.shape[1]
    for handle in handles:
        handle.remove()
    return total / weight, norms / weight


def close(found, expected, rtol):
    scale = expected.abs().max()
    assert float((found - expected).abs().max() / scale) < rtol


@pytest.mark.parametrize("family", ["qwen2", "llama"])
@pytest.mark.parametrize("weighting", ["token", "answer"])
@pytest.mark.parametrize("span", ["answer", "published"])
def test_means_are_those_of_brute_force(tiny, answers, family, weighting, span):
    opened = tiny(family=family)
    made = conversations_of(opened, answers(17))
    means = answer_means(opened, made, weighting=weighting, span=span, batch_tokens=150)
    mean_LD, norm_L = brute_force(opened, made, weighting=weighting, span=span)
    close(means.mean_LD(), mean_LD, 1e-12)
    close(means.norm_L(), norm_L, 1e-12)
    assert means.layers == (0, 1, 2)


@pytest.mark.parametrize("site", ["embed", "attn_out", "mlp_out"])
def test_other_sites(tiny, answers, site):
    opened = tiny()
    made = conversations_of(opened, answers(9))
    means = answer_means(opened, made, site=site, batch_tokens=120)
    mean_LD, _ = brute_force(opened, made, weighting="token", span="answer", site=site)
    close(means.mean_LD(), mean_LD, 1e-12)
    assert means.layers == ((-1,) if site == "embed" else (0, 1, 2))


@pytest.mark.parametrize("batch_tokens", [1, 30, 77, 200, 100_000])
@pytest.mark.parametrize("padding_side", ["left", "right"])
def test_neither_batching_nor_order_nor_padding_side_matters(tiny, answers, batch_tokens, padding_side):
    opened = tiny()
    made = conversations_of(opened, answers(13))
    opened.tokenizer.padding_side = padding_side
    reference = answer_means(opened, made, batch_tokens=60).mean_LD()
    close(answer_means(opened, made, batch_tokens=batch_tokens).mean_LD(), reference, 1e-9)
    close(answer_means(opened, made[::-1], batch_tokens=batch_tokens).mean_LD(), reference, 1e-9)
    opened.tokenizer.padding_side = "left"


def test_token_and_answer_weighting_in_closed_form(planted, answer):
    """Blocks add nothing, so each activation is its token's embedding: 1 for token 9 and 4 for token 10."""
    opened = planted()
    embedding = opened.sites.model.get_input_embeddings().weight
    with torch.no_grad():
        embedding[9, 5], embedding[10, 5] = 1.0, 4.0
    made = conversations_of(opened, [answer([9]), answer([10, 10, 10])])
    by_token = answer_means(opened, made, weighting="token")
    by_answer = answer_means(opened, made, weighting="answer")
    assert by_token.mean_LD()[:, 5].tolist() == [3.25, 3.25]
    assert by_answer.mean_LD()[:, 5].tolist() == [2.5, 2.5]
    assert (by_token.count_G.tolist(), by_answer.count_G.tolist()) == ([4.0], [2.0])
    assert by_token.tokens_G.tolist() == by_answer.tokens_G.tolist() == [4]


def test_published_span_counts_the_header(planted, answer):
    """The header's embedding is 6, the only answer token's 2: their mean is 4, the answer's own 2."""
    opened = planted()
    header = opened.tokenizer.convert_tokens_to_ids("<|assistant|>")
    embedding = opened.sites.model.get_input_embeddings().weight
    with torch.no_grad():
        embedding[header, 5], embedding[9, 5] = 6.0, 2.0
    made = conversations_of(opened, [answer([9])])
    assert float(answer_means(opened, made, span="published").mean_LD()[0, 5]) == 4.0
    assert float(answer_means(opened, made, span="answer").mean_LD()[0, 5]) == 2.0


def test_groups_in_one_pass_are_the_passes_of_each_group(tiny, answers):
    opened = tiny()
    made = conversations_of(opened, answers(20))
    groups = [(3 * i) % 4 for i in range(20)]
    means = answer_means(opened, made, groups=groups, batch_tokens=90)
    for group in range(4):
        own = [item for item, of in zip(made, groups, strict=True) if of == group]
        close(means.mean_LD(group), answer_means(opened, own).mean_LD(), 1e-12)
        assert int(means.answers_G[group]) == len(own)
    pooled = [item for item, of in zip(made, groups, strict=True) if of in (1, 2)]
    close(means.mean_LD(1, 2), answer_means(opened, pooled).mean_LD(), 1e-12)
    close(means.norm_L(1, 2), answer_means(opened, pooled).norm_L(), 1e-12)


@pytest.mark.parametrize(("dtype", "rtol"), [(torch.float32, 2e-6), (torch.bfloat16, 2e-6)])
def test_reduction_loses_nothing_of_what_the_model_computed(tiny, answers, dtype, rtol):
    """The same activations, widened to float64 before they are added up; long rows, so that rounding would show."""
    opened = tiny(dtype=dtype)
    made = conversations_of(opened, answers(12, longest=200))
    sums = {}

    def exact(layer):
        def hook(module, args, output):
            sums[layer] = sums.get(layer, 0.0) + (output.double() * current["span"][..., None]).sum((0, 1))

        return hook

    current = {}
    begin = SumHooks.begin

    def spy(self, span_BT, groups):
        current["span"] = span_BT
        begin(self, span_BT, groups)

    handles = [block.register_forward_hook(exact(l)) for l, block in enumerate(opened.sites.blocks)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SumHooks, "begin", spy)
        means = answer_means(opened, made, batch_tokens=500)
    for handle in handles:
        handle.remove()
    expected_LD = torch.stack([sums[layer] for layer in range(3)]) / means.count_G
    close(means.mean_LD(), expected_LD, rtol)


def test_reading_happens_after_the_interventions(tiny, answers, direction):
    opened = tiny()
    made = conversations_of(opened, answers(8))
    torch.manual_seed(3)
    vectors_LD = torch.randn(3, 32)
    steering = direction(vectors_LD, base=opened.identity.base)
    steered = answer_means(opened, made, arm=Arm("s", (add(steering, 1, 2.0),)), batch_tokens=100)
    expected_LD, _ = brute_force(
        opened, made, weighting="token", span="answer", steer=(1, 2.0 * vectors_LD[1].double())
    )
    close(steered.mean_LD(), expected_LD, 1e-6)
    ablated = answer_means(opened, made, arm=Arm("a", (project_out(steering),)))
    left_L = (ablated.mean_LD() * steering.unit_LD().double()).sum(1)
    assert float(left_L.abs().max()) < 1e-6


def test_hooks_are_gone_afterwards_also_after_an_error(tiny, answers):
    opened = tiny()
    made = conversations_of(opened, answers(4))
    answer_means(opened, made)

    def stop(stage, done, total, unit="", **facts):
        raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        answer_means(opened, made, progress=stop)
    assert all(not block._forward_hooks for block in opened.sites.blocks)


def test_progress_counts_answers(tiny, answers):
    told = []
    opened = tiny()
    made = conversations_of(opened, answers(11))
    answer_means(
        opened,
        made,
        batch_tokens=80,
        progress=lambda stage, done, total, unit="", **facts: told.append((done, total)),
    )
    assert told[-1] == (11, 11)
    assert [done for done, _ in told] == sorted({done for done, _ in told})


def test_what_cannot_be_meant_is_refused(tiny, answers):
    opened = tiny()
    made = conversations_of(opened, answers(3))
    with pytest.raises(UsageError, match="no conversation"):
        answer_means(opened, [])
    with pytest.raises(UsageError, match="group"):
        answer_means(opened, made, groups=[0, 1])
    with pytest.raises(UsageError, match="group"):
        answer_means(opened, made, groups=[0, -1, 0])
    with pytest.raises(UsageError, match="batch_tokens"):
        answer_means(opened, made, batch_tokens=0)
    with pytest.raises(DataError, match="without conversations"):
        answer_means(opened, made, groups=[0, 2, 2]).mean_LD(1)


def test_layer_that_does_not_run_is_noticed(tiny):
    opened = tiny()
    hooks = SumHooks(list(opened.sites.blocks), d_model=32, groups=1, per_answer=False)
    with pytest.raises(SelfTestError, match="once per forward"), hooks:
        hooks.begin(torch.ones(1, 2, dtype=torch.bool), [0])


class Largest(TorchDispatchMode):
    """The largest tensor, in bytes, that any operation makes."""

    largest = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        if isinstance(out, torch.Tensor) and not func.is_view:
            self.largest = max(self.largest, out.numel() * out.element_size())
        return out


@pytest.mark.parametrize(("dtype", "share"), [(torch.float32, 0.05), (torch.bfloat16, 0.15)])
def test_a_layer_is_reduced_without_a_copy_of_it(dtype, share):
    """Share of ONE layer's activations; a batch's are all layers', so it is far below 5 % of those."""
    h_BTD = torch.randn(8, 320, 256).to(dtype)
    with Largest() as mode:
        _span_sums(h_BTD, torch.ones(8, 320, dtype=torch.float32))
    assert 0 < mode.largest < share * h_BTD.numel() * h_BTD.element_size()
