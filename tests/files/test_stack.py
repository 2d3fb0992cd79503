"""The tensor stack: valid at every instant, continued after a kill."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import safetensors.torch
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from axenic.errors import DataError, DiskFullError, FileError
from axenic.files import TensorStack, load_tensors, save_tensors

pytestmark = pytest.mark.unit

SHAPES = {"v": (2, 3), "w": ()}


def row(step: int) -> dict[str, torch.Tensor]:
    return {"v": torch.full((2, 3), float(step)), "w": torch.tensor(step / 2)}


@pytest.fixture
def stack(tmp_path: Path) -> TensorStack:
    return TensorStack.create(tmp_path / "x.safetensors", SHAPES, [20, 5, 10], {"base": "nano"})


def test_a_new_stack_is_valid_and_empty(stack: TensorStack) -> None:
    by_library = safetensors.torch.load_file(stack.path)
    assert by_library["steps"].tolist() == [5, 10, 20]
    assert by_library["written"].tolist() == [0, 0, 0]
    assert by_library["v"].shape == (3, 2, 3)
    steps, tensors = stack.read()
    assert steps == []
    assert tensors["v"].shape == (0, 2, 3)
    assert tensors["w"].shape == (0,)
    assert load_tensors(stack.path)[1] == {"axenic_stack": "1", "base": "nano"}


def test_rows_come_back_in_order_of_step(stack: TensorStack) -> None:
    for step in (20, 5):
        stack.write(step, row(step))
    steps, tensors = stack.read()
    assert steps == stack.written() == [5, 20]
    assert tensors["v"][:, 0, 0].tolist() == [5.0, 20.0]
    assert tensors["w"].tolist() == [2.5, 10.0]
    assert safetensors.torch.load_file(stack.path)["written"].tolist() == [1, 0, 1]


def test_other_dtypes_are_kept_as_float32(stack: TensorStack) -> None:
    stack.write(
        5, {"v": torch.ones(3, 2, dtype=torch.bfloat16).T, "w": torch.tensor(0.1, dtype=torch.float64)}
    )
    _, tensors = stack.read()
    assert tensors["v"].dtype == torch.float32
    assert tensors["w"].item() == torch.tensor(0.1).item()


@given(data=st.data())
@settings(max_examples=30, deadline=None)
def test_round_trip(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    path = tmp_path_factory.mktemp("stack") / "x.safetensors"
    shapes = data.draw(
        st.dictionaries(
            st.text(min_size=1, max_size=5).filter(
                lambda name: name not in ("steps", "written", "__metadata__")
            ),
            st.lists(st.integers(0, 3), max_size=3).map(tuple),
            min_size=1,
            max_size=3,
        )
    )
    steps = data.draw(st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=6, unique=True))
    metadata = data.draw(
        st.dictionaries(st.text(max_size=5).filter(lambda k: k != "axenic_stack"), st.text(), max_size=2)
    )
    written = data.draw(st.lists(st.sampled_from(steps), max_size=8))
    stack = TensorStack.create(path, shapes, steps, metadata)
    expected = {}
    for step in written:
        expected[step] = {name: torch.randn(shape) for name, shape in shapes.items()}
        stack.write(step, expected[step])
    again = TensorStack.open(path, shapes, steps, metadata)
    found_steps, tensors = again.read()
    assert found_steps == sorted(expected)
    assert tensors.keys() == shapes.keys()
    for number, step in enumerate(found_steps):
        for name in shapes:
            assert torch.equal(tensors[name][number], expected[step][name])


def test_opening_continues(stack: TensorStack) -> None:
    stack.write(5, row(5))
    again = TensorStack.open(stack.path, SHAPES, [5, 10, 20], {"base": "nano"})
    again.write(10, row(10))
    assert stack.written() == [5, 10]
    assert (again.shapes, again.steps, again.metadata) == (SHAPES, [5, 10, 20], {"base": "nano"})
    assert TensorStack.open(stack.path).read()[0] == [5, 10]


def test_resume_makes_or_continues(tmp_path: Path) -> None:
    for step in (5, 10):
        stack = TensorStack.resume(tmp_path / "deep" / "x", SHAPES, [5, 10])
        stack.write(step, row(step))
    assert stack.written() == [5, 10]
    with pytest.raises(FileError, match="other steps"):
        TensorStack.resume(tmp_path / "deep" / "x", SHAPES, [5, 11])


def test_create_does_not_overwrite(stack: TensorStack) -> None:
    with pytest.raises(FileError, match="exists already"):
        TensorStack.create(stack.path, SHAPES, [1])


def test_another_job_is_refused(stack: TensorStack) -> None:
    for what, arguments in (
        ("shapes", ({"v": (2, 4), "w": ()}, None, None)),
        ("shapes", ({"v": (2, 3)}, None, None)),
        ("steps", (None, [5, 10], None)),
        ("metadata", (None, None, {"base": "other"})),
        ("metadata", (None, None, {})),
    ):
        with pytest.raises(FileError, match=f"other {what}") as caught:
            TensorStack.open(stack.path, *arguments)
        assert caught.value.where == str(stack.path)


def test_other_files_are_no_stacks(tmp_path: Path, stack: TensorStack) -> None:
    save_tensors(tmp_path / "y", {"v": torch.zeros(2)})
    with pytest.raises(FileError, match="not a tensor stack"):
        TensorStack.open(tmp_path / "y")
    tensors, metadata = load_tensors(stack.path)
    for name, changed in (
        ("v", tensors["v"].double()),
        ("steps", tensors["steps"].flip(0)),
        ("steps", tensors["steps"].int()),
        ("written", tensors["written"][:2]),
    ):
        save_tensors(tmp_path / "y", {**tensors, name: changed.contiguous()}, metadata)
        with pytest.raises(FileError):
            TensorStack.open(tmp_path / "y")
    with pytest.raises(FileError, match="cannot read"):
        TensorStack.open(tmp_path / "none")


@pytest.mark.parametrize(
    ("shapes", "steps"),
    [({}, [1]), ({"steps": (1,)}, [1]), ({"written": (1,)}, [1]), ({"v": (1,)}, []), ({"v": (1,)}, [1, 1])],
)
def test_plans_that_cannot_be_meant(
    tmp_path: Path, shapes: dict[str, tuple[int, ...]], steps: list[int]
) -> None:
    with pytest.raises(DataError):
        TensorStack.create(tmp_path / "x", shapes, steps)
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize(
    ("step", "tensors", "words"),
    [
        (6, row(6), "step 6 is not planned"),
        (5, {"v": torch.zeros(2, 3)}, "no such tensor"),
        (5, {**row(5), "z": torch.zeros(1)}, "other tensors"),
        (5, {**row(5), "v": torch.zeros(3, 2)}, "does not fit"),
        (5, {**row(5), "w": torch.tensor(float("nan"))}, "1 of 1 values"),
        (5, {**row(5), "w": torch.tensor(1e300, dtype=torch.float64)}, "not finite"),
    ],
)
def test_rows_that_cannot_be_kept(
    stack: TensorStack, step: int, tensors: dict[str, torch.Tensor], words: str
) -> None:
    stack.write(5, row(5))
    with pytest.raises(DataError, match=words):
        stack.write(step, tensors)
    assert stack.read()[1]["w"].tolist() == [2.5]


@pytest.mark.fault
@pytest.mark.parametrize("room", range(0, 30, 3))
def test_a_write_that_fails_is_a_row_that_is_not_written(
    stack: TensorStack, full_disk: Callable[[int], None], room: int
) -> None:
    stack.write(5, row(5))
    stack.write(10, row(10))
    full_disk(room)
    with pytest.raises(DiskFullError):
        stack.write(10, row(99))
    steps, tensors = stack.read()
    # Room 0: not even the mark could be taken back, so the old row is still whole.
    assert steps == ([5, 10] if room == 0 else [5])
    assert tensors["w"].tolist() == [2.5, 5.0][: len(steps)]
    full_disk(1000)
    stack.write(10, row(11))
    assert stack.read()[1]["w"].tolist() == [2.5, 5.5]


@pytest.mark.fault
def test_no_room_shows_at_the_start(small_disk: Path) -> None:
    with pytest.raises(DiskFullError, match="room for"):
        TensorStack.create(small_disk / "x", {"v": (1000,)}, range(100))
    assert list(small_disk.iterdir()) == []
    stack = TensorStack.create(small_disk / "x", {"v": (1000,)}, range(10))
    (small_disk / "rest").touch()
    with pytest.raises(OSError, match="No space"):
        (small_disk / "rest").write_bytes(b"x" * 64_000)
    for step in range(10):
        stack.write(step, {"v": torch.ones(1000)})
    assert len(stack.read()[0]) == 10


@pytest.mark.fault
def test_a_cut_file_is_refused(stack: TensorStack) -> None:
    stack.write(20, row(20))
    os.truncate(stack.path, stack.path.stat().st_size - 4)
    with pytest.raises(FileError, match="ends early"):
        stack.read()
    with pytest.raises(FileError, match="not a valid safetensors"):
        TensorStack.open(stack.path)


KILLED_WRITER = """
import torch
from axenic.files import TensorStack
torch.set_num_threads(1)
def work(path):
    stack = TensorStack.resume(path, {"v": (20_000,)}, range(20), {"base": "nano"})
    for n in range(10**9):
        step = (len(stack.written()) + n) % 20
        stack.write(step, {"v": torch.full((20_000,), float(n + 1))})
"""


@pytest.mark.fault
def test_kill_at_any_instant(quick_folder: Path, kills: Callable[[str, Path, int], Iterator[int]]) -> None:
    path = quick_folder / "x.safetensors"
    rows_WD = torch.empty(0, 1)
    for _ in kills(KILLED_WRITER, path, 50):
        if not path.exists():
            continue
        assert safetensors.torch.load_file(path)["steps"].tolist() == list(range(20))
        _, tensors = TensorStack.open(path).read()
        rows_WD = tensors["v"]
        assert bool((rows_WD == rows_WD[:, :1]).all()), "a row that is marked as written is not whole"
    assert len(rows_WD) > 0
