"""What projecting a direction out at every layer costs while sampling."""

from __future__ import annotations

from axenic.intervene import PLAIN, Arm, project_out
from axenic.models import OpenModel
from axenic.sample import Sampling, sample_answers
from benchmarks.evaluation import questions
from benchmarks.shapes import Sizes, random_direction
from benchmarks.timing import Comparison, compare


def run(model: OpenModel, sizes: Sizes) -> Comparison:
    """Time per token of ablated sampling against plain sampling.

    Ablated answers may be longer or shorter than plain ones; the ratio is taken per generated token.
    """
    asked = questions(sizes.questions)
    ablated = Arm("ablated", (project_out(random_direction(model)),))
    sampling = Sampling(max_new_tokens=sizes.new_tokens)

    def sample(arm: Arm) -> int:
        answers = sample_answers(
            model, asked, per_question=sizes.per_question, arms=(arm,), sampling=sampling
        )
        return sum(len(answer.tokens) for answer in answers)

    per_token = sample(PLAIN) / sample(ablated)
    found = compare(lambda: sample(ablated), lambda: sample(PLAIN), sizes.repeats + 2)
    return Comparison(
        found.ours, found.theirs, found.ratio * per_token, found.low * per_token, found.high * per_token
    )
