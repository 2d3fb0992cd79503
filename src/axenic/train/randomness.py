"""Random state that does not leak: transformers and PEFT use the global generators, so they are borrowed."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


@contextmanager
def borrowed_generators() -> Iterator[None]:
    """Run a block that may seed and use Python's, numpy's and torch's global generators; put them back."""
    python, numpy = random.getstate(), np.random.get_state()
    try:
        with torch.random.fork_rng():
            yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)


def step_seed(seed: int, step: int, rank: int = 0) -> int:
    """Seed of one training step, a pure function of the run's seed and the step (and of the process, for dropout).

    Seeding each step by itself means that no generator state has to be saved and restored: dropout at step
    100 is the same whether the run was ever interrupted or not.
    """
    name = f"axenic.train/{seed}/{step}" + (f"/{rank}" if rank else "")
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:7], "little")
