"""The door: conventions of layers, scale and sign, what is asked for, and what is refused."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from axenic.directions import Direction, DirectionInfo
from axenic.errors import DirectionError, FileError
from axenic.files import save_tensors
from axenic.formats import Facts, LayerVectors, detect, import_vectors
from axenic.formats.gguf_file import write_gguf
from axenic.intervene import Intervention

pytestmark = pytest.mark.unit
Save = Callable[..., Path]


def layers_of(made: object) -> tuple[int, ...]:
    assert isinstance(made, LayerVectors)
    return made.layers


class TestConventions:
    """Row l of the planted direction begins with l + 1; F9's rule brings every way of counting to it."""

    def test_persona_vectors_begin_with_the_embeddings(
        self, tmp_path: Path, planted_LD: Tensor, model: Facts
    ) -> None:
        rows = torch.cat([torch.full((1, 6), 99.0), planted_LD])
        save_tensors(tmp_path / "x", {"vectors": rows})
        # L + 1 rows can only be these: nothing needs to be stated.
        made = import_vectors(tmp_path / "x", model)
        assert isinstance(made, Direction)
        assert torch.equal(made.vectors_LD, planted_LD)
        assert "final norm" in detect(tmp_path / "x", model).notes[0]

    def test_l_rows_must_be_explained(self, tmp_path: Path, planted_LD: Tensor, model: Facts) -> None:
        save_tensors(tmp_path / "x", {"vectors": planted_LD})
        with pytest.raises(DirectionError, match="rows"):
            import_vectors(tmp_path / "x", model)
        made = import_vectors(tmp_path / "x", replace(model, rows="block_output_0"))
        assert isinstance(made, Direction)
        assert torch.equal(made.vectors_LD, planted_LD)
        with pytest.raises(DirectionError, match="5 rows for a model of 4 blocks"):
            import_vectors(tmp_path / "x", replace(model, rows="embeddings_first"))

    def test_block_inputs_are_one_earlier(self, tmp_path: Path, planted_LD: Tensor, model: Facts) -> None:
        # Row k = input of block k = output of block k - 1: row 0 goes, the last block has none.
        inputs = torch.cat([torch.full((1, 6), 99.0), planted_LD[:-1]])
        save_tensors(tmp_path / "x", {"vectors": inputs})
        made = import_vectors(tmp_path / "x", replace(model, rows="block_input"))
        assert isinstance(made, LayerVectors)
        assert made.layers == (0, 1, 2)
        assert torch.equal(made.vectors_KD, planted_LD[:3])

    def test_mean_diffs_of_refusal_direction(self, tmp_path: Path, planted_LD: Tensor, model: Facts) -> None:
        inputs = torch.cat([torch.full((1, 6), 99.0), planted_LD[:-1]])
        save_tensors(tmp_path / "x", {"v": torch.stack([-inputs, inputs])})
        made = import_vectors(tmp_path / "x", replace(model, pos=-1))
        assert isinstance(made, LayerVectors)
        assert torch.equal(made.vectors_KD, planted_LD[:3])
        assert made.info.operation == "project_out"
        with pytest.raises(DirectionError, match="no such position"):
            import_vectors(tmp_path / "x", replace(model, pos=2))

    @pytest.mark.parametrize(
        ("layer", "block", "site"), [(3, 2, "resid_post"), (1, 0, "resid_post"), (0, -1, "embed")]
    )
    def test_direction_of_refusal_direction(
        self, saved: Save, model: Facts, layer: int, block: int, site: str
    ) -> None:
        path = saved(torch.arange(1.0, 7.0).double(), "run/direction.pt")
        (path.parent / "direction_metadata.json").write_text(json.dumps({"pos": -2, "layer": layer}))
        for place in (path, path.parent):
            made = import_vectors(place, model, allow_pickle=True)
            assert isinstance(made, LayerVectors)
            assert (made.layers, made.info.site, made.info.positions) == (
                (block,),
                site,
                "token -2 of the prompt",
            )

    def test_official_means_are_subtracted_in_float64(
        self, saved: Save, planted_LD: Tensor, model: Facts
    ) -> None:
        base = torch.full((4, 6), 300.0)

        def means(rows: Tensor) -> dict[str, Any]:
            by_layer = {f"layer_{i}": row.bfloat16() for i, row in enumerate(rows)}
            # Sorted as text, layer_10 precedes layer_2: the numbers count.
            return {"question": by_layer, "answer": dict(reversed(by_layer.items()))}

        bad, good = means(base + 4 * planted_LD), means(base)
        path, minus = saved(bad, "m.pt"), saved(good, "a.pt")
        made = import_vectors(path, replace(model, minus=minus), allow_pickle=True)
        assert isinstance(made, Direction)
        expected = torch.stack(
            [bad["answer"][f"layer_{i}"].double() - good["answer"][f"layer_{i}"].double() for i in range(4)]
        )
        assert torch.equal(made.vectors_LD, expected.float())
        assert made.info.positions == "answer"
        turned = import_vectors(minus, replace(model, minus=path), allow_pickle=True)
        assert isinstance(turned, Direction)
        assert torch.equal(turned.vectors_LD, -made.vectors_LD), "the sign is the order of the files"

    def test_trained_vectors_carry_alpha_and_layer(self, saved: Save, model: Facts) -> None:
        stored = torch.arange(1.0, 7.0) / 256
        path = saved(
            {
                "steering_vector": stored,
                "layer_idx": 2,
                "d_model": 6,
                "alpha": 256,
                "approach": "toggle_based",
            }
        )
        made = import_vectors(path, model, allow_pickle=True)
        assert isinstance(made, LayerVectors)
        assert (made.layers, made.info.site) == ((2,), "mlp_out")
        assert torch.equal(made.vectors_KD[0], torch.arange(1.0, 7.0)), "alpha times the stored vector"
        done = Intervention("add", made.layers, made.info.site, made.vectors_KD)
        assert done.layers == (2,)

    def test_alpha_may_lie_in_the_side_file(self, tmp_path: Path, model: Facts) -> None:
        save_tensors(tmp_path / "steering_vector.safetensors", {"steering_vector": torch.ones(6)})
        side = {"base_model": "Qwen/Qwen3-14B", "alpha": 64.0, "layer_idx": 1}
        (tmp_path / "adapter_config.json").write_text(json.dumps(side))
        made = import_vectors(tmp_path, replace(model, base_model=None))
        assert isinstance(made, LayerVectors)
        assert (float(made.vectors_KD[0, 0]), made.layers) == (64.0, (1,))
        assert made.info.base_model == "Qwen/Qwen3-14B"

    def test_checkpoints_of_the_viewer_need_alpha_and_layer(self, tmp_path: Path, model: Facts) -> None:
        save_tensors(tmp_path / "x", {"v": torch.ones(6, 1)})
        assert set(detect(tmp_path / "x", model).needs) == {"layer", "alpha"}
        made = import_vectors(tmp_path / "x", replace(model, layer=3, alpha=256.0))
        assert isinstance(made, LayerVectors)
        assert (float(made.vectors_KD[0, 0]), made.info.site) == (256.0, "mlp_out")

    def test_gguf_layers_are_block_outputs(self, tmp_path: Path, planted_LD: Tensor, model: Facts) -> None:
        pairs: dict[str, str | int | list[float]] = {
            "general.architecture": "controlvector", "controlvector.model_hint": "qwen2", "controlvector.layer_count": 2,
        }  # fmt: skip
        write_gguf(tmp_path / "x", pairs, {f"direction.{i}": planted_LD[i] for i in (2, 1)})
        made = import_vectors(tmp_path / "x", model)
        assert isinstance(made, LayerVectors)
        assert made.layers == (1, 2)
        assert torch.equal(made.vectors_KD, planted_LD[1:3])
        assert "qwen2" in detect(tmp_path / "x", model).notes[0]

    def test_scales_and_their_sign_are_multiplied_in(
        self, tmp_path: Path, planted_LD: Tensor, model: Facts
    ) -> None:
        data = base64.b64encode(planted_LD[1:3].bfloat16().view(torch.int16).numpy().tobytes()).decode()
        packed = {"data": data, "dtype": "int16", "original_dtype": "torch.bfloat16", "shape": [2, 6]}
        value = {"activations": packed, "layer_indices": [2, 0], "scale": -2.0, "norm_match": False}
        (tmp_path / "x").write_text(json.dumps(value))
        made = import_vectors(tmp_path / "x", model)
        assert isinstance(made, LayerVectors)
        assert made.layers == (0, 2)
        assert torch.equal(made.vectors_KD, -2 * planted_LD[[2, 1]].bfloat16().float())

    def test_easysteer_takes_the_layers_it_names(
        self, tmp_path: Path, planted_LD: Tensor, model: Facts
    ) -> None:
        write_gguf(
            tmp_path / "v.gguf",
            {"general.architecture": "controlvector"},
            {f"direction.{i}": planted_LD[i] for i in range(4)},
        )
        vector = {
            "source": "v.gguf",
            "scale": 0.5,
            "layers": [1],
            "algorithm": "direct",
            "apply": {"generation": "all"},
        }
        (tmp_path / "x").write_text(json.dumps({"vectors": [vector]}))
        made = import_vectors(tmp_path / "x", model)
        assert layers_of(made) == (1,)
        assert isinstance(made, LayerVectors)
        assert torch.equal(made.vectors_KD[0], planted_LD[1] * 0.5)

    def test_the_sign_can_be_turned(self, tmp_path: Path, direction: Direction) -> None:
        direction.save(tmp_path / "x")
        made = import_vectors(tmp_path / "x", Facts(negate=True))
        assert isinstance(made, Direction)
        assert torch.equal(made.vectors_LD, -direction.vectors_LD)
        assert made.info.recipe["negated"] is True

    def test_layer_types_are_sites(self, tmp_path: Path, model: Facts) -> None:
        save_tensors(tmp_path / "x", {"layer_activations.3": torch.ones(6)}, {"layer_type": "self_attn"})
        made = import_vectors(tmp_path / "x", model)
        assert isinstance(made, LayerVectors)
        assert (made.info.site, made.layers) == ("attn_out", (3,))

    def test_published_mean_differences(self, tmp_path: Path, planted_LD: Tensor, model: Facts) -> None:
        norm = torch.linalg.vector_norm(planted_LD, dim=1)
        save_tensors(
            tmp_path / "x", {"mean_diff": planted_LD, "norm": norm}, {"base_model": "Qwen2.5-14B-Instruct"}
        )
        made = import_vectors(tmp_path / "x", replace(model, base_model=None))
        assert isinstance(made, Direction)
        assert made.info.base_model == "Qwen2.5-14B-Instruct"


class TestFacts:
    def test_all_that_is_missing_is_asked_for_at_once(self, tmp_path: Path) -> None:
        save_tensors(tmp_path / "x", {"v": torch.ones(6)})
        with pytest.raises(DirectionError) as caught:
            import_vectors(tmp_path / "x")
        text = str(caught.value)
        for fact in ("base_model", "base_fingerprint", "n_layers", "layer", "alpha", "site"):
            assert f"{fact} (" in text
        assert caught.value.hint == (
            f"axenic import {tmp_path / 'x'} --base-model MODEL --layer N --alpha A --site mlp_out|resid_post"
        )

    def test_what_the_file_says_is_not_contradicted(self, tmp_path: Path, direction: Direction) -> None:
        direction.save(tmp_path / "x")
        with pytest.raises(DirectionError, match="says otherwise about base_fingerprint"):
            import_vectors(tmp_path / "x", Facts(base_fingerprint="another"))
        with pytest.raises(DirectionError, match="n_layers 5"):
            import_vectors(tmp_path / "x", Facts(n_layers=5))
        named = import_vectors(tmp_path / "x", Facts(name="mine", base_model="/models/qwen"))
        assert isinstance(named, Direction)
        assert (named.info.name, named.info.base_model) == ("mine", "/models/qwen")

    def test_a_direction_of_the_wrong_model(self, tmp_path: Path, model: Facts) -> None:
        save_tensors(tmp_path / "x", {"layer_activations.3": torch.ones(8)}, {"layer_type": "decoder_block"})
        with pytest.raises(DirectionError, match="width 6") as caught:
            import_vectors(tmp_path / "x", model)
        assert "another model" in (caught.value.hint or "")
        save_tensors(tmp_path / "y", {"layer_activations.4": torch.ones(6)}, {"layer_type": "decoder_block"})
        with pytest.raises(DirectionError, match="blocks that the model does not have"):
            import_vectors(tmp_path / "y", model)

    def test_what_nobody_says_is_recorded_so(self, tmp_path: Path, model: Facts) -> None:
        save_tensors(tmp_path / "x", {"layer_activations.3": torch.ones(6)})
        info = import_vectors(tmp_path / "x", model).info  # type: ignore[union-attr]
        assert (info.judge, info.data_hash, info.positions) == ("not stated", "not stated", "not stated")
        assert info.recipe["format"] == "steering-vectors"
        assert len(str(info.recipe["sha256"])) == 64


class TestDetection:
    def test_by_content_and_not_by_name(
        self, tmp_path: Path, direction: Direction, info: DirectionInfo
    ) -> None:
        direction.save(tmp_path / "x.gguf")
        LayerVectors((1,), torch.ones(1, 6), info).save(tmp_path / "x.json")
        write_gguf(
            tmp_path / "x.pt", {"general.architecture": "controlvector"}, {"direction.1": torch.ones(6)}
        )
        assert detect(tmp_path / "x.gguf").title == "a direction of Axenic"
        assert detect(tmp_path / "x.json").title == "layer vectors of Axenic"
        assert detect(tmp_path / "x.pt").format == "gguf"

    def test_layer_vectors_come_back(self, tmp_path: Path, info: DirectionInfo) -> None:
        made = LayerVectors((1, 3), torch.arange(1.0, 13.0).reshape(2, 6), info)
        made.save(tmp_path / "x")
        for again in (LayerVectors.load(tmp_path / "x"), import_vectors(tmp_path / "x")):
            assert isinstance(again, LayerVectors)
            assert (again.layers, again.info) == (made.layers, info)
            assert torch.equal(again.vectors_KD, made.vectors_KD)

    def test_a_pickle_is_not_looked_into(self, saved: Save, model: Facts) -> None:
        path = saved({0: torch.ones(6)}, "x.safetensors")
        assert detect(path).format == "pickle"
        with pytest.raises(FileError, match="--allow-pickle"):
            import_vectors(path, model)
        assert detect(path, model, allow_pickle=True).format == "steering-vectors"

    @pytest.mark.parametrize("value", [{}, [], {"a": 1}, 3, "text", {"vectors": 3}])
    def test_other_json(self, tmp_path: Path, value: object) -> None:
        (tmp_path / "x").write_text(json.dumps(value))
        with pytest.raises(FileError):
            detect(tmp_path / "x")

    def test_other_tensors(self, tmp_path: Path) -> None:
        save_tensors(
            tmp_path / "x", {"model.layers.0.mlp.down_proj.weight": torch.ones(2, 3), "b": torch.ones(1)}
        )
        with pytest.raises(FileError, match="nothing that is known as vectors"):
            detect(tmp_path / "x")
        with pytest.raises(FileError, match="one of direction"):
            detect(tmp_path)
        with pytest.raises(FileError, match="cannot read"):
            detect(tmp_path / "missing")

    def test_language_models_are_no_control_vectors(self, tmp_path: Path) -> None:
        write_gguf(tmp_path / "x", {"general.architecture": "qwen2"}, {"token_embd.weight": torch.ones(2)})
        with pytest.raises(FileError, match="no control vector"):
            detect(tmp_path / "x")


@pytest.mark.fault
class TestStrangers:
    @pytest.mark.parametrize(
        "change",
        [
            {"norm_match": True},
            {"position_indices": [0]},
            {"scale": "1"},
            {"scale": float("1e308")},
            {"layer_indices": [1]},
            {"layer_indices": [1, 1]},
            {"layer_indices": [1, 2**70]},
            {"layer_indices": [1, -1]},
            {"activations": 3},
            {"activations": {"data": "!", "dtype": "float32", "shape": [2, 6]}},
            {"activations": {"data": "", "dtype": "float32", "shape": [2**62, 2**62]}},
            {"activations": {"data": "", "dtype": "object", "shape": [2, 6]}},
            {"activations": {"data": "", "dtype": "float32", "shape": []}},
        ],
    )
    def test_vllm_lens(self, tmp_path: Path, model: Facts, change: dict[str, object]) -> None:
        data = base64.b64encode(torch.ones(2, 6).numpy().tobytes()).decode()
        value = {"activations": {"data": data, "dtype": "float32", "shape": [2, 6]}, "layer_indices": [1, 2]}
        (tmp_path / "x").write_text(json.dumps({**value, **change}))
        with pytest.raises((FileError, DirectionError)):
            import_vectors(tmp_path / "x", model)

    @pytest.mark.parametrize(
        "source", ["/etc/passwd", "\ud800", "../v.gguf", "a/../../v.gguf", "", 3, "\0", "x" * 9999]
    )
    def test_a_spec_opens_no_file_elsewhere(self, tmp_path: Path, model: Facts, source: object) -> None:
        (tmp_path / "in").mkdir()
        write_gguf(
            tmp_path / "v.gguf", {"general.architecture": "controlvector"}, {"direction.1": torch.ones(6)}
        )
        (tmp_path / "in" / "x").write_text(json.dumps({"vectors": [{"source": source}]}))
        with pytest.raises(FileError, match="no file of vectors beside it"):
            import_vectors(tmp_path / "in" / "x", model)

    def test_nor_by_a_link(self, tmp_path: Path, model: Facts) -> None:
        (tmp_path / "in").mkdir()
        write_gguf(
            tmp_path / "v.gguf", {"general.architecture": "controlvector"}, {"direction.1": torch.ones(6)}
        )
        (tmp_path / "in" / "v.gguf").symlink_to(tmp_path / "v.gguf")
        (tmp_path / "in" / "x").write_text(json.dumps({"vectors": [{"source": "v.gguf"}]}))
        with pytest.raises(FileError, match="no file of vectors beside it"):
            import_vectors(tmp_path / "in" / "x", model)

    @pytest.mark.parametrize("change", [{"algorithm": "erase"}, {"normalize": True}, {"params": {"k": 1}}])
    def test_other_algorithms_of_easysteer(
        self, tmp_path: Path, model: Facts, change: dict[str, object]
    ) -> None:
        (tmp_path / "x").write_text(json.dumps({"vectors": [{"source": "v.gguf", **change}]}))
        with pytest.raises(DirectionError, match="more than add"):
            import_vectors(tmp_path / "x", model)

    @pytest.mark.parametrize("alpha", [float("nan"), float("inf"), 0.0, 1e300])
    def test_alphas_that_are_none(self, tmp_path: Path, model: Facts, alpha: float) -> None:
        save_tensors(tmp_path / "x", {"v": torch.ones(6, 1)})
        with pytest.raises(FileError, match="alpha of x is not a number"):
            import_vectors(tmp_path / "x", replace(model, layer=1, alpha=alpha))

    @pytest.mark.parametrize("alpha", [10**400, True, [1], "x"])
    def test_alphas_of_files(self, tmp_path: Path, model: Facts, alpha: object) -> None:
        save_tensors(tmp_path / "steering_vector.safetensors", {"steering_vector": torch.ones(6)})
        side = {"base_model": "\ud800\x1b[2J", "alpha": alpha, "layer_idx": 1}
        (tmp_path / "adapter_config.json").write_text(json.dumps(side))
        with pytest.raises(FileError, match="alpha of"):
            import_vectors(tmp_path, replace(model, base_model=None))
        (tmp_path / "adapter_config.json").write_text(json.dumps({**side, "alpha": 2}))
        made = import_vectors(tmp_path, replace(model, base_model=None))
        assert isinstance(made, LayerVectors)
        assert made.info.base_model == "‹U+D800›‹U+001B›[2J"

    @pytest.mark.parametrize("bad", [float("nan"), float("inf"), 0.0])
    def test_vectors_that_are_none(self, tmp_path: Path, model: Facts, bad: float) -> None:
        save_tensors(tmp_path / "x", {"layer_activations.1": torch.full((6,), bad)})
        with pytest.raises(DirectionError, match=r"not finite|is zero"):
            import_vectors(tmp_path / "x", model)

    def test_shapes_beyond_memory(self, tmp_path: Path, model: Facts) -> None:
        for shape in ("[0,9223372036854775808]", "[9223372036854775807]", "[1000000,1000000]"):
            head = f'{{"v":{{"dtype":"F32","shape":{shape},"data_offsets":[0,0]}}}}'.encode()
            (tmp_path / "x").write_bytes(len(head).to_bytes(8, "little") + head)
            with pytest.raises(FileError):
                import_vectors(tmp_path / "x", model)

    def test_a_rank_of_a_million(self, tmp_path: Path, model: Facts) -> None:
        head = b'{"v":{"dtype":"F32","shape":[' + b",".join([b"1"] * 1_000_000) + b'],"data_offsets":[0,4]}}'
        (tmp_path / "x").write_bytes(len(head).to_bytes(8, "little") + head + b"\0" * 4)
        with pytest.raises((FileError, DirectionError)):
            import_vectors(tmp_path / "x", model)

    def test_a_header_of_100_megabytes(self, tmp_path: Path, model: Facts) -> None:
        for kind in (b"{", b"["):
            with (tmp_path / "x").open("wb") as handle:
                handle.write((120_000_000).to_bytes(8, "little") + kind)
                handle.truncate(130_000_000)
            with pytest.raises(FileError):
                import_vectors(tmp_path / "x", model)

    def test_files_that_are_no_files(self, tmp_path: Path) -> None:
        import os

        os.mkfifo(tmp_path / "x")
        with pytest.raises(FileError, match="not a regular file"):
            detect(tmp_path / "x")
