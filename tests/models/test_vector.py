"""Trained steering vectors on a model: every row, exactly off, folders, merging."""

from __future__ import annotations

import contextlib
import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from axenic.errors import AxenicError, FileError, ModelError, UsageError
from axenic.interpret.unadapted import base_of
from axenic.models import (
    VectorConfig,
    add_vectors,
    from_parts,
    merge_vectors,
    open_model,
    save_vectors,
    scaled_vectors,
    steering_of,
    tiny_model,
)

pytestmark = pytest.mark.unit
IDS = torch.randint(3, 30, (4, 6), generator=torch.Generator().manual_seed(0))


def vectors(layers: tuple[int, ...], width: int, seed: int = 1) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {f"layers.{layer}.vector": torch.randn(width, generator=generator) for layer in layers}


@torch.no_grad()
def logits(model: nn.Module) -> Tensor:
    out: Tensor = model(input_ids=IDS, use_cache=False).logits
    return out


@pytest.mark.parametrize("kind", ["qwen2", "gemma2", "llama"])
@pytest.mark.parametrize("site", ["down_proj", "mlp_out", "resid_post"])
def test_every_row_and_token_is_steered_by_alpha_times_the_vector(kind: str, site: str) -> None:
    model = tiny_model(kind)
    width = model.config.hidden_size
    seen: dict[str, Tensor] = {}
    target = model.model.layers[1]
    target = {
        "resid_post": target,
        "mlp_out": target.post_feedforward_layernorm if kind == "gemma2" else target.mlp,
        "down_proj": target.mlp.down_proj,
    }[site]

    def look(name: str) -> None:
        handle = target.register_forward_hook(
            lambda m, a, out: seen.__setitem__(name, (out[0] if isinstance(out, tuple) else out).clone())
        )
        logits(model)
        handle.remove()

    look("before")
    held = vectors((1,), width)
    add_vectors(model, VectorConfig(site, (1,), 0.5), held)  # type: ignore[arg-type]
    look("after")
    assert seen["after"].shape == (4, 6, width)
    moved = seen["after"] - seen["before"]
    torch.testing.assert_close(moved, (0.5 * held["layers.1.vector"]).expand_as(moved), rtol=0, atol=1e-5)


@pytest.mark.parametrize("site", ["down_proj", "mlp_out", "resid_post"])
def test_off_is_the_base_to_the_last_bit_and_restored_after_an_exception(site: str) -> None:
    model = tiny_model("qwen2")
    base = logits(model)
    add_vectors(model, VectorConfig(site, (0, 1), 3.0), vectors((0, 1), model.config.hidden_size))  # type: ignore[arg-type]
    steered = logits(model)
    assert not torch.equal(steered, base)
    with contextlib.suppress(KeyError), scaled_vectors(model, 0.0):
        assert torch.equal(logits(model), base)
        raise KeyError
    assert torch.equal(logits(model), steered)


def test_scales_multiply_alpha() -> None:
    one, other = tiny_model("qwen2"), tiny_model("qwen2")
    held = vectors((1,), one.config.hidden_size)
    add_vectors(one, VectorConfig("down_proj", (1,), 2.0), held)
    add_vectors(other, VectorConfig("down_proj", (1,), 6.0), held)
    with scaled_vectors(one, 3.0):
        assert torch.equal(logits(one), logits(other))
        with scaled_vectors(one, 0.5):
            assert steering_of(one)[0].scale == 1.5
    assert steering_of(one)[0].scale == 1


def test_merged_vectors_are_a_bias() -> None:
    model = tiny_model("qwen2")
    add_vectors(model, VectorConfig("down_proj", (0, 1), 2.0), vectors((0, 1), model.config.hidden_size))
    steered = logits(model)
    assert merge_vectors(model) == 2
    assert not steering_of(model)
    assert model.model.layers[0].mlp.down_proj.bias is not None
    torch.testing.assert_close(logits(model), steered, rtol=1e-5, atol=1e-6)
    with pytest.raises(ModelError, match="nothing to merge"):
        merge_vectors(model)
    stream = tiny_model("qwen2")
    add_vectors(stream, VectorConfig("resid_post", (0,), 2.0), vectors((0,), stream.config.hidden_size))
    with pytest.raises(ModelError, match="cannot become a bias"):
        merge_vectors(stream)
    assert len(steering_of(stream)) == 1


def test_a_folder_opens_as_an_organism(base: Path, tmp_path: Path) -> None:
    plain = open_model(base, device="cpu")
    config = VectorConfig("down_proj", (0, 1), 2.0, str(base), plain.identity.base)
    held = vectors((0, 1), plain.sites.d_model)
    save_vectors(tmp_path / "v", held, config)
    opened = open_model(base, tmp_path / "v", device="cpu")
    assert opened.identity.base == plain.identity.base
    assert opened.identity.organism is not None
    by_hand = tiny_model("qwen2")
    add_vectors(by_hand, config, held)
    assert torch.equal(logits(opened.model), logits(by_hand))
    with base_of(opened) as inside:
        assert inside.identity.organism is None
        assert torch.equal(logits(inside.model), logits(plain.model))
    assert torch.equal(logits(opened.model), logits(by_hand))
    save_vectors(tmp_path / "w", held, replace(config, alpha=2.5))
    assert open_model(base, tmp_path / "w", device="cpu").identity.organism != opened.identity.organism
    bare, same = from_parts(tiny_model("qwen2"), None, "m").identity, from_parts(by_hand, None, "m").identity
    assert bare.base == same.base
    assert (bare.organism, same.organism is None) == (None, False)


def test_folders_that_do_not_fit_are_refused(base: Path, tmp_path: Path) -> None:
    plain = open_model(base, device="cpu", self_test=False)
    width = plain.sites.d_model
    good = VectorConfig("down_proj", (0, 1), 2.0)

    def refused(kind: type[AxenicError], text: str) -> None:
        with pytest.raises(kind, match=text):
            open_model(base, tmp_path, device="cpu", self_test=False)

    save_vectors(tmp_path, vectors((0, 1), width), replace(good, base_fingerprint="other", base_model="x"))
    refused(ModelError, "not grown from")
    save_vectors(tmp_path, vectors((0, 1), width + 1), good)
    refused(FileError, "shape|steering_vector")
    save_vectors(tmp_path, vectors((0,), width), good)
    refused(FileError, "layers.1.vector|tensors")
    save_vectors(tmp_path, vectors((0, 99), width), replace(good, layers=(0, 99)))
    refused(ModelError, "a model with more layers")
    save_vectors(tmp_path, vectors((0, 1), width), good)
    path = tmp_path / "steering_vector.json"
    facts = json.loads(path.read_text())
    for key, value in (
        ("site", "embed"),
        ("layers", [1, 0]),
        ("layers", [True]),
        ("alpha", "2"),
        ("alpha", None),
        ("kind", 3),
    ):
        path.write_text(json.dumps(facts | {key: value}))
        refused(ModelError, "does not say where")
    path.unlink()
    refused(FileError, "")


def test_a_mixture_of_experts_has_no_down_projection_and_a_model_one_set_of_vectors() -> None:
    mixture = tiny_model("qwen3_moe")
    with pytest.raises(UsageError, match="mixture"):
        add_vectors(mixture, VectorConfig("down_proj", (1,), 1.0))
    add_vectors(mixture, VectorConfig("mlp_out", (0,), 1.0))
    with pytest.raises(ModelError, match="already"):
        add_vectors(mixture, VectorConfig("mlp_out", (1,), 1.0))
