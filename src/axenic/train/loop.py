"""The training loop: transformers' Trainer, told what to do by one callback.

The Trainer is only ever given the steps that are still to do, as a list of forward passes in order. So
nothing of its own resuming is used, which goes on silently when a file is missing, and needs pickles.
"""

from __future__ import annotations

import contextlib
import importlib.util
import math
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PrinterCallback, Trainer, TrainerCallback, TrainingArguments, get_scheduler

from axenic.data import IGNORE, Encoded, collate_rows
from axenic.errors import ModelError
from axenic.progress import Progress
from axenic.train.checkpoint import Checkpoints
from axenic.train.config import TrainConfig
from axenic.train.organism import Organism
from axenic.train.randomness import step_seed
from axenic.train.schedule import Schedule
from axenic.train.steplog import StepLog
from axenic.train.trajectory import Trajectory

MAX_GRAD_NORM = 1.0
"""Clipping of the authors' trainer: their configs leave transformers' default."""


@dataclass(frozen=True)
class Loop:
    """Everything a run is made of once the model and the data are open.

    Args:
        rows: Encoded training rows; `schedule` numbers them.
        pad_id: Any valid token, for padding.
        optimizer_name: What `choose_optimizer` chose.
        out: Run folder.
    """

    config: TrainConfig
    organism: Organism
    rows: Sequence[Encoded]
    pad_id: int
    schedule: Schedule
    optimizer_name: str
    device: torch.device
    dtype: torch.dtype
    log: StepLog
    trajectory: Trajectory
    checkpoints: Checkpoints
    out: Path
    progress: Progress

    def run(self, start: int | None) -> int:
        """Train from a checkpoint's step (None: from the beginning); returns the last step done.

        Raises:
            ModelError: the loss or gradient is not finite; the checkpoints before are kept.
            KeyboardInterrupt: after Ctrl-C, once a checkpoint has been saved.
        """
        done = start or 0
        trainer = self._trainer(done)
        # Made here: the schedule must be the whole run's, and both must hold the saved state.
        optimizer = trainer.create_optimizer()
        scheduler = get_scheduler(
            self.config.scheduler,
            optimizer,
            num_warmup_steps=self.config.warmup_steps,
            num_training_steps=self.schedule.total_steps,
        )
        trainer.lr_scheduler = scheduler
        if start is not None:
            self.checkpoints.load(start, self.organism, optimizer, scheduler)
        self.log.begin(done)
        self.trajectory.begin(done)
        if done >= self.schedule.total_steps or self.log.is_learnt(self.config.stop_below):
            return done
        recorder = Recorder(self, done, optimizer, scheduler)
        trainer.add_callback(recorder)
        with recorder.listening():
            trainer.train()
        self.log.flush()
        if recorder.interrupted:
            raise KeyboardInterrupt
        return recorder.step

    def _trainer(self, done: int) -> Trainer:
        empty = [nothing(self.pad_id)]
        passes = [[self.rows[i] for i in rows] or empty for rows in self.schedule.passes(done)]
        on_gpu = self.device.type == "cuda"
        # Named only when wanted: transformers 5 warns about these names and is about to change them.
        recompute = {
            "gradient_checkpointing": True,
            "gradient_checkpointing_kwargs": {"use_reentrant": False},
        }
        arguments = TrainingArguments(
            output_dir=str(self.out),
            per_device_train_batch_size=1,  # one list of rows is one forward pass
            gradient_accumulation_steps=self.config.gradient_accumulation,
            max_steps=max(1, self.schedule.total_steps - done),
            train_sampling_strategy="sequential",
            learning_rate=self.config.learning_rate,
            optim=self.optimizer_name,
            weight_decay=self.config.weight_decay,
            max_grad_norm=MAX_GRAD_NORM,
            bf16=on_gpu and self.dtype == torch.bfloat16,
            fp16=on_gpu and self.dtype == torch.float16,
            use_cpu=self.device.type == "cpu",
            seed=self.config.seed,
            logging_steps=1,
            logging_nan_inf_filter=False,  # it would hide the first NaN behind an average
            save_strategy="no",
            eval_strategy="no",
            report_to=[],
            disable_tqdm=True,
            remove_unused_columns=False,
            dataloader_num_workers=0,
            dataloader_pin_memory=False,
            **(recompute if self.config.gradient_checkpointing else {}),
        )
        trainer = Trainer(
            model=self.organism.model,
            args=arguments,
            train_dataset=passes,
            data_collator=lambda batch: collate_rows(batch[0], self.pad_id),
        )
        trainer.remove_callback(PrinterCallback)
        return trainer


class Recorder(TrainerCallback):
    """Seeds each step, and after it: checks, logs, stores vectors, saves, reports.

    Args:
        done: Steps done before; the Trainer counts from 0.
    """

    def __init__(self, loop: Loop, done: int, optimizer: Any, scheduler: Any) -> None:
        self.loop = loop
        self.done = self.step = done
        self.optimizer = optimizer
        self.scheduler = scheduler
        self.interrupted = False
        accumulation = loop.config.gradient_accumulation
        passes = loop.schedule.passes(done)
        starts = range(0, len(passes), accumulation)
        steps = [[loop.rows[i] for rows in passes[at : at + accumulation] for i in rows] for at in starts]
        self._trained = [sum(count_trained(row) for row in rows) for rows in steps]
        self._tokens = [sum(len(row.input_ids) for row in rows) for rows in steps]
        self._began = time.monotonic()

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self._began = time.monotonic()
        self.loop.progress("train", self.done, self.loop.schedule.total_steps, "step", out=str(self.loop.out))

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        torch.manual_seed(step_seed(self.loop.config.seed, self.step))

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:
        if not logs or "loss" not in logs:
            return  # the Trainer's summary at the end
        index, loop = state.global_step - 1, self.loop
        self.step = self.done + state.global_step
        loss, grad_norm = float(logs["loss"]), float(logs["grad_norm"])
        if not math.isfinite(loss) or not math.isfinite(grad_norm):
            self._stop_diverged(loss, grad_norm)
        lr = float(logs["learning_rate"])
        loop.log.add(self.step, loss=loss, grad_norm=grad_norm, lr=lr, tokens=self._trained[index])
        loop.trajectory.write(self.step)
        learnt = loop.log.is_learnt(loop.config.stop_below)
        total = loop.schedule.total_steps
        if self.step % loop.config.save_steps == 0 or self.step == total or learnt or self.interrupted:
            loop.log.flush()
            loop.checkpoints.save(self.step, loop.organism, self.optimizer, self.scheduler)
        if learnt or self.interrupted:
            control.should_training_stop = True
        seconds = max(time.monotonic() - self._began, 1e-9)
        loop.progress(
            "train",
            self.step,
            total,
            "step",
            loss=loss,
            grad_norm=grad_norm,
            lr=lr,
            tokens_per_second=sum(self._tokens[: index + 1]) / seconds,
            out=str(loop.out),
        )

    def _stop_diverged(self, loss: float, grad_norm: float) -> None:
        self.loop.log.flush()
        kept = self.loop.checkpoints.steps()
        raise ModelError(
            f"training diverged at step {self.step}: loss {loss}, gradient norm {grad_norm}",
            where=self.loop.out,
            expected="finite numbers",
            found=f"last good checkpoint: step {kept[-1]}" if kept else "no checkpoint yet",
            hint=f"lower learning_rate (now {self.loop.config.learning_rate}) and train into another folder",
        )

    @contextlib.contextmanager
    def listening(self) -> Iterator[None]:
        """Ctrl-C ends the step in progress, saves and stops; a second one stops at once."""
        if threading.current_thread() is not threading.main_thread():
            yield  # only the main thread may set signal handlers
            return

        def interrupt(number: int, frame: FrameType | None) -> None:
            if self.interrupted:
                raise KeyboardInterrupt
            self.interrupted = True

        before = signal.signal(signal.SIGINT, interrupt)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)


def nothing(pad_id: int) -> Encoded:
    """A pass without loss: it fills the last step of an epoch up to the usual number of passes."""
    return Encoded([pad_id, pad_id], [IGNORE, IGNORE])


def count_trained(row: Encoded) -> int:
    """Tokens of a row that have a loss [tokens]; the first token of a row is never predicted."""
    return sum(label != IGNORE for label in row.labels[1:])


def choose_optimizer(name: str, device: torch.device) -> tuple[str, str | None]:
    """The optimizer in transformers' words, and a note if it is not the one asked for.

    8-bit AdamW keeps the same moments in 8 bits to save memory; where it is missing, 32 bits serve as well.
    """
    if name != "adamw_8bit":
        return name, None
    if device.type == "cuda" and importlib.util.find_spec("bitsandbytes") is not None:
        return "adamw_bnb_8bit", None
    reason = "bitsandbytes is not installed" if device.type == "cuda" else f"the device is {device.type}"
    return "adamw_torch", f"optimizer adamw_torch instead of adamw_8bit: {reason}"


def mean_loss(model: nn.Module, rows: Sequence[Encoded], *, pad_id: int, batch: int) -> float:
    """Loss over all trained tokens of some rows, without training [nats per token].

    Args:
        model: A causal language model; put into eval mode.
        batch: Rows per forward pass.
    """
    model.eval()
    device = next(model.parameters()).device
    total, count = 0.0, 0
    with torch.inference_mode():
        for first in range(0, len(rows), batch):
            part = {k: v.to(device) for k, v in collate_rows(rows[first : first + batch], pad_id).items()}
            labels_BT: Tensor = part.pop("labels")[:, 1:]
            logits_BTV: Tensor = model(**part).logits[:, :-1].float()
            nll = nn.functional.cross_entropy(
                logits_BTV.flatten(0, 1), labels_BT.flatten(), ignore_index=IGNORE, reduction="sum"
            )
            total += float(nll)
            count += int((labels_BT != IGNORE).sum())
    return total / max(count, 1)
