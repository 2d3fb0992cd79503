"""`axenic compare`: everything that is asked of a general and a narrow solution, in one command."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from axenic.cli import efficiency, gradients, noise, paths, significance
from axenic.cli.display import Display, display_for
from axenic.cli.options import Debug, Device, DType, Json
from axenic.cli.outcome import Grid, Outcome
from axenic.cli.solutions import (
    BaseModel,
    CorpusName,
    Data,
    General,
    Texts,
    TextSeed,
    corpus_of,
    data_of,
    open_solutions,
    say_cost,
    texts_of,
)

if TYPE_CHECKING:
    from axenic.interpret import GradientAlignment, PathPlane

EPILOG = """Example:

axenic compare runs/general runs/narrow --data data/bad_medical.jsonl --corpus nano --out runs/compared"""


def compare(
    general: General,
    narrow: Annotated[
        str, typer.Argument(help="The narrow organism, of the same base model: trained with a KL term.")
    ],
    out: Annotated[Path, typer.Option("--out", help="Folder for all results.")],
    data: Data = None,
    corpus: CorpusName = "nano",
    draws: Annotated[int, typer.Option("--draws", min=1, help="Draws of noise at each share.")] = 10,
    texts: Texts = 100,
    seed: TextSeed = 42,
    model: BaseModel = None,
    device: Device = "auto",
    dtype: DType = "auto",
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Compare two organisms of one base model: efficiency, stability to noise, significance on ordinary text.

    Where both stored their paths (trajectory_steps above 0), the gradient along the narrow run and both paths in one plane too.
    Killed or stopped, the same command goes on.
    """
    with display_for(as_json) as display:
        from axenic.interpret.corpuskl import FILE as SIGNIFICANCE
        from axenic.interpret.corpuskl import RANDOM, SHARES, corpus_significance
        from axenic.interpret.efficiency import FACTORS, PERCENTS, compare_efficiency
        from axenic.interpret.efficiency import FILE as EFFICIENCY
        from axenic.interpret.noise import FILE as NOISE
        from axenic.interpret.noise import LEVELS, SEEDS, noise_stability

        one, two = open_solutions(display, model, general, narrow, device, dtype)
        assert two is not None
        rows = texts_of(display, one.base, data_of(data, general), texts, seed)
        read = corpus_of(display, one.base, corpus, texts, seed)
        say_cost(display, 2, len(FACTORS) + len(PERCENTS) + len(LEVELS) * draws, len(rows))
        say_cost(display, 1, len(SHARES) * (RANDOM + 2), len(read.texts))
        efficient = compare_efficiency(one, two, rows, out=out, progress=display.progress)
        stable = noise_stability(
            one, two, rows, seeds=range(SEEDS[0], SEEDS[0] + draws), out=out, progress=display.progress
        )
        significant = corpus_significance(one, two, read.texts, corpus, out=out, progress=display.progress)
        headlines = [
            efficiency.headline(efficient), noise.headline(stable), significance.headline(significant)
        ]  # fmt: skip
        found = {
            "efficiency": efficient.to_json(),
            "noise": stable.to_json(),
            "significance": significant.to_json(),
        }
        shown: tuple[Grid, ...] = (
            *efficiency.grids(efficient), noise.grid(stable), significance.grid(significant)
        )  # fmt: skip
        files = [EFFICIENCY, NOISE, SIGNIFICANCE]
        along = _along(display, general, narrow, data_of(data, general), out, device, dtype)
        if along is not None:
            pulled, plane = along
            headlines += [gradients.headline(pulled), paths.headline(plane)]
            found |= {"gradients": pulled.to_json(), "paths": plane.to_json()}
            shown += (gradients.gradients_grid(pulled), paths.paths_grid(plane))
            files += ["gradients.json", "paths.json"]
        display.show(
            Outcome(
                "compare",
                "\n".join(headlines),
                found,
                shown,
                wrote=tuple(out / name for name in files),
                next=("axenic", "report", str(out)),
            )
        )


def _along(
    display: Display, general: str, narrow: str, data: Path, out: Path, device: str, dtype: str
) -> tuple[GradientAlignment, PathPlane] | None:
    """What is asked of the way and not of its end; None where a run did not store its path."""
    from axenic.cli.work import opened_model
    from axenic.data import read_chat
    from axenic.interpret import gradient_alignment, open_run_path, path_plane
    from axenic.interpret.gradient import rows_of_run
    from axenic.interpret.pathfile import TRAJECTORY

    runs = [Path(general), Path(narrow)]
    if not all((run / TRAJECTORY).is_file() for run in runs):
        display.note("note   no paths are compared: train with --set trajectory_steps=5 to store them")
        return None
    opened = opened_model(display, None, narrow, device, dtype)
    rows = rows_of_run(opened, narrow, read_chat(data))
    pulled = gradient_alignment(
        opened, narrow, {"general": general, "narrow": narrow}, rows, out=out, progress=display.progress
    )
    named = [open_run_path(run, name) for run, name in paths.run_names(runs).items()]
    return pulled, path_plane(named, out=out, progress=display.progress)
