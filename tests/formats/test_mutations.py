"""Thousands of spoilt files: a located error or usable vectors, never another exception, never a hang."""

from __future__ import annotations

import json
import random
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from axenic.directions import Direction
from axenic.errors import AxenicError
from axenic.files import save_tensors
from axenic.formats import Facts, LayerVectors, LoraScalars, export_direction, import_vectors

pytestmark = pytest.mark.fault

Mutator = Callable[[bytearray, random.Random], None]
SLOWEST = 5.0
"""Seconds of processor time that any one file may take."""


def flip_bits(raw: bytearray, chance: random.Random) -> None:
    for _ in range(chance.randint(1, 8)):
        raw[chance.randrange(len(raw))] ^= 1 << chance.randrange(8)


def flip_the_beginning(raw: bytearray, chance: random.Random) -> None:
    for _ in range(chance.randint(1, 4)):
        raw[chance.randrange(min(len(raw), 300))] = chance.randrange(256)


def truncate(raw: bytearray, chance: random.Random) -> None:
    del raw[chance.randrange(len(raw)) :]


def fill(raw: bytearray, chance: random.Random) -> None:
    start = chance.randrange(len(raw))
    stop = min(len(raw), start + chance.randint(1, 64))
    raw[start:stop] = bytes([chance.choice([0, 255, 127])]) * (stop - start)


def move_block(raw: bytearray, chance: random.Random) -> None:
    start = chance.randrange(len(raw))
    block = raw[start : start + chance.randint(1, 40)]
    at = chance.randrange(len(raw))
    raw[at:at] = block


def odd_number(raw: bytearray, chance: random.Random) -> None:
    """Eight bytes of the beginning become a number that a length or a count should not be."""
    value = chance.choice([0, 1, 2, 7, 2**16, 2**31, 2**32 - 1, 2**48, 2**63, 2**64 - 1])
    at = chance.randrange(min(len(raw) - 8, 400))
    width = chance.choice([4, 8])
    raw[at : at + width] = (value % 2 ** (8 * width)).to_bytes(width, "little")


BYTES: tuple[Mutator, ...] = (
    flip_bits,
    flip_the_beginning,
    truncate,
    fill,
    move_block,
    odd_number,
    odd_number,
)


def rewrite_header(raw: bytearray, chance: random.Random) -> None:
    """Change a number, dtype or name of a safetensors header, and keep its length right."""
    length = int.from_bytes(raw[:8], "little")
    text = raw[8 : 8 + length].decode("utf-8")
    pattern, words = chance.choice(
        [
            (r"\d+", ["-1", "0", "1", "5", "2147483648", "9223372036854775807", "1e9"]),
            (r"(?<=dtype\":\")\w+", ["F32", "F64", "F16", "BF16", "F8_E4M3", "I64", "U8", "BOOL", "X"]),
            (
                r"[\w.]+(?=\":)",
                ["layer_activations.7", "vectors", "layers", "layer_0", "answer.layer_1", "x", ""],
            ),
        ]
    )
    spot = chance.choice(list(re.finditer(pattern, text)))
    head = (text[: spot.start()] + chance.choice(words) + text[spot.end() :]).encode("utf-8")
    raw[: 8 + length] = len(head).to_bytes(8, "little") + head


ODD: tuple[Any, ...] = (
    None, True, -1, 0, 3, 2**31, 2**63, 2**70, 1e308, -0.0, "", "x", "../x.gguf", "/etc/passwd", "\ud800", "AAAA", [], {},
    [0], [[0]], {"data": "AAAA"}, [None], "1" * 5000,
)  # fmt: skip


def rewrite_json(raw: bytearray, chance: random.Random) -> None:
    """Put an odd value, or a copy of another part, at a random place of the JSON; or drop the place."""
    value = json.loads(raw)
    places: list[tuple[Any, Any]] = []

    def walk(part: Any) -> None:
        for key in (
            list(part) if isinstance(part, dict) else range(len(part)) if isinstance(part, list) else ()
        ):
            places.append((part, key))
            walk(part[key])

    walk(value)
    for _ in range(chance.randint(1, 3)):
        part, key = chance.choice(places)
        if isinstance(part, dict) and chance.random() < 0.1:
            part.pop(key, None)
        else:
            part[key] = chance.choice(ODD)
    raw[:] = json.dumps(value).encode()


def located(error: AxenicError) -> None:
    assert error.where, error
    assert len(str(error)) < 10_000


def run(originals: list[bytes], path: Path, facts: Facts, mutators: tuple[Mutator, ...], count: int) -> None:
    chance = random.Random(0)
    read = 0
    for number in range(count):
        raw = bytearray(originals[number % len(originals)])
        chance.choice(mutators)(raw, chance)
        path.write_bytes(raw)
        start = time.process_time()
        try:
            made = import_vectors(path, facts)
        except AxenicError as error:
            located(error)
        else:
            read += 1
            if not isinstance(made, LoraScalars):
                vectors = made.vectors_KD if isinstance(made, LayerVectors) else made.vectors_LD
                assert bool(torch.isfinite(vectors).all())
                assert bool((torch.linalg.vector_norm(vectors.double(), dim=1) > 0).all())
        assert time.process_time() - start < SLOWEST
    assert 0 < read < count * 0.9, "some mutations are harmless, most are not"


@pytest.fixture
def safetensors(tmp_path: Path, direction: Direction) -> list[bytes]:
    export_direction(direction, tmp_path / "a", "steering-vectors")
    direction.save(tmp_path / "b")
    LayerVectors.of(direction, (1, 3)).save(tmp_path / "c")
    LoraScalars(torch.rand(6, 2), torch.arange(6) // 2, torch.tensor([1, 2])).save(tmp_path / "d")
    save_tensors(tmp_path / "e", {f"answer.layer_{i}": row for i, row in enumerate(direction.vectors_LD)})
    save_tensors(tmp_path / "minus", {f"answer.layer_{i}": torch.zeros(6) for i in range(4)})
    save_tensors(tmp_path / "f", {"steering_vector": torch.ones(6)}, {"layer_idx": "2", "alpha": "256"})
    return [(tmp_path / name).read_bytes() for name in "abcdef"]


@pytest.fixture
def gguf(tmp_path: Path, direction: Direction) -> list[bytes]:
    export_direction(direction, tmp_path / "a", "gguf")
    export_direction(direction, tmp_path / "b.json", "easysteer")
    return [(tmp_path / name).read_bytes() for name in ("a", "b.gguf")]


@pytest.fixture
def json_files(tmp_path: Path, direction: Direction) -> list[bytes]:
    export_direction(direction, tmp_path / "a", "vllm-lens")
    export_direction(direction, tmp_path / "b.json", "easysteer")
    return [(tmp_path / name).read_bytes() for name in ("a", "b.json")]


JSON: tuple[Mutator, ...] = (*BYTES, rewrite_json, rewrite_json, rewrite_json, rewrite_json)


@pytest.mark.parametrize("count", [600, pytest.param(20_000, marks=pytest.mark.slow)])
def test_safetensors(tmp_path: Path, safetensors: list[bytes], count: int) -> None:
    # What the planted files that carry facts say too, so that the others can be read as well.
    says = Facts(base_model="m", base_fingerprint="1f2c", n_layers=4, hidden_size=6, minus=tmp_path / "minus")
    run(safetensors, tmp_path / "x.safetensors", says, (*BYTES, rewrite_header, rewrite_header), count)


@pytest.mark.parametrize("count", [600, pytest.param(5_000, marks=pytest.mark.slow)])
def test_gguf(tmp_path: Path, gguf: list[bytes], count: int) -> None:
    run(gguf, tmp_path / "x.gguf", Facts(), BYTES, count)


@pytest.mark.parametrize("count", [600, pytest.param(5_000, marks=pytest.mark.slow)])
def test_json(tmp_path: Path, json_files: list[bytes], count: int) -> None:
    run(json_files, tmp_path / "x.json", Facts(), JSON, count)


@pytest.mark.parametrize("count", [12, pytest.param(300, marks=pytest.mark.slow)])
def test_pickles(tmp_path: Path, direction: Direction, model: Facts, count: int) -> None:
    """Fewer: each takes a process."""
    torch.save({f"layer_{i}": row.clone() for i, row in enumerate(direction.vectors_LD)}, tmp_path / "a")
    original = (tmp_path / "a").read_bytes()
    chance = random.Random(0)
    for _ in range(count):
        raw = bytearray(original)
        chance.choice(BYTES)(raw, chance)
        (tmp_path / "x").write_bytes(raw)
        try:
            made = import_vectors(tmp_path / "x", model, allow_pickle=True)
        except AxenicError as error:
            located(error)
        else:
            assert isinstance(made, Direction | LayerVectors)
