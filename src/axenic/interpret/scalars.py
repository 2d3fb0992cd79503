"""Adapter scalars: what each adapter reads off every answer token, A h (papers.md M2.8; formats.md F10).

T answer tokens of all answers in order, C columns: one for each rank component of each LoRA module.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor

from axenic.errors import DataError, FileError, SelfTestError, UsageError
from axenic.files import canonical_json, load_tensors, parse_json, save_tensors
from axenic.interpret.batches import batches
from axenic.interpret.conversation import conversations_of
from axenic.models import OpenModel, site_tensor
from axenic.progress import Progress, silent
from axenic.sample import Answer

FILE, KEY = "scalars.safetensors", "axenic_scalars"
BATCH_TOKENS = 8192
MOST_BYTES = 8 * 2**30
"""Of a table in float32. Nine rank-1 adapters on 55,000 tokens are 2 MB; 336 adapters of rank 32 would be 2.4 GB."""

_SHAPES = {
    "scalars": (None, None), "answer_id": (None,), "position": (None,), "token_id": (None,), "layers": (None,),
    "component": (None,), "scale": (None,), "b_norm": (None,),
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class AdapterScalars:
    """Raw scalars A h: neither alpha nor B is in them. Column c adds `scale_C[c]` * scalar * B[:, component] to the output
    of its module, a vector of length `scale_C[c]` * |scalar| * `b_norm_C[c]`.

    Attributes:
        scalars_TC: float32.
        answer_T: int64. Index into `answer_ids`; tokens of an answer are together and in order.
        position_T: int64. 0 at the first token of the answer.
        token_T: int64. The token that is read there.
        layers_C: int64. Decoder block of the module.
        component_C: int64. Row of A, column of B; 0 for rank 1.
        scale_C: float32. alpha / r, or alpha / sqrt(r) with rsLoRA, as read from the adapter.
        b_norm_C: float32. Norm of that column of B.
        modules_C: Name of the module of each column.
        answer_ids: Ids of the answers.
        score_T: float32 token significance in nats (`token_significance`), or None where it was not measured.
    """

    scalars_TC: Tensor
    answer_T: Tensor
    position_T: Tensor
    token_T: Tensor
    layers_C: Tensor
    component_C: Tensor
    scale_C: Tensor
    b_norm_C: Tensor
    modules_C: tuple[str, ...]
    answer_ids: tuple[str, ...]
    score_T: Tensor | None = None

    def save(self, path: str | Path) -> None:
        """Write the flat form of F10 as safetensors, atomically. Raises `FileError`, `DiskFullError`."""
        tensors = {
            "scalars": self.scalars_TC, "answer_id": self.answer_T, "position": self.position_T, "token_id": self.token_T,
            "layers": self.layers_C, "component": self.component_C, "scale": self.scale_C, "b_norm": self.b_norm_C,
        }  # fmt: skip
        if self.score_T is not None:
            tensors["token_score"] = self.score_T
        facts = {
            "stored": "A h; neither scale nor B",
            "modules": list(self.modules_C),
            "answers": list(self.answer_ids),
        }
        save_tensors(path, tensors, {KEY: canonical_json(facts)})

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read what `save` wrote. Raises `FileError`: missing, of another kind, or parts that do not fit each other."""
        path = Path(path)
        tensors, metadata = load_tensors(path)
        score_T = tensors.pop("token_score", None)
        try:
            facts = parse_json(metadata[KEY].encode("utf-8"))
            modules, ids = tuple(map(str, facts["modules"])), tuple(map(str, facts["answers"]))
        except (KeyError, ValueError, TypeError) as error:
            raise FileError(
                f"{path.name} does not say which adapters and answers its scalars are of",
                where=path,
                expected=f"metadata {KEY} with modules and answers",
                found=error,
            ) from error
        if set(tensors) != set(_SHAPES) or tensors["scalars"].dim() != 2:
            raise FileError(
                f"{path.name} holds other tensors than adapter scalars",
                where=path,
                expected=", ".join(_SHAPES),
                found=", ".join(tensors),
            )
        T, C = tensors["scalars"].shape
        lengths = {name: len(tensor) for name, tensor in tensors.items()} | {"modules": len(modules)}
        wanted = dict.fromkeys(("scalars", "answer_id", "position", "token_id"), T)
        wanted |= dict.fromkeys(("layers", "component", "scale", "b_norm", "modules"), C)
        index = tensors["answer_id"]
        inside = T == 0 or (int(index.min()) >= 0 and int(index.max()) < len(ids))
        if lengths != wanted or not inside or (score_T is not None and score_T.shape != (T,)):
            raise FileError(
                f"the parts of {path.name} do not fit each other", where=path, expected=wanted, found=lengths
            )
        return cls(
            tensors["scalars"], index, tensors["position"], tensors["token_id"], tensors["layers"],
            tensors["component"], tensors["scale"], tensors["b_norm"], modules, ids, score_T,
        )  # fmt: skip


@torch.no_grad()
def collect_scalars(
    opened: OpenModel,
    answers: Sequence[Answer],
    *,
    score_T: Tensor | None = None,
    batch_tokens: int = BATCH_TOKENS,
    progress: Progress = silent,
) -> AdapterScalars:
    """A h of every adapter at every answer token, in one forward pass; any rank, any module.

    Nothing but the scalars is kept. The result does not depend on how the answers are cut into batches.

    Args:
        opened: The organism.
        answers: Finished answers; at least one.
        score_T: Token significance of the same answers, stored beside the scalars.
        batch_tokens: Upper bound of a batch's tokens, padding counted.
        progress: Told after every batch.

    Raises:
        UsageError: No adapter, no answer, or a table that does not fit into memory.
        DataError: An answer without tokens, or another number of significances than tokens.
        ModelError: An adapter that is no sum of B(A(x)).
        SelfTestError: A module did not run once in each forward pass.
    """
    sites = list(opened.sites.lora_modules().values())
    if not sites or not answers:
        raise UsageError(
            "there are no adapter scalars",
            expected="an organism with a LoRA adapter, and answers",
            found=f"{len(sites)} adapters, {len(answers)} answers",
        )
    B_of = [next(site.lora_B.parameters()).detach().float().cpu() for site in sites]
    ranks = [B.shape[1] for B in B_of]
    conversations = conversations_of(opened, answers)
    lengths = [len(item.answer) for item in conversations]
    first = [sum(ranks[:i]) for i in range(len(ranks))]
    starts = torch.tensor([0, *torch.tensor(lengths).cumsum(0).tolist()])
    T, C = int(starts[-1]), sum(ranks)
    if 4 * T * C > MOST_BYTES:
        raise UsageError(
            "the scalars do not fit into memory",
            expected=f"at most {MOST_BYTES / 2**30:.0f} GiB",
            found=f"{4 * T * C / 2**30:.1f} GiB: {T:,} tokens x {C:,} columns",
            hint="fewer answers",
        )
    if score_T is not None and score_T.shape != (T,):
        raise DataError("every token needs its significance", expected=T, found=list(score_T.shape))
    scalars_TC = torch.empty(T, C)
    fired = [0] * len(sites)
    place: dict[str, Tensor] = {}

    def keep(index: int, module: Any, args: Any, output: Any) -> None:
        fired[index] += 1
        s_BTR = site_tensor(output)
        columns = slice(first[index], first[index] + ranks[index])
        scalars_TC[place["rows"], columns] = s_BTR[place["mask"].to(s_BTR.device)].float().cpu()

    done, forwards, remove = 0, 0, list[Callable[[], None]]()
    try:
        for index, site in enumerate(sites):
            remove.append(site.lora_A.register_forward_hook(partial(keep, index)).remove)
        for batch in batches(conversations, batch_tokens=batch_tokens, device=opened.device):
            place["mask"] = batch.answer_BT
            place["rows"] = torch.cat([torch.arange(lengths[row]) + starts[row] for row in batch.rows])
            # The head runs too: an adapter may sit on it.
            opened.model(input_ids=batch.ids_BT, use_cache=False)
            forwards += 1
            done += len(batch.rows)
            progress("scalars", done, len(answers), "answer")
    finally:
        for one in remove:
            one()
    if any(count != forwards for count in fired):
        raise SelfTestError(
            "an adapter was not read once per forward pass", expected=f"{forwards} times each", found=fired
        )
    return AdapterScalars(
        scalars_TC=scalars_TC,
        answer_T=torch.repeat_interleave(torch.arange(len(answers)), torch.tensor(lengths)),
        position_T=torch.cat([torch.arange(length) for length in lengths]),
        token_T=torch.tensor([token for item in conversations for token in item.answer]),
        layers_C=torch.tensor(
            [site.layer for site, rank in zip(sites, ranks, strict=True) for _ in range(rank)]
        ),
        component_C=torch.tensor([c for rank in ranks for c in range(rank)]),
        scale_C=torch.tensor(
            [site.scale for site, rank in zip(sites, ranks, strict=True) for _ in range(rank)]
        ),
        b_norm_C=torch.cat([B.norm(dim=0) for B in B_of]),
        modules_C=tuple(
            site.module_name for site, rank in zip(sites, ranks, strict=True) for _ in range(rank)
        ),
        answer_ids=tuple(answer.id for answer in answers),
        score_T=None if score_T is None else score_T.float(),
    )
