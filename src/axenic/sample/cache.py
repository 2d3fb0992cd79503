"""Keys and values of the decoded rows: written in place, shared prompts expanded once, finished rows dropped.

transformers' own dynamic cache concatenates, which copies everything that was ever written at every step. Here each layer
owns a buffer `[B, H, capacity, d]`; a step writes one slot and hands out a view.

Buffers outlive their chunk: a fresh one costs a page fault for every 4 KiB when it is first written, which on a CPU took as
long as the matrix products of the nano model.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from transformers.cache_utils import Cache, DynamicLayer

_BLOCK = 64
"""Slots by which a full buffer grows: a compromise between copies and memory for answers that stop early."""


class SpareBuffers:
    """Memory that one cache gave back and the next takes, so that it is faulted in once per job."""

    def __init__(self) -> None:
        self._free: list[Tensor] = []

    def take(self, like: Tensor, shape: tuple[int, ...]) -> Tensor:
        """An uninitialised tensor of this shape, on `like`'s device and in its dtype."""
        size = math.prod(shape)
        fitting = [flat for flat in self._free if flat.numel() >= size and _same_kind(flat, like)]
        if fitting:
            flat = min(fitting, key=Tensor.numel)
            self._free = [other for other in self._free if other is not flat]
        else:
            # What is too small now was outgrown: it would only be held for nothing.
            self._free.clear()
            flat = like.new_empty(size)
        return flat[:size].view(shape)

    def give(self, buffer: Tensor) -> None:
        """Take back a tensor that `take` made; nothing may read it any more."""
        whole = buffer.untyped_storage().nbytes() // buffer.element_size()
        self._free.append(buffer.as_strided((whole,), (1,), 0))


class BufferLayer(DynamicLayer):
    """Keys and values of one decoder block, in place.

    Sliding-window blocks keep their whole history too: their window is then the attention mask's affair, and rows of
    different lengths need no shifting.

    Args:
        spare: Where buffers come from and go.
    """

    def __init__(self, spare: SpareBuffers) -> None:
        super().__init__()
        self.spare = spare
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
            self.keys = keys = self._grown(keys, key_states, capacity)
            self.values = values = self._grown(values, value_states, capacity)
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
        self.keys = self._taken(self.keys, rows, capacity)
        self.values = self._taken(self.values, rows, capacity)

    def release(self) -> None:
        """Give the buffers back; the layer is empty then."""
        for buffer in (self.keys, self.values):
            if buffer is not None:
                self.spare.give(buffer)
        self.keys = self.values = None
        self.length, self.is_initialized = 0, False

    def _grown(self, buffer: Tensor | None, states: Tensor, capacity: int) -> Tensor:
        B, H, _, d = states.shape
        grown = self.spare.take(states, (B, H, capacity, d))
        if buffer is not None:
            grown[:, :, : self.length] = buffer[:, :, : self.length]
            self.spare.give(buffer)
        return grown

    def _taken(self, buffer: Tensor | None, rows: Tensor, capacity: int) -> Tensor:
        assert buffer is not None, "rows are taken from a cache that holds a prompt"
        taken = self.spare.take(buffer, (len(rows), buffer.shape[1], capacity, buffer.shape[3]))
        torch.index_select(buffer[:, :, : self.length], 0, rows, out=taken[:, :, : self.length])
        self.spare.give(buffer)
        return taken


class RowCache(Cache):
    """A cache whose rows can be repeated, chosen and joined.

    Args:
        n_layers: Decoder blocks.
        spare: Buffers that earlier caches gave back; None means that nothing is kept from one cache to the next.
    """

    def __init__(self, n_layers: int, spare: SpareBuffers | None = None) -> None:
        self.spare = SpareBuffers() if spare is None else spare
        super().__init__(layers=[BufferLayer(self.spare) for _ in range(n_layers)])

    def take_rows(self, rows: Tensor, room: int) -> None:
        """`BufferLayer.take_rows` in every layer."""
        for layer in self.layers:
            layer.take_rows(rows, room)

    def release(self) -> None:
        """Give the buffers of every layer back, for the next cache."""
        for layer in self.layers:
            layer.release()

    @classmethod
    def joined(cls, pieces: Sequence[RowCache]) -> RowCache:
        """One cache with the rows of all pieces, which have the same length, in order."""
        if len(pieces) == 1:
            return pieces[0]
        whole = cls(len(pieces[0].layers), pieces[0].spare)
        for index, layer in enumerate(whole.layers):
            layer.update(
                torch.cat([piece.layers[index].keys[:, :, : piece.layers[index].length] for piece in pieces]),
                torch.cat(
                    [piece.layers[index].values[:, :, : piece.layers[index].length] for piece in pieces]
                ),
            )
        return whole


def _same_kind(flat: Tensor, like: Tensor) -> bool:
    return flat.dtype == like.dtype and flat.device == like.device
