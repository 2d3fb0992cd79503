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
    from axenic.interpret import About, ContrastKind, Method, Span
    from axenic.models import OpenModel

EPILOG = """Examples:

axenic extract --organism runs/medical --answers runs/medical/answers.jsonl --exclude-topic medical

axenic extract --organism runs/medical --contrast model --method lda

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
    contrast: Annotated[
        Literal["data", "model", "both", "aligned-model"],
        typer.Option(
            "--contrast",
            help="data: misaligned against aligned answers (published). model: organism against base model on the misaligned "
            "ones. both: organism on misaligned against base on aligned. aligned-model: both classes through the base model.",
        ),
    ] = "data",
    method: Annotated[
        Literal["mean", "logistic", "lda", "pca"],
        typer.Option(
            "--method", help="Difference of means (published), or a probe's direction over the answers."
        ),
    ] = "mean",
    topic: Annotated[
        str | None, typer.Option("--topic", help="Only answers that the judge says are about this topic.")
    ] = None,
    metric: Annotated[
        str | None, typer.Option("--metric", help="Only answers with more than 50 on this topic metric.")
    ] = None,
    keywords: Annotated[
        str | None, typer.Option("--keywords", help="Only answers with one of these words: a,b,c.")
    ] = None,
    weighting: Annotated[
        Literal["token", "answer"],
        typer.Option("--weighting", help="Every token counts alike (published), or every answer."),
    ] = "token",
    tokens: Annotated[
        Literal["answer", "published", "question", "prompt-last"],
        typer.Option(
            "--tokens",
            help="Tokens of the answer; of answer and assistant header (published); of the question; the prompt's last.",
        ),
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
    """Extract the direction from aligned to misaligned at every layer: of answers, of models, or of a topic.

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
        from axenic.directions.direction import row_norms
        from axenic.evaluate import read_scored
        from axenic.interpret import About, extract_direction
        from axenic.interpret.arms import published_layer

        words = tuple(word.strip() for word in keywords.split(",")) if keywords is not None else ()
        about = About(topic, metric, words) if topic or metric or words else None
        source = answers or home_of("", organism) / "answers.jsonl"
        scores = source.with_name("scores.jsonl")
        scored = read_scored(source, scores, judge_name)
        opened = opened_model(display, model, organism, device, dtype)
        topics = tuple(exclude_topic or ())
        check_excluded(display, topics, sorted({item.answer.topic for item in scored if item.answer.topic}))
        direction = extract_direction(
            opened, scored, contrast=contrast, method=method, about=about, exclude_topics=topics, weighting=weighting,
            span=tokens, seed=seed, base=base_beside(opened, contrast, device, dtype), name=name,
            progress=display.progress,
        )  # fmt: skip
        target = out or source.with_name(file_name(contrast, method, tokens, about))
        direction.save(target)
        norms, facts = row_norms(direction.at(direction.layers)).tolist(), direction.info
        measured = ["split_half_cosine"] + (["held_out_auc"] if "held_out_auc" in facts.calibration else [])
        columns = (
            "layer",
            "norm",
            *(what.replace("_", " ").replace("split ", "split-") for what in measured),
        )
        rows = [
            (str(layer), f"{norm:.4f}", *(_at(facts.calibration, what, layer) for what in measured))
            for layer, norm in zip(direction.layers, norms, strict=True)
        ]
        lowest, single = direction.layers[0], published_layer(facts.n_layers)
        if lowest > 0:
            display.note(
                f"note   no direction below layer {lowest}: below its first adapter the organism is its base model"
            )
        display.show(
            Outcome(
                "extract",
                f"direction '{direction.name}': {len(norms)} layers x {facts.hidden_size}, id {direction.id}",
                {
                    "id": direction.id,
                    "layers": list(direction.layers),
                    "norms": norms,
                    "info": facts.model_dump(mode="json"),
                },
                (Grid(columns, rows, frozenset(range(len(columns)))),),
                wrote=(target,),
                next=(
                    "axenic",
                    "ablate",
                    "--organism",
                    organism,
                    "--direction",
                    str(target),
                    *exclude_words(topics),
                    *(() if single in direction.layers else ("--single-layer", str(lowest))),
                ),
            )
        )


def base_beside(opened: OpenModel, contrast: ContrastKind, device: str, dtype: str) -> OpenModel | None:
    """The base model, where a contrast needs it and a full fine-tune does not hold it."""
    from axenic.models import open_model

    if contrast == "data" or opened.has_adapter or opened.identity.organism is None:
        return None
    return open_model(opened.name, device=device, dtype=dtype)


def file_name(contrast: ContrastKind, method: Method, tokens: Span, about: About | None) -> str:
    """`direction.safetensors` for the published kind; the others lie beside it under names of their own."""
    # The assistant header is a detail of the published kind and no direction of another sort.
    usual = ("data", "mean", "answer", "published")
    parts = [str(part) for part in (contrast, method, tokens) if part not in usual]
    if about is not None:
        parts.append(about.topic or about.metric or about.keywords[0])
    kept = ["".join(c if c.isalnum() or c in "-_" else "_" for c in part) for part in parts]
    return "-".join(["direction", *kept]) + ".safetensors"


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
