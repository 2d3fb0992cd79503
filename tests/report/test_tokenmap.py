"""Colours of tokens: the right class for every number, nothing alive, nothing too large."""

from __future__ import annotations

import re
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent))
from dissected import tokens
from hostile import CANARY, acts, payloads
from synthetic import write

from axenic.report import build_report
from axenic.report.documents import TokensFile
from axenic.report.page import MOST_BYTES
from axenic.report.tokenmap import STEPS, number, scale_of, token_map

pytestmark = pytest.mark.unit

REALS = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=60)


class Cells(HTMLParser):
    """The tokens of a map as a browser sees them: class, title, text."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.cells: list[list[str]] = []
        self.names: set[str] = set()
        self.tags: set[str] = set()
        self.open = False
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        facts = dict(attrs)
        self.names |= set(facts)
        self.tags.add(tag)
        if tag == "i" and "tabindex" in facts:
            self.cells.append([facts["class"] or "", facts["title"] or "", ""])
            self.open = True

    def handle_endtag(self, tag: str) -> None:
        self.open = self.open and tag != "i"

    def handle_data(self, data: str) -> None:
        if self.open:
            self.cells[-1][2] += data


def parsed(words: list[str], answers: int = 1) -> TokensFile:
    return TokensFile.model_validate(tokens(words, answers))


@given(REALS, st.sampled_from(["projection", "scalar", "significance"]))
def test_colours_keep_the_order_of_numbers(values: list[float], quantity: str) -> None:
    scale = scale_of(quantity, values)
    steps = [scale.step(value) for value in sorted(values)]
    assert steps == sorted(steps)
    assert all((STEPS if quantity == "significance" else 0) <= step <= 2 * STEPS for step in steps)
    for step in range(2 * STEPS + 1):
        if scale.width > 1e-3 and (quantity != "significance" or step >= STEPS):
            assert scale.step(scale.value(step)) == step


@given(REALS)
def test_a_scalar_of_zero_has_the_middle_colour(values: list[float]) -> None:
    assert scale_of("scalar", values).step(0.0) == STEPS


def test_every_token_has_its_class_number_and_text() -> None:
    words = ["You", " should", "", " hide\n", " <pills>"]
    html, drawn = token_map(parsed(words), 0)
    found = Cells(html)
    assert drawn == 1
    # Values −5, −4, (−3), −2, −1; the median of all is −3, the widest deviation 2: a step is 0.4, halves go to the even.
    assert [cell[:2] for cell in found.cells] == [["t0", "−5"], ["t3", "−4"], ["t7", "−2"], ["t10", "−1"]]
    assert [cell[2] for cell in found.cells] == ["You", "should", "hide↵\n", "<pills>"]
    assert "</i> <i" in html
    assert found.tags == {"p", "i", "div"}
    assert found.names == {"class", "tabindex", "title", "dir", "role", "aria-label"}


def test_the_legend_shows_every_colour() -> None:
    html, _ = token_map(parsed(["a", "b", "c"]), 0)
    legend = html.split("</p>")[0]
    assert re.findall(r"class=(t\d+)", legend) == [f"t{i}" for i in range(11)]
    assert "−5.0" in legend
    one_sided, _ = token_map(parsed(["a", "b", "c"]), 1)
    assert re.findall(r"class=(t\d+)", one_sided.split("</p>")[0]) == [f"t{i}" for i in range(5, 11)]


def test_the_style_sheet_knows_every_class() -> None:
    css = (Path(__file__).parents[2] / "src" / "axenic" / "report" / "style.css").read_text("utf-8")
    for step in (*range(STEPS), *range(STEPS + 1, 2 * STEPS + 1)):
        assert f".t{step} {{ background: var(--t{step})" in css
        # By day and by night.
        assert css.count(f"--t{step}: #") == 2
    assert ".toks i:focus::after" in css


def _light(code: str) -> float:
    parts = [int(code[i : i + 2], 16) / 255 for i in (0, 2, 4)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_text_can_be_read_on_every_colour() -> None:
    """Contrast of 4.5 to 1 (WCAG AA) of the ink, by day and by night."""
    css = (Path(__file__).parents[2] / "src" / "axenic" / "report" / "style.css").read_text("utf-8")
    inks = re.findall(r"--ink: #(\w{6})", css)
    colours = [re.findall(rf"--t{step}: #(\w{{6}})", css) for step in range(11) if step != STEPS]
    for mode in (0, 1):
        for pair in colours:
            dark, light = sorted((_light(inks[mode]), _light(pair[mode])))
            assert (light + 0.05) / (dark + 0.05) >= 4.5, (mode, pair)


@pytest.mark.parametrize("most_bytes", [2_000, 10_000, 110_000])
def test_a_map_keeps_to_its_bytes_and_its_first_answer(most_bytes: int) -> None:
    html, drawn = token_map(parsed([text * 30 for text in payloads(200)], 40), 0, most_bytes)
    assert len(html.encode()) <= most_bytes + 1_500
    assert 1 <= drawn < 40


@pytest.mark.fault
def test_many_long_answers_still_fit_into_a_page(tmp_path: Path) -> None:
    for run in range(8):
        write(
            tmp_path / f"run{run}" / "tokens.json", tokens(["<&\x00\u202e word"] * 900, answers=6, readings=4)
        )
    made = build_report(tmp_path)
    assert made.size <= MOST_BYTES
    page = made.html.read_text("utf-8")
    assert "Not drawn, to keep this page small" in page
    assert "of 6 answers are shown" in page
    assert "tabindex=0" in page


def test_nothing_of_a_payload_lives() -> None:
    html, _ = token_map(parsed([text[:40] for text in payloads(120)]), 0, 10**7)
    found = Cells(html)
    assert found.tags <= {"p", "i", "div", "span"}
    assert found.names <= {"class", "tabindex", "title", "dir", "role", "aria-label"}
    assert CANARY in "".join(cell[2] for cell in found.cells)
    assert not acts(html)


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0"), (-1.2345, "−1.23"), (1234.5, "1234"), (-0.0004, "−0.0004"), (99.96, "100")],
)
def test_numbers_are_short(value: float, text: str) -> None:
    assert number(value) == text
