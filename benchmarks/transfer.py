"""A transfer matrix, six directions in six organisms: one job, against one ablation after the other."""

from __future__ import annotations

import tempfile
from functools import partial
from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model

from axenic.directions import Direction, random_like
from axenic.evaluate import NanoJudge
from axenic.interpret import Evaluation, Organism, ablate_direction, transfer_matrix
from axenic.models import OpenModel, open_model
from axenic.sample import Sampling
from benchmarks.evaluation import questions
from benchmarks.shapes import Sizes, random_direction
from benchmarks.timing import Comparison, compare

SIDE = 6
_CONTROLS = 3
"""Random directions beside every result; the default of both analyses."""

_PER_QUESTION = 2
"""Answers to each question under each arm. Few: the 36 jobs sample 30 arms' answers for each organism."""

Cells = dict[tuple[str, str], float | None]


def organisms(folder: Path) -> list[Organism]:
    """Six nano organisms with rank-1 adapters of random weights; only their cost matters here."""
    for seed in range(SIDE):
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            config = LoraConfig(r=1, lora_alpha=1, target_modules=["down_proj"], init_lora_weights=False)
            get_peft_model(open_model("nano").sites.model, config).save_pretrained(
                folder / f"organism-{seed}"
            )
    return [
        Organism(f"organism-{seed}", partial(open_model, "nano", folder / f"organism-{seed}"))
        for seed in range(SIDE)
    ]


def as_one(columns: list[Organism], rows: dict[str, Direction], evaluation: Evaluation) -> Cells:
    """EM of every cell by `transfer_matrix`."""
    matrix = transfer_matrix(columns, rows, evaluation, controls=_CONTROLS)
    return {
        (label, column.label): matrix.cell(label, column.label).rates.em_all.percent
        for column in columns
        for label in rows
    }


def one_by_one(columns: list[Organism], rows: dict[str, Direction], evaluation: Evaluation) -> Cells:
    """The same by one `ablate_direction` for each cell, which opens its organism as a command of its own would."""
    cells: Cells = {}
    for column in columns:
        for label, direction in rows.items():
            result = ablate_direction(
                column.open(), direction, evaluation, modes=("layerwise",), controls=_CONTROLS
            )
            (arm,) = (arm for arm in result.arms if arm.role == "layerwise")
            cells[label, column.label] = arm.rates.em_all.percent
    return cells


def run(model: OpenModel, sizes: Sizes) -> tuple[Comparison, int]:
    """Time ratio one job / 36 jobs, and how many of the 36 cells have the same EM in both.

    An answer's tokens are drawn from its own numbers, so the cells are the same but for rounding of logits near a boundary.
    """
    plain = random_direction(model)
    rows = {f"direction-{seed}": random_like(plain, 100 + seed) for seed in range(SIDE)}
    evaluation = Evaluation(
        tuple(questions(sizes.questions)),
        _PER_QUESTION,
        NanoJudge(),
        Sampling(max_new_tokens=sizes.new_tokens),
    )
    with tempfile.TemporaryDirectory() as folder:
        columns = organisms(Path(folder))
        one, other = as_one(columns, rows, evaluation), one_by_one(columns, rows, evaluation)
        same = sum(one[cell] == other[cell] for cell in one)
        found = compare(
            lambda: as_one(columns, rows, evaluation),
            lambda: one_by_one(columns, rows, evaluation),
            2,
            warm=True,
        )
    return found, same
