"""Runs alone in a child process (`python -I unpickle.py FILE OUT SECONDS MEGABYTES`): a pickle of torch.save made plain.

Of all names that a pickle may call, only those of `ALLOWED` exist here, and each stands for plain data: a tensor is a
piece of a storage, a class of the authors or of steering-vectors is a bag of fields. The standard library is all that is
imported. Limits on memory, processor time, depth, values and bytes end what is hostile; the parent sees the child die.
OUT gets `tensors.safetensors` and `tree.json`. Exit code 3 = refused, with the reason on standard error.
"""

from __future__ import annotations

import json
import math
import pickle
import resource
import struct
import sys
import zipfile
import zlib
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

MAX_DEPTH, MAX_VALUES, MAX_TENSORS, MAX_TEXT = 64, 5_000_000, 20_000, 2**28
ITEMS = {
    "DoubleStorage": ("F64", "d"), "FloatStorage": ("F32", "f"), "HalfStorage": ("F16", "H"),
    "BFloat16Storage": ("BF16", "H"), "LongStorage": ("I64", "q"), "IntStorage": ("I32", "i"),
    "ShortStorage": ("I16", "h"), "CharStorage": ("I8", "b"), "ByteStorage": ("U8", "B"), "BoolStorage": ("BOOL", "B"),
}  # fmt: skip
"""Storage class of torch: dtype of safetensors, and a `memoryview` format of the same width."""

OBJECTS = (
    ("lora.lora_utils", "LoraScalars"),
    ("lora.lora_utils", "LoraScalarsPerLayer"),
    ("steering_vectors.steering_vector", "SteeringVector"),
)


class Refused(Exception):
    """The file is not what may be read."""


class Storage:
    """A storage that the pickle names: its place in the archive."""

    def __init__(self, kind: str, key: str, count: int) -> None:
        self.kind, self.key, self.count = kind, key, count


class Piece:
    """A tensor: a strided piece of a storage."""

    def __init__(self, storage: Any, offset: Any, size: Any, stride: Any, *_: Any) -> None:
        whole = [offset, *size, *stride]
        if not isinstance(storage, Storage) or not all(type(n) is int and n >= 0 for n in whole):
            raise Refused("a tensor is not made of a storage and whole numbers")
        if len(size) != len(stride) or len(size) > 8:
            raise Refused("a tensor has other strides than dimensions, or more than 8")
        self.storage, self.offset, self.size, self.stride = storage, offset, tuple(size), tuple(stride)
        self.numel = math.prod(self.size)
        last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
        if self.numel and last >= storage.count:
            raise Refused("a tensor reaches beyond its storage")

    def __setstate__(self, state: object) -> None:
        raise Refused("it changes a tensor after it is made")


class Bag:
    """An object of a class that is known by name: its fields, nothing of the class."""

    kind = ""


def _bag(module: str, name: str) -> type[Bag]:
    return type(name, (Bag,), {"kind": f"{module}.{name}"})


def _first(value: Any, *_: Any) -> Any:
    return value


ALLOWED: dict[tuple[str, str], Any] = {
    ("torch._utils", "_rebuild_tensor_v2"): Piece,
    ("torch._utils", "_rebuild_parameter"): _first,
    ("torch", "Size"): tuple,
    ("collections", "OrderedDict"): OrderedDict,
    **{("torch", name): name for name in ITEMS},
    **{("torch", name): f"torch.{name}" for name in ("float64", "float32", "float16", "bfloat16")},
    **{names: _bag(*names) for names in OBJECTS},
}


class Reader(pickle.Unpickler):
    """Knows the names in `ALLOWED` and torch's storages, and nothing else."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in ALLOWED:
            raise Refused(f"it calls {module}.{name}")
        return ALLOWED[module, name]

    def persistent_load(self, pid: Any) -> Storage:
        if not isinstance(pid, tuple) or len(pid) < 5 or pid[0] != "storage":
            raise Refused("a storage is not described as torch does")
        _, kind, key, _, count = pid[:5]
        if not (isinstance(kind, str) and kind in ITEMS and isinstance(key, str) and type(count) is int):
            raise Refused("a storage is not described as torch does")
        if not 0 <= count < 2**40:
            raise Refused(f"a storage claims {count:,} numbers")
        return Storage(kind, key, count)


class Archive:
    """The zip archive of torch.save; members are read by name, and nothing is ever unpacked."""

    def __init__(self, path: Path, max_bytes: int) -> None:
        self._zip = zipfile.ZipFile(path)
        names = self._zip.namelist()
        found = [name for name in names if name.rpartition("/")[2] == "data.pkl" and name.count("/") <= 1]
        if len(found) != 1:
            raise Refused("the archive holds no data.pkl, or several")
        self._prefix = found[0][: -len("data.pkl")]
        self._max_bytes = max_bytes
        order = f"{self._prefix}byteorder"
        if order in names and self.member("byteorder", 64) != b"little":
            raise Refused("its numbers are big-endian")

    def member(self, name: str, limit: int) -> bytes:
        """The bytes of one member, at most `limit` of them, however far it inflates."""
        with self._zip.open(self._prefix + name) as handle:
            raw = handle.read(limit + 1)
        if len(raw) > limit:
            raise Refused(f"the member {name!a} is larger than it may be")
        return raw

    def pickled(self) -> Any:
        with self._zip.open(f"{self._prefix}data.pkl") as handle:
            return Reader(handle).load()

    def storage(self, storage: Storage) -> Any:
        code = ITEMS[storage.kind][1]
        width = struct.calcsize(code)
        if storage.count * width > self._max_bytes:
            raise Refused(f"a storage claims {storage.count * width:,} bytes")
        raw = self.member(f"data/{storage.key}", storage.count * width)
        if len(raw) != storage.count * width:
            raise Refused(f"the storage {storage.key!a} ends early")
        whole: Any = memoryview(raw)
        return whole.cast(code)


class Tree:
    """The value as JSON: dictionaries as pairs, tensors as numbers of `pieces`."""

    def __init__(self) -> None:
        self.pieces: list[Piece] = []
        self._values = 0

    def plain(self, value: Any, depth: int = 0) -> Any:
        self._values += 1
        if depth > MAX_DEPTH or self._values > MAX_VALUES:
            raise Refused("it is nested too deeply, or holds too many values")
        if value is None or isinstance(value, bool | int | str):
            return value
        if isinstance(value, float):
            if not math.isfinite(value):
                raise Refused("it holds a number that is not finite")
            return value
        if isinstance(value, Piece):
            if len(self.pieces) >= MAX_TENSORS:
                raise Refused(f"it holds more than {MAX_TENSORS:,} tensors")
            self.pieces.append(value)
            return {"tensor": len(self.pieces) - 1}
        if isinstance(value, dict):
            return {"dict": self._pairs(value, depth)}
        if isinstance(value, Bag):
            return {"object": value.kind, "dict": self._pairs(vars(value), depth)}
        if isinstance(value, list | tuple):
            return [self.plain(item, depth + 1) for item in value]
        raise Refused(f"it holds a {type(value).__name__}")

    def _pairs(self, value: dict[Any, Any], depth: int) -> list[list[Any]]:
        if not all(isinstance(key, str | int) for key in value):
            raise Refused("a dictionary has keys that are neither text nor whole numbers")
        return [[key, self.plain(item, depth + 1)] for key, item in value.items()]


def runs(piece: Piece, numbers: Any) -> Iterator[bytes]:
    """The bytes of a strided piece in order, its innermost dimension at a time."""
    size, stride = piece.size, piece.stride
    if not piece.numel:
        return
    dense = [math.prod(size[d + 1 :]) for d in range(len(size))]
    if all(n == 1 or step == expected for n, step, expected in zip(size, stride, dense, strict=True)):
        yield numbers[piece.offset : piece.offset + piece.numel].tobytes()
        return
    starts = [piece.offset]
    for n, step in zip(size[:-1], stride[:-1], strict=True):
        starts = [start + i * step for start in starts for i in range(n)]
    for start in starts:
        if stride[-1] == 0:
            yield numbers[start : start + 1].tobytes() * size[-1]
        else:
            yield numbers[start : start + size[-1] * stride[-1] : stride[-1]].tobytes()


def write(out: Path, archive: Archive, tree: Any, pieces: list[Piece], max_bytes: int) -> None:
    """Write the two files. Raises `Refused` when the tensors would take more than `max_bytes`."""
    header: dict[str, Any] = {}
    end = 0
    for number, piece in enumerate(pieces):
        name, code = ITEMS[piece.storage.kind]
        start, end = end, end + piece.numel * struct.calcsize(code)
        header[str(number)] = {"dtype": name, "shape": list(piece.size), "data_offsets": [start, end]}
    if end > max_bytes:
        raise Refused(f"its tensors take {end:,} bytes")
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with (out / "tensors.safetensors").open("wb") as handle:
        handle.write(len(text).to_bytes(8, "little") + text)
        opened: dict[str, Any] = {}
        for piece in pieces:
            key = f"{piece.storage.kind} {piece.storage.count} {piece.storage.key}"
            if key not in opened:
                opened[key] = archive.storage(piece.storage)
            handle.writelines(runs(piece, opened[key]))
    words = json.dumps(tree, allow_nan=False)
    if len(words) > MAX_TEXT:
        raise Refused(f"its texts and numbers take {len(words):,} bytes")
    (out / "tree.json").write_text(words, "ascii")


def watch(event: str, arguments: tuple[Any, ...]) -> None:
    """The last wall: whatever a pickle might reach, this process starts nothing and talks to nobody."""
    kind = event.partition(".")[0]
    if kind in ("socket", "subprocess", "ctypes", "shutil") or event in (
        "os.system", "os.exec", "os.fork", "os.forkpty", "os.posix_spawn", "os.spawn", "os.putenv",
        "os.kill", "os.remove", "os.rename", "os.chmod", "pty.spawn",
    ):  # fmt: skip
        raise Refused(f"it tried {event}")


def limit(seconds: int, megabytes: int) -> None:
    """Processor time and memory; where a system does not know a limit, the parent's clock is left."""
    for what, most in (
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_AS, megabytes * 2**20),
        (resource.RLIMIT_FSIZE, megabytes * 2**20),
        (resource.RLIMIT_CORE, 0),
    ):
        try:
            resource.setrlimit(what, (most, most))
        except (ValueError, OSError):
            continue


def main(arguments: list[str]) -> int:
    path, out, seconds, megabytes = Path(arguments[0]), Path(arguments[1]), *map(int, arguments[2:4])
    limit(seconds, megabytes)
    sys.addaudithook(watch)
    max_bytes = megabytes * 2**18
    try:
        archive = Archive(path, max_bytes)
        tree = Tree()
        plain = tree.plain(archive.pickled())
        write(out, archive, plain, tree.pieces, max_bytes)
    except Refused as error:
        reason = str(error)
    except MemoryError:
        reason = f"it needs more than {megabytes:,} MB"
    except RecursionError:
        reason = "it is nested too deeply"
    except (
        pickle.UnpicklingError, zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, KeyError, IndexError,
        TypeError, AttributeError, ImportError, OverflowError, NotImplementedError, RuntimeError, struct.error,
    ) as error:  # fmt: skip
        # What zipfile and the unpickler raise on damaged bytes; all of it means: this is no file of torch.save.
        reason = f"it is damaged: {type(error).__name__}: {error}"
    else:
        return 0
    print(ascii(reason)[1:-1][:400], file=sys.stderr)
    return 3


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
