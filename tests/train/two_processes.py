"""One of several processes of a training run; not a test, but what `test_processes.py` launches.

    python -m torch.distributed.run --nproc-per-node 2 two_processes.py OUT CONFIG_JSON

In the configuration, `_die` is a step after which process 1 is killed; `_shard` lets accelerate shard on the CPU,
which it does for GPUs only, so that FSDP2 itself (which can) is tried.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from typing import Any

import torch
from accelerate.state import AcceleratorState, PartialState
from accelerate.utils import DistributedType
from torch.distributed.tensor import DTensor

from axenic.train import TrainConfig, train_organism
from axenic.train import loop as loop_module
from axenic.train.processes import leave_processes
from axenic.train.steplog import StepLog


def shard_on_cpu() -> None:
    """What `AcceleratorState` does for a GPU."""
    make = AcceleratorState.__init__

    def init(self: Any, *args: Any, fsdp_plugin: Any = None, **rest: Any) -> None:
        make(self, *args, fsdp_plugin=fsdp_plugin, **rest)
        if fsdp_plugin is not None:
            self.fsdp_plugin = fsdp_plugin
            self.distributed_type = DistributedType.FSDP
            PartialState._shared_state["distributed_type"] = DistributedType.FSDP

    AcceleratorState.__init__ = init


def die_after(step: int) -> None:
    add = StepLog.add

    def add_and_die(self: StepLog, done: int, **facts: Any) -> None:
        add(self, done, **facts)
        if done == step and os.environ["RANK"] == "1":
            os.kill(os.getpid(), signal.SIGKILL)

    StepLog.add = add_and_die  # type: ignore[method-assign]


def count_shards() -> None:
    """Say at the end how many of the model's parameters were sharded."""
    held_out = loop_module.mean_loss

    def mean_loss(model: torch.nn.Module, *args: Any, **rest: Any) -> float:
        parameters = list(model.parameters())
        print(f"sharded {sum(isinstance(p, DTensor) for p in parameters)} of {len(parameters)}", flush=True)
        return held_out(model, *args, **rest)

    from axenic.train import run

    run.mean_loss = mean_loss  # type: ignore[attr-defined]


if __name__ == "__main__":
    values = json.loads(sys.argv[2])
    if values.pop("_shard", False):
        shard_on_cpu()
    die_after(values.pop("_die", -1))
    count_shards()
    result = train_organism(TrainConfig(**values), sys.argv[1])
    if leave_processes():
        print(f"resumed from {result.resumed_from}", flush=True)
