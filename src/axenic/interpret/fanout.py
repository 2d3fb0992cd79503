"""One text, many settings of a solution: the blocks below the first one that it changes run once (design/solutions.md).

The base model's own forward runs on B rows, and what every later block was given by it is kept: masks, positions, whatever
the architecture passes. `branch` then calls those blocks again on k x B rows, k settings after each other, so that no mask
is built anew here. B rows, k settings side by side, T tokens, D width, V vocabulary; I, R, O as in `parts.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from axenic.errors import ModelError, SelfTestError
from axenic.interpret.parts import LowRank, Part, Shift
from axenic.models import Head, Sites, check_logits, site_tensor, with_site_tensor


@dataclass(frozen=True, eq=False)
class Trunk:
    """What the settings of a batch share.

    Args:
        h_BTD: What the first changed block was given.
        calls: Keyword arguments of each block from that one on.
        base_BTD: What the base model gives its head.
    """

    h_BTD: Tensor
    calls: tuple[dict[str, Any], ...]
    base_BTD: Tensor


@dataclass(frozen=True, eq=False)
class _Stack:
    """One module's parts in all K settings, on its device; a factor that all share is there once, [1, ...]."""

    first: Tensor
    second: Tensor | None
    gain_K11: Tensor


class FanOut:
    """Context manager with hooks on the modules that K settings of one solution change.

        with FanOut(sites, [setting.parts() for setting in settings]) as fan:
            trunk = fan.trunk(ids_BT)
            h_kBTD = fan.branch(trunk, slice(0, 4))
            logits_knV = fan.head(h_knD, slice(0, 4))

    Outside of `branch` and `head` the hooks add nothing, so that everything is the base model's, bit for bit.

    Args:
        sites: Of the plain base model.
        parts_KP: The parts of each setting, at the same modules in all of them; none, and `branch` has nothing to do.
        head: In the place of the model's own.

    Raises:
        ModelError: A part at a module before the blocks.
    """

    def __init__(
        self, sites: Sites, parts_KP: Sequence[Sequence[Part]] = (), head: nn.Module | None = None
    ) -> None:
        self.sites = sites
        parts_P = parts_KP[0] if parts_KP else ()
        self.first = min((_layer(sites, part.module) for part in parts_P), default=sites.n_layers)
        """The first block that is changed; the number of blocks if only the head is."""
        own = Head.of(sites)
        self._head = own if head is None else Head(head, own.softcap)
        self.head_module = self._head.module
        self.head_weight = self._head.weight
        """`[V, D]`."""
        self._modules = {part.module: sites.model.get_submodule(part.module) for part in parts_P}
        self._stacks = {
            part.module: _stack([parts[p] for parts in parts_KP], self._modules[part.module])
            for p, part in enumerate(parts_P)
        }
        self._active: slice | None = None
        self._handles: list[RemovableHandle] = []

    def __enter__(self) -> Self:
        for name, module in self._modules.items():
            self._handles.append(module.register_forward_hook(partial(self._hook, self._stacks[name])))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for handle in self._handles:
            handle.remove()
        self._handles.clear()

    @torch.no_grad()
    def trunk(self, ids_BT: Tensor) -> Trunk:
        """Run the base model, its head left out, and keep what the changed blocks were given.

        Args:
            ids_BT: Padded on the right if at all.
        """
        given: list[tuple[Tensor, dict[str, Any]]] = []

        def keep(_module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            given.append((args[0] if args else kwargs["hidden_states"], kwargs))

        blocks = (*self.sites.blocks[self.first :], self.sites.final_norm)
        handles = [block.register_forward_pre_hook(keep, with_kwargs=True) for block in blocks]
        try:
            base_BTD: Tensor = self.sites.decoder(input_ids=ids_BT, use_cache=False).last_hidden_state
        finally:
            for handle in handles:
                handle.remove()
        if len(given) != len(blocks):
            raise SelfTestError(
                "the model did not run each of its blocks once",
                where=type(self.sites.model).__name__,
                expected=f"{len(blocks)} calls",
                found=f"{len(given)} calls",
            )
        calls = tuple({k: v for k, v in kwargs.items() if k != "hidden_states"} for _, kwargs in given[:-1])
        return Trunk(given[0][0], calls, base_BTD)

    @torch.no_grad()
    def branch(self, trunk: Trunk, which: slice | None) -> Tensor:
        """What settings give the head: `[k, B, T, D]`.

        Args:
            trunk: Of the texts.
            which: The settings; None is the base model.
        """
        k = 1 if which is None else which.stop - which.start
        rows = trunk.h_BTD.shape[0]
        h = _repeat(trunk.h_BTD, rows, k)
        self._active = which
        try:
            for block, kwargs in zip(self.sites.blocks[self.first :], trunk.calls, strict=True):
                h = site_tensor(block(h, **{key: _repeat(value, rows, k) for key, value in kwargs.items()}))
            h_out: Tensor = self.sites.final_norm(h)
        finally:
            self._active = None
        return h_out.view(k, rows, *h_out.shape[1:])

    @torch.no_grad()
    def head(self, h_knD: Tensor, which: slice | None) -> Tensor:
        """Logits `[k, n, V]` of chosen positions, n of each of the k settings; for the base model `which` is None and k 1."""
        self._active = which
        try:
            return self._head(h_knD)
        finally:
            self._active = None

    @torch.no_grad()
    def check(self, ids_BT: Tensor) -> None:
        """Compare with the model's own forward, so that an architecture that does more than is known here is refused.

        Raises:
            SelfTestError: Blocks run again, or the head, give something else than the model itself.
        """
        own_BV = self.sites.model(input_ids=ids_BT, use_cache=False, logits_to_keep=1).logits[:, -1]
        trunk = self.trunk(ids_BT)
        again_BD = self.branch(trunk, None)[0, :, -1]
        for where, h_BD in (("the head", trunk.base_BTD[:, -1]), ("blocks run again", again_BD)):
            check_logits(where, self.head(h_BD[None], None)[0], own_BV, self.sites)

    def _hook(self, stack: _Stack, module: Any, args: Any, output: Any) -> Any:
        if self._active is None:
            return None
        h = site_tensor(output)
        k = self._active.stop - self._active.start
        gain_k11 = stack.gain_K11[self._active]
        if stack.second is None:
            added = _own(stack.first, self._active) * gain_k11
        else:
            x_knI = args[0].reshape(k, -1, args[0].shape[-1]).to(stack.first.dtype)
            scalars_knR = x_knI @ _own(stack.first, self._active).transpose(1, 2)
            added = scalars_knR @ _own(stack.second, self._active).transpose(1, 2) * gain_k11
        changed = (h.reshape(k, -1, h.shape[-1]) + added).to(h.dtype).view(h.shape)
        return with_site_tensor(output, changed)


def _own(stacked: Tensor, which: slice) -> Tensor:
    """The settings' own factors; one for all where they are equal."""
    return stacked if len(stacked) == 1 else stacked[which]


def _stack(parts: Sequence[Part], module: nn.Module) -> _Stack:
    weight = next(module.parameters())
    exact = torch.promote_types(weight.dtype, torch.float32)

    def put(tensors: list[Tensor]) -> Tensor:
        shared = all(tensor is tensors[0] for tensor in tensors)
        return torch.stack(tensors[:1] if shared else tensors).to(weight.device, exact)

    gain_K11 = torch.tensor([part.scale for part in parts], dtype=torch.float64)[:, None, None]
    gain_K11 = gain_K11.to(weight.device, exact)
    if isinstance(parts[0], Shift):
        vectors = [part.vector_D[None] for part in parts if isinstance(part, Shift)]
        return _Stack(put(vectors), None, gain_K11)
    factors = [part for part in parts if isinstance(part, LowRank)]
    return _Stack(put([part.A_RI for part in factors]), put([part.B_OR for part in factors]), gain_K11)


def _repeat(value: Any, rows: int, k: int) -> Any:
    """A tensor of B rows as one of k x B, one setting's rows after the other's; what has no rows stays."""
    if isinstance(value, tuple):
        return tuple(_repeat(item, rows, k) for item in value)
    if isinstance(value, Tensor) and value.dim() > 1 and len(value) == rows:
        return value.repeat(k, *[1] * (value.dim() - 1))
    return value


def _layer(sites: Sites, module: str) -> int:
    """The block that a module is in; the number of blocks for the head."""
    for layer, block in enumerate(sites.blocks):
        if any(sites.model.get_submodule(module) is part for part in block.modules()):
            return layer
    if module == "lm_head":
        return sites.n_layers
    raise ModelError(
        "this part of a solution is in no block", where=module, expected="a module of a block, or lm_head"
    )
