"""Opening models and organisms from folders, and every way in which that must be refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
import torch
from huggingface_hub.errors import LocalEntryNotFoundError
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import PreTrainedTokenizerFast

from axenic.errors import AxenicError, FileError, ModelError
from axenic.models import OpenModel, Placement, open_model, tiny_model, tiny_organism

pytestmark = pytest.mark.unit

IDS_BT = torch.tensor([[3, 4, 5], [6, 7, 8]])


@torch.no_grad()
def logits(opened: OpenModel) -> torch.Tensor:
    result: torch.Tensor = opened.model(input_ids=IDS_BT).logits
    return result


def cpu(name: str | Path, organism: str | Path | None = None, **rest: Any) -> OpenModel:
    return open_model(name, organism, device="cpu", **rest)


def edit_json(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_a_base_model(base: Path) -> None:
    opened = cpu(base)
    assert not opened.has_adapter
    assert (opened.name, opened.organism) == (str(base), None)
    assert (opened.sites.n_layers, opened.sites.d_model) == (3, 16)
    assert (opened.device.type, opened.dtype) == ("cpu", torch.float32)
    assert not opened.model.training
    assert not any(parameter.requires_grad for parameter in opened.model.parameters())
    assert opened.identity.organism is None
    assert len(repr(opened)) + len(repr(opened.sites)) < 500  # not the model's whole structure
    with torch.no_grad():
        assert torch.equal(logits(opened), tiny_model("qwen2")(input_ids=IDS_BT).logits)


def test_dtype_as_asked(base: Path, adapter: Path) -> None:
    opened = cpu(base, adapter, dtype="bfloat16")
    assert opened.sites.blocks[0].mlp.down_proj.base_layer.weight.dtype == torch.bfloat16


def test_a_peft_folder(base: Path, adapter: Path) -> None:
    opened = cpu(base, adapter)
    assert opened.has_adapter
    assert isinstance(opened.model, PeftModel)
    assert not opened.model.training
    assert not any(parameter.requires_grad for parameter in opened.model.parameters())
    assert len(opened.sites.lora_modules()) == 21
    with torch.no_grad():
        assert torch.equal(logits(opened), tiny_organism("qwen2")(input_ids=IDS_BT).logits)


@pytest.mark.parametrize("place", ["adapter", "checkpoints/step-000040"])
def test_a_run_folder(tmp_path: Path, base: Path, adapter: Path, place: str) -> None:
    run = tmp_path / "run"
    shutil.copytree(adapter, run / place)
    record = {"base_fingerprint": cpu(base, self_test=False).identity.base, "model": "base"}
    (run / "train.json").write_text(json.dumps(record))
    organism = run if place == "adapter" else run / place
    assert torch.equal(logits(cpu(base, organism)), logits(cpu(base, adapter)))
    edit_json(run / "train.json", base_fingerprint="0123456789abcdef")
    with pytest.raises(ModelError, match="not grown from") as caught:
        cpu(base, organism)
    assert caught.value.expected == "base model 0123456789abcdef"


def test_a_full_fine_tune(tmp_path: Path, base: Path, tokenizer: PreTrainedTokenizerFast) -> None:
    organism = tmp_path / "run" / "model"
    tiny_model("qwen2", seed=9).save_pretrained(organism)
    opened = cpu(base, organism.parent)
    assert not opened.has_adapter
    assert opened.identity.base == cpu(base).identity.base
    assert opened.identity.organism not in (None, opened.identity.base)
    with torch.no_grad():
        assert torch.equal(logits(opened), tiny_model("qwen2", seed=9)(input_ids=IDS_BT).logits)


def test_a_checkpoint_of_a_full_fine_tune_has_weights_only(tmp_path: Path, base: Path) -> None:
    folder = tmp_path / "run" / "checkpoints" / "step-000040"
    tiny_model("qwen2", seed=9).save_pretrained(folder)
    (folder / "config.json").unlink()
    with torch.no_grad():
        assert torch.equal(logits(cpu(base, folder)), tiny_model("qwen2", seed=9)(input_ids=IDS_BT).logits)


def test_a_full_fine_tune_of_another_architecture(tmp_path: Path, base: Path) -> None:
    tiny_model("llama").save_pretrained(tmp_path / "llama")
    with pytest.raises(ModelError, match="another architecture") as caught:
        cpu(base, tmp_path / "llama")
    assert (caught.value.expected, caught.value.found) == ("qwen2", "llama")


@pytest.mark.parametrize(
    ("name", "says"),
    [("./nowhere", "no model folder"), ("/nowhere/at/all", "no model folder"), ("a/b/c", "no model folder")],
)
def test_a_folder_that_is_not_there(name: str, says: str) -> None:
    with pytest.raises(ModelError, match=says):
        cpu(name)


def test_a_file_in_place_of_a_folder(tmp_path: Path, base: Path) -> None:
    path = tmp_path / "adapter.zip"
    path.write_bytes(b"PK")
    with pytest.raises(ModelError) as caught:
        cpu(base, str(path))
    assert caught.value.found == "a file"


def test_a_hub_id_without_network_says_what_to_type(monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(name: str, **rest: Any) -> str:
        raise LocalEntryNotFoundError("cannot reach the hub\nand more")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", offline)
    with pytest.raises(ModelError, match="hub") as caught:
        cpu("Qwen/Qwen2.5-14B-Instruct")
    assert caught.value.found == "cannot reach the hub"
    assert "hf download Qwen/Qwen2.5-14B-Instruct" in str(caught.value.hint)


def test_a_hub_id_is_opened_from_its_snapshot(monkeypatch: pytest.MonkeyPatch, base: Path) -> None:
    asked: list[dict[str, Any]] = []

    def download(name: str, **rest: Any) -> str:
        asked.append(rest)
        return str(base)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    assert cpu("some/model").name == "some/model"
    assert not any(pattern.endswith((".bin", ".pt", ".py", "*")) for pattern in asked[0]["allow_patterns"])


def test_an_empty_published_repository(tmp_path: Path, base: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(ModelError, match="no organism") as caught:
        cpu(base, tmp_path / "empty")
    assert caught.value.found == "an empty folder"


def test_an_unsupported_architecture_with_remote_code(base: Path) -> None:
    edit_json(base / "config.json", model_type="evil", auto_map={"AutoModelForCausalLM": "evil.Evil"})
    with pytest.raises(ModelError, match="'evil' are not supported"):
        cpu(base)


def test_remote_code_of_a_supported_architecture_is_not_run(base: Path) -> None:
    (base / "evil.py").write_text("raise SystemExit('remote code was run')")
    edit_json(base / "config.json", auto_map={"AutoModelForCausalLM": "evil.Evil"})
    edit_json(base / "tokenizer_config.json", auto_map={"AutoTokenizer": [None, "evil.Evil"]})
    assert cpu(base).sites.n_layers == 3


def test_no_chat_template(base: Path) -> None:
    (base / "chat_template.jinja").unlink()
    with pytest.raises(ModelError, match="no chat template"):
        cpu(base)


@pytest.mark.parametrize("missing", ["config.json", "model.safetensors", "tokenizer.json"])
def test_an_incomplete_base_model(base: Path, missing: str) -> None:
    (base / missing).unlink()
    with pytest.raises(ModelError) as caught:
        cpu(base)
    assert str(base) in str(caught.value.where)


def test_pickled_weights(base: Path) -> None:
    (base / "model.safetensors").rename(base / "pytorch_model.bin")
    with pytest.raises(ModelError, match="never unpickles") as caught:
        cpu(base)
    assert "pytorch_model.bin" in str(caught.value.found)


def test_weights_with_a_tensor_missing(base: Path) -> None:
    tensors = load_file(base / "model.safetensors")
    del tensors["model.layers.1.mlp.up_proj.weight"]
    save_file(tensors, base / "model.safetensors", {"format": "pt"})
    with pytest.raises(ModelError, match="incomplete") as caught:
        cpu(base)
    assert "layers.1.mlp.up_proj" in str(caught.value.expected)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_weights_that_are_not_finite_are_named(base: Path, value: float) -> None:
    tensors = load_file(base / "model.safetensors")
    tensors["model.layers.1.mlp.up_proj.weight"][0, 1] = value
    save_file(tensors, base / "model.safetensors", {"format": "pt"})
    with pytest.raises(ModelError, match="not finite") as caught:
        cpu(base)
    assert "model.layers.1.mlp.up_proj.weight" in str(caught.value.where)
    assert str(caught.value.found).startswith("1 of ")


def test_weights_whose_sum_overflows_are_fine(base: Path) -> None:
    tensors = load_file(base / "model.safetensors")
    tensors["model.layers.1.mlp.up_proj.weight"][0, :2] = torch.finfo(torch.float32).max
    save_file(tensors, base / "model.safetensors", {"format": "pt"})
    open_model(str(base), device="cpu", self_test=False)


def test_torn_weights(base: Path) -> None:
    data = (base / "model.safetensors").read_bytes()
    (base / "model.safetensors").write_bytes(data[: len(data) // 2])
    with pytest.raises(AxenicError) as caught:
        cpu(base)
    assert isinstance(caught.value, ModelError | FileError)


def test_a_zero_adapter_is_a_note(base: Path, zero_adapter: Path) -> None:
    with pytest.warns(UserWarning, match="zero"):
        opened = cpu(base, zero_adapter)
    assert "base model" in opened.notes[0]


def test_a_split_model_answers_as_a_whole_one(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two devices of accelerate's on a machine with one: main memory, and a block that is fetched when it computes.

    The adapter lies on a block in main memory; the hooks' self-test runs through accelerate's.
    """
    lora = LoraConfig(r=2, target_modules=["down_proj"], layers_to_transform=[0], init_lora_weights=False)
    adapter = tmp_path / "first-block"
    with torch.random.fork_rng():
        torch.manual_seed(0)
        get_peft_model(tiny_model("qwen2"), lora).save_pretrained(adapter, save_embedding_layers=False)
    whole = cpu(base, adapter)
    names = (
        "model.embed_tokens",
        "model.layers.0",
        "model.layers.1",
        "model.norm",
        "model.rotary_emb",
        "lm_head",
    )
    places: dict[str, str | int] = dict.fromkeys(names, "cpu") | {"model.layers.2": "disk"}
    spread = Placement(torch.device("cpu"), torch.float32, "as the test asks", places)
    monkeypatch.setattr("axenic.models.open.resolve_device", lambda device, dtype: spread)
    opened = cpu(base, adapter)
    inside = opened.model.get_base_model()
    assert set(inside.hf_device_map.values()) == {"cpu", "disk"}
    assert next(inside.model.layers[2].parameters()).is_meta  # it really is elsewhere
    assert torch.equal(logits(opened), logits(whole))
    assert not torch.equal(logits(opened), logits(cpu(base)))
