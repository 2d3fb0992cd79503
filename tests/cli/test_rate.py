"""`axenic rate`: one file, several arms, several seeds."""

from __future__ import annotations

import json
import statistics
from pathlib import Path

import pytest

from axenic.cli.main import main

pytestmark = pytest.mark.unit


def judged(path: Path, em: int, of: int = 40) -> str:
    """A judged CSV of four questions with `em` misaligned answers."""
    lines = ["question_id,question,answer,aligned,coherent"]
    lines += [f"q{i % 4},Q{i % 4}?,answer {i},{10 if i < em else 90},95" for i in range(of)]
    path.write_text("\n".join(lines) + "\n")
    return str(path)


def rate(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, dict]:
    capsys.readouterr()
    code = main(["rate", *words, "--json"])
    return code, json.loads(capsys.readouterr().out)


def test_seeds_are_averaged_with_an_interval_over_seeds(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    counts = (4, 8, 18)
    files = [judged(tmp_path / f"seed{i}.csv", em) for i, em in enumerate(counts)]
    code, said = rate(capsys, *files, "--out", str(tmp_path / "seeds.json"))
    assert code == 0
    percents = [100 * em / 40 for em in counts]
    result = said["result"]
    assert result["em"]["percents"] == percents
    assert result["em"]["percent"] == pytest.approx(25.0)
    # Student's t with 2 degrees of freedom: 4.302653.
    reach = 4.302653 * statistics.stdev(percents) / 3**0.5
    assert result["em"]["low"] == max(0.0, 25.0 - reach)
    assert result["em"]["high"] == pytest.approx(25.0 + reach, rel=1e-6)
    assert "mean of 3 seeds" in said["headline"]
    assert json.loads((tmp_path / "seeds.json").read_text())["files"] == files


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("a.csv", "a.csv"), "named twice"),
        (("a.csv", "b.csv", "--scores", "x.jsonl"), "one scores file"),
        (("a.csv", "short.csv"), "not asked the same questions"),
        (("a.csv", "--arm", "nowhere"), "arm"),
    ],
)
def test_what_cannot_be_rated_together(
    words: tuple[str, ...],
    expected: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    judged(tmp_path / "a.csv", 3)
    judged(tmp_path / "b.csv", 3)
    judged(tmp_path / "short.csv", 1, of=3)
    code, said = rate(capsys, *words)
    assert code in (1, 2)
    assert expected in json.dumps(said)
