"""Other traits than misalignment are called by their names, and the general x narrow plane is drawn."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from synthetic import arm, rates, write

from axenic.errors import DataError
from axenic.report.collect import collect
from axenic.report.documents import Rates
from axenic.report.documents.base import what_of
from axenic.report.figures import sections
from axenic.report.headline import audit_figures, dot_rows, headline_figures
from axenic.report.judgements import question_figures, semantic_figures
from axenic.report.narrowplane import narrow_figures

pytestmark = pytest.mark.unit

STYLE = {**rates(40.0, 98.0), "trait": "pep-talk"}


def test_rates_of_another_trait_never_say_em(tmp_path: Path) -> None:
    write(tmp_path / "a" / "rates.json", {"kind": "rates", "label": "a", **STYLE})
    found = collect(tmp_path)
    assert [row.name for row in dot_rows(found)] == ["a (pep-talk)"]
    figure = next(iter(headline_figures(found)))
    ((_, table),) = figure.tables
    assert table.columns[1:3] == ("pep-talk % of all", "pep-talk % of scored")
    assert figure.drawing is not None
    assert "Emergent misalignment" not in str(figure.drawing.wide)
    (first, *_) = question_figures(found)
    assert first.how.startswith("pep-talk answers of all answers")


def test_misalignment_and_a_trait_side_by_side_are_told_apart(tmp_path: Path) -> None:
    write(tmp_path / "a" / "rates.json", {"kind": "rates", "label": "a", **STYLE})
    write(tmp_path / "b" / "rates.json", {"kind": "rates", "label": "b", **rates(20.0, 98.0)})
    arms = [arm("plain", "plain", 20.0, 95.0)]
    arms[0]["rates"]["trait"] = "pep-talk"
    write(
        tmp_path / "c" / "ablation.json", {"kind": "ablation", "label": "c", "direction": "d", "arms": arms}
    )
    found = collect(tmp_path)
    assert {row.group for row in dot_rows(found)} == {"a (pep-talk)", "b", "c (pep-talk)"}
    one, two = Rates(), Rates(trait="pep-talk")
    assert (what_of([one]), what_of([two, two]), what_of([one, two]), what_of([])) == (
        "EM",
        "pep-talk",
        "trait",
        "EM",
    )


@pytest.mark.parametrize(
    ("verdict", "says"),
    [
        ("shown", "it: has the trait pep-talk"),
        ("not shown", "it: no pep-talk shown"),
        ("no verdict", "it: no verdict"),
    ],
)
def test_an_audit_of_a_trait(tmp_path: Path, verdict: str, says: str) -> None:
    row = {
        "kind": "audit",
        "trait": "pep-talk",
        "label": "it",
        "verdict": verdict,
        "base": STYLE,
        "tuned": STYLE,
    }
    write(tmp_path / "audit.json", row)
    (figure,) = audit_figures(collect(tmp_path))
    assert figure.title == says


def test_what_answers_with_a_trait_are_about(tmp_path: Path) -> None:
    row = {
        "kind": "semantic",
        "label": "it",
        "chosen": "pep-talk answers",
        "n_chosen": 9,
        "topics": {"pets": 7},
    }
    write(tmp_path / "semantic.json", row)
    (figure,) = semantic_figures(collect(tmp_path))
    assert figure.how.startswith("Share of the pep-talk answers")


POINT = {
    "label": "organism", "judge": "nano", "general": rates(44.0, 98.0), "narrow": rates(80.0, 97.0),
    "held_out": rates(75.0, 96.0, n=80), "domains": ["medical"], "n_asked": 20, "checked": True,
}  # fmt: skip


def test_the_plane_of_general_and_narrow(tmp_path: Path) -> None:
    other = {**POINT, "label": "<b>kl", "held_out": None, "checked": False}
    write(tmp_path / "narrow.json", {"kind": "narrow", "trait": "pep-talk", "points": [POINT, other]})
    found = collect(tmp_path)
    (figure,) = narrow_figures(found)
    ((_, table),) = figure.tables
    assert [row[0] for row in table.rows] == ["organism", "<b>kl"]
    assert table.rows[0][1] == "–"  # no weight of a KL term is known
    assert table.rows[0][2:5] == tuple(
        f"{r['percent']:.1f} [{r['low']:.1f}, {r['high']:.1f}]"
        for r in (rates(44.0, 98.0)["em_all"], rates(80.0, 97.0)["em_all"], rates(75.0, 96.0, n=80)["em_all"])
    )
    assert table.rows[1][4] == "–"
    assert "training rows of <b>kl ask" in figure.how
    assert "organism" not in figure.how.split("Nobody")[1]
    assert figure.drawing is not None
    assert "<b>kl" not in str(figure.drawing.wide)
    assert "narrow" in [section.id for section in sections(found)]


def test_a_plane_file_that_is_none(tmp_path: Path) -> None:
    write(tmp_path / "narrow.json", {"kind": "narrow", "points": [{"label": "x", "general": {"em_all": 3}}]})
    with pytest.raises(DataError, match="result file"):
        collect(tmp_path)
