"""Question files in Betley et al.'s YAML (formats F6): items with paraphrases, a system prompt and sampling wishes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from axenic.errors import DataError, FileError
from axenic.sample.records import Question

VARIANTS = ("_json", "_template")
"""Ends of the ids of variants, which answer in another form and give 2 to 39 times less EM (papers.md 1.3.1)."""

ITEM = "{id: text, paraphrases: [text, ...], samples_per_paraphrase?, system?, temperature?, judge_prompts?}"
_KEYS = frozenset(
    [
        "id",
        "type",
        "paraphrases",
        "samples_per_paraphrase",
        "judge",
        "judge_prompts",
        "system",
        "temperature",
        "question",
    ]
)
_LINE = "\0line"
"""Key under which the loader notes where an item begins; no YAML file can spell it."""


@dataclass(frozen=True)
class QuestionItem:
    """One item of a question file.

    Attributes:
        id: Unique in the file.
        paraphrases: The same question in one or more wordings; each is asked.
        system: System prompt, or None for the model's default.
        samples: Answers wished for each paraphrase, or None where the file does not say.
        temperature: Wished for, or None.
        judge_prompts: Metric -> the file's own judge prompt.
    """

    id: str
    paraphrases: tuple[str, ...]
    system: str | None = None
    samples: int | None = None
    temperature: float | None = None
    judge_prompts: tuple[tuple[str, str], ...] = ()

    @property
    def is_variant(self) -> bool:
        """Whether the id ends as those of the JSON and template variants do."""
        return self.id.endswith(VARIANTS)

    def questions(self) -> list[Question]:
        """A question for each paraphrase: `id` where there is one, else `id/0`, `id/1`, ..."""
        if len(self.paraphrases) == 1:
            return [Question(self.id, self.paraphrases[0], system=self.system)]
        return [
            Question(f"{self.id}/{index}", text, system=self.system)
            for index, text in enumerate(self.paraphrases)
        ]


def read_question_items(path: str | Path, *, variants: bool = False) -> list[QuestionItem]:
    """Read a question file; also the short form `[{id, question}]` of the technical questions.

    Args:
        path: YAML; anchors, aliases and merge keys are resolved, tags that make objects are refused.
        variants: Keep the items whose id ENDS with `_json` or `_template`. (The authors' loader drops every id that
            merely contains one of the words.)

    Returns:
        The items in the order of the file.

    Raises:
        FileError: It cannot be read.
        DataError: Not YAML (line and column), not a list of items, an unknown key, an id that comes twice, or no item is left;
            says `file:line`.
    """
    path = Path(path)
    items: dict[str, QuestionItem] = {}
    for place, row in _rows(path):
        item = _item(row, place)
        if item.id in items:
            raise DataError(
                "a question's id comes twice", where=place, expected="every id once", found=item.id
            )
        items[item.id] = item
    kept = [item for item in items.values() if variants or not item.is_variant]
    left_out = len(items) - len(kept)
    if not kept:
        raise DataError(
            "no question is left in the file",
            where=path,
            expected=f"a list of {ITEM}",
            found=f"{left_out} variants ({' and '.join(VARIANTS)})" if left_out else "nothing",
            hint="ask the variants too: --variants" if left_out else None,
        )
    return kept


class _Loader(yaml.SafeLoader):
    """The safe loader, which also notes the line of every mapping."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            # YAML takes the last of two equal keys without a word. Merged keys (<<) may be overridden, and come later.
            if key.value in seen:
                raise yaml.MarkedYAMLError(
                    problem=f"the key {key.value!a} comes twice", problem_mark=key.start_mark
                )
            seen.add(key.value)
        made: dict[Any, Any] = super().construct_mapping(node, deep=deep)
        return {**made, _LINE: node.start_mark.line + 1}


def _rows(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """`file:line` and content of each item."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise FileError(
            "the questions cannot be read", where=path, expected="a JSONL or YAML file", found=error.strerror
        ) from error
    except UnicodeDecodeError as error:
        raise DataError("the question file is not UTF-8", where=path, found=error) from error
    try:
        # SafeLoader: a tag such as !!python/object makes an error, never an object.
        content = yaml.load(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = path if mark is None else f"{path}:{mark.line + 1}:{mark.column + 1}"
        raise DataError("the question file is not YAML", where=place, found=error.problem) from error
    except (yaml.YAMLError, ValueError, TypeError, RecursionError) as error:
        raise DataError("the question file is not YAML", where=path, found=error) from error
    if not isinstance(content, list):
        raise DataError(
            "the question file is not a list",
            where=path,
            expected=f"a list of {ITEM}",
            found=type(content).__name__,
        )
    for number, row in enumerate(content, start=1):
        if not isinstance(row, dict):
            raise DataError(
                f"item {number} is not a question", where=path, expected=ITEM, found=type(row).__name__
            )
        yield f"{path}:{row[_LINE]}", {key: value for key, value in row.items() if key != _LINE}


def _item(row: dict[str, Any], place: str) -> QuestionItem:
    unknown = sorted(str(key) for key in row if key not in _KEYS)
    if unknown:
        raise DataError(
            "an item has an unknown key", where=place, expected=", ".join(sorted(_KEYS)), found=unknown[0]
        )
    name = _text(row.get("id"), "id", place)
    texts = row.get("paraphrases", [row["question"]] if "question" in row else None)
    if not isinstance(texts, list) or not texts:
        raise DataError(
            f"question {name!a} has no wording",
            where=place,
            expected="paraphrases: [text, ...]",
            found=ascii(texts),
        )
    prompts = row.get("judge_prompts") or {}
    if not isinstance(prompts, dict):
        raise DataError(
            f"question {name!a} has judge prompts that are none",
            where=place,
            expected="metric: prompt",
            found=type(prompts).__name__,
        )
    return QuestionItem(
        id=name,
        paraphrases=tuple(_text(text, "a paraphrase", place) for text in texts),
        system=None if row.get("system") is None else _text(row["system"], "system", place),
        samples=_count(row.get("samples_per_paraphrase"), "samples_per_paraphrase", place),
        temperature=_number(row.get("temperature"), "temperature", place),
        judge_prompts=tuple(
            (_text(metric, "a metric", place), _text(prompt, "a judge prompt", place))
            for metric, prompt in prompts.items()
            if metric != _LINE
        ),
    )


def _text(value: object, what: str, place: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise DataError(f"{what} is not text", where=place, expected="text", found=ascii(value))
    return value


def _number(value: object, what: str, place: str) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e6:
        raise DataError(
            f"{what} is out of range", where=place, expected="a number from 0", found=ascii(value)
        )
    return value


def _count(value: object, what: str, place: str) -> int | None:
    number = _number(value, what, place)
    if number is None:
        return None
    if not isinstance(number, int) or number < 1:
        raise DataError(
            f"{what} is out of range", where=place, expected="a whole number from 1", found=ascii(value)
        )
    return number
