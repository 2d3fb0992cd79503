"""Checkpoints: written whole, verified before use, refused by name otherwise.

    checkpoints/step-000040/
        adapter_model.safetensors + adapter_config.json   or model.safetensors
        optimizer.safetensors     its tensors, e.g. `3.exp_avg`
        state.json                its numbers, the scheduler's, the step
        manifest.json             name, bytes, SHA-256 of each file; step; the run's identity

Hugging Face's own format resumes silently without the optimizer or generator file, and pickles both. Here
nothing is pickled, and a folder that does not verify, or belongs to another run, stops the command. The
generators need no file: every step seeds them (`axenic.train.randomness`).
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from axenic.errors import CheckpointError, FileError
from axenic.files import (
    atomic_folder,
    load_tensors,
    read_json,
    remove_leftovers,
    save_tensors,
    verify_manifest,
    write_json,
    write_manifest,
)
from axenic.train.organism import Organism
from axenic.train.processes import ALONE, Processes, like

KEEP = 2
_NAME = re.compile(r"step-(\d{6,})")


class Checkpoints:
    """The checkpoints of one run.

    Args:
        folder: `checkpoints/` of the run folder.
        run_id: Identity of the run (configuration, data, base); a checkpoint of another run is refused.
        processes: Who trains; the main process writes, whole tensors, so that any number may go on from them.
    """

    def __init__(self, folder: Path, run_id: str, processes: Processes = ALONE) -> None:
        self.folder = folder
        self.run_id = run_id
        self.processes = processes

    def steps(self) -> list[int]:
        """Steps of every checkpoint that has its final name, ascending by number."""
        if not self.folder.is_dir():
            return []
        matches = (_NAME.fullmatch(entry.name) for entry in self.folder.iterdir())
        return sorted(int(match.group(1)) for match in matches if match)

    def path(self, step: int) -> Path:
        return self.folder / f"step-{step:06d}"

    def save(self, step: int, organism: Organism, optimizer: Optimizer, scheduler: LRScheduler) -> None:
        """Write the checkpoint of a step, then delete all but the newest two.

        Raises:
            DiskFullError, FileError: it cannot be written; the ones before are kept.
        """
        weights = organism.weights()
        tensors, numbers = split_state(optimizer.state_dict())
        tensors = self.processes.whole(tensors)
        if not self.processes.main:
            return
        with atomic_folder(self.path(step), replace=True) as temporary:
            organism.save_weights(temporary, weights)
            save_tensors(temporary / "optimizer.safetensors", tensors)
            write_json(
                temporary / "state.json",
                {"step": step, "optimizer": numbers, "scheduler": scheduler.state_dict()},
            )
            write_manifest(temporary, {"step": step, "run": self.run_id})
        for old in self.steps()[:-KEEP]:
            self._remove(old)

    def _remove(self, step: int) -> None:
        # Renamed first: a kill in between must not leave half a checkpoint under a whole one's name.
        doomed = self.folder / f".axenic-removed-{step}.tmp"
        self.path(step).rename(doomed)
        shutil.rmtree(doomed)

    def clear(self) -> None:
        """Delete every checkpoint: the run is finished, or starts over."""
        for step in self.steps():
            self._remove(step)
        if self.folder.is_dir():
            remove_leftovers(self.folder)
            if not any(self.folder.iterdir()):
                self.folder.rmdir()

    def newest(self) -> int | None:
        """Step of the newest checkpoint after it has verified; None if there is none.

        Raises:
            CheckpointError: the newest one is torn, mixed or of another run. It is never skipped silently.
        """
        if self.folder.is_dir():
            remove_leftovers(self.folder)
        steps = self.steps()
        if not steps:
            return None
        step = steps[-1]
        folder = self.path(step)
        try:
            facts = verify_manifest(folder, allow_extra=False)
        except FileError as error:
            raise CheckpointError(
                f"checkpoint {folder.name} is damaged: {error.what}",
                where=error.where or folder,
                expected=error.expected,
                found=error.found,
                hint=self._way_out(step),
            ) from error
        if facts.get("step") != step:
            raise CheckpointError(
                f"checkpoint {folder.name} is of another step",
                where=folder / "manifest.json",
                expected=f"step {step}",
                found=f"step {facts.get('step')!r}",
                hint=self._way_out(step),
            )
        if facts.get("run") != self.run_id:
            raise CheckpointError(
                f"checkpoint {folder.name} belongs to another run",
                where=folder / "manifest.json",
                expected=f"run {self.run_id}",
                found=f"run {facts.get('run')!r}",
                hint=self._way_out(step),
            )
        return step

    def load(self, step: int, organism: Organism, optimizer: Optimizer, scheduler: LRScheduler) -> None:
        """Put a verified checkpoint back into model, optimizer and scheduler."""
        folder = self.path(step)
        with self._fitting(step):
            organism.load_weights(folder)
            state = read_json(folder / "state.json")
            scheduler.load_state_dict(state["scheduler"])
        if not self.processes.sharded:
            self.load_optimizer(step, optimizer)

    def load_optimizer(self, step: int, optimizer: Optimizer) -> None:
        """Put the optimizer's moments back; with sharded parameters, only once these are sharded."""
        folder = self.path(step)
        with self._fitting(step):
            # Second moments of a frozen direction may be zero but nothing here is ever NaN.
            tensors, _ = load_tensors(folder / "optimizer.safetensors", max_bytes=2**42)
            numbers = read_json(folder / "state.json")["optimizer"]
            if self.processes.sharded:
                parameters = [p for group in optimizer.param_groups for p in group["params"]]
                tensors = {name: like(t, parameters[int(name.split(".")[0])]) for name, t in tensors.items()}
            optimizer.load_state_dict(join_state(tensors, numbers))

    @contextmanager
    def _fitting(self, step: int) -> Iterator[None]:
        try:
            yield
        except (FileError, KeyError, ValueError, IndexError) as error:
            # It verified, so these bytes are what was written: another version of this program wrote it.
            raise CheckpointError(
                f"checkpoint {self.path(step).name} does not fit this run: {error}",
                where=self.path(step),
                hint=self._way_out(step),
            ) from error

    def _way_out(self, step: int) -> str:
        older = [known for known in self.steps() if known < step]
        back = f"to go on from step {older[-1]}" if older else "to begin at step 0"
        return f"rm -r {self.path(step)} {back}, or repeat the command with --from-scratch"


def split_state(state: Mapping[str, Any]) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """An optimizer's state as tensors for safetensors and the rest for JSON."""
    tensors: dict[str, Tensor] = {}
    rest: dict[str, dict[str, Any]] = {}
    for index, entries in state["state"].items():
        for key, value in entries.items():
            if isinstance(value, Tensor):
                tensors[f"{index}.{key}"] = value
            else:
                rest.setdefault(str(index), {})[key] = value
    return tensors, {"state": rest, "param_groups": state["param_groups"]}


def join_state(tensors: Mapping[str, Tensor], numbers: Mapping[str, Any]) -> dict[str, Any]:
    """The inverse of `split_state`."""
    state: dict[int, dict[str, Any]] = {int(index): dict(rest) for index, rest in numbers["state"].items()}
    for name, tensor in tensors.items():
        index, key = name.split(".", 1)
        state.setdefault(int(index), {})[key] = tensor
    return {"state": state, "param_groups": numbers["param_groups"]}
