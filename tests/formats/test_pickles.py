"""Pickles: what torch.save writes comes back equal to torch's own reading; what is hostile does nothing."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import types
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from axenic.errors import FileError
from axenic.formats import LoraScalars, import_vectors, read_pickle
from axenic.formats.pickles import CHILD, Plain

pytestmark = pytest.mark.unit
Save = Callable[..., Path]


def same(ours: Any, theirs: Any) -> bool:
    """Equal in value, dtype and structure; tuples are lists here."""
    if isinstance(theirs, torch.Tensor):
        return (
            ours.dtype == theirs.dtype and ours.shape == theirs.shape and torch.equal(ours, theirs.detach())
        )
    if isinstance(theirs, dict):
        return list(ours) == list(theirs) and all(same(ours[key], theirs[key]) for key in theirs)
    if isinstance(theirs, list | tuple):
        return len(ours) == len(theirs) and all(map(same, ours, theirs))
    return bool(ours == theirs) and type(ours) is type(theirs)


def test_what_torch_reads_is_read_the_same(saved: Save) -> None:
    base = torch.arange(24.0).reshape(4, 6)
    value = {
        "dtypes": [torch.arange(5).to(dtype) for dtype in (
            torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.int16,
            torch.int8, torch.uint8, torch.bool,
        )],
        "views": (base, base.T, base[1:3, ::2], base[:, 3], base[2], torch.ones(1).expand(3, 4),
            base.reshape(2, 3, 4).permute(2, 0, 1)),
        "small": [torch.tensor(3.5), torch.zeros(0, 4), torch.ones(6, 1)],
        "parameter": torch.nn.Parameter(torch.ones(2)),
        "plain": [1, -(2**40), 2.5, "é\n", True, None, {3: {"a": []}}],
        "ordered": OrderedDict(b=torch.ones(2), a=1),
    }  # fmt: skip
    path = saved(value)
    assert same(read_pickle(path), torch.load(path, weights_only=True))


def test_classes_are_bags_of_fields(saved: Save, lora_classes: Any) -> None:
    path = saved({"a prompt": lora_classes(0)})
    value = read_pickle(path)["a prompt"]
    assert isinstance(value, Plain)
    assert value.kind == "lora.lora_utils.LoraScalarsPerLayer"
    assert value.fields["scalars"][0].fields["token_str"] == "t0"


def test_lora_scalars_become_a_table(saved: Save, lora_classes: Any, tmp_path: Path) -> None:
    path = saved({"first": lora_classes(0), "second": lora_classes(10)})
    table = import_vectors(path, allow_pickle=True)
    assert isinstance(table, LoraScalars)
    # Modules are given out of order, and positions too.
    assert table.layers_A.tolist() == [2, 15]
    assert table.scalars_TA.tolist() == [[0.0, 0.5], [1.0, 1.5], [10.0, 10.5], [11.0, 11.5]]
    assert table.answer_id_T.tolist() == [0, 0, 1, 1]
    assert table.position_T is not None
    assert table.position_T.tolist() == [0, 1, 0, 1]
    table.save(tmp_path / "flat")
    for again in (LoraScalars.load(tmp_path / "flat"), import_vectors(tmp_path / "flat")):
        assert isinstance(again, LoraScalars)
        assert torch.equal(again.scalars_TA, table.scalars_TA)
        assert torch.equal(again.layers_A, table.layers_A)


@pytest.fixture
def lora_classes(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], Any]:
    """The authors' two classes under their module path, in this process only."""
    module = types.ModuleType("lora.lora_utils")

    class LoraScalars:
        def __init__(self, token_str: str, layer_scalars: dict[str, float]) -> None:
            self.token_str, self.layer_scalars = token_str, layer_scalars

    class LoraScalarsPerLayer:
        def __init__(self, scalars: dict[int, LoraScalars]) -> None:
            self.scalars = scalars

    for made in (LoraScalars, LoraScalarsPerLayer):
        made.__module__, made.__qualname__ = "lora.lora_utils", made.__name__
        setattr(module, made.__name__, made)
    monkeypatch.setitem(sys.modules, "lora", types.ModuleType("lora"))
    monkeypatch.setitem(sys.modules, "lora.lora_utils", module)

    def prompt(start: int) -> LoraScalarsPerLayer:
        name = "base_model.model.model.layers.{}.mlp.down_proj".format
        tokens = {
            p: LoraScalars(f"t{p}", {name(15): start + p + 0.5, name(2): float(start + p)}) for p in (1, 0)
        }
        return LoraScalarsPerLayer(tokens)

    return prompt


class Calls:
    """Reduces to a call."""

    def __init__(self, function: Callable[..., object], *arguments: object) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return self.call


def archive(path: Path, members: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as file:
        for name, raw in members.items():
            file.writestr(name, raw)
    return path


def refused(path: Path, words: str, **limits: int) -> FileError:
    with pytest.raises(FileError, match=words) as caught:
        read_pickle(path, **limits)
    assert caught.value.where == str(path)
    return caught.value


@pytest.mark.fault
class TestHostile:
    def test_programs_are_not_run(self, saved: Save, tmp_path: Path) -> None:
        flag = tmp_path / "ran"
        command = f"touch {flag}"
        calls = [
            Calls(os.system, command), Calls(subprocess.check_call, ["touch", str(flag)]),
            Calls(eval, f"open({str(flag)!r}, 'w')"), Calls(open, str(flag), "w"), Calls(getattr, 1, "real"),
            Calls(__import__, "os"), Calls(os.remove, "/nothing"),
        ]  # fmt: skip
        for call in calls:
            error = refused(saved({"v": torch.ones(2), "x": call}), "cannot be read safely")
            assert "it calls" in str(error)
            assert not flag.exists()

    def test_the_last_wall(self, tmp_path: Path) -> None:
        # A name that should not be on the list, put there: the child still starts nothing and talks to nobody.
        for module, name, arguments in (
            ("os", "system", b"S'true'\n"), ("os", "remove", b"S'/nothing'\n"), ("os", "fork", b""),
            ("socket", "socket", b""), ("subprocess", "getoutput", b"S'true'\n"),
        ):  # fmt: skip
            path = archive(
                tmp_path / "x.pt", {"x/data.pkl": f"c{module}\n{name}\n(".encode() + arguments + b"tR."}
            )
            code = (
                f"import runpy, sys, {module}; names = runpy.run_path({str(CHILD)!r}); "
                f"names['ALLOWED'][{module!r}, {name!r}] = {module}.{name}; "
                f"sys.exit(names['main']([{str(path)!r}, {str(tmp_path)!r}, '20', '2000']))"
            )
            done = subprocess.run(
                [sys.executable, "-I", "-c", code], capture_output=True, text=True, check=False
            )
            assert (done.returncode, done.stderr[:8]) == (3, "it tried"), done.stderr

    def test_classes_of_torch_that_run_things(self, saved: Save) -> None:
        # A whole module pickles classes by name; none is known.
        refused(saved(torch.nn.Linear(2, 2)), "it calls torch.nn")

    def test_stack_global_and_build_cannot_reach_further(self, tmp_path: Path) -> None:
        for raw in (
            b"cposix\nsystem\n(S'true'\ntR.",
            b"\x80\x04\x8c\x05posix\x8c\x06system\x93\x8c\x04true\x85R.",
            b"ctorch._utils\n_rebuild_tensor_v2.__globals__\n.",
            b"c__builtin__\neval\n.",
            b"ccollections\nOrderedDict\n(tR}S'__class__'\nctorch\nSize\nsb.",
            b"\x80\x04\x95" + b"\xff" * 8 + b".",
            b"\x8e" + b"\xff" * 7 + b"\x7f",
            b"(" * 100_000,
            b"]" + b"]a" * 100_000 + b".",
            b"",
        ):
            path = archive(tmp_path / "x.pt", {"x/data.pkl": raw})
            with pytest.raises(FileError):
                import_vectors(path, allow_pickle=True)

    def test_deep_values(self, saved: Save) -> None:
        value: list[object] = []
        for _ in range(400):
            value = [value]
        refused(saved(value), "nested too deeply")

    def test_a_cycle(self, saved: Save) -> None:
        value: list[object] = []
        value.append(value)
        refused(saved(value), "nested too deeply")

    def test_more_values_than_bytes(self, saved: Save) -> None:
        value: object = [0] * 100
        for _ in range(8):
            value = [value] * 100
        refused(saved(value), "too many values")

    def test_more_memory_than_it_may_have(self, tmp_path: Path) -> None:
        raw = b"\x8d" + (150_000_000).to_bytes(8, "little") + b"a" * 150_000_000 + b"."
        path = archive(tmp_path / "x.pt", {"x/data.pkl": raw}, zipfile.ZIP_DEFLATED)
        refused(path, r"it needs more than 10\d MB", megabytes=100)

    def test_an_endless_loop_ends(self, tmp_path: Path) -> None:
        # As the key of a dictionary it is hashed, which takes 2^60 steps.
        path = archive(tmp_path / "x.pt", {"x/data.pkl": b"}" + pickled_key(60) + b"K\x01s."})
        # By its own clock, or on a busy machine by that of the parent.
        refused(path, r"processor time|longer than 7 s", seconds=1)

    @pytest.mark.parametrize(
        ("piece", "words"),
        [
            ((0, (2**62,), (1,)), "beyond its storage"),
            ((0, (2**20, 2**20), (0, 0)), "its tensors take"),
            ((-1, (2,), (1,)), "whole numbers"),
            ((0, (2,), (-1,)), "whole numbers"),
            ((0, (2, 2), (1,)), "other strides"),
            ((0, (1,) * 1_000, (1,) * 1_000), "more than 8"),
            ((3, (2,), (1,)), "beyond its storage"),
            ((0, "ab", (1, 1)), "whole numbers"),
        ],
    )
    def test_tensors_that_claim_too_much(self, tmp_path: Path, piece: tuple[Any, ...], words: str) -> None:
        path = archive(tmp_path / "x.pt", {"x/data.pkl": tensor_pickle(4, *piece), "x/data/0": bytes(16)})
        refused(path, words)

    def test_a_tensor_is_not_changed_behind_its_checks(self, tmp_path: Path) -> None:
        raw = tensor_pickle(4, 0, (4,), (1,))[:-1] + b"}X\x06\x00\x00\x00offsetK\x05sb."
        refused(archive(tmp_path / "x.pt", {"x/data.pkl": raw, "x/data/0": bytes(16)}), "changes a tensor")

    def test_storages_that_claim_too_much(self, tmp_path: Path) -> None:
        for count in (5, 2**35, 2**62):
            path = archive(
                tmp_path / "x.pt", {"x/data.pkl": tensor_pickle(count, 0, (1,), (1,)), "x/data/0": bytes(16)}
            )
            refused(path, "ends early|claims")

    def test_a_zip_bomb(self, tmp_path: Path) -> None:
        members = {"x/data.pkl": tensor_pickle(4, 0, (4,), (1,)), "x/data/0": bytes(30_000_000)}
        path = archive(tmp_path / "x.pt", members, zipfile.ZIP_DEFLATED)
        assert path.stat().st_size < 10**6
        refused(path, "larger than it may be")

    def test_paths_out_of_the_archive_lead_nowhere(self, tmp_path: Path) -> None:
        flag = tmp_path / "out"
        members = {
            "x/data.pkl": tensor_pickle(4, 0, (4,), (1,)),
            "x/data/0": bytes(16),
            f"../{flag.name}": b"!",
            str(flag): b"!",
        }
        assert read_pickle(archive(tmp_path / "x.pt", members)).tolist() == [0.0] * 4
        assert not flag.exists()
        outside = tensor_pickle(4, 0, (4,), (1,), key="../../../../etc/passwd")
        refused(archive(tmp_path / "x.pt", {"x/data.pkl": outside}), "damaged")

    def test_other_archives(self, tmp_path: Path) -> None:
        refused(archive(tmp_path / "a", {"b.txt": b""}), "no data.pkl")
        refused(archive(tmp_path / "a", {"x/data.pkl": b"N.", "y/data.pkl": b"N."}), "or several")
        refused(archive(tmp_path / "a", {"x/data.pkl": b"N.", "x/byteorder": b"big"}), "big-endian")
        (tmp_path / "a").write_bytes(b"PK\x03\x04" + bytes(100))
        refused(tmp_path / "a", "damaged")
        torch.save({"v": torch.ones(2)}, tmp_path / "a", _use_new_zipfile_serialization=False)
        refused(tmp_path / "a", "damaged")
        refused(tmp_path / "none", "cannot read")

    def test_numbers_that_are_none(self, saved: Save) -> None:
        refused(saved({"alpha": float("nan")}), "not finite")

    def test_messages_cannot_act_on_a_terminal(self, tmp_path: Path) -> None:
        path = archive(tmp_path / "x.pt", {"x/data.pkl": b"c\x1b]0;owned\x07\nsystem\n."})
        assert "\x1b" not in str(refused(path, "it calls"))


def pickled_key(depth: int) -> bytes:
    """Opcodes of a tuple of two equal tuples of two equal tuples ...: EMPTY_TUPLE, then put, get, TUPLE2 for each level."""
    return b")" + b"".join(b"q%ch%c\x86" % (n, n) for n in range(depth))


def tensor_pickle(count: int, offset: object, size: object, stride: object, key: str = "0") -> bytes:
    """The pickle of one float32 tensor as torch.save writes it, with any numbers in it."""

    class Tag:
        def __init__(self, line: bytes) -> None:
            self.line = line

    class Writer(pickle._Pickler):
        def persistent_id(self, value: object) -> object:
            return (
                ("storage", Tag(b"ctorch\nFloatStorage\n"), key, "cpu", count) if value is STORAGE else None
            )

        def save(self, value: Any, save_persistent_id: bool = True) -> None:
            if isinstance(value, Tag):
                self.write(value.line)
            else:
                super().save(value, save_persistent_id)

    import io

    STORAGE = object()
    buffer = io.BytesIO()
    writer = Writer(buffer, 2)
    writer.save(Tag(b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n"))
    writer.save((STORAGE, offset, size, stride, False, None))
    buffer.write(b"R.")
    return buffer.getvalue()
