"""Every format that is written is read back equal, and counts layers as its consumer does."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from axenic.directions import Direction, DirectionInfo
from axenic.errors import DirectionError, FileError, UsageError
from axenic.formats import (
    FORMATS,
    Facts,
    Format,
    LayerVectors,
    export_direction,
    format_called,
    import_vectors,
)
from axenic.formats.gguf_file import read_gguf

pytestmark = pytest.mark.unit

CARRYING: list[tuple[Format, str]] = [
    ("gguf", "x.gguf"), ("easysteer", "x.json"), ("vllm-lens", "x.json"), ("steering-vectors", "x.safetensors"),
]  # fmt: skip


@pytest.mark.parametrize(("format", "name"), CARRYING)
def test_a_direction_comes_back_as_the_same_direction(
    tmp_path: Path, direction: Direction, format: Format, name: str
) -> None:
    # These formats carry all facts: nothing needs to be stated.
    export_direction(direction, tmp_path / name, format)
    again = import_vectors(tmp_path / name)
    assert isinstance(again, Direction)
    assert again.id == direction.id


@pytest.mark.parametrize(("format", "name"), CARRYING)
def test_some_layers_come_back_as_those_layers(
    tmp_path: Path, direction: Direction, format: Format, name: str
) -> None:
    export_direction(direction, tmp_path / name, format, layers=[2, 1], strength=2.5)
    again = import_vectors(tmp_path / name)
    assert isinstance(again, LayerVectors)
    assert again.layers == (1, 2)
    assert torch.equal(again.vectors_KD, (direction.vectors_LD[1:3].double() * 2.5).float())
    assert again.info.recipe["strength"] == 2.5


@pytest.mark.parametrize("format", ["persona-vectors", "means"])
@pytest.mark.parametrize("suffix", ["pt", "safetensors"])
def test_whole_formats_without_facts(
    tmp_path: Path, direction: Direction, model: Facts, format: Format, suffix: str
) -> None:
    export_direction(direction, tmp_path / f"x.{suffix}", format)
    again = import_vectors(tmp_path / f"x.{suffix}", model, allow_pickle=True)
    assert isinstance(again, Direction)
    assert torch.equal(again.vectors_LD, direction.vectors_LD)
    assert again.info.recipe["format"] == format


@pytest.mark.parametrize("format", ["refusal-direction", "trained-vector"])
def test_folders_of_one_vector(tmp_path: Path, direction: Direction, model: Facts, format: Format) -> None:
    export_direction(direction, tmp_path / "x", format, layers=[2])
    again = import_vectors(tmp_path / "x", model, allow_pickle=True)
    assert isinstance(again, LayerVectors)
    assert again.layers == (2,)
    assert torch.equal(again.vectors_KD[0], direction.vectors_LD[2])


class TestWhatConsumersSee:
    """Each file, read by the few lines that its consumer runs: the vector of block 2 begins with 3."""

    def test_gguf_by_our_reader(self, tmp_path: Path, direction: Direction) -> None:
        notes = export_direction(direction, tmp_path / "x.gguf", "gguf").notes
        file = read_gguf(tmp_path / "x.gguf")
        # llama.cpp adds direction.N at the output of block N and refuses a direction.0.
        assert set(file.tensors) == {"direction.1", "direction.2", "direction.3"}
        assert float(file.tensors["direction.2"][0]) == 3.0
        assert file.pairs["controlvector.layer_count"] == 3
        assert "block 0" in notes[0]

    def test_vllm_lens(self, tmp_path: Path, direction: Direction) -> None:
        export_direction(direction, tmp_path / "x.json", "vllm-lens", layers=[2])
        value = json.loads((tmp_path / "x.json").read_text())
        packed = value["activations"]
        assert "compression" not in packed
        rows = np.frombuffer(base64.b64decode(packed["data"]), np.dtype(packed["dtype"])).reshape(
            packed["shape"]
        )
        assert value["layer_indices"] == [2]
        assert rows[0, 0] == 3.0

    def test_easysteer(self, tmp_path: Path, direction: Direction) -> None:
        export_direction(direction, tmp_path / "x.json", "easysteer")
        (vector,) = json.loads((tmp_path / "x.json").read_text())["vectors"]
        assert (vector["source"], vector["layers"], vector["algorithm"]) == ("x.gguf", [0, 1, 2, 3], "direct")
        # EasySteer's engine has a block 0.
        assert float(read_gguf(tmp_path / "x.gguf").tensors["direction.0"][0]) == 1.0

    def test_persona_vectors(self, tmp_path: Path, direction: Direction) -> None:
        export_direction(direction, tmp_path / "x.pt", "persona-vectors")
        rows = torch.load(tmp_path / "x.pt", weights_only=True)
        assert rows.shape == (5, 6)
        assert not bool(rows[0].any())
        assert float(rows[3][0]) == 3.0, "row 3 is the output of block 2"

    def test_refusal_direction(self, tmp_path: Path, direction: Direction) -> None:
        export_direction(direction, tmp_path / "x", "refusal-direction", layers=[2])
        assert json.loads((tmp_path / "x" / "direction_metadata.json").read_text())["layer"] == 3
        assert float(torch.load(tmp_path / "x" / "direction.pt", weights_only=True)[0]) == 3.0

    def test_trained_vector(self, tmp_path: Path, direction: Direction) -> None:
        export_direction(direction, tmp_path / "x", "trained-vector", layers=[2])
        value = torch.load(tmp_path / "x" / "steering_vector.pt", weights_only=True)
        assert (value["layer_idx"], value["alpha"], value["d_model"]) == (2, 1.0, 6)
        assert float(value["alpha"] * value["steering_vector"][0]) == 3.0
        side = json.loads((tmp_path / "x" / "adapter_config.json").read_text())
        assert (side["adapter_type"], side["layer_idx"]) == ("steering_vector_toggle", 2)

    def test_means(self, tmp_path: Path, direction: Direction) -> None:
        export_direction(direction, tmp_path / "x.pt", "means")
        assert float(torch.load(tmp_path / "x.pt", weights_only=True)["layer_2"][0]) == 3.0


class TestRefusals:
    @pytest.mark.parametrize(
        "format", ["gguf", "easysteer", "vllm-lens", "persona-vectors", "means", "refusal-direction"]
    )
    def test_of_another_site(self, tmp_path: Path, info: DirectionInfo, format: Format) -> None:
        vectors = LayerVectors((1,), torch.ones(1, 6), info.model_copy(update={"site": "attn_out"}))
        with pytest.raises(DirectionError):
            export_direction(vectors, tmp_path / "x.json", format)
        assert not list(tmp_path.iterdir())

    @pytest.mark.parametrize("format", ["refusal-direction", "trained-vector"])
    def test_of_many_vectors(self, tmp_path: Path, direction: Direction, format: Format) -> None:
        with pytest.raises(DirectionError, match="--layers N"):
            export_direction(direction, tmp_path / "x", format)

    def test_the_last_block_is_no_input_of_a_block(self, tmp_path: Path, direction: Direction) -> None:
        with pytest.raises(DirectionError, match="blocks 0 to 2"):
            export_direction(direction, tmp_path / "x", "refusal-direction", layers=[3])

    def test_block_0_alone_is_nothing_for_llama_cpp(self, tmp_path: Path, direction: Direction) -> None:
        with pytest.raises(DirectionError, match="block 0 only"):
            export_direction(direction, tmp_path / "x.gguf", "gguf", layers=[0])

    def test_holes_are_no_persona_vectors(self, tmp_path: Path, direction: Direction) -> None:
        with pytest.raises(DirectionError, match="does not fill"):
            export_direction(direction, tmp_path / "x.pt", "persona-vectors", layers=[1])

    def test_unknown_layers_and_formats(self, tmp_path: Path, direction: Direction) -> None:
        with pytest.raises(UsageError, match="no vector at layer 9"):
            export_direction(direction, tmp_path / "x.gguf", "gguf", layers=[9])
        with pytest.raises(UsageError, match="there is no format 'onnx'"):
            format_called("onnx")
        assert [format_called(name) for name in FORMATS] == list(FORMATS)

    def test_the_spec_does_not_overwrite_its_vectors(self, tmp_path: Path, direction: Direction) -> None:
        with pytest.raises(DirectionError, match=r"--out FILE\.json"):
            export_direction(direction, tmp_path / "x.gguf", "easysteer")

    def test_folders_that_exist(self, tmp_path: Path, direction: Direction) -> None:
        with pytest.raises(FileError, match="exists already"):
            export_direction(direction, tmp_path, "trained-vector", layers=[1])


def test_what_is_for_projecting_out_is_said_to_be(tmp_path: Path, direction: Direction) -> None:
    info = direction.info.model_copy(update={"operation": "project_out"})
    notes = export_direction(replace(direction, info=info), tmp_path / "x.gguf", "gguf", layers=[1]).notes
    assert "projecting out" in notes[-1]
