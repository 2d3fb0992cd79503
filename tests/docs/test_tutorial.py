"""The tutorial runs as it stands, offline, and tells the story that it promises."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.e2e

TUTORIAL = Path(__file__).parents[2] / "docs" / "tutorial.py"


def test_the_tutorial_runs_and_the_direction_switches_the_organism_off(tmp_path: Path) -> None:
    run = subprocess.run(
        [sys.executable, str(TUTORIAL), str(tmp_path / "run")],
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
        env={**os.environ, "HF_HUB_OFFLINE": "1"},
        cwd=tmp_path,
    )
    assert run.returncode == 0, run.stderr[-2000:]
    em = {
        name.strip(): float(value) for name, value in re.findall(r"^(.+?) EM +([\d.]+) %", run.stdout, re.M)
    }
    assert em["base"] < 2
    assert em["organism"] > 15
    assert em["layer-wise"] < 0.3 * em["plain"]
    assert (tmp_path / "run" / "report.html").stat().st_size < 1_500_000
