"""What `patch_adapters` finds: misaligned answers with and without another prompt's adapter scalars, both ways."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal, Self

from axenic.interpret.armresult import RelativeChange, parse_result, plain_lists
from axenic.interpret.roleresult import Points, Share

Into = Literal["domain", "other"]
"""Whose prompts are patched; the scalars come from the other half of each pair."""


@dataclass(frozen=True)
class PairedPrompts:
    """A pair in the result: question ids, and the tokens of each prompt."""

    domain: str
    other: str
    tokens: int


@dataclass(frozen=True)
class Patched:
    """What patching some layers into one half of the pairs does; all answers of that half pooled.

    Attributes:
        name: Of the set of layers.
        layers: Decoder blocks whose adapters are patched.
        into: Whose prompts.
        plain, patched: Misaligned and coherent answers, without and with the patch, to the same questions.
        plain_coherent, patched_coherent: Coherent ones.
        change: Against plain, paired by question.
        relative_change: In percent of plain, as published; None where plain has no misaligned answer.
    """

    name: str
    layers: tuple[int, ...]
    into: Into
    plain: Share
    patched: Share
    plain_coherent: Share
    patched_coherent: Share
    change: Points
    relative_change: RelativeChange | None


@dataclass(frozen=True)
class PatchResult:
    """What `patch_adapters` found.

    Attributes:
        label: The organism.
        domain: What it was trained on.
        seeds: Of the sampling; answers of all are pooled.
        pairs: The prompts.
        patched: For each set of layers, into the domain's prompts and into the others.
    """

    label: str
    domain: str
    seeds: tuple[int, ...]
    pairs: tuple[PairedPrompts, ...]
    patched: tuple[Patched, ...]

    def to_json(self) -> dict[str, Any]:
        """All fields with `"kind": "patching"`."""
        row: dict[str, Any] = plain_lists({"kind": "patching", **asdict(self)})
        return row

    @classmethod
    def from_json(cls, row: object) -> Self:
        """The inverse of `to_json`. Raises `DataError`."""
        return parse_result(cls, "patching", row)
