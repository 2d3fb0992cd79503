"""Keys and values of the decoded rows: written in place, shared prompts expanded once, finished rows dropped.

transformers' own dynamic cache concatenates, which copies everything that was ever written at every step. Here each layer
owns a buffer `[B, H, capacity, d]`; a step writes one slot and hands out a view.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from transformers.cache_utils import Cache, DynamicLayer

_BLOCK = 64
"""Slots by which a full buffer grows: a compromise between copies and memory for answers that stop early."""


class BufferLayer(DynamicLayer):
    """Keys and values of one decoder block, in place.

    Sliding-window blocks keep their whole history too: their window is then the attention mask's affair, and rows of
    different lengths need no shifting.
    """

    def __init__(self) -> None:
        super().__init__()
        self.keys: Tensor | None = None
        self.values: Tensor | None = None
        self.length = 0

    def update(
        self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any
    ) -> tuple[Tensor, Tensor]:
        """Write `[B, H, T, d]` behind what is there; returns views of everything so far."""
        end = self.length + key_states.shape[-2]
        keys, values = self.keys, self.values
        if keys is None or values is None or end > keys.shape[-2]:
            capacity = -(-end // _BLOCK) * _BLOCK
            self.keys = keys = _grown(keys, key_states, self.length, capacity)
            self.values = values = _grown(values, value_states, self.length, capacity)
            self.dtype, self.device, self.is_initialized = key_states.dtype, key_states.device, True
        keys[:, :, self.length : end] = key_states
        values[:, :, self.length : end] = value_states
        self.length = end
        return keys[:, :, :end], values[:, :, :end]

    def get_seq_length(self) -> int:
        """Slots written so far."""
        return self.length

    def take_rows(self, rows: Tensor, room: int) -> None:
        """Keep these rows, in this order and as often as named; leave `room` free slots behind what is there."""
        capacity = -(-(self.length + room) // _BLOCK) * _BLOCK
        self.keys = _taken(self.keys, rows, self.length, capacity)
        self.values = _taken(self.values, rows, self.length, capacity)


class RowCache(Cache):
    """A cache whose rows can be repeated, chosen and joined."""

    def __init__(self, n_layers: int) -> None:
        super().__init__(layers=[BufferLayer() for _ in range(n_layers)])

    def take_rows(self, rows: Tensor, room: int) -> None:
        """`BufferLayer.take_rows` in every layer."""
        for layer in self.layers:
            layer.take_rows(rows, room)

    @classmethod
    def joined(cls, pieces: Sequence[RowCache]) -> RowCache:
        """One cache with the rows of all pieces, which have the same length, in order."""
        if len(pieces) == 1:
            return pieces[0]
        whole = cls(len(pieces[0].layers))
        for index, layer in enumerate(whole.layers):
            layer.update(
                torch.cat([piece.layers[index].keys[:, :, : piece.layers[index].length] for piece in pieces]),
                torch.cat(
                    [piece.layers[index].values[:, :, : piece.layers[index].length] for piece in pieces]
                ),
            )
        return whole


def _grown(buffer: Tensor | None, states: Tensor, length: int, capacity: int) -> Tensor:
    B, H, _, d = states.shape
    grown = states.new_empty(B, H, capacity, d)
    if buffer is not None:
        grown[:, :, :length] = buffer[:, :, :length]
    return grown


def _taken(buffer: Tensor | None, rows: Tensor, length: int, capacity: int) -> Tensor:
    assert buffer is not None, "rows are taken from a cache that holds a prompt"
    taken = buffer.new_empty(len(rows), buffer.shape[1], capacity, buffer.shape[3])
    taken[:, :, :length] = buffer[:, :, :length].index_select(0, rows)
    return taken
