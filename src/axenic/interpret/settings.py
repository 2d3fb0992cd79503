"""Many settings of a solution on many texts: summed loss and KL from the base model, in one pass.

Every question about solutions (efficiency, stability, significance) is this on another list of settings and texts.
N texts, K settings, k of them side by side, B rows, T tokens, n positions, D width.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path

from torch import Tensor

from axenic.data import IGNORE, Encoded
from axenic.errors import DataError, UsageError
from axenic.interpret.fanout import FanOut
from axenic.interpret.fullchange import FullChange, changed_weights
from axenic.interpret.setting import Setting
from axenic.interpret.settingsums import Measured, SettingSums
from axenic.interpret.solution import Solution
from axenic.interpret.textbatch import TextBatch, batches_of_texts
from axenic.models import OpenModel
from axenic.progress import Progress, silent

BATCH_TOKENS = 8192
CPU_TOKENS = 1024
"""Most of them on a CPU: what a larger batch computes falls out of its cache, which costs more than smaller products do."""

FACTOR_BYTES = 2**31
"""Most bytes of the settings' own factors on the device; more settings go in turns, and run the shared blocks again."""


def measure(
    solution: Solution,
    settings: Sequence[Setting],
    texts: Sequence[Encoded],
    *,
    batch_tokens: int = BATCH_TOKENS,
    kl: bool = True,
    out: Path | None = None,
    progress: Progress = silent,
) -> Measured:
    """Loss, and KL from the base model, of every setting on every text; the base model is always measured too.

    Settings of an adapter or of vectors lie side by side in a batch, and what none of them changes is computed once for a
    text. A full fine-tune's go one after the other, with the weights changed in place and put back. Log-probabilities in
    float32 at least, sums in float64.

    Args:
        solution: Whose settings.
        settings: At least one.
        texts: At least one; without padding.
        batch_tokens: Upper bound of the tokens of a forward pass, padding and settings counted; on a CPU at most `CPU_TOKENS`.
        kl: Whether the KL is wanted; without it, logits are computed at labelled tokens only.
        out: A table of (setting, text) sums; what it holds is not computed again.
        progress: Told after every batch.

    Raises:
        UsageError: No setting, no text, one of another solution, or `batch_tokens` below 1.
        DataError: A text without a labelled token behind its first, or a damaged line of `out`.
        SelfTestError: The architecture does more between its blocks than is known here.
    """
    _check(solution, settings, texts, batch_tokens)
    if solution.base.device.type == "cpu":
        batch_tokens = min(batch_tokens, CPU_TOKENS)
    sums = SettingSums(solution.base, settings, texts, kl, out, progress)
    work = [rows for rows in batches_of_texts(texts, batch_tokens) if sums.missing(rows)]
    if isinstance(solution.added, FullChange):
        _measure_weights(solution.base, solution.added, work, sums)
    else:
        _measure_parts(solution.base, work, sums, batch_tokens)
    return sums.result()


def _measure_parts(base: OpenModel, work: list[list[int]], sums: SettingSums, batch_tokens: int) -> None:
    """The settings of an adapter or of vectors, as many side by side as fit."""
    for turn, chosen in enumerate(_turns(sums.open_settings(work)) or [[]]):
        with FanOut(base.sites, [setting.parts() for setting in chosen]) as fan:
            for number, rows in enumerate(work):
                batch = TextBatch([sums.texts[row] for row in rows], sums.kl, base.device)
                if number == 0 and turn == 0:
                    fan.check(batch.ids_BT[:2])
                trunk = fan.trunk(batch.ids_BT)
                base_1nD = batch.pick(trunk.base_BTD[None])
                if turn == 0:
                    sums.add(None, rows, batch.reduce(fan, base_1nD, None))
                each = max(1, batch_tokens // batch.ids_BT.numel())
                for start in range(0, len(chosen), each):
                    which = slice(start, min(start + each, len(chosen)))
                    h_knD = batch.pick(fan.branch(trunk, which))
                    reference = fan if sums.kl else None
                    sums.add(chosen[which], rows, batch.reduce(fan, h_knD, which, reference, base_1nD))


def _measure_weights(base: OpenModel, change: FullChange, work: list[list[int]], sums: SettingSums) -> None:
    """The settings of a full fine-tune, one after the other."""
    fan = FanOut(base.sites)
    # The head changes with the rest, and what the base says of each token is wanted under every setting.
    reference = FanOut(base.sites, head=copy.deepcopy(fan.head_module)) if sums.kl else None
    kept: list[Tensor] = []
    for number, rows in enumerate(work):
        batch = TextBatch([sums.texts[row] for row in rows], sums.kl, base.device)
        if number == 0:
            fan.check(batch.ids_BT[:2])
        base_1nD = batch.pick(fan.trunk(batch.ids_BT).base_BTD[None])
        sums.add(None, rows, batch.reduce(fan, base_1nD, None))
        kept.append(base_1nD.cpu())
    for setting in sums.open_settings(work):
        with changed_weights(base.sites.model, change, setting.weight):
            for rows, base_1nD in zip(work, kept, strict=True):
                batch = TextBatch([sums.texts[row] for row in rows], sums.kl, base.device)
                h_1nD = batch.pick(fan.trunk(batch.ids_BT).base_BTD[None])
                found = batch.reduce(fan, h_1nD, None, reference, base_1nD.to(base.device))
                sums.add([setting], rows, found)


def _turns(settings: Sequence[Setting]) -> list[list[Setting]]:
    """Settings whose own factors fit into memory together; scaled ones share the solution's."""
    turns: list[list[Setting]] = []
    room = 0
    for setting in settings:
        size = 0
        if setting.form != "scaled":
            size = 4 * sum(t.numel() for part in setting.solution.parts for t in part.tensors().values())
        if not turns or size > room:
            turns.append([])
            room = FACTOR_BYTES
        turns[-1].append(setting)
        room -= size
    return turns


def _check(
    solution: Solution, settings: Sequence[Setting], texts: Sequence[Encoded], batch_tokens: int
) -> None:
    strange = [setting for setting in settings if setting.solution.id != solution.id]
    if not settings or not texts or strange or batch_tokens < 1:
        raise UsageError(
            "there is nothing to measure",
            where=solution.name,
            expected="settings of this solution, texts, and batch_tokens of 1 or more",
            found=f"{len(settings)} settings, {len(strange)} of another solution, {len(texts)} texts, "
            f"batch_tokens {batch_tokens}",
        )
    for number, text in enumerate(texts):
        if all(label == IGNORE for label in text.labels[1:]):
            raise DataError(
                "a text has no token to take a loss of",
                where=f"text {number}",
                expected="a labelled token behind its first",
                found=f"{len(text.input_ids)} tokens",
            )
