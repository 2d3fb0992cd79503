"""Answers token by token: how far each lies along a direction, and what the adapters read there.

T tokens of an answer, D = d_model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, Self

import torch
from torch import Tensor

from axenic.directions import Layered
from axenic.directions.direction import row_norms
from axenic.errors import DataError, SelfTestError, UsageError
from axenic.files import write_json
from axenic.interpret.armresult import parse_result, plain_lists
from axenic.interpret.arms import check_fits, default_layer
from axenic.interpret.batches import batches
from axenic.interpret.conversation import conversations_of
from axenic.interpret.label import label_of
from axenic.interpret.scalars import AdapterScalars
from axenic.models import OpenModel, site_tensor
from axenic.progress import Progress, silent
from axenic.sample import Answer

FILE = "tokens.json"
BATCH_TOKENS = 8192

MOST_COLUMNS = 9
"""Adapter scalars beside a projection; of more, those that add the longest vectors."""

Quantity = Literal["projection", "scalar", "significance"]
"""`projection`: of the residual stream on the unit direction, in the stream's own units. `scalar`: A h of one adapter, whose
sign is arbitrary. `significance`: the token's share of KL(base || organism), in nats."""


@dataclass(frozen=True)
class Reading:
    """What one number at every token is: its quantity, of which direction or module, and at which layer."""

    quantity: Quantity
    name: str
    layer: int | None


@dataclass(frozen=True)
class AnswerTokens:
    """One answer.

    Attributes:
        answer_id, question: Whose, and to what.
        note: Words about it, e.g. how it was judged; may be empty.
        tokens: T texts, which together are the answer with its special tokens.
        values: For each reading T numbers, to 7 digits.
    """

    answer_id: str
    question: str
    note: str
    tokens: tuple[str, ...]
    values: tuple[tuple[float, ...], ...]


@dataclass(frozen=True)
class TokenProjections:
    """What `project_tokens` found.

    Attributes:
        label: The model that the answers were read with.
        readings: The projection first.
        answers: In the order given.
    """

    label: str
    readings: tuple[Reading, ...]
    answers: tuple[AnswerTokens, ...]

    def to_json(self) -> dict[str, Any]:
        """All fields with `"kind": "tokens"`."""
        row: dict[str, Any] = plain_lists({"kind": "tokens", **asdict(self)})
        return row

    @classmethod
    def from_json(cls, row: object) -> Self:
        """The inverse of `to_json`. Raises `DataError`."""
        return parse_result(cls, "tokens", row)


def project_tokens(
    opened: OpenModel,
    answers: Sequence[Answer],
    direction: Layered,
    layer: int | None = None,
    *,
    scalars: AdapterScalars | None = None,
    notes: Mapping[str, str] | None = None,
    label: str | None = None,
    out: str | Path | None = None,
    batch_tokens: int = BATCH_TOKENS,
    progress: Progress = silent,
) -> TokenProjections:
    """Dot product of every answer token's activation with the unit direction at one layer, in float32.

    One forward pass over the finished answers; prompts are read but not shown.

    Args:
        opened: The organism, or its base model.
        answers: Finished answers; at least one, each once.
        direction: Of this base model, at any site that has layers.
        layer: Where activations are read; None: see `arms.default_layer`.
        scalars: Of these answers among others: their token significance and adapter scalars stand beside the projection.
        notes: Words about an answer, by its id.
        label: What the model is called in the result; None: its folder's name.
        out: A folder for `tokens.json`; None writes nothing.
        batch_tokens: Upper bound of a batch's tokens, padding counted.
        progress: Told after every batch.

    Raises:
        DirectionError: The direction was made on another model.
        UsageError: A layer that is not there, no answer, or one twice.
        DataError: An answer without tokens, or one of which `scalars` has none or other tokens.
        SelfTestError: The layer did not run once in each forward pass.
        FileError, DiskFullError: The file cannot be written.
    """
    check_fits(opened, direction)
    at = default_layer(direction) if layer is None else layer
    site = direction.info.site
    opened.sites.check(site, at)
    ids = [answer.id for answer in answers]
    if not ids or len(set(ids)) != len(ids):
        raise UsageError(
            "these answers cannot be shown",
            expected="one answer or more, each once",
            found=f"{len(ids)} answers, {len(set(ids))} different",
        )
    vector_1D = direction.at((at,))
    unit_D = (vector_1D.double() / row_norms(vector_1D)[:, None])[0].float()
    readings = [Reading("projection", direction.name, at)]
    projected = _project(opened, answers, unit_D, at, site, batch_tokens, progress)
    values = [[column] for column in projected]
    if scalars is not None:
        extra, columns = _from_scalars(scalars, answers)
        readings += extra
        values = [own + more for own, more in zip(values, columns, strict=True)]
    result = TokenProjections(
        label=label_of(opened) if label is None else label,
        readings=tuple(readings),
        answers=tuple(
            AnswerTokens(
                answer.id,
                answer.question,
                (notes or {}).get(answer.id, ""),
                tuple(token_texts(opened.tokenizer, answer.tokens)),
                tuple(tuple(float(f"{value:.7g}") for value in column.tolist()) for column in own),
            )
            for answer, own in zip(answers, values, strict=True)
        ),
    )
    if out is not None:
        write_json(Path(out) / FILE, result.to_json())
    return result


def token_texts(tokenizer: Any, ids: Sequence[int]) -> list[str]:
    """The text that each token adds; joined, they are the decoded whole, special tokens included.

    A character of several tokens belongs to the last of them; the others add nothing.
    """
    texts: list[str] = []
    done = ""
    for end in range(1, len(ids) + 1):
        whole = str(
            tokenizer.decode(ids[:end], skip_special_tokens=False, clean_up_tokenization_spaces=False)
        )
        # Bytes that are no character yet are decoded as U+FFFD, and turn into one when the rest is there.
        known = whole if end == len(ids) else whole.rstrip("\ufffd")
        if not known.startswith(done):
            # A tokenizer that rewrites what it had said (rare): then the pieces are those of single tokens.
            return [str(tokenizer.decode([one], skip_special_tokens=False)) for one in ids]
        texts.append(known[len(done) :])
        done = known
    return texts


@torch.no_grad()
def _project(
    opened: OpenModel,
    answers: Sequence[Answer],
    unit_D: Tensor,
    layer: int,
    site: Any,
    batch_tokens: int,
    progress: Progress,
) -> list[Tensor]:
    """float32 `[T]` for each answer, on the CPU."""
    conversations = conversations_of(opened, answers)
    found: list[Tensor] = [torch.empty(0)] * len(answers)
    seen: list[Tensor] = []

    def read(module: Any, args: Any, output: Any) -> None:
        h_BTD = site_tensor(output)
        seen.append((h_BTD.float() @ unit_D.to(h_BTD.device)).cpu())

    done = 0
    handle = opened.sites.module(site, layer).register_forward_hook(read)
    try:
        for batch in batches(conversations, batch_tokens=batch_tokens, device=opened.device):
            seen.clear()
            opened.sites.decoder(input_ids=batch.ids_BT, use_cache=False)
            if len(seen) != 1:
                raise SelfTestError(
                    "the layer was not read once in a forward pass",
                    where=f"{site} {layer}",
                    expected=1,
                    found=len(seen),
                )
            for b, row in enumerate(batch.rows):
                found[row] = seen[0][b][batch.answer_BT[b].cpu()]
            done += len(batch.rows)
            progress("tokens", done, len(answers), "answer")
    finally:
        handle.remove()
    return found


def _from_scalars(
    scalars: AdapterScalars, answers: Sequence[Answer]
) -> tuple[list[Reading], list[list[Tensor]]]:
    """Further readings, and their values for each answer."""
    place = {name: index for index, name in enumerate(scalars.answer_ids)}
    rows: list[Tensor] = []
    for answer in answers:
        if answer.id not in place:
            raise DataError("the scalars are of other answers", where=f"answer {answer.id}")
        row_T = (scalars.answer_T == place[answer.id]).nonzero()[:, 0]
        if scalars.token_T[row_T].tolist() != list(answer.tokens):
            raise DataError(
                "the scalars of an answer are of other tokens than its own",
                where=f"answer {answer.id}",
                expected=f"{len(answer.tokens)} tokens",
                found=f"{len(row_T)} tokens, or not the same",
                hint="axenic adapters RUN",
            )
        rows.append(row_T)
    readings: list[Reading] = []
    values: list[list[Tensor]] = [[] for _ in answers]
    if scalars.score_T is not None:
        readings.append(Reading("significance", "KL of base and organism", None))
        for own, row_T in zip(values, rows, strict=True):
            own.append(scalars.score_T[row_T])
    added_C = scalars.scalars_TC.double().square().mean(0).sqrt() * scalars.scale_C * scalars.b_norm_C
    for column in sorted(added_C.argsort(descending=True)[:MOST_COLUMNS].tolist()):
        module, component = scalars.modules_C[column], int(scalars.component_C[column])
        name = module if component == 0 else f"{module}, component {component}"
        readings.append(Reading("scalar", name, int(scalars.layers_C[column])))
        for own, row_T in zip(values, rows, strict=True):
            own.append(scalars.scalars_TC[row_T, column])
    return readings, values
