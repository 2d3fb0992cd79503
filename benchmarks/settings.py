"""All scales of a steering vector in one pass, against one whole forward for each scale."""

from __future__ import annotations

import torch
from torch import Tensor

from axenic.data import Encoded
from axenic.interpret.parts import Shift
from axenic.interpret.settings import BATCH_TOKENS, measure
from axenic.interpret.solution import Solution, solution_of
from axenic.models import OpenModel
from benchmarks.shapes import Sizes
from benchmarks.timing import Comparison, compare

FACTORS = tuple(step / 10 for step in range(1, 21))


def vector_on(model: OpenModel) -> Solution:
    """A random vector at the block output that is as deep as the published one."""
    layer = max(0, round(25 * model.sites.n_layers / 48) - 1)
    block = model.sites.blocks[layer]
    name = next(name for name, module in model.sites.model.named_modules() if module is block)
    generator = torch.Generator().manual_seed(0)
    vector_D = torch.randn(model.sites.d_model, generator=generator)
    return solution_of(model, "vector", (Shift(name, vector_D, 0.1),))


def texts(sizes: Sizes) -> list[Encoded]:
    """Random tokens of one length: no padding, so that both ways do the same arithmetic. Every token is labelled."""
    generator = torch.Generator().manual_seed(0)
    rows = torch.randint(10, 500, (max(4, sizes.mean_rows // 4), sizes.mean_tokens), generator=generator)
    return [Encoded(row, row) for row in rows.tolist()]


@torch.inference_mode()
def one_by_one(model: OpenModel, solution: Solution, rows: list[Encoded]) -> tuple[Tensor, Tensor]:
    """Loss and KL of every text and scale `[N, K]` by whole forwards with a hook; the base's log-probabilities are kept."""
    (part,) = solution.parts
    assert isinstance(part, Shift)
    add_D = (part.vector_D * part.scale).to(model.device)
    module = model.sites.model.get_submodule(part.module)
    ids_NT = torch.tensor([row.input_ids for row in rows], device=model.device)
    losses, kls = [], []
    for ids_BT in ids_NT.split(max(1, BATCH_TOKENS // ids_NT.shape[1])):
        base_BTV = model.model(input_ids=ids_BT, use_cache=False).logits.float().log_softmax(-1)
        for factor in FACTORS:
            handle = module.register_forward_hook(
                lambda _m, _a, out, by=factor: out + (by * add_D).to(out.dtype)
            )
            log_BTV = model.model(input_ids=ids_BT, use_cache=False).logits.float().log_softmax(-1)
            handle.remove()
            losses.append(-log_BTV[:, :-1].gather(2, ids_BT[:, 1:, None]).sum((1, 2)))
            kls.append((base_BTV.exp() * (base_BTV - log_BTV)).sum((1, 2)))
    found = [torch.stack(values).view(-1, len(FACTORS), len(values[0])) for values in (losses, kls)]
    return found[0].transpose(1, 2).flatten(0, 1), found[1].transpose(1, 2).flatten(0, 1)


def run(model: OpenModel, sizes: Sizes) -> tuple[Comparison, float]:
    """Time ratio one pass / whole forwards over 20 scales with KL, and the largest relative gap between the two's losses.

    What bounds the gain: the blocks from the vector's own on run for every setting (4 of 6 on nano, 25 of 48), and so do the
    head and the log-softmax over the vocabulary. Only the blocks below are saved, so that the ratio tends to the share of
    the model from there on. Whole forwards hold all logits of a batch twice; one pass a few positions' at a time.
    """
    solution, rows = vector_on(model), texts(sizes)
    settings = [solution.scaled(factor) for factor in FACTORS]
    ours = torch.from_numpy(measure(solution, settings, rows).nll_NK)
    theirs = one_by_one(model, solution, rows)[0].double().cpu()
    apart = float(((ours - theirs) / theirs).abs().max())
    found = compare(
        lambda: measure(solution, settings, rows), lambda: one_by_one(model, solution, rows), sizes.repeats
    )
    return found, apart
