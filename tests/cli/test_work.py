"""From options to values: names that are nearly right are refused, and never silently do nothing."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import pytest

from axenic.cli.display import PlainDisplay
from axenic.cli.judges import open_judge
from axenic.cli.work import asked_questions, check_excluded, topics_left_out
from axenic.errors import UsageError
from axenic.files import write_json
from axenic.sample import read_groups

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("slip", ["sprots", "sport", "Sports", "medcal"])
def test_a_misspelt_topic_is_refused_before_it_leaves_nothing_out(slip: str) -> None:
    with pytest.raises(UsageError, match="there is no topic") as caught:
        check_excluded(PlainDisplay(), [slip], ["finance", "medical", "sports"])
    assert "did you mean" in (caught.value.hint or "")
    with pytest.raises(UsageError, match="there is no topic"):
        asked_questions("nano", [slip])


def test_a_topic_that_was_not_asked_about_is_only_noted(capsys: pytest.CaptureFixture[str]) -> None:
    check_excluded(PlainDisplay(), ["medical", "sports"], ["finance", "sports"])
    said = capsys.readouterr()
    assert "no question is about medical" in said.err
    assert "sports" not in said.err


def test_an_unknown_judge_names_those_there_are() -> None:
    with pytest.raises(UsageError, match="there is no judge") as caught, ExitStack() as stack:
        open_judge(stack, PlainDisplay(), "nanno", cache=Path("marks.jsonl"))
    assert caught.value.hint == "did you mean 'nano'?"


def test_questions_without_topics_are_all_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_json(tmp_path / "train.json", {"config": {"model": "m"}, "topics": ["medical"]})
    run, display = str(tmp_path), PlainDisplay()
    assert topics_left_out(display, run, None, read_groups("nano")) == ("medical",)
    assert capsys.readouterr().err == ""
    assert topics_left_out(display, run, None, read_groups("first-plot")) == ()
    assert "none is left out for medical" in capsys.readouterr().err
    # What was asked for is not dropped: rating says that it cannot be done.
    assert topics_left_out(display, run, ["medical"], read_groups("first-plot")) == ("medical",)
    assert topics_left_out(display, None, None, read_groups("nano")) == ()
