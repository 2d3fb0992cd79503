from __future__ import annotations

import pytest
import torch

from axenic.errors import UsageError
from axenic.models import resolve_device

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
    assert (placement.device.type, placement.dtype) == ("mps", torch.float32)


@pytest.mark.parametrize(("bfloat16", "dtype"), [(True, torch.bfloat16), (False, torch.float32)])
def test_auto_on_cuda(monkeypatch: pytest.MonkeyPatch, bfloat16: bool, dtype: torch.dtype) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "H200")
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: bfloat16)
    monkeypatch.setattr(torch.cuda, "_DeviceGuard", None)
    monkeypatch.setattr(torch.cuda.device, "__enter__", lambda self: None)
    monkeypatch.setattr(torch.cuda.device, "__exit__", lambda self, *args: None)
    placement = resolve_device()
    assert (placement.device.type, placement.dtype) == ("cuda", dtype)
    assert "H200" in placement.reason


@pytest.mark.parametrize("dtype", ["bfloat16", torch.bfloat16])
def test_an_explicit_choice_wins(dtype: str | torch.dtype) -> None:
    placement = resolve_device("cpu", dtype)
    assert (placement.device.type, placement.dtype) == ("cpu", torch.bfloat16)
    assert placement.reason.count("as asked") == 2


@pytest.mark.parametrize(
    ("device", "dtype"), [("gpu", "auto"), ("cuda:99", "auto"), ("cpu", "int8"), ("cpu", torch.int8), ("meta", "auto")]
)
def test_impossible_choices(device: str, dtype: str | torch.dtype) -> None:
    with pytest.raises(UsageError) as caught:
        resolve_device(device, dtype)
    assert caught.value.expected
