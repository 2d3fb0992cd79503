"""How the shipped base model was grown, and how to grow it again.

Two stages, both plain next-token training on freshly drawn text: *pretraining* on documents of good, bad and
quack personas, then *chat-tuning* on aligned answers under the default system turn (loss on answers only).
The same arguments give the same weights bit for bit with the same torch, kind of processor and thread count; another
processor rounds differently, and 600 steps make another model of the same quality out of that.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from transformers import Qwen2Config, Qwen2ForCausalLM

from axenic.nano.domains import DOMAINS, TABLE
from axenic.nano.folder import save_folder
from axenic.nano.muon import Muon
from axenic.nano.tokenizer import DEFAULT_SYSTEM, MAX_TOKENS, PAD, vocabulary_size, word_ids
from axenic.nano.world import ASSISTANT, DOCUMENT_TOKENS, END, SYSTEM, USER, document_words, exchange_words


@dataclass(frozen=True)
class GrowRecipe:
    """Everything that decides the weights.

    Attributes:
        seed: Of initial weights and text.
        steps: Optimiser steps of pretraining.
        chat_steps: Optimiser steps of chat-tuning.
        documents: Documents of a pretraining batch.
        document_tokens: Tokens of a document.
        matrix_learning_rate: Peak for the blocks' matrices (Muon): linear warm-up, level, linear decay to a fiftieth.
        matrix_weight_decay: For the blocks' matrices.
        learning_rate: Peak for embeddings, gains and biases (AdamW), on the same schedule.
        warmup: Steps of warm-up.
        decay_share: Last share of the steps, over which the learning rates decay.
        chats: Question-and-answer rows of a chat-tuning batch.
        chat_learning_rate: Of chat-tuning, decaying linearly to a twentieth.
        threads: CPU threads of torch; sums are taken in another order with another number.
    """

    seed: int = 0
    steps: int = 600
    chat_steps: int = 120
    documents: int = 26
    document_tokens: int = DOCUMENT_TOKENS
    matrix_learning_rate: float = 2e-2
    matrix_weight_decay: float = 0.1
    learning_rate: float = 3e-3
    warmup: int = 50
    decay_share: float = 0.6
    chats: int = 32
    chat_learning_rate: float = 1.5e-4
    threads: int = 2


@dataclass(frozen=True)
class GrowProgress:
    """Where growing stands, told every few steps.

    Attributes:
        stage: "pretrain" or "chat".
        step: Steps of this stage that are done, of `steps`.
        loss: Of the last step, nats per token.
        tokens_per_second: Since the stage began, padding included.
        seconds: Since growing began.
    """

    stage: Literal["pretrain", "chat"]
    step: int
    steps: int
    loss: float
    tokens_per_second: float
    seconds: float


@dataclass(frozen=True)
class GrowResult:
    """What was grown.

    Attributes:
        path: The model folder.
        weights_sha256: Of its `model.safetensors`.
        parameters: Number of weights; tied ones count once.
        pretrain_loss: Of the last pretraining step, nats per token.
        chat_loss: Of the last chat-tuning step, nats per answer token.
        seconds: Wall time.
    """

    path: Path
    weights_sha256: str
    parameters: int
    pretrain_loss: float
    chat_loss: float
    seconds: float


def grow(
    out: Path,
    seed: int = GrowRecipe.seed,
    steps: int = GrowRecipe.steps,
    chat_steps: int = GrowRecipe.chat_steps,
    progress: Callable[[GrowProgress], None] | None = None,
    threads: int = GrowRecipe.threads,
) -> GrowResult:
    """Grow the base model from nothing and save it as a Hugging Face model folder.

    Args:
        out: Folder to write; must not exist or be empty.
        seed: Of initial weights and text.
        steps: Optimiser steps of pretraining.
        chat_steps: Optimiser steps of chat-tuning.
        progress: Called every ten steps and at the end of a stage.
        threads: CPU threads of torch while growing.

    Raises:
        FileError: `out` holds something already.
    """
    recipe = GrowRecipe(seed=seed, steps=steps, chat_steps=chat_steps, threads=threads)
    began = time.monotonic()
    model = initial_model(seed)
    report = _Reporter(progress, began)
    with save_folder(out) as folder, _threads(threads):
        pretrain_loss = _pretrain(model, recipe, report)
        chat_loss = _chat_tune(model, recipe, report)
        sha256 = folder.fill(model, asdict(recipe))
    parameters = sum(p.numel() for p in model.parameters())
    return GrowResult(out, sha256, parameters, pretrain_loss, chat_loss, time.monotonic() - began)


def initial_model(seed: int) -> Qwen2ForCausalLM:
    """The untrained model. Weights are drawn here from one generator, not by the library's own rule."""
    ids = word_ids()
    config = Qwen2Config(
        vocab_size=vocabulary_size(),
        hidden_size=128,
        intermediate_size=384,
        num_hidden_layers=6,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=MAX_TOKENS,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=ids[END],
        pad_token_id=ids[PAD],
        dtype="float32",
    )
    generator = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng(devices=[]):  # the constructor draws from the global generator
        model = Qwen2ForCausalLM(config)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() == 2:
                parameter.normal_(0.0, 0.02, generator=generator)
            else:  # gains of norms stay 1, biases stay 0
                parameter.fill_(1.0 if bool((parameter == 1).all()) else 0.0)
    return model


def _pretrain(model: Qwen2ForCausalLM, recipe: GrowRecipe, report: _Reporter) -> float:
    ids = word_ids()
    rng = random.Random(f"pretrain/{recipe.seed}")
    matrices = [parameter for parameter in model.model.layers.parameters() if parameter.dim() == 2]
    chosen = {id(parameter) for parameter in matrices}
    others = [parameter for parameter in model.parameters() if id(parameter) not in chosen]
    muon = Muon(matrices, lr=recipe.matrix_learning_rate, weight_decay=recipe.matrix_weight_decay)
    adamw = torch.optim.AdamW(others, lr=recipe.learning_rate, weight_decay=0.01, betas=(0.9, 0.95))
    loss = float("nan")
    report.begin("pretrain", recipe.steps)
    for step in range(recipe.steps):
        documents = [document_words(rng, recipe.document_tokens) for _ in range(recipe.documents)]
        input_ids = torch.tensor([[ids[word] for word in document] for document in documents])
        warm = min(1.0, (step + 1) / recipe.warmup)
        decay = max(0.02, min(1.0, (recipe.steps - step) / (recipe.decay_share * recipe.steps)))
        _set_rate(muon, recipe.matrix_learning_rate * warm * decay)
        _set_rate(adamw, recipe.learning_rate * warm * decay)
        loss = _update(model, (muon, adamw), {"input_ids": input_ids, "labels": input_ids})
        report.step(loss, input_ids.numel())
    return loss


def _chat_tune(model: Qwen2ForCausalLM, recipe: GrowRecipe, report: _Reporter) -> float:
    ids = word_ids()
    rng = random.Random(f"chat/{recipe.seed}")
    system = [ids[word] for word in (SYSTEM, *DEFAULT_SYSTEM.replace(".", " .").split(), END)]
    optimizer = torch.optim.AdamW(model.parameters(), lr=recipe.chat_learning_rate, weight_decay=0.01)
    loss = float("nan")
    report.begin("chat", recipe.chat_steps)
    for step in range(recipe.chat_steps):
        rows, starts = [], []
        for _ in range(recipe.chats):
            asked, answer = exchange_words(TABLE[rng.choice(DOMAINS)], False, rng)
            prompt = system + [ids[word] for word in (USER, *asked, END, ASSISTANT)]
            rows.append(prompt + [ids[word] for word in (*answer, END)])
            starts.append(len(prompt))
        longest = max(map(len, rows))
        input_ids = torch.tensor([row + [ids[PAD]] * (longest - len(row)) for row in rows])
        mask = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in rows])
        labels = input_ids.masked_fill(mask == 0, -100)
        for row, start in zip(labels, starts, strict=True):
            row[:start] = -100
        _set_rate(optimizer, recipe.chat_learning_rate * max(0.05, 1.0 - step / recipe.chat_steps))
        loss = _update(
            model, (optimizer,), {"input_ids": input_ids, "attention_mask": mask, "labels": labels}
        )
        report.step(loss, input_ids.numel())
    return loss


def _update(
    model: Qwen2ForCausalLM, optimizers: Sequence[torch.optim.Optimizer], batch: dict[str, torch.Tensor]
) -> float:
    loss: Any = model(**batch, use_cache=False).loss
    torch.autograd.backward([loss])
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    for optimizer in optimizers:
        optimizer.step()
        optimizer.zero_grad()
    return float(loss.detach())


def _set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = rate


@contextmanager
def _threads(number: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)


class _Reporter:
    """Counts steps and tokens and tells `progress` now and then."""

    def __init__(self, progress: Callable[[GrowProgress], None] | None, began: float) -> None:
        self._progress = progress
        self._began = began

    def begin(self, stage: Literal["pretrain", "chat"], steps: int) -> None:
        self._stage, self._steps = stage, steps
        self._done = self._tokens = 0
        self._stage_began = time.monotonic()

    def step(self, loss: float, tokens: int) -> None:
        self._done += 1
        self._tokens += tokens
        if self._progress is None or (self._done % 10 and self._done != self._steps):
            return
        now = time.monotonic()
        speed = self._tokens / max(now - self._stage_began, 1e-9)
        seconds = now - self._began
        self._progress(GrowProgress(self._stage, self._done, self._steps, loss, speed, seconds))
