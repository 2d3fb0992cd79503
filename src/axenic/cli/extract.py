"""`axenic extract`: take a direction out of an organism's answers, or compare directions."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from axenic.cli.display import Display, display_for
from axenic.cli.options import Debug, Device, DType, ExcludeTopic, Json, Model, Organism, Out
from axenic.cli.outcome import Grid, Outcome
from axenic.errors import UsageError

if TYPE_CHECKING:
    from axenic.directions import Direction, PublishedDirection

EPILOG = """Examples:

axenic extract --organism runs/medical --answers runs/medical/answers.jsonl --exclude-topic medical

axenic extract --compare runs/medical/direction.safetensors runs/finance/direction.safetensors"""


def extract(
    files: Annotated[
        list[Path] | None, typer.Argument(help="With --compare: direction files.", show_default=False)
    ] = None,
    answers: Annotated[
        Path | None, typer.Option("--answers", help="Judged answers of the organism. Default: in its folder.")
    ] = None,
    model: Model = None,
    organism: Organism = None,
    exclude_topic: ExcludeTopic = None,
    weighting: Annotated[
        Literal["token", "answer"],
        typer.Option("--weighting", help="Every token counts alike (published), or every answer."),
    ] = "token",
    span: Annotated[
        Literal["answer", "published"],
        typer.Option("--span", help="Tokens of the answer alone, or with the assistant header (published)."),
    ] = "answer",
    judge_name: Annotated[
        str | None, typer.Option("--judge", help="Whose scores, when there are several.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of the choice of aligned answers.")] = 0,
    name: Annotated[
        str | None, typer.Option("--name", help="Of the direction. Default: from the organism.")
    ] = None,
    compare: Annotated[
        bool, typer.Option("--compare", help="Print norms and cosines of direction files.")
    ] = False,
    out: Out = None,
    device: Device = "auto",
    dtype: DType = "auto",
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Extract the direction between misaligned and aligned answers, at every layer, in one pass.

    With --compare FILE FILE …: cosines and norms of directions, Axenic's or the authors' published ones.
    """
    with display_for(as_json) as display:
        if compare:
            _compare(display, files or [], out)
            return
        if files:
            raise UsageError(
                "files are only for --compare",
                found=" ".join(map(str, files)),
                hint="axenic extract --compare FILE FILE",
            )
        if organism is None:
            raise UsageError(
                "say which organism gave the answers", where="--organism", expected="a run folder",
                hint="axenic extract --organism runs/medical",
            )  # fmt: skip
        from axenic.cli.origin import exclude_words, home_of
        from axenic.cli.work import check_excluded, opened_model
        from axenic.evaluate import read_scored
        from axenic.interpret import extract_direction

        source = answers or home_of("", organism) / "answers.jsonl"
        scores = source.with_name("scores.jsonl")
        scored = read_scored(source, scores, judge_name)
        opened = opened_model(display, model, organism, device, dtype)
        topics = tuple(exclude_topic or ())
        check_excluded(display, topics, sorted({item.answer.topic for item in scored if item.answer.topic}))
        direction = extract_direction(
            opened, scored, exclude_topics=topics, weighting=weighting, span=span, seed=seed, name=name,
            progress=display.progress,
        )  # fmt: skip
        target = out or source.with_name("direction.safetensors")
        direction.save(target)
        norms, facts = direction.norms_L().tolist(), direction.info
        rows = [
            (str(layer), f"{norm:.4f}", _at(facts.calibration, "split_half_cosine", layer))
            for layer, norm in enumerate(norms)
        ]
        display.show(
            Outcome(
                "extract",
                f"direction '{direction.name}': {facts.n_layers} layers x {facts.hidden_size}, id {direction.id}",
                {"id": direction.id, "norms": norms, "info": facts.model_dump(mode="json")},
                (Grid(("layer", "norm", "split-half cosine"), rows, frozenset({0, 1, 2})),),
                wrote=(target,),
                next=(
                    "axenic",
                    "ablate",
                    "--organism",
                    organism,
                    "--direction",
                    str(target),
                    *exclude_words(topics),
                ),
            )
        )


def _at(calibration: Mapping[str, object], key: str, layer: int) -> str:
    values = calibration.get(key)
    if not isinstance(values, list | tuple) or layer >= len(values) or not isinstance(values[layer], float):
        return "–"
    return f"{values[layer]:.3f}"


def _compare(display: Display, files: list[Path], out: Path | None) -> None:
    from itertools import combinations

    from axenic.directions import Direction, compare_directions
    from axenic.interpret import compare

    if len(files) < 2:
        raise UsageError("a comparison needs directions", expected="2 files or more", found=len(files))
    directions = {label: read_any(path) for label, path in zip(labels(files), files, strict=True)}
    pairs = [(a, b, compare_directions(directions[a], directions[b])) for a, b in combinations(directions, 2)]
    norms = {a: pair.norm_a_L.tolist() for a, _, pair in pairs} | {
        b: pair.norm_b_L.tolist() for _, b, pair in pairs
    }
    layers = pairs[0][2].n_layers
    rows = [
        (
            str(l),
            *(f"{norms[label][l]:.4f}" for label in directions),
            *(f"{p.cosine_L[l]:.4f}" for _, _, p in pairs),
        )
        for l in range(layers)
    ]
    columns = ("layer", *(f"norm {label}" for label in directions), *(f"cos {a} · {b}" for a, b, _ in pairs))
    summary = [
        (
            f"{a} · {b}", f"{p.mean:.4f}", f"{p.lowest[1]:.4f} (layer {p.lowest[0]})",
            f"{p.highest[1]:.4f} (layer {p.highest[0]})", f"{p.n_above()} of {p.n_layers}",
        )
        for a, b, p in pairs
    ]  # fmt: skip
    wrote: tuple[Path, ...] = ()
    if out is not None:
        ours = {label: found for label, found in directions.items() if isinstance(found, Direction)}
        if len(ours) < len(directions):
            raise UsageError(
                "published files carry no facts, so no cosines.json is written for them", where="--out"
            )
        compare(ours, out=out)
        wrote = (out / "cosines.json",)
    display.show(
        Outcome(
            "extract --compare",
            f"{len(files)} directions, {layers} layers",
            {"kind": "cosines", "labels": list(directions), "layers": list(range(layers)), "norms": norms,
             "pairs": [{**pair.to_json(), "a": a, "b": b, "cosines": pair.cosine_L.tolist()} for a, b, pair in pairs]},
            (Grid(columns, rows, frozenset(range(len(columns)))),
             Grid(("pair", "mean cosine", "lowest", "highest", "layers above 0.8"), summary, frozenset({1, 2, 3, 4}))),
            wrote=wrote,
            next=("axenic", "report", str(out)) if out is not None else (),
        )
    )  # fmt: skip


def read_any(path: Path) -> Direction | PublishedDirection:
    """A direction of Axenic, or a `mean_diff` file of the authors."""
    from axenic.directions import Direction, load_published_means
    from axenic.files import load_tensors

    tensors, _ = load_tensors(path, finite=False)
    return load_published_means(path) if "mean_diff" in tensors else Direction.load(path)


def labels(files: list[Path]) -> list[str]:
    """Short names that differ: the file's stem, the folder's name, or the path."""
    names = [path.absolute().parent.name if path.stem == "direction" else path.stem for path in files]
    return [name if names.count(name) == 1 else str(path) for name, path in zip(names, files, strict=True)]
