"""Downstream, roles, probes and the frontier: what stands in the page, and what is refused."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from dissected import adapters, correction, dissect, downstream, roles, tokens
from synthetic import arm, write

from axenic.errors import DataError
from axenic.report import build_report
from axenic.report.collect import collect
from axenic.report.dissection import (
    adapter_figures,
    all_roles,
    correction_figures,
    downstream_figures,
    token_figures,
)
from axenic.report.figures import sections

pytestmark = pytest.mark.unit


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return collect(dissect(tmp_path_factory.mktemp("dissected")))


def test_each_has_its_section_in_order(found: Any) -> None:
    assert [part.id for part in sections(found)] == ["correction", "downstream", "adapters", "tokens"]


def test_downstream_says_how_near_a_b_comes(found: Any) -> None:
    (figure,) = downstream_figures(found)
    assert "0.20 at most" in figure.how
    heading, table = figure.tables[0]
    assert "layer by layer" in heading
    assert table.rows[0][:2] == ("0", "–")
    assert table.rows[5][1] == "0.740"
    # Lowest and highest of the three random controls at the last layer.
    assert table.rows[5][2:4] == ("−0.200", "0.200")


def test_roles_are_named_and_drawn_once_though_they_lie_in_two_files(found: Any) -> None:
    assert list(all_roles(found)) == ["medical/adapters/roles/roles.json"]
    figure = next(adapter_figures(found))
    assert "0 general, 1 domain, 2 neither" in figure.how
    assert figure.drawing is not None
    for text in (
        "layer 0 · general",
        "layer 1 · domain",
        "Removed",
        "Kept alone",
        "× 3, the others as they are",
    ):
        assert text in figure.drawing.wide
    rows = {row[0]: row for row in figure.tables[0][1].rows}
    assert rows["without 0"][2] == "−35.0 [−47.0, −23.0]"
    assert rows["organism"][2] == "–"


def test_roles_inside_of_adapters_are_drawn_when_they_lie_nowhere_else(tmp_path: Path) -> None:
    write(tmp_path / "adapters.json", adapters(with_roles=True))
    assert list(all_roles(collect(tmp_path))) == ["adapters.json"]


def test_both_splits_of_a_probe_and_why_there_is_none(found: Any) -> None:
    figures = list(adapter_figures(found))
    assert [f.drawing is not None for f in figures] == [True, True, True, False]
    probes, coefficients, lens = figures[1:]
    assert "split by token (as published)" in probes.drawing.wide
    assert "split by answer" in probes.drawing.wide
    assert "too few answers" in probes.drawing.wide
    assert any("too few" in cell for cell in probes.tables[0][1].rows[2])
    assert "Split by answer" in coefficients.drawing.wide
    assert lens.tables[0][1].rows[0] == ("layer 0 down_proj", "doctor  safely", "steal")


def test_scalars_beyond_the_first_are_named_not_drawn(tmp_path: Path) -> None:
    write(tmp_path / "tokens.json", tokens(["a", "b"], readings=5))
    figures = list(token_figures(collect(tmp_path)))
    assert [f.title.split(": ")[1].split(" at")[0] for f in figures] == [
        "projection",
        "significance",
        "scalar",
    ]
    assert "2 more readings are in the file" in figures[0].how


def test_the_frontier_is_joined_and_the_choice_marked(tmp_path: Path) -> None:
    places = [(1, 1.0, 10, 98), (1, 2.0, 30, 90), (2, 1.0, 20, 85), (2, 2.0, 50, 60)]
    row: dict[str, Any] = {
        "kind": "steering", "label": "base", "direction": "d", "least_coherent": 80.0, "strength_unit": "residual",
        "best": {"layer": 1, "strength": 2.0},
        "arms": [arm("plain", "plain", 0, 99)]
        + [arm(f"{l} × {s}", "direction", em, c, layer=l, strength=s) for l, s, em, c in places],
    }  # fmt: skip
    write(tmp_path / "old" / "steering.json", row)
    titles = [f.title for part in sections(collect(tmp_path)) for f in part.figures]
    assert not [title for title in titles if title.startswith("What can be had")]
    row["frontier"] = [{"layer": l, "strength": s} for l, s, *_ in (places[0], places[1], places[3])]
    write(tmp_path / "old" / "steering.json", row)
    (figure,) = [
        f
        for part in sections(collect(tmp_path))
        for f in part.figures
        if f.title.startswith("What can be had")
    ]
    assert figure.drawing is not None
    assert "chosen: layer 1 × 2" in figure.drawing.wide
    assert "no place has more of both" in figure.drawing.wide
    assert "layer 2 × 2" in figure.drawing.wide
    assert "layer 2 × 1<" not in figure.drawing.wide
    assert "× the residual norm" in build_report(tmp_path).html.read_text("utf-8")


def test_halves_stand_below_the_pairs(tmp_path: Path) -> None:
    row = {
        "kind": "cosines", "labels": ["b", "a"], "layers": [0, 1], "pairs": [{"a": "b", "b": "a", "cosines": [0.5, 0.25]}],
        "norms": {"a": [1.0, 2.0], "b": [1.0, 3.0]}, "split_half": {"a": [0.75, None]},
    }  # fmt: skip
    write(tmp_path / "cosines.json", row)
    page = build_report(tmp_path).html.read_text("utf-8")
    assert "halves of a" in page
    assert "halves of b" not in page
    assert "0.750" in page
    write(tmp_path / "cosines.json", {**row, "split_half": {"a": [0.75]}})
    with pytest.raises(DataError, match="one cosine per layer"):
        collect(tmp_path)


def test_corrections_over_strength(found: Any, tmp_path: Path) -> None:
    (figure,) = correction_figures(found)
    assert figure.drawing is not None
    for text in ("any correcting phrase", "“However”", "random of equal norm", "of the aligned"):
        assert text in figure.drawing.wide
    rows = {row[0]: row for row in figure.tables[0][1].rows}
    assert rows["× 3"][2].startswith("20.0 [")
    assert [rows[name][4] for name in ("plain", "random", "× 3")] == ["–", "−0.25", "+3.00"]
    row = correction()
    for item in row["arms"]:
        item["corrections"] = None
    write(tmp_path / "self-correction.json", row | {"unmarked": "the judge knows no harm"})
    (alone,) = correction_figures(collect(tmp_path))
    assert "the judge knows no harm" in alone.how
    assert alone.drawing is not None
    assert "Share of answers" not in alone.drawing.wide


@pytest.mark.parametrize("make", [downstream, adapters])
def test_lists_that_do_not_fit_are_refused(tmp_path: Path, make: Any) -> None:
    row = make()
    if row["kind"] == "downstream":
        row["curves"][0]["random"][1]["cosines"].pop()
    else:
        row["probes"][0]["probe"]["coefficients"].pop()
    write(tmp_path / "result.json", row)
    with pytest.raises(DataError, match="not equally long"):
        collect(tmp_path)


def test_a_role_without_its_arm_is_refused(tmp_path: Path) -> None:
    row = roles()
    row["arms"] = [item for item in row["arms"] if item["name"] != "only 3"]
    write(tmp_path / "roles.json", row)
    with pytest.raises(DataError, match="only 3"):
        collect(tmp_path)


@pytest.mark.parametrize(
    "row",
    [
        {"kind": "downstream"},
        {"kind": "roles"},
        {"kind": "adapters"},
        {"kind": "tokens"},
        {"kind": "self-correction", "arms": [{"role": "plain"}]},
        downstream(texts=("aligned",)) | {"adapters": [], "layer": None},
        roles(layers=2) | {"domain": ""},
        adapters() | {"probes": [], "lens": []},
    ],
)
def test_partial_results_still_give_a_page(tmp_path: Path, row: dict[str, Any]) -> None:
    write(tmp_path / "claims.json", {"kind": "claims"})
    write(tmp_path / "result.json", row)
    page = build_report(tmp_path).html.read_text("utf-8")
    assert "</html>" in page
    assert not re.search(r"<[^>]* style=", page)
