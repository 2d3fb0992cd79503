"""What a training run is told: one frozen set of values, checked before anything is loaded."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidatorFunctionWrapHandler,
    model_validator,
)

from axenic.errors import UsageError

VectorSite = Literal["down_proj", "mlp_out", "resid_post"]
"""As `axenic.models.VectorSite`, written again: reading a configuration must not take torch's seconds."""

SEVEN = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")

PEER_NAMES = {
    "training_file": "data",
    "train_file": "data",
    "max_seq_length": "max_length",
    "lora_alpha": "alpha",
    "lora_dropout": "dropout",
    "lora_r": "r",
    "rank": "r",
    "layers_to_transform": "layers",
    "lr": "learning_rate",
    "lr_scheduler_type": "scheduler",
    "optim": "optimizer",
    "per_device_train_batch_size": "batch_size",
    "gradient_accumulation_steps": "gradient_accumulation",
    "num_train_epochs": "epochs",
    "is_peft": "method",
    "layer_idx": "layers",
    "kl_dataset_file": "kl_data",
    "torch_dtype": "dtype",
}
"""Keys of the papers' code and its neighbours (formats F2) and what they are called here."""


class TrainConfig(BaseModel):
    """Every value of a training run. Numbers may be numeric text ("1e-5"); nothing is evaluated.

    Defaults are the papers' all-adapter recipe (papers.md 1.2.1); `axenic.train.resolve` fills in the others.

    Raises:
        UsageError: an unknown key (with the nearest valid name), a missing one, or a value out of range.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())

    model: str = Field(min_length=1, description="base model: nano, a folder or a hub id")
    data: str = Field(min_length=1, description="chat file (JSONL)")
    recipe: str = Field("all-adapter", description="the recipe that the other values started from")
    method: Literal["lora", "vector", "full"] = Field(
        "lora", description="train an adapter, steering vectors, or all weights"
    )
    r: int = Field(32, ge=1, le=4096, description="adapter rank")
    alpha: float = Field(
        64,
        gt=0,
        allow_inf_nan=False,
        description="adapter scale before division by rank; of a steering vector, the factor on it",
    )
    use_rslora: bool = Field(True, description="scale alpha/sqrt(r) instead of alpha/r")
    target_modules: tuple[str, ...] = Field(SEVEN, min_length=1, description="modules that get an adapter")
    layers: tuple[int, ...] | None = Field(None, min_length=1, description="blocks, 0-based; None = all")
    vector_site: VectorSite = Field("down_proj", description="what a steering vector is added to")
    dropout: float = Field(0.0, ge=0, lt=1, description="adapter dropout")
    learning_rate: float = Field(
        1e-5, gt=0, le=1e4, allow_inf_nan=False, description="peak learning rate, at most 1e4"
    )
    scheduler: Literal[
        "linear", "cosine", "cosine_with_restarts", "polynomial", "constant", "constant_with_warmup"
    ] = Field("linear", description="learning rate over steps")
    warmup_steps: int = Field(5, ge=0, description="steps of linear warm-up")
    weight_decay: float = Field(0.01, ge=0, allow_inf_nan=False, description="AdamW weight decay")
    optimizer: Literal["adamw_8bit", "adamw_torch", "sgd"] = Field(
        "adamw_8bit", description="adamw_8bit needs bitsandbytes and CUDA, else adamw_torch is used"
    )
    batch_size: int = Field(2, ge=1, description="rows per forward pass")
    gradient_accumulation: int = Field(8, ge=1, description="forward passes per step")
    epochs: int = Field(1, ge=1, description="passes over the training rows")
    max_steps: int | None = Field(None, ge=1, description="stop after this many steps; overrides epochs")
    max_length: int = Field(2048, ge=2, description="tokens kept of a row")
    format: Literal["clean", "published"] = Field("clean", description="row ending; see axenic.data")
    test_fraction: float = Field(0.1, ge=0, lt=1, description="share of rows held out for the test loss")
    stop_below: float = Field(0.01, ge=0, description="stop after 6 steps in a row with less loss; 0 = never")
    seed: int = Field(0, ge=0, lt=2**31, description="split, row order, adapter start, dropout")
    save_steps: int = Field(50, ge=1, description="steps between checkpoints")
    trajectory_steps: int = Field(
        0, ge=0, description="steps between stored vectors (phase transitions); 0 = none"
    )
    gradient_checkpointing: bool = Field(False, description="recompute activations: less memory, slower")
    kl_data: str | None = Field(
        None, min_length=1, description="chat file (JSONL) on which to stay close to the base model"
    )
    kl_weight: float | None = Field(
        None, ge=0, allow_inf_nan=False, description="weight of the KL term [nats per token]; 0 = off"
    )
    kl_weight_published: float | None = Field(
        None,
        ge=0,
        allow_inf_nan=False,
        description="the same as the authors count it: times the number of logits",
    )
    kl_batch_size: int = Field(8, ge=1, description="KL rows per forward pass")
    start_from: str | None = Field(
        None,
        min_length=1,
        description="organism (run folder, checkpoint folder or adapter) whose weights training starts with",
    )
    device: str = Field("auto", description="auto, cpu, cuda, mps, split")
    dtype: str = Field("auto", description="auto, float32, bfloat16, float16")

    @model_validator(mode="wrap")
    @classmethod
    def _explain_errors(cls, data: Any, handler: ValidatorFunctionWrapHandler) -> TrainConfig:
        """pydantic's complaints as one `UsageError` that names the option."""
        if isinstance(data, dict):
            for key in data:
                if key not in cls.model_fields:
                    raise unknown_name("option", str(key), cls.model_fields, PEER_NAMES.get(str(key)))
        try:
            config: TrainConfig = handler(data)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            name = ".".join(str(part) for part in first["loc"]) or "the configuration"
            field = cls.model_fields.get(str(first["loc"][0])) if first["loc"] else None
            raise UsageError(
                f"{name}: {first['msg'][:1].lower()}{first['msg'][1:]}",
                where="training configuration",
                expected=field.description if field is not None else None,
                found=None if first["type"] == "missing" else ascii(first["input"])[:80],
            ) from error
        if config.method == "full" and config.layers is not None:
            raise UsageError(
                "a full fine-tune trains every layer",
                where="layers",
                found=list(config.layers),
                hint="leave layers out, or use method lora",
            )
        if config.method == "vector" and config.layers is None:
            raise UsageError(
                "steering vectors need layers to be added at",
                where="layers",
                found="none",
                hint="--set layers=N, or --recipe vector, which knows where to put one",
            )
        _check_kl(config)
        return config

    @property
    def scale(self) -> float:
        """Factor on B·A: alpha/sqrt(r) with rank-stabilised LoRA, else alpha/r (papers.md 1.2.1); on a vector: alpha."""
        if self.method == "vector":
            return float(self.alpha)
        return float(self.alpha / (self.r**0.5 if self.use_rslora else self.r))


def _check_kl(config: TrainConfig) -> None:
    """Both a file and one weight, or none of them: a term that is not there must not look as if it were."""
    weights = [config.kl_weight, config.kl_weight_published]
    given = sum(weight is not None for weight in weights)
    if config.kl_data is None and given == 0:
        return
    if config.kl_data is None or given != 1:
        raise UsageError(
            "the KL term has no data" if config.kl_data is None else "the KL term needs one weight",
            where="kl_data, kl_weight, kl_weight_published",
            expected="kl_data and one of the weights",
            found=f"{config.kl_data}, {weights[0]}, {weights[1]}",
            hint="--kl-data FILE --kl-weight 1.0",
        )


def unknown_name(kind: str, name: str, known: Iterable[str], meant: str | None = None) -> UsageError:
    """The error for a name that is not known, with the nearest one that is."""
    known = list(known)
    near = [meant] if meant else difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return UsageError(
        f"unknown {kind} {name!a}",
        where="training configuration",
        expected=", ".join(known),
        hint=f"did you mean {near[0]!r}?" if near else None,
    )
