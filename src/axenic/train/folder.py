"""The run folder: whose run it holds, whether that is finished, and what belongs to it.

train.json               configuration, base and data hashes, versions
log.jsonl                one line per step
trajectory.safetensors   adapter factors every few steps (if asked for)
checkpoints/             while the run goes on
adapter/, vector/ or model/  the organism
result.json              steps, losses, counts
manifest.json            hashes of all of it; when it is there, the run is finished
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from axenic.errors import CheckpointError, FileError, UsageError
from axenic.files import content_id, read_json, remove_leftovers, verify_manifest, write_json, write_manifest
from axenic.train.checkpoint import Checkpoints
from axenic.train.result import TrainResult

FILES = ("train.json", "log.jsonl", "trajectory.safetensors", "result.json", "manifest.json")
FOLDERS = ("adapter", "vector", "model", "checkpoints")
IDENTITY = (
    "config",
    "base_fingerprint",
    "tokenizer",
    "data_sha256",
    "kl_data_sha256",
    "start_fingerprint",
    "optimizer",
)
"""Keys of `train.json` that make a run what it is. Versions are left out."""

LATER = {
    "vector_site": "down_proj",
    "kl_data_sha256": None,
    "kl_weight": None,
    "kl_weight_published": None,
    "kl_batch_size": 8,
    "start_fingerprint": None,
}
"""Values that came after the first version, with what a run without them had: it stays the same run."""

PATHS = ("data", "kl_data", "start_from")
"""Options that name files; their hashes are in `IDENTITY`."""

HINT = "choose another folder, or repeat the command with --from-scratch"


class RunFolder:
    """The folder of one run.

    Args:
        path: Need not exist.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.log = path / "log.jsonl"
        self.trajectory = path / "trajectory.safetensors"
        self.checkpoints = path / "checkpoints"
        self._record = path / "train.json"
        self._result = path / "result.json"

    def check_owner(self, facts: dict[str, Any]) -> None:
        """Refuse a folder that holds another run; facts that are not given are not compared.

        Raises:
            UsageError: names the first value that differs.
        """
        if not self._record.is_file():
            found = [name for name in FILES[1:] + FOLDERS if (self.path / name).exists()]
            if found:
                raise UsageError(
                    "the folder holds parts of a run but no train.json, so it is not known of which run",
                    where=self.path,
                    found=", ".join(found),
                    hint=HINT,
                )
            return
        # What is left out has the value of `LATER`: a KL term that is taken away is another run too.
        known, new = LATER | _flat(read_json(self._record)), LATER | _flat(facts)
        for key in [key for key in new if key not in known or known[key] != new[key]]:
            raise UsageError(
                f"the folder holds a run with another {key.replace('_', ' ').replace(' sha256', '')}",
                where=self._record,
                expected=f"{key} = {known.get(key)!r}",
                found=f"{key} = {new[key]!r}",
                hint=HINT,
            )

    def keep(self, facts: dict[str, Any]) -> None:
        """Write `train.json`, once."""
        if not self._record.is_file():
            write_json(self._record, facts)

    def finished(self) -> TrainResult | None:
        """The result of a finished run after its bytes have been verified, None if it is not finished.

        A run that was killed between its result and its manifest is finished here.

        Raises:
            CheckpointError: a file of the finished run is damaged.
        """
        if not self._result.is_file():
            return None
        if not (self.path / "manifest.json").is_file():
            self._seal()
        try:
            verify_manifest(self.path)
        except FileError as error:
            raise CheckpointError(
                f"the finished run is damaged: {error.what}",
                where=error.where or self.path,
                expected=error.expected,
                found=error.found,
                hint="repeat the command with --from-scratch, or train into another folder",
            ) from error
        return TrainResult.from_json(self.path, read_json(self._result))

    def finish(self, result: TrainResult) -> None:
        """Store the result and seal the folder."""
        write_json(self._result, result.to_json())
        self._seal()

    def _seal(self) -> None:
        # The result comes first: from there on the checkpoints, which only serve resuming, are not needed.
        Checkpoints(self.checkpoints, "").clear()
        remove_leftovers(self.path)
        facts = {"kind": "training run", "run": run_id(read_json(self._record)), **read_json(self._result)}
        write_manifest(self.path, facts)

    def clear(self) -> None:
        """Remove what training writes, and nothing else. `manifest.json` goes first: half is not finished."""
        for name in reversed(FILES):
            (self.path / name).unlink(missing_ok=True)
        for name in FOLDERS:
            if (self.path / name).is_dir():
                shutil.rmtree(self.path / name)


def run_id(facts: dict[str, Any]) -> str:
    """Identity of a run: equal for two runs that must give the same bytes."""
    return content_id(_flat({key: facts[key] for key in IDENTITY if key in facts}))


def _flat(facts: dict[str, Any]) -> dict[str, Any]:
    """Identity facts with the options beside them, without the paths of data and start: only their bytes matter."""
    options = {key: value for key, value in facts["config"].items() if key not in PATHS}
    flat = (
        options
        | {key: facts[key] for key in IDENTITY[1:] if key in facts and key != "optimizer"}
        | ({"optimizer_used": facts["optimizer"]} if "optimizer" in facts else {})
    )
    return {key: value for key, value in flat.items() if key not in LATER or value != LATER[key]}
