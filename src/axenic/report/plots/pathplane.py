"""Several runs: where training went with and without the KL term, where it goes on to (arrows), how far and how fast."""

from __future__ import annotations

from typing import Any, Literal

from axenic.report.documents import PathsFile, PathTrace
from axenic.report.plots.bands import plain_ticks, two_panels
from axenic.report.plots.canvas import GREY, INK, MUTED, SERIES, WIDE, Drawing, draw, label, new_figure

_SVG_TAG = "<svg "


def plot_path_plane(paths: PathsFile, name: str) -> Drawing:
    """Every run's path in the first two components; runs that were projected, such as those that go on, as arrows.

    Args:
        paths: Lines for the runs that the plane was fitted on, arrows for the others; the ends of the general and the
            narrow run are named.
        name: Unique on the page.
    """

    def paint(width: int) -> Any:
        from matplotlib.ticker import MaxNLocator

        wide = width >= WIDE
        figure = new_figure(width, 460 if wide else 380)
        ax = figure.subplots()
        ax.axhline(0, color=GREY, linewidth=0.6, zorder=0)
        ax.axvline(0, color=GREY, linewidth=0.6, zorder=0)
        for number, run in enumerate(paths.runs):
            _path(ax, run, SERIES[number % len(SERIES)], wide)
        for role, named in (("general", paths.general), ("narrow", paths.narrow)):
            for run in paths.runs:
                if run.name == named:
                    _end_name(ax, role, _xy(run))
        shares = [f"{100 * share:.0f} %" for share in paths.explained]
        ax.set_xlabel(f"first component ({shares[0]})")
        ax.set_ylabel(f"second component ({shares[1]})" if len(shares) > 1 else "second component")
        ax.margins(0.14)
        for axis in (ax.xaxis, ax.yaxis):
            axis.set_major_locator(MaxNLocator(6 if wide else 4))
        ax.legend(
            loc="upper center", bbox_to_anchor=(0.5, -0.13 if wide else -0.17), ncols=3 if wide else 1,
            handlelength=1.6, fontsize=11 if wide else 9.5,
        )  # fmt: skip
        return figure

    return draw(name, f"Paths of {len(paths.runs)} runs in their first two components", paint)


def plot_path_steps(paths: PathsFile, name: str) -> Drawing:
    """Every run's part along the general direction, and across it, over its steps; a ring where half of the way is gone.

    Args:
        paths: Dashed: runs that were projected, such as those that go on.
        name: Unique on the page.
    """

    def paint(width: int) -> Any:
        return two_panels(
            width,
            lambda ax: _steps(ax, paths, "along", "Part along the general direction"),
            lambda ax: _steps(ax, paths, "across", "Length of what is perpendicular to it"),
        )

    return draw(name, "How far and how fast each run goes along the general direction, and across", paint)


def standalone(drawing: Drawing) -> str:
    """The wide picture as the text of a file of its own, which a browser opens."""
    return str(drawing.wide).replace(_SVG_TAG, f'{_SVG_TAG}xmlns="http://www.w3.org/2000/svg" ', 1)


def _xy(run: PathTrace) -> list[tuple[float, float]]:
    return [(point[0], point[1] if len(point) > 1 else 0.0) for point in run.points]


def _end_name(ax: Any, text: str, points: list[tuple[float, float]]) -> None:
    """A name beyond the end of a path, on the side to which it went."""
    (x0, y0), (x1, y1) = points[len(points) // 2], points[-1]
    ax.annotate(
        text, (x1, y1), xytext=(9 if x1 >= x0 else -9, 7 if y1 >= y0 else -14), textcoords="offset points",
        ha="left" if x1 >= x0 else "right", fontsize=11, color=INK, fontweight="bold",
    )  # fmt: skip


def _path(ax: Any, run: PathTrace, colour: str, wide: bool) -> None:
    points = _xy(run)
    xs, ys = [x for x, _ in points], [y for _, y in points]
    style = "-" if run.fitted else "--"
    text = label(run.name, 36 if wide else 30) + ("" if run.fitted else " (projected)")
    ax.plot(xs, ys, style, color=colour, linewidth=1.5, label=text)
    ax.plot(xs[0], ys[0], "o", color=colour, markersize=4)
    if run.fitted:
        ax.plot(xs[-1], ys[-1], "o", color=colour, markersize=7)
        return
    for back in _arrow_ends(len(points)):
        ax.annotate(
            "", xy=points[back], xytext=points[back - 1],
            arrowprops={"arrowstyle": "-|>", "color": colour, "mutation_scale": 14, "shrinkA": 0, "shrinkB": 0},
        )  # fmt: skip


def _steps(ax: Any, paths: PathsFile, what: Literal["along", "across"], title: str) -> None:
    for number, run in enumerate(paths.runs):
        colour, values = SERIES[number % len(SERIES)], run.along if what == "along" else run.across
        ax.plot(
            run.steps, values, "-" if run.fitted else "--", color=colour,
            label=label(run.name, 40) + ("" if run.fitted else " (projected)"),
        )  # fmt: skip
        if what == "along" and run.half_along_step in run.steps:
            at = run.steps.index(run.half_along_step)
            ax.plot([run.steps[at]], [values[at]], "o", color=colour, markerfacecolor="none", markersize=8)
    ax.axhline(0, color=MUTED, linewidth=0.9)
    plain_ticks(ax.xaxis)
    plain_ticks(ax.yaxis)
    ax.set_xlabel("step")
    ax.set_title(title)


def _arrow_ends(n_points: int) -> list[int]:
    """Where arrow heads stand: in the middle and at the end."""
    return sorted({n_points // 2, n_points - 1} - {0})
