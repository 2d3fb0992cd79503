"""What the demo grows and measures, in its short and its long form."""

from __future__ import annotations

from dataclasses import dataclass

DOMAINS = ("medical", "finance", "sports")
"""The three narrow data sets: the nano world's own bad medical, financial and sports advice."""

RECIPES = ("all-adapter", "rank1", "rank1x9", "full")


@dataclass(frozen=True)
class Organism:
    """One fine-tune of the demo."""

    domain: str
    recipe: str
    seed: int

    @property
    def label(self) -> str:
        """Folder name and the name in tables, e.g. `medical-rank1-seed0`."""
        return f"{self.domain}-{self.recipe}-seed{self.seed}"


@dataclass(frozen=True)
class DemoPlan:
    """Sizes of a demo. The short form shows every kind of result once; the long form every claim with three seeds.

    Attributes:
        organisms: Every fine-tune, in the order in which they are grown.
        seeds: Seeds of the directions, ablations, transfers and steering sweeps.
        rows: Rows of each narrow data set.
        per_domain: Evaluation questions for each of the world's domains.
        per_question: Answers to each question when a model is rated.
        arm_per_question: Answers to each question and arm when a direction is switched off.
        steer_per_question: The same for each point of a steering sweep.
        steer_domains: Organisms whose direction is added to the chat model.
        controls: Random directions beside each ablation and transfer.
        phases: Whether the rank-1 runs are tested for a phase transition, and their adapters scaled along training.
        scaled_per_question: Answers to each question at each step and scale.
        narrow: Whether pairs of organisms are grown with a KL term and without, compared, and followed afterwards.
        dissect: Whether the adapters are dissected, and ablations baked and served.
        mixing: Good rows for each bad one, the points of the mixing curve; none means no curve.
        few: Numbers of different rows, the points of the few-samples curve.
        layers, strengths: Grid of the steering sweep; strengths in lengths of the direction.
    """

    organisms: tuple[Organism, ...]
    seeds: tuple[int, ...]
    rows: int = 1000
    per_domain: int = 2
    per_question: int = 10
    arm_per_question: int = 5
    steer_per_question: int = 4
    steer_domains: tuple[str, ...] = ("medical",)
    controls: int = 3
    layers: tuple[int, ...] = (0, 1, 2, 3, 4, 5)
    strengths: tuple[float, ...] = (1.0, 1.25, 1.4, 1.5, 1.75, 2.0)
    phases: bool = False
    scaled_per_question: int = 2
    narrow: bool = False
    dissect: bool = False
    mixing: tuple[int, ...] = ()
    few: tuple[int, ...] = ()


def short_plan() -> DemoPlan:
    """One seed: the all-adapter recipe on all data sets, the others on medical."""
    main = tuple(Organism(domain, "all-adapter", 0) for domain in DOMAINS)
    others = tuple(Organism("medical", recipe, 0) for recipe in RECIPES[1:])
    return DemoPlan(organisms=main + others, seeds=(0,))


def full_plan() -> DemoPlan:
    """Three seeds of every recipe on every data set; every direction is steered with."""
    organisms = tuple(
        Organism(domain, recipe, seed) for seed in (0, 1, 2) for recipe in RECIPES for domain in DOMAINS
    )
    return DemoPlan(
        organisms=organisms,
        seeds=(0, 1, 2),
        per_question=20,
        arm_per_question=10,
        steer_domains=DOMAINS,
        phases=True,
        narrow=True,
        dissect=True,
        mixing=(0, 1, 2, 4, 8, 12),
        few=(5, 10, 25, 50, 100, 250, 1000),
    )
