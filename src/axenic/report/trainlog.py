"""The training log: one line per logged step."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path

from axenic.errors import DataError, FileError


@dataclass(frozen=True)
class TrainingLog:
    """Steps with their loss and gradient norm, in file order.

    Args:
        label: The run's name: the path of its folder.
        steps: Step of each line.
        loss: Mean loss per trained token (nats); NaN where the line has none.
        grad_norm: Norm of the gradient before clipping; NaN where the line has none.
    """

    label: str
    steps: tuple[float, ...]
    loss: tuple[float, ...]
    grad_norm: tuple[float, ...]


def read_log(path: Path, name: str) -> TrainingLog:
    """Read `log.jsonl`. A torn last line (the run goes on, or was killed) is left out.

    Raises:
        FileError: The file cannot be read.
        DataError: Any other line is not a JSON object with a number `step`; says `file:line`.
    """
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError as error:
        raise FileError("the training log cannot be read", where=path, found=error.strerror) from error
    rows: list[tuple[float, float, float]] = []
    for number, line in enumerate(lines[:-1], start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line.decode("utf-8"))
            rows.append((float(row["step"]), _number(row, "loss"), _number(row, "grad_norm")))
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise DataError(
                "a line of the training log cannot be read",
                where=f"{path}:{number}",
                expected='{"step": number, "loss": number, "grad_norm": number}',
                found=line[:80].decode("utf-8", "replace"),
            ) from error
    parent = Path(name).parent.as_posix()
    label = path.parent.resolve().name if parent == "." else parent
    steps, loss, grad_norm = zip(*rows, strict=True) if rows else ((), (), ())
    return TrainingLog(label, steps, loss, grad_norm)


def _number(row: dict[str, object], key: str) -> float:
    """The value as a float; NaN when it is missing, null or not finite."""
    value = row.get(key)
    if not isinstance(value, int | float) or not math.isfinite(value):
        return math.nan
    return float(value)
