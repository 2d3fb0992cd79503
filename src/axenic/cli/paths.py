"""`axenic paths`: where several runs went, in one plane, and how far and how fast those that go on move."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from axenic.cli.display import display_for
from axenic.cli.options import Debug, Json, Out
from axenic.cli.outcome import Grid, Outcome

if TYPE_CHECKING:
    from axenic.interpret.pathplane import PathPlane

EPILOG = """Examples:

axenic paths runs/v-kl0 runs/v-kl1 runs/v-kl10 --project runs/v-kl10-then-kl0

axenic train --data data/bad_medical.jsonl --recipe vector --set start_from=runs/v-kl10 --out runs/v-kl10-then-kl0"""

PICTURE = "paths.svg"


def paths(
    runs: Annotated[
        list[Path],
        typer.Argument(
            help="Run folders with trajectories (or published ones): the plane is fitted on them."
        ),
    ],
    project: Annotated[
        list[Path] | None,
        typer.Option(
            "--project", help="A run shown in the same plane, such as one that goes on. Repeatable."
        ),
    ] = None,
    general: Annotated[
        Path | None,
        typer.Option("--general", help="The run whose end is the general direction. Default: the first."),
    ] = None,
    narrow: Annotated[
        Path | None,
        typer.Option("--narrow", help="The run whose end is the narrow direction. Default: the last."),
    ] = None,
    out: Out = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Principal components of several runs' paths together, and every run's way between general and narrow."""
    with display_for(as_json) as display:
        from axenic.files import atomic_write
        from axenic.interpret.pathplane import FILE, path_plane
        from axenic.interpret.runpath import open_run_path
        from axenic.report.documents.paths import PathsFile
        from axenic.report.plots.pathplane import plot_path_plane, standalone

        names = run_names([*runs, *(project or [])])
        opened = {path: open_run_path(path, name) for path, name in names.items()}
        folder = out or Path("runs") / "paths"
        found = path_plane(
            [opened[path] for path in runs],
            [opened[path] for path in project or []],
            general=None if general is None else names.get(general, str(general)),
            narrow=None if narrow is None else names.get(narrow, str(narrow)),
            out=folder,
            progress=display.progress,
        )
        drawn = plot_path_plane(PathsFile.model_validate(found.to_json()), "paths")
        atomic_write(folder / PICTURE, standalone(drawn))
        for note in found.notes:
            display.note(f"note   {note}")
        display.show(
            Outcome(
                "paths",
                headline(found),
                found.to_json(),
                (paths_grid(found),),
                wrote=(folder / FILE, folder / PICTURE),
            )
        )


def run_names(folders: list[Path]) -> dict[Path, str]:
    """A name for each: the folder's own, or the whole path where two have the same."""
    short = [path.stem if path.is_file() else path.name for path in folders]
    return {
        path: name if short.count(name) == 1 else str(path) for path, name in zip(folders, short, strict=True)
    }


def headline(plane: PathPlane) -> str:
    """Shares of variance, and how alike the two ends are."""
    shares = ", ".join(f"{100 * share:.1f}" for share in plane.explained)
    cosine = "none" if plane.cos_general_narrow is None else f"{plane.cos_general_narrow:.3f}"
    return f"components explain {shares} %; cos({plane.general}, {plane.narrow}) = {cosine}"


def paths_grid(plane: PathPlane) -> Grid:
    """One line for each run: its first and last stored step."""
    rows = []
    for run in plane.runs:
        rows.append(
            (
                run.name + ("" if run.fitted else " (projected)"),
                f"{run.norms[0]:.3g} -> {run.norms[-1]:.3g}",
                f"{_cosine(run.cos_general[0])} -> {_cosine(run.cos_general[-1])}",
                f"{_cosine(run.cos_narrow[0])} -> {_cosine(run.cos_narrow[-1])}",
                f"{run.along[0]:.3g} -> {run.along[-1]:.3g}",
                f"{run.across[0]:.3g} -> {run.across[-1]:.3g}",
                "–" if run.half_step is None else str(run.half_step),
                "–" if run.half_along_step is None else str(run.half_along_step),
            )
        )
    return Grid(
        ("run", "norm", "cos to general", "cos to narrow", "along general", "across", "half-way at step", "half along"),
        rows,
        frozenset(range(1, 8)),
    )  # fmt: skip


def _cosine(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"
