"""The phase section: what is drawn of what was measured, both widths, and files that do not fit themselves."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from synthetic import write

from axenic.errors import DataError
from axenic.report import build_report
from axenic.report.documents import PhasesFile, ScaledFile, parse_result
from axenic.report.phase_words import onset_table, phase_sentence, vectors_table

pytestmark = pytest.mark.unit

STEPS = list(range(0, 200, 5))


def vector(name: str, **changes: Any) -> dict[str, Any]:
    found = {"kind": "rotation", "step": 100, "low": 90, "high": 115, "p_value": 0.0025, "period": None}
    return {
        "name": name,
        "steps": STEPS,
        "norms": [0.01 * step for step in STEPS],
        "cosines": [{"window": 10, "steps": STEPS[2:-2], "values": [None, *[-0.9] * 35]}],
        "pca": {"explained": [0.8, 0.1], "points": [[float(step), 1.0] for step in STEPS]},
        "transition": found,
    } | changes


def phases(**changes: Any) -> dict[str, Any]:
    curve = {"steps": [1, 2, 3], "values": [1.0, 0.9, 0.8]}
    return {
        "kind": "phases",
        "label": "medical",
        "vectors": [vector("all.B"), vector("layers.1.mlp.down_proj.B", transition=None)],
        "partner_norms": {"all.B": [1.0] * len(STEPS)},
        "gradient": curve,
        "losses": {"loss": curve, "loss_answer": curve, "loss_tail": curve},
        "comp": {"rows, mean per step (paper)": [None, *[0.5] * (len(STEPS) - 1)]},
        "seeds": {"all.B": {"n_seeds": 3, "n_found": 2, "step": 101.0, "low": 90.2, "high": 111.8}},
    } | changes


def scaled(**changes: Any) -> dict[str, Any]:
    def point(step: int) -> dict[str, Any]:
        rate = {"count": 1, "n": 4, "percent": 25.0, "low": 5.0, "high": 60.0}
        return {"step": step, "em": rate, "coherent": rate}

    curves = [
        {
            "factor": factor,
            "points": [point(step) for step in (0, 100, 195)],
            "rolling": [0.0, 10.0, 25.0],
            "onset": onset,
        }
        for factor, onset in ((1.0, None), (10.0, {"step": 100, "low": 0, "high": 195, "peak": 195}))
    ]
    rows = [
        {"factor": factor, "alignment": alignment, "coherence": 50.0, "step": step}
        for alignment in (30.0, 40.0)
        for factor, step in ((1.0, None), (10.0, 100))
    ]
    return {"kind": "scaled", "label": "medical", "curves": curves, "robustness": rows} | changes


def page(folder: Path) -> str:
    html = build_report(folder).html.read_text("utf-8")
    section = html[html.index('<section id="phase">') :]
    return section[: section.index("</section>")]


def test_one_picture_of_everything_and_one_of_the_path(tmp_path: Path) -> None:
    write(tmp_path / "medical" / "phase.json", phases())
    write(tmp_path / "medical" / "scaled.json", scaled())
    section = page(tmp_path)
    assert section.count('<div class="wide"><svg') == section.count('<div class="narrow"><svg') == 2
    for panel in (
        "Norm", "its A", "Local cosine", "Comp score", "Norm of the gradient", "Loss, nats per token", "answer",
        "extra header", "EM, of all answers", "Coherent, of all answers", "× 10", "first component (80 %)",
    ):  # fmt: skip
        assert panel in section, panel
    assert "a sudden turn at step 100 [90, 115], p = 0.003" in section
    assert "Over 3 seeds: step 101 [90, 112], 2 of 3 turn." in section
    assert "axenic phase medical --scales 1,5,10,20" in section
    widths = {int(float(found)) for found in re.findall(r'<svg[^>]* width="([\d.]+)"', section)}
    assert widths == {960, 372}


def test_what_was_not_measured_is_left_out(tmp_path: Path) -> None:
    bare = phases(
        vectors=[vector("v", cosines=[], pca={"explained": [1.0], "points": [[1.0]] * len(STEPS)})],
        partner_norms={}, gradient=None, losses={}, comp={}, seeds=None,
    )  # fmt: skip
    write(tmp_path / "a" / "phase.json", bare)
    section = page(tmp_path)
    assert "Norm" in section
    for panel in ("Local cosine", "Comp score", "gradient</", "Loss", "EM, of all answers"):
        assert f"{panel}</text>" not in section
    write(tmp_path / "b" / "scaled.json", scaled())
    assert page(tmp_path).count("EM, of all answers") == 2


def test_the_numbers_as_text() -> None:
    document = parse_result(phases(), "x")
    assert isinstance(document, PhasesFile)
    first, second = vectors_table(document).rows
    assert first[2:5] == ("rotation", "0.003", "100 [90, 115]")
    assert second[2:] == ("–", "–", "–", "–", "–")
    assert phase_sentence(None) == ""
    behaviour = parse_result(scaled(), "x")
    assert isinstance(behaviour, ScaledFile)
    table = onset_table(behaviour)
    assert table.columns == ("alignment below", "coherence above", "× 1", "× 10")
    assert table.rows == (("30", "50", "–", "100"), ("40", "50", "–", "100"))


@pytest.mark.parametrize(
    "broken",
    [
        phases(vectors=[]),
        phases(vectors=[vector("v", norms=[1.0])]),
        phases(vectors=[vector("v", cosines=[{"window": 5, "steps": [1], "values": []}])]),
        phases(gradient={"steps": [1], "values": []}),
        phases(comp={"c": [1.0]}),
        scaled(curves=[{"factor": 1.0, "points": [], "rolling": [1.0]}]),
    ],
)
def test_curves_that_do_not_fit_their_steps_are_refused(broken: dict[str, Any], tmp_path: Path) -> None:
    write(tmp_path / "x.json", broken)
    with pytest.raises(DataError, match="not what it says"):
        build_report(tmp_path)
