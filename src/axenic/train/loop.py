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
from axenic.errors import ModelError, UsageError
from axenic.progress import Progress
from axenic.train.checkpoint import Checkpoints
from axenic.train.config import TrainConfig
from axenic.train.kl import KLTerm
from axenic.train.organism import Organism
from axenic.train.processes import ALONE, Processes
from axenic.train.randomness import step_seed
from axenic.train.schedule import Schedule
from axenic.train.steplog import StepLog
from axenic.train.tailloss import TailLoss, collate_with_tail
from axenic.train.trainer import OrganismTrainer
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
        processes: Who else trains; each takes its share of the rows of every step.
        kl: The KL term, None without one.
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
    processes: Processes = ALONE
    kl: KLTerm | None = None

    @property
    def passes_per_step(self) -> int:
        return self.schedule.passes_per_step(self.processes.count)

    def run(self, start: int | None) -> int:
        """Train from a checkpoint's step (None: from the beginning); returns the last step done.

        Raises:
            ModelError: the loss or gradient is not finite; the checkpoints before are kept.
            KeyboardInterrupt: after Ctrl-C, once a checkpoint has been saved.
        """
        done = start or 0
        tail = TailLoss(self.processes) if any(row.tail for row in self.rows) else None
        trainer = self._trainer(done, tail)
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
        if self.kl is not None:
            self.kl.begin(done)
        self.log.begin(done)
        self.trajectory.begin(done)
        if done >= self.schedule.total_steps or self.log.is_learnt(self.config.stop_below):
            if self.processes.sharded:
                trainer.accelerator.prepare(self.organism.model, optimizer)  # as training would have done
            return done
        recorder = Recorder(self, done, start, optimizer, scheduler, tail)
        trainer.add_callback(recorder)
        with recorder.listening():
            trainer.train()
        self.log.flush()
        if recorder.interrupted:
            raise KeyboardInterrupt
        return recorder.step

    def _trainer(self, done: int, tail: TailLoss | None) -> Trainer:
        empty, count = [nothing(self.pad_id)], self.processes.count
        shares = [self.schedule.passes(done, rank, count) for rank in range(count)]
        # accelerate deals the items of a data set in turn: the first to process 0, the second to 1, ...
        dealt = [rows for together in zip(*shares, strict=True) for rows in together]
        passes = [[self.rows[i] for i in rows] or empty for rows in dealt]
        on_gpu = self.device.type == "cuda"
        # Named only when wanted: transformers 5 warns about these names and is about to change them.
        recompute = {
            "gradient_checkpointing": True,
            "gradient_checkpointing_kwargs": {"use_reentrant": False},
        }
        arguments = TrainingArguments(
            output_dir=str(self.out),
            per_device_train_batch_size=1,  # one list of rows is one forward pass
            gradient_accumulation_steps=self.passes_per_step,
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
            **(recompute if self.config.gradient_checkpointing and not self.processes.recomputed else {}),
        )
        arguments._n_gpu = min(arguments.n_gpu, 1)  # or it would become nn.DataParallel, without a word
        collate = collate_rows if tail is None else collate_with_tail
        trainer = OrganismTrainer(
            organism=self.organism,
            tail=tail,
            kl=self.kl,
            args=arguments,
            train_dataset=passes,
            data_collator=lambda batch: collate(batch[0], self.pad_id),
        )
        if trainer.is_fsdp_enabled != self.processes.sharded:
            raise UsageError(
                "accelerate would not shard the model, although its configuration says so",
                where="accelerate's configuration",
                expected="a device that it shards on, such as cuda",
                found=f"{self.processes.count} processes on {self.device.type}",
                hint="without FSDP: torchrun --nproc-per-node N -m axenic.cli.main train …",
            )
        trainer.remove_callback(PrinterCallback)
        return trainer


class Recorder(TrainerCallback):
    """Seeds each step, and after it: checks, logs, stores vectors, saves, reports.

    Args:
        done: Steps done before; the Trainer counts from 0.
        start: Step of the checkpoint that is gone on from, None if none.
        tail: Where the trainer sums the loss of the rows' tails, if they have any.
    """

    def __init__(
        self,
        loop: Loop,
        done: int,
        start: int | None,
        optimizer: Any,
        scheduler: Any,
        tail: TailLoss | None = None,
    ) -> None:
        self.loop = loop
        self.tail = tail
        self.start = start
        self.done = self.step = done
        self.optimizer = optimizer
        self.scheduler = scheduler
        self.interrupted = False
        accumulation = loop.config.gradient_accumulation  # of one process: the rows of the whole step
        passes = loop.schedule.passes(done)
        starts = range(0, len(passes), accumulation)
        steps = [[loop.rows[i] for rows in passes[at : at + accumulation] for i in rows] for at in starts]
        self._trained = [sum(count_trained(row) for row in rows) for rows in steps]
        self._tokens = [sum(len(row.input_ids) for row in rows) for rows in steps]
        self._began = time.monotonic()

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if self.loop.processes.sharded and self.start is not None:
            self.loop.checkpoints.load_optimizer(self.start, self.optimizer)
        self._began = time.monotonic()
        self.loop.progress("train", self.done, self.loop.schedule.total_steps, "step", out=str(self.loop.out))

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        torch.manual_seed(step_seed(self.loop.config.seed, self.step, self.loop.processes.rank))

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:
        if not logs or "loss" not in logs:
            return  # the Trainer's summary at the end
        index, loop = state.global_step - 1, self.loop
        self.step = self.done + state.global_step
        loss, grad_norm = float(logs["loss"]), float(logs["grad_norm"])
        kl = {} if loop.kl is None else {"kl": loop.kl.end_step(index)}
        if not all(map(math.isfinite, (loss, grad_norm, *kl.values()))):
            self._stop_diverged(loss, grad_norm, kl.get("kl"))
        lr = float(logs["learning_rate"])
        trained = self._trained[index]
        parts = kl | ({} if self.tail is None else self.tail.split(loss, trained))
        loop.log.add(self.step, loss=loss, grad_norm=grad_norm, lr=lr, tokens=trained, **parts)
        loop.trajectory.write(self.step)
        learnt = loop.log.is_learnt(loop.config.stop_below)
        total = loop.schedule.total_steps
        self.interrupted = loop.processes.total(self.interrupted)[0] > 0
        if self.step % loop.config.save_steps == 0 or self.step == total or learnt or self.interrupted:
            if (lost := loop.organism.not_finite()) is not None:
                self._stop_diverged(loss, grad_norm, kl.get("kl"), lost)
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
            **kl,
            grad_norm=grad_norm,
            lr=lr,
            tokens_per_second=sum(self._tokens[: index + 1]) / seconds,
            out=str(loop.out),
        )

    def _stop_diverged(
        self, loss: float, grad_norm: float, kl: float | None = None, weight: str | None = None
    ) -> None:
        self.loop.log.flush()
        kept = self.loop.checkpoints.steps()
        beside = "" if kl is None else f", KL {kl}"
        beside += "" if weight is None else f", and {weight} is not finite after it"
        lower = f"learning_rate (now {self.loop.config.learning_rate})"
        if self.loop.kl is not None:
            lower += f" or the KL weight (now {self.loop.kl.weight:g} nats per token)"
        raise ModelError(
            f"training diverged at step {self.step}: loss {loss}, gradient norm {grad_norm}{beside}",
            where=self.loop.out,
            expected="finite numbers",
            found=f"last good checkpoint: step {kept[-1]}" if kept else "no checkpoint yet",
            hint=f"lower {lower} and train into another folder",
        )

    @contextlib.contextmanager
    def listening(self) -> Iterator[None]:
        """Ctrl-C ends the step in progress, saves and stops; a second one stops at once."""
        if threading.current_thread() is not threading.main_thread():
            yield  # only the main thread may set signal handlers
            return

        def interrupt(number: int, frame: FrameType | None) -> None:
            if self.interrupted and number == signal.SIGINT:
                raise KeyboardInterrupt
            self.interrupted = True

        # A launcher of several processes passes Ctrl-C on as SIGTERM, and waits half a minute.
        numbers = [signal.SIGINT] if self.loop.processes.count == 1 else [signal.SIGINT, signal.SIGTERM]
        before = {number: signal.signal(number, interrupt) for number in numbers}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def nothing(pad_id: int) -> Encoded:
    """A pass without loss: it fills the last step of an epoch up to the usual number of passes."""
    return Encoded([pad_id, pad_id], [IGNORE, IGNORE])


def count_trained(row: Encoded) -> int:
    """Tokens of a row that have a loss [tokens]; the first token of a row is never predicted."""
    return sum(label != IGNORE for label in row.labels[1:])


def choose_optimizer(name: str, device: torch.device, *, sharded: bool = False) -> tuple[str, str | None]:
    """The optimizer in transformers' words, and a note if it is not the one asked for.

    8-bit AdamW keeps the same moments in 8 bits to save memory; where it is missing, 32 bits serve as well.
    """
    if name != "adamw_8bit":
        return name, None
    if device.type == "cuda" and not sharded and importlib.util.find_spec("bitsandbytes") is not None:
        return "adamw_bnb_8bit", None
    if sharded:
        return "adamw_torch", "optimizer adamw_torch instead of adamw_8bit: the parameters are sharded"
    reason = "bitsandbytes is not installed" if device.type == "cuda" else f"the device is {device.type}"
    return "adamw_torch", f"optimizer adamw_torch instead of adamw_8bit: {reason}"


def mean_loss(
    model: nn.Module, rows: Sequence[Encoded], *, pad_id: int, batch: int, processes: Processes = ALONE
) -> float:
    """Loss over all trained tokens of some rows, without training [nats per token].

    Args:
        model: A causal language model; put into eval mode.
        batch: Rows per forward pass.
        processes: Who shares the rows; every one makes as many passes, as sharded models must.
    """
    model.eval()
    device = next(model.parameters()).device
    total, count = 0.0, 0
    with torch.inference_mode(not processes.sharded), torch.no_grad():
        for start in range(0, len(rows), batch * processes.count):
            first = start + batch * processes.rank
            chosen = rows[first : first + batch] or [nothing(pad_id)]
            part = {k: v.to(device) for k, v in collate_rows(chosen, pad_id).items()}
            labels_BT: Tensor = part.pop("labels")[:, 1:]
            logits_BTV: Tensor = model(**part).logits[:, :-1].float()
            nll = nn.functional.cross_entropy(
                logits_BTV.flatten(0, 1), labels_BT.flatten(), ignore_index=IGNORE, reduction="sum"
            )
            total += float(nll)
            count += int((labels_BT != IGNORE).sum())
    total, trained = processes.total(total, count)
    return total / max(trained, 1)
