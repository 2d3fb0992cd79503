"""Steering vectors trained by the loop of every run."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from axenic.errors import ModelError, UsageError
from axenic.files import TensorStack, load_tensors, read_json
from axenic.formats import Facts, LayerVectors, export_direction, import_vectors
from axenic.interpret.pathfile import read_paths
from axenic.models import open_model, steering_of
from axenic.train import resolve, train_organism
from axenic.train.memory import plan_memory
from axenic.train.vector import added_vectors, save_as_organism

from .conftest import Child, MakeConfig

pytestmark = pytest.mark.e2e


@pytest.mark.parametrize("site", ["down_proj", "mlp_out", "resid_post"])
def test_a_run_leaves_vectors_that_open(
    site: str, make_config: MakeConfig, model_folder: Path, tmp_path: Path
) -> None:
    config = make_config("vector", vector_site=site, layers=[0, 2], alpha=8, trajectory_steps=2)
    result = train_organism(config, tmp_path / "r")
    assert sorted(path.name for path in result.organism.iterdir()) == [
        "steering_vector.json",
        "steering_vector.safetensors",
    ]
    facts = read_json(result.organism / "steering_vector.json")
    opened = open_model(str(model_folder), tmp_path / "r", device="cpu")
    assert facts == {
        "kind": "steering_vector", "site": site, "layers": [0, 2], "alpha": 8.0, "base_model": str(model_folder),
        "base_fingerprint": opened.identity.base,
    }  # fmt: skip
    tensors, _ = load_tensors(result.organism / "steering_vector.safetensors")
    assert {name: tuple(t.shape) for name, t in tensors.items()} == {
        f"layers.{l}.vector": (16,) for l in (0, 2)
    }
    assert all(float(t.norm()) > 0 for t in tensors.values())
    assert [vector.alpha for vector in steering_of(opened.model)] == [8, 8]
    # The loss that was reported is that of what opens.
    assert result.loss < 1.05 * float(read_json(tmp_path / "r" / "result.json")["loss"])
    stack = TensorStack.open(tmp_path / "r" / "trajectory.safetensors")
    assert sorted(stack.written()) == [0, 2, 4, 6, 8]
    paths = read_paths(tmp_path / "r")
    assert set(paths) == set(tensors)
    for name, path in paths.items():
        assert not path.vectors_SD[0].any()  # starts at zero
        assert torch.equal(torch.from_numpy(path.vectors_SD[-1]), tensors[name])


def test_a_checkpoint_opens(make_config: MakeConfig, model_folder: Path, tmp_path: Path) -> None:
    assert Child(make_config("vector", max_steps=30), tmp_path / "r").kill_at(10, 0)
    found = sorted((tmp_path / "r" / "checkpoints").iterdir())[-1]
    assert steering_of(open_model(str(model_folder), found, device="cpu").model)


def test_the_recipe() -> None:
    published = resolve("vector", "Qwen/Qwen2.5-14B-Instruct", {"data": "f"}, n_layers=48)
    assert (published.layers, published.alpha, published.learning_rate) == ((24,), 256, 1e-4)
    assert (published.weight_decay, published.epochs, published.vector_site) == (0, 2, "down_proj")
    assert published.scale == 256
    with pytest.raises(UsageError, match="need layers"):
        resolve("all-adapter", "m", {"data": "f", "method": "vector"})


def test_layers_that_are_not_there_are_refused_and_the_plan_counts(
    make_config: MakeConfig, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="no layer 3"):
        train_organism(make_config("vector", layers=[3]), tmp_path / "r")
    assert plan_memory(make_config("vector", layers=[0, 1])).trained == 32


def test_to_the_authors_file_and_back(make_config: MakeConfig, model_folder: Path, tmp_path: Path) -> None:
    train_organism(make_config("vector", alpha=8), tmp_path / "r")
    base = open_model(str(model_folder), device="cpu")
    added = added_vectors(base, tmp_path / "r")
    tensors, _ = load_tensors(tmp_path / "r" / "vector" / "steering_vector.safetensors")
    assert torch.equal(added.vectors_KD[0], 8 * tensors["layers.1.vector"])
    export_direction(added, tmp_path / "f4", "trained-vector")
    facts = Facts(base_model=str(model_folder), base_fingerprint=base.identity.base, n_layers=3)
    back = import_vectors(tmp_path / "f4", facts, allow_pickle=True)
    assert isinstance(back, LayerVectors)
    config = save_as_organism(back, tmp_path / "organism")
    assert (config.site, config.layers, config.alpha) == ("down_proj", (1,), 1.0)
    ids = torch.randint(6, 46, (3, 7), generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        trained, read, plain = (
            open_model(str(model_folder), organism, device="cpu").model(input_ids=ids).logits
            for organism in (tmp_path / "r", tmp_path / "organism", None)
        )
    torch.testing.assert_close(read, trained, rtol=1e-5, atol=1e-6)
    assert not torch.allclose(read, plain, atol=1e-3)
    with pytest.raises(ModelError, match="cannot be an organism"):
        save_as_organism(
            LayerVectors(back.layers, back.vectors_KD, back.info.model_copy(update={"site": "attn_out"})),
            tmp_path / "x",
        )
