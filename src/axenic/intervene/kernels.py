"""The arithmetic: what happens to the activations of a batch at one place, vectorised over its rows.

B rows of the batch, N rows that a kernel touches, K different steps among them, T tokens, D width; I inputs and O
outputs of a module (one of an adapter's factors); R rank of an adapter.

Rows that no step touches are never computed with, so they stay bitwise what they were. Dot products and sums are done
in float32 (float64 for float64 activations) and rounded once: in bfloat16 they would leave a visible part of a
direction behind. Where all rows of the batch share one vector, which is every unmixed job, three torch calls do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from axenic.errors import UsageError
from axenic.intervene.compile import Step
from axenic.intervene.spec import Op, Positions


@dataclass(frozen=True, eq=False)
class Kernel:
    """One operation on some rows of a batch.

    Args:
        op: The operation.
        positions: The tokens it is for.
        rows_N: Indices of the rows; None for all rows of the batch.
        vector: `add`: strength·v. `project_out`, `clamp`: the unit vector. [D] where all rows share it, else
            [N, 1, D]. None for the adapter operations.
        gain: `project_out`: −strength·u, in the shape of `vector`. `clamp`: the value, `scale_adapter`: the factor;
            [1] where shared, else [N, 1, 1]. None for `swap_adapter`.
        matrices: `swap_adapter`: strength·matrix [O, I], and how many of the rows, one after the other, it is for.
            Not gathered row by row: a batch of 200 rows would then hold 200 copies of a wide adapter.
        patches: `patch_adapter`: (rows, scalars [T, R], strength) of each arm.
    """

    op: Op
    positions: Positions
    rows_N: Tensor | None
    vector: Tensor | None
    gain: Tensor | None
    matrices: tuple[tuple[Tensor, int], ...] = ()
    patches: tuple[tuple[tuple[int, ...], Tensor, float], ...] = ()

    def apply(self, h_BTD: Tensor, mask_BT: Tensor | None, input_BTI: Tensor | None = None) -> Tensor:
        """The new activations, in the dtype given.

        Args:
            h_BTD: Activations; not written to.
            mask_BT: Tokens to touch (bool); None for all.
            input_BTI: What the module was given; needed by `swap_adapter` only.
        """
        rows_N = self.rows_N
        old_NTD = h_BTD if rows_N is None else h_BTD.index_select(0, rows_N)
        if self.op == "swap_adapter":
            assert input_BTI is not None
            new_NTD = self._multiply(input_BTI if rows_N is None else input_BTI.index_select(0, rows_N))
            new_NTD = new_NTD.to(old_NTD.dtype)
        else:
            new_NTD = self._compute(old_NTD)
        if mask_BT is not None:
            mask_NT = mask_BT if rows_N is None else mask_BT.index_select(0, rows_N)
            new_NTD = torch.where(mask_NT[..., None], new_NTD, old_NTD)
        return new_NTD if rows_N is None else h_BTD.index_copy(0, rows_N, new_NTD)

    def patch(self, scalars_BTR: Tensor, prompt_B: Sequence[tuple[int, int]]) -> Tensor:
        """The scalars with those of other prompts in their place.

        Args:
            scalars_BTR: What the A factor gave; not written to.
            prompt_B: Where the prompt of each row starts and ends (exclusive).

        Raises:
            UsageError: A prompt has another number of tokens than what is put into it.
        """
        new_BTR = scalars_BTR.clone()
        for rows, scalars_TR, strength in self.patches:
            for row in rows:
                start, end = prompt_B[row]
                if end - start != len(scalars_TR):
                    raise UsageError(
                        "scalars of one prompt cannot be put into a prompt of another length",
                        where=f"row {row}",
                        expected=f"{len(scalars_TR)} tokens",
                        found=f"{end - start} tokens",
                        hint="pair prompts of equal token length",
                    )
                # lerp and not old + strength * change: at strength 1 the result is the other prompt's to the bit.
                new_BTR[row, start:end] = torch.lerp(scalars_BTR[row, start:end], scalars_TR, strength)
        return new_BTR

    def _multiply(self, input_NTI: Tensor) -> Tensor:
        """Each row's own matrix on its inputs, [N, T, O], in the matrices' dtype."""
        sizes = [size for _, size in self.matrices]
        parts = [
            nn.functional.linear(part_nTI.to(matrix_OI.dtype), matrix_OI)
            for (matrix_OI, _), part_nTI in zip(self.matrices, torch.split(input_NTI, sizes), strict=True)
        ]
        return parts[0] if len(parts) == 1 else torch.cat(parts)

    def _compute(self, old_NTD: Tensor) -> Tensor:
        if self.op == "scale_adapter":
            assert self.gain is not None
            return (old_NTD * self.gain).to(old_NTD.dtype)
        vector = self.vector
        assert vector is not None
        if self.op == "add":
            return (old_NTD + vector).to(old_NTD.dtype)
        h_NTD = old_NTD.to(vector.dtype)
        gain = self.gain
        assert gain is not None
        if vector.dim() == 1:
            flat = h_NTD.reshape(-1, h_NTD.shape[-1])
            if self.op == "project_out":
                flat = torch.addr(flat, torch.mv(flat, vector), gain)
            else:
                flat = torch.addr(flat, gain - torch.mv(flat, vector), vector)
            return flat.view_as(h_NTD).to(old_NTD.dtype)
        along_NT1 = (h_NTD * vector).sum(-1, keepdim=True)
        if self.op == "project_out":
            return torch.addcmul(h_NTD, along_NT1, gain).to(old_NTD.dtype)
        return torch.addcmul(h_NTD, gain - along_NT1, vector).to(old_NTD.dtype)


def plan_kernels(
    steps_of_arm: Sequence[Sequence[Step]],
    rows_of_arm: Sequence[Sequence[int]],
    device: torch.device,
    dtype: torch.dtype,
) -> list[Kernel]:
    """Turn the arms' steps at one place into kernels for one batch.

    The k-th steps of all arms concern different rows, so they may share kernels; kernels of step k come before those
    of step k + 1, so each row sees its arm's steps in the order given.

    Args:
        steps_of_arm: The steps of every arm at this place.
        rows_of_arm: The rows of the batch that each arm has.
        device: Of the activations.
        dtype: Of the activations.
    """
    n_rows = sum(len(rows) for rows in rows_of_arm)
    kernels = []
    for k in range(max((len(steps) for steps in steps_of_arm), default=0)):
        groups: dict[tuple[Op, Positions], list[tuple[Step, Sequence[int]]]] = {}
        for steps, rows in zip(steps_of_arm, rows_of_arm, strict=True):
            if k < len(steps) and rows:
                groups.setdefault((steps[k].op, steps[k].positions), []).append((steps[k], rows))
        kernels += [_kernel(group, n_rows, device, dtype) for group in groups.values()]
    return kernels


def _kernel(
    group: list[tuple[Step, Sequence[int]]], n_rows: int, device: torch.device, dtype: torch.dtype
) -> Kernel:
    first = group[0][0]
    rows = [row for _, part in group for row in part]
    if first.op == "swap_adapter":
        return _swap_kernel(group, rows, n_rows, device, dtype)
    if first.op == "patch_adapter":
        return _patch_kernel(group, device, dtype)
    rows_N = None
    which_N = [k for k, (_, part) in enumerate(group) for _ in part]
    if len(rows) < n_rows:
        rows_N = torch.tensor(rows, device=device)
    elif len(group) > 1:
        which_N = [k for _, k in sorted(zip(rows, which_N, strict=True))]
    vector_KD, gain = _constants([step for step, _ in group])
    exact = torch.promote_types(dtype, torch.float32)
    if first.op == "scale_adapter":
        exact = dtype
    if len(group) > 1:
        index_N = torch.tensor(which_N)
        vector_KD = None if vector_KD is None else vector_KD[index_N][:, None, :]
        gain = None if gain is None else gain[index_N][:, None, :]
    else:
        vector_KD = None if vector_KD is None else vector_KD[0]
        gain = None if gain is None else gain[0]
    return Kernel(
        first.op,
        first.positions,
        rows_N,
        None if vector_KD is None else vector_KD.to(device, exact),
        None if gain is None else gain.to(device, exact),
    )


def _swap_kernel(
    group: list[tuple[Step, Sequence[int]]],
    rows: list[int],
    n_rows: int,
    device: torch.device,
    dtype: torch.dtype,
) -> Kernel:
    exact = torch.promote_types(dtype, torch.float32)
    matrices = []
    for step, part in group:
        assert step.matrix_OI is not None
        matrices.append((step.matrix_OI.to(device, exact) * step.strength, len(part)))
    # The rows of each arm must stand together, as its matrix is used once.
    ordered = rows == list(range(n_rows))
    rows_N = None if ordered else torch.tensor(rows, device=device)
    first = group[0][0]
    return Kernel(first.op, first.positions, rows_N, None, None, tuple(matrices))


def _patch_kernel(
    group: list[tuple[Step, Sequence[int]]], device: torch.device, dtype: torch.dtype
) -> Kernel:
    patches = []
    for step, rows in group:
        assert step.scalars_TR is not None
        patches.append((tuple(rows), step.scalars_TR.to(device, dtype), step.strength))
    return Kernel("patch_adapter", group[0][0].positions, None, None, None, patches=tuple(patches))


def _constants(steps: list[Step]) -> tuple[Tensor | None, Tensor | None]:
    """`vector` [K, D] and `gain` [K, D] or [K, 1] of a `Kernel`, float64."""
    strength_K1 = torch.tensor([[step.strength] for step in steps], dtype=torch.float64)
    vectors = [step.vector_D for step in steps if step.vector_D is not None]
    if not vectors:
        return None, strength_K1
    vector_KD = torch.stack(vectors).double()
    if steps[0].op == "add":
        return strength_K1 * vector_KD, None
    unit_KD = vector_KD / torch.linalg.vector_norm(vector_KD, dim=1, keepdim=True)
    return unit_KD, strength_K1 if steps[0].op == "clamp" else -strength_K1 * unit_KD
