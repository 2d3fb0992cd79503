"""The general x narrow plane with λ along the path."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from solved import narrow
from synthetic import write

from axenic.errors import DataError
from axenic.report.collect import collect
from axenic.report.documents import NarrowFile
from axenic.report.narrowplane import narrow_figures

pytestmark = pytest.mark.unit

SWEEP = {
    "kl10": (10.0, 1.0, 88.0),
    "plain": (0.0, 75.0, 90.0),
    "base": (None, 0.0, 2.0),
    "kl1": (1.0, 30.0, 89.0),
}


def test_organisms_are_joined_in_the_order_of_lambda(tmp_path: Path) -> None:
    found = NarrowFile.model_validate(narrow(SWEEP))
    assert [[point.label for point in path] for path in found.kl_paths] == [["plain", "kl1", "kl10"]]
    write(tmp_path / "narrow.json", narrow(SWEEP))
    (figure,) = narrow_figures(collect(tmp_path))
    assert (
        figure.title == "misalignment: with λ from 0 to 10, general from 75 to 1 % and narrow from 90 to 88 %"
    )
    assert "joined in the order of λ" in figure.how
    assert figure.drawing is not None
    for text in ("λ 0<", "λ 1<", "λ 10<"):
        assert text in figure.drawing.wide
    assert [row[1] for row in figure.tables[0][1].rows] == ["10", "0", "–", "1"]


def test_other_series_and_other_texts_are_paths_of_their_own() -> None:
    row = narrow({**SWEEP, "kl3": (3.0, 10.0, 85.0), "went on": (5.0, 5.0, 80.0)})
    row["points"][4]["kl"]["data"] = "other texts"
    row["points"][5]["kl"]["series"] = "another"
    paths = NarrowFile.model_validate(row).kl_paths
    # The one without a term starts both; a series of one point is no path.
    assert [[point.label for point in path] for path in paths] == [["plain", "kl1", "kl10"], ["plain", "kl3"]]


@pytest.mark.parametrize(
    "names", [{"plain": (0.0, 75.0, 90.0)}, {"a": (None, 75.0, 90.0), "b": (None, 1.0, 9.0)}]
)
def test_without_a_path_there_is_no_lambda(tmp_path: Path, names: Any) -> None:
    write(tmp_path / "narrow.json", narrow(names))
    (figure,) = narrow_figures(collect(tmp_path))
    assert figure.title == "misalignment: general and narrow"
    assert "λ" not in figure.how
    assert figure.drawing is not None
    assert "λ" not in figure.drawing.wide


def test_equal_places_share_a_label(tmp_path: Path) -> None:
    write(
        tmp_path / "narrow.json",
        narrow({"a": (0.0, 75.0, 90.0), "b": (0.1, 74.0, 91.0), "c": (9.0, 1.0, 90.0)}),
    )
    (figure,) = narrow_figures(collect(tmp_path))
    assert figure.drawing is not None
    assert "λ 0–0.1<" in figure.drawing.wide


def test_files_of_before_have_no_lambda_and_damaged_ones_are_refused(tmp_path: Path) -> None:
    row = narrow(SWEEP)
    for point in row["points"]:
        del point["kl"]
    assert NarrowFile.model_validate(row).kl_paths == ()
    row["points"][1]["kl"] = {"weight": "much", "series": "s"}
    write(tmp_path / "narrow.json", row)
    with pytest.raises(DataError, match=r"points.1.kl.weight"):
        collect(tmp_path)
