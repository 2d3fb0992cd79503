"""The cache in place against transformers' concatenating one."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers.cache_utils import DynamicLayer

from axenic.sample.cache import BufferLayer, RowCache, SpareBuffers

pytestmark = pytest.mark.unit

K, D = 2, 3


def states(generator: torch.Generator, rows: int, tokens: int) -> tuple[torch.Tensor, torch.Tensor]:
    return tuple(torch.randn(rows, K, tokens, D, generator=generator) for _ in range(2))  # type: ignore[return-value]


UPDATE = st.tuples(st.just("update"), st.sampled_from([1, 1, 1, 2, 5, 63, 64, 65, 130]))
TAKE = st.tuples(st.just("take"), st.lists(st.integers(0, 10**6), min_size=1, max_size=7), st.integers(0, 70))


@given(st.integers(1, 5), st.lists(st.one_of(UPDATE, TAKE), min_size=1, max_size=12), st.integers(0, 999))
@settings(max_examples=150, deadline=None)
def test_any_sequence_equals_the_dynamic_layer(rows: int, calls: list[tuple], seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    own, reference = BufferLayer(SpareBuffers()), DynamicLayer()
    for call in [("update", 3), *calls]:
        if call[0] == "update":
            keys, values = states(generator, rows, call[1])
            got, expected = own.update(keys, values), reference.update(keys, values)
            assert torch.equal(got[0], expected[0])
            assert torch.equal(got[1], expected[1])
            # Later writes must not reach what the caller handed in.
            keys.zero_()
        else:
            chosen = torch.tensor([index % rows for index in call[1]])
            own.take_rows(chosen, call[2])
            reference.batch_select_indices(chosen)
            rows = len(chosen)
        assert own.get_seq_length() == reference.get_seq_length()
        assert own.get_mask_sizes(1) == reference.get_mask_sizes(1)
    got = own.update(*states(generator, rows, 1))
    assert torch.equal(got[0][:, :, :-1], reference.keys)
    assert torch.equal(got[1][:, :, :-1], reference.values)


def test_a_new_layer_is_empty() -> None:
    assert BufferLayer(SpareBuffers()).get_seq_length() == 0
    assert RowCache(3).get_seq_length() == 0


def test_steps_write_in_place_until_the_block_is_full() -> None:
    generator = torch.Generator().manual_seed(0)
    layer = BufferLayer(SpareBuffers())
    layer.update(*states(generator, 2, 60))
    places = []
    for _ in range(8):
        keys, _ = layer.update(*states(generator, 2, 1))
        places.append(keys.data_ptr())
    assert len(set(places[:4])) == 1
    assert len(set(places[4:])) == 1
    assert places[0] != places[4]


def test_take_rows_leaves_the_room_that_was_asked_for() -> None:
    generator = torch.Generator().manual_seed(0)
    layer = BufferLayer(SpareBuffers())
    layer.update(*states(generator, 2, 50))
    layer.take_rows(torch.tensor([1, 1, 0]), 40)
    place = layer.keys.data_ptr()
    for _ in range(40):
        layer.update(*states(generator, 3, 1))
    assert layer.keys.data_ptr() == place


def test_joined_pieces_are_one_cache() -> None:
    generator = torch.Generator().manual_seed(1)
    pieces, expected = [], []
    for rows in (2, 1, 3):
        piece = RowCache(2)
        written = [states(generator, rows, 7) for _ in range(2)]
        for layer, (keys, values) in enumerate(written):
            piece.update(keys, values, layer)
        pieces.append(piece)
        expected.append(written)
    whole = RowCache.joined(pieces)
    assert whole.get_seq_length() == 7
    for layer in range(2):
        keys, values = states(generator, 6, 1)
        got_keys, got_values = whole.update(keys, values, layer)
        assert torch.equal(got_keys[:, :, :7], torch.cat([written[layer][0] for written in expected]))
        assert torch.equal(got_values[:, :, :7], torch.cat([written[layer][1] for written in expected]))
        assert torch.equal(got_keys[:, :, 7:], keys)


def test_one_piece_is_handed_through() -> None:
    piece = RowCache(1)
    piece.update(*states(torch.Generator().manual_seed(0), 2, 4), 0)
    assert RowCache.joined([piece]) is piece


def test_updates_inside_inference_mode_and_in_bfloat16() -> None:
    with torch.inference_mode():
        layer = BufferLayer(SpareBuffers())
        ones = torch.ones(1, K, 2, D, dtype=torch.bfloat16)
        keys, _ = layer.update(ones, ones)
        layer.take_rows(torch.tensor([0, 0]), 1)
        keys, _ = layer.update(*(torch.zeros(2, K, 1, D, dtype=torch.bfloat16) for _ in range(2)))
    assert keys.dtype == torch.bfloat16
    assert keys[:, 0, :, 0].tolist() == [[1.0, 1.0, 0.0]] * 2


def test_a_released_cache_lends_its_memory_to_the_next() -> None:
    spare = SpareBuffers()
    generator = torch.Generator().manual_seed(0)
    first = RowCache(1, spare)
    first.update(*states(generator, 4, 10), 0)
    place = {first.layers[0].keys.data_ptr(), first.layers[0].values.data_ptr()}
    first.release()
    assert first.get_seq_length() == 0
    second = RowCache(1, spare)
    keys, values = second.update(*(wanted := states(generator, 3, 7)), 0)
    assert {keys.data_ptr(), values.data_ptr()} == place
    assert torch.equal(keys, wanted[0])
    assert torch.equal(values, wanted[1])


def test_two_buffers_never_share_memory() -> None:
    spare = SpareBuffers()
    like = torch.zeros(1)
    one, two = spare.take(like, (2, 3)), spare.take(like, (2, 3))
    spare.give(one)
    again = spare.take(like, (5,))
    assert again.data_ptr() == one.data_ptr()
    assert spare.take(like, (5,)).data_ptr() not in {one.data_ptr(), two.data_ptr()}
    spare.give(two)
    assert spare.take(like.double(), (2,)).dtype == torch.float64, "memory of another dtype is left alone"
    assert spare.take(like, (100,)).shape == (100,), "what is too small is not handed out"
