"""Get answers out of a model: the public call, its file, and what makes a repeated run cheap."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from axenic.data import prompt_ids
from axenic.errors import AxenicError, DataError, FileError, ModelError, UsageError
from axenic.files import Table, read_json, write_json
from axenic.intervene import PLAIN, Arm
from axenic.models import OpenModel
from axenic.nano import is_nano
from axenic.progress import Progress, silent
from axenic.sample.cache import SpareBuffers
from axenic.sample.engine import Row, generate_rows
from axenic.sample.limits import batch_rows_for, stop_tokens, text_config
from axenic.sample.plan import PlannedAnswer, arm_description, arm_identity, chunks, plan_answers
from axenic.sample.records import Answer, Question, Sampling


def default_sampling(model_name: str, seed: int = 0) -> Sampling:
    """The papers' sampling (1.3.2): temperature 1, top-p 1, 600 new tokens; 64 for nano, whose answers have at most 50."""
    return Sampling(max_new_tokens=64 if is_nano(model_name) else 600, seed=seed)


def sample_answers(
    opened: OpenModel,
    questions: Sequence[Question],
    *,
    per_question: int,
    arms: Sequence[Arm] = (PLAIN,),
    asked: Mapping[str, Collection[str]] | None = None,
    sampling: Sampling | None = None,
    out: Path | None = None,
    batch_rows: int | None = None,
    progress: Progress = silent,
) -> list[Answer]:
    """Sample answers to questions, under one or many arms, as one batched job.

    Every distinct prompt is read once; rows under different interventions decode side by side. With `out`, finished chunks
    are appended at once; the same call again generates only what is missing and returns the same answers.

    Args:
        opened: The model (`axenic.models.open_model`).
        questions: What is asked; ids are unique.
        per_question: Answers to each question under each arm.
        arms: Interventions by name; the default is none at all.
        asked: Name of every arm -> ids of the questions that it is asked; None: every arm is asked all of them. An arm may
            fit some prompts only (`patch_adapter`).
        sampling: Default: `default_sampling` of the model.
        out: An `answers.jsonl`; `answers.arms.json` beside it says what each arm is.
        batch_rows: Answers generated together; default by device and model size. Another value may change an
            answer by rounding, so finish a job with the value it was started with.
        progress: Told about finished answers and tokens per second.

    Returns:
        The answers of this job, arm by arm within every ten samples; also those found in `out`.

    Raises:
        UsageError: Nothing to do, two arms that are the same, an arm that is asked nothing, or a batch without rows.
        ModelError: The prompt leaves no room in the model's context.
        FileError, DiskFullError, DataError: `out` cannot be read or written; what was finished is kept.
    """
    if batch_rows is not None and batch_rows < 1:
        raise UsageError("a batch has no rows", where="--batch-rows", expected="1 or more", found=batch_rows)
    sampling = default_sampling(opened.name) if sampling is None else sampling
    planned = plan_answers(opened, questions, arms, per_question, sampling, asked)
    prompts = [_prompt(opened, question, sampling) for question in questions]
    table = None if out is None else Table(out)
    done: dict[str, Answer] = {}
    if table is not None and out is not None:
        wanted = {plan.id for plan in planned}
        done = _done(out, table, wanted)
        _record_arms(out, opened, arms, sampling)
    job = _Job(opened, questions, prompts, arms, sampling, stop_tokens(opened))
    rows = batch_rows or batch_rows_for(opened, max(map(len, prompts)) + sampling.max_new_tokens)
    started, before = time.monotonic(), len(done)
    progress("sample", len(done), len(planned), "answer", **_where(out))
    for chunk in chunks(planned, rows):
        missing = sum(plan.id not in done for plan in chunk)
        if not missing:
            continue
        on_step = _reporter(progress, len(done), missing, len(planned), out)
        # The whole chunk, also what is there already: its rounding must be that of the undisturbed run.
        fresh = [answer for answer in job.generate(chunk, on_step) if answer.id not in done]
        if table is not None:
            table.append([answer.to_json() for answer in fresh])
        done.update((answer.id, answer) for answer in fresh)
    if len(done) > before:
        seconds = time.monotonic() - started
        progress("sample", len(planned), len(planned), "answer", seconds=round(seconds, 2), **_where(out))
    # Names and topics are no part of the id: an answer found in the file may carry those of an earlier job.
    return [
        replace(done[plan.id], arm=arms[plan.arm].name, topic=questions[plan.question].topic)
        for plan in planned
    ]


class _Job:
    """What the chunks of one job share."""

    def __init__(
        self,
        opened: OpenModel,
        questions: Sequence[Question],
        prompts: Sequence[list[int]],
        arms: Sequence[Arm],
        sampling: Sampling,
        stop_tokens: frozenset[int],
    ) -> None:
        self.opened, self.questions, self.prompts = opened, questions, prompts
        self.arms, self.sampling, self.stop_tokens = arms, sampling, stop_tokens
        self.arm_ids = [arm_identity(opened, arm, sampling) for arm in arms]
        self.spare = SpareBuffers()

    def generate(self, chunk: Sequence[PlannedAnswer], on_step: Callable[[int, int], None]) -> list[Answer]:
        """Answers of one chunk, in its order."""
        pairs = sorted({(plan.arm, plan.question) for plan in chunk})
        index = {pair: i for i, pair in enumerate(pairs)}
        tokens = generate_rows(
            self.opened,
            prompts=[self.prompts[question] for _, question in pairs],
            prompt_arms=[arm for arm, _ in pairs],
            rows=[Row(plan.id, index[plan.arm, plan.question], plan.arm) for plan in chunk],
            arms=self.arms,
            sampling=self.sampling,
            stop_tokens=self.stop_tokens,
            spare=self.spare,
            on_step=on_step,
        )
        texts = self.opened.tokenizer.batch_decode(
            [[t for t in row if t not in self.stop_tokens] for row in tokens], skip_special_tokens=True
        )
        return [
            self._answer(plan, row, text.strip())
            for plan, row, text in zip(chunk, tokens, texts, strict=True)
        ]

    def _answer(self, plan: PlannedAnswer, tokens: list[int], text: str) -> Answer:
        question = self.questions[plan.question]
        return Answer(
            id=plan.id,
            arm=self.arms[plan.arm].name,
            arm_id=self.arm_ids[plan.arm],
            question_id=question.id,
            question=question.question,
            topic=question.topic,
            system=question.system,
            sample=plan.sample,
            text=text,
            tokens=tokens,
            stop="eos" if tokens and tokens[-1] in self.stop_tokens else "length",
        )


def _reporter(
    progress: Progress, done: int, missing: int, total: int, out: Path | None
) -> Callable[[int, int], None]:
    """Say how a chunk is getting on; answers that were there before it count once."""
    started = time.monotonic()

    def on_step(finished: int, generated: int) -> None:
        rate = generated / max(time.monotonic() - started, 1e-9)
        count = done + min(finished, missing)
        progress("sample", count, total, "answer", tokens_per_second=rate, **_where(out))

    return on_step


def _prompt(opened: OpenModel, question: Question, sampling: Sampling) -> list[int]:
    system = [] if question.system is None else [{"role": "system", "content": question.system}]
    messages = [*system, {"role": "user", "content": question.question}]
    ids = prompt_ids(opened.tokenizer, messages, where=f"question '{question.id}'")
    room = text_config(opened).max_position_embeddings
    if len(ids) + sampling.max_new_tokens > room:
        raise ModelError(
            f"question '{question.id}' and its answer do not fit into the model's context",
            expected=f"at most {room} tokens",
            found=f"{len(ids)} in the prompt and {sampling.max_new_tokens} new ones",
            hint=f"--max-new-tokens {room - len(ids)}" if len(ids) < room else "shorten the question",
        )
    return ids


def _done(out: Path, table: Table, wanted: set[str]) -> dict[str, Answer]:
    """The wanted answers that the file has already, by id."""
    done = {}
    # A table has no blank lines, so that the n-th row stands on the n-th line.
    for line, row in enumerate(table.rows(), start=1):
        if row["id"] in wanted:
            try:
                done[row["id"]] = Answer.from_json(row)
            except AxenicError as error:
                raise DataError(
                    error.what, where=f"{out}:{line}", expected=error.expected, found=error.found
                ) from error
    return done


def _record_arms(out: Path, opened: OpenModel, arms: Sequence[Arm], sampling: Sampling) -> None:
    """Say beside the answers what each arm is; entries of earlier jobs on the same file stay."""
    path = arms_path(out)
    known = read_json(path) if path.exists() else {}
    if not isinstance(known, dict):
        raise FileError(
            "not a list of arms", where=path, expected="a JSON object", found=type(known).__name__
        )
    entries = dict(known)
    for arm in arms:
        entries[arm_identity(opened, arm, sampling)] = {
            "name": arm.name,
            "model": opened.name,
            "organism_name": opened.organism,
            **arm_description(opened, arm, sampling),
            "interventions": [intervention.to_json() for intervention in arm.interventions],
        }
    if entries != known:
        write_json(path, entries)


def arms_path(answers: Path) -> Path:
    """`runs/a/answers.jsonl` -> `runs/a/answers.arms.json`."""
    if answers.suffix != ".jsonl":
        raise UsageError(
            "answers are written as JSON lines", where=answers, expected="a file name ending in .jsonl"
        )
    return answers.with_suffix(".arms.json")


def _where(out: Path | None) -> dict[str, str]:
    return {} if out is None else {"out": str(out)}
