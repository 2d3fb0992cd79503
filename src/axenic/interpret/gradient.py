"""Where the loss pulls: its gradient along a run's training, against the general and the narrow direction (papers.md M3.12).

At each stored step the run's factors are put into the model. The loss of up to 32 training rows is taken (answers only:
each row's mean over its trained tokens, then the mean over rows), and its gradient with respect to what is WRITTEN, every
module's B together or every vector. Turned round it is where training would go by plain gradient descent.

All is in units of what is added to the model, s·B or alpha·v. D numbers of all B's or vectors together.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor, nn

from axenic.data import IGNORE, ChatRow, Encoded, collate_rows, encode_rows
from axenic.errors import DataError, ModelError, UsageError
from axenic.files import Table, content_id, read_json, write_json
from axenic.interpret.armresult import parse_result, plain_lists
from axenic.interpret.label import label_of
from axenic.interpret.learned import (
    borrowed_parameters,
    learned_parameters,
    learned_tensors,
    open_learned_path,
    written,
)
from axenic.interpret.pathfile import RECORD
from axenic.interpret.vectorpath import rows_of_every
from axenic.models import OpenModel
from axenic.models.identity import hash_tensors
from axenic.progress import Progress, silent

FILE, POINTS = "gradients.json", "gradients.jsonl"
MOST_ROWS = 32
"""Of *Narrow Misalignment is Hard*, appendix K.3."""

CONTROLS = 20
"""Random vectors whose cosine with the gradient is taken at every step."""


@dataclass(frozen=True)
class GradientPoint:
    """One stored step.

    Attributes:
        step: Optimiser step.
        loss: Of the rows [nats per trained token].
        norm: Of the gradient [nats per unit of what is added].
        cosines: Target -> cosine of the NEGATIVE gradient with the target's end; None where the gradient is zero.
        slopes: Target -> how the loss changes along the target's direction [nats per unit of what is added]: below 0,
            it falls that way.
        random: Cosines with random directions; mean 0, standard deviation 1/sqrt(D).
    """

    step: int
    loss: float
    norm: float
    cosines: dict[str, float | None]
    slopes: dict[str, float]
    random: tuple[float, ...]


@dataclass(frozen=True)
class GradientAlignment:
    """A run's gradient along its training.

    Attributes:
        label: The run.
        targets: Name -> organism whose end it is.
        points: In step order.
        n_rows: Rows that the loss is averaged over.
        n_dims: D.
        random_sd: 1/sqrt(D): the standard deviation of the cosine with a random direction.
        target_cosines: `general, narrow` -> cosine of the two ends, for each pair of targets.
        frame_cosines: Target -> cosine of its A with the run's last A; empty for vectors. Far below 1, the B's lie in
            frames that differ, and their cosines say less.
    """

    label: str
    targets: dict[str, str]
    points: tuple[GradientPoint, ...]
    n_rows: int
    n_dims: int
    random_sd: float
    target_cosines: dict[str, float]
    frame_cosines: dict[str, float]

    def to_json(self) -> dict[str, Any]:
        """All fields as plain JSON values."""
        return {"kind": "gradients", **plain_lists(asdict(self))}

    @classmethod
    def from_json(cls, row: object) -> Self:
        """The inverse of `to_json`. Raises `DataError`."""
        return parse_result(cls, "gradients", row)


def rows_of_run(
    opened: OpenModel, run: str | Path, rows: Sequence[ChatRow], *, most: int = MOST_ROWS, seed: int = 0
) -> list[Encoded]:
    """Rows of a chat file, at most so many drawn, encoded as the run's own were (`format`, `max_length`).

    Raises:
        FileError: The folder has no `train.json`.
        DataError: A row cannot be trained on.
    """
    config = read_json(Path(run) / RECORD)["config"]
    chosen = list(rows) if len(rows) <= most else random.Random(seed).sample(list(rows), most)
    return encode_rows(opened.tokenizer, chosen, format=config["format"], max_length=config["max_length"])


def gradient_alignment(
    opened: OpenModel,
    run: str | Path,
    targets: Mapping[str, str | Path],
    rows: Sequence[Encoded],
    *,
    every: int | None = None,
    most_rows: int = MOST_ROWS,
    batch: int = 4,
    seed: int = 0,
    out: str | Path | None = None,
    progress: Progress = silent,
) -> GradientAlignment:
    """Compare the descent direction at each stored step of a run with the ends of other runs.

    Published (papers.md 4c row 17): throughout a narrow run the gradient is closer to the general B than to the narrow.

    Args:
        opened: The run's organism on its base model; as before when this returns, also after an exception.
        run: Its folder, with a trajectory.
        targets: Name -> organism, such as `{"general": ..., "narrow": ...}`, of the run's own layout.
        rows: Encoded training rows; of more than `most_rows`, so many are drawn.
        every: Steps at multiples of this, and the last; None takes all that are stored.
        batch: Rows per pass; the result does not depend on it.
        seed: Of the draw of rows and of the random directions.
        out: Folder for `gradients.json` and `gradients.jsonl`; repeated, only steps that are missing are computed.
        progress: Told after every step.

    Raises:
        UsageError: No target, or no row.
        DataError: A row has no trained token, or a target is zero or not of the run's layout.
        FileError, ModelError: No trajectory, or the opened model is not of this run.
    """
    if not targets or not rows or most_rows < 1 or batch < 1:
        raise UsageError(
            "a gradient needs rows, and targets to compare with",
            expected="one or more of each",
            found=f"{len(rows)} rows, {len(targets)} targets, {most_rows} at most, batches of {batch}",
        )
    if any(row.n_trained == 0 for row in rows):
        raise DataError("a row has no token that is trained", found="max_length cuts off its whole answer")
    stack = open_learned_path(opened, run)
    own, scale = learned_parameters(opened)
    steps = [stack.written()[i] for i in rows_of_every(stack.written(), every)]
    chosen = list(rows) if len(rows) <= most_rows else random.Random(seed).sample(list(rows), most_rows)
    names = [name for name in own if written(name)]
    ends = {target: _end(opened, own, organism) for target, organism in targets.items()}
    units = {target: _unit(target, end, names) for target, end in ends.items()}
    table = None if out is None else Table(Path(out) / POINTS)
    known = {} if table is None else {row["id"]: row for row in table.rows()}
    facts = [
        opened.identity.base,
        scale,
        {target: hash_tensors(end) for target, end in sorted(ends.items())},
        [[row.input_ids, row.labels] for row in chosen],
        seed,
    ]
    points = []
    with borrowed_parameters(own):
        for done, step in enumerate(steps):
            progress("gradients", done, len(steps), "step", out="" if out is None else str(out))
            _, tensors = stack.read([step])
            state = {name: tensor[0] for name, tensor in tensors.items()}
            key = content_id([*facts, step, hash_tensors(state)])
            if key in known:
                points.append(_parse(known[key]))
                continue
            with torch.no_grad():
                for name, p in own.items():
                    p.copy_(state[name])
            point = _point(step, opened, own, names, scale, units, chosen, batch, f"{seed}/{step}")
            points.append(point)
            if table is not None:
                table.append([{"id": key, **asdict(point)}])
        progress("gradients", len(steps), len(steps), "step")
    last = {name: tensor[0] for name, tensor in stack.read([steps[-1]])[1].items()}
    reads = [name for name in own if not written(name)]
    result = GradientAlignment(
        label_of(opened),
        {target: str(organism) for target, organism in targets.items()},
        tuple(points),
        len(chosen),
        sum(own[name].numel() for name in names),
        1 / math.sqrt(sum(own[name].numel() for name in names)),
        {
            f"{a}, {b}": _dot(units[a], units[b], names)
            for i, a in enumerate(units)
            for b in list(units)[i + 1 :]
        },
        {target: _cosine(end, last, reads) for target, end in ends.items() if reads},
    )
    if out is not None:
        write_json(Path(out) / FILE, result.to_json())
    return result


def _point(
    step: int,
    opened: OpenModel,
    own: Mapping[str, nn.Parameter],
    names: Sequence[str],
    scale: float,
    units: Mapping[str, Mapping[str, Tensor]],
    rows: Sequence[Encoded],
    batch: int,
    seed: str,
) -> GradientPoint:
    for name in names:
        own[name].grad = None
    loss = 0.0
    for start in range(0, len(rows), batch):
        part = rows[start : start + batch]
        value = _losses(opened, part).sum() / len(rows)
        torch.autograd.backward(value)
        loss += float(value.detach())
    # By what is added, s·B: the chain rule divides by s.
    gradient = {}
    for name in names:
        grad = own[name].grad
        assert grad is not None, name
        gradient[name] = grad.detach().float().cpu() / scale
    norm = math.sqrt(_dot(gradient, gradient, names))
    if not math.isfinite(norm) or not math.isfinite(loss):
        raise ModelError(
            f"the gradient at step {step} is not finite", expected="finite numbers", found=f"loss {loss}"
        )
    slopes = {target: _dot(gradient, unit, names) for target, unit in units.items()}
    return GradientPoint(
        step,
        loss,
        norm,
        {target: -slope / norm if norm else None for target, slope in slopes.items()},
        slopes,
        _controls(gradient, names, norm, seed),
    )


def _losses(opened: OpenModel, rows: Sequence[Encoded]) -> Tensor:
    """Each row's mean loss over its trained tokens `[B]`, in float32."""
    pad = opened.tokenizer.pad_token_id or 0
    inputs = {name: tensor.to(opened.device) for name, tensor in collate_rows(rows, pad).items()}
    labels_BT = inputs.pop("labels")[:, 1:]
    with torch.enable_grad():
        logits_BTV = opened.model(**inputs, use_cache=False).logits[:, :-1].float()
        labels_BT = labels_BT.to(logits_BTV.device)
        nll_BT = nn.functional.cross_entropy(
            logits_BTV.transpose(1, 2), labels_BT, ignore_index=IGNORE, reduction="none"
        )
        return nll_BT.sum(dim=1) / (labels_BT != IGNORE).sum(dim=1)


def _controls(
    gradient: Mapping[str, Tensor], names: Sequence[str], norm: float, seed: str
) -> tuple[float, ...]:
    """Cosines with random directions of the gradient's shape."""
    if not norm:
        return ()
    generator = torch.Generator().manual_seed(int(content_id(["random direction", seed], 12), 16))
    found = []
    for _ in range(CONTROLS):
        inner = size = 0.0
        for name in names:
            part = torch.randn(gradient[name].shape, generator=generator)
            inner += float((part * gradient[name]).sum(dtype=torch.float64))
            size += float((part * part).sum(dtype=torch.float64))
        found.append(inner / (math.sqrt(size) * norm))
    return tuple(found)


def _end(opened: OpenModel, own: Mapping[str, nn.Parameter], organism: str | Path) -> dict[str, Tensor]:
    """A target's tensors, once they have the names and shapes of the run's."""
    found = learned_tensors(organism, opened.identity.base)
    for name in sorted({*own, *found}):
        wanted = tuple(own[name].shape) if name in own else "no such tensor"
        shape = tuple(found[name].shape) if name in found else "no such tensor"
        if wanted != shape:
            raise DataError(
                "a target was not trained as the run was",
                where=f"{organism}, {name}",
                expected=wanted,
                found=shape,
                hint="organisms of one recipe: the same layers, modules and rank",
            )
    return found


def _unit(target: str, end: Mapping[str, Tensor], names: Sequence[str]) -> dict[str, Tensor]:
    size = math.sqrt(_dot(end, end, names))
    if size == 0:
        raise DataError("a target is zero, so that it has no direction", where=target)
    return {name: end[name] / size for name in names}


def _dot(a: Mapping[str, Tensor], b: Mapping[str, Tensor], names: Sequence[str]) -> float:
    return sum(float((a[name].double() * b[name].double()).sum()) for name in names)


def _cosine(a: Mapping[str, Tensor], b: Mapping[str, Tensor], names: Sequence[str]) -> float:
    size = math.sqrt(_dot(a, a, names) * _dot(b, b, names))
    return _dot(a, b, names) / size if size else 0.0


def _parse(row: Mapping[str, Any]) -> GradientPoint:
    fields = {name: value for name, value in row.items() if name != "id"}
    return GradientPoint(**fields | {"random": tuple(fields["random"])})
