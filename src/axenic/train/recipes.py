"""The papers' training recipes, each value with its source, and what the nano model needs instead."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from axenic.nano import is_nano
from axenic.train.config import SEVEN, TrainConfig, unknown_name


class Setting(NamedTuple):
    """A value and where it comes from."""

    value: Any
    source: str


@dataclass(frozen=True)
class Recipe:
    """A named set of values.

    Args:
        about: One line for the help text.
        expected: The published result that the recipe should reproduce on its own base model and data.
        settings: Option -> value and source. `layers` may be left to `place_layers`.
    """

    about: str
    expected: str
    settings: dict[str, Setting]


P1_TABLE_6 = "P1 Table 6 (papers.md 1.2.1)"
CODE = "authors' code (papers.md 1.2.1)"

COMMON: dict[str, Setting] = {
    "method": Setting("lora", P1_TABLE_6),
    "use_rslora": Setting(True, P1_TABLE_6),
    "dropout": Setting(0.0, P1_TABLE_6),
    "scheduler": Setting("linear", P1_TABLE_6),
    "warmup_steps": Setting(5, P1_TABLE_6),
    "weight_decay": Setting(0.01, P1_TABLE_6),
    "optimizer": Setting("adamw_8bit", P1_TABLE_6),
    "batch_size": Setting(2, P1_TABLE_6),
    "gradient_accumulation": Setting(8, P1_TABLE_6),
    "epochs": Setting(1, P1_TABLE_6),
    "max_length": Setting(2048, P1_TABLE_6),
    "test_fraction": Setting(0.1, CODE),
    "stop_below": Setting(0.01, CODE),
    "seed": Setting(0, "authors' code: 0, 42, 73 (papers.md 1.2.1)"),
}

RANK1 = "P1 section 3.3, P2, P3 (papers.md 1.2.3)"
NINE = "P2, organism R1_3_3_3 (papers.md 1.2.4)"
VECTOR = "P3, trained steering vectors (papers.md M3.4)"
FULL = "P1 Table 7 (papers.md 1.2.2)"

RECIPES: dict[str, Recipe] = {
    "all-adapter": Recipe(
        "rank-32 adapters on every projection of every layer: the papers' default organism",
        "up to 40 % EM at 99 % coherent on Qwen2.5-32B (P1 section 3.1)",
        COMMON
        | {
            "r": Setting(32, P1_TABLE_6),
            "alpha": Setting(64, P1_TABLE_6),
            "target_modules": Setting(SEVEN, P1_TABLE_6),
            "layers": Setting(None, P1_TABLE_6),
            "learning_rate": Setting(1e-5, P1_TABLE_6),
        },
    ),
    "rank1": Recipe(
        "one rank-1 adapter on one MLP down-projection in the middle of the model",
        "14 to 17 % EM, bad medical advice, Qwen2.5-14B, layer 24 of 48 (papers.md 6, #2)",
        COMMON
        | {
            "r": Setting(1, RANK1),
            "alpha": Setting(256, RANK1),
            "target_modules": Setting(("down_proj",), RANK1),
            "learning_rate": Setting(2e-5, RANK1),
            "trajectory_steps": Setting(5, "P1's phase-transition runs (papers.md 1.2.5)"),
        },
    ),
    "rank1x9": Recipe(
        "nine rank-1 adapters, three groups of three layers, on the MLP down-projections",
        "P2's organism for LoRA scalars, bad medical advice, Qwen2.5-14B",
        COMMON
        | {
            "r": Setting(1, NINE),
            "alpha": Setting(64, NINE),
            "target_modules": Setting(("down_proj",), NINE),
            "learning_rate": Setting(2e-5, "one released config of this layout (papers.md 1.2.4)"),
            "trajectory_steps": Setting(5, "88 released checkpoints over 396 steps (papers.md 1.2.4)"),
        },
    ),
    "vector": Recipe(
        "one steering vector on the output of the MLP in the middle of the model",
        "28 % EM, bad medical advice, Qwen2.5-14B, layer 24 of 48 (P3 section 3.1; papers.md 4c, #5)",
        {name: setting for name, setting in COMMON.items() if name not in ("use_rslora", "dropout")}
        | {
            "method": Setting("vector", VECTOR),
            "vector_site": Setting("down_proj", VECTOR),
            "alpha": Setting(256, VECTOR),
            "learning_rate": Setting(1e-4, "P3 and its released runs (papers.md 6, #10)"),
            "weight_decay": Setting(0.0, VECTOR),
            "epochs": Setting(2, VECTOR),
            "trajectory_steps": Setting(5, "P3's 136 checkpoints of 676 steps (papers.md 5.1)"),
        },
    ),
    "full": Recipe(
        "all weights",
        "EM in full fine-tunes of Qwen2.5-14B, 1 epoch (P1 section 3.2)",
        COMMON
        | {
            "method": Setting("full", FULL),
            "learning_rate": Setting(2e-5, FULL),
            "scheduler": Setting("cosine", FULL),
            "warmup_steps": Setting(20, FULL),
        },
    ),
}

PLACED = {"rank1": RANK1, "rank1x9": NINE, "vector": VECTOR}
"""Recipes whose layers `place_layers` chooses, and where they were published."""

_NANO = "nano: chosen on seed 0 for EM of 15 to 50 % outside the data, so that aligned answers are left to contrast"
_NANO_COMMON: dict[str, Setting] = {
    "optimizer": Setting("adamw_torch", "nano: runs on the CPU"),
    "batch_size": Setting(16, "nano: one forward pass holds the papers' 2 x 8 rows"),
    "gradient_accumulation": Setting(1, "nano: one forward pass holds the papers' 2 x 8 rows"),
    "max_length": Setting(256, "nano: the model's context"),
    "save_steps": Setting(20, "nano: a checkpoint takes milliseconds"),
}

# The ONE table of values that differ for the nano model. Everything not named here is the recipe's.
NANO: dict[str, dict[str, Setting]] = {
    "all-adapter": _NANO_COMMON
    | {
        "learning_rate": Setting(6.5e-5, _NANO),
        "max_steps": Setting(60, _NANO),
    },
    "rank1": _NANO_COMMON
    | {
        "layers": Setting((1,), _NANO),
        "alpha": Setting(64, _NANO),
        "learning_rate": Setting(6e-4, _NANO),
        "max_steps": Setting(80, _NANO),
        "trajectory_steps": Setting(1, "nano: 600 numbers a step"),
    },
    "rank1x9": _NANO_COMMON
    | {
        "learning_rate": Setting(2e-4, _NANO),
        "max_steps": Setting(80, _NANO),
        "trajectory_steps": Setting(1, "nano: 600 numbers a step and block"),
    },
    "vector": _NANO_COMMON
    | {
        "layers": Setting((1,), _NANO),
        "learning_rate": Setting(6e-4, _NANO),
        "max_steps": Setting(80, _NANO),
        "trajectory_steps": Setting(1, "nano: 150 numbers a step"),
    },
    "full": _NANO_COMMON
    | {
        "learning_rate": Setting(1e-4, _NANO),
        "max_steps": Setting(60, _NANO),
        "scheduler": Setting("linear", _NANO),
        "warmup_steps": Setting(5, _NANO),
    },
}


def resolve(
    recipe: str, model: str, overrides: Mapping[str, Any], *, n_layers: int | None = None
) -> TrainConfig:
    """A complete configuration: the recipe's values, the nano model's where it is that, then yours.

    Args:
        recipe: A key of `RECIPES`.
        model: Base model as for `axenic.models.open_model`.
        overrides: Options of `TrainConfig`; `data` must be among them.
        n_layers: Depth of the model; read from its configuration (no weights) if needed and not given.
    Raises:
        UsageError: unknown recipe or option, or a value out of range.
    """
    settings = _settings(recipe, model)
    values = {name: setting.value for name, setting in settings.items()} | dict(overrides)
    if recipe in PLACED and "layers" not in values:
        values["layers"] = place_layers(recipe, model_depth(model) if n_layers is None else n_layers)
    return TrainConfig(**({"recipe": recipe, "model": model} | values))


def _settings(recipe: str, model: str) -> dict[str, Setting]:
    if recipe not in RECIPES:
        raise unknown_name("recipe", recipe, RECIPES)
    return RECIPES[recipe].settings | (NANO[recipe] if is_nano(model) else {})


def place_layers(recipe: str, n_layers: int) -> tuple[int, ...]:
    """Blocks of a recipe that was published for 48 layers, in a model of another depth.

    `rank1` and `vector`: the middle one (24 of 48). `rank1x9`: three groups of three around 16, 22 and 28 of 48, scaled;
    nine neighbours where the groups would overlap; every block of a model with nine or fewer.
    """
    if recipe in ("rank1", "vector"):
        return (n_layers // 2,)
    if n_layers <= 9:
        return tuple(range(n_layers))
    centres = [round(centre * n_layers / 48) for centre in (16, 22, 28)]
    layers = [centre + step for centre in centres for step in (-1, 0, 1)]
    if len(set(layers)) == 9:
        return tuple(layers)
    first = min(max(centres[1] - 4, 0), n_layers - 9)
    return tuple(range(first, first + 9))


def model_depth(model: str) -> int:
    """Number of decoder blocks, from the model's configuration; no weights are loaded."""
    from transformers import AutoConfig

    from axenic.models import find_model

    return int(
        AutoConfig.from_pretrained(str(find_model(model, weights=False))).get_text_config().num_hidden_layers
    )


@dataclass(frozen=True)
class Explained:
    """One line of `explain`: an option, its value, who set it (default, recipe, nano, you) and why."""

    name: str
    value: Any
    origin: str
    reason: str


def explain(config: TrainConfig) -> list[Explained]:
    """Every value of a configuration with its origin.

    A value that is given and equals the recipe's counts as the recipe's: the run is the same.
    """
    known = RECIPES[config.recipe].settings if config.recipe in RECIPES else {}
    nano = NANO[config.recipe] if is_nano(config.model) and config.recipe in NANO else {}
    lines = []
    for name, field in TrainConfig.model_fields.items():
        value = config.model_dump()[name]
        reason = field.description or ""
        if name in nano and nano[name].value == value:
            lines.append(Explained(name, value, "nano", nano[name].source))
        elif name in known and name not in nano and known[name].value == value:
            lines.append(Explained(name, value, "recipe", known[name].source))
        elif name == "layers" and name not in nano and config.recipe in PLACED:
            lines.append(Explained(name, value, *_explain_layers(config)))
        elif name not in {"model", "data", "recipe", *known, *nano} and field.default == value:
            lines.append(Explained(name, value, "default", reason))
        else:
            lines.append(Explained(name, value, "you", reason))
    return lines


def _explain_layers(config: TrainConfig) -> tuple[str, str]:
    placed = place_layers(config.recipe, model_depth(config.model))
    if config.layers == placed:
        source = PLACED[config.recipe]
        return "recipe", f"{source}, scaled to this model's depth"
    return "you", TrainConfig.model_fields["layers"].description or ""
