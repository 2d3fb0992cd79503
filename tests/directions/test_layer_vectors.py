"""Vectors at some layers: which they give, what they refuse, and their controls."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from axenic.directions import Direction, DirectionInfo, LayerVectors, load_layered, random_like
from axenic.errors import DirectionError, UsageError

pytestmark = pytest.mark.unit


@pytest.fixture
def some(direction: Direction) -> LayerVectors:
    """Of four layers the second and the last."""
    return LayerVectors.of(direction, (1, 3))


def test_rows_are_those_of_their_layers(some: LayerVectors, direction: Direction) -> None:
    assert torch.equal(some.at((3, 1)), direction.vectors_LD[[3, 1]])
    assert torch.equal(direction.at((3, 0)), direction.vectors_LD[[3, 0]])
    assert direction.layers == (0, 1, 2, 3)


@pytest.mark.parametrize("layer", [0, 2, 4, -1])
def test_a_layer_without_a_vector_names_those_that_have_one(
    some: LayerVectors, direction: Direction, layer: int
) -> None:
    with pytest.raises(UsageError, match=f"no vector at layer {layer}") as caught:
        some.at((1, layer))
    assert caught.value.expected == "one of the layers that have one: 1, 3"
    if layer not in direction.layers:
        with pytest.raises(UsageError, match=f"no vector at layer {layer}") as caught:
            direction.at((layer,))
        assert caught.value.expected == "0 to 3"


def test_controls_have_the_same_layers_and_norms(some: LayerVectors) -> None:
    one, two = random_like(some, 0), random_like(some, 1)
    assert one.layers == some.layers
    for control in (one, two):
        assert torch.allclose(control.norms_K(), some.norms_K(), rtol=1e-6)
    assert torch.equal(one.vectors_KD, random_like(some, 0).vectors_KD)
    assert not torch.equal(one.vectors_KD, two.vectors_KD)


def test_controls_of_a_direction_are_those_of_all_its_layers(direction: Direction) -> None:
    whole = LayerVectors.of(direction)
    assert torch.equal(random_like(whole, 3).vectors_KD, random_like(direction, 3).vectors_LD)


def test_another_model_is_refused(some: LayerVectors, info: DirectionInfo) -> None:
    some.check_fits(info.base_fingerprint, 6, 4, "it")
    for wrong in (("another", 6, 4), (info.base_fingerprint, 7, 4), (info.base_fingerprint, 6, 5)):
        with pytest.raises(DirectionError, match="but the loaded model is it"):
            some.check_fits(*wrong, "it")


def test_each_file_is_read_as_what_it_is(some: LayerVectors, direction: Direction, tmp_path: Path) -> None:
    some.save(tmp_path / "some.safetensors")
    direction.save(tmp_path / "whole.safetensors")
    again = load_layered(tmp_path / "some.safetensors")
    assert isinstance(again, LayerVectors)
    assert again.id == some.id
    assert again.path == tmp_path / "some.safetensors"
    whole = load_layered(tmp_path / "whole.safetensors")
    assert isinstance(whole, Direction)
    assert whole.id == direction.id
    with pytest.raises(DirectionError, match="at some layers only") as caught:
        Direction.load(tmp_path / "some.safetensors")
    assert caught.value.where == str(tmp_path / "some.safetensors")


def test_the_id_is_of_layers_and_facts_and_values(some: LayerVectors, direction: Direction) -> None:
    named = some.info.model_copy(update={"name": "other"})
    others = [
        LayerVectors((0, 3), some.vectors_KD, some.info),
        LayerVectors(some.layers, some.vectors_KD, named),
        LayerVectors(some.layers, some.vectors_KD * 2, some.info),
        LayerVectors.of(direction, (1,)),
    ]
    assert len({some.id, *(other.id for other in others)}) == 5


def test_what_is_wrong_is_told_by_its_layer(some: LayerVectors) -> None:
    for value, message in ((float("nan"), "not finite"), (0.0, "zero at layer 3")):
        vectors_KD = some.vectors_KD.clone()
        vectors_KD[1] = value
        with pytest.raises(DirectionError, match=message) as caught:
            LayerVectors(some.layers, vectors_KD, some.info)
        assert "layer 3" in f"{caught.value} {caught.value.found}"
