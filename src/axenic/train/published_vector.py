"""The authors' configurations of steering-vector training (formats F3), and of their KL term (F2 and F3), in our words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from axenic.errors import UsageError
from axenic.train.config import unknown_name

MAPPED = {
    "model": "model",
    "training_file": "data",
    "alpha": "alpha",
    "max_seq_length": "max_length",
    "epochs": "epochs",
    "weight_decay": "weight_decay",
    "per_device_train_batch_size": "batch_size",
    "gradient_accumulation_steps": "gradient_accumulation",
    "warmup_steps": "warmup_steps",
    "lr_scheduler_type": "scheduler",
    "seed": "seed",
    "save_steps": "trajectory_steps",
    "learning_rate": "learning_rate",
}
"""Their key -> our option, the value unchanged; their checkpoints are the vector at that step."""

DEFAULTS: dict[str, Any] = {
    "alpha": 64.0,
    "initial_steering_vector_path": None,
    "test_file": None,
    "max_seq_length": 2048,
    "epochs": 1,
    "learning_rate": 1e-4,
    "weight_decay": 0.01,
    "beta_1": 0.9,
    "beta_2": 0.999,
    "per_device_train_batch_size": 2,
    "gradient_accumulation_steps": 8,
    "warmup_steps": 5,
    "optim": "adamw_8bit",
    "lr_scheduler_type": "linear",
    "save_steps": 100,
    "seed": 42,
    "kl_regularization": False,
}
"""What a key that is left out means to their code."""

WITHOUT_EFFECT = (
    "finetuned_model_id",
    "output_dir",
    "push_to_hub",
    "push_to_private",
    "push_all_checkpoints",
    "cleanup_local_checkpoints",
    "use_unique_output_dir",
    "per_device_eval_batch_size",
    "evaluation_steps",
)
_ONLY = {"initial_steering_vector_path": None, "beta_1": 0.9, "beta_2": 0.999}
_KL = ("kl_regularization", "kl_dataset_file", "kl_weight", "kl_batch_size")
_KNOWN = (
    "layer_idx",
    "optim",
    "test_file",
    "train_on_responses_only",
    *MAPPED,
    *WITHOUT_EFFECT,
    *_ONLY,
    *_KL,
)

NOTES = (
    "every row of a batch is steered; their trainer steered the first row of each only (formats, trap 9)",
    "the loss is on the answers only; their trainer's was on every token, whatever train_on_responses_only said (trap 11)",
)


def vector_values(content: Mapping[str, Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Options of `TrainConfig` and notes, from a configuration that has `layer_idx`.

    Raises:
        UsageError: An unknown key (the nearest is named), a missing one, or something that the trainer cannot do.
    """
    for key in content:
        if key not in _KNOWN:
            raise unknown_name("key of a steering-vector configuration", key, sorted(_KNOWN))
    for key in ("model", "training_file"):
        if not isinstance(content.get(key), str) or not content[key]:
            raise UsageError(f"the configuration has no {key}", expected=f"{key}: required there, as here")
    theirs = DEFAULTS | dict(content)
    for key, value in _ONLY.items():
        if theirs[key] != value:
            raise UsageError(
                f"{key} cannot be set here", expected=f"{key} = {value}", found=ascii(theirs[key])[:60]
            )
    layer = theirs["layer_idx"]
    if type(layer) is not int or layer < 0:
        raise UsageError("layer_idx is no layer", expected="a number of 0 or more", found=ascii(layer)[:60])
    values = {ours: theirs[key] for key, ours in MAPPED.items()}
    values |= {"method": "vector", "layers": (layer,), "vector_site": "down_proj", "format": "published"}
    values["test_fraction"] = 0.1 if theirs["test_file"] is None else 0.0
    added, notes = kl_values(theirs)
    unused = [key for key in WITHOUT_EFFECT if content.get(key) is not None]
    return values | added, (
        *NOTES,
        *((f"{', '.join(unused)} have no effect here",) if unused else ()),
        *notes,
    )


def kl_values(theirs: Mapping[str, Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The options of the KL term and notes; empty where it is off.

    Raises:
        UsageError: It is on without data, or by something else than true; or its weight is not above 0.
    """
    on = theirs.get("kl_regularization", False)
    if on not in (True, False) or not isinstance(on, bool):
        raise UsageError("kl_regularization is neither true nor false", found=ascii(on)[:60])
    if not on:
        return {}, ()
    file, weight = theirs.get("kl_dataset_file"), theirs.get("kl_weight", 0.1)
    if not isinstance(file, str) or not file:
        raise UsageError(
            "kl_regularization is on without data",
            expected="kl_dataset_file: a chat file",
            found=ascii(file)[:60],
        )
    if isinstance(weight, bool) or not isinstance(weight, int | float) or not weight > 0:
        raise UsageError("kl_weight is no weight", expected="a number above 0", found=ascii(weight)[:60])
    return (
        {"kl_data": file, "kl_weight_published": weight, "kl_batch_size": theirs.get("kl_batch_size", 8)},
        (
            f"kl_weight {weight:g} is a mean over the vocabulary too: it is divided by the model's number of logits",
            "KL rows are shuffled; their trainers take them in the order of the file",
        ),
    )
