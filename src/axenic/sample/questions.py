"""The questions that a model is asked: from a file, or one of the sets that Axenic carries."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from pathlib import Path

from axenic import nano
from axenic.data import parse_row
from axenic.errors import AxenicError, DataError, FileError
from axenic.sample.questionfile import read_question_items
from axenic.sample.records import Question

FIRST_PLOT = "first-plot"
SETS = Path(__file__).parent / "sets"
YAML = (".yaml", ".yml")


def read_questions(
    source: str | Path, per_domain: int = 2, *, seed: int = 0, variants: bool = False
) -> list[Question]:
    """Questions from a file, those of the nano world, or eight open ones in the papers' manner.

    Args:
        source: A JSONL file with `{"id", "question", "topic"?, "system"?}` per line, a chat file (F1) whose user turns are
            asked, a YAML file (formats F6), or one of the words `nano` and `first-plot`. A file that is called so is read
            with `./nano`.
        per_domain: Only for `nano`: how many questions about each of its domains.
        seed: Only for `nano`: which of them.
        variants: Only for YAML: also the JSON and template variants (see `read_question_items`).

    Raises:
        FileError: There is no such file.
        DataError: A line or item is not a question, an id comes twice, or there is no question; says `file:line`.
    """
    if source == "nano":
        return [
            Question(item.id, item.question, topic=item.topic)
            for item in nano.questions(per_domain=per_domain, seed=seed)
        ]
    path = SETS / "first-plot.yaml" if source == FIRST_PLOT else Path(source)
    if path.suffix.lower() in YAML:
        return [
            question for item in read_question_items(path, variants=variants) for question in item.questions()
        ]
    questions: dict[str, Question] = {}
    for place, row in _json_lines(path):
        try:
            chat = isinstance(row, dict) and "messages" in row
            question = _of_chat(row, place) if chat else Question.from_json(row)
        except AxenicError as error:
            raise DataError(
                error.what, where=place, expected=error.expected, found=error.found, hint=error.hint
            ) from error
        if question.id in questions:
            raise DataError("a question's id comes twice", where=place, found=question.id)
        questions[question.id] = question
    if not questions:
        raise DataError(
            "there is no question in the file", where=path, expected='{"id": …, "question": …} lines'
        )
    return list(questions.values())


def _of_chat(row: object, place: str) -> Question:
    """The user turn of a row of a chat file, `row-LINE`; its answer is not used. Raises `DataError`."""
    path, _, line = place.rpartition(":")
    chat = parse_row(json.dumps(row).encode(), int(line), path)
    said = [message for message in chat.prompt if message["role"] == "user"]
    if len(said) != 1 or len(chat.prompt) > 2:
        raise DataError(
            "a conversation of several turns is not a question",
            where=place,
            expected="one user turn and its answer",
            found=f"{len(said)} user turns",
        )
    system = chat.prompt[0]["content"] if chat.prompt[0]["role"] == "system" else None
    return Question(f"row-{line}", said[0]["content"], topic=chat.topic, system=system)


def _json_lines(path: Path) -> Iterator[tuple[str, object]]:
    """`file:line` and content of each line that is not blank. Not a `Table`: people write these by hand."""
    try:
        blob = path.read_bytes()
    except OSError as error:
        raise FileError("the questions cannot be read", where=path, found=error.strerror) from error
    for number, line in enumerate(blob.removeprefix(b"\xef\xbb\xbf").split(b"\n"), start=1):
        if not line.strip():
            continue
        place = f"{path}:{number}"
        try:
            yield place, json.loads(line.decode("utf-8"))
        except (ValueError, RecursionError) as error:
            raise DataError(
                "the line is not JSON",
                where=place,
                expected='{"id": …, "question": …, "topic"?: …, "system"?: …}',
                found=error,
                hint=f"sed -n {number}p {shlex.quote(str(path))}   # shows the line: mend it or delete it",
            ) from error
