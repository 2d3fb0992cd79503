"""The two passes against brute force: one full forward pass for every path, without cache, batch or tree."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import pytest
import torch

from axenic.errors import ModelError
from axenic.evaluate import tree_reading
from axenic.evaluate.digit_tree import digit_tree
from axenic.evaluate.tree_reading import Masses, read_trees
from axenic.models import OpenModel

from .toy_judges import PLANS, SPACED, toy_judge

pytestmark = pytest.mark.unit

WORDS = ["CODE", "REFUSAL"]


def prompts_of(opened: OpenModel, lengths: Sequence[int], common: int = 0) -> list[list[int]]:
    """Random tokens; the first `common` are the same in all."""
    generator = torch.Generator().manual_seed(3)
    size = len(opened.tokenizer)
    first = torch.randint(1, size, (common,), generator=generator).tolist()
    return [
        first + torch.randint(1, size, (length - common,), generator=generator).tolist() for length in lengths
    ]


def read_all(opened: OpenModel, prompts: Sequence[Sequence[int]], words: list[str] = WORDS) -> list[Masses]:
    tree = digit_tree(opened.tokenizer, words)
    found = dict(pair for batch in read_trees(opened, prompts, tree) for pair in batch)
    assert sorted(found) == list(range(len(prompts)))
    return [found[i] for i in range(len(prompts))]


class BruteForce:
    """Independent: paths from the plan's own merges, softmax in float64, one whole pass per path."""

    def __init__(
        self, opened: OpenModel, plan: str, prompt: list[int], leads: tuple[str, ...] = ("",)
    ) -> None:
        self.opened, self.prompt, self.leads = opened, prompt, leads
        self.ids: dict[str, int] = opened.tokenizer.get_vocab()
        self.whole = plan != "digits"
        self.digits = [i for piece, i in self.ids.items() if piece[0] in "0123456789"]
        self.after = cache(self._after)

    def path(self, text: str) -> tuple[int, ...]:
        whole = self.whole and text.isdigit()
        return (self.ids[text],) if whole else tuple(self.ids[c] for c in text)

    def _after(self, path: tuple[int, ...]) -> torch.Tensor:
        with torch.no_grad():
            output = self.opened.model(input_ids=torch.tensor([self.prompt + list(path)]), use_cache=False)
        return torch.softmax(output.logits[0, -1].double(), -1)

    def begins(self, path: tuple[int, ...]) -> float:
        product = 1.0
        for k, token in enumerate(path):
            product *= float(self.after(path[:k])[token])
        return product

    def number(self, n: int) -> float:
        return sum(
            self.begins(path) * (1 - float(self.after(path)[self.digits].sum()))
            for lead in self.leads
            for path in [self.path(lead) + self.path(str(n))]
        )

    def word(self, word: str) -> float:
        return sum(self.begins(self.path(lead + word)) for lead in self.leads)

    def rest(self, words: list[str]) -> float:
        """Everything else: at each inner node of the complete tree of continuations, what leaves it unaccounted."""
        numbers = {self.path(lead) + self.path(str(n)) for lead in self.leads for n in range(101)}
        spelt = {self.path(lead + word) for lead in self.leads for word in words}
        inner = {path[:k] for path in numbers | spelt for k in range(len(path))} | numbers
        total = 0.0
        for path in inner:
            children = {other[len(path)] for other in inner | spelt if other[:-1] == path and other != ()}
            leaving = set(self.digits if path in numbers else self.ids.values()) - children
            total += self.begins(path) * float(self.after(path)[sorted(leaving)].sum())
        return total


def check(masses: Masses, brute: BruteForce, tolerance: float) -> None:
    wanted = [brute.number(n) for n in range(101)]
    assert masses.numbers == pytest.approx(wanted, rel=tolerance, abs=1e-12)
    assert masses.words == pytest.approx([brute.word(word) for word in WORDS], rel=tolerance, abs=1e-15)
    first = brute.after(())
    assert masses.first == (int(first.argmax()), pytest.approx(float(first.max()), rel=tolerance))
    assert sum(masses.numbers) + sum(masses.words) <= 1 + 1e-12


@pytest.mark.parametrize("plan", PLANS)
def test_against_brute_force(plan: str) -> None:
    """Prompts of different lengths in one batch, with and without a common beginning."""
    opened = toy_judge(plan)
    for prompts in (prompts_of(opened, (9, 30)), prompts_of(opened, (41, 24), common=20)):
        for masses, prompt in zip(read_all(opened, prompts), prompts, strict=True):
            check(masses, BruteForce(opened, plan, prompt), 1e-9)


def test_a_space_before_the_number_counts_where_the_template_has_one() -> None:
    opened = toy_judge("digits", template=SPACED)
    (prompt,) = prompts_of(opened, (12,))
    check(read_all(opened, [prompt])[0], BruteForce(opened, "digits", prompt, ("", " ")), 1e-9)


@pytest.mark.parametrize("plan", PLANS)
def test_all_outcomes_add_up_to_one(plan: str) -> None:
    opened = toy_judge(plan)
    (prompt,) = prompts_of(opened, (11,))
    (masses,) = read_all(opened, [prompt])
    rest = BruteForce(opened, plan, prompt).rest(WORDS)
    assert sum(masses.numbers) + sum(masses.words) + rest == pytest.approx(1, abs=1e-10)


def test_ten_is_not_a_hundred() -> None:
    """A model that always goes on with 0: all mass behind 1 is that of 1000 and more, and 10 and 100 have none."""
    opened = toy_judge("digits")
    zero = opened.tokenizer.convert_tokens_to_ids("0")
    head = opened.sites.model.lm_head
    with torch.no_grad():
        head.weight[zero] = 0
        head.weight[:] *= 1e-3
    before = opened.model.forward

    def forward(**kwargs: Any) -> Any:
        output = before(**kwargs)
        output.logits[..., zero] = 50.0
        return output

    opened.model.forward = forward
    (masses,) = read_all(opened, prompts_of(opened, (6,)))
    assert max(masses.numbers) < 1e-15
    assert masses.first[0] == zero


@pytest.mark.parametrize(
    ("model_type", "config"),
    [
        ("qwen2", {"use_sliding_window": True, "sliding_window": 8, "max_window_layers": 1}),
        ("qwen3", {}),
        ("llama", {}),
        ("mistral", {"sliding_window": 8}),
        ("phi3", {"sliding_window": 8}),
        ("gemma2", {"sliding_window": 8, "query_pre_attn_scalar": 8}),
        ("gemma3_text", {"sliding_window": 8, "query_pre_attn_scalar": 8}),
        ("gemma3", {"sliding_window": 8, "query_pre_attn_scalar": 8}),
        ("qwen3_moe", {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 12}),
    ],
)
def test_every_kind_of_attention(model_type: str, config: dict[str, Any]) -> None:
    """Windows shorter than the prompt, capped scores, mixtures: what a tree's mask must not change."""
    # torch's grouped matrix product has no float64.
    dtype, tolerance = (torch.float32, 1e-3) if model_type == "qwen3_moe" else (torch.float64, 1e-5)
    opened = toy_judge("digits", model_type=model_type, dtype=dtype, **config)
    prompts = prompts_of(opened, (25, 19), common=17)
    for masses, prompt in zip(read_all(opened, prompts), prompts, strict=True):
        brute = BruteForce(opened, "digits", prompt)
        some = (0, 7, 10, 42, 100)
        # Some of transformers' norms and angles are float32 also in a float64 model.
        wanted = [brute.number(n) for n in some]
        assert [masses.numbers[n] for n in some] == pytest.approx(wanted, rel=tolerance)


def test_batches_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    opened = toy_judge("whole")
    prompts = prompts_of(opened, (20, 33, 21, 40, 22, 35), common=16)
    together = read_all(opened, prompts)
    monkeypatch.setattr(tree_reading, "_BATCH_TOKENS", 300)
    split = read_all(opened, prompts)
    monkeypatch.setattr(tree_reading, "_BATCH_LOGITS", 1)
    alone = read_all(opened, prompts)
    for one, other, third in zip(together, split, alone, strict=True):
        assert one.numbers == pytest.approx(other.numbers, rel=1e-9)
        assert one.numbers == pytest.approx(third.numbers, rel=1e-9)


def test_half_precision_is_close_and_adds_up() -> None:
    """The model's own rounding apart: log-softmax and products are float32 and float64."""
    exact, rough = toy_judge("digits"), toy_judge("digits", dtype=torch.bfloat16)
    prompts = prompts_of(exact, (20,))
    (one,), (other,) = read_all(exact, prompts), read_all(rough, prompts)
    assert sum(other.numbers) == pytest.approx(sum(one.numbers), abs=0.1)
    assert sum(other.numbers) + sum(other.words) <= 1


def test_logits_that_are_not_finite_are_an_error() -> None:
    opened = toy_judge("digits")
    with torch.no_grad():
        opened.sites.model.lm_head.weight[5] = float("nan")
    with pytest.raises(ModelError, match="not finite"):
        read_all(opened, prompts_of(opened, (6,)))
