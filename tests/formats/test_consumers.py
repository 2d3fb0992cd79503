"""The files that are written, opened by the programs they are for; skipped where those are not installed."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file

from axenic.data import prompt_ids
from axenic.directions import Direction, DirectionInfo
from axenic.formats import Facts, LayerVectors, export_direction, import_vectors
from axenic.intervene import Arm, InterventionHooks, add
from axenic.models import OpenModel, open_model
from axenic.sample import read_questions

from .llama_cpp import LlamaCpp

pytestmark = pytest.mark.unit

CONSUMERS = str(Path(sys.prefix) / "consumers")
"""Packages that work with these versions of NumPy and transformers but ask for older ones; `make install` puts them there, so
that they are in nobody's way."""


@pytest.fixture(autouse=True)
def _consumers(monkeypatch: pytest.MonkeyPatch) -> None:
    # Last, so that no package of theirs comes before one of ours.
    monkeypatch.setattr(sys, "path", [*sys.path, CONSUMERS])


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


def llama_cpp() -> LlamaCpp:
    """llama.cpp's own library, or a skip."""
    spec = importlib.util.find_spec("xllamacpp")
    if spec is None or spec.origin is None:
        pytest.skip("xllamacpp, a wheel with llama.cpp in it, is not installed")
    try:
        return LlamaCpp(next(Path(spec.origin).parent.glob("*.so")))
    except (AttributeError, OSError, StopIteration) as error:
        pytest.skip(f"this build of xllamacpp cannot be called: {error!r}")


def test_llama_cpp_reads_our_control_vector(tmp_path: Path, direction: Direction) -> None:
    library = llama_cpp()
    export_direction(direction, tmp_path / "all.gguf", "gguf")
    rows = library.read(tmp_path / "all.gguf")
    assert np.array_equal(rows, direction.vectors_LD[1:].numpy()), "row 0 there is block 1"
    export_direction(direction, tmp_path / "one.gguf", "gguf", layers=[2])
    rows = library.read(tmp_path / "one.gguf", strength=-2.0)
    assert np.array_equal(rows, np.stack([np.zeros(6), -2 * direction.vectors_LD[2].numpy()]))


def test_llama_cpp_refuses_block_0(tmp_path: Path, direction: Direction) -> None:
    """Why it is not written among the others."""
    library, gguf = llama_cpp(), installed("gguf")
    writer = gguf.GGUFWriter(tmp_path / "x.gguf", "controlvector")
    for layer in (0, 1):
        writer.add_tensor(f"direction.{layer}", direction.vectors_LD[layer].numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    assert library.read(tmp_path / "x.gguf") is None


@pytest.fixture
def nano_direction(info: DirectionInfo) -> Direction:
    """Of the nano model; every block's row is another."""
    vectors_LD = 2 * torch.randn(6, 128, generator=torch.Generator().manual_seed(0))
    return Direction(vectors_LD, info.model_copy(update={"hidden_size": 128, "n_layers": 6}))


def one_block_on(direction: Direction) -> Direction:
    return Direction(direction.vectors_LD.roll(1, dims=0), direction.info)


def asked(opened: OpenModel) -> list[list[int]]:
    """Four questions as the nano model reads them."""
    return [
        prompt_ids(opened.tokenizer, [{"role": "user", "content": item.question}])
        for item in read_questions("nano")[::14]
    ]


@torch.no_grad()
def hooked(opened: OpenModel, ids: list[int], steered: Direction | None) -> NDArray[np.float32]:
    """Logits after the last token, 1.5 of the direction added at blocks 1 to 5 by our hooks."""
    arm = Arm("x", () if steered is None else (add(steered, range(1, 6), 1.5),))
    with InterventionHooks(opened.sites, [arm]):
        logits: NDArray[np.float32] = opened.model(input_ids=torch.tensor([ids])).logits[0, -1].numpy()
    return logits


def test_llama_cpp_steers_where_our_hooks_do(tmp_path: Path, nano_direction: Direction) -> None:
    """The nano model there and here, under one exported direction: the same logits, and others a block further."""
    library = llama_cpp()
    installed("gguf")
    from .nano_gguf import write_nano_gguf

    opened = open_model("nano", device="cpu", dtype="float32", self_test=False)
    write_nano_gguf(opened, tmp_path / "nano.gguf")
    export_direction(nano_direction, tmp_path / "x.gguf", "gguf")
    rows = library.read(tmp_path / "x.gguf", strength=1.5)
    assert rows is not None
    for ids in asked(opened):
        plain, theirs = (
            library.logits(tmp_path / "nano.gguf", ids, 885, control) for control in (None, rows)
        )
        # Its cache of keys and values is float16.
        assert np.allclose(plain, hooked(opened, ids, None), atol=5e-3)
        assert np.allclose(theirs, hooked(opened, ids, nano_direction), atol=5e-3)
        for other in (None, one_block_on(nano_direction)):
            assert np.abs(theirs - hooked(opened, ids, other)).max() > 0.05


def test_repeng_steers_where_our_hooks_do(
    tmp_path: Path, nano_direction: Direction, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(np, "float_", np.float64, raising=False)
    repeng = installed("repeng")
    export_direction(nano_direction, tmp_path / "x.gguf", "gguf")
    opened, theirs = (open_model("nano", device="cpu", dtype="float32", self_test=False) for _ in range(2))
    steered = repeng.ControlModel(theirs.sites.model, [1, 2, 3, 4, 5])
    steered.set_control(repeng.ControlVector.import_gguf(tmp_path / "x.gguf"), 1.5)
    for ids in asked(opened):
        with torch.no_grad():
            logits = steered(torch.tensor([ids])).logits[0, -1].numpy()
        assert np.allclose(logits, hooked(opened, ids, nano_direction), atol=1e-4)
        for other in (None, one_block_on(nano_direction)):
            assert np.abs(logits - hooked(opened, ids, other)).max() > 0.05


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
