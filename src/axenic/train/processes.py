"""Several processes on one run, as `accelerate launch` starts them: who writes, who waits, what is whole.

    accelerate launch --config_file recipes/accelerate/fsdp2-14b.yaml -m axenic.cli.main train ...

Every process runs the same code on the same configuration and takes its share of every step's rows; the main
one (rank 0) alone reads and writes the run folder. With FSDP2 each holds a part of every tensor, and a tensor
is put together only to be written.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

import torch
from accelerate import PartialState
from torch import Tensor, distributed
from torch.distributed.tensor import DTensor, distribute_tensor

from axenic.errors import AxenicError, UsageError

T = TypeVar("T")


@dataclass(frozen=True)
class Processes:
    """What one process knows of the others.

    Args:
        rank: Its number; 0 is the main process.
        count: How many there are.
        sharded: Whether FSDP2 splits the tensors among them.
        recomputed: Whether FSDP2 recomputes activations.
        device: Where it computes; None for a process alone, whose device the configuration names.
    """

    rank: int = 0
    count: int = 1
    sharded: bool = False
    recomputed: bool = False
    device: torch.device | None = None

    @property
    def main(self) -> bool:
        return self.rank == 0

    def wait(self) -> None:
        """Go on when all are here."""
        if self.count > 1:
            distributed.barrier()

    def on_main(self, work: Callable[[], T]) -> T:
        """Do something in the main process only; every process gets its result.

        Raises:
            AxenicError: what the main process raised; in the others, that it failed.
        """
        if self.count == 1:
            return work()
        self.wait()  # nobody still reads what this is about to change
        box: list[tuple[bool, T | None]] = [(False, None)]
        try:
            if self.main:
                box = [(True, work())]
        finally:
            distributed.broadcast_object_list(box, src=0, device=self.device)
        done, result = box[0]
        if not done:
            raise AxenicError("the main process failed", where=f"process {self.rank}", hint="see its message")
        return result  # type: ignore[return-value]

    def total(self, *numbers: float) -> list[float]:
        """The sums of some numbers over all processes."""
        if self.count == 1:
            return list(numbers)
        # mps has no float64, but there is only one of it.
        summed = torch.tensor(numbers, dtype=torch.float64, device=self.device)
        distributed.all_reduce(summed)
        return [float(number) for number in summed]

    def whole(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Sharded tensors put together, one after the other, in the main process's memory; others get none of them.

        Every process must ask for the same ones. Tensors that are not sharded are left as they are.
        """
        out: dict[str, Tensor] = {}
        for name, tensor in tensors.items():
            if isinstance(tensor, DTensor):
                full = tensor.full_tensor().detach()
                if self.main:
                    out[name] = full.cpu()
            else:
                out[name] = tensor
        return out


ALONE = Processes()


def join_processes(device: str) -> Processes:
    """Meet the other processes, if this one was started with others.

    Args:
        device: `auto`, `cpu` or `cuda`; with several processes each has its own.

    Raises:
        UsageError: A numbered device for several processes, sharding in one process, or a kind of it that is not
            supported.
    """
    count = int(os.environ.get("WORLD_SIZE", "1"))
    sharded = _is_set("ACCELERATE_USE_FSDP")
    if _is_set("ACCELERATE_USE_DEEPSPEED"):
        raise _unsupported("DeepSpeed")
    if sharded and os.environ.get("FSDP_VERSION") != "2":
        raise _unsupported(f"FSDP version {os.environ.get('FSDP_VERSION', '1')}")
    if count == 1:
        if sharded:
            raise UsageError(
                "there is nothing to share among one process",
                where="accelerate's configuration",
                expected="num_processes: 2 or more with FSDP",
                found="num_processes: 1",
                hint="axenic train … without accelerate launch",
            )
        return ALONE
    if device not in ("auto", "cpu", "cuda"):
        raise UsageError(
            f"{count} processes cannot share one device",
            where="device",
            expected="auto: each process takes its own; or cpu",
            found=device,
        )
    state = PartialState(cpu=device == "cpu" or not torch.cuda.is_available())
    recomputed = sharded and _is_set("FSDP_ACTIVATION_CHECKPOINTING")
    return Processes(state.process_index, state.num_processes, sharded, recomputed, state.device)


def leave_processes() -> bool:
    """End the meeting, when nothing more is to be done; whether this is the main process."""
    if not distributed.is_available() or not distributed.is_initialized():
        return True
    main = distributed.get_rank() == 0
    distributed.barrier()
    distributed.destroy_process_group()
    return main


def like(tensor: Tensor, parameter: Tensor) -> Tensor:
    """A whole tensor, split among the processes as the parameter is if it has its shape."""
    if isinstance(parameter, DTensor) and tensor.shape == parameter.shape:
        placed = tensor.to(parameter.device_mesh.device_type)
        return distribute_tensor(placed, parameter.device_mesh, parameter.placements)
    return tensor


def check_launch(processes: Processes, dtype: torch.dtype, dropout: float) -> None:
    """Refuse what accelerate would do otherwise than the configuration of the run says, without a word.

    Raises:
        UsageError: Its mixed precision is not the run's dtype, or it would recompute with other dropout masks.
    """
    if processes.count == 1:
        return
    wanted = {torch.bfloat16: "bf16", torch.float16: "fp16"}.get(dtype, "no")
    mixed = os.environ.get("ACCELERATE_MIXED_PRECISION", wanted)
    if mixed != wanted:
        raise UsageError(
            "accelerate would compute in another precision than the run",
            where="accelerate's configuration, mixed_precision",
            expected=f"{wanted} for dtype {str(dtype).removeprefix('torch.')}",
            found=mixed,
            hint=f"accelerate launch --mixed_precision {wanted} …, or --dtype of axenic train",
        )
    if processes.recomputed and dropout > 0:
        raise UsageError(
            "accelerate recomputes activations with other dropout masks, so gradients would be wrong",
            where="accelerate's configuration, fsdp_activation_checkpointing",
            expected="dropout 0, as in the papers",
            found=f"dropout {dropout}",
            hint="--set dropout=0, or --set gradient_checkpointing=true with fsdp_activation_checkpointing: false",
        )


def _is_set(name: str) -> bool:
    return os.environ.get(name, "false").lower() in ("true", "1")


def _unsupported(kind: str) -> UsageError:
    return UsageError(
        f"training under {kind} is not supported",
        where="accelerate's configuration",
        expected="plain data parallel (DDP), or FSDP version 2",
        found=kind,
        hint="accelerate launch --config_file recipes/accelerate/fsdp2-14b.yaml -m axenic.cli.main train …",
    )
