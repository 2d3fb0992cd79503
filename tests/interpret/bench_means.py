"""How much extraction costs over a plain forward pass:

    MALLOC_TRIM_THRESHOLD_=1000000000 MALLOC_MMAP_THRESHOLD_=1000000000 python tests/interpret/bench_means.py

Without these two variables glibc returns memory to the system between operations, at times that depend on what else is
allocated, and the ratio then measures page faults (it came out at 0.91).

Prints the ratio of `answer_means` to the same batches through the bare decoder, in CPU time of one thread: both run in
turns, and the least of each counts, since a busy machine can only add. Budget: 1.10.
"""

from __future__ import annotations

import sys
import time

import torch
from transformers import Qwen2Config, Qwen2ForCausalLM

from axenic.interpret import Conversation, answer_means
from axenic.interpret.batches import batches
from axenic.models.opened import from_parts

SHAPES = {
    "nano": (
        {
            "hidden_size": 128,
            "intermediate_size": 384,
            "num_hidden_layers": 6,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
        },
        (12, 35, 120),
    ),
    "qwen2.5-0.5b, 4 layers": (
        {
            "hidden_size": 896,
            "intermediate_size": 4864,
            "num_hidden_layers": 4,
            "num_attention_heads": 14,
            "num_key_value_heads": 2,
        },
        (30, 90, 6),
    ),
}
"""Name -> model sizes, (prompt tokens, longest answer, conversations)."""


def overhead(name: str, *, rounds: int = 15, dtype: torch.dtype = torch.float32) -> tuple[float, float]:
    """(seconds of a plain pass, ratio of the extraction to it), from the least of each."""
    sizes, (prompt, longest, rows) = SHAPES[name]
    torch.manual_seed(0)
    model = Qwen2ForCausalLM(Qwen2Config(vocab_size=1000, **sizes)).to(dtype)
    opened = from_parts(model, None, name)
    made = [
        Conversation(tuple(range(prompt)), tuple(range(1 + (i * 7919) % longest)), header=3)
        for i in range(rows)
    ]

    def plain() -> None:
        with torch.no_grad():
            for batch in batches(made, batch_tokens=4096):
                opened.sites.decoder(
                    input_ids=batch.ids_BT,
                    attention_mask=batch.mask_BT,
                    position_ids=batch.positions_BT,
                    use_cache=False,
                )

    def extract() -> None:
        answer_means(opened, made, groups=[i % 4 for i in range(rows)], batch_tokens=4096)

    plain()
    extract()
    least = {plain: float("inf"), extract: float("inf")}
    for _ in range(rounds):
        for work in least:
            start = time.process_time()
            work()
            least[work] = min(least[work], time.process_time() - start)
    return least[plain], least[extract] / least[plain]


if __name__ == "__main__":
    torch.set_num_threads(1)
    for shape in SHAPES:
        for kind in (torch.float32, torch.bfloat16):
            base, ratio = overhead(shape, dtype=kind)
            sys.stdout.write(
                f"{shape:24} {kind!s:15} plain {base * 1000:8.1f} ms   extraction x {ratio:.3f}\n"
            )
