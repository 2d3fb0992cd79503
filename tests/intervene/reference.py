"""An independent reference: one row alone, one plain hook per step, in float64, straight from the definitions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from axenic.intervene import Arm, Intervention
from axenic.models import find_sites


def _change(one: Intervention, vector_D: Tensor, h_TD: Tensor) -> Tensor:
    v = vector_D.double()
    if one.op == "add":
        return torch.stack([h + one.strength * v for h in h_TD])
    u = v / v.norm()
    if one.op == "project_out":
        return torch.stack([h - one.strength * torch.dot(h, u) * u for h in h_TD])
    return torch.stack([h + (one.strength - torch.dot(h, u)) * u for h in h_TD])


def _touched(one: Intervention, index: int, n_prompt: int) -> bool:
    return one.positions == "all" or (one.positions == "prompt") == (index < n_prompt)


@torch.no_grad()
def run_alone(model: nn.Module, ids: Sequence[int], arm: Arm, n_prompt: int = 0) -> Tensor:
    """Logits [T, V] of one row under an arm; the first `n_prompt` tokens are the prompt."""
    sites = find_sites(model)
    handles = []
    for one in arm.interventions:
        if one.op == "scale_adapter":
            for lora in sites.lora_modules().values():
                if one.layers is None or lora.layer in one.layers:
                    handles.append(lora.lora_B.register_forward_hook(_scaler(one, n_prompt)))
            continue
        if one.op == "swap_adapter":
            assert one.adapter is not None
            for name, lora in sites.lora_modules().items():
                A, B = one.adapter.modules[name[name.index("layers.") :]]
                parent = sites.model.get_submodule(name)
                handles.append(parent.register_forward_hook(_swapper(one, lora, A, B, n_prompt)))
            continue
        if one.op == "patch_adapter":
            assert one.scalars is not None
            for name, lora in sites.lora_modules().items():
                scalars_TR = one.scalars.modules.get(
                    name[name.index("layers.") :] if "layers." in name else name
                )
                if scalars_TR is not None:
                    parent = sites.model.get_submodule(name)
                    handles.append(parent.register_forward_hook(_patcher(one, lora, scalars_TR)))
            continue
        assert one.layers is not None
        assert one.vectors_LD is not None
        for layer, vector_D in zip(one.layers, one.vectors_LD, strict=True):
            module = sites.module(one.site, layer)
            handles.append(module.register_forward_hook(_changer(one, vector_D, n_prompt)))
    logits: Tensor = model(input_ids=torch.tensor([ids])).logits[0]
    for handle in handles:
        handle.remove()
    return logits


def _changer(one: Intervention, vector_D: Tensor, n_prompt: int) -> Any:
    def hook(module: Any, args: Any, output: Any) -> Any:
        h_BTD = output[0] if isinstance(output, tuple) else output
        assert h_BTD.dtype == torch.float64
        changed_TD = _change(one, vector_D, h_BTD[0])
        rows = [
            new if _touched(one, t, n_prompt) else old
            for t, (old, new) in enumerate(zip(h_BTD[0], changed_TD, strict=True))
        ]
        new_BTD = torch.stack(rows)[None]
        return (new_BTD, *output[1:]) if isinstance(output, tuple) else new_BTD

    return hook


def _swapper(one: Intervention, lora: Any, A: Tensor, B: Tensor, n_prompt: int) -> Any:
    """Takes off what the loaded adapter added to the wrapped module's output, and adds what the other one adds."""

    def hook(module: Any, args: Any, output: Tensor) -> Tensor:
        delta_OI = one.strength * (B.double() @ A.double()) - lora.lora_B.weight @ lora.lora_A.weight
        touched_T = torch.tensor([_touched(one, t, n_prompt) for t in range(output.shape[1])])
        return output + lora.scale * touched_T[None, :, None].double() * (args[0] @ delta_OI.T)

    return hook


def _patcher(one: Intervention, lora: Any, scalars_TR: Tensor) -> Any:
    """Adds to the wrapped module's output what other scalars would have added more than the module's own."""

    def hook(module: Any, args: Any, output: Tensor) -> Tensor:
        n = len(scalars_TR)
        change_TR = one.strength * (scalars_TR.double() - args[0][0, :n] @ lora.lora_A.weight.T)
        grown_TO = output[0, :n] + lora.scale * (change_TR @ lora.lora_B.weight.T)
        return torch.cat([grown_TO, output[0, n:]])[None]

    return hook


def _scaler(one: Intervention, n_prompt: int) -> Any:
    def hook(module: Any, args: Any, output: Tensor) -> Tensor:
        factors = [one.strength if _touched(one, t, n_prompt) else 1.0 for t in range(output.shape[1])]
        return output * torch.tensor(factors, dtype=output.dtype)[None, :, None]

    return hook
