"""Tensor files: round trips, and files from strangers."""

from __future__ import annotations

import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import safetensors.torch
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import safe_open

from axenic.errors import DataError, DiskFullError, FileError
from axenic.files import load_tensors, save_tensors
from axenic.files.tensors import read_tensor

pytestmark = pytest.mark.unit

DTYPES = [
    torch.float64, torch.float32, torch.float16, torch.bfloat16,
    torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool,
]  # fmt: skip


@given(
    specs=st.dictionaries(
        st.text(min_size=1, max_size=6).filter(lambda name: name != "__metadata__"),
        st.tuples(st.lists(st.integers(0, 4), max_size=3), st.sampled_from(DTYPES)),
        max_size=5,
    ),
    metadata=st.dictionaries(st.text(max_size=5), st.text(max_size=20), max_size=3),
)
@settings(max_examples=80, deadline=None)
def test_round_trip(
    tmp_path_factory: pytest.TempPathFactory,
    specs: dict[str, tuple[list[int], torch.dtype]],
    metadata: dict[str, str],
) -> None:
    path = tmp_path_factory.mktemp("tensors") / "x.safetensors"
    tensors = {name: (torch.randn(shape) * 3).to(dtype) for name, (shape, dtype) in specs.items()}
    save_tensors(path, tensors, metadata)
    loaded, facts = load_tensors(path)
    assert facts == metadata
    assert loaded.keys() == tensors.keys()
    by_library = safetensors.torch.load_file(path)
    for name, tensor in tensors.items():
        assert loaded[name].dtype == tensor.dtype
        assert torch.equal(loaded[name], tensor)
        assert torch.equal(by_library[name], tensor)


def test_views_and_gradients_can_be_saved(tmp_path: Path) -> None:
    base = torch.arange(12.0, requires_grad=True).reshape(3, 4)
    save_tensors(tmp_path / "x", {"t": base.T, "again": base, "row": base[1]})
    loaded, _ = load_tensors(tmp_path / "x")
    assert torch.equal(loaded["t"], base.T)
    assert torch.equal(loaded["row"], base[1])


def test_same_content_is_the_same_bytes(tmp_path: Path) -> None:
    a, b = torch.ones(3), torch.zeros(2, dtype=torch.int64)
    save_tensors(tmp_path / "x", {"a": a, "b": b}, {"p": "1", "q": "2", "r": "3"})
    save_tensors(tmp_path / "y", {"b": b, "a": a}, {"r": "3", "q": "2", "p": "1"})
    assert (tmp_path / "x").read_bytes() == (tmp_path / "y").read_bytes()


def test_loaded_tensors_have_memory_of_their_own(tmp_path: Path) -> None:
    path = tmp_path / "x"
    save_tensors(path, {"a": torch.ones(1000)})
    loaded, _ = load_tensors(path)
    with path.open("r+b") as handle:
        handle.seek(-100, 2)
        handle.write(b"\xff" * 100)
    assert bool((loaded["a"] == 1).all())


def test_an_unsupported_dtype_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="tensor a has a dtype"):
        save_tensors(tmp_path / "x", {"a": torch.zeros(1, dtype=torch.complex64)})


class TestExpectations:
    @pytest.fixture
    def path(self, tmp_path: Path) -> Path:
        save_tensors(tmp_path / "x.safetensors", {"a": torch.zeros(2, 3), "b": torch.zeros(4)})
        return tmp_path / "x.safetensors"

    def test_met(self, path: Path) -> None:
        load_tensors(path, expect={"a": (2, 3), "b": (4,)})
        load_tensors(path, expect={"a": (None, 3), "b": (None,)})

    @pytest.mark.parametrize(
        ("expect", "words"),
        [
            ({"a": (2, 3)}, "unexpected tensor b"),
            ({"a": (2, 3), "b": (4,), "c": (1,)}, "lacks tensor c"),
            ({"a": (2, 4), "b": (4,)}, r"expected: \[2, 4\]\n  found:    \[2, 3\]"),
            ({"a": (2, 3), "b": (None, None)}, r"expected: \[any, any\]"),
        ],
    )
    def test_not_met(self, path: Path, expect: dict[str, tuple[int | None, ...]], words: str) -> None:
        with pytest.raises(FileError, match=words) as caught:
            load_tensors(path, expect=expect)
        assert caught.value.where == str(path)

    def test_too_large(self, path: Path) -> None:
        size = path.stat().st_size
        load_tensors(path, max_bytes=size)
        with pytest.raises(FileError, match="too large"):
            load_tensors(path, max_bytes=size - 1)

    @pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
    @pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
    def test_not_finite(self, tmp_path: Path, bad: float, dtype: torch.dtype) -> None:
        tensor = torch.zeros(5, dtype=dtype)
        tensor[1] = tensor[3] = bad
        save_tensors(tmp_path / "y", {"fine": torch.zeros(2), "v": tensor})
        with pytest.raises(FileError, match="not finite") as caught:
            load_tensors(tmp_path / "y")
        assert "tensor v" in str(caught.value)
        assert "2 of 5" in str(caught.value)
        loaded, _ = load_tensors(tmp_path / "y", finite=False)
        assert not bool(torch.isfinite(loaded["v"]).all())


class Bomb:
    """Unpickling this would fail the test."""

    def __reduce__(self) -> tuple[Callable[..., object], tuple[str]]:
        return pytest.fail, ("the pickle was loaded",)


@pytest.mark.fault
class TestStrangers:
    def refused(self, path: Path, words: str) -> FileError:
        with pytest.raises(FileError, match=words) as caught:
            load_tensors(path)
        assert str(path) in str(caught.value.where)
        return caught.value

    @pytest.mark.parametrize(
        "name", ["direction.pt", "adapter_model.bin", "training_args.bin", "x.safetensors"]
    )
    @pytest.mark.parametrize("legacy", [False, True])
    def test_torch_pickles(self, tmp_path: Path, name: str, legacy: bool) -> None:
        torch.save({"v": Bomb()}, tmp_path / name, _use_new_zipfile_serialization=not legacy)
        error = self.refused(tmp_path / name, r"is a pickle \(torch.save\); Axenic never unpickles")
        assert "--allow-pickle" in (error.hint or "")

    @pytest.mark.parametrize("protocol", range(6))
    def test_plain_pickles(self, tmp_path: Path, protocol: int) -> None:
        (tmp_path / "x.pkl").write_bytes(pickle.dumps({"v": Bomb()}, protocol=protocol))
        self.refused(tmp_path / "x.pkl", "is a pickle" if protocol >= 2 else "not a valid safetensors")

    def test_a_header_length_that_looks_like_a_pickle(self, tmp_path: Path) -> None:
        # A header of 0x0280 bytes begins with the bytes of a protocol 2 pickle.
        save_tensors(tmp_path / "x", {"a": torch.zeros(1)}, {"pad": ""})
        missing = 0x0280 - int.from_bytes((tmp_path / "x").read_bytes()[:8], "little")
        save_tensors(tmp_path / "x", {"a": torch.zeros(1)}, {"pad": "x" * missing})
        assert (tmp_path / "x").read_bytes()[:2] == b"\x80\x02"
        load_tensors(tmp_path / "x")

    def test_other_kinds(self, tmp_path: Path) -> None:
        (tmp_path / "x.gguf").write_bytes(b"GGUF\x03\0\0\0" + b"\0" * 100)
        error = self.refused(tmp_path / "x.gguf", "is a GGUF file")
        assert "pickle" not in str(error)
        os.mkfifo(tmp_path / "pipe")
        self.refused(tmp_path / "pipe", "not a regular file")
        with zipfile.ZipFile(tmp_path / "x.zip", "w"):
            pass
        self.refused(tmp_path / "x.zip", "zip archive")

    def test_missing_empty_and_folder(self, tmp_path: Path) -> None:
        self.refused(tmp_path / "none", "cannot read none")
        (tmp_path / "empty").write_bytes(b"")
        self.refused(tmp_path / "empty", "not a valid safetensors")
        self.refused(tmp_path, "cannot read")

    @pytest.mark.parametrize(
        "header",
        [
            b'{"a":{"dtype":"F32","shape":[0,9223372036854775808],"data_offsets":[0,0]}}',
            b'{"a":{"dtype":"F32","shape":[0,4611686018427387904,8],"data_offsets":[0,0]}}',
            b'{"a":{"dtype":"F32","shape":[9223372036854775807],"data_offsets":[0,4]}}',
            b'{"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}',
            b'{"a":{"dtype":"F8_E4M3","shape":[4],"data_offsets":[0,4]}}',
            b'{"a":{"dtype":"F4","shape":[8],"data_offsets":[0,4]}}',
            b'{"a":{"dtype":"C64","shape":[],"data_offsets":[0,8]}}',
            b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}',
            b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}',
            b'{"__metadata__":{"a":1}}',
            b'{"a":' * 5000,
            b"null",
            b"",
        ],
    )
    def test_hostile_headers(self, tmp_path: Path, header: bytes) -> None:
        for tail in (b"", b"\0" * 4, b"\0" * 8):
            (tmp_path / "x").write_bytes(len(header).to_bytes(8, "little") + header + tail)
            self.refused(tmp_path / "x", ".")

    def test_a_header_of_100_megabytes(self, tmp_path: Path) -> None:
        with (tmp_path / "x").open("wb") as handle:
            handle.write((120_000_000).to_bytes(8, "little") + b"{")
            handle.truncate(130_000_000)
        self.refused(tmp_path / "x", "not a valid safetensors")

    def test_a_full_disk(self, tmp_path: Path, full_disk: Callable[[int], None]) -> None:
        save_tensors(tmp_path / "x", {"a": torch.zeros(1000)})
        full_disk(2000)
        with pytest.raises(DiskFullError, match="room for 4,"):
            save_tensors(tmp_path / "x", {"a": torch.ones(1000)})
        assert not bool(load_tensors(tmp_path / "x")[0]["a"].any())
        assert [path.name for path in tmp_path.iterdir()] == ["x"]


def test_the_library_reads_our_metadata(tmp_path: Path) -> None:
    save_tensors(tmp_path / "x", {"a": torch.zeros(1)}, {"who": "é\n"})
    with safe_open(tmp_path / "x", framework="pt") as file:
        assert file.metadata() == {"who": "é\n"}


def test_one_tensor_of_a_file_is_read_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    tensors = {
        "x": torch.arange(6.0).reshape(2, 3),
        "y": torch.tensor([1.0, torch.inf]),
        "n": torch.tensor(3),
    }
    save_tensors(path, tensors)
    assert torch.equal(read_tensor(path, "x"), tensors["x"])
    assert int(read_tensor(path, "n")) == 3
    read_tensor(path, "x")[0, 0] = 99.0
    assert float(read_tensor(path, "x")[0, 0]) == 0.0
    with pytest.raises(FileError, match="not finite"):
        read_tensor(path, "y")
    with pytest.raises(FileError, match="no tensor z"):
        read_tensor(path, "z")
