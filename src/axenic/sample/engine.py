"""Generate one chunk of answers: each distinct prompt is read once, then all rows decode together.

Shapes: P distinct (arm, question) prompts, B rows (answers) of the chunk, T positions, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor

from axenic.errors import ModelError
from axenic.intervene import Arm, InterventionHooks
from axenic.models import OpenModel
from axenic.sample.attention import fast_decoding
from axenic.sample.cache import RowCache, SpareBuffers
from axenic.sample.draw import draw_tokens, uniforms
from axenic.sample.limits import text_config
from axenic.sample.records import Sampling

_PREFILL_TOKENS = 16_384
"""Most prompt tokens (padding included) read in one forward pass."""

_COMPACT_BELOW = 0.8
"""Finished rows are dropped when fewer than this share of the rows still run: copying the cache costs about one step."""


@dataclass(frozen=True)
class Row:
    """One answer to generate: its id, which of the chunk's prompts it continues, and under which arm."""

    id: str
    prompt: int
    arm: int


def generate_rows(
    opened: OpenModel,
    prompts: Sequence[Sequence[int]],
    prompt_arms: Sequence[int],
    rows: Sequence[Row],
    arms: Sequence[Arm],
    sampling: Sampling,
    stop_tokens: frozenset[int],
    spare: SpareBuffers,
    on_step: Callable[[int, int], None],
) -> list[list[int]]:
    """Tokens of every row, the stop token included when there is one.

    Args:
        opened: The model.
        prompts: Token ids of each distinct prompt.
        prompt_arms: Index into `arms` for each prompt: interventions act on the prompt too.
        rows: The answers; each names its prompt.
        arms: Interventions by arm.
        sampling: Temperature, top-p and the most tokens of an answer.
        stop_tokens: Ids that end an answer.
        spare: Memory of the cache, kept from chunk to chunk.
        on_step: Called after every token with (rows finished, tokens generated) so far.
    """
    device = opened.device
    with torch.inference_mode(), fast_decoding(opened.sites.model, device), _hooks(opened, arms) as hooks:
        cache, logits_PV, mask_PT = _read_prompts(opened, prompts, prompt_arms, hooks, spare)
        prompt_of_row = torch.tensor([row.prompt for row in rows], device=device)
        arm_of_row = torch.tensor([row.arm for row in rows])
        prompt_length = mask_PT.shape[1]
        cache.take_rows(prompt_of_row, min(sampling.max_new_tokens, 64))
        state = _Running(
            cache=cache,
            logits_BV=logits_PV[prompt_of_row],
            row_B=torch.arange(len(rows), device=device),
            position_B=mask_PT.sum(1)[prompt_of_row],
            mask_BT=mask_PT[prompt_of_row],
        )
        try:
            return _decode(
                opened, state, hooks, arm_of_row, rows, sampling, stop_tokens, prompt_length, on_step
            )
        finally:
            state.cache.release()


@dataclass
class _Running:
    """The rows that still run."""

    cache: RowCache
    logits_BV: Tensor
    row_B: Tensor  # index into the chunk's rows
    position_B: Tensor  # position id of the next token
    mask_BT: Tensor  # 1 where a slot holds a token, 0 where it is padding

    def keep(self, running: Tensor, room: int) -> None:
        """Drop every row that is not in `running` (indices)."""
        self.cache.take_rows(running, room)
        self.logits_BV = self.logits_BV[running]
        self.row_B = self.row_B[running]
        self.position_B = self.position_B[running]
        self.mask_BT = self.mask_BT[running]


def _read_prompts(
    opened: OpenModel,
    prompts: Sequence[Sequence[int]],
    prompt_arms: Sequence[int],
    hooks: InterventionHooks | None,
    spare: SpareBuffers,
) -> tuple[RowCache, Tensor, Tensor]:
    """One forward pass over the prompts, padded on the left: the cache, last logits `[P, V]` and mask `[P, T]`."""
    longest = max(len(prompt) for prompt in prompts)
    ids_PT = torch.zeros(len(prompts), longest, dtype=torch.long)
    mask_PT = torch.zeros_like(ids_PT)
    for p, prompt in enumerate(prompts):
        ids_PT[p, longest - len(prompt) :] = torch.tensor(prompt)
        mask_PT[p, longest - len(prompt) :] = 1
    ids_PT, mask_PT = ids_PT.to(opened.device), mask_PT.to(opened.device)
    position_PT = (mask_PT.cumsum(1) - 1).clamp_min(0)
    arm_P = torch.tensor(prompt_arms)
    pieces, logits = [], []
    for piece in torch.split(torch.arange(len(prompts)), max(1, _PREFILL_TOKENS // longest)):
        if hooks is not None:
            hooks.assign(arm_P[piece], [len(prompts[p]) for p in piece.tolist()])
            hooks.phase = "prompt"
        cache = RowCache(opened.sites.n_layers, spare)
        output = opened.model(
            input_ids=ids_PT[piece],
            attention_mask=mask_PT[piece],
            position_ids=position_PT[piece],
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
        )
        pieces.append(cache)
        logits.append(output.logits[:, -1])
    return RowCache.joined(pieces), torch.cat(logits), mask_PT


def _decode(
    opened: OpenModel,
    state: _Running,
    hooks: InterventionHooks | None,
    arm_of_row: Tensor,
    rows: Sequence[Row],
    sampling: Sampling,
    stop_tokens: frozenset[int],
    prompt_length: int,
    on_step: Callable[[int, int], None],
) -> list[list[int]]:
    device = opened.device
    steps = sampling.max_new_tokens
    # Apple's GPUs have no float64.
    draw_dtype = torch.float32 if device.type == "mps" else torch.float64
    uniform_BS = torch.from_numpy(uniforms([row.id for row in rows], steps)).to(device, draw_dtype)
    stop_K = torch.tensor(sorted(stop_tokens), device=device)
    token_BS = torch.full((len(rows), steps), -1, dtype=torch.long, device=device)
    alive_B = torch.ones(len(rows), dtype=torch.bool, device=device)  # of the rows in `state`
    additive = _additive_mask_allowed(opened, prompt_length + steps)
    finished, generated = 0, 0
    if hooks is not None:
        hooks.assign(arm_of_row)
        hooks.phase = "answer"
    for step in range(steps):
        _check_finite(state.logits_BV, step)
        token_B = draw_tokens(
            state.logits_BV, uniform_BS[state.row_B, step], sampling.temperature, sampling.top_p
        )
        token_BS[state.row_B, step] = torch.where(alive_B, token_B, -1)
        generated += int(alive_B.sum())
        alive_B = alive_B & ~torch.isin(token_B, stop_K)
        running = alive_B.nonzero()[:, 0]
        finished = len(rows) - len(running)
        on_step(finished, generated)
        if len(running) == 0 or step + 1 == steps:
            break
        if len(running) < _COMPACT_BELOW * len(state.row_B):
            state.keep(running, min(64, steps - step))
            token_B = token_B[running]
            alive_B = torch.ones(len(running), dtype=torch.bool, device=device)
            if hooks is not None:
                hooks.assign(arm_of_row[state.row_B.cpu()])
        _step(opened, state, token_B, additive)
    return [[token for token in row if token >= 0] for row in token_BS.tolist()]


def _check_finite(logits_BV: Tensor, step: int) -> None:
    """A NaN would be drawn as some token, silently: half precision overflows under strong steering.

    Raises:
        ModelError: A row has no finite likeliest logit.
    """
    # The maximum of a row is NaN as soon as one logit is.
    finite_B = torch.isfinite(logits_BV.amax(-1))
    if not bool(finite_B.all()):
        raise ModelError(
            "the model's logits are not finite",
            where=f"new token {step}, {int((~finite_B).sum())} of {len(finite_B)} rows",
            hint="--dtype float32, or weaker steering",
        )


def _step(opened: OpenModel, state: _Running, token_B: Tensor, additive: bool) -> None:
    """Feed one token to every row of `state`."""
    state.mask_BT = torch.cat([state.mask_BT, state.mask_BT.new_ones(len(token_B), 1)], 1)
    mask = state.mask_BT
    if additive:
        # Ready-made, so that the model does not build its mask anew at every step.
        lowest = torch.finfo(opened.dtype).min
        mask = torch.zeros_like(mask, dtype=opened.dtype).masked_fill_(mask == 0, lowest)[:, None, None, :]
    output = opened.model(
        input_ids=token_B[:, None],
        attention_mask=mask,
        position_ids=state.position_B[:, None],
        past_key_values=state.cache,
        use_cache=True,
        logits_to_keep=1,
    )
    state.logits_BV = output.logits[:, -1]
    state.position_B = state.position_B + 1


def _additive_mask_allowed(opened: OpenModel, longest: int) -> bool:
    """Whether one mask serves every block: no block has a window shorter than the longest row."""
    window = text_config(opened).to_dict().get("sliding_window")
    return window is None or longest <= window


@contextmanager
def _hooks(opened: OpenModel, arms: Sequence[Arm]) -> Iterator[InterventionHooks | None]:
    """Interventions of the arms, or None when no arm has any: plain sampling pays nothing."""
    if not any(arm.interventions for arm in arms):
        yield None
        return
    with InterventionHooks(opened.sites, arms) as hooks:
        yield hooks
