"""The probability of every number as a model's reply: two forward passes for a batch of prompts.

The prompts are read once. Then the whole `DigitTree` is fed behind each of them in ONE pass: its nodes stand side by side, each
at the position of its depth, and the attention mask lets a node see its prompt and its own ancestors only. What comes out at a
node is what would come out of a pass over prompt + path.

Shapes: B prompts, T slots of read tokens, N nodes of the tree, V vocabulary, W special words.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import DynamicCache

from axenic.errors import ModelError
from axenic.evaluate.digit_tree import DigitTree
from axenic.models import OpenModel
from axenic.sample.limits import text_config

_BATCH_TOKENS = 16_384
"""Most tokens (padding and tree included) of one batch."""

_BATCH_LOGITS = 2**27
"""Most logits of one batch: 256 MiB in bfloat16, eight prompts at a vocabulary of 152,000."""

_SHARED_LEAST = 16
"""A common beginning shorter than this is not worth a pass of its own."""


@dataclass(frozen=True)
class Masses:
    """Probabilities of what a reply may be; they exclude one another.

    Attributes:
        numbers: p(the reply is n) for n = 0 to 100.
        words: p(the reply begins with the word), in the order of the tree's words.
        first: The likeliest first token and its probability, for people.
    """

    numbers: tuple[float, ...]
    words: tuple[float, ...]
    first: tuple[int, float]


def read_trees(
    opened: OpenModel, prompts: Sequence[Sequence[int]], tree: DigitTree
) -> Iterator[list[tuple[int, Masses]]]:
    """Read the tree behind every prompt, batch by batch: pairs (index into `prompts`, masses).

    Log-probabilities are float32 (float64 in a float64 model), products along paths float64.

    Args:
        opened: The model.
        prompts: Token ids, generation prompt included; at least one token each.
        tree: What is looked for.

    Raises:
        ModelError: The logits are not finite.
    """
    # Equal lengths together: less padding.
    order = sorted(range(len(prompts)), key=lambda i: len(prompts[i]))
    vocabulary: int = text_config(opened).vocab_size
    N = len(tree.tokens)
    start = 0
    while start < len(order):
        rows = max(1, _BATCH_LOGITS // (N * vocabulary))
        part = order[start : start + rows]
        longest = len(prompts[part[-1]]) + N
        part = part[: max(1, _BATCH_TOKENS // longest)]
        yield list(zip(part, _read_batch(opened, [prompts[i] for i in part], tree), strict=True))
        start += len(part)


def _read_batch(opened: OpenModel, prompts: Sequence[Sequence[int]], tree: DigitTree) -> list[Masses]:
    with torch.inference_mode():
        cache = _read_prompts(opened, prompts)
        length_B = torch.tensor([len(prompt) for prompt in prompts])
        depth_N = tree.lineage.sum(1) - 1
        ids_BN = torch.tensor(tree.tokens).repeat(len(prompts), 1)
        ids_BN[:, 0] = torch.tensor([prompt[-1] for prompt in prompts])
        position_BN = length_B[:, None] - 1 + depth_N
        logits_BNV = opened.model(
            input_ids=ids_BN.to(opened.device),
            attention_mask=_tree_mask(opened, length_B, position_BN, tree, cache.get_seq_length()),
            position_ids=position_BN.to(opened.device),
            past_key_values=cache,
            use_cache=True,
        ).logits
        return [_masses(logits_NV, tree) for logits_NV in logits_BNV]


def _read_prompts(opened: OpenModel, prompts: Sequence[Sequence[int]]) -> DynamicCache:
    """Keys and values of all tokens but the last, which is the tree's root; padded on the RIGHT, where nothing sees it.

    What all prompts begin with (purpose and scale of the rubric) is read once.
    """
    # No config: every layer keeps its whole history, and windows are the masks' affair.
    cache = DynamicCache()
    shared = _common(prompts) if len(prompts) > 1 else 0
    shared = shared if shared >= _SHARED_LEAST else 0
    if shared:
        _feed(opened, torch.tensor([prompts[0][:shared]]), cache)
        cache.batch_repeat_interleave(len(prompts))
    rest = [prompt[shared:-1] for prompt in prompts]
    longest = max(map(len, rest))
    if longest:
        ids_BT = torch.zeros(len(prompts), longest, dtype=torch.long)
        for b, row in enumerate(rest):
            ids_BT[b, : len(row)] = torch.tensor(row)
        _feed(opened, ids_BT, cache)
    return cache


def _feed(opened: OpenModel, ids_BT: Tensor, cache: DynamicCache) -> None:
    before = cache.get_seq_length()
    B, T = ids_BT.shape
    position_T = torch.arange(before, before + T, device=opened.device)
    opened.model(
        input_ids=ids_BT.to(opened.device),
        attention_mask=torch.ones(B, before + T, dtype=torch.long, device=opened.device),
        position_ids=position_T.expand(B, T),
        past_key_values=cache,
        use_cache=True,
        logits_to_keep=1,
    )


def _common(prompts: Sequence[Sequence[int]]) -> int:
    """How many tokens all prompts begin with; every prompt keeps one token after them."""
    ordered = sorted(map(tuple, prompts))
    first, last = ordered[0], ordered[-1]
    length = next((i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), len(first))
    return min(length, min(map(len, prompts)) - 1)


def _tree_mask(
    opened: OpenModel, length_B: Tensor, position_BN: Tensor, tree: DigitTree, read: int
) -> Tensor | dict[str, Tensor]:
    """Additive mask `[B, 1, N, read + N]`; one for each kind of layer where a model has several (Gemma)."""
    B, N = position_BN.shape
    slot_T = torch.arange(read)
    seen_BT = slot_T < length_B[:, None] - 1
    allowed = torch.cat([seen_BT[:, None, :].expand(B, N, read), tree.lineage.expand(B, N, N)], dim=2)
    config = text_config(opened).to_dict()
    window = config.get("sliding_window")
    default = "full_attention" if window is None else "sliding_attention"
    kinds = set(config.get("layer_types") or [default])
    masks = {}
    for kind in kinds:
        own = allowed
        if kind == "sliding_attention":
            position_BK = torch.cat([slot_T.expand(B, read), position_BN], dim=1)
            own = allowed & (position_BN[:, :, None] - position_BK[:, None, :] < window)
        elif kind != "full_attention":
            raise ModelError(
                f"a local judge cannot read models with layers of kind {kind!r}",
                where=opened.name,
                expected="full_attention or sliding_attention",
                found=kind,
            )
        # Additive, because eager attention (Gemma 2) adds it.
        mask = torch.zeros(B, 1, N, read + N, dtype=opened.dtype)
        masks[kind] = mask.masked_fill_(~own[:, None], torch.finfo(opened.dtype).min).to(opened.device)
    return masks if len(masks) > 1 else masks.popitem()[1]


def _masses(logits_NV: Tensor, tree: DigitTree) -> Masses:
    """Products along the paths of one prompt."""
    logits = logits_NV.to(torch.promote_types(logits_NV.dtype, torch.float32))
    whole_N = logits.logsumexp(-1)
    if not bool(torch.isfinite(whole_N).all()):
        raise ModelError(
            "the judge's logits are not finite", where="the first tokens of a reply", hint="--dtype float32"
        )
    device = logits.device
    parent_N = torch.tensor(tree.parents, device=device)
    token_N = torch.tensor(tree.tokens, device=device).clamp_min(0)
    step_N = (logits[parent_N, token_N] - whole_N[parent_N]).cpu().double()
    step_N[0] = 0.0
    digits = torch.tensor(tree.digits, device=device)
    goes_on_N = (logits[:, digits] - whole_N[:, None]).exp().sum(-1).cpu().double()
    # A logit of minus infinity must not become 0 x infinity.
    path_N = (tree.lineage.double() @ step_N.clamp_min(-1e4)).exp()
    ends_N = (path_N * (1 - goes_on_N).clamp(0, 1)).tolist()
    numbers = [0.0] * 101
    for number, node in tree.numbers:
        numbers[number] += ends_N[node]
    words = [0.0] * (1 + max((index for index, _ in tree.words), default=-1))
    for index, node in tree.words:
        words[index] += float(path_N[node])
    best = int(logits[0].argmax())
    return Masses(tuple(numbers), tuple(words), (best, float((logits[0, best] - whole_N[0]).exp())))
