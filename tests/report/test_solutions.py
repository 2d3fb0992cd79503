"""Efficiency, noise, significance, paths and gradients in the page: what is said, drawn and refused."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from solved import efficiency, gradients, noise, paths, significance, solve
from synthetic import write

from axenic.errors import DataError
from axenic.report import build_report
from axenic.report.collect import collect
from axenic.report.figures import sections
from axenic.report.pathplane import gradient_figures, path_figures
from axenic.report.section import MOST_OF_A_KIND
from axenic.report.solutions import solution_figures

pytestmark = pytest.mark.unit


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return collect(solve(tmp_path_factory.mktemp("solved")))


def test_each_has_its_section_in_order(found: Any) -> None:
    assert [part.id for part in sections(found)] == ["solutions", "paths", "groups"]
    assert all(figure.drawing is not None for part in sections(found) for figure in part.figures)


def test_efficiency_counts_what_is_clear(found: Any) -> None:
    figure = next(solution_figures(found))
    assert figure.title == (
        "general reaches a clearly lower loss than narrow at 3 of 5 equal norms, a higher one at 1"
    )
    assert "that of general is not clearly different" in figure.how
    assert "end of the grid" not in figure.how
    (_, equal), (_, curve), _ = figure.tables
    assert equal.rows[0] == (
        "4 (40 %)",
        "0.8000 [0.7900, 0.8100]",
        "1.1000 [1.0900, 1.1100]",
        "−0.3000 [−0.3100, −0.2900]",
    )
    assert equal.rows[-1][0] == "own lowest points: 10 and 10"
    assert [row[0] for row in curve.rows] == ["base model", "× 0", "× 0.5", "× 1 (lowest)", "× 1.5", "× 2"]
    for text in ("Loss, nats per token", "base model", "as trained", "lowest", "general − narrow"):
        assert text in figure.drawing.wide
        assert text in figure.drawing.narrow


def test_an_optimum_at_the_end_of_the_grid_is_told(tmp_path: Path) -> None:
    row = efficiency()
    row["narrow"]["inside"] = False
    write(tmp_path / "efficiency.json", row)
    assert "The lowest point of narrow lies at the end" in next(solution_figures(collect(tmp_path))).how


def test_noise_is_paired_by_draw(found: Any) -> None:
    _, figure, _ = solution_figures(found)
    assert figure.title == "narrow is clearly damaged more than general at 1 of 2 shares of noise, less at 0"
    assert figure.tables[0][1].rows == (
        ("0.1", "2.0 [1.0, 3.0]", "2.5 [1.5, 3.5]", "0.5 [−1.0, 2.0]"),
        ("0.5", "12.5 [9.5, 15.5]", "41.0 [38.0, 44.0]", "28.5 [24.5, 32.5]"),
    )
    assert "all is lost: as the base model" in figure.drawing.wide


def test_significance_beside_narrow_and_random(found: Any) -> None:
    *_, figure = solution_figures(found)
    assert figure.title == (
        "general moves the base model clearly more than narrow at 2 of 2 norms and than random ones at 1 of 2 norms"
    )
    table = figure.tables[0][1]
    assert table.columns[1:] == (
        "general",
        "narrow",
        "mean of random",
        "general − narrow",
        "general − random",
    )
    assert table.rows[1][1] == "0.9000 [0.8500, 0.9500]"
    assert table.rows[2][:3] == ("as trained: 12", "0.3100 [0.3000, 0.3200]", "–")
    assert "mean of 2 random ones" in figure.drawing.wide


@pytest.mark.parametrize(
    ("row", "title"),
    [
        (efficiency("alone", None), "alone: lowest loss 0.750 at 1.00 times itself"),
        (noise("alone", None), "alone loses 12 % of its benefit at noise 0.5"),
        (
            significance("alone", None),
            "alone moves the base model clearly more than random ones at 1 of 2 norms",
        ),
        (
            significance("alone", None) | {"random": [], "random_mean": None, "above_random": []},
            "alone: KL 0.31 nats per token",
        ),
    ],
)
def test_one_solution_alone(tmp_path: Path, row: dict[str, Any], title: str) -> None:
    write(tmp_path / "result.json", row)
    (figure,) = solution_figures(collect(tmp_path))
    assert figure.title == title
    assert "general − narrow" not in figure.drawing.wide
    assert "</html>" in build_report(tmp_path).html.read_text("utf-8")


def test_a_single_text_has_no_interval_and_nothing_is_clear(tmp_path: Path) -> None:
    row = json.loads(re.sub(r'"(low|high)": -?[\d.]+', r'"\1": null', json.dumps(efficiency())))
    write(tmp_path / "efficiency.json", row)
    (figure,) = solution_figures(collect(tmp_path))
    assert "at 0 of 5 equal norms, a higher one at 0" in figure.title
    assert figure.tables[0][1].rows[0][1] == "0.8000"


def test_the_files_of_a_pair_stand_together_and_too_many_are_named(tmp_path: Path) -> None:
    for pair in range(MOST_OF_A_KIND + 1):
        write(tmp_path / f"pair{pair}" / "noise.json", noise(f"g{pair}"))
        write(tmp_path / f"pair{pair}" / "efficiency.json", efficiency(f"g{pair}"))
    (part,) = sections(collect(tmp_path))
    assert [figure.source[0] for figure in part.figures][:3] == [
        "pair0/efficiency.json", "pair0/noise.json", "pair1/efficiency.json",
    ]  # fmt: skip
    assert len(part.figures) == 2 * MOST_OF_A_KIND
    assert part.left_out == ("pair6/efficiency.json", "pair6/noise.json")


def test_paths_say_how_far_and_how_fast(found: Any) -> None:
    plane, way = path_figures(found)
    assert plane.title == "3 runs in one plane: the first two components hold 70 %"
    assert "cosine of 0.242" in plane.how
    assert plane.command == "axenic paths general narrow --project 'goes on' --out paths"
    assert plane.tables[0][1].rows[2] == (
        "goes on (projected)", "1 → 3", "– → 0.250", "– → 1.000", "2.00 → 6.00", "0 → 2", "10", "10",
    )  # fmt: skip
    assert way.title == "Along the general direction: goes on 2.0 → 6.0, half by step 10"
    assert "goes on (projected)" in way.drawing.narrow


def test_gradients_say_where_the_loss_pulls(found: Any) -> None:
    (figure,) = gradient_figures(found)
    assert figure.title == "run: the loss pulls nearer to the general end at 2 of 3 steps"
    assert "At 1 of 4 steps no cosine leaves it" not in figure.how
    assert "At 2 of 4 steps no cosine leaves it" in figure.how
    assert "0.97 (general)" in figure.how
    rows = figure.tables[0][1].rows
    assert rows[0] == ("0", "0.9000", "0.5", "0.300", "0.100", "−0.15", "−0.05", "0.010")
    assert rows[3][3:5] == ("–", "–")
    assert "towards the narrow end" in figure.drawing.wide


@pytest.mark.parametrize(
    ("row", "key", "place"),
    [
        (efficiency(), ("general", "points", 1, "loss"), "general.points.1.loss"),
        (noise(), ("general", "points"), "general.points"),
        (significance(), ("general", "points", 0, "norm"), "general.points.0.norm"),
        (gradients(), ("points", 0, "cosines"), "points.0.cosines"),
        (paths(), ("runs", 1, "along"), "runs.1.along"),
    ],
)
def test_a_damaged_file_is_a_located_error(
    tmp_path: Path, row: dict[str, Any], key: tuple[Any, ...], place: str
) -> None:
    at: Any = row
    for part in key[:-1]:
        at = at[part]
    at[key[-1]] = "damaged"
    write(tmp_path / "result.json", row)
    with pytest.raises(DataError) as caught:
        collect(tmp_path)
    assert f"result.json, key {place}" in str(caught.value)
    assert "damaged" in str(caught.value)


@pytest.mark.parametrize("kind", ["noise", "significance", "gradients", "paths"])
def test_lists_that_do_not_fit_are_refused(tmp_path: Path, kind: str) -> None:
    row: Any = {"noise": noise, "significance": significance, "gradients": gradients, "paths": paths}[kind]()
    if kind in ("noise", "significance"):
        row["narrow"]["points"].pop()
    elif kind == "gradients":
        del row["points"][1]["cosines"]["narrow"]
    else:
        row["runs"][0]["steps"].pop()
    write(tmp_path / "result.json", row)
    with pytest.raises(DataError, match=r"not equally long|step 10 lacks a cosine"):
        collect(tmp_path)
