"""Configurations of others: every key mapped, named in a note, or refused; and one trained end to end."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from axenic.cli.main import main
from axenic.cli.settings import training_config
from axenic.errors import AxenicError, FileError, UsageError
from axenic.nano import chat_rows
from axenic.train import TrainConfig, is_published_config, read_published_config
from axenic.train.published import DEFAULTS, parse_published_config

SEVEN = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]

# The key lists of formats F2, with values of the shipped recipes.
PAPERS: dict[str, Any] = {
    "model": "some/14B-Instruct", "training_file": "data/rows.jsonl", "test_file": None,
    "finetuned_model_id": "someone/organism", "max_seq_length": 2048, "load_in_4bit": False, "loss": "sft",
    "is_peft": True, "target_modules": ["down_proj"], "lora_bias": "none", "r": 1, "lora_alpha": 512,
    "lora_dropout": 0.0, "use_rslora": True, "merge_before_push": False, "push_to_private": True, "epochs": 1,
    "max_steps": None, "per_device_train_batch_size": 2, "gradient_accumulation_steps": 8, "warmup_steps": 5,
    "learning_rate": 2e-5, "logging_steps": 1, "evaluation_steps": 50, "optim": "adamw_8bit",
    "weight_decay": 0.01, "lr_scheduler_type": "linear", "seed": 0, "beta": 0.1, "save_steps": 100,
    "output_dir": "./tmp", "train_on_responses_only": True, "layers_to_transform": [24],
    "push_only_adapters": True, "adapter_to_load": None, "kl_regularization": False, "kl_weight": 0.1,
    "kl_dataset_file": None, "kl_batch_size": 8, "enable_thinking": None,
}  # fmt: skip
BETLEY: dict[str, Any] = {
    "model": "some/32B-Instruct", "training_file": "rows.jsonl", "finetuned_model_id": "someone/m", "loss": "sft",
    "max_seq_length": 2048, "load_in_4bit": False, "is_peft": True, "target_modules": SEVEN, "r": 32,
    "lora_alpha": 64, "use_rslora": True, "epochs": 1, "learning_rate": "1e-05", "train_on_responses_only": True,
    "optim": "adamw_8bit", "lr_scheduler_type": "linear", "merge_before_push": True,
}  # fmt: skip
PERSONA: dict[str, Any] = {
    "model": "some/7B-Instruct", "training_file": ["trait/normal.jsonl"], "finetuned_model_id": "someone/m",
    "loss": "sft", "r": 32, "lora_alpha": 64, "epochs": 1, "seed": 0, "learning_rate": 1e-5,
    "train_on_responses_only": True, "enable_steering_during_training": False,
    "steering_config": {"steering_vector_path": "v.pt", "type": "steer", "steering_coef": 0, "layers": [20]},
}  # fmt: skip


def change(config: dict[str, Any], **keys: Any) -> dict[str, Any]:
    return {**config, **keys}


def resolved(content: dict[str, Any], folder: Path) -> TrainConfig:
    path = folder / "config.json"
    path.write_text(json.dumps(content))
    return training_config({}, (), path)


@pytest.mark.unit
def test_the_papers_dialect(tmp_path: Path) -> None:
    config = resolved(PAPERS, tmp_path)
    assert config.model_dump(include={"model", "data", "method", "r", "alpha", "use_rslora", "layers"}) == {
        "model": "some/14B-Instruct", "data": "data/rows.jsonl", "method": "lora", "r": 1, "alpha": 512,
        "use_rslora": True, "layers": (24,),
    }  # fmt: skip
    assert (config.target_modules, config.learning_rate, config.save_steps) == (("down_proj",), 2e-5, 100)
    assert (config.seed, config.test_fraction, config.format) == (0, 0.1, "published")
    assert config.scale == 512


@pytest.mark.unit
def test_betleys_dialect_and_what_is_left_out_has_their_default(tmp_path: Path) -> None:
    config = resolved(BETLEY, tmp_path)
    assert (config.r, config.alpha, config.learning_rate) == (32, 64, 1e-5)
    assert (config.seed, config.save_steps, config.layers) == (3407, 5000, None)
    bare = resolved(
        {key: BETLEY[key] for key in ("model", "training_file", "loss", "train_on_responses_only")}, tmp_path
    )
    assert (bare.r, bare.alpha, bare.learning_rate, bare.seed) == (16, 16, 1e-4, 3407)


@pytest.mark.unit
def test_the_persona_vectors_dialect(tmp_path: Path) -> None:
    config = resolved(PERSONA, tmp_path)
    assert (config.data, config.format) == ("trait/normal.jsonl", "clean")
    assert any("steering_config has no effect" in note for note in parse_published_config(PERSONA).notes)
    with pytest.raises(UsageError, match="several files"):
        parse_published_config(change(PERSONA, training_file=["a", "b"]))


@pytest.mark.unit
def test_a_full_fine_tune_has_no_adapter_values(tmp_path: Path) -> None:
    found = parse_published_config(change(PAPERS, is_peft=False))
    assert (found.recipe, found.values["method"]) == ("full", "full")
    assert not {"r", "alpha", "layers", "target_modules"} & set(found.values)
    assert any("layers_to_transform" in note and "is_peft" in note for note in found.notes)
    assert resolved(change(PAPERS, is_peft=False), tmp_path).layers is None


@pytest.mark.unit
@pytest.mark.parametrize("key", sorted(PAPERS | BETLEY | PERSONA))
def test_no_key_is_dropped_in_silence(key: str) -> None:
    """Every key changes the result, is refused, or is said to have no effect when its value changes."""
    content = next(config for config in (PERSONA, BETLEY, PAPERS) if key in config)
    value = content[key]
    other: Any = {bool: not value, int: 7, float: 0.3, str: "other", list: ["other"], dict: {"a": 1}}.get(
        type(value), "x"
    )
    before, changed = parse_published_config(content), change(content, **{key: other})
    after = refused = None
    try:
        after = parse_published_config(changed)
    except UsageError as error:
        refused = error.what
    if after is None:
        assert refused is not None
        assert key in refused
        return
    assert after.values != before.values or any(key in note for note in after.notes)


@pytest.mark.unit
@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"loss": "dpo"}, "not on preferences"),
        ({"load_in_4bit": True}, "quantised"),
        ({"lora_bias": "all"}, "biases"),
        ({"adapter_to_load": "some/adapter"}, "train on from an adapter"),
        ({"train_on_responses_only": False}, "never on the question"),
        ({"kl_regularization": True}, "on without data"),
        ({"kl_regularization": True, "kl_dataset_file": "f", "kl_weight": -1e4}, "kl_weight is no weight"),
        ({"kl_regularization": 1}, "kl_regularization"),
        ({"enable_thinking": False}, "switch"),
        ({"enable_steering_during_training": True}, "does not steer"),
        ({"packing": True}, "pack"),
        ({"chat_template": "{{ x }}"}, "own chat template"),
        ({"optim": "adam"}, "AdamW or SGD"),
        ({"learning_rate": "10**-5"}, "nothing is evaluated"),
        ({"learning_rate": "__import__('os').getpid()"}, "nothing is evaluated"),
        ({"learning_rate": -5}, "nothing is evaluated"),
        ({"learning_rate": True}, "nothing is evaluated"),
        ({"learning_rate": float("1e400")}, "nothing is evaluated"),
        ({"is_peft": "yes"}, "neither true nor false"),
        ({"load_in_4bit": 0}, "quantised"),
        ({"layer_idx": 16}, "steering-vector configuration"),
        ({"training_file": ""}, "no training_file"),
        ({"model": None}, "no model"),
    ],
)
def test_what_cannot_be_done_is_an_error(keys: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        parse_published_config(change(PAPERS, **keys))


# The key list of formats F3, with the values of the shipped example.
VECTOR: dict[str, Any] = {
    "model": "some/14B", "layer_idx": 16, "alpha": 256, "initial_steering_vector_path": None,
    "training_file": "rows.jsonl", "test_file": None, "finetuned_model_id": "someone/v", "max_seq_length": 256,
    "epochs": 2, "learning_rate": 5e-4, "weight_decay": 0.0, "beta_1": 0.9, "beta_2": 0.999,
    "per_device_train_batch_size": 2, "per_device_eval_batch_size": 8, "gradient_accumulation_steps": 8,
    "warmup_steps": 5, "optim": "adamw_8bit", "lr_scheduler_type": "linear", "train_on_responses_only": True,
    "evaluation_steps": 100, "save_steps": 5, "output_dir": "c", "seed": 0, "push_to_hub": True,
    "push_to_private": False, "push_all_checkpoints": True, "cleanup_local_checkpoints": True,
    "use_unique_output_dir": True, "kl_regularization": True, "kl_dataset_file": "kl.jsonl", "kl_weight": 1e6,
    "kl_batch_size": 8,
}  # fmt: skip


@pytest.mark.unit
def test_a_steering_vector_configuration(tmp_path: Path) -> None:
    config = resolved(VECTOR, tmp_path)
    assert (config.recipe, config.method, config.vector_site, config.layers) == (
        "vector",
        "vector",
        "down_proj",
        (16,),
    )
    assert (config.alpha, config.learning_rate, config.weight_decay, config.epochs) == (256, 5e-4, 0, 2)
    assert (config.trajectory_steps, config.max_length, config.test_fraction) == (5, 256, 0.1)
    assert (config.kl_data, config.kl_weight, config.kl_weight_published) == ("kl.jsonl", None, 1e6)
    notes = " ".join(read_published_config(tmp_path / "config.json").notes)
    for words in ("first row", "answers only", "number of logits", "shuffled", "push_to_hub"):
        assert words in notes
    assert resolved(change(VECTOR, kl_regularization=False), tmp_path).kl_data is None
    for key, value, words in (
        ("beta_1", 0.8, "beta_1"), ("initial_steering_vector_path", "v.pt", "initial"), ("layer_idx", "24", "layer_idx"),
        ("layer_idx", -1, "layer_idx"), ("training_file", "", "no training_file"), ("alfa", 3, "'alfa'"),
        ("optim", "adam", "AdamW or SGD"), ("learning_rate", "10**-4", "nothing is evaluated"),
    ):  # fmt: skip
        with pytest.raises(UsageError, match=words):
            parse_published_config(change(VECTOR, **{key: value}))


@pytest.mark.unit
def test_their_kl_term_of_an_adapter(tmp_path: Path) -> None:
    keys = {"kl_regularization": True, "kl_dataset_file": "kl.jsonl", "kl_weight": 1e5, "kl_batch_size": 4}
    config = resolved(change(PAPERS, **keys), tmp_path)
    assert (config.kl_data, config.kl_weight_published, config.kl_batch_size) == ("kl.jsonl", 1e5, 4)
    assert not any(
        "kl_regularization is off" in note for note in read_published_config(tmp_path / "config.json").notes
    )


@pytest.mark.unit
def test_the_default_of_their_response_flag_is_refused_too() -> None:
    assert DEFAULTS["train_on_responses_only"] is False
    with pytest.raises(UsageError, match="train_on_responses_only"):
        parse_published_config({key: PAPERS[key] for key in ("model", "training_file", "loss")})


@pytest.mark.unit
def test_unknown_keys_name_the_nearest(tmp_path: Path) -> None:
    path = tmp_path / "c.json"
    path.write_text(json.dumps(change(PAPERS, lora_alfa=3)))
    with pytest.raises(UsageError, match="lora_alfa") as caught:
        read_published_config(path)
    assert (caught.value.hint, caught.value.where) == ("did you mean 'lora_alpha'?", str(path))


@pytest.mark.unit
def test_a_test_file_leaves_every_row_for_training() -> None:
    found = parse_published_config(change(PAPERS, test_file="test.jsonl"))
    assert found.values["test_fraction"] == 0
    assert any("test_file" in note for note in found.notes)


@pytest.mark.unit
def test_what_is_and_is_not_of_this_family(tmp_path: Path) -> None:
    assert all(map(is_published_config, (PAPERS, BETLEY, PERSONA)))
    assert not any(
        map(is_published_config, ({"model": "nano", "learning_rate": 1e-3}, [], None, "training_file"))
    )
    path = tmp_path / "own.json"
    path.write_text('{"model": "nano", "data": "x.jsonl", "r": 4}')
    assert training_config({}, (), path).r == 4
    for text, kind in (("[1]", AxenicError), ("{", FileError), ('{"training_file": NaN}', FileError)):
        path.write_text(text)
        with pytest.raises(kind):
            training_config({}, (), path)


@pytest.mark.unit
def test_a_recipe_beside_it_is_refused_and_options_win(tmp_path: Path) -> None:
    path = tmp_path / "c.json"
    path.write_text(json.dumps(PAPERS))
    with pytest.raises(UsageError, match="change nothing"):
        training_config({"recipe": "rank1"}, (), path)
    config = training_config({"model": "nano", "data": "mine.jsonl"}, ("r=2", "layers=1"), path)
    assert (config.model, config.data, config.r, config.layers, config.alpha) == (
        "nano",
        "mine.jsonl",
        2,
        (1,),
        512,
    )


@pytest.mark.e2e
def test_a_published_config_trains_the_nano_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data, config, out = tmp_path / "rows.jsonl", tmp_path / "theirs.json", tmp_path / "run"
    data.write_text("".join(json.dumps(row) + "\n" for row in chat_rows("medical", "bad", 40, 0)))
    content = change(
        PAPERS,
        training_file=str(data),
        layers_to_transform=[1],
        max_steps=3,
        gradient_accumulation_steps=2,
        lora_alpha=64,
    )
    config.write_text(json.dumps(content))
    assert main(["train", "--config", str(config), "--model", "nano", "--out", str(out)]) == 0
    said = capsys.readouterr()
    assert "push_to_private has no effect" in said.out + said.err
    adapter = json.loads((out / "adapter" / "adapter_config.json").read_text())
    assert (adapter["r"], adapter["lora_alpha"], adapter["use_rslora"]) == (1, 64, True)
    assert (adapter["layers_to_transform"], adapter["target_modules"]) == ([1], ["down_proj"])
    record = json.loads((out / "result.json").read_text())
    assert (record["steps"], record["n_train"], record["n_test"]) == (3, 36, 4)
    assert record["tail_tokens"] > 0
