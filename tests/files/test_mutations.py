"""Thousands of spoilt safetensors files: a located error or a usable object, never another exception."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from axenic.directions import Direction, DirectionInfo
from axenic.errors import AxenicError
from axenic.files import TensorStack, load_tensors, save_tensors

pytestmark = pytest.mark.fault

ODD_NUMBERS = [
    "-1",
    "0",
    "1",
    "3",
    "8",
    "255",
    "4294967296",
    "9223372036854775807",
    "18446744073709551616",
    "1e9",
    "1.5",
]
ODD_DTYPES = ["F32", "F64", "F16", "BF16", "F8_E4M3", "F8_E5M2", "F4", "I64", "U8", "BOOL", "C64", "X", ""]


def flip_bits(raw: bytearray, chance: random.Random) -> None:
    for _ in range(chance.randint(1, 8)):
        raw[chance.randrange(len(raw))] ^= 1 << chance.randrange(8)


def flip_header(raw: bytearray, chance: random.Random) -> None:
    raw[chance.randrange(8, 8 + header_length(raw))] = chance.randrange(256)


def truncate(raw: bytearray, chance: random.Random) -> None:
    del raw[chance.randrange(len(raw)) :]


def extend(raw: bytearray, chance: random.Random) -> None:
    raw += chance.randbytes(chance.randint(1, 64))


def change_length(raw: bytearray, chance: random.Random) -> None:
    length = chance.choice([0, 1, 2**31, 2**63, 2**64 - 1, header_length(raw) + chance.randint(-16, 16)])
    raw[:8] = length.to_bytes(8, "little")


def fill(raw: bytearray, chance: random.Random) -> None:
    start = chance.randrange(len(raw))
    stop = min(len(raw), start + chance.randint(1, 64))
    raw[start:stop] = bytes([chance.choice([0, 255, 127])]) * (stop - start)


def move_block(raw: bytearray, chance: random.Random) -> None:
    start = chance.randrange(len(raw))
    block = raw[start : start + chance.randint(1, 40)]
    at = chance.randrange(len(raw))
    raw[at:at] = block


def rewrite_header(raw: bytearray, chance: random.Random) -> None:
    """Change one number, dtype or name and keep the header's length right: gets deepest into the reader."""
    text = raw[8 : 8 + header_length(raw)].decode("utf-8")
    pattern, words = chance.choice(
        [
            (r"\d+", ODD_NUMBERS),
            (r"(?<=dtype\":\")\w+", ODD_DTYPES),
            (r"\w+(?=\":)", ["a", "", "dtype", "steps", "vectors"]),
        ]
    )
    spot = chance.choice(list(re.finditer(pattern, text)))
    text = text[: spot.start()] + chance.choice(words) + text[spot.end() :]
    head = text.encode("utf-8")
    raw[: 8 + header_length(raw)] = len(head).to_bytes(8, "little") + head


def header_length(raw: bytearray) -> int:
    return int.from_bytes(raw[:8], "little")


MUTATORS = [
    flip_bits,
    flip_header,
    truncate,
    extend,
    change_length,
    fill,
    move_block,
    rewrite_header,
    rewrite_header,
]


@pytest.fixture
def originals(tmp_path: Path) -> list[bytes]:
    generator = torch.Generator().manual_seed(0)
    adapter = {
        f"model.layers.{n}.lora_{m}.weight": torch.randn(4, 3, generator=generator)
        for n in range(2)
        for m in "AB"
    }
    save_tensors(
        tmp_path / "adapter",
        {**adapter, "half": torch.ones(3).bfloat16(), "none": torch.ones(0, 2)},
        {"r": "4"},
    )
    info = DirectionInfo(
        name="d", operation="add", site="resid_post", layer_convention="block_output_0", normalisation="raw",
        positions="answer", base_model="nano", base_fingerprint="b", hidden_size=8, n_layers=3,
        recipe={"seed": 0, "weights": [1, 2.5]}, data_hash="d", judge="j", tokenizer_fingerprint="t",
        calibration={}, created_by="test",
    )  # fmt: skip
    Direction(torch.randn(3, 8, generator=generator), info).save(tmp_path / "direction")
    stack = TensorStack.create(tmp_path / "stack", {"v": (3,), "w": ()}, [1, 2, 5], {"base": "nano"})
    stack.write(2, {"v": torch.ones(3), "w": torch.tensor(2.0)})
    return [(tmp_path / name).read_bytes() for name in ("adapter", "direction", "stack")]


def read_everything(path: Path) -> list[bool]:
    """Read a file in each way there is; whether each succeeded."""
    done = []
    for read in (load_tensors, Direction.load, lambda file: TensorStack.open(file).read()):
        result = outcome(read, path)
        done.append(not isinstance(result, AxenicError))
        if isinstance(result, AxenicError):
            assert str(path) in str(result.where)
        elif isinstance(result, Direction):
            assert bool(torch.isfinite(result.vectors_LD).all())
            assert bool((result.norms_L() > 0).all())
        else:
            tensors = next(part for part in result if isinstance(part, dict))
            assert all(bool(torch.isfinite(tensor).all()) for tensor in tensors.values())
    return done


def outcome(read: Callable[[Path], Any], path: Path) -> Any:
    """What came back, or the located error; any other exception fails the test."""
    try:
        return read(path)
    except AxenicError as error:
        return error


def run(originals: list[bytes], path: Path, count: int) -> None:
    chance = random.Random(0)
    refused = 0
    for number in range(count):
        raw = bytearray(originals[number % 3])
        chance.choice(MUTATORS)(raw, chance)
        path.write_bytes(raw)
        refused += not any(read_everything(path))
    assert refused > count / 2
    assert refused < count, "some mutations are harmless; if none is read, the reader refuses everything"


def test_the_originals_are_read(originals: list[bytes], tmp_path: Path) -> None:
    found = []
    for raw in originals:
        (tmp_path / "x").write_bytes(raw)
        found.append(read_everything(tmp_path / "x"))
    assert found == [[True, False, False], [True, True, False], [True, False, True]]


def test_two_thousand_mutations(originals: list[bytes], tmp_path: Path) -> None:
    run(originals, tmp_path / "x.safetensors", 2_000)


@pytest.mark.slow
def test_twenty_thousand_mutations(originals: list[bytes], tmp_path: Path) -> None:
    run(originals, tmp_path / "x.safetensors", 20_000)


def test_every_single_number_of_the_header(originals: list[bytes], tmp_path: Path) -> None:
    for raw in originals[1:]:
        text = raw[8 : 8 + header_length(bytearray(raw))].decode("utf-8")
        assert json.loads(text)
        for spot in re.finditer(r"\d+", text):
            for number in ODD_NUMBERS:
                head = (text[: spot.start()] + number + text[spot.end() :]).encode("utf-8")
                changed = len(head).to_bytes(8, "little") + head + raw[8 + len(text.encode("utf-8")) :]
                (tmp_path / "x").write_bytes(changed)
                read_everything(tmp_path / "x")
