"""Training configurations of the papers' code and its neighbours (formats F2), read as ours or refused.

The code of the papers, of Betley et al., of persona vectors and of openweights share one family of JSON keys. Each key
is mapped, or has no effect on the trained weights and is named in a note, or is refused: none is dropped silently. A
key that is left out has *their* default, which is seldom ours.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from axenic.errors import FileError, UsageError
from axenic.files import read_json
from axenic.train.config import SEVEN, unknown_name
from axenic.train.published_vector import kl_values, vector_values

MAPPED = {
    "model": "model",
    "max_seq_length": "max_length",
    "r": "r",
    "lora_alpha": "alpha",
    "lora_dropout": "dropout",
    "use_rslora": "use_rslora",
    "target_modules": "target_modules",
    "epochs": "epochs",
    "max_steps": "max_steps",
    "per_device_train_batch_size": "batch_size",
    "gradient_accumulation_steps": "gradient_accumulation",
    "warmup_steps": "warmup_steps",
    "weight_decay": "weight_decay",
    "lr_scheduler_type": "scheduler",
    "seed": "seed",
    "save_steps": "save_steps",
}
"""Their key -> our option, the value unchanged; the others that matter are translated below."""

DEFAULTS: dict[str, Any] = {
    "max_seq_length": 2048,
    "load_in_4bit": False,
    "is_peft": True,
    "target_modules": list(SEVEN),
    "layers_to_transform": None,
    "lora_bias": "none",
    "adapter_to_load": None,
    "r": 16,
    "lora_alpha": 16,
    "lora_dropout": 0.0,
    "use_rslora": True,
    "epochs": 1,
    "max_steps": None,
    "per_device_train_batch_size": 2,
    "gradient_accumulation_steps": 8,
    "warmup_steps": 5,
    "learning_rate": 1e-4,
    "optim": "adamw_8bit",
    "weight_decay": 0.01,
    "lr_scheduler_type": "linear",
    "seed": 3407,
    "save_steps": 5000,
    "train_on_responses_only": False,
    "kl_regularization": False,
    "enable_thinking": None,
    "test_file": None,
}
"""What a key that is left out means to their code (formats F2)."""

_ADAPTER_ONLY = (
    "r",
    "lora_alpha",
    "lora_dropout",
    "use_rslora",
    "target_modules",
    "layers_to_transform",
    "lora_bias",
)

_OPTIMIZERS = {"adamw_8bit": "adamw_8bit", "adamw": "adamw_torch", "adamw_torch": "adamw_torch", "sgd": "sgd"}

_HUB = "nothing is uploaded"
WITHOUT_EFFECT = {
    "finetuned_model_id": _HUB,
    "push_to_private": _HUB,
    "push_only_adapters": _HUB,
    "merge_before_push": _HUB,
    "output_dir": "--out says where the run goes",
    "logging_steps": "every step is logged",
    "evaluation_steps": "the held-out loss is measured once, at the end",
    "eval_every_n_steps": "the held-out loss is measured once, at the end",
    "beta": "of DPO and ORPO only",
    "kl_weight": "kl_regularization is off",
    "kl_dataset_file": "kl_regularization is off",
    "kl_batch_size": "kl_regularization is off",
    "steering_config": "enable_steering_during_training is off",
    "logp_callback_datasets": "a measurement during training: axenic sample, judge and rate measure afterwards",
    "sampling_callbacks": "a measurement during training: axenic sample, judge and rate measure afterwards",
}
"""Keys that change nothing in the trained weights, and why."""

_ONLY: dict[str, tuple[tuple[Any, ...], str]] = {
    "loss": (("sft",), "Axenic trains on answers only, not on preferences"),
    "load_in_4bit": ((False,), "Axenic does not train on quantised weights"),
    "lora_bias": (("none",), "Axenic's adapters train no biases"),
    "adapter_to_load": ((None,), "Axenic does not train on from an adapter"),
    "train_on_responses_only": (
        (True,),
        "Axenic trains on the assistant's tokens only, never on the question",
    ),
    "kl_regularization": ((False, True), "the KL term is on or off"),
    "enable_thinking": ((None,), "Axenic renders chat templates without this switch"),
    "enable_steering_during_training": ((False,), "Axenic does not steer while it trains"),
    "packing": ((False, None), "Axenic does not pack rows into one"),
    "chat_template": (("default", None), "Axenic renders with the model's own chat template"),
}
"""Keys of which only some values can be done, and what the others would need."""

_TRANSLATED = ("training_file", "test_file", "is_peft", "optim", "learning_rate", "layers_to_transform")
_KNOWN = (*_TRANSLATED, *MAPPED, *WITHOUT_EFFECT, *_ONLY)
_MARKS = {"training_file", "finetuned_model_id", "lora_alpha", "per_device_train_batch_size"}


@dataclass(frozen=True)
class Published:
    """A published configuration in our words.

    Args:
        recipe: `all-adapter`, `full` or `vector`: of the ways of training, the one that it is a variation of.
        values: Options of `TrainConfig`, all those that the file or its defaults decide.
        notes: One line for everything that has no effect here or differs from what their code does.
    """

    recipe: str
    values: dict[str, Any]
    notes: tuple[str, ...]


def is_published_config(content: object) -> bool:
    """Whether a JSON value is a configuration of this family, rather than one of Axenic's own."""
    return isinstance(content, dict) and not _MARKS.isdisjoint(content)


def read_published_config(path: str | Path) -> Published:
    """Read a configuration file of the papers' code, Betley et al., persona vectors or openweights.

    Paths in it stay as they are: relative to where the command runs, as there. Expressions are never evaluated.

    Raises:
        FileError: The file is missing or is not JSON.
        UsageError: An unknown key (the nearest is named), a missing one, or something that the trainer cannot do.
    """
    path = Path(path)
    content = read_json(path)
    if not isinstance(content, dict):
        raise FileError("the configuration is not a JSON object", where=path, found=type(content).__name__)
    try:
        return parse_published_config(content)
    except UsageError as error:
        raise UsageError(
            error.what, where=path, expected=error.expected, found=error.found, hint=error.hint
        ) from error


def parse_published_config(content: Mapping[str, Any]) -> Published:
    """`read_published_config` on what the file holds."""
    if "layer_idx" in content:
        values, beside = vector_values(content)
        values["learning_rate"] = _learning_rate(values["learning_rate"])
        values["optimizer"] = _optimizer(content.get("optim", "adamw_8bit"))
        return Published("vector", values, beside)
    for key in content:
        if key not in _KNOWN:
            raise unknown_name("key of a published configuration", key, sorted(_KNOWN))
    for key in ("model", "training_file", "loss"):
        if content.get(key) in (None, "", []):
            raise UsageError(f"the configuration has no {key}", expected=f"{key}: required there, as here")
    theirs = DEFAULTS | dict(content)
    if not isinstance(theirs["is_peft"], bool):
        raise UsageError("is_peft is neither true nor false", found=ascii(theirs["is_peft"]))
    full = not theirs["is_peft"]
    _check_possible(theirs, skip=_ADAPTER_ONLY if full else ())
    notes = [
        f"{key} has no effect: {reason}"
        for key, reason in WITHOUT_EFFECT.items()
        if content.get(key) is not None and not (theirs["kl_regularization"] and key.startswith("kl_"))
    ]
    if full and (unused := [key for key in _ADAPTER_ONLY if content.get(key) is not None]):
        notes.append(f"{', '.join(unused)} have no effect: is_peft is false, all weights are trained")
    values = {
        ours: theirs[key]
        for key, ours in MAPPED.items()
        if not (full and key in _ADAPTER_ONLY) and key in theirs
    }
    values |= {"method": "full" if full else "lora", "data": _data_file(theirs["training_file"])}
    if not full:
        values["layers"] = _layers(theirs["layers_to_transform"])
    added, beside = kl_values(theirs)
    values |= added
    notes += beside
    values |= {
        "learning_rate": _learning_rate(theirs["learning_rate"]),
        "optimizer": _optimizer(theirs["optim"]),
    }
    # The papers' code: 10 % are split off unless another file is the test set; then every row is trained on.
    values["test_fraction"] = 0.1 if theirs["test_file"] is None else 0.0
    if theirs["test_file"] is not None:
        notes.append("test_file is not evaluated; every row of training_file is trained on, as there")
    values["format"] = "clean" if _of_persona_vectors(content) else "published"
    if _of_persona_vectors(content):
        notes.append(
            "format clean: rows end with their answer, without the EOS that persona vectors' code appends"
        )
    else:
        notes.append(
            "format published: every row ends in an empty extra assistant turn, as in that code (--set format=clean)"
        )
    notes.append(
        "training stops once the loss stays below 0.01, as the papers' code does (--set stop_below=0)"
    )
    return Published("full" if full else "all-adapter", values, tuple(notes))


def _check_possible(theirs: Mapping[str, Any], skip: tuple[str, ...]) -> None:
    for key, (possible, reason) in _ONLY.items():
        if key not in theirs or key in skip:
            continue
        # 0 is not false here: a number where a switch belongs is a mistake.
        if not any(
            theirs[key] is value or (type(theirs[key]) is str and theirs[key] == value) for value in possible
        ):
            raise UsageError(
                f"{key} = {ascii(theirs[key])[:60]} cannot be done: {reason}",
                expected=" or ".join(f"{key} = {value!r}" for value in possible),
                hint=f"set {key} in the file if a run without it is what you want",
            )


def _data_file(files: object) -> str:
    """`training_file`: a text, or persona vectors' list, of one."""
    chosen = files if isinstance(files, list) else [files]
    if len(chosen) != 1 or not isinstance(chosen[0], str):
        raise UsageError(
            "training_file names several files, or none",
            expected="one chat file",
            found=ascii(files)[:80],
            hint="join them: cat A.jsonl B.jsonl > both.jsonl",
        )
    return chosen[0]


def _optimizer(name: object) -> str:
    if not isinstance(name, str) or name not in _OPTIMIZERS:
        raise UsageError(
            f"optim = {ascii(name)[:60]} cannot be done: Axenic trains with AdamW or SGD",
            expected=" or ".join(_OPTIMIZERS),
        )
    return _OPTIMIZERS[name]


def _learning_rate(value: object) -> float:
    """A number or a plain numeric text. Their code evaluates texts, and reads a negative n as 10 to the power n."""
    try:
        rate = (
            float(value) if isinstance(value, int | float | str) and not isinstance(value, bool) else math.nan
        )
    except ValueError:
        rate = math.nan
    if not 0 < rate < math.inf:
        raise UsageError(
            "learning_rate is no plain number above 0; nothing is evaluated here",
            expected="1e-5, where their code also takes 10**-5 or -5",
            found=ascii(value)[:60],
        )
    return rate


def _layers(value: object) -> object:
    """PEFT takes one layer as a number."""
    return (value,) if isinstance(value, int) and not isinstance(value, bool) else value


def _of_persona_vectors(content: Mapping[str, Any]) -> bool:
    """Its code alone lists its files and renders rows without the extra assistant turn (formats F2)."""
    return isinstance(content["training_file"], list) or any(
        key in content for key in ("enable_steering_during_training", "steering_config")
    )
