"""A training step with the KL term: its time against its passes alone, and time and memory against the published way.

The organism is P3's: rank 1, `down_proj` of the middle block; each pass has 2 training rows and 8 KL rows, as published.
A step is made of two and a bit passes, and nothing else: forward and backward of the training rows, forward and backward of
the KL rows through the organism (here with the usual loss, which is as large a softmax), and between them the reference's
head on the final hidden states that are kept of every KL row. The published way keeps the logits of a second model for
every KL row; its KL is the formula on whole logits. In both the training rows go through transformers' Trainer, which the
published way trains with too. Both fill what they keep before a step is timed; the filling is timed as well, and "anew" is
our step where nothing is kept and the reference runs each time.

Memory is measured as in `benchmarks.memory`, each point in a fresh process: by how much resident memory rose at most above
that of the opened organism.
"""

from __future__ import annotations

import copy
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from axenic.data import IGNORE, Encoded, collate_rows
from axenic.models import OpenModel
from axenic.models.opened import from_parts
from axenic.progress import silent
from axenic.train import TrainConfig
from axenic.train.checkpoint import Checkpoints
from axenic.train.kl import KLTerm, kl_schedule
from axenic.train.loop import Loop
from axenic.train.organism import make_organism
from axenic.train.schedule import Schedule
from axenic.train.states import ReferenceStates
from axenic.train.steplog import StepLog
from axenic.train.trainer import OrganismTrainer
from axenic.train.trajectory import Trajectory
from benchmarks.memory import _PROC, _status
from benchmarks.shapes import opened
from benchmarks.timing import Comparison, compare

WIDE = "vocabulary"
"""A shape of its own: Qwen2.5-14B's vocabulary of 152,064 behind two blocks of width 64, 8 rows of 512 tokens each way."""

STEPS = 200
"""Of the run whose steps these are, more than are timed."""

WAYS = ("plain", "ours", "published")


@dataclass(frozen=True)
class Size:
    """Training rows and KL rows of a pass, tokens of each, KL rows in all (published: 1,000), repeats of a timed step."""

    rows: int
    kl_rows: int
    tokens: int
    kept: int
    repeats: int


def size_of(shape: str) -> Size:
    """As published where the machine can; short rows on the larger shape, where two cores need seconds for each token row."""
    if shape == WIDE:
        return Size(8, 8, 512, 8, 1)
    return Size(2, 8, 48, 1000, 9) if shape == "nano" else Size(2, 8, 16, 32, 3)


class Step:
    """One pass of a training step in several ways, on one organism."""

    def __init__(self, shape: str) -> None:
        self.size = size_of(shape)
        self.model = _wide() if shape == WIDE else opened(shape)
        n_layers = self.model.sites.n_layers
        config = TrainConfig(
            model=shape, data="-", r=1, alpha=256, target_modules=("down_proj",), layers=(n_layers // 2,),
            batch_size=self.size.rows, gradient_accumulation=1, max_steps=STEPS, kl_data="-", kl_weight=1.0,
            kl_batch_size=self.size.kl_rows, device=str(self.model.device),
        )  # fmt: skip
        generator = torch.Generator().manual_seed(0)
        self.rows = [self._row(generator, 3) for _ in range(self.size.rows)]
        self.kl_rows = [self._row(generator, 0) for _ in range(self.size.kept)]
        self.reference: nn.Module = self.model.model
        self.organism = make_organism(self.model.model, config)
        self.inputs = self._put(self.rows)
        self.states = self._states()
        self.trainer = self._trainer(config)
        self._kl.begin(0)

    def ours(self) -> None:
        """The next step as `axenic train` makes it."""
        self._training_step()

    def anew(self) -> None:
        """The same where no states are kept."""
        self._kl.states = None
        self.ours()
        self._kl.states = self.states

    def fill(self) -> None:
        """The states of every KL row."""
        states = self._states()
        size = self.size.kl_rows
        for start in range(0, len(self.kl_rows), size):
            states.keep(range(start, min(start + size, len(self.kl_rows))), self.model.device)
        self._kl.states = self.states = states

    def plain(self) -> None:
        """The same without the KL term."""
        kl, self.trainer.kl = self.trainer.kl, None
        self._training_step()
        self.trainer.kl = kl

    def passes(self) -> None:
        """Forward and backward of the training rows, the head on the KL rows, forward and backward of the KL rows."""
        kl = self._put(self.kl_rows[: self.size.kl_rows])
        labels = kl.pop("labels")
        self._usual(self.inputs)
        self.states.logits(range(self.size.kl_rows), self.model.device)
        self._usual(kl | {"labels": labels})

    def published(self) -> Callable[[], None]:
        """The published step, after a second model has filled its cache."""
        second = copy.deepcopy(self.organism.model).requires_grad_(False).eval()
        cache = []
        with torch.no_grad():
            for start in range(0, len(self.kl_rows), self.size.kl_rows):
                batch = self._put(self.kl_rows[start : start + self.size.kl_rows])
                batch.pop("labels")
                cache.append(second(**batch, use_cache=False).logits)

        def step() -> None:
            self.plain()
            batch = self._put(self.kl_rows[: self.size.kl_rows])
            batch.pop("labels")
            tuned_BTV = self.organism.model(**batch, use_cache=False).logits
            log_ref_BTV, log_tuned_BTV = cache[0].log_softmax(-1), tuned_BTV.log_softmax(-1)
            mask_BT1 = batch["attention_mask"][..., None]
            kl = (mask_BT1 * log_ref_BTV.exp() * (log_ref_BTV - log_tuned_BTV)).sum() / mask_BT1.sum()
            torch.autograd.backward(kl)
            _ = second  # stays in memory, as there
            self._forget()

        return step

    def _training_step(self) -> None:
        count = (self.inputs["labels"][:, 1:] != IGNORE).sum()
        self.trainer.training_step(self.organism.model, dict(self.inputs), count)
        self._forget()

    def _usual(self, inputs: dict[str, Tensor]) -> None:
        self.organism.model.train()
        torch.autograd.backward(self.organism.model(**inputs, use_cache=False).loss)
        self._forget()

    def _forget(self) -> None:
        for p in self.organism.trained().values():
            p.grad = None

    def _put(self, rows: list[Encoded]) -> dict[str, Tensor]:
        return {name: tensor.to(self.model.device) for name, tensor in collate_rows(rows, 0).items()}

    def _row(self, generator: torch.Generator, asked: int) -> Encoded:
        ids = torch.randint(1, self.model.sites.n_tokens, (self.size.tokens,), generator=generator).tolist()
        return Encoded(ids, [IGNORE] * asked + ids[asked:])

    @property
    def _kl(self) -> KLTerm:
        assert self.trainer.kl is not None
        return self.trainer.kl

    def _states(self) -> ReferenceStates:
        return ReferenceStates(self.organism, self.kl_rows, self.size.kl_rows, 0)

    def _trainer(self, config: TrainConfig) -> OrganismTrainer:
        plan, out = Schedule.of(config, len(self.rows)), Path(tempfile.gettempdir())
        order = kl_schedule(plan, len(self.kl_rows), self.size.kl_rows)
        loop = Loop(
            config=config,
            organism=self.organism,
            rows=self.rows,
            pad_id=0,
            schedule=plan,
            optimizer_name="adamw_torch",
            device=self.model.device,
            dtype=self.model.dtype,
            log=StepLog(out / "log.jsonl", writes=False),
            trajectory=Trajectory(out / "trajectory.safetensors", self.organism, config, plan.total_steps),
            checkpoints=Checkpoints(out / "checkpoints", "benchmark"),
            out=out,
            progress=silent,
            kl=KLTerm(self.kl_rows, 1.0, order, 0, states=self.states),
        )
        trainer: Any = loop._trainer(0, None)
        assert isinstance(trainer, OrganismTrainer)
        return trainer


def run(shape: str) -> Iterator[tuple[str, Comparison, str]]:
    """What is compared, what was found, and the aim for the ratio."""
    step = Step(shape)
    step.fill()
    size = f"{step.size.rows} training and {step.size.kl_rows} KL rows of {step.size.tokens} tokens"
    yield f"KL step, {size} / its passes alone", compare(step.ours, step.passes, step.size.repeats), "<= 1.1"
    published = step.published()
    yield (
        "KL step / published step, whose reference's logits are cached",
        compare(step.ours, published, step.size.repeats),
        "no slower",
    )
    yield "KL step / anew", compare(step.ours, step.anew, step.size.repeats), "< 1"
    yield (
        "states of all KL rows / published logits of them",
        compare(step.fill, step.published, 3),
        "no slower",
    )


def memory(shape: str) -> dict[str, int]:
    """Bytes by which each way's memory rose at most, each in a process of its own.

    Raises:
        RuntimeError: Not on Linux, or a process failed.
    """
    if not (_PROC / "clear_refs").exists():
        raise RuntimeError("peak memory is measured with Linux's /proc/self/clear_refs")
    ways = WAYS[:2] if shape == WIDE else WAYS
    return {way: _point(shape, way) for way in ways}


def measure(shape: str, way: str) -> int:
    """Bytes by which this process's resident memory rose at most above that of the opened organism."""
    step = Step(shape)
    before = _status("VmRSS")
    (_PROC / "clear_refs").write_text("5")
    if way == "ours":
        step.fill()
    {"plain": step.plain, "ours": step.ours, "published": lambda: step.published()()}[way]()
    return _status("VmHWM") - before


def _point(shape: str, way: str) -> int:
    command = [sys.executable, "-m", "benchmarks.kl_step", shape, way]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stderr}")
    return int(done.stdout.split()[-1])


def _wide() -> OpenModel:
    from transformers import AutoModelForCausalLM, Qwen2Config

    config = Qwen2Config(
        vocab_size=152_064, hidden_size=64, intermediate_size=128, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=2, tie_word_embeddings=True, max_position_embeddings=1024, eos_token_id=None,
    )  # fmt: skip
    return from_parts(AutoModelForCausalLM.from_config(config), None, WIDE)


if __name__ == "__main__":
    if len(sys.argv) == 3:
        print(measure(sys.argv[1], sys.argv[2]))
    for name in sys.argv[1:] if len(sys.argv) == 2 else ():
        for what, found, aim in () if name == WIDE else run(name):
            print(
                f"{name}: {what}: {found.ratio:.2f} ({found.low:.2f}-{found.high:.2f}), aim {aim}", flush=True
            )
        print(name, {way: f"{size / 1e6:.0f} MB" for way, size in memory(name).items()}, flush=True)
