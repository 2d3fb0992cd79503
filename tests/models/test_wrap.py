"""An adapter on a model, without PEFT's noise."""

from __future__ import annotations

import warnings

import pytest
import torch
from peft import LoraConfig, PeftModel

from axenic.models import tiny_model, wrap_with_adapter

pytestmark = pytest.mark.unit


def test_a_new_adapter_changes_nothing_and_nobody_is_warned():
    base, ids = tiny_model("qwen2"), torch.arange(6)[None]
    plain = base(input_ids=ids).logits
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = wrap_with_adapter(base, LoraConfig(r=2, target_modules=["down_proj"], task_type="CAUSAL_LM"))
    assert isinstance(model, PeftModel)
    assert torch.equal(model(input_ids=ids).logits, plain)


def test_modules_that_do_not_exist_are_an_error():
    with pytest.raises(ValueError, match="no_such_proj"):
        wrap_with_adapter(tiny_model("qwen2"), LoraConfig(r=2, target_modules=["no_such_proj"]))
