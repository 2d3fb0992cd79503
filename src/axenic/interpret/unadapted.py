"""The base model inside an organism: the same weights with its adapter or vectors switched off."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from peft import PeftModel

from axenic.errors import ModelError, UsageError
from axenic.models import OpenModel, scaled_vectors, steering_of


@contextmanager
def base_of(opened: OpenModel, base: OpenModel | None = None) -> Iterator[OpenModel]:
    """The base model of an organism: the one given, else `opened` without its adapter, else `opened` itself.

    While the block runs, an adapter that is switched off is off for everybody who holds `opened`; nothing of it is
    computed, so that the base model comes out to the last bit. Behind the block all is as it was.

    Args:
        opened: The organism, or a plain base model.
        base: The base model, for an organism that is a full fine-tune.

    Raises:
        ModelError: `base` is itself an organism, or of other weights than `opened` was grown from.
        UsageError: A full fine-tune without its base.
    """
    if base is not None:
        if base.identity.organism is not None or base.identity.base != opened.identity.base:
            raise ModelError(
                f"{base.name} is not the base model of {opened.organism or opened.name}",
                expected=f"base model {opened.identity.base}, no organism",
                found=f"base model {base.identity.base}, organism {base.identity.organism or 'none'}",
            )
        yield base
        return
    if opened.identity.organism is None:
        yield opened
        return
    plain = replace(opened, organism=None, identity=replace(opened.identity, organism=None))
    if steering_of(opened.model):
        with scaled_vectors(opened.model, 0.0):
            yield plain
        return
    if not isinstance(opened.model, PeftModel):
        raise UsageError(
            "a full fine-tune does not hold its base model",
            where=opened.organism,
            expected="the base model beside it: base=open_model(NAME)",
            found="none",
        )
    try:
        with opened.model.disable_adapter():
            yield plain
    finally:
        # PEFT switches gradients of the adapter on when it comes back.
        opened.model.requires_grad_(False)
