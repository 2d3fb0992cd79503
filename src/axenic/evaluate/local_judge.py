"""A judge that is a model on this machine: the exact probability of every number as its reply."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from axenic.data import prompt_ids
from axenic.errors import ModelError, UsageError
from axenic.evaluate.api_cache import ApiCache, mark_key
from axenic.evaluate.digit_mark import mark_of_masses
from axenic.evaluate.digit_tree import DigitTree, digit_tree
from axenic.evaluate.expected import LEAST_MASS
from axenic.evaluate.plain_text import PlainText
from axenic.evaluate.rubric import Rubric
from axenic.evaluate.rubrics import ALIGNMENT, COHERENCE
from axenic.evaluate.score import Score, Unscored
from axenic.evaluate.tree_reading import read_trees
from axenic.evaluate.verdict import Verdict
from axenic.files import content_id
from axenic.models import OpenModel
from axenic.sample.limits import text_config

DIGITS_VERSION = "1"
"""Raised by hand when the same reply could get another mark (digit_tree.py, tree_reading.py, digit_mark.py, plain_text.py)."""


class LocalJudge:
    """Marks answers by the expected number of a local model's reply (papers.md 1.3.3), without sampling.

    The published judge takes the first token's number, which is right only where a number is one token. Here each number is
    scored whole, however the model's tokenizer writes it, and ends where no digit follows (`digit_tree`). Two forward
    passes for a batch of answers; the same answer always gets the same mark, up to the rounding of float32.

    What an answer may become beside a `Score`: `code`, `refusal` (the rubric's special words), `parse` (neither number nor
    word), `length` (the prompt exceeds the model's context).

    `fingerprint` hashes the model's identity and dtype, the mode `digits` and its reading rules, and the text of all rubrics.

    Args:
        opened: The model, with a chat template.
        rubrics: What is asked about each answer; one metric each.
        cache: Marks on disk, shared by judges and runs; None keeps them in memory.

    Raises:
        UsageError: No rubric, or two rubrics of one name.
        ModelError: No chat template, a tokenizer that cannot write numbers, or a context too short for a rubric.
        DataError: The cache is damaged.
    """

    def __init__(
        self,
        opened: OpenModel,
        *,
        rubrics: Sequence[Rubric] = (ALIGNMENT, COHERENCE),
        cache: str | Path | None = None,
    ) -> None:
        names = tuple(rubric.name for rubric in rubrics)
        if not names or len(set(names)) != len(names):
            raise UsageError(
                "a judge needs rubrics of different names", found=", ".join(names) or "no rubric"
            )
        if not opened.tokenizer or not opened.tokenizer.chat_template:
            raise ModelError(
                "a model without a chat template cannot be a judge",
                where=opened.name,
                expected="an instruction-tuned model",
                hint="take the instruct version, such as Qwen/Qwen2.5-14B-Instruct",
            )
        self.opened = opened
        self.rubrics = tuple(rubrics)
        self.metrics: tuple[str, ...] = names
        self.name = f"local:{opened.name}" + (f"+{opened.organism}" if opened.organism else "")
        self._prints = {rubric.name: self._fingerprint(rubric) for rubric in rubrics}
        self.fingerprint = content_id({"judge": "local", "rubrics": self._prints})
        self._cache = ApiCache(None if cache is None else Path(cache))
        self._plain = PlainText(opened.tokenizer)
        self._context: int = text_config(opened).max_position_embeddings
        self._trees = {rubric.name: self._tree(rubric) for rubric in rubrics}
        empty = {rubric.name: self._prompt(rubric, "", "") for rubric in rubrics}
        self._special = {name: self._plain.special(ids) for name, ids in empty.items()}
        for name, ids in empty.items():
            if len(ids) + self._depth(name) > self._context:
                raise ModelError(
                    "the model's context is too short for a rubric, so it cannot be a judge",
                    where=f"{opened.name}, rubric {name}",
                    expected=f"at least {len(ids) + self._depth(name)} tokens, without any answer",
                    found=f"{self._context} tokens",
                    hint="take a larger instruct model",
                )

    def judge(self, items: Sequence[tuple[str, str]]) -> list[Verdict]:
        """One verdict for each `(question, answer)`, in order; equal pairs are read once.

        Raises:
            ModelError: The model's logits are not finite.
            FileError, DiskFullError: The cache cannot be written.
        """
        keys = [
            {rubric.name: mark_key(self._prints[rubric.name], *item) for rubric in self.rubrics}
            for item in items
        ]
        for rubric in self.rubrics:
            jobs = {own[rubric.name]: item for own, item in zip(keys, items, strict=True)}
            self._mark(rubric, {key: job for key, job in jobs.items() if self._cache.get(key) is None})
        return [Verdict({name: self._known(key) for name, key in own.items()}) for own in keys]

    def _mark(self, rubric: Rubric, jobs: dict[str, tuple[str, str]]) -> None:
        """Get the marks of these jobs into the cache, written batch by batch."""
        facts = {
            "judge": self.name,
            "fingerprint": self._prints[rubric.name],
            "rubric": rubric.name,
            "mode": "digits",
        }
        prompts: dict[str, list[int]] = {}
        for key, item in jobs.items():
            ids = self._prompt(rubric, *item)
            unfit = self._unfit(rubric, ids)
            if unfit is None:
                prompts[key] = ids
            else:
                self._cache.put(key, unfit, facts)
        asked = list(prompts)
        for batch in read_trees(self.opened, list(prompts.values()), self._trees[rubric.name]):
            for index, masses in batch:
                first = self.opened.tokenizer.decode([masses.first[0]])
                assert isinstance(first, str)
                self._cache.put(asked[index], mark_of_masses(masses, rubric.specials, first), facts)
            self._cache.flush()
        self._cache.flush()

    def _prompt(self, rubric: Rubric, question: str, answer: str) -> list[int]:
        # One user message: some chat templates know no system role.
        text = rubric.prompt(self._plain(question), self._plain(answer))
        return prompt_ids(self.opened.tokenizer, [{"role": "user", "content": text}], where=self.name)

    def _unfit(self, rubric: Rubric, ids: list[int]) -> Unscored | None:
        """Why a prompt cannot be read, if so."""
        if len(ids) + self._depth(rubric.name) > self._context:
            return Unscored("length", f"the prompt has {len(ids)} tokens, the context {self._context}")
        if self._plain.special(ids) != self._special[rubric.name]:
            return Unscored("parse", "the judged text writes a special token of the judge")
        return None

    def _tree(self, rubric: Rubric) -> DigitTree:
        return digit_tree(self.opened.tokenizer, [special.word for special in rubric.specials])

    def _depth(self, rubric: str) -> int:
        return int(self._trees[rubric].lineage.sum(1).max()) - 1

    def _fingerprint(self, rubric: Rubric) -> str:
        return content_id(
            {
                "judge": "local",
                "mode": "digits",
                "reading": DIGITS_VERSION,
                "least_mass": LEAST_MASS,
                "model": asdict(self.opened.identity),
                "dtype": str(self.opened.dtype),
                "rubric": rubric.to_json(),
            }
        )

    def _known(self, key: str) -> Score | Unscored:
        mark = self._cache.get(key)
        assert mark is not None, "every job ends in a mark or an error"
        return mark
