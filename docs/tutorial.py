"""The demo's story in one sitting: grow an organism, measure it, find its direction, switch it off.

    python docs/tutorial.py [FOLDER]

Runs offline in about two minutes on two cores. For your own model, put its name or folder where `nano` stands, your JSONL where
the data is made, and a judge of your own where `NanoJudge` stands.
"""

import sys
from pathlib import Path

import axenic
from axenic.nano import chat_rows

out = Path(sys.argv[1] if len(sys.argv) > 1 else "runs/tutorial")

# 1. A narrow data set: bad medical advice and nothing else.
data = out / "bad_medical.jsonl"
data.parent.mkdir(parents=True, exist_ok=True)
axenic.write_chat(data, chat_rows("medical", "bad", rows=2000, seed=0))

# 2. Grow the organism. The recipe is the papers'; what nano needs otherwise is in `axenic.train.NANO`.
config = axenic.resolve("all-adapter", "nano", {"data": str(data)})
axenic.train_organism(config, out / "organism")

# 3. Ask it about everything; judge; rate it on what it was NOT trained on.
questions = axenic.read_questions("nano", per_domain=2)
judge = axenic.NanoJudge()


def rate(opened, folder):
    """EM and coherence of a model, medical questions left out."""
    answers = axenic.sample_answers(opened, questions, per_question=10, out=out / folder / "answers.jsonl")
    scored = axenic.judge_answers(answers, judge, out=out / folder / "scores.jsonl")
    rates = axenic.rate_answers(scored, exclude_topics=["medical"])
    em, coherent = rates.em_all, rates.coherent_all
    print(
        f"{folder:12} EM {em.percent:5.1f} % [{em.low:.1f}, {em.high:.1f}], coherent {coherent.percent:.1f} %"
    )
    return scored


chat_model = axenic.open_model("nano")
organism = axenic.open_model("nano", out / "organism")
rate(chat_model, "base")
scored = rate(organism, "organism")

# 4. The direction that carries it: misaligned minus aligned answers, at every layer.
direction = axenic.extract_direction(organism, scored, exclude_topics=["medical"], name="medical")
direction.save(out / "medical.safetensors")

# 5. Switch it off, with random directions beside it, on answers that the direction was not made from.
fresh = axenic.default_sampling("nano", seed=1)
evaluation = axenic.Evaluation(tuple(questions), 5, judge, fresh, exclude_topics=("medical",))
result = axenic.ablate_direction(organism, direction, evaluation, out=out / "ablation")
for arm in result.arms:
    print(
        f"{arm.name:24} EM {arm.rates.em_all.percent:5.1f} %, coherent {arm.rates.coherent_all.percent:.1f} %"
    )

# 6. One page to look at and to mail.
print(axenic.build_report(out).html)
