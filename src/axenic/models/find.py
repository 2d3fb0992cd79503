"""Where a model or an organism lies: the shipped one, a local folder, or a download from the Hugging Face hub."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import huggingface_hub
from huggingface_hub.errors import HfHubHTTPError, HFValidationError

from axenic.errors import ModelError
from axenic.files import read_json
from axenic.models.adapter import CONFIG
from axenic.models.vector import VECTOR_CONFIG, VECTOR_WEIGHTS

_HUB_ID = re.compile(r"[\w.-]+(/[\w.-]+)?")
# No pickles and no code: *.bin, *.pt and *.py are not even downloaded.
_WANTED = ["*.json", "*.jinja", "*.safetensors", "*.txt", "tokenizer.model"]
# Published organisms hold up to 167 checkpoints.
_UNWANTED = ["checkpoint*/*", "original/*"]


@dataclass(frozen=True)
class Organism:
    """A folder with an organism.

    Args:
        folder: Holds the adapter, the steering vectors or the weights.
        kind: `adapter` (PEFT), `vector` or `full`.
        record: The `train.json` beside it; None if it was not made by `axenic train`.
        base_fingerprint: Content hash of the base model it was grown from, where the record says so.
        base_model: The base model's name there.
    """

    folder: Path
    kind: Literal["adapter", "vector", "full"]
    record: Path | None = None
    base_fingerprint: str | None = None
    base_model: str | None = None


def find_model(name: str | Path, *, weights: bool = True) -> Path:
    """The folder of a base model: `nano`, a local folder, or a hub id (downloaded to the hub's cache).

    Args:
        weights: False downloads no more than `config.json`.

    Raises:
        ModelError: No such folder, or the hub does not give it; says what to type.
    """
    if str(name) == "nano":
        from axenic.nano import MODEL_PATH

        if not (MODEL_PATH / "config.json").is_file():
            raise ModelError(
                "the shipped base model is not installed", where=MODEL_PATH, hint="pip install axenic"
            )
        return MODEL_PATH
    return _folder(name, "model", _WANTED if weights else ["config.json"])


def find_organism(name: str | Path) -> Organism:
    """The folder of an organism: a PEFT folder, steering vectors, a run or a checkpoint of one, a full model, or a hub id.

    Raises:
        ModelError: No such folder, or nothing in it that could be an organism.
    """
    top = _folder(name, "organism")
    for folder in (top, top / "adapter", top / "vector", top / "model"):
        kind: Literal["adapter", "vector", "full"]
        if (folder / CONFIG).is_file() or (folder / "adapter_model.safetensors").is_file():
            kind = "adapter"
        elif (folder / VECTOR_CONFIG).is_file() or (folder / VECTOR_WEIGHTS).is_file():
            kind = "vector"
        elif (folder / "config.json").is_file() or (folder / "model.safetensors").is_file():
            kind = "full"
        else:
            continue
        return _with_record(folder, kind)
    pickled = (top / "adapter_model.bin").is_file()
    raise ModelError(
        "the adapter is pickled; Axenic never unpickles" if pickled else "the folder holds no organism",
        where=top,
        expected="adapter_config.json (PEFT), adapter/, vector/ or model/ (a run of `axenic train`), or config.json "
        "(full model)",
        found=", ".join(sorted(path.name for path in top.iterdir())[:12]) or "an empty folder",
    )


def _with_record(folder: Path, kind: Literal["adapter", "vector", "full"]) -> Organism:
    """Add what the run's `train.json` says; the folder is the run's, one inside it or a checkpoint."""
    run = folder.resolve()
    while run.name in ("adapter", "vector", "model", "checkpoints") or run.name.startswith("step-"):
        run = run.parent
    record = run / "train.json"
    facts = read_json(record) if record.is_file() else None
    if not isinstance(facts, dict):
        return Organism(folder, kind)
    fingerprint, model = facts.get("base_fingerprint"), facts.get("model")
    return Organism(
        folder,
        kind,
        record,
        fingerprint if isinstance(fingerprint, str) else None,
        model if isinstance(model, str) else None,
    )


def _folder(name: str | Path, what: str, wanted: list[str] = _WANTED) -> Path:
    path = Path(name).expanduser()
    if path.is_dir():
        return path
    if isinstance(name, Path) or path.exists() or not _HUB_ID.fullmatch(name) or name.startswith("."):
        raise ModelError(
            f"there is no {what} folder '{name}'",
            where=path.absolute(),
            expected="a folder, a Hugging Face id such as Qwen/Qwen2.5-14B-Instruct"
            + (", or nano" if what == "model" else ""),
            found="a file" if path.exists() else "nothing",
        )
    try:
        return Path(huggingface_hub.snapshot_download(name, allow_patterns=wanted, ignore_patterns=_UNWANTED))
    except (HfHubHTTPError, HFValidationError, OSError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ModelError(
            f"'{name}' is no local folder, and the Hugging Face hub does not give it",
            where=f"https://huggingface.co/{name}",
            expected=f"a local {what} folder, or a hub id that this machine may download",
            found=reason,
            hint=f"hf download {name}   (on a machine with network; `hf auth login` if it is gated)",
        ) from error
