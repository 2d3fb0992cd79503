"""The plane of several runs: where training went with and without the KL term, and where it goes on to, as arrows."""

from __future__ import annotations

from typing import Any

from axenic.report.documents.paths import PathsFile, PathTrace
from axenic.report.plots.canvas import GREY, INK, SERIES, WIDE, Drawing, draw, label, new_figure

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
                    ax.annotate(
                        role, _xy(run)[-1], xytext=(8, 8), textcoords="offset points", fontsize=11, color=INK,
                        fontweight="bold",
                    )  # fmt: skip
        shares = [f"{100 * share:.0f} %" for share in paths.explained]
        ax.set_xlabel(f"first component ({shares[0]})")
        ax.set_ylabel(f"second component ({shares[1]})" if len(shares) > 1 else "second component")
        ax.margins(0.1)
        for axis in (ax.xaxis, ax.yaxis):
            axis.set_major_locator(MaxNLocator(6 if wide else 4))
        ax.legend(
            loc="upper center", bbox_to_anchor=(0.5, -0.13 if wide else -0.17), ncols=3 if wide else 1,
            handlelength=1.6, fontsize=11 if wide else 9.5,
        )  # fmt: skip
        return figure

    return draw(name, f"Paths of {len(paths.runs)} runs in their first two components", paint)


def standalone(drawing: Drawing) -> str:
    """The wide picture as the text of a file of its own, which a browser opens."""
    return str(drawing.wide).replace(_SVG_TAG, f'{_SVG_TAG}xmlns="http://www.w3.org/2000/svg" ', 1)


def _xy(run: PathTrace) -> list[tuple[float, float]]:
    return [(point[0], point[1] if len(point) > 1 else 0.0) for point in run.points]


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


def _arrow_ends(n_points: int) -> list[int]:
    """Where arrow heads stand: in the middle and at the end."""
    return sorted({n_points // 2, n_points - 1} - {0})
