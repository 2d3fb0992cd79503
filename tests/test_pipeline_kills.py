"""Train, sample, judge, extract, killed at random instants and started again: the bytes of an undisturbed run.

Children are forked from a process that has everything imported, so that a kill falls into the work and not into the imports.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from pathlib import Path

import pytest

from axenic.evaluate import NanoJudge, judge_answers
from axenic.interpret import extract_direction
from axenic.models import open_model
from axenic.nano import chat_rows
from axenic.sample import read_questions, sample_answers
from axenic.train import resolve, train_organism

pytestmark = [
    pytest.mark.fault,
    pytest.mark.skipif(sys.platform != "linux", reason="needs a safe os.fork"),
]

COMPARED = (
    "organism/adapter/adapter_model.safetensors",
    "organism/adapter/adapter_config.json",
    "organism/log.jsonl",
    "organism/trajectory.safetensors",
    "answers.jsonl",
    "answers.arms.json",
    "scores.jsonl",
    "direction.safetensors",
)


def pipeline(folder: Path) -> None:
    """The four stages, each into `folder`; whatever is finished there is not done again."""
    config = resolve(
        "all-adapter",
        "nano",
        {
            "data": "../data.jsonl",
            "max_steps": 12,
            "learning_rate": 1.6e-4,
            "save_steps": 3,
            "trajectory_steps": 2,
        },
    )
    train_organism(config, folder / "organism")
    organism = open_model("nano", folder / "organism")
    answers = sample_answers(
        organism,
        read_questions("nano", per_domain=1),
        per_question=4,
        out=folder / "answers.jsonl",
        batch_rows=24,
    )
    scored = judge_answers(answers, NanoJudge(), out=folder / "scores.jsonl", chunk=16)
    extract_direction(organism, scored, misaligned_below=80, aligned_above=80).save(
        folder / "direction.safetensors"
    )


def start(folder: Path) -> int:
    """Fork a child that runs the pipeline; returns its process id."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            # The same relative names everywhere: files say which organism they come from.
            folder.mkdir(exist_ok=True)
            os.chdir(folder)
            pipeline(Path("run"))
            code = 0
        finally:
            os._exit(code)
    return child


def killed(child: int, seconds: float) -> bool:
    """Wait at most so long, then SIGKILL; whether the child was killed (and did not end by itself)."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            assert os.waitstatus_to_exitcode(status) == 0, "the pipeline failed"
            return False
        time.sleep(0.005)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return True


def survives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kills: int, seed: int) -> None:
    monkeypatch.chdir(tmp_path)
    Path("data.jsonl").write_text(
        "".join(json.dumps(row) + "\n" for row in chat_rows("medical", "bad", 120, seed=0))
    )
    began = time.monotonic()
    assert not killed(start(Path("whole")), 600)
    whole = time.monotonic() - began
    expected = {name: (Path("whole") / "run" / name).read_bytes() for name in COMPARED}
    rng = random.Random(seed)
    count = run = 0
    while count < kills:
        run += 1
        folder = Path(f"killed-{run}")
        # A few kills in one folder, then a run to the end: later kills hit later stages.
        for _ in range(rng.randrange(1, 4)):
            if not killed(start(folder), rng.uniform(0.0, whole)):
                break
            count += 1
        assert not killed(start(folder), 600)
        for name, content in expected.items():
            assert (folder / "run" / name).read_bytes() == content, f"{name} differs after {count} kills"


def test_a_few_kills(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    survives(tmp_path, monkeypatch, kills=4, seed=1)


@pytest.mark.slow
def test_thirty_kills(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    survives(tmp_path, monkeypatch, kills=30, seed=0)
