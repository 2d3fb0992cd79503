"""What a run needs before anything is loaded: bytes of weights, gradients, moments and activations per device.

Parameters are counted exactly, on the model and adapter built without memory (the meta device) from `config.json`.
Activations are an estimate. Per token and block, with e bytes per number, width D, Q and K the widths of all query
and of all key heads, M the MLP's (of a mixture: of the experts that a token goes through):

    norms       (4 + e) D  for each norm, which computes in float32
    attention   e (D + 3 Q + 4 K), without the T x T matrix: torch's fused attention does not keep it;
                Gemma 2, which caps its scores, cannot use that, and keeps (4 + 4 e) T for each head
    MLP         e (D + 4 M)

With recomputation (`gradient_checkpointing`, or a sharding configuration of ours): e D per block, and one block in full.
The logits are B T V (e + 8) bytes: as computed, in float32, and their softmax; those of a KL term, the tuned model's and
the reference's, are no more. With one, B is the larger of the two batches; a full fine-tune keeps its weights twice. The
reference's states on the KL rows (`axenic.train.states`) lie in the host's memory and are not counted.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from transformers import AutoConfig, AutoModelForCausalLM

from axenic.errors import UsageError
from axenic.models import find_model, find_sites, resolve_device
from axenic.models.open import check_config
from axenic.models.place import DTYPES, host_bytes
from axenic.train.config import TrainConfig
from axenic.train.loop import choose_optimizer
from axenic.train.organism import Organism, make_organism
from axenic.train.processes import ALONE, Processes

HEADROOM = 1.1
"""What the allocator, the kernels' workspaces and the driver take beside the tensors."""

SHIPPED = (("fsdp2-14b", 20e9), ("fsdp2-32b", 40e9), ("fsdp2-70b", math.inf))
"""Sharding configurations of `recipes/accelerate` and up to how many parameters each is meant for."""


@dataclass(frozen=True)
class MemoryPlan:
    """Bytes on each device.

    Args:
        parameters: All parameters of the model and its adapter.
        trained: Those that are trained.
        dtype: Of the base model.
        processes: Devices that share the run; more than one share by FSDP2.
        weights: Bytes of parameters.
        gradients: Bytes of gradients.
        moments: Bytes of the optimizer's state.
        gathered: Bytes of the sharded blocks that are whole at one time; 0 for one process.
        activations: Bytes kept for the backward pass (estimate).
        logits: Bytes of one pass's logits.
        device_bytes: Memory of one device; None if it is not known.
        optimizer: What the moments were counted for.
        recompute: Whether activations are computed again in the backward pass.
    """

    parameters: int
    trained: int
    dtype: str
    processes: int
    weights: int
    gradients: int
    moments: int
    gathered: int
    activations: int
    logits: int
    device_bytes: int | None
    optimizer: str
    recompute: bool

    @property
    def total(self) -> int:
        """Bytes of all tensors on one device."""
        kept = self.weights + self.gradients + self.moments
        return kept + self.gathered + self.activations + self.logits

    @property
    def fits(self) -> bool | None:
        """Whether it fits with `HEADROOM`; None if the device's memory is not known."""
        return None if self.device_bytes is None else self.total * HEADROOM <= self.device_bytes

    @property
    def launch(self) -> tuple[str, ...]:
        """The words before `train ...` of the command to type."""
        if self.processes == 1:
            return ("axenic",)
        name = next(name for name, most in SHIPPED if self.parameters <= most)
        return (
            *("accelerate", "launch", "--config_file", f"recipes/accelerate/{name}.yaml"),
            *("--num_processes", str(self.processes), "-m", "axenic.cli.main"),
        )


def plan_memory(
    config: TrainConfig,
    *,
    processes: int = 1,
    device_bytes: int | None = None,
    optimizer: str | None = None,
) -> MemoryPlan:
    """Bytes that a run needs on each device, if every row of a pass is `max_length` long.

    Args:
        config: The run. With device `auto`, a given `device_bytes` stands for a cuda device that computes in bfloat16.
        processes: Devices that share it by FSDP2, full shard.
        device_bytes: Memory of one device; None asks this machine.
        optimizer: transformers' name of the optimizer; None chooses as training would.

    Raises:
        ModelError: No such model, or an unsupported one.
        UsageError: A layer or module that the model does not have.
    """
    if processes < 1:
        raise UsageError("a run needs a process", where="processes", expected="1 or more", found=processes)
    dtype, device = _target(config, device_bytes)
    share = ALONE if processes == 1 else Processes(count=processes, sharded=True, recomputed=True)
    organism = empty_organism(config, dtype, share)
    if optimizer is None:
        optimizer, _ = choose_optimizer(config.optimizer, device, sharded=share.sharded)
    parameters, trained = list(organism.parameters().values()), list(organism.trained().values())
    gathered = 0
    if share.sharded:
        sites = find_sites(organism.model)
        blocks = [sum(p.numel() for p in block.parameters()) for block in sites.blocks]
        ends = sum(p.numel() for p in organism.model.parameters()) - sum(blocks)
        # The block that computes and the one that is fetched, embedding and head.
        gathered = (2 * max(blocks) + ends) * dtype.itemsize
    text: Any = organism.model.config
    rows = min(config.batch_size, math.ceil(config.batch_size * config.gradient_accumulation / processes))
    # Of the two passes, training rows and KL rows, one is over before the other begins.
    with_kl = config.kl_data is not None and config.kl_weight != 0
    kl_rows = math.ceil(config.kl_batch_size * rows / config.batch_size) if with_kl else 0
    tokens = max(rows, kl_rows) * config.max_length
    weights = sum(p.numel() * p.element_size() for p in parameters)
    copies = 2 if organism.full and kl_rows else 1  # a full fine-tune keeps its reference
    recompute = config.gradient_checkpointing or share.recomputed
    return MemoryPlan(
        parameters=sum(p.numel() for p in parameters),
        trained=sum(p.numel() for p in trained),
        dtype=str(dtype).removeprefix("torch."),
        processes=processes,
        weights=_split(weights * copies, processes),
        gradients=_split(sum(p.numel() * p.element_size() for p in trained), processes),
        moments=_split(sum(moment_bytes(p, optimizer) for p in trained), processes),
        gathered=gathered,
        activations=tokens
        * activation_bytes(text.get_text_config(), dtype.itemsize, config.max_length, recompute=recompute),
        logits=tokens * int(text.get_text_config().vocab_size) * (dtype.itemsize + 8),
        device_bytes=device_bytes if device_bytes is not None else _memory_of(device),
        optimizer=optimizer,
        recompute=recompute,
    )


def smallest_plan(config: TrainConfig, *, most: int = 64, device_bytes: int | None = None) -> MemoryPlan:
    """The plan with the fewest processes that fits: 1, 1 with recomputation, 2, 4, ...; else the one with the most."""
    plan = plan_memory(config, device_bytes=device_bytes)
    if plan.fits is False:
        spared = config.model_copy(update={"gradient_checkpointing": True})
        plan = plan_memory(spared, device_bytes=device_bytes)
    # Devices of this machine that are no GPUs cannot share.
    while (
        plan.fits is False and plan.processes * 2 <= most and _target(config, device_bytes)[1].type == "cuda"
    ):
        plan = plan_memory(config, processes=plan.processes * 2, device_bytes=plan.device_bytes)
    return plan


def empty_organism(config: TrainConfig, dtype: torch.dtype, processes: Processes = ALONE) -> Organism:
    """The model of a run set up for training, without memory: every tensor is on the meta device."""
    folder = find_model(config.model, weights=False)
    check_config(folder)
    with torch.device("meta"):
        base: nn.Module = AutoModelForCausalLM.from_config(
            AutoConfig.from_pretrained(str(folder), trust_remote_code=False), dtype=dtype
        )
        base.requires_grad_(False)
        return make_organism(base, config, processes)


def moment_bytes(parameter: nn.Parameter, optimizer: str) -> int:
    """Bytes of an optimizer's state for one parameter: two moments as large as it, in 8 bits, or none."""
    count = parameter.numel()
    if optimizer == "sgd":
        return 0
    if optimizer == "adamw_bnb_8bit" and count >= 4096:  # bitsandbytes leaves smaller ones in 32 bits
        return 2 * count + 2 * 4 * math.ceil(count / 256)  # and keeps a scale for each 256 numbers
    if optimizer == "adamw_bnb_8bit":
        return 8 * count
    return 2 * count * parameter.element_size()


def activation_bytes(text: Any, e: int, length: int, *, recompute: bool) -> int:
    """Bytes that one token keeps for the backward pass, over all blocks; the formula of this file.

    Args:
        text: Configuration of the text model.
        e: Bytes per number in which it computes.
        length: Tokens of a row.
        recompute: Whether blocks are computed again in the backward pass.
    """
    values: dict[str, Any] = text.to_dict()
    width, heads, blocks = (
        int(values["hidden_size"]),
        values["num_attention_heads"],
        values["num_hidden_layers"],
    )
    head = values.get("head_dim") or width // heads
    query, key = heads * head, (values.get("num_key_value_heads") or heads) * head
    mlp = int(values["intermediate_size"])
    if values.get("num_experts"):
        mlp = max(
            mlp if values.get("mlp_only_layers") else 0,
            values["num_experts_per_tok"] * values["moe_intermediate_size"],
        )
    kind = str(values["model_type"])
    norms = (4 if kind.startswith("gemma") else 2) * width
    if kind.startswith(("qwen3", "gemma3")):
        norms += query + key  # these normalise queries and keys as well
    block = (4 + e) * norms + e * (width + 3 * query + 4 * key) + e * (width + 4 * mlp)
    if kind == "gemma2":
        block += (4 + 4 * e) * length * heads
    return int(block + e * width * blocks if recompute else block * blocks)


def _target(config: TrainConfig, device_bytes: int | None) -> tuple[torch.dtype, torch.device]:
    if config.device == "auto" and device_bytes is not None:
        return DTYPES.get(config.dtype, torch.bfloat16), torch.device("cuda")
    placement = resolve_device(config.device, config.dtype)
    return placement.dtype, placement.device


def _memory_of(device: torch.device) -> int | None:
    if device.type == "cuda" and torch.cuda.is_available():
        return int(torch.cuda.get_device_properties(device).total_memory)
    return host_bytes() if device.type == "cpu" else None


def _split(size: int, processes: int) -> int:
    return math.ceil(size / processes)
