"""The self-test at opening: do hooks on this model, in these library versions, do what every result relies on?"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from itertools import pairwise
from typing import Any

import torch
from peft import PeftModel
from torch import Tensor, nn

from axenic.errors import SelfTestError
from axenic.models.opened import OpenModel
from axenic.models.outputs import site_tensor, with_site_tensor
from axenic.models.sites import Sites

ROWS, TOKENS = 2, 5


@torch.no_grad()
def check_hooks(opened: OpenModel) -> tuple[str, ...]:
    """Run four short forwards on random ids and check the hooks; returns notes, one sentence each.

    1. Each block's hook fires exactly once per forward, and the embedding output is what the first block receives.
    2. A vector added at every layer reaches the next block in EVERY row, by exactly that vector.
    3. With the hooks removed, the logits are bitwise what they were.
    4. A LoRA adapter whose B is not zero changes the logits; an all-zero B is a warning.

    Raises:
        SelfTestError: Names the layer and the row.
    """
    generator = torch.Generator().manual_seed(0)
    ids_BT = torch.randint(0, opened.sites.n_tokens, (ROWS, TOKENS), generator=generator).to(opened.device)
    clean_BTV = _logits(opened.model, ids_BT)
    steered_BTV = _steered(opened, ids_BT, generator)
    again_BTV = _logits(opened.model, ids_BT)
    if not torch.equal(clean_BTV, again_BTV):
        raise SelfTestError(
            "removing the hooks does not restore the model",
            expected="bitwise equal logits",
            found=f"a largest difference of {(clean_BTV - again_BTV).abs().max():.3g}",
        )
    for row in range(ROWS):
        if torch.equal(clean_BTV[row], steered_BTV[row]):
            raise SelfTestError("vectors added at every layer do not change the logits", where=f"row {row}")
    return _check_adapter(opened, ids_BT, clean_BTV)


def _logits(model: nn.Module, ids_BT: Tensor) -> Tensor:
    logits: Tensor = model(input_ids=ids_BT, attention_mask=torch.ones_like(ids_BT), use_cache=False).logits
    return logits


def _steered(opened: OpenModel, ids_BT: Tensor, generator: torch.Generator) -> Tensor:
    """One forward that adds a vector after every block and compares with what the next module receives."""
    sites = opened.sites
    vectors_LD = torch.randn(sites.n_layers, sites.d_model, generator=generator).to(
        opened.device, opened.dtype
    )
    fired: Counter[int] = Counter()
    sent: dict[int, Tensor] = {}

    def receive(layer: int, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        got_BTD = args[0] if args else kwargs["hidden_states"]
        for row in range(ROWS):
            if layer not in sent or not torch.equal(got_BTD[row], sent[layer][row]):
                raise SelfTestError(
                    "what a hook returned did not reach the next block"
                    if layer >= 0
                    else "the embedding site is wrong",
                    where=f"output of layer {layer}, row {row}",
                    expected="every row changed by exactly the vector that was added",
                    found="the hook did not fire"
                    if layer not in sent
                    else _largest(got_BTD[row], sent[layer][row]),
                )

    def send(layer: int, module: nn.Module, args: Any, output: Any) -> Any:
        fired[layer] += 1
        h_BTD = site_tensor(output)
        sent[layer] = h_BTD if layer == -1 else h_BTD + vectors_LD[layer].to(h_BTD.device)
        return with_site_tensor(output, sent[layer])

    with _hooks(sites, send, receive):
        logits_BTV = _logits(opened.model, ids_BT)
    for layer in range(-1, sites.n_layers):
        if fired[layer] != 1:
            raise SelfTestError(
                "a hook did not fire once per forward", where=f"layer {layer}", expected=1, found=fired[layer]
            )
    return logits_BTV


@contextmanager
def _hooks(sites: Sites, send: Any, receive: Any) -> Iterator[None]:
    modules = [sites.embed, *sites.blocks, sites.final_norm]
    handles = []
    try:
        for layer, (module, following) in enumerate(pairwise(modules), start=-1):
            handles.append(module.register_forward_hook(partial(send, layer)))
            handles.append(following.register_forward_pre_hook(partial(receive, layer), with_kwargs=True))
        yield
    finally:
        for handle in handles:
            handle.remove()


def _check_adapter(opened: OpenModel, ids_BT: Tensor, clean_BTV: Tensor) -> tuple[str, ...]:
    if not isinstance(opened.model, PeftModel):
        return ()
    b_weights = [tensor for name, tensor in opened.model.named_parameters() if ".lora_B." in name]
    if not any(bool(tensor.any()) for tensor in b_weights):
        note = "every B of the adapter is zero: this organism is its base model"
        warnings.warn(note, stacklevel=4)
        return (note,)
    trained = [parameter for parameter in opened.model.parameters() if parameter.requires_grad]
    with opened.model.disable_adapter():
        base_BTV = _logits(opened.model, ids_BT)
    # PEFT switches the adapter's gradients on when the adapter comes back.
    opened.model.requires_grad_(False)
    for parameter in trained:
        parameter.requires_grad_(True)
    for row in range(ROWS):
        if torch.equal(base_BTV[row], clean_BTV[row]):
            raise SelfTestError(
                "the adapter has weights, and no effect",
                where=f"row {row}",
                expected="other logits than with the adapter switched off",
                found="bitwise equal logits",
            )
    return ()


def _largest(got_TD: Tensor, sent_TD: Tensor) -> str:
    return f"a largest difference of {(got_TD - sent_TD).abs().max():.3g}"
