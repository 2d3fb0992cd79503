"""`python -m benchmarks [SHAPE ...]`: run every comparison and print the table that README and RESULTS.md show."""

from __future__ import annotations

import argparse
import datetime
import os
import platform
from pathlib import Path

import torch

from benchmarks import ablation, evaluation, judge, means, sweep
from benchmarks.shapes import opened, sizes
from benchmarks.timing import Comparison

RESULTS = Path(__file__).parent / "RESULTS.md"


def main() -> None:
    """Time the shapes named (default: nano, a small Qwen2 and Qwen2.5-0.5B's, with a GPU also Qwen2.5-14B's)."""
    default = ["nano", "qwen2-30m", "qwen2.5-0.5b"] + (["qwen2.5-14b"] if torch.cuda.is_available() else [])
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("shapes", nargs="*", default=default)
    parser.add_argument("--write", action="store_true", help="append the table to benchmarks/RESULTS.md")
    arguments = parser.parse_args()
    lines = [
        _machine(),
        "",
        "| Shape | What | Ratio (range) | Ours | Other | Aim |",
        "|---|---|---|---|---|---|",
    ]
    print("\n".join(lines), flush=True)
    for shape in arguments.shapes:
        for line in _rows(shape):
            lines.append(line)
            print(line, flush=True)
    if arguments.write:
        RESULTS.write_text(RESULTS.read_text() + "\n" + "\n".join(lines) + "\n")


def _rows(shape: str) -> list[str]:
    model, work = opened(shape), sizes(shape)
    small = shape == "nano"
    rows = []
    found, rate = evaluation.run(model, work)
    what = (
        f"{work.questions} x {work.per_question} evaluation / one question at a time ({rate:,.0f} tokens/s)"
    )
    rows.append(_row(shape, what, found, "<= 0.5" if small else "no slower"))
    found = sweep.run(model, work)
    arms = f"{work.sweep_layers} layers x {work.sweep_strengths} strengths, {work.sweep_per_arm} answers each"
    rows.append(
        _row(shape, f"steering sweep, {arms} / arm by arm", found, "<= 0.4" if small else "no slower")
    )
    found = ablation.run(model, work)
    rows.append(_row(shape, "sampling ablated at every layer / plain, per token", found, "<= 1.05"))
    found, extra = means.run(model, work)
    what = f"means of all layers / plain forward (extra memory {100 * extra:.1f} % of a batch's activations)"
    rows.append(_row(shape, what, found, "<= 1.10"))
    if work.judged:
        found, apart = judge.run(model, work)
        what = f"local judge, {work.judged} answers, all numbers in two passes / pass by pass (apart by {apart:.0e})"
        rows.append(_row(shape, what, found, "<= 0.2"))
    return rows


def _row(shape: str, what: str, found: Comparison, aim: str) -> str:
    spread = f"{found.ratio:.2f} ({found.low:.2f}-{found.high:.2f})"
    return f"| {shape} | {what} | {spread} | {found.ours:.2f} s | {found.theirs:.2f} s | {aim} |"


def _machine() -> str:
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else f"{os.cpu_count()} CPU cores"
    today = datetime.datetime.now(tz=datetime.UTC).date().isoformat()
    return f"### {today}, {device}, torch {torch.__version__}, {platform.machine()}"


if __name__ == "__main__":
    main()
