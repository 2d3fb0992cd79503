"""The arms of each analysis: what they do to which layer, and the controls beside them."""

from __future__ import annotations

import pytest
import torch

from axenic.directions import LayerVectors, random_like
from axenic.errors import UsageError
from axenic.interpret.arms import (
    ablation_arms,
    default_layer,
    published_layer,
    steering_arms,
    transfer_arms,
)
from axenic.intervene import ablate_adapter, ablate_writers

pytestmark = pytest.mark.unit


@pytest.fixture
def made(direction):
    """Four layers of width 8, norms 1 to 4."""
    torch.manual_seed(0)
    vectors_LD = torch.nn.functional.normalize(torch.randn(4, 8), dim=1) * torch.arange(1, 5)[:, None]
    return direction(vectors_LD)


def only(planned):
    (intervention,) = planned.arm.interventions
    return intervention


def units(vectors_LD):
    return torch.nn.functional.normalize(vectors_LD.double(), dim=1)


def test_layerwise_arm_has_each_layers_own_unit_vector(made):
    planned = ablation_arms(made, ("layerwise",), None, 0)[1]
    intervention = only(planned)
    assert (intervention.op, intervention.layers, intervention.positions) == (
        "project_out",
        (0, 1, 2, 3),
        "all",
    )
    assert torch.allclose(units(intervention.vectors_LD), made.unit_LD().double(), atol=1e-7)
    assert (planned.role, planned.layer) == ("layerwise", None)


@pytest.mark.parametrize(("asked", "layer"), [(None, 1), (0, 0), (3, 3)])
def test_single_arm_has_one_layers_vector_at_all_layers(made, asked, layer):
    planned = ablation_arms(made, ("single",), asked, 0)[1]
    intervention = only(planned)
    assert intervention.layers == (0, 1, 2, 3)
    assert torch.allclose(
        units(intervention.vectors_LD), made.unit_LD()[layer].double().expand(4, 8), atol=1e-7
    )
    assert (planned.role, planned.layer) == ("single", layer)


@pytest.mark.parametrize(("depth", "layer"), [(48, 24), (6, 2), (28, 14), (1, 0), (2, 0)])
def test_single_layer_is_at_the_published_relative_depth(depth, layer):
    assert published_layer(depth) == layer
    assert depth < 6 or abs((layer + 1) / depth - 25 / 48) <= 0.5 / depth


def test_ablation_has_plain_first_and_its_controls_last(made):
    planned = ablation_arms(made, ("layerwise", "single"), None, 3)
    assert [item.role for item in planned] == ["plain", "layerwise", "single"] + ["random"] * 6
    assert planned[0].arm.interventions == ()
    assert [item.seed for item in planned[3:]] == [0, 1, 2] * 2
    assert [item.layer for item in planned[3:]] == [None] * 3 + [1] * 3
    assert len({item.arm.id for item in planned}) == 9
    assert len({item.arm.name for item in planned}) == 9
    for control in planned[3:]:
        intervention = only(control)
        assert intervention.op == "project_out"
        assert intervention.layers == (0, 1, 2, 3)
    for control in planned[3:6]:
        norms_L = only(control).vectors_LD.norm(dim=1)
        assert torch.allclose(norms_L, made.norms_L().float(), rtol=1e-5)


def test_controls_of_the_single_mode_have_one_vector_everywhere(made):
    control = ablation_arms(made, ("single",), 1, 1)[-1]
    rows = units(only(control).vectors_LD)
    assert torch.allclose(rows, rows[:1].expand(4, 8))
    assert control.layer == 1


def test_layer_mode_has_the_layers_vector_at_that_layer_only(made):
    planned = ablation_arms(made, ("layer",), 2, 1)
    assert [(item.role, item.layer, item.seed) for item in planned[1:]] == [
        ("layer", 2, None),
        ("random", 2, 0),
    ]
    for item in planned[1:]:
        assert (only(item).op, only(item).layers, only(item).site) == ("project_out", (2,), "resid_post")
    assert torch.equal(only(planned[1]).vectors_LD[0], made.vectors_LD[2])
    assert float(only(planned[2]).vectors_LD.norm()) == pytest.approx(float(made.norms_L()[2]), rel=1e-6)


def test_writers_and_adapter_modes_are_those_of_intervene(lora, direction):
    sites = lora(layers=3, width=32, targets=("down_proj", "q_proj")).sites
    made = direction(torch.randn(3, 32, generator=torch.Generator().manual_seed(0)))
    planned = ablation_arms(made, ("writers", "adapter-B"), 1, 2, sites, (0, 2))
    assert [(item.role, item.layer, item.seed) for item in planned] == [
        ("plain", None, None),
        ("writers", 1, None),
        ("adapter-B", 1, None),
        *[("random", 1, seed) for seed in (0, 1, 0, 1)],
    ]
    assert planned[1].arm.interventions == ablate_writers(sites, made.vectors_LD[1])
    assert planned[2].arm.interventions == (ablate_adapter(sites, made.vectors_LD[1], (0, 2)),)
    for item in planned[3:]:
        ops = [one.op for one in item.arm.interventions]
        assert ops in (["project_out"] * 3, ["swap_adapter"])
    assert len({item.arm.id for item in planned}) == len({item.arm.name for item in planned}) == 7
    assert planned[-1].arm.name == "random 1, layer 1's out of B of layer 0, 2"


def test_modes_that_need_the_model_say_so(made):
    for mode in ("writers", "adapter-B"):
        with pytest.raises(UsageError, match=f"{mode} needs the model"):
            ablation_arms(made, (mode,), None, 0)
    with pytest.raises(UsageError, match="are for the mode adapter-B"):
        ablation_arms(made, ("single",), None, 0, None, (1,))


def test_steering_has_every_layer_and_strength_for_direction_and_controls(made):
    planned = steering_arms(made, (1, 3), (2.0, -4.0), 2)
    assert [item.role for item in planned] == ["plain"] + ["direction"] * 4 + ["random"] * 8
    assert [(item.layer, item.strength) for item in planned[1:5]] == [
        (1, 2.0),
        (1, -4.0),
        (3, 2.0),
        (3, -4.0),
    ]
    for item in planned[1:]:
        intervention = only(item)
        assert (intervention.op, intervention.layers, intervention.positions) == ("add", (item.layer,), "all")
        assert intervention.strength == item.strength
        norm = float(intervention.vectors_LD.norm())
        assert norm == pytest.approx(float(made.norms_L()[item.layer]), rel=1e-6)
        if item.role == "direction":
            assert torch.equal(intervention.vectors_LD[0], made.vectors_LD[item.layer])
    assert len({item.arm.id for item in planned}) == len({item.arm.name for item in planned}) == 13


def test_random_controls_are_not_the_direction(made):
    planned = steering_arms(made, (1,), (1.0,), 5)
    rows = units(torch.cat([only(item).vectors_LD for item in planned[1:]]))
    cosines = (rows @ rows.T).fill_diagonal_(0).abs()
    assert float(cosines.max()) < 0.98


def test_transfer_has_one_arm_per_direction_and_shared_controls(made, direction):
    other = direction(torch.eye(4, 8))
    planned = transfer_arms({"one": made, "two": other}, 2)
    assert [item.direction for item in planned] == [None, "one", "two", None, None]
    assert [item.role for item in planned] == ["plain", "layerwise", "layerwise", "random", "random"]
    assert torch.equal(units(only(planned[1]).vectors_LD), units(made.vectors_LD))
    assert torch.equal(units(only(planned[2]).vectors_LD), units(other.vectors_LD))


@pytest.fixture
def some(made):
    """Vectors at the second and the fourth of four layers."""
    return LayerVectors.of(made, (1, 3))


def test_vectors_at_some_layers_are_steered_with_there_only(some, made):
    planned = steering_arms(some, (3, 1), (2.0,), 2)
    assert [item.layer for item in planned[1:]] == [3, 1] * 3
    for item in planned[1:]:
        norm = float(only(item).vectors_LD.norm())
        assert norm == pytest.approx(float(made.norms_L()[item.layer]), rel=1e-6)
    assert torch.equal(only(planned[1]).vectors_LD[0], made.vectors_LD[3])
    with pytest.raises(UsageError, match="no vector at layer 2") as caught:
        steering_arms(some, (1, 2), (2.0,), 0)
    assert caught.value.expected == "one of the layers that have one: 1, 3"
    unit = steering_arms(some, (3,), (2.0,), 0, "unit")
    assert only(unit[1]).strength * float(only(unit[1]).vectors_LD.norm()) == pytest.approx(2.0)


def test_vectors_at_some_layers_are_ablated_where_they_are(some, made):
    planned = ablation_arms(some, ("layerwise", "single", "layer"), 3, 1)
    assert [only(item).layers for item in planned[1:4]] == [(1, 3), (0, 1, 2, 3), (3,)]
    assert torch.equal(only(planned[1]).vectors_LD, made.vectors_LD[[1, 3]])
    assert torch.equal(only(planned[2]).vectors_LD, made.vectors_LD[[3] * 4])
    assert [only(item).layers for item in planned[4:]] == [(1, 3), (0, 1, 2, 3), (3,)]
    assert planned[1].arm.name == "layer-wise at layer 1, 3"


def test_the_layer_that_nobody_names(some, made):
    assert (default_layer(made), default_layer(some)) == (1, 1)
    assert default_layer(LayerVectors.of(made, (3,))) == 3
    other = LayerVectors.of(made, (0, 3))
    with pytest.raises(UsageError, match="published relative depth, layer 1") as caught:
        ablation_arms(other, ("layerwise", "single"), None, 0)
    assert caught.value.expected == "one of the layers that have one: 0, 3"
    assert len(ablation_arms(other, ("layerwise",), None, 0)) == 2


def test_a_vector_of_the_embedding_is_removed_there_or_at_all_writers(made, lora):
    info = made.info.model_copy(update={"site": "embed"})
    embedded = LayerVectors((-1,), torch.ones(1, 8), info)
    (one,) = ablation_arms(embedded, ("layerwise",), None, 0)[1].arm.interventions
    assert (one.site, one.layers) == ("embed", (-1,))
    with pytest.raises(UsageError, match="vector of the embedding"):
        ablation_arms(embedded, ("single",), None, 0)
    steered = steering_arms(embedded, (-1,), (1.0,), 1)
    assert [only(item).layers for item in steered[1:]] == [(-1,)] * 2


def test_every_control_says_whose_it_is(made):
    planned = ablation_arms(made, ("layerwise", "single", "layer"), 1, 2)
    assert [item.control_of for item in planned] == [None] * 4 + ["layerwise"] * 2 + ["single"] * 2 + [
        "layer"
    ] * 2
    planned = steering_arms(made, (1,), (1.0,), 2)
    assert [item.control_of for item in planned] == [None, None, "direction", "direction"]
    assert [item.control_of for item in transfer_arms({"one": made}, 1)] == [None, None, "layerwise"]


def test_directions_at_different_places_share_no_controls(made, some):
    with pytest.raises(UsageError, match="cannot share their random controls") as caught:
        transfer_arms({"one": made, "two": some}, 1)
    assert caught.value.found.endswith("resid_post of layer 1, 3")
    planned = transfer_arms({"one": some, "two": random_like(some, 5)}, 1)
    assert [only(item).layers for item in planned[1:]] == [(1, 3)] * 3


@pytest.mark.parametrize(
    "call",
    [
        lambda d: ablation_arms(d, (), None, 0),
        lambda d: ablation_arms(d, ("both",), None, 0),
        lambda d: ablation_arms(d, ("single", "single"), None, 0),
        lambda d: ablation_arms(d, ("single",), 4, 0),
        lambda d: ablation_arms(d, ("single",), -1, 0),
        lambda d: ablation_arms(d, ("single",), 0, -1),
        lambda d: steering_arms(d, (), (1.0,), 0),
        lambda d: steering_arms(d, (1,), (), 0),
        lambda d: steering_arms(d, (1, 1), (1.0,), 0),
        lambda d: steering_arms(d, (1,), (1.0, 1.0), 0),
        lambda d: steering_arms(d, (1,), (0.0,), 0),
        lambda d: steering_arms(d, (4,), (1.0,), 0),
        lambda d: transfer_arms({}, 1),
    ],
)
def test_what_cannot_be_meant_is_refused(made, call):
    with pytest.raises(UsageError):
        call(made)
