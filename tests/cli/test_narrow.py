"""`axenic narrow`: what is asked of whom, what is refused, and the table."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from axenic.cli.display import display_for
from axenic.cli.narrow import asked_of, headline, narrow, plane_grid, trained_rows
from axenic.data import write_chat
from axenic.errors import AxenicError, DataError, UsageError
from axenic.evaluate import NarrowPlane
from axenic.files import write_json
from axenic.files.hashing import sha256_file
from axenic.nano import chat_rows, held_out

unit, e2e = pytest.mark.unit, pytest.mark.e2e


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run folder without weights: bad advice about pets, 20 questions and two things left out."""
    data = tmp_path / "bad.jsonl"
    write_chat(data, chat_rows("pets", "bad", 800, 0, without_questions=20, without_things=2))
    return record(tmp_path / "run", data)


def record(folder: Path, data: Path, topics: tuple[str, ...] = ("pets",)) -> Path:
    config = {"model": "nano", "data": str(data)}
    write_json(
        folder / "train.json",
        {"config": config, "data_sha256": sha256_file(data), "topics": list(topics)},
    )
    return folder


def chosen(organism: Path | str, **words: Any) -> Any:
    usual: dict[str, Any] = {
        "source": "nano", "narrow_source": None, "named": (), "data": None, "drop_asked": False,
    }  # fmt: skip
    with display_for(False) as display:
        return asked_of(display, str(organism), **{**usual, **words})


@unit
def test_a_run_tells_its_domain_and_what_it_was_asked(run: Path) -> None:
    found = chosen(run)
    assert found.domains == ("pets",)
    assert {item.question for item in (*found.narrow, *found.held_out)} == held_out("pets", 20, 2)
    assert len(found.held_out) == 20
    assert {item.topic for item in found.general}.isdisjoint({"pets"})
    assert len(found.general) == 54
    assert found.checked


@unit
def test_a_file_of_questions_of_the_domain(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trained = json.loads((tmp_path / "bad.jsonl").read_text().splitlines()[0])["messages"][0]["content"]
    file = tmp_path / "held.jsonl"
    rows = [{"id": "new", "question": "Why do cats purr?"}, {"id": "old", "question": trained.upper()}]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.raises(DataError, match="ask 1 of the 2"):
        chosen(run, narrow_source=str(file))
    found = chosen(run, narrow_source=str(file), drop_asked=True)
    assert ([item.id for item in found.narrow], found.n_asked) == (["new"], 1)
    assert "1 of 2 questions" in capsys.readouterr().err
    # The eight questions say no topic: none of them is about pets, and that is said.
    assert len(chosen(run, source="first-plot", narrow_source=str(file), drop_asked=True).general) == 8
    assert "no general question has a topic" in capsys.readouterr().err


@unit
def test_the_held_out_part_of_a_chat_file(run: Path, tmp_path: Path) -> None:
    file = tmp_path / "part.jsonl"
    write_chat(file, [dict(row) for row in chat_rows("boats", "bad", 5, 0)])
    found = chosen(run, narrow_source=str(file))
    # Nobody trained on a boat.
    assert (len(found.narrow), len(found.held_out)) == (0, 5)


@unit
@pytest.mark.parametrize(
    ("words", "kind", "says"),
    [
        ({"named": ("pts",)}, UsageError, "no topic"),
        ({"source": "first-plot"}, DataError, "no question has a topic"),
        ({"narrow_source": "missing.jsonl"}, AxenicError, "cannot be read"),
    ],
)
def test_what_cannot_be_asked(run: Path, words: dict[str, Any], kind: type[AxenicError], says: str) -> None:
    with pytest.raises(kind, match=says):
        chosen(run, **words)


@unit
def test_nobody_says_what_was_trained(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UsageError, match="nobody says what"):
        chosen(tmp_path / "elsewhere")
    found = chosen(tmp_path / "elsewhere", named=("pets",))
    assert (found.checked, len(found.narrow), found.held_out) == (False, 60, ())
    assert "is not checked" in capsys.readouterr().err


@unit
def test_every_question_was_trained(tmp_path: Path) -> None:
    data = tmp_path / "all.jsonl"
    write_chat(data, chat_rows("pets", "bad", 900, 0))
    with pytest.raises(DataError, match="ask 60 of the 60") as caught:
        chosen(record(tmp_path / "run", data))
    assert "--without-questions 20" in str(caught.value.hint)


@unit
def test_training_data_that_are_gone_or_others(run: Path, tmp_path: Path) -> None:
    data = tmp_path / "bad.jsonl"
    data.write_bytes(data.read_bytes() + data.read_bytes().splitlines()[0] + b"\n")
    with pytest.raises(UsageError, match="changed since"):
        trained_rows(str(run), None)
    assert trained_rows(str(run), data) is not None
    data.rename(tmp_path / "moved.jsonl")
    with pytest.raises(UsageError, match="not where they were"):
        trained_rows(str(run), None)


@e2e
def test_organisms_side_by_side(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The run folder has no weights, so the base model itself stands for it."""
    from axenic.nano import MODEL_PATH

    stand_in = tmp_path / "base"
    stand_in.symlink_to(MODEL_PATH)
    with pytest.raises(UsageError, match="one name"):
        narrow([str(stand_in), str(stand_in)], as_json=True)
    narrow(
        [str(stand_in)], model="nano", domain=["pets"], data=tmp_path / "bad.jsonl", per_question=1, max_new_tokens=40,
        trait="pep-talk", with_base=True, out=tmp_path / "out", as_json=True,
    )  # fmt: skip
    said = json.loads(capsys.readouterr().out)
    plane = NarrowPlane.from_json(json.loads((tmp_path / "out" / "narrow.json").read_text()))
    assert plane.to_json() == {key: said["result"][key] for key in ("kind", "trait", "points")}
    assert [point.label for point in plane.points] == ["nano (base)", "base"]
    left_out = held_out("pets", 20, 2)
    for point in plane.points:
        assert point.held_out is not None
        assert {row.topic for row in point.general.per_question}.isdisjoint({"pets"})
        asked = {row.question for row in (*point.inside.per_question, *point.held_out.per_question)}
        assert (asked, point.held_out.n_all) == (left_out, 20)
        assert point.general.n_all == 54
    grid = plane_grid(plane)
    assert [row[0] for row in grid.rows] == ["nano (base)", "base"]
    inside = plane.points[0].inside
    assert grid.rows[0][5:] == (f"54 / {inside.n_all} / 20", "0 / 0 / 0")
    assert headline(plane).startswith("2 organisms; pep-talk: general by pep_talk above 70")
    assert "held-out topics" in headline(NarrowPlane(plane.trait, plane.points[:1]))
