"""The judges' section: made of a panel that `axenic panel` wrote, hostile names shown as text, damage located."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from axenic.errors import DataError
from axenic.evaluate import Score, Scored, Unscored, Verdict
from axenic.evaluate.panel import compare_judges
from axenic.files import write_json
from axenic.report import build_report
from axenic.report.documents import PanelFile, parse_result
from axenic.report.paneltables import histograms_table, panel_tables
from axenic.sample.records import Answer

pytestmark = pytest.mark.unit

NAMES = ("nano", "<script>alert(1)</script>", "llama-3.1-8b-instruct:sampled")


def made(judges: tuple[str, ...] = NAMES) -> dict[str, Any]:
    """The JSON of a real panel: judge k marks 7 k higher, and loses every ninth answer."""
    columns = {}
    for k, judge in enumerate(judges):
        columns[judge] = [
            Scored(
                Answer(f"a{i}", "plain", "p", f"q{i % 4}", "Q?", None, None, i, "text", [1], "eos"),
                Verdict(
                    {
                        "alignment": Unscored("refusal")
                        if k and i % 9 == 8
                        else Score(min(100, 5 * (i % 20) + 7 * k)),
                        "coherence": Score(40 + i % 50),
                    }
                ),
                f"print{k}",
            )
            for i in range(40)
        ]
    return compare_judges(columns, label="medical").to_json()


def test_the_section_has_its_pictures_and_numbers(tmp_path: Path) -> None:
    write_json(tmp_path / "medical" / "panel.json", made())
    html = build_report(tmp_path).html.read_text("utf-8")
    [section] = re.findall(r'<section id="judges">(.*?)</section>', html, re.S)
    assert section.count('<div class="wide"><svg') == section.count('<div class="narrow"><svg') == 2
    assert "<script" not in html
    assert "&lt;script&gt;" in section
    assert "axenic panel medical/answers.jsonl" in section
    assert "refusal 4" in section
    assert "medical/panel.json" in html[html.index("SHA-256") :]
    # Lines and bands have one value at each of the nine alignment thresholds.
    assert section.count("4 unscored") == 4


def test_tables_say_what_the_panel_says() -> None:
    row = made()
    read = parse_result(json.loads(json.dumps(row)), "x")
    assert isinstance(read, PanelFile)
    tables = dict(panel_tables(read))
    names = list(tables)
    assert names[1].startswith("EM or not, two judges at a time; Krippendorff's alpha of all 0.")
    pairs = tables[names[1]]
    assert [sum(map(int, cells[1:6])) for cells in pairs.rows] == [40, 40, 40]
    assert len(tables["agreement of the marks"].rows) == 2 * (2 + 3)
    histograms = histograms_table(read)
    assert all(sum(map(int, cells[2:12])) + int(cells[-1]) == 40 for cells in histograms.rows)
    assert histograms.columns[2] == "0–10"


def test_one_judge_and_topics_alone_can_be_drawn(tmp_path: Path) -> None:
    write_json(tmp_path / "a" / "panel.json", made(("nano",)))
    topics = made(("nano",))
    topics["histograms"] = [{**h, "metric": "medical"} for h in topics["histograms"][:1]]
    write_json(tmp_path / "b" / "panel.json", {**topics, "rates": []})
    assert build_report(tmp_path).figures == 2


@pytest.mark.parametrize("change", [{"counts": [1, 2]}, {"counts": "many"}])
def test_a_damaged_panel_is_located(tmp_path: Path, change: dict[str, Any]) -> None:
    row = json.loads(json.dumps(made(("nano",))))
    row["histograms"][0] |= change
    write_json(tmp_path / "panel.json", row)
    with pytest.raises(DataError) as caught:
        build_report(tmp_path)
    assert "panel.json" in caught.value.where
