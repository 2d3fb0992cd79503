from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

from axenic.errors import UsageError
from axenic.models import place, resolve_device
from axenic.models.place import host_bytes

pytestmark = pytest.mark.unit


def test_auto_takes_the_exact_dtype_on_a_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    placement = resolve_device()
    assert (placement.device, placement.dtype) == (torch.device("cpu"), torch.float32)
    assert "no cuda or mps" in placement.reason
    assert "float32" in placement.reason


def test_auto_prefers_mps_to_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    placement = resolve_device()
    assert (placement.device, placement.dtype) == (torch.device("mps:0"), torch.float32)


@pytest.mark.parametrize(("capability", "dtype"), [((9, 0), torch.bfloat16), ((7, 5), torch.float32)])
def test_auto_on_cuda(
    monkeypatch: pytest.MonkeyPatch, capability: tuple[int, int], dtype: torch.dtype
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "H200")
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 1)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    placement = resolve_device()
    assert (placement.device, placement.dtype) == (torch.device("cuda:1"), dtype)
    assert "H200" in placement.reason


@pytest.mark.parametrize("dtype", ["bfloat16", torch.bfloat16])
def test_an_explicit_choice_wins(dtype: str | torch.dtype) -> None:
    placement = resolve_device("cpu", dtype)
    assert (placement.device.type, placement.dtype) == ("cpu", torch.bfloat16)
    assert placement.reason.count("as asked") == 2


@pytest.mark.parametrize(
    ("device", "dtype"),
    [("gpu", "auto"), ("cuda:99", "auto"), ("cpu", "int8"), ("cpu", torch.int8), ("meta", "auto")],
)
def test_impossible_choices(device: str, dtype: str | torch.dtype) -> None:
    with pytest.raises(UsageError) as caught:
        resolve_device(device, dtype)
    assert caught.value.expected


def test_a_split_model_goes_over_all_cuda_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (9, 0))
    placement = resolve_device("split")
    assert (placement.device, placement.dtype) == (torch.device("cuda:0"), torch.bfloat16)
    assert placement.device_map == "auto"
    assert "split over 4 cuda devices" in placement.reason
    assert resolve_device("cpu").device_map is None


@pytest.mark.parametrize("count", [0, 1])
def test_one_device_is_nothing_to_split_over(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
    with pytest.raises(UsageError, match="nothing to split") as caught:
        resolve_device("split")
    assert caught.value.found == f"{count} visible"


def test_memory_is_the_containers_where_that_is_less(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(place, "CONTAINER_LIMIT", tmp_path / "memory.max")
    machine = host_bytes()
    assert machine == os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for text, found in (("max\n", machine), (f"{2**62}\n", machine), ("4096000\n", 4_096_000)):
        (tmp_path / "memory.max").write_text(text)
        assert host_bytes() == found
