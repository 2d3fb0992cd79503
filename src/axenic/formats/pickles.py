"""Pickles of torch.save, read in a child process that can build plain data and nothing else.

Axenic itself never unpickles. `formats/unpickle.py` does, alone, with limits on memory and time; what comes back is
safetensors and JSON, which are read as any stranger's files are.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

from axenic.errors import FileError
from axenic.files import load_tensors, read_json
from axenic.files.disk import disk_errors

SECONDS, MEGABYTES = 60, 2048
REFUSED = 3
CHILD = Path(__file__).with_name("unpickle.py")


class Plain(NamedTuple):
    """An object of a class that is known by name: `kind` such as `lora.lora_utils.LoraScalars`, and its fields."""

    kind: str
    fields: dict[str | int, Any]


def read_pickle(path: str | Path, *, seconds: int = SECONDS, megabytes: int = MEGABYTES) -> Any:
    """What a file of torch.save holds, as dictionaries, lists, text, numbers, tensors and `Plain` objects.

    Args:
        path: A zip archive as torch.save writes since torch 1.6. Tensors of the usual dtypes.
        seconds: Processor time for the child; it is killed after that, or after twice that by the clock.
        megabytes: Memory for the child, besides 8 times the file; its tensors may take a quarter of it.

    Raises:
        FileError: Refused (it calls a name that is not known), damaged, too large, too deep or too slow.
    """
    path = Path(path)
    with disk_errors(path, "read"):
        megabytes += 8 * path.stat().st_size // 2**20
    with tempfile.TemporaryDirectory(prefix="axenic-unpickle-") as folder:
        # -I: no user site, no PYTHON* variables, nothing imported from the current folder. -S: no site packages.
        command = [sys.executable, "-I", "-S", str(CHILD), str(path.absolute()), folder]
        try:
            done = subprocess.run(
                [*command, str(seconds), str(megabytes)],
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                env={}, cwd=folder, timeout=2 * seconds + 5, check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired as error:
            raise _refusal(path, f"it took longer than {2 * seconds + 5} s") from error
        if done.returncode != 0:
            raise _refusal(path, _reason(done, seconds))
        tensors, _ = load_tensors(Path(folder) / "tensors.safetensors", finite=False)
        return _grown(read_json(Path(folder) / "tree.json"), tensors)


def _reason(done: subprocess.CompletedProcess[bytes], seconds: int) -> str:
    if done.returncode == REFUSED:
        return done.stderr.decode("ascii", "replace").strip()[-400:]
    if done.returncode in (-signal.SIGXCPU, -signal.SIGKILL):
        return f"it took more than {seconds} s of processor time, or more memory than there is"
    return f"its reader died (exit code {done.returncode}), as readers do of hostile files"


def _refusal(path: Path, reason: str) -> FileError:
    return FileError(
        f"{path.name} is a pickle that cannot be read safely",
        where=path,
        expected="tensors, numbers, text and containers, as torch.save writes them",
        found=reason,
        hint="ask the owner for a safetensors file; do not open this one with torch.load(weights_only=False)",
    )


def _grown(value: Any, tensors: dict[str, Any]) -> Any:
    """The tree of the child with its tensors in place; the child has limited its depth."""
    if isinstance(value, list):
        return [_grown(item, tensors) for item in value]
    if not isinstance(value, dict):
        return value
    if "tensor" in value:
        return tensors[str(value["tensor"])]
    fields = {key: _grown(item, tensors) for key, item in value["dict"]}
    return Plain(value["object"], fields) if "object" in value else fields
