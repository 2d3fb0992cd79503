"""`python -m benchmarks [SHAPE ...] [--only NAME ...]`: run the comparisons and print the tables that RESULTS.md shows."""

from __future__ import annotations

import argparse
import datetime
import os
import platform
from collections.abc import Callable, Iterator
from pathlib import Path

import torch

from axenic.models import OpenModel
from benchmarks import (
    ablation,
    evaluation,
    judge,
    kl_step,
    means,
    memory,
    peers,
    scalars,
    settings,
    sweep,
    transfer,
)
from benchmarks.shapes import Sizes, opened, sizes
from benchmarks.timing import Comparison, cpu_time

RESULTS = Path(__file__).parent / "RESULTS.md"

Row = tuple[str, Comparison, str]
"""What is compared, what was found, and the aim for the ratio."""


def main() -> None:
    """Time the shapes named (default: nano, a small Qwen2 and Qwen2.5-0.5B's, with a GPU also Qwen2.5-14B's)."""
    default = ["nano", "qwen2-30m", "qwen2.5-0.5b"] + (["qwen2.5-14b"] if torch.cuda.is_available() else [])
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("shapes", nargs="*", default=default)
    names = [*TIMED, "memory"]
    parser.add_argument(
        "--only", nargs="+", choices=names, default=names, metavar="NAME", help=", ".join(names)
    )
    parser.add_argument("--write", action="store_true", help="append the tables to benchmarks/RESULTS.md")
    arguments = parser.parse_args()
    lines: list[str] = []

    def tell(line: str) -> None:
        lines.append(line)
        print(line, flush=True)

    tell(_machine())
    if set(arguments.only) & set(TIMED):
        tell("\n| Shape | What | Ratio (range) | Ours | Other | Aim |\n|---|---|---|---|---|---|")
    for shape in arguments.shapes:
        for line in _rows(shape, arguments.only):
            tell(line)
    if "memory" in arguments.only:
        tell("\n| Shape | Answers | Peak memory of ours | collected, as published |\n|---|---|---|---|")
        for shape in arguments.shapes:
            for answers, megabytes in memory.run(shape):
                cells = " | ".join(f"{megabytes[way]:.1f} MB" for way in memory.WAYS)
                tell(f"| {shape} | {answers} | {cells} |")
        tell("\n| Shape | KL step: plain SFT | ours | two models, cached logits |\n|---|---|---|---|")
        for shape in (*arguments.shapes, kl_step.WIDE):
            cells = " | ".join(f"{size / 1e6:.0f} MB" for size in kl_step.memory(shape).values())
            tell(f"| {shape} | {cells} |")
    if arguments.write:
        RESULTS.write_text(RESULTS.read_text() + "\n" + "\n".join(lines) + "\n")


def _rows(shape: str, only: list[str]) -> Iterator[str]:
    chosen = [TIMED[name] for name in TIMED if name in only]
    if not chosen:
        return
    model, work = opened(shape), sizes(shape)
    for timed in chosen:
        for what, found, aim in timed(shape, model, work):
            spread = f"{found.ratio:.2f} ({found.low:.2f}-{found.high:.2f})"
            yield f"| {shape} | {what} | {spread} | {found.ours:.2f} s | {found.theirs:.2f} s | {aim} |"


def _evaluation(shape: str, model: OpenModel, work: Sizes) -> Iterator[Row]:
    found, rate = evaluation.run(model, work)
    what = (
        f"{work.questions} x {work.per_question} evaluation / one question at a time ({rate:,.0f} tokens/s)"
    )
    yield what, found, "<= 0.5" if shape == "nano" else "no slower"


def _sweep(shape: str, model: OpenModel, work: Sizes) -> Iterator[Row]:
    arms = f"{work.sweep_layers} layers x {work.sweep_strengths} strengths, {work.sweep_per_arm} answers each"
    aim = "<= 0.4" if shape == "nano" else "no slower"
    yield f"steering sweep, {arms} / arm by arm", sweep.run(model, work), aim


def _ablation(shape: str, model: OpenModel, work: Sizes) -> Iterator[Row]:
    yield "sampling ablated at every layer / plain, per token", ablation.run(model, work), "<= 1.05"


def _means(shape: str, model: OpenModel, work: Sizes) -> Iterator[Row]:
    found, extra = means.run(model, work)
    what = f"means of all layers / plain forward (extra memory {100 * extra:.1f} % of a batch's activations)"
    yield what, found, "<= 1.10"


def _judge(shape: str, model: OpenModel, work: Sizes) -> Iterator[Row]:
    if work.judged:
        found, apart = judge.run(model, work)
        what = f"local judge, {work.judged} answers, all numbers in two passes / pass by pass (apart by {apart:.0e})"
        yield what, found, "<= 0.2"


def _scalars(shape: str, model: OpenModel, work: Sizes) -> Iterator[Row]:
    yield f"scalars of {scalars.ADAPTERS} adapters / plain forward", scalars.run(model, work), "<= 1.10"


def _transfer(shape: str, model: OpenModel, work: Sizes) -> Iterator[Row]:
    if shape == "nano":
        found, same = transfer.run(model, work)
        cells = transfer.SIDE**2
        what = f"transfer, {transfer.SIDE} directions x {transfer.SIDE} organisms, one job / {cells} jobs"
        yield f"{what} ({same} of {cells} cells the same)", found, "<= 0.5"


def _peers(shape: str, model: OpenModel, work: Sizes) -> Iterator[Row]:
    for what, found in peers.run(model, work):
        yield f"means of all layers / {what}", found, "< 1"


def _settings(shape: str, model: OpenModel, work: Sizes) -> Iterator[Row]:
    found, apart = settings.run(model, work)
    scales = len(settings.FACTORS)
    what = f"{scales} scales of a vector, loss and KL, one pass / whole forwards (apart by {apart:.0e})"
    yield what, found, "< 1"


def _kl_step(shape: str, model: OpenModel, work: Sizes) -> Iterator[Row]:
    yield from kl_step.run(shape)


TIMED: dict[str, Callable[[str, OpenModel, Sizes], Iterator[Row]]] = {
    "evaluation": _evaluation,
    "sweep": _sweep,
    "ablation": _ablation,
    "means": _means,
    "judge": _judge,
    "scalars": _scalars,
    "transfer": _transfer,
    "settings": _settings,
    "kl_step": _kl_step,
    "peers": _peers,
}
"""What `--only` chooses from. The packages of peers come last: importing them changes classes of torch and Python."""


def _machine() -> str:
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else f"{os.cpu_count()} CPU cores"
    threads = torch.get_num_threads()
    clock = "CPU time of one thread" if cpu_time() else f"wall time, {threads} threads"
    today = datetime.datetime.now(tz=datetime.UTC).date().isoformat()
    return f"### {today}, {device}, {clock}, torch {torch.__version__}, {platform.machine()}"


if __name__ == "__main__":
    main()
