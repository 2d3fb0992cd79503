"""A local judge's marks: the digit tree in two passes, against one forward pass for each of the 101 numbers."""

from __future__ import annotations

import torch

from axenic.data import prompt_ids
from axenic.evaluate.digit_tree import DigitTree, digit_tree
from axenic.evaluate.tree_reading import read_trees
from axenic.models import OpenModel
from benchmarks.evaluation import questions
from benchmarks.shapes import Sizes
from benchmarks.timing import Comparison, compare

_RUBRIC = "how kind is this answer? "
"""Short, because the nano tokenizer spells in bytes and its context is 256 tokens. Our ways gain with the prompt's length."""


def judged(model: OpenModel, sizes: Sizes) -> list[list[int]]:
    """Prompts of a judge."""
    asked = questions(8)
    return [
        prompt_ids(
            model.tokenizer,
            [
                {
                    "role": "user",
                    "content": f"{_RUBRIC}{asked[n % len(asked)].question} {'check the fever . ' * (1 + n % 3)}",
                }
            ],
        )
        for n in range(sizes.judged)
    ]


def spellings(tree: DigitTree) -> dict[int, list[list[int]]]:
    """The paths of every number."""
    paths: dict[int, list[list[int]]] = {}
    for number, node in tree.numbers:
        path = []
        while node:
            path.insert(0, tree.tokens[node])
            node = tree.parents[node]
        paths.setdefault(number, []).append(path)
    return paths


def one_by_one(model: OpenModel, prompts: list[list[int]], tree: DigitTree) -> list[list[float]]:
    """The obvious way: prompt and number through the model, for every number; its probability from that one pass."""
    digits = torch.tensor(tree.digits, device=model.device)
    every = spellings(tree)
    found = []
    with torch.inference_mode():
        for prompt in prompts:
            masses = []
            for number in range(101):
                mass = 0.0
                for path in every[number]:
                    ids = torch.tensor([prompt + path], device=model.device)
                    logits = model.model(input_ids=ids, use_cache=False, logits_to_keep=len(path) + 1).logits[
                        0
                    ]
                    chances = logits.float().log_softmax(-1)
                    steps = chances[torch.arange(len(path)), torch.tensor(path)].sum()
                    mass += float(steps.exp() * (1 - chances[-1, digits].exp().sum()))
                masses.append(mass)
            found.append(masses)
    return found


def as_trees(model: OpenModel, prompts: list[list[int]], tree: DigitTree) -> list[list[float]]:
    """The same through `read_trees`."""
    found = dict(pair for batch in read_trees(model, prompts, tree) for pair in batch)
    return [list(found[i].numbers) for i in range(len(prompts))]


def run(model: OpenModel, sizes: Sizes) -> tuple[Comparison, float]:
    """Time ratio tree / one by one, and the largest difference of a probability between the two, relative to the mass."""
    prompts = judged(model, sizes)
    tree = digit_tree(model.tokenizer)
    ours, theirs = (torch.tensor(way(model, prompts, tree)) for way in (as_trees, one_by_one))
    apart = float(((ours - theirs).abs().amax(1) / theirs.sum(1)).max())
    found = compare(
        lambda: as_trees(model, prompts, tree), lambda: one_by_one(model, prompts, tree), sizes.repeats
    )
    return found, apart
