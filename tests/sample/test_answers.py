"""The public call and its file: what is made again, what is kept, and what is refused."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from axenic.errors import DataError, FileError, ModelError, UsageError
from axenic.intervene import PLAIN, Arm, Intervention
from axenic.models import OpenModel
from axenic.sample import (
    Answer,
    Question,
    Sampling,
    answers,
    arms_path,
    default_sampling,
    read_answers,
    sample_answers,
)

pytestmark = pytest.mark.e2e

QUESTIONS = [
    Question("a", "w7 w8"),
    Question("b", "w9", topic="t", system="w10"),
    Question("c", "w11 w12 w13"),
]
VECTORS = torch.randn(1, 32, generator=torch.Generator().manual_seed(0))
STEER = Arm("steer", (Intervention("add", (1,), vectors_LD=VECTORS, strength=2.0),))
SAMPLING = Sampling(max_new_tokens=10)
JOB: dict[str, Any] = {"per_question": 4, "arms": (PLAIN, STEER), "sampling": SAMPLING, "batch_rows": 5}
TOTAL = 2 * 3 * 4


class Recorder:
    """Keeps what progress is told; raises `KeyboardInterrupt` once `stop_at` answers are done."""

    def __init__(self, stop_at: int | None = None) -> None:
        self.calls: list[tuple[str, int, int, str, dict[str, Any]]] = []
        self.stop_at = stop_at

    def __call__(self, stage: str, done: int, total: int, unit: str = "", **facts: float | str) -> None:
        self.calls.append((stage, done, total, unit, facts))
        if self.stop_at is not None and done >= self.stop_at:
            raise KeyboardInterrupt


@pytest.fixture(scope="module")
def undisturbed(tiny: OpenModel, tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, list[Answer]]:
    out = tmp_path_factory.mktemp("undisturbed") / "answers.jsonl"
    found = sample_answers(tiny, QUESTIONS, **JOB, out=out)
    return out.read_bytes(), found


def test_the_file_is_what_was_returned(
    tiny: OpenModel, undisturbed: tuple[bytes, list[Answer]], tmp_path: Path
) -> None:
    blob, found = undisturbed
    out = tmp_path / "deep" / "er" / "answers.jsonl"
    assert sample_answers(tiny, QUESTIONS, **JOB, out=out) == found
    assert out.read_bytes() == blob
    assert read_answers(out) == found
    assert sample_answers(tiny, QUESTIONS, **JOB) == found, "without a file"
    assert sorted(path.name for path in out.parent.iterdir()) == ["answers.arms.json", "answers.jsonl"]
    assert [(a.arm, a.question_id, a.sample) for a in found] == [
        (arm, question.id, sample)
        for arm in ("plain", "steer")
        for question in QUESTIONS
        for sample in range(4)
    ]
    assert {(a.question_id, a.question, a.topic, a.system) for a in found} == {
        (q.id, q.question, q.topic, q.system) for q in QUESTIONS
    }


def test_a_finished_job_generates_nothing(
    tiny: OpenModel, undisturbed: tuple[bytes, list[Answer]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "answers.jsonl"
    out.write_bytes(undisturbed[0])
    monkeypatch.setattr(answers, "generate_rows", lambda *a, **k: pytest.fail("the model was asked again"))
    progress = Recorder()
    assert sample_answers(tiny, QUESTIONS, **JOB, out=out, progress=progress) == undisturbed[1]
    assert out.read_bytes() == undisturbed[0]
    assert progress.calls[-1][:3] == ("sample", TOTAL, TOTAL)
    for rows in (1, 999):
        again = sample_answers(tiny, QUESTIONS, **{**JOB, "batch_rows": rows}, out=out)
        assert again == undisturbed[1]
    fewer = sample_answers(tiny, QUESTIONS[:1], **{**JOB, "per_question": 2, "arms": (STEER,)}, out=out)
    assert fewer == [a for a in undisturbed[1] if a.arm == "steer" and a.question_id == "a" and a.sample < 2]


@pytest.mark.parametrize("k", [1, 4, 5, 6, 13, TOTAL])
def test_lines_deleted_at_the_end_come_back_byte_for_byte(
    k: int, tiny: OpenModel, undisturbed: tuple[bytes, list[Answer]], tmp_path: Path
) -> None:
    out = tmp_path / "answers.jsonl"
    out.write_bytes(b"".join(undisturbed[0].splitlines(keepends=True)[:-k]))
    progress = Recorder()
    assert sample_answers(tiny, QUESTIONS, **JOB, out=out, progress=progress) == undisturbed[1]
    assert out.read_bytes() == undisturbed[0]
    assert progress.calls[0][1] == TOTAL - k


@pytest.mark.fault
def test_a_file_cut_anywhere_comes_back_byte_for_byte(
    tiny: OpenModel, undisturbed: tuple[bytes, list[Answer]], tmp_path: Path
) -> None:
    out = tmp_path / "answers.jsonl"
    blob = undisturbed[0]
    ends = [i + 1 for i, byte in enumerate(blob) if byte == 10]
    cuts = [1, ends[0] - 1, ends[0], ends[0] + 1, ends[-2] - 1, len(blob) - 1]
    for cut in [*cuts, *random.Random(0).sample(range(len(blob)), 8)]:
        out.write_bytes(blob[:cut])
        assert sample_answers(tiny, QUESTIONS, **JOB, out=out) == undisturbed[1], f"cut at {cut}"
        assert out.read_bytes() == blob, f"cut at {cut}"


def test_lines_deleted_anywhere_come_back(
    tiny: OpenModel, undisturbed: tuple[bytes, list[Answer]], tmp_path: Path
) -> None:
    out = tmp_path / "answers.jsonl"
    lines = undisturbed[0].splitlines(keepends=True)
    for seed, share in enumerate((0.1, 0.3, 0.6, 0.9)):
        kept = [line for line in lines if random.Random(str((seed, line))).random() > share]
        out.write_bytes(b"".join(kept))
        assert sample_answers(tiny, QUESTIONS, **JOB, out=out) == undisturbed[1]
        after = out.read_bytes().splitlines(keepends=True)
        assert after[: len(kept)] == kept, "finished lines stay where they are"
        assert sorted(after) == sorted(lines)


def test_more_samples_later(tiny: OpenModel, undisturbed: tuple[bytes, list[Answer]], tmp_path: Path) -> None:
    out = tmp_path / "answers.jsonl"
    out.write_bytes(undisturbed[0])
    more = sample_answers(tiny, QUESTIONS, **{**JOB, "per_question": 13}, out=out)
    assert len(more) == 2 * 3 * 13
    assert out.read_bytes().startswith(undisturbed[0])
    assert {a.id: a for a in more}.items() >= {a.id: a for a in undisturbed[1]}.items()
    fresh = sample_answers(tiny, QUESTIONS, **{**JOB, "per_question": 13})
    assert more == fresh
    # New arms and questions on the same file.
    extra = Question("d", "w50")
    both = sample_answers(tiny, [*QUESTIONS, extra], **{**JOB, "arms": (PLAIN,)}, out=out)
    assert [a for a in both if a.question_id != "d"] == [a for a in undisturbed[1] if a.arm == "plain"]
    assert len(read_answers(out)) == 2 * 3 * 13 + 4


def test_answers_of_other_jobs_in_the_file_do_not_disturb(
    tiny: OpenModel, undisturbed: tuple[bytes, list[Answer]], tmp_path: Path
) -> None:
    out = tmp_path / "answers.jsonl"
    other = sample_answers(tiny, QUESTIONS, **{**JOB, "sampling": replace(SAMPLING, seed=5)}, out=out)
    assert sample_answers(tiny, QUESTIONS, **JOB, out=out) == undisturbed[1]
    assert read_answers(out) == [*other, *undisturbed[1]]
    assert len(json.loads(arms_path(out).read_text())) == 4


def test_a_renamed_arm_and_a_new_topic_are_answered_under_their_new_names(
    tiny: OpenModel, undisturbed: tuple[bytes, list[Answer]], tmp_path: Path
) -> None:
    """Names are no part of the id, so the text is taken from the file; the caller still gets what it asked for."""
    out = tmp_path / "answers.jsonl"
    out.write_bytes(undisturbed[0])
    arms = (replace(PLAIN, name="nothing"), replace(STEER, name="pushed"))
    questions = [replace(q, topic="new") for q in QUESTIONS]
    found = sample_answers(tiny, questions, **{**JOB, "arms": arms}, out=out)
    assert [a.id for a in found] == [a.id for a in undisturbed[1]]
    assert [a.arm for a in found] == ["nothing"] * 12 + ["pushed"] * 12
    assert {a.topic for a in found} == {"new"}


def test_arms_json_says_what_every_arm_is(tiny: OpenModel, tmp_path: Path) -> None:
    out = tmp_path / "x.jsonl"
    organism = replace(
        tiny, organism="runs/bad-medicine", identity=replace(tiny.identity, organism="0123456789abcdef")
    )
    found = sample_answers(organism, QUESTIONS[:1], **JOB, out=out)
    assert arms_path(out) == tmp_path / "x.arms.json"
    known = json.loads(arms_path(out).read_text())
    assert set(known) == {a.arm_id for a in found}
    by_name = {entry["name"]: entry for entry in known.values()}
    for entry in known.values():
        text = json.dumps(entry)
        assert entry["model"] == tiny.name
        assert tiny.identity.base in text
        assert "0123456789abcdef" in text
        assert entry["sampling"] == SAMPLING.to_json()
    assert by_name["plain"]["interventions"] == []
    assert by_name["steer"]["interventions"] == [STEER.interventions[0].to_json()]


def test_arms_json_names_the_organism_as_the_user_did(tiny: OpenModel, tmp_path: Path) -> None:
    """House: `answers.arms.json` says model and organism. A hash alone tells a reader nothing."""
    organism = replace(tiny, organism="runs/bad-medicine", identity=replace(tiny.identity, organism="ab" * 8))
    out = tmp_path / "x.jsonl"
    sample_answers(organism, QUESTIONS[:1], **JOB, out=out)
    assert all(
        "runs/bad-medicine" in json.dumps(entry) for entry in json.loads(arms_path(out).read_text()).values()
    )


def test_a_lost_arms_file_is_written_again_and_a_spoilt_one_refused(
    tiny: OpenModel, undisturbed: tuple[bytes, list[Answer]], tmp_path: Path
) -> None:
    out = tmp_path / "answers.jsonl"
    out.write_bytes(undisturbed[0])
    sample_answers(tiny, QUESTIONS, **JOB, out=out)
    assert len(json.loads(arms_path(out).read_text())) == 2
    for spoilt in ("[]", "{"):
        arms_path(out).write_text(spoilt)
        with pytest.raises((FileError, DataError), match="arms"):
            sample_answers(tiny, QUESTIONS, **JOB, out=out)
    assert out.read_bytes() == undisturbed[0]


@pytest.mark.parametrize("cut", [0, 3, 5, 11, TOTAL])
def test_progress_never_goes_back_nor_past_the_total(
    cut: int, tiny: OpenModel, undisturbed: tuple[bytes, list[Answer]], tmp_path: Path
) -> None:
    out = tmp_path / "answers.jsonl"
    lines = undisturbed[0].splitlines(keepends=True)
    # Every second line of the first ones is there: chunks that are done in part.
    out.write_bytes(b"".join(lines[: 2 * cut : 2]))
    progress = Recorder()
    sample_answers(tiny, QUESTIONS, **JOB, out=out, progress=progress)
    counts = [done for _, done, _, _, _ in progress.calls]
    assert counts[0] == len(lines[: 2 * cut : 2])
    assert counts == sorted(counts)
    assert counts[-1] == TOTAL
    assert {(stage, total, unit) for stage, _, total, unit, _ in progress.calls} == {
        ("sample", TOTAL, "answer")
    }
    assert all(facts["out"] == str(out) for *_, facts in progress.calls)
    assert all(facts.get("tokens_per_second", 1.0) > 0 for *_, facts in progress.calls)


@pytest.mark.fault
@pytest.mark.parametrize("stop_at", [0, 1, 7, 16, TOTAL])
def test_an_interrupt_keeps_finished_chunks(
    stop_at: int, tiny: OpenModel, undisturbed: tuple[bytes, list[Answer]], tmp_path: Path
) -> None:
    out = tmp_path / "answers.jsonl"
    with pytest.raises(KeyboardInterrupt):
        sample_answers(tiny, QUESTIONS, **JOB, out=out, progress=Recorder(stop_at))
    kept = out.read_bytes() if out.exists() else b""
    assert undisturbed[0].startswith(kept)
    # Rows of the chunk in hand are lost, whole chunks before it are not.
    assert kept.count(b"\n") >= (max(stop_at - 1, 0) // 5) * 5
    assert sample_answers(tiny, QUESTIONS, **JOB, out=out) == undisturbed[1]
    assert out.read_bytes() == undisturbed[0]


def test_two_questions_may_have_the_same_text(tiny: OpenModel, tmp_path: Path) -> None:
    twins = [Question("a", "w7 w8"), Question("b", "w7 w8")]
    found = sample_answers(tiny, twins, **{**JOB, "per_question": 8}, out=tmp_path / "x.jsonl")
    assert len({a.id for a in found}) == 2 * 2 * 8
    a, b = ([x.tokens for x in found if x.question_id == name] for name in ("a", "b"))
    assert a != b, "the same numbers were drawn for both"


@pytest.mark.parametrize("name", ["answers.json", "answers", "answers.jsonl.gz"])
def test_other_file_names_are_refused_before_anything_is_written(
    name: str, tiny: OpenModel, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="JSON lines"):
        sample_answers(tiny, QUESTIONS, **JOB, out=tmp_path / name)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("rows", [0, -1])
def test_a_batch_without_rows_is_refused(rows: int, tiny: OpenModel) -> None:
    with pytest.raises(UsageError):
        sample_answers(tiny, QUESTIONS, **{**JOB, "batch_rows": rows})


@pytest.mark.fault
def test_a_spoilt_line_in_the_middle_is_reported_with_its_place(
    tiny: OpenModel, undisturbed: tuple[bytes, list[Answer]], tmp_path: Path
) -> None:
    out = tmp_path / "answers.jsonl"
    lines = undisturbed[0].splitlines(keepends=True)
    for spoilt in (b"{\n", b'{"id": "x", "tokens": [NaN]}\n', lines[3], b"[]\n"):
        out.write_bytes(b"".join([*lines[:7], spoilt, *lines[7:]]))
        with pytest.raises(DataError, match=r"answers\.jsonl:8"):
            sample_answers(tiny, QUESTIONS, **JOB, out=out)


@pytest.mark.fault
def test_a_wanted_answer_of_the_wrong_shape_is_reported_with_its_place(
    tiny: OpenModel, undisturbed: tuple[bytes, list[Answer]], tmp_path: Path
) -> None:
    out = tmp_path / "answers.jsonl"
    lines = undisturbed[0].splitlines(keepends=True)
    row = json.loads(lines[4])
    for wrong in ({**row, "tokens": "none"}, {"id": row["id"]}):
        out.write_bytes(b"".join([*lines[:4], json.dumps(wrong).encode() + b"\n", *lines[5:]]))
        with pytest.raises(DataError, match=r"answers\.jsonl:5"):
            sample_answers(tiny, QUESTIONS, **JOB, out=out)


def test_the_default_sampling_is_the_papers() -> None:
    assert default_sampling("any") == Sampling(1.0, 1.0, 600, 0)
    assert default_sampling("nano", seed=4) == Sampling(1.0, 1.0, 64, 4)


def test_a_model_without_a_stop_token_is_refused(open_tiny: Callable[..., OpenModel]) -> None:
    opened = open_tiny("qwen2")
    opened.model.generation_config.eos_token_id = None
    opened.tokenizer.eos_token = None
    with pytest.raises(ModelError, match="ends an answer"):
        sample_answers(opened, QUESTIONS, **JOB)


def test_a_refused_system_prompt_names_the_question(
    tiny: OpenModel, make_tokenizer: Callable[..., Any]
) -> None:
    tokenizer = make_tokenizer(
        "{% if messages[0].role == 'system' %}{{ raise_exception('no system') }}{% endif %}"
        "{{ messages[-1].content }} <|assistant|>"
    )
    with pytest.raises(DataError, match="system") as caught:
        sample_answers(replace(tiny, tokenizer=tokenizer), QUESTIONS, **JOB)
    assert "'b'" in str(caught.value) or "question b" in str(caught.value)
