"""A module's output: a tensor, or a tuple that begins with one."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from axenic.errors import ModelError


def site_tensor(output: Tensor | tuple[Any, ...]) -> Tensor:
    """The activations [B, T, D] in a module's output: the output itself, or the first item of a tuple.

    Decoder blocks return a tensor in transformers 5 and a tuple in 4; indexing a tensor would take row 0 only.

    Raises:
        ModelError: Neither a tensor nor a tuple that begins with one.
    """
    first = output[0] if isinstance(output, tuple) and output else output
    if not isinstance(first, Tensor):
        raise ModelError(
            "a module's output holds no activations",
            expected="a tensor, or a tuple that begins with one",
            found=type(output).__name__,
        )
    return first


def with_site_tensor(output: Tensor | tuple[Any, ...], h_BTD: Tensor) -> Tensor | tuple[Any, ...]:
    """The same output with other activations; the rest of a tuple is kept."""
    return (h_BTD, *output[1:]) if isinstance(output, tuple) else h_BTD
