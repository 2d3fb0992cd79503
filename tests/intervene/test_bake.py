"""An ablated direction as hooks, in the weights and in an adapter: three ways to one model."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import pytest
import torch
from peft import PeftModel
from torch import Tensor, nn

from axenic.errors import DirectionError, FileError, ModelError
from axenic.intervene import Arm, InterventionHooks, ablate_writers
from axenic.intervene.bake import bake_direction, orthogonalise_weights
from axenic.models import find_sites, from_parts, tiny_model, tiny_organism
from axenic.models.adapter import attach_adapter
from axenic.models.tiny import D_MODEL, N_TOKENS

pytestmark = pytest.mark.unit

FAMILIES = ("qwen2", "qwen3", "llama", "mistral", "phi3")
IDS_BT = torch.randint(3, N_TOKENS, (3, 7), generator=torch.Generator().manual_seed(1))
VECTOR_D = 3 * torch.randn(D_MODEL, generator=torch.Generator().manual_seed(2), dtype=torch.float64)


@torch.no_grad()
def logits(model: nn.Module) -> Tensor:
    result: Tensor = model(input_ids=IDS_BT).logits
    return result


def hooked(model: nn.Module) -> Tensor:
    sites = find_sites(model)
    with InterventionHooks(sites, [Arm("off", ablate_writers(sites, VECTOR_D))]):
        return logits(model)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("adapted", [False, True])
def test_hooks_weights_and_adapter_agree(family: str, adapted: bool, tmp_path: Path) -> None:
    model = (tiny_organism if adapted else tiny_model)(family).double()
    before = logits(model)
    expected = hooked(model)
    assert not torch.allclose(before, expected, atol=1e-3), "the direction matters"

    baked = bake_direction(from_parts(model, None, "tiny"), VECTOR_D, tmp_path / "baked")
    assert torch.equal(logits(model), before), "baking reads the weights only"
    served = PeftModel.from_pretrained(
        tiny_model(family).double(), str(tmp_path / "baked"), autocast_adapter_dtype=False
    )
    # The file is float32.
    torch.testing.assert_close(logits(served), expected, atol=2e-4, rtol=2e-4)
    assert baked.rank == (3 if adapted else 1)

    weights = copy.deepcopy(model)
    orthogonalise_weights(find_sites(weights), VECTOR_D)
    # The hooks hold their vectors in float32.
    torch.testing.assert_close(logits(weights), expected, atol=1e-4, rtol=1e-4)


def test_the_stream_has_nothing_left_along_the_direction(tmp_path: Path) -> None:
    model = tiny_organism("qwen2").double()
    bake_direction(from_parts(model, None, "tiny"), VECTOR_D, tmp_path / "baked")
    served = PeftModel.from_pretrained(
        tiny_model("qwen2").double(), str(tmp_path / "baked"), autocast_adapter_dtype=False
    )
    unit_D = VECTOR_D / VECTOR_D.norm()
    seen: list[float] = []
    sites = find_sites(served)
    for module in (sites.embed, *sites.blocks):
        module.register_forward_hook(
            lambda _m, _a, out: seen.append(
                float(((out if isinstance(out, Tensor) else out[0]) @ unit_D).abs().max())
            )
        )
    logits(served)
    assert len(seen) == 1 + sites.n_layers
    assert max(seen) < 1e-5


def test_without_the_embedding_something_is_left(tmp_path: Path) -> None:
    model = tiny_model("llama").double()
    baked = bake_direction(from_parts(model, None, "tiny"), VECTOR_D, tmp_path / "baked", embedding=False)
    served = PeftModel.from_pretrained(
        tiny_model("llama").double(), str(baked.folder), autocast_adapter_dtype=False
    )
    sites = find_sites(model)
    blocks_only = [one for one in ablate_writers(sites, VECTOR_D) if one.site != "embed"]
    with InterventionHooks(sites, [Arm("off", tuple(blocks_only))]):
        expected = logits(model)
    torch.testing.assert_close(logits(served), expected, atol=2e-4, rtol=2e-4)
    assert not torch.allclose(expected, hooked(model), atol=1e-3)


def test_our_own_reader_opens_it(tmp_path: Path) -> None:
    model = tiny_organism("qwen2")
    baked = bake_direction(
        from_parts(model, None, "tiny"), VECTOR_D, tmp_path / "baked", base_model="Qwen/it"
    )
    again = attach_adapter(tiny_model("qwen2"), baked.folder)
    torch.testing.assert_close(logits(again), hooked(model), atol=2e-3, rtol=2e-3)
    config = json.loads((baked.folder / "adapter_config.json").read_text())
    assert (config["r"], config["lora_alpha"], config["base_model_name_or_path"]) == (3, 3, "Qwen/it")


def test_tied_weights_keep_their_head() -> None:
    model = tiny_model("qwen2").double()
    model.lm_head.weight = model.model.embed_tokens.weight
    head = model.lm_head.weight.detach().clone()
    expected = hooked(model)
    orthogonalise_weights(find_sites(model), VECTOR_D)
    assert torch.equal(model.lm_head.weight, head)
    torch.testing.assert_close(logits(model), expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("family", ["gemma2", "gemma3_text", "qwen3_moe"])
def test_architectures_that_cannot_be_baked(family: str, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"direction cannot|no adapter can ablate") as caught:
        bake_direction(from_parts(tiny_model(family), None, "tiny"), VECTOR_D, tmp_path / "baked")
    assert caught.value.hint == "ablate with hooks instead: axenic ablate"
    assert not (tmp_path / "baked").exists()


@pytest.mark.parametrize(
    "vector", [torch.zeros(D_MODEL), torch.ones(D_MODEL + 1), torch.full((D_MODEL,), float("nan"))]
)
def test_what_is_no_direction(vector: Tensor, tmp_path: Path) -> None:
    with pytest.raises(DirectionError, match="no direction"):
        bake_direction(from_parts(tiny_model("qwen2"), None, "tiny"), vector, tmp_path / "baked")


def test_a_folder_is_never_overwritten(tmp_path: Path) -> None:
    (tmp_path / "baked").mkdir()
    with pytest.raises(FileError, match="exists already"):
        bake_direction(from_parts(tiny_model("qwen2"), None, "tiny"), VECTOR_D, tmp_path / "baked")
