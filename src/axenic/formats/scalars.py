"""LoRA scalars of the authors (one number for each token and adapter), from their pickled classes to a flat table.

Their file: prompt -> `LoraScalarsPerLayer.scalars` {position: `LoraScalars`{token_str, layer_scalars {module: number}}}.
Flat form: `scalars` [T, A], `answer_id` [T], `layers` [A], and where known `token_score` [T], `position` [T]. All tokens of
a prompt are there; whether alpha or the norm of B is in the numbers is not stated.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from axenic.errors import FileError
from axenic.files import load_tensors, save_tensors
from axenic.formats.pickles import Plain
from axenic.formats.source import Source, whole

_BLOCK = re.compile(r"layers\.(\d{1,6})\.")
_NEEDED, _OPTIONAL = ("scalars", "answer_id", "layers"), ("token_score", "position")


@dataclass(frozen=True, eq=False)
class LoraScalars:
    """The flat table.

    Args:
        scalars_TA: float32 [T, A], finite.
        answer_id_T: int64 [T], ascending: which prompt (a chat with its answer) a token belongs to.
        layers_A: int64 [A], the block of each adapter, 0-based.
        token_score_T: float32 [T], where the file has it.
        position_T: int64 [T], the token's place in its prompt; needed to cut the answer off the question.

    Raises:
        FileError: Shapes that do not fit, or numbers that are not finite.
    """

    scalars_TA: Tensor
    answer_id_T: Tensor
    layers_A: Tensor
    token_score_T: Tensor | None = None
    position_T: Tensor | None = None
    path: Path | None = None

    def __post_init__(self) -> None:
        T = len(self.scalars_TA) if self.scalars_TA.dim() == 2 else 0
        fits = T > 0 and self.answer_id_T.shape == (T,) and self.layers_A.shape == self.scalars_TA.shape[1:]
        for column_T in (self.token_score_T, self.position_T):
            fits &= column_T is None or column_T.shape == (T,)
        if not fits:
            raise FileError(
                "a table of LoRA scalars does not fit together",
                where=self.path,
                expected="scalars [T, A], answer_id [T], layers [A], token_score [T], position [T]",
                found=f"scalars {list(self.scalars_TA.shape)}, answer_id {list(self.answer_id_T.shape)}, "
                f"layers {list(self.layers_A.shape)}",
            )
        if not bool(torch.isfinite(self.scalars_TA).all()) or bool((self.answer_id_T.diff() < 0).any()):
            raise FileError(
                "LoRA scalars are not finite, or their answers are not in order",
                where=self.path,
                expected="finite numbers, answer_id ascending",
            )

    @property
    def n_answers(self) -> int:
        return len(set(self.answer_id_T.tolist()))

    def save(self, path: str | Path) -> None:
        """Write the flat form as safetensors."""
        columns = {
            "scalars": self.scalars_TA,
            "answer_id": self.answer_id_T,
            "layers": self.layers_A,
            "token_score": self.token_score_T,
            "position": self.position_T,
        }
        save_tensors(path, {name: tensor for name, tensor in columns.items() if tensor is not None})

    @classmethod
    def load(cls, path: str | Path) -> LoraScalars:
        """Read the flat form.

        Raises:
            FileError: Not such a table.
        """
        path = Path(path)
        tensors, _ = load_tensors(path)
        return _from_columns(tensors, path)


def is_scalars(source: Source) -> bool:
    """Whether this is a file of LoRA scalars, flat or pickled."""
    value = source.value
    if source.container == "safetensors":
        return set(_NEEDED) <= set(value) <= {*_NEEDED, *_OPTIONAL}
    first = next(iter(value.values()), None) if isinstance(value, dict) else None
    return isinstance(first, Plain) and first.kind.startswith("lora.")


def read_scalars(source: Source) -> LoraScalars:
    """The table in either form.

    Raises:
        FileError: A token lacks an adapter, or the file is not what it looks like.
    """
    if source.container == "safetensors":
        return _from_columns(source.value, source.path)
    modules: list[str] = []
    rows: list[list[float]] = []
    answers: list[int] = []
    positions: list[int] = []
    for answer, prompt in enumerate(source.value.values()):
        tokens = prompt.fields.get("scalars") if isinstance(prompt, Plain) else None
        if not isinstance(tokens, dict):
            raise FileError(f"prompt {answer} of {source.path.name} has no scalars", where=source.path)
        placed = sorted(
            (whole(position, "a position", source.path), token) for position, token in tokens.items()
        )
        for position, token in placed:
            values: Any = token.fields.get("layer_scalars") if isinstance(token, Plain) else None
            if not modules and _is_row(values):
                modules = sorted(values, key=_block)
            if not _is_row(values) or set(values) != set(modules):
                raise FileError(
                    f"a token of {source.path.name} has other adapters than the first",
                    where=f"{source.path}, prompt {answer}, position {position}",
                    expected=", ".join(map(ascii, modules))[:200],
                )
            rows.append([float(values[module]) for module in modules])
            answers.append(answer)
            positions.append(position)
    return LoraScalars(
        torch.tensor(rows, dtype=torch.float32),
        torch.tensor(answers, dtype=torch.int64),
        torch.tensor([_block(module) for module in modules], dtype=torch.int64),
        position_T=torch.tensor(positions, dtype=torch.int64),
        path=source.path,
    )


def _from_columns(tensors: dict[str, Tensor], path: Path) -> LoraScalars:
    if not set(_NEEDED) <= set(tensors) <= {*_NEEDED, *_OPTIONAL}:
        raise FileError(
            f"{path.name} is no table of LoRA scalars",
            where=path,
            expected=", ".join(_NEEDED),
            found=", ".join(sorted(tensors)),
        )
    score, position = tensors.get("token_score"), tensors.get("position")
    return LoraScalars(
        tensors["scalars"].float(),
        tensors["answer_id"].long(),
        tensors["layers"].long(),
        None if score is None else score.float(),
        None if position is None else position.long(),
        path,
    )


def _is_row(values: Any) -> bool:
    return (
        isinstance(values, dict)
        and bool(values)
        and all(isinstance(module, str) and _BLOCK.search(module) for module in values)
        and all(isinstance(number, int | float) for number in values.values())
    )


def _block(module: str) -> int:
    match = _BLOCK.search(module)
    return int(match[1]) if match else -1
