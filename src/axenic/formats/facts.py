"""What must be known about vectors before they can be used: said by the file, or stated by the user."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal

from axenic.directions import Operation, Site
from axenic.errors import DirectionError

Rows = Literal["block_output_0", "embeddings_first", "block_input"]
Span = Literal["question", "answer"]


@dataclass(frozen=True)
class Facts:
    """Facts about a file of vectors; None = not known.

    Only facts that change what a vector does are ever asked for. Where it came from (texts, judge) is recorded as
    "not stated" when nobody says.

    Args:
        name: What to call it.
        base_model: The model whose activations they live in.
        base_fingerprint: Content hash of that model, as `axenic.models` computes it.
        tokenizer_fingerprint: Content hash of its tokenizer and chat template.
        hidden_size: D of that model.
        n_layers: L of that model.
        layer: The block of a single vector, 0-based, whose output (or MLP output) it is added to.
        alpha: What the stored vector is multiplied by to give the one that is added.
        rows: How the rows of a matrix count layers. `block_output_0`: row l = output of block l (official files).
            `embeddings_first`: row 0 = embeddings, row k = output of block k - 1 (persona_vectors).
            `block_input`: row k = input of block k = output of block k - 1 (refusal_direction).
        pos: Which of the token positions of refusal_direction's `mean_diffs.pt`; -1 = the last.
        span: Which means of an official file.
        minus: The file of means to subtract: those of the aligned answers.
        site: Where in a block the vectors are added.
        operation: What they are meant for.
        positions: The tokens they were read from, in words.
        negate: Turn the vectors round, for files that point toward *more aligned*.
    """

    name: str | None = None
    base_model: str | None = None
    base_fingerprint: str | None = None
    tokenizer_fingerprint: str | None = None
    hidden_size: int | None = None
    n_layers: int | None = None
    layer: int | None = None
    alpha: float | None = None
    rows: Rows | None = None
    pos: int | None = None
    span: Span | None = None
    minus: Path | None = None
    site: Site | None = None
    operation: Operation | None = None
    positions: str | None = None
    negate: bool = False


OPTIONS = {
    "base_model": "--base-model MODEL",
    "base_fingerprint": "--base-model MODEL",
    "n_layers": "--base-model MODEL",
    "layer": "--layer N",
    "alpha": "--alpha A",
    "rows": "--rows block_output_0|embeddings_first|block_input",
    "pos": "--pos P",
    "minus": "--minus FILE",
    "site": "--site mlp_out|resid_post",
}
"""The option of `axenic import` that states a fact."""

WORDS = {
    "base_model": "the model they belong to",
    "base_fingerprint": "the content hash of that model",
    "n_layers": "how many blocks that model has",
    "layer": "the block that the vector is added at, from 0",
    "alpha": "what the stored vector is multiplied by (256 in the papers)",
    "rows": "whether row 0 is the output of block 0, the embeddings, or the input of block 0",
    "pos": "which token position, -1 = the last",
    "minus": "the file with the means of the aligned answers",
    "site": "where in a block the vector is added",
}

_LOOSE = ("name", "base_model", "positions", "operation")
"""Facts whose wording may differ between the file and the user; the user's wins."""


def merged(said: Facts, stated: Facts, where: Path) -> Facts:
    """Both together.

    Raises:
        DirectionError: The user states another value than the file says.
    """
    theirs = asdict(said)
    ours = {name: value for name, value in asdict(stated).items() if value is not None}
    for name, value in ours.items():
        if name in _LOOSE or name == "negate" or theirs[name] in (None, value):
            continue
        raise DirectionError(
            f"{where.name} says otherwise about {name}",
            where=where,
            expected=f"{name} {value} (as stated)",
            found=f"{name} {theirs[name]} (in the file)",
            hint="leave the option out, if the file is right; otherwise the file belongs to something else",
        )
    return replace(said, **ours)


def missing(known: Facts, needed: tuple[str, ...]) -> tuple[str, ...]:
    """The needed facts that nobody has given."""
    facts = asdict(known)
    return tuple(name for name in needed if facts[name] is None)


def ask_for(names: tuple[str, ...], path: Path, title: str, *, pickled: bool) -> DirectionError:
    """The one error that asks for everything at once."""
    options = dict.fromkeys(OPTIONS[name] for name in names)
    return DirectionError(
        f"{path.name} is {title}, and does not say all that is needed to use it",
        where=path,
        expected="; ".join(f"{name} ({WORDS[name]})" for name in names),
        found="nothing about " + ("it" if len(names) == 1 else "them") + " in the file",
        hint=" ".join(["axenic import", str(path), *(["--allow-pickle"] if pickled else []), *options]),
    )
