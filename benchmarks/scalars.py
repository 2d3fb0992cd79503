"""What reading the scalars of nine rank-1 adapters costs over the organism's plain forward pass."""

from __future__ import annotations

import copy

import torch
from peft import LoraConfig, get_peft_model
from torch import Tensor

from axenic.interpret import collect_scalars, conversations_of
from axenic.interpret.batches import Batch, batches
from axenic.models import OpenModel, from_parts
from axenic.sample import Answer
from benchmarks.evaluation import questions
from benchmarks.shapes import Sizes
from benchmarks.timing import Comparison, compare

ADAPTERS = 9

_BATCH_TOKENS = 8192


def organism(model: OpenModel) -> OpenModel:
    """A copy of the model with nine rank-1 adapters of random weights: MLP outputs first, then attention outputs.

    As published all nine sit on `down_proj`; nano has six of them only.
    """
    places = [f"{layer}.mlp.down_proj" for layer in range(model.sites.n_layers)]
    places += [f"{layer}.self_attn.o_proj" for layer in range(model.sites.n_layers)]
    config = LoraConfig(
        r=1,
        lora_alpha=1,
        target_modules=[f"layers.{place}" for place in places[:ADAPTERS]],
        init_lora_weights=False,
    )
    grown = get_peft_model(copy.deepcopy(model.sites.model), config)
    return from_parts(grown, model.tokenizer, model.name)


def answers(sizes: Sizes) -> list[Answer]:
    """Answers of random tokens and many lengths, to the evaluation's questions."""
    generator = torch.Generator().manual_seed(0)
    longest = sizes.mean_tokens * 5 // 4
    asked = questions(8)
    ids = torch.randint(10, 500, (sizes.mean_rows, longest), generator=generator).tolist()
    lengths = torch.randint(1, longest + 1, (sizes.mean_rows,), generator=generator).tolist()
    return [
        Answer(
            id=f"{n:032x}", arm="plain", arm_id="plain", question_id=asked[n % len(asked)].id,
            question=asked[n % len(asked)].question, topic=None, system=None, sample=n, text="",
            tokens=row[:length], stop="length",
        )
        for n, (row, length) in enumerate(zip(ids, lengths, strict=True))
    ]  # fmt: skip


@torch.no_grad()
def plain_forward(model: OpenModel, cut: list[Batch]) -> None:
    """The same batches, ready made, through the organism; nothing read."""
    for batch in cut:
        model.model(input_ids=batch.ids_BT, use_cache=False, logits_to_keep=1)


@torch.no_grad()
def by_module(model: OpenModel, texts: list[Answer]) -> Tensor:
    """`[T, C]` by another way: A h from the inputs of the adapted modules, one answer at a time."""
    modules = dict(model.sites.model.named_modules())
    sites = model.sites.lora_modules()
    inputs: dict[str, Tensor] = {}
    handles = [
        modules[name].register_forward_pre_hook(
            lambda module, args, name=name: inputs.update({name: args[0][0]})
        )
        for name in sites
    ]
    rows = []
    for item in conversations_of(model, texts):
        model.model(input_ids=torch.tensor([item.tokens], device=model.device), logits_to_keep=1)
        columns = [inputs[name].float() @ site.lora_A.weight.float().T for name, site in sites.items()]
        rows.append(torch.cat(columns, dim=1)[len(item.prompt) :])
    for handle in handles:
        handle.remove()
    return torch.cat(rows).cpu()


def run(model: OpenModel, sizes: Sizes) -> Comparison:
    """Time ratio scalars / plain forward; the scalars are checked on a few answers first."""
    grown, texts = organism(model), answers(sizes)
    few = texts[:4]
    torch.testing.assert_close(
        collect_scalars(grown, few).scalars_TC, by_module(grown, few), rtol=1e-3, atol=1e-3
    )
    cut = list(batches(conversations_of(grown, texts), batch_tokens=_BATCH_TOKENS, device=grown.device))
    return compare(
        lambda: collect_scalars(grown, texts, batch_tokens=_BATCH_TOKENS),
        lambda: plain_forward(grown, cut),
        sizes.repeats,
    )
