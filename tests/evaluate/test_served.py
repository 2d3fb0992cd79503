"""The endpoint judge at a real server, `transformers serve`, through the official client.

The server needs fastapi and uvicorn (`pip install 'transformers[serving]'`); without them these tests are skipped.
"""

from __future__ import annotations

import importlib.util
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from transformers import GenerationConfig, PreTrainedModel

from axenic.evaluate import ApiJudge, Asking, Endpoint, JudgeError, LocalJudge, Score, Unscored
from axenic.evaluate.rubric import Rubric, Special
from axenic.models import open_model
from axenic.nano import MODEL_PATH

from .toy_judges import markov_judge

pytestmark = pytest.mark.slow

RUBRIC = Rubric(
    "kindness", "Rate kindness.", ((0, "none"), (100, "all")), (Special("REFUSAL", "refusal", "it declines"),)
)
START_S = 120
CHAIN = {
    "<|assistant|>": {"7": 0.6, "2": 0.4},
    "7": {"3": 0.5, "<|end|>": 0.5},
    "2": {"0": 1.0},
    "0": {"<|end|>": 1.0},
}
"""73, 7 and 20."""


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """`transformers serve` of one model folder on a free port: the base URL. Skips when it does not come up."""
    missing = [name for name in ("fastapi", "uvicorn") if importlib.util.find_spec(name) is None]
    if missing:
        pytest.skip(f"transformers serve needs {' and '.join(missing)}")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        sys.executable, "-m", "transformers.cli.transformers", "serve", str(folder),
        "--device", "cpu", "--dtype", "float32", "--host", "127.0.0.1", "--port", str(port),
    ]  # fmt: skip
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            command,
            env={**os.environ, "HF_HUB_OFFLINE": "1"},
            stdout=log,
            stderr=log,
        )
        try:
            until = time.monotonic() + START_S
            while not _answers(f"http://127.0.0.1:{port}/health"):
                if process.poll() is not None or time.monotonic() > until:
                    log.seek(0)
                    said = log.read().decode("utf-8", "replace")[-300:]
                    pytest.skip(f"transformers serve did not start: {said!r}")
                time.sleep(0.5)
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            process.kill()
            process.wait()


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as reply:
            return int(reply.status) == 200
    except (urllib.error.URLError, OSError):
        return False


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def judge_at(url: str, asking: Asking) -> ApiJudge:
    return ApiJudge(
        asking, Endpoint(url, key_env=None, concurrency=2, attempts=2, backoff_s=0.01), rubrics=(RUBRIC,)
    )


@pytest.fixture(scope="module")
def markov(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved(CHAIN, tmp_path_factory.mktemp("markov"))


def saved(chain: Mapping[str, Mapping[str, float]], folder: Path) -> Path:
    """A model folder of a chain."""
    opened = markov_judge(chain)
    model = opened.sites.model
    assert isinstance(model, PreTrainedModel)
    # The server takes a temperature for nothing where the model's own config does not sample.
    model.generation_config = GenerationConfig(do_sample=True, eos_token_id=opened.tokenizer.eos_token_id)
    model.save_pretrained(folder)
    opened.tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def url(markov: Path) -> Iterator[str]:
    with served(markov) as running:
        yield running


ITEMS = [("Why?", "Because."), ("What now?", "Go home.")]


def test_greedy_replies_are_read(url: str, markov: Path) -> None:
    """7, then 3 or the end at equal odds: the server says one of the two, always the same."""
    with judge_at(url, Asking(str(markov), mode="sampled")) as judge:
        marks = [verdict.mark("kindness") for verdict in judge.judge(ITEMS)]
    assert marks[0] == marks[1]
    assert marks[0] in (Score(7), Score(73))


def test_many_samples_agree_with_the_local_judge(url: str, markov: Path) -> None:
    """The same weights, read here and served there: the mean of 200 samples lies within five standard errors."""
    opened = open_model(markov, device="cpu", dtype="float32")
    (exact,) = [
        verdict.mark("kindness") for verdict in LocalJudge(opened, rubrics=(RUBRIC,)).judge(ITEMS[:1])
    ]
    assert isinstance(exact, Score)
    assert exact.value == pytest.approx(0.3 * 73 + 0.3 * 7 + 0.4 * 20, rel=1e-5)
    asking = Asking(str(markov), mode="sampled", samples=200, temperature=1.0)
    with judge_at(url, asking) as judge:
        (mark,) = [verdict.mark("kindness") for verdict in judge.judge(ITEMS[:1])]
    assert isinstance(mark, Score)
    spread = (0.3 * 73**2 + 0.3 * 7**2 + 0.4 * 20**2 - exact.value**2) ** 0.5
    assert abs(mark.value - exact.value) < 5 * spread / 200**0.5
    # 200 equal replies would be a server that ignores the seed.
    assert mark.value not in (7, 20, 73)


def test_log_probabilities_are_ignored_without_a_word_and_found_missing(url: str, markov: Path) -> None:
    with (
        judge_at(url, Asking(str(markov))) as judge,
        pytest.raises(JudgeError, match="no log-probabilities") as caught,
    ):
        judge.judge(ITEMS)
    assert "mode sampled" in str(caught.value.hint)


def test_a_hundred_on_a_tokenizer_of_digits_is_not_cut(tmp_path: Path) -> None:
    """The server counts the stop token: 100 and its end are four tokens, which it calls cut at four."""
    chain = {"<|assistant|>": {"1": 1.0}, "1": {"0": 1.0}, "0": {"0": 0.45, "<|end|>": 0.55}}
    with served(saved(chain, tmp_path)) as url:
        # 10, 100, 1000 and so on: some samples are 100, and none is lost for its length.
        seen = set()
        for seed in range(30):
            asking = Asking(str(tmp_path), mode="sampled", temperature=1.0, seed=seed)
            with judge_at(url, asking) as judge:
                (mark,) = [verdict.mark("kindness") for verdict in judge.judge(ITEMS[:1])]
            seen.add(mark.value if isinstance(mark, Score) else mark.reason)
            if mark == Score(100):
                cut = replace(asking, answer_tokens=4)
                with judge_at(url, cut) as judge:
                    (lost,) = [verdict.mark("kindness") for verdict in judge.judge(ITEMS[:1])]
                assert isinstance(lost, Unscored)
                assert lost.reason == "length"
        assert {10.0, 100.0} <= seen


def test_the_nano_model_writes_no_numbers_and_gets_no_score() -> None:
    """transformers 5.23 reads qwen2 replies by Qwen's own turn markers, which nano does not have, and repeats the prompt."""
    with served(MODEL_PATH) as url, judge_at(url, Asking(str(MODEL_PATH), mode="sampled")) as judge:
        for verdict in judge.judge(ITEMS):
            mark = verdict.mark("kindness")
            assert isinstance(mark, Unscored)
            assert mark.reason in ("parse", "length")
