"""Hooks that carry out interventions row by row: one batch may hold rows of many arms.

B rows, T tokens, D width.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from types import TracebackType
from typing import Any, Literal, Self

import torch
from torch import Tensor
from torch.utils.hooks import RemovableHandle

from axenic.errors import SelfTestError, UsageError
from axenic.intervene.arm import Arm
from axenic.intervene.compile import Place, compile_arms
from axenic.intervene.kernels import Kernel, plan_kernels
from axenic.models import Sites, site_tensor, with_site_tensor

Phase = Literal["prompt", "answer"]


class InterventionHooks:
    """Context manager under which the forwards of a model are intervened on.

        with InterventionHooks(opened.sites, arms) as hooks:
            hooks.assign(arm_of_row_B)        # which arm each row of the next forwards has
            hooks.phase = "prompt"
            prefill = opened.model(...)
            hooks.phase = "answer"
            step = opened.model(...)

    Only modules that some arm touches are hooked. Rows whose arm does nothing at a place are bitwise what they would be
    without hooks. On exit, also after an exception, the model is as it was.

    Args:
        sites: The places of the model.
        arms: The arms that rows may have. With a single arm, all rows have it until `assign` says otherwise.

    Raises:
        UsageError, DirectionError, ModelError: An arm cannot be carried out on this model (see `compile_arms`).
    """

    def __init__(self, sites: Sites, arms: Sequence[Arm]) -> None:
        self.sites = sites
        self.arms = tuple(arms)
        self.phase: Phase | Tensor | None = None
        """What the next forward holds: tokens of the prompt, of the answer, or a bool mask [B, T], true at answer
        tokens. Needed only where an intervention is for some of the positions."""
        self.forwards = 0
        """Forwards of the model since entry."""
        self.fired: dict[tuple[str, int], int] = {}
        """How often each hook fired, by (site, layer), or (LoRA module, layer) for the adapter operations."""
        self._places = compile_arms(sites, arms)
        self._rows_of_arm: list[list[int]] | None = None
        self._n_rows: int | None = None
        self._prompt_tokens: tuple[int, ...] | None = None
        self._plans: dict[tuple[str, int], tuple[torch.device, torch.dtype, list[Kernel]]] = {}
        self._handles: list[RemovableHandle] = []

    def assign(
        self, arm_of_row_B: Tensor | Sequence[int], prompt_tokens_B: Sequence[int] | None = None
    ) -> None:
        """Say which arm each row of the next forwards has.

        Args:
            arm_of_row_B: Index into `arms` for every row; as long as the next batches have rows.
            prompt_tokens_B: Tokens of each row's prompt, where the next forward in phase "prompt" holds whole prompts
                padded on the left. Needed by `patch_adapter` only.

        Raises:
            UsageError: Not one index per row, an index without an arm, or not one number of tokens per row.
        """
        if isinstance(arm_of_row_B, Tensor):
            arm_of_row_B = arm_of_row_B.reshape(-1).tolist() if arm_of_row_B.dim() == 1 else []
        if not arm_of_row_B or not 0 <= min(arm_of_row_B) <= max(arm_of_row_B) < len(self.arms):
            raise UsageError(
                "rows cannot be assigned to arms like this",
                expected=f"one index of 0 to {len(self.arms) - 1} per row",
                found=f"{sorted(set(arm_of_row_B))[:8]}" if arm_of_row_B else "none",
            )
        if prompt_tokens_B is not None and len(prompt_tokens_B) != len(arm_of_row_B):
            raise UsageError(
                "every row has a prompt", expected=f"{len(arm_of_row_B)} numbers", found=len(prompt_tokens_B)
            )
        self._prompt_tokens = None if prompt_tokens_B is None else tuple(prompt_tokens_B)
        rows_of_arm: list[list[int]] = [[] for _ in self.arms]
        for row, arm in enumerate(arm_of_row_B):
            rows_of_arm[arm].append(row)
        if rows_of_arm != self._rows_of_arm:
            self._rows_of_arm, self._n_rows = rows_of_arm, len(arm_of_row_B)
            self._plans.clear()

    def __enter__(self) -> Self:
        if self._handles:
            raise UsageError("these hooks are already in place", expected="one `with` at a time")
        self.forwards = 0
        self.fired = {place.key: 0 for place in self._places}
        self._handles.append(self.sites.decoder.register_forward_pre_hook(self._count))
        for place in self._places:
            self._handles.append(place.module.register_forward_hook(partial(self._hook, place)))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for handle in self._handles:
            handle.remove()
        self._handles.clear()
        if error is None:
            self._check_fired()

    def _count(self, module: Any, args: Any) -> None:
        self.forwards += 1

    def _hook(self, place: Place, module: Any, args: Any, output: Any) -> Any:
        self.fired[place.key] += 1
        h_BTD = site_tensor(output)
        cached = self._plans.get(place.key)
        if cached is None or cached[0] != h_BTD.device or cached[1] != h_BTD.dtype:
            cached = self._plan(place, h_BTD)
        elif h_BTD.shape[0] != self._n_rows:
            raise self._wrong_batch(h_BTD)
        kernels = cached[2]
        if not kernels:
            return None
        new_BTD = h_BTD
        for kernel in kernels:
            skip, mask_BT = self._mask(kernel, h_BTD)
            if kernel.patches and not skip:
                new_BTD = kernel.patch(new_BTD, self._prompts(h_BTD, mask_BT))
            elif not skip:
                new_BTD = kernel.apply(new_BTD, mask_BT, args[0] if kernel.matrices else None)
        return with_site_tensor(output, new_BTD)

    def _plan(self, place: Place, h_BTD: Tensor) -> tuple[torch.device, torch.dtype, list[Kernel]]:
        if self._rows_of_arm is None:
            if len(self.arms) > 1:
                raise UsageError(
                    "no row has an arm yet",
                    expected="hooks.assign(arm_of_row_B) before the first forward",
                    found="none",
                )
            self.assign([0] * h_BTD.shape[0])
        if h_BTD.shape[0] != self._n_rows:
            raise self._wrong_batch(h_BTD)
        assert self._rows_of_arm is not None
        kernels = plan_kernels(place.steps_of_arm, self._rows_of_arm, h_BTD.device, h_BTD.dtype)
        self._plans[place.key] = plan = (h_BTD.device, h_BTD.dtype, kernels)
        return plan

    def _mask(self, kernel: Kernel, h_BTD: Tensor) -> tuple[bool, Tensor | None]:
        """Whether the kernel has nothing to do in this forward, and else the tokens [B, T] to touch (None: all)."""
        if kernel.positions == "all":
            return False, None
        phase = self.phase
        if isinstance(phase, Tensor):
            if phase.shape != h_BTD.shape[:2] or phase.dtype != torch.bool:
                raise UsageError(
                    "the answer mask does not fit the batch",
                    expected=f"torch.bool {list(h_BTD.shape[:2])}",
                    found=f"{phase.dtype} {list(phase.shape)}",
                )
            mask_BT = phase.to(h_BTD.device)
            return False, mask_BT if kernel.positions == "answer" else ~mask_BT
        if phase not in ("prompt", "answer"):
            raise UsageError(
                f"an arm is for tokens of the {kernel.positions} only, and nobody said which those are",
                expected="hooks.phase = 'prompt', 'answer' or a bool tensor [rows, tokens], true at answer tokens",
                found=repr(phase),
            )
        return phase != kernel.positions, None

    def _prompts(self, h_BTD: Tensor, mask_BT: Tensor | None) -> list[tuple[int, int]]:
        """Where each row's prompt starts and ends in this forward: at its right end, or before the answer's tokens."""
        width = h_BTD.shape[1]
        if mask_BT is not None:
            # Finished conversations are padded on the right; of the padding nothing is said, and none stands first.
            ends_B = torch.where(mask_BT.all(1), width, (~mask_BT).int().argmax(1))
            return [(0, int(end)) for end in ends_B.tolist()]
        lengths = self._prompt_tokens
        if lengths is None or max(lengths) > width:
            raise UsageError(
                "an arm patches the tokens of the prompt, and nobody said where those are",
                expected=f"hooks.assign(arm_of_row_B, prompt_tokens_B), at most {width} tokens each",
                found="nothing" if lengths is None else f"{max(lengths)} tokens",
            )
        return [(width - length, width) for length in lengths]

    def _wrong_batch(self, h_BTD: Tensor) -> UsageError:
        return UsageError(
            "the batch has another number of rows than have an arm",
            expected=f"{self._n_rows} rows, as assigned",
            found=f"{h_BTD.shape[0]} rows",
            hint="call hooks.assign(arm_of_row_B) for each batch",
        )

    def _check_fired(self) -> None:
        for (site, layer), count in self.fired.items():
            # Some callers run the decoder blocks alone, without the head behind them.
            if count != self.forwards and not (layer == self.sites.n_layers and count == 0):
                raise SelfTestError(
                    "a hook never fired" if count == 0 else "a hook did not fire once per forward",
                    where=f"{site}, layer {layer}",
                    expected=f"{self.forwards} times",
                    found=f"{count} times",
                )
