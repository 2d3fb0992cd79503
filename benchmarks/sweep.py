"""A steering sweep of layers x strengths: one batched job against one job after the other."""

from __future__ import annotations

from axenic.intervene import Arm, add
from axenic.models import OpenModel
from axenic.sample import Sampling, sample_answers
from benchmarks.evaluation import questions
from benchmarks.shapes import Sizes, random_direction
from benchmarks.timing import Comparison, compare


def run(model: OpenModel, sizes: Sizes) -> Comparison:
    """Time of the whole sweep, batched / one by one."""
    direction = random_direction(model)
    count = model.sites.n_layers
    layers = [round(i * (count - 1) / max(1, sizes.sweep_layers - 1)) for i in range(sizes.sweep_layers)]
    # Weak strengths: the answers keep their usual length, so that both ways do the same work.
    strengths = [0.01 * (1 + i) for i in range(sizes.sweep_strengths)]
    arms = [Arm(f"{layer} x {s:g}", (add(direction, layer, s),)) for layer in layers for s in strengths]
    per_arm_questions = min(8, sizes.sweep_per_arm)
    asked = questions(per_arm_questions)
    each = sizes.sweep_per_arm // per_arm_questions
    sampling = Sampling(max_new_tokens=sizes.sweep_tokens)

    def sample(group: list[Arm]) -> None:
        sample_answers(model, asked, per_question=each, arms=group, sampling=sampling)

    def one_by_one() -> None:
        for arm in arms:
            sample([arm])

    return compare(lambda: sample(arms), one_by_one, max(2, sizes.repeats - 2))
