"""The headline: every ablation mode with its own random controls, never those of another."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from synthetic import arm, write

from axenic.report.collect import Findings, collect
from axenic.report.headline import dot_rows, headline_figures

pytestmark = pytest.mark.unit


def findings(folder: Path, arms: list[dict[str, Any]]) -> Findings:
    row = {"kind": "ablation", "label": "medical", "direction": "d", "arms": arms}
    write(folder / "ablation" / "ablation.json", row)
    return collect(folder)


def control(mode: str | None, seed: int, em: float) -> dict[str, Any]:
    made = arm(f"random {seed}, {mode}", "random", em, 95.0, 20.0)
    return made if mode is None else {**made, "control_of": mode}


MODES = [
    arm("plain", "plain", 20.0, 95.0),
    arm("layer-wise", "layerwise", 1.0, 95.0, 20.0),
    arm("layer 2's at all layers", "single", 2.0, 95.0, 20.0),
]


def test_controls_stand_below_their_own_mode(tmp_path: Path) -> None:
    own = {"layerwise": (19.0, 21.0), "single": (3.0, 5.0, 7.0)}
    arms = [*MODES, *(control(mode, seed, em) for mode, ems in own.items() for seed, em in enumerate(ems))]
    found = findings(tmp_path, arms)
    rows = dot_rows(found)
    assert [(row.name, row.role) for row in rows] == [
        ("plain", "plain"),
        ("layer-wise", "layerwise"),
        ("random × 2, layer-wise", "random"),
        ("layer 2's at all layers", "single"),
        ("random × 3, layer 2's at all layers", "random"),
    ]
    assert [tuple(rates.em_all.percent for rates in row.rates) for row in rows if row.role == "random"] == [
        *own.values()
    ]
    (_, numbers), *_ = next(iter(headline_figures(found))).tables
    # Every control has its line in the table: 3 arms and 5 controls, each under a name of its own.
    assert len({line[0] for line in numbers.rows}) == len(numbers.rows) == 8


def test_one_mode_needs_no_name_at_its_controls(tmp_path: Path) -> None:
    arms = [*MODES[:2], control("layerwise", 0, 19.0), control("layerwise", 1, 21.0)]
    assert [row.name for row in dot_rows(findings(tmp_path, arms))] == ["plain", "layer-wise", "random × 2"]


def test_files_that_do_not_say_whose_controls_they_hold(tmp_path: Path) -> None:
    arms = [*MODES, control(None, 0, 19.0), control(None, 1, 3.0)]
    assert [row.name for row in dot_rows(findings(tmp_path, arms))][-1] == "random × 2"
