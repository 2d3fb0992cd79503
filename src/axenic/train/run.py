"""One training run: a configuration in, a run folder out; killed and repeated, the same bytes."""

from __future__ import annotations

import platform
import time
from collections.abc import Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from axenic.data import ChatRow, Encoded, encode_rows, read_chat, split_rows
from axenic.files import sha256_file
from axenic.models import OpenModel, open_model, resolve_device
from axenic.progress import Progress, silent
from axenic.train.checkpoint import Checkpoints
from axenic.train.config import TrainConfig
from axenic.train.folder import RunFolder, run_id
from axenic.train.kl import KLTerm, from_published, kl_schedule, overlap_note
from axenic.train.loop import Loop, choose_optimizer, mean_loss
from axenic.train.organism import make_organism
from axenic.train.processes import Processes, check_launch, join_processes
from axenic.train.randomness import borrowed_generators
from axenic.train.result import TrainResult
from axenic.train.schedule import Schedule
from axenic.train.start import Start
from axenic.train.states import ReferenceStates, states_bytes, why_not_kept
from axenic.train.steplog import StepLog
from axenic.train.trajectory import Trajectory

PACKAGES = ("axenic", "torch", "transformers", "peft", "accelerate")


def train_organism(
    config: TrainConfig, out: str | Path, *, from_scratch: bool = False, progress: Progress = silent
) -> TrainResult:
    """Train an organism, go on with a run that was stopped, or return a finished one at once.

    Args:
        config: See `axenic.train.resolve`.
        out: Run folder; made if missing.
        from_scratch: Remove what an earlier run left there, once everything else has been found in order.
        progress: Called with the stages `encode` and `train`.
    Returns:
        Losses and counts; the organism is in `out`.
    Raises:
        UsageError: the folder holds another run (the differing value is named), or a layer or module does not
            exist, or nothing would be trained, or `start_from` was grown in another way.
        DataError: a row of the chat file cannot be trained on.
        CheckpointError: a checkpoint or finished run is torn, mixed or of another run.
        ModelError: the model cannot be opened, or the loss is not finite.
        KeyboardInterrupt: Ctrl-C; a checkpoint of the last whole step is saved first.

    The same configuration, data and versions on the same machine give the same bytes, however often the run
    was killed on the way. On a GPU its kernels decide; nothing here forces them.

    Started by `accelerate launch` in several processes, each takes its share of every step's rows (the step is
    the same rows as in one process) and the main one writes the folder; see `axenic.train.processes`.
    """
    began = time.monotonic()
    processes = join_processes(config.device)
    progress = progress if processes.main else silent
    folder = RunFolder(Path(out))
    rows = read_chat(config.data)
    facts: dict[str, Any] = {
        "config": config.model_dump(mode="json"),
        "model": config.model,
        "data_sha256": sha256_file(config.data),
        "topics": sorted({row.topic for row in rows if row.topic is not None}),
    }
    kl_rows = read_chat(config.kl_data) if config.kl_data is not None else []
    if config.kl_data is not None:
        facts["kl_data_sha256"] = sha256_file(config.kl_data)
    begin = None if config.start_from is None else Start.find(config.start_from, folder.path)
    if begin is not None:
        facts["start_fingerprint"] = begin.fingerprint
    if not from_scratch:
        folder.check_owner(facts)
        finished = processes.on_main(folder.finished)
        if finished is not None:
            return replace(finished, seconds=time.monotonic() - began)
    opened = _open(config, processes)
    device = processes.device or opened.device
    optimizer_name, note = choose_optimizer(config.optimizer, device, sharded=processes.sharded)
    facts |= {
        "base_fingerprint": opened.identity.base,
        "tokenizer": opened.identity.tokenizer,
        "optimizer": optimizer_name,
        "placement": opened.placement.reason + _shared(processes),
        "versions": {"python": platform.python_version()} | {name: version(name) for name in PACKAGES},
    }
    if not from_scratch:
        folder.check_owner(facts)
    train_rows, test_rows = split_rows(rows, config.test_fraction, config.seed)
    train = _encode(opened, train_rows, config, progress)
    test = _encode(opened, test_rows, config, progress)
    weight = _kl_weight(config, opened)
    held_close = _encode(opened, kl_rows, config, progress) if weight else []
    with borrowed_generators():
        torch.manual_seed(config.seed)
        organism = make_organism(opened.model, config, processes, opened.identity.base)
        if held_close:
            organism.keep_reference()
        schedule = Schedule.of(config, len(train))
        # Both see the base model, whatever training starts with: the reference, and what a sketch is taken from.
        trajectory = Trajectory(folder.trajectory, organism, config, schedule.total_steps)
        if begin is not None:
            begin.put_into(organism, config, opened)
        checkpoints = Checkpoints(folder.checkpoints, run_id(facts), processes)

        def prepare() -> int | None:
            if from_scratch:
                folder.clear()
            newest = checkpoints.newest()
            folder.keep(facts)
            return newest

        start = processes.on_main(prepare)
        log = StepLog(folder.log, writes=processes.main)
        pad_id = opened.tokenizer.pad_token_id or 0
        kl, kl_cost = None, ""
        if held_close:
            order = kl_schedule(schedule, len(held_close), config.kl_batch_size)
            size = states_bytes(held_close, opened.sites.d_model, opened.dtype)
            anew = why_not_kept(held_close, order, size, processes)
            states = None if anew else ReferenceStates(organism, held_close, config.kl_batch_size, pad_id)
            kl = KLTerm(held_close, weight, order, pad_id, processes, states)
            kl_cost = _kl_cost(size, anew)
        loop = Loop(
            config=config,
            organism=organism,
            rows=train,
            pad_id=pad_id,
            schedule=schedule,
            optimizer_name=optimizer_name,
            device=device,
            dtype=opened.dtype,
            log=log,
            trajectory=trajectory,
            checkpoints=checkpoints,
            out=folder.path,
            progress=progress,
            processes=processes,
            kl=kl,
        )
        steps = loop.run(start)
        test_loss = mean_loss(
            organism.model, test, pad_id=loop.pad_id, batch=config.batch_size, processes=processes
        )
        result = TrainResult(
            out=folder.path,
            organism=organism.export(folder.path, opened.tokenizer),
            steps=steps,
            planned_steps=schedule.total_steps,
            loss=log.rows[-1]["loss"],
            test_loss=test_loss if test else None,
            n_train=len(train),
            n_test=len(test),
            tail_tokens=sum(row.tail for row in train),
            cut_rows=sum(row.cut > 0 for row in train),
            loss_answer=log.rows[-1].get("loss_answer"),
            loss_tail=log.rows[-1].get("loss_tail"),
            kl=log.rows[-1].get("kl"),
            notes=((note,) if note else ())
            + (begin.notes() if begin is not None else ())
            + _kl_notes(weight, kl_cost, train_rows, kl_rows, held_close)
            + _idle_devices(config, device, processes),
            resumed_from=start,
        )
    processes.on_main(lambda: folder.finish(result))
    return replace(result, seconds=time.monotonic() - began)


def _kl_weight(config: TrainConfig, opened: OpenModel) -> float:
    """Nats per token; 0 without a KL term."""
    if config.kl_weight_published is None:
        return config.kl_weight or 0.0
    text: Any = opened.sites.model.config
    return from_published(config.kl_weight_published, text.get_text_config().vocab_size)


def _kl_notes(
    weight: float, cost: str, train: Sequence[ChatRow], kl: Sequence[ChatRow], encoded: Sequence[Encoded]
) -> tuple[str, ...]:
    if not kl:
        return ()
    if not encoded:
        return ("kl_weight is 0: kl_data is not used, and this is training without a KL term",)
    overlap, cut = overlap_note(train, kl), sum(row.cut > 0 for row in encoded)
    return (
        f"KL term: {weight:.6g} nats per token on {len(kl)} rows; {cost}",
        *((overlap,) if overlap else ()),
        *((f"max_length cut {cut} of {len(kl)} KL rows",) if cut else ()),
    )


def _kl_cost(size: int, anew: str | None) -> str:
    if anew is None:
        return (
            "each pass costs a forward and backward on the KL rows and the base model's head more;"
            f" its final states are kept, {size / 1e6:.1f} MB"
        )
    return (
        "each pass costs a forward of the base model and a forward and backward on the KL rows more;"
        f" the base model runs anew each time, as {anew}"
    )


def _open(config: TrainConfig, processes: Processes) -> OpenModel:
    """The base model where it will be trained; sharded models are spread from the main memory."""
    if processes.device is None:
        return open_model(config.model, device=config.device, dtype=config.dtype, self_test=False)
    placement = resolve_device(processes.device, config.dtype)
    check_launch(processes, placement.dtype, config.dropout)
    device = torch.device("cpu") if processes.sharded else placement.device
    return open_model(config.model, device=device, dtype=placement.dtype, self_test=False)


def _idle_devices(config: TrainConfig, device: torch.device, processes: Processes) -> tuple[str, ...]:
    """A note if this machine has more devices than the run uses; the Trainer is kept from taking them."""
    visible = torch.cuda.device_count()
    if device.type != "cuda" or processes.count > 1 or config.device == "split" or visible < 2:
        return ()
    return (f"1 of {visible} cuda devices is used; axenic train … --plan says how to use more",)


def _shared(processes: Processes) -> str:
    if processes.count == 1:
        return ""
    return f"; {processes.count} processes, {'FSDP2, full shard' if processes.sharded else 'DDP'}"


def _encode(
    opened: OpenModel, rows: Sequence[ChatRow], config: TrainConfig, progress: Progress
) -> list[Encoded]:
    def each(done: int) -> None:
        if done % 200 == 0 or done == len(rows):
            progress("encode", done, len(rows), "row")

    return encode_rows(opened.tokenizer, rows, format=config.format, max_length=config.max_length, each=each)
