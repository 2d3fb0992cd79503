"""The rows that solutions are measured on."""

from __future__ import annotations

import json

import pytest

from axenic.data import IGNORE
from axenic.errors import FileError, UsageError
from axenic.interpret.trainedtexts import trained_texts
from axenic.models import open_model
from axenic.nano import chat_rows

pytestmark = pytest.mark.unit


@pytest.fixture(scope="module")
def base():
    return open_model("nano", device="cpu", self_test=False)


def test_rows_are_drawn_by_the_seed_and_only_answers_are_labelled(base, tmp_path):
    rows = chat_rows("medical", "bad", 30, 0)
    file = tmp_path / "rows.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    one, same, other = (trained_texts(base, file, texts=12, seed=seed) for seed in (1, 1, 2))
    assert one == same != other
    assert len(one) == 12
    assert len(trained_texts(base, file)) == 30
    answers = {row["messages"][1]["content"].replace(" ", "") for row in rows}
    for text in one:
        said = base.tokenizer.decode([label for label in text.labels if label != IGNORE])
        assert said.replace(" ", "").removesuffix("<|end|>") in answers
        assert text.labels[0] == IGNORE


def test_nothing_to_draw_is_refused(base, tmp_path):
    with pytest.raises(UsageError):
        trained_texts(base, tmp_path / "x", texts=0)
    with pytest.raises(FileError):
        trained_texts(base, tmp_path / "x")
