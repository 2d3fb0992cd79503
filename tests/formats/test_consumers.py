"""The files that are written, opened by the programs they are for; skipped where those are not installed."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from axenic.directions import Direction
from axenic.formats import Facts, LayerVectors, export_direction, import_vectors

pytestmark = pytest.mark.unit


def installed(name: str) -> ModuleType:
    """The module, or a skip that says why; a package that does not work with these versions is as good as absent."""
    try:
        return importlib.import_module(name)
    except (ImportError, AttributeError) as error:
        pytest.skip(f"{name} cannot be imported: {error}")


def test_gguf_reads_what_we_write(tmp_path: Path, direction: Direction) -> None:
    gguf = installed("gguf")
    export_direction(direction, tmp_path / "x.gguf", "gguf")
    reader = gguf.GGUFReader(tmp_path / "x.gguf")
    found = {tensor.name: tensor for tensor in reader.tensors}
    assert set(found) == {"direction.1", "direction.2", "direction.3"}
    for layer in (1, 2, 3):
        tensor = found[f"direction.{layer}"]
        # What llama.cpp demands: float32, one dimension, all of one length.
        assert tensor.tensor_type == gguf.GGMLQuantizationType.F32
        assert np.array_equal(tensor.data, direction.vectors_LD[layer].numpy())
    assert reader.fields["general.architecture"].contents() == "controlvector"
    assert reader.fields["controlvector.layer_count"].contents() == 3
    assert reader.fields["controlvector.model_hint"].contents() == direction.info.base_model


def test_we_read_what_gguf_writes(tmp_path: Path, direction: Direction, model: Facts) -> None:
    gguf = installed("gguf")
    # As repeng exports a vector, and with the metadata that EasySteer adds.
    writer = gguf.GGUFWriter(tmp_path / "x.gguf", "controlvector")
    writer.add_string("controlvector.model_hint", "qwen2")
    writer.add_uint32("controlvector.layer_count", 4)
    writer.add_string("controlvector.method", "diffmean")
    writer.add_array("controlvector.layers", [0, 1, 2, 3])
    writer.add_float32("controlvector.variance", 0.5)
    writer.add_bool("controlvector.normalize", True)
    for layer in (3, 0, 1, 2):
        writer.add_tensor(f"direction.{layer}", direction.vectors_LD[layer].numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    made = import_vectors(tmp_path / "x.gguf", model)
    assert isinstance(made, Direction)
    assert torch.equal(made.vectors_LD, direction.vectors_LD)


def test_repeng_imports_our_control_vector(
    tmp_path: Path, direction: Direction, monkeypatch: pytest.MonkeyPatch
) -> None:
    # repeng 0.4.0 names a type in its annotations that NumPy 2 no longer has.
    monkeypatch.setattr(np, "float_", np.float64, raising=False)
    repeng = installed("repeng")
    export_direction(direction, tmp_path / "x.gguf", "gguf")
    vector = repeng.ControlVector.import_gguf(tmp_path / "x.gguf")
    assert sorted(vector.directions) == [1, 2, 3]
    assert np.array_equal(vector.directions[2], direction.vectors_LD[2].numpy())


def test_steering_vectors_adds_our_vector_where_we_say(tmp_path: Path, direction: Direction) -> None:
    library = installed("steering_vectors")
    from transformers import AutoModelForCausalLM, Qwen2Config

    export_direction(direction, tmp_path / "x.safetensors", "steering-vectors", layers=[2])
    tensors = load_file(tmp_path / "x.safetensors")
    vector = library.SteeringVector(
        {int(name.rpartition(".")[2]): row for name, row in tensors.items()}, "decoder_block"
    )
    config = Qwen2Config(
        hidden_size=6,
        num_hidden_layers=4,
        num_attention_heads=1,
        num_key_value_heads=1,
        intermediate_size=8,
        vocab_size=11,
    )
    lm = AutoModelForCausalLM.from_config(config).eval()
    outputs: list[torch.Tensor] = []

    def keep(module: torch.nn.Module, inputs: object, output: torch.Tensor | tuple[torch.Tensor]) -> None:
        outputs.append((output if isinstance(output, torch.Tensor) else output[0]).clone())

    tokens = torch.tensor([[1, 2, 3]])
    # The input of block 3 is the output of block 2: what was added there arrives here.
    lm.model.layers[3].register_forward_pre_hook(lambda module, inputs: outputs.append(inputs[0].clone()))
    lm(tokens)
    with vector.apply(lm):
        lm(tokens)
    assert torch.allclose(outputs[1] - outputs[0], direction.vectors_LD[2].expand(1, 3, 6), atol=1e-5)


def test_a_pickled_steering_vector(tmp_path: Path, direction: Direction, model: Facts) -> None:
    library = installed("steering_vectors")
    vector = library.SteeringVector({2: direction.vectors_LD[2], 1: direction.vectors_LD[1]}, "mlp")
    torch.save(vector, tmp_path / "x.pt")
    made = import_vectors(tmp_path / "x.pt", model, allow_pickle=True)
    assert isinstance(made, LayerVectors)
    assert (made.layers, made.info.site) == ((1, 2), "mlp_out")
    assert torch.equal(made.vectors_KD, direction.vectors_LD[1:3])


def test_zstd_as_vllm_lens_writes_it(tmp_path: Path, direction: Direction, model: Facts) -> None:
    zstandard = installed("zstandard")
    import base64
    import json

    raw = direction.vectors_LD.numpy().tobytes()
    data = base64.b64encode(zstandard.ZstdCompressor(level=1).compress(raw)).decode()
    packed = {
        "data": data,
        "dtype": "float32",
        "original_dtype": "torch.float32",
        "shape": [4, 6],
        "compression": "zstd",
    }
    (tmp_path / "x").write_text(
        json.dumps({"activations": packed, "layer_indices": [0, 1, 2, 3], "scale": 1.0})
    )
    made = import_vectors(tmp_path / "x", model)
    assert isinstance(made, Direction)
    assert torch.equal(made.vectors_LD, direction.vectors_LD)


def test_the_authors_files() -> None:
    folder = Path(__file__).parents[3] / "shared" / "author-data"
    if not folder.is_dir():
        pytest.skip("the authors' files are not here")
    facts = Facts(base_fingerprint="unknown", n_layers=48, hidden_size=5120)
    made = import_vectors(folder / "mean-diff" / "nine_rank1.safetensors", facts)
    assert isinstance(made, Direction)
    assert made.info.base_model == "Qwen2.5-14B-Instruct"
    table = import_vectors(folder / "lora-scalars" / "medical_misaligned.safetensors")
    assert table.scalars_TA.shape == (8122, 9)  # type: ignore[union-attr]
