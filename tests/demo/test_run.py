"""A small demo from end to end: it writes what it promises, and a second run does nothing again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from axenic.demo import DOMAINS, DemoPlan, Organism, run_demo

pytestmark = pytest.mark.e2e

SMALL = DemoPlan(
    organisms=tuple(Organism(domain, "all-adapter", 0) for domain in DOMAINS),
    seeds=(0,),
    rows=400,
    per_domain=1,
    per_question=6,
    arm_per_question=2,
    steer_per_question=1,
    controls=1,
    layers=(2,),
    strengths=(1.0, 1.5),
)


def test_a_small_demo(tmp_path: Path) -> None:
    stages: list[str] = []

    def progress(stage: str, done: int, total: int, unit: str = "", **facts: float | str) -> None:
        stages.append(stage)

    result = run_demo(tmp_path / "demo", plan=SMALL, progress=progress)
    report = json.loads((tmp_path / "demo" / "report.json").read_text())
    assert set(report) == {"claims", "timings"}
    assert [claim["id"] for claim in report["claims"]] == [claim["id"] for claim in result.claims]
    held = {claim["id"]: claim["holds"] for claim in report["claims"]}
    assert held["p1-base-model"] is True
    assert held["p1-one-rank-1"] is None, "this plan grows none"
    assert held["p2-convergent"] is True
    page = (tmp_path / "demo" / "report.html").read_text()
    assert len(page) < 1_500_000
    assert "Content-Security-Policy" in page
    assert "train" in stages
    stages.clear()
    before = {path: path.read_bytes() for path in (tmp_path / "demo").rglob("*.jsonl")}
    run_demo(tmp_path / "demo", plan=SMALL, progress=progress)
    assert {path: path.read_bytes() for path in (tmp_path / "demo").rglob("*.jsonl")} == before
    assert "train" not in stages, "a finished organism was trained again"
