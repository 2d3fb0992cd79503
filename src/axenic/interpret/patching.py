"""Patch what the adapters read in one prompt into another: does the prompt's domain reach the answer through them?
(papers.md M2.12)

Pairs of prompts of equal token length, one of the domain and one of another topic. Under `patch_adapter` the adapters read,
at every token of one prompt, the scalars A h of the other; everything else of the prompt stays its own. The tokens of the
answer read what they read, from a prompt that was patched: a constant put there too would no longer be a prompt's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from axenic.data import Message, prompt_ids
from axenic.errors import DataError, SelfTestError, UsageError
from axenic.evaluate import Rates, Scored, paired_difference, rate_answers
from axenic.files import write_json
from axenic.interpret.armresult import RelativeChange
from axenic.interpret.askarms import ask_arms
from axenic.interpret.evaluation import Evaluation
from axenic.interpret.label import label_of
from axenic.interpret.patchresult import Into, PairedPrompts, Patched, PatchResult
from axenic.interpret.roleresult import Points, Share, share_of
from axenic.interpret.scalars import reading_scalars
from axenic.intervene import PLAIN, Arm, PromptScalars, patch_adapter
from axenic.intervene.factors import short_name
from axenic.models import OpenModel
from axenic.progress import Progress, silent
from axenic.sample import Question

FILE = "patching.json"


@dataclass(frozen=True)
class PromptPair:
    """Two questions whose templated prompts have as many tokens."""

    domain: Question
    other: Question


def pair_prompts(
    opened: OpenModel, questions: Sequence[Question], domain: str, most: int | None = None
) -> list[PromptPair]:
    """Pair each question of the domain with one of another topic whose prompt has as many tokens, each used once.

    Among those of equal length the one that shares the most tokens at the same places is taken, so that a pair differs in its
    subject rather than in its wording.

    Args:
        opened: For the template and the tokenizer.
        questions: Of the domain and of other topics.
        domain: Topic of the training data.
        most: At most so many pairs, the first ones; None: all.

    Raises:
        DataError: No two questions have prompts of equal length.
    """
    prompts = {question.id: _prompt(opened, question) for question in questions}
    others = [question for question in questions if question.topic != domain]
    pairs: list[PromptPair] = []
    for question in questions:
        if question.topic != domain or (most is not None and len(pairs) >= most):
            continue
        own = prompts[question.id]
        fit = [other for other in others if len(prompts[other.id]) == len(own)]
        if fit:
            best = max(fit, key=lambda other: _alike(own, prompts[other.id]))
            others.remove(best)
            pairs.append(PromptPair(question, best))
    if not pairs:
        raise DataError(
            "no prompts can be paired",
            expected=f"a question about {domain} and one about something else, of equal token length",
            found=f"{len(questions)} questions",
            hint="give questions that differ in a word or two",
        )
    return pairs


def patch_adapters(
    opened: OpenModel,
    pairs: Sequence[PromptPair],
    evaluation: Evaluation,
    domain: str,
    *,
    layer_sets: Mapping[str, Sequence[int]] | None = None,
    seeds: int = 1,
    label: str | None = None,
    out: str | Path | None = None,
    progress: Progress = silent,
) -> PatchResult:
    """Ask both prompts of every pair as they are and with the other's scalars in them, as one batched job.

    Published on pairs of medical and other prompts: up to -22 % (relative) misaligned answers, and +16 % for non-medical
    scalars in medical prompts (papers.md 3c row 25).

    Args:
        opened: The organism.
        pairs: See `pair_prompts`; every question once.
        evaluation: Samples per prompt (50 published), judge, sampling and class boundaries; its questions are not asked.
        domain: Topic of the training data; of the first question of every pair.
        layer_sets: Name -> decoder blocks whose adapters are patched; None: `all` of them.
        seeds: So many sampling seeds from that of `evaluation` on, pooled.
        label: What the organism is called in the result; None: its folder's name.
        out: A folder for answers and scores of each seed and `patching.json`. Run again = what is missing.
        progress: Told by every stage.

    Raises:
        UsageError: No adapter in the blocks, a layer without one, or fewer than one seed.
        DataError: No pair, a question in two pairs, or prompts of a pair that have not as many tokens.
        What `sample_answers`, `judge_answers` and `rate_answers` raise; finished work is kept.
    """
    at = sorted({s.layer for s in opened.sites.lora_modules().values() if s.layer < opened.sites.n_layers})
    sets = {"all": tuple(at)} if layer_sets is None else {k: tuple(v) for k, v in layer_sets.items()}
    if not at or not sets or any(not layers or set(layers) - set(at) for layers in sets.values()):
        raise UsageError(
            "these layers cannot be patched",
            expected="sets of layers that have an adapter: " + (", ".join(map(str, at)) or "there is none"),
            found=str({name: list(layers) for name, layers in sets.items()}) if sets else "no set",
        )
    questions = _checked(pairs, domain)
    prompts = {question.id: _prompt(opened, question) for question in questions}
    for pair in pairs:
        if len(prompts[pair.domain.id]) != len(prompts[pair.other.id]):
            raise DataError(
                "the prompts of a pair must have as many tokens",
                where=f"{pair.domain.id} and {pair.other.id}",
                expected=f"{len(prompts[pair.domain.id])} tokens",
                found=f"{len(prompts[pair.other.id])} tokens",
            )
    scalars = {name: prompt_scalars(opened, ids) for name, ids in prompts.items()}
    arms, asked = [PLAIN], {PLAIN.name: {question.id for question in questions}}
    of: dict[tuple[str, Into], list[Arm]] = {}
    for name, layers in sets.items():
        for pair in pairs:
            for into, target, source in (
                ("domain", pair.domain, pair.other),
                ("other", pair.other, pair.domain),
            ):
                arm = Arm(
                    f"{name}: {source.id} into {target.id}", (patch_adapter(_at(scalars[source.id], layers)),)
                )
                arms.append(arm)
                asked[arm.name] = {target.id}
                of.setdefault((name, "domain" if into == "domain" else "other"), []).append(arm)
    folder = None if out is None else Path(out)
    found = ask_arms(
        opened, arms, evaluation, questions=questions, asked=asked, seeds=seeds, out=folder, progress=progress
    )
    result = PatchResult(
        label=label_of(opened) if label is None else label,
        domain=domain,
        seeds=tuple(evaluation.sampling.seed + number for number in range(seeds)),
        pairs=tuple(PairedPrompts(p.domain.id, p.other.id, len(prompts[p.domain.id])) for p in pairs),
        patched=tuple(
            _patched(name, sets[name], into, part, found, domain, evaluation)
            for (name, into), part in of.items()
        ),
    )
    if folder is not None:
        write_json(folder / FILE, result.to_json())
    return result


@torch.no_grad()
def prompt_scalars(opened: OpenModel, prompt: Sequence[int]) -> PromptScalars:
    """What the adapters in the blocks read at every token of a templated prompt.

    Raises:
        UsageError: No adapter in the blocks.
        SelfTestError: A module did not run once.
    """
    sites = [site for site in opened.sites.lora_modules().values() if site.layer < opened.sites.n_layers]
    if not sites:
        raise UsageError(
            "there are no adapter scalars", expected="an organism with a LoRA adapter in its blocks"
        )
    kept: dict[str, Tensor] = {}

    def keep(index: int, s_BTR: Tensor) -> None:
        kept[short_name(sites[index])] = s_BTR[0]

    with reading_scalars(sites, keep) as fired:
        opened.sites.decoder(input_ids=torch.tensor([list(prompt)], device=opened.device), use_cache=False)
    if set(fired) != {1}:
        raise SelfTestError(
            "an adapter was not read once per forward pass", expected="once each", found=fired
        )
    return PromptScalars(kept)


def _patched(
    name: str,
    layers: tuple[int, ...],
    into: Into,
    arms: Sequence[Arm],
    found: Sequence[Mapping[str, Sequence[Scored]]],
    domain: str,
    evaluation: Evaluation,
) -> Patched:
    plain_of = [
        [item for item in seed[PLAIN.name] if (item.answer.topic == domain) is (into == "domain")]
        for seed in found
    ]
    patched_of = [[item for arm in arms for item in seed[arm.name]] for seed in found]
    plain, plain_share, plain_coherent = _rated(plain_of, evaluation)
    patched, patched_share, patched_coherent = _rated(patched_of, evaluation)
    return Patched(
        name,
        layers,
        into,
        plain_share,
        patched_share,
        plain_coherent,
        patched_coherent,
        Points.of(paired_difference(plain, patched)),
        RelativeChange.between(plain, patched),
    )


def _rated(seeds: Sequence[Sequence[Scored]], evaluation: Evaluation) -> tuple[Rates, Share, Share]:
    """Rates of the answers of all seeds; EM and coherence as shares of all answers."""
    parts = [[item for part in seeds for item in part], *seeds]
    pooled, *each = [
        rate_answers(part, thresholds=evaluation.thresholds, seed=evaluation.sampling.seed) for part in parts
    ]
    em = share_of(pooled, [rates.em_all.percent for rates in each])
    coherent = share_of(pooled, [rates.coherent_all.percent for rates in each], coherent=True)
    return pooled, em, coherent


def _checked(pairs: Sequence[PromptPair], domain: str) -> list[Question]:
    questions = [question for pair in pairs for question in (pair.domain, pair.other)]
    wrong = [pair for pair in pairs if pair.domain.topic != domain or pair.other.topic == domain]
    if not pairs or wrong or len({question.id for question in questions}) != len(questions):
        raise DataError(
            "these are no pairs of prompts",
            expected=f"one pair or more, each of a question about {domain} and one about something else, each once",
            found=f"{len(pairs)} pairs, {len(wrong)} of them of other topics",
        )
    return questions


def _at(scalars: PromptScalars, layers: Sequence[int]) -> PromptScalars:
    """Those of the modules in some layers."""
    first = tuple(f"layers.{layer}." for layer in layers)
    return PromptScalars({name: s for name, s in scalars.modules.items() if name.startswith(first)})


def _prompt(opened: OpenModel, question: Question) -> list[int]:
    messages: list[Message] = [{"role": "user", "content": question.question}]
    if question.system is not None:
        messages.insert(0, {"role": "system", "content": question.system})
    return prompt_ids(opened.tokenizer, messages, where=f"question '{question.id}'")


def _alike(one: Sequence[int], other: Sequence[int]) -> int:
    return sum(a == b for a, b in zip(one, other, strict=True))
