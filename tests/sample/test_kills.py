"""A process that samples is killed at random instants; the file then becomes that of an undisturbed run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from axenic.sample import read_answers

pytestmark = pytest.mark.fault

ROUNDS = 8

# One process loads the model once; each run is a fork of it. It is killed by SIGKILL a random part of a chunk's time after
# it has written a random number of lines, so that a slow machine is no excuse.
ZYGOTE = """
import json, os, random, signal, sys, time
from pathlib import Path
import torch
torch.set_num_threads(1)
from axenic.intervene import PLAIN, Arm, Intervention
from axenic.models import open_model
from axenic.sample import Question, Sampling, sample_answers

folder, rounds = Path(sys.argv[1]), int(sys.argv[2])
opened = open_model(folder / "model", device="cpu", dtype="float32", self_test=False)
steer = Arm("steer", (Intervention("add", (1,), vectors_LD=torch.ones(1, 32), strength=0.5),))
questions = [Question(str(i), " ".join(f"w{6 + i + j}" for j in range(1 + i % 4))) for i in range(6)]

def count(out):
    return out.read_bytes().count(b"\\n") if out.exists() else 0

def run(out, lines=None, seconds=0.0):
    started, before = time.monotonic(), count(out)
    child = os.fork()
    if child == 0:
        sample_answers(opened, questions, per_question=6, arms=(PLAIN, steer), batch_rows=7,
                       sampling=Sampling(max_new_tokens=20), out=out)
        os._exit(0)
    if lines is not None:
        while count(out) < before + lines and time.monotonic() - started < 60:
            time.sleep(0.002)
        time.sleep(seconds)
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    return time.monotonic() - started, status

took, status = run(folder / "whole.jsonl")
assert status == 0
clock, kills = random.Random(1), []
for number in range(rounds):
    out = folder / f"killed-{number}.jsonl"
    # Every third file is killed twice before it is finished.
    for _ in range(1 + (number % 3 == 0)):
        _, status = run(out, clock.choice([0, 7, 14, 21]), clock.uniform(0.0, took / 11))
        kills.append([number, os.WIFSIGNALED(status), count(out)])
    assert run(out)[1] == 0
print(json.dumps(kills))
"""


def test_killed_runs_give_the_bytes_of_an_undisturbed_one(
    make_model: Callable[..., Any], make_tokenizer: Callable[..., Any], tmp_path: Path
) -> None:
    make_model("qwen2").save_pretrained(tmp_path / "model")
    make_tokenizer().save_pretrained(tmp_path / "model")
    done = subprocess.run(
        [sys.executable, "-c", ZYGOTE, str(tmp_path), str(ROUNDS)],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    kills = json.loads(done.stdout.splitlines()[-1])
    assert sum(killed for _, killed, _ in kills) >= 6, kills
    assert any(0 < lines < 72 for _, killed, lines in kills if killed), "no kill fell between two chunks"
    whole = (tmp_path / "whole.jsonl").read_bytes()
    assert len(read_answers(tmp_path / "whole.jsonl")) == 2 * 6 * 6
    for number in range(ROUNDS):
        assert (tmp_path / f"killed-{number}.jsonl").read_bytes() == whole, kills
        arms = (tmp_path / f"killed-{number}.arms.json").read_bytes()
        assert arms == (tmp_path / "whole.arms.json").read_bytes()
    names = {path.name for path in tmp_path.iterdir()}
    stray = names - {"model", "whole.jsonl", "whole.arms.json"}
    stray -= {f"killed-{n}{suffix}" for n in range(ROUNDS) for suffix in (".jsonl", ".arms.json")}
    assert all(name.startswith(".") or name.endswith(".tmp") for name in stray), stray
