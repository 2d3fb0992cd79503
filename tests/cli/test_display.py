"""Three displays, and texts that attack them."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest
from rich.console import Console
from rich.text import Text

sys.path.insert(0, str(Path(__file__).parent.parent / "report"))
from hostile import acts, payloads

from axenic.cli.display import JsonDisplay, PlainDisplay, choose_display, grid_lines, written
from axenic.cli.outcome import Grid, Outcome, plain
from axenic.cli.rich_display import RichDisplay

pytestmark = pytest.mark.unit


def outcome(text: str = "medical") -> Outcome:
    return Outcome(
        "rate", f"EM of {text}", {"label": text, "em": float("nan"), "path": Path("a")},
        (Grid(("name", "EM"), [(text, "1.0"), ("b", "22.5")], frozenset({1}), "a table"),),
        body=text, wrote=(Path("runs") / "x",), next=("axenic", "report", text),
    )  # fmt: skip


def rich_display() -> tuple[RichDisplay, io.StringIO]:
    stream = io.StringIO()
    console = Console(
        file=stream,
        force_terminal=True,
        width=120,
        highlight=False,
        markup=False,
        emoji=False,
        color_system=None,
    )
    return RichDisplay(console, console), stream


def test_json_is_one_object_and_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    display = JsonDisplay()
    display.progress("sample", 1, 2, "answer")
    display.note("device cpu")
    display.show(outcome())
    display.close()
    printed = capsys.readouterr()
    assert printed.err == ""
    found = json.loads(printed.out)
    assert found["verb"] == "rate"
    assert found["result"] == {"label": "medical", "em": None, "path": "a"}
    assert found["next"] == "axenic report medical"
    assert found["wrote"] == ["runs/x"]


def test_plain_keeps_the_result_apart_from_the_progress(capsys: pytest.CaptureFixture[str]) -> None:
    display = PlainDisplay()
    display.progress("sample", 0, 2, "answer", out="x")
    display.note("device cpu")
    display.show(outcome())
    printed = capsys.readouterr()
    assert "sample 0/2 answers" in printed.err
    assert "device cpu" in printed.err
    assert printed.out.splitlines()[0] == "EM of medical"
    assert printed.out.splitlines()[-1] == "next   axenic report medical"


def test_rich_shows_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    display, stream = rich_display()
    display.progress("sample", 0, 2, "answer", out="x")
    display.progress("sample", 2, 2, "answer", out="x")
    display.show(outcome())
    text = stream.getvalue()
    for part in ("EM of medical", "22.5", "runs/x", "axenic report medical", "sample 2/2 answers"):
        assert part in text


def test_rich_prints_a_styled_body_as_it_is() -> None:
    display, stream = rich_display()
    display.show(Outcome("data show", "h", {}, body="x", styled=Text("trained [part]")))
    assert "trained [part]" in stream.getvalue()


def test_no_terminal_means_plain_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(choose_display(False), PlainDisplay)
    assert isinstance(choose_display(True), JsonDisplay)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert isinstance(choose_display(False), RichDisplay)
    monkeypatch.setenv("CI", "true")
    assert isinstance(choose_display(False), PlainDisplay)


@pytest.mark.fault
@pytest.mark.parametrize("text", payloads(120))
def test_payloads_on_every_display(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    display, stream = rich_display()
    display.note(text)
    display.show(outcome(text))
    # Rich ends some lines by moving to the next; nothing else may act.
    assert not acts(stream.getvalue().replace("\x1b[0m", ""))
    plainly = PlainDisplay()
    plainly.note(text)
    plainly.progress(text, 0, 1, text, **{"out": text})
    plainly.show(outcome(text))
    printed = capsys.readouterr()
    assert not acts(printed.out)
    assert not acts(printed.err)
    JsonDisplay().show(outcome(text))
    said = capsys.readouterr().out
    assert said.isascii()
    assert json.loads(said)["result"]["label"] == text
    assert len(said.splitlines()) == 1


def test_rich_markup_stays_text() -> None:
    display, stream = rich_display()
    display.show(outcome("[bold]x[/bold] :skull: [/] http://a.b"))
    assert "[bold]x[/bold] :skull: [/]" in stream.getvalue()


def test_a_table_is_aligned() -> None:
    lines = grid_lines(Grid(("name", "n"), [("a", "1"), ("long name", "100")], frozenset({1})))
    assert lines == ["name         n", "---------  ---", "a            1", "long name  100"]


def test_sizes_of_what_was_written(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x" * 12_345)
    assert written(tmp_path / "a").endswith("(12.3 kB)")
    assert written(tmp_path).endswith("/")
    assert written(tmp_path / "none") == str(tmp_path / "none")


def test_the_next_command_can_be_typed_as_it_stands() -> None:
    assert (
        Outcome("x", "", {}, next=("axenic", "rate", "my run/a b.jsonl")).next_command
        == "axenic rate 'my run/a b.jsonl'"
    )


def test_plain_values() -> None:
    assert plain({1: (float("inf"), Path("x"), {"a"}, None, True)}) == {"1": [None, "x", ["a"], None, True]}
