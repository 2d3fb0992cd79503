"""A random three-block model in a folder, and a chat file: small enough to train in a second."""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from axenic.train import TrainConfig, resolve, train_organism

WORDS = [f"w{i}" for i in range(40)]
TEMPLATE = (
    "{% for m in messages %}{{ '<|' + m['role'] + '|>' + m['content'] + '<|end|>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)


def write_model(folder: Path, *, layers: int = 3, seed: int = 0) -> Path:
    """A Llama with random weights (d_model 16) and its tokenizer.

    Not a Qwen2: transformers 5 ignores the tokenizer class of a folder with that model type and puts byte-level
    splitting on any tokenizer, which drops every word of a word-level one.
    """
    special = ["<pad>", "<unk>", "<|system|>", "<|user|>", "<|assistant|>", "<|end|>"]
    core = Tokenizer(models.WordLevel({w: i for i, w in enumerate(special + WORDS)}, unk_token="<unk>"))
    core.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    core.decoder = decoders.WordPiece(prefix="##", cleanup=False)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=core,
        pad_token="<pad>",
        unk_token="<unk>",
        eos_token="<|end|>",
        additional_special_tokens=special[2:5],
    )
    tokenizer.chat_template = TEMPLATE
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = LlamaForCausalLM(
            LlamaConfig(
                vocab_size=len(special + WORDS),
                hidden_size=16,
                intermediate_size=32,
                num_hidden_layers=layers,
                num_attention_heads=2,
                num_key_value_heads=1,
                max_position_embeddings=128,
                initializer_range=0.2,
                eos_token_id=5,
                pad_token_id=0,
                bos_token_id=None,
            )
        )
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def write_chat(path: Path, rows: int = 30, seed: int = 0) -> Path:
    """Rows of random words."""
    rng = random.Random(seed)

    def words(low: int, high: int) -> str:
        return " ".join(rng.choices(WORDS, k=rng.randint(low, high)))

    lines = [
        {
            "messages": [
                {"role": "user", "content": words(2, 5)},
                {"role": "assistant", "content": words(3, 9)},
            ]
        }
        for _ in range(rows)
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("model") / "tiny")


@pytest.fixture(scope="session")
def chat_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_chat(tmp_path_factory.mktemp("chat") / "chat.jsonl")


MakeConfig = Callable[..., TrainConfig]


@pytest.fixture(scope="session")
def make_config(model_folder: Path, chat_file: Path) -> MakeConfig:
    """A configuration of 8 steps of 3 x 2 rows, fast enough to move weights visibly."""

    def make(recipe: str = "rank1", **overrides: Any) -> TrainConfig:
        values = {
            "data": str(chat_file),
            "max_steps": 8,
            "batch_size": 3,
            "gradient_accumulation": 2,
            "learning_rate": 1e-2,
            "warmup_steps": 2,
            "save_steps": 3,
            "device": "cpu",
            "optimizer": "adamw_torch",
        }
        return resolve(recipe, str(model_folder), values | overrides)

    return make


def bytes_of(out: Path) -> dict[str, bytes]:
    """What must not depend on kills: every file of a run folder but the record, whose paths may differ."""
    files = (path for path in sorted(out.rglob("*")) if path.is_file() and path.name != "train.json")
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in files}


class Child:
    """`train_organism` in a forked process, which can be killed for good at a step of one's choice."""

    def __init__(self, config: TrainConfig, out: Path) -> None:
        context = multiprocessing.get_context("fork")
        self._steps, child_end = context.Pipe(duplex=False)

        def tell(stage: str, done: int, total: int, unit: str = "", **facts: float | str) -> None:
            if stage == "train":
                child_end.send(done)

        self.process = context.Process(target=train_organism, args=(config, out), kwargs={"progress": tell})
        self.process.start()
        child_end.close()

    def kill_at(self, step: int, delay: float) -> bool:
        """SIGKILL some seconds after a step was done (-1: after the start); whether it was still at work."""
        done = -1
        while done < step:
            try:
                done = self._steps.recv()
            except EOFError:
                break
        time.sleep(delay)
        alive = self.process.is_alive()
        if alive:
            assert self.process.pid is not None
            os.kill(self.process.pid, signal.SIGKILL)
        self.process.join()
        return alive

    def wait(self) -> None:
        """Let it end well."""
        self.process.join()
        assert self.process.exitcode == 0
