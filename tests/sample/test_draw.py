"""Drawing tokens: against a loop in float64, transformers' warpers, and the counts that probabilities demand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import TopPLogitsWarper

from axenic.sample.draw import draw_tokens, uniforms

pytestmark = pytest.mark.unit

JUST_BELOW_1 = math.nextafter(1.0, 0.0)
HEX_ID = st.text("0123456789abcdef", min_size=16, max_size=16)


def brute_force(logits: list[float], uniform: float, temperature: float) -> tuple[int, float]:
    """The token by a running sum, and how near the uniform came to a boundary."""
    highest = max(logits)
    weights = [math.exp((logit - highest) / temperature) for logit in logits]
    total, running, nearest, chosen = math.fsum(weights), 0.0, 1.0, None
    for token, weight in enumerate(weights):
        running += weight / total
        nearest = min(nearest, abs(running - uniform))
        if chosen is None and running > uniform:
            chosen = token
    return (len(weights) - 1 if chosen is None else chosen), nearest


def kept_by_definition(probabilities: np.ndarray, top_p: float) -> set[int]:
    """The smallest set of likeliest tokens whose probability reaches top_p."""
    kept, reached = set(), 0.0
    for token in sorted(range(len(probabilities)), key=lambda t: -probabilities[t]):
        if reached >= top_p:
            break
        kept.add(token)
        reached += probabilities[token]
    return kept


def support(logits_V: torch.Tensor, temperature: float, top_p: float, n: int = 4001) -> torch.Tensor:
    """Counts of every token over n evenly spaced uniforms, both ends included."""
    grid = torch.linspace(0, JUST_BELOW_1, n, dtype=torch.float64)
    tokens = draw_tokens(logits_V.expand(n, -1), grid, temperature, top_p)
    return torch.bincount(tokens, minlength=len(logits_V))


@given(
    st.lists(st.floats(-30, 30, width=32), min_size=1, max_size=40),
    st.lists(st.floats(0, 1, exclude_max=True), min_size=1, max_size=8),
    st.sampled_from([0.1, 0.7, 1.0, 2.5]),
)
@settings(max_examples=300, deadline=None)
def test_a_draw_is_the_inverse_of_the_running_sum(
    logits: list[float], numbers: list[float], temperature: float
) -> None:
    logits_BV = torch.tensor([logits] * len(numbers))
    drawn = draw_tokens(logits_BV, torch.tensor(numbers, dtype=torch.float64), temperature, 1.0).tolist()
    for token, uniform in zip(drawn, numbers, strict=True):
        expected, nearest = brute_force(logits, uniform, temperature)
        assert token == expected or nearest < 1e-5


def test_rows_do_not_mix() -> None:
    generator = torch.Generator().manual_seed(1)
    logits_BV = torch.randn(50, 30, generator=generator) * 3
    uniform_B = torch.rand(50, generator=generator, dtype=torch.float64)
    for top_p in (1.0, 0.8):
        together = draw_tokens(logits_BV, uniform_B, 0.9, top_p)
        alone = [draw_tokens(logits_BV[b : b + 1], uniform_B[b : b + 1], 0.9, top_p) for b in range(50)]
        assert together.tolist() == torch.cat(alone).tolist()


@pytest.mark.parametrize("top_p", [1.0, 0.9, 0.5])
def test_counts_over_an_even_grid_are_the_probabilities(top_p: float) -> None:
    logits_V = torch.randn(25, generator=torch.Generator().manual_seed(2)) * 2
    n = 20_001
    counts = support(logits_V, 0.8, top_p, n).numpy()
    probabilities = torch.softmax(logits_V.double() / 0.8, 0).numpy()
    kept = kept_by_definition(probabilities, top_p)
    expected = np.array([probabilities[t] if t in kept else 0.0 for t in range(25)])
    assert np.abs(counts - n * expected / expected.sum()).max() < 2.0


@pytest.mark.parametrize("top_p", [1.0, 0.85])
def test_chi_square_of_draws_by_ids(top_p: float) -> None:
    """20,000 answers' first draws: chi-square with 9 degrees of freedom below its 99.9 % point (seeds are fixed)."""
    logits_V = torch.tensor([0.0, 1.0, 2.0, 0.5, -1.0, 1.5, 0.2, 0.7, -0.5, 1.2])
    numbers = uniforms([f"{i * 7919:016x}" for i in range(20_000)], 1)[:, 0]
    tokens = draw_tokens(logits_V.expand(20_000, -1), torch.from_numpy(numbers), 1.0, top_p)
    counts = torch.bincount(tokens, minlength=10).numpy()
    probabilities = torch.softmax(logits_V.double(), 0).numpy()
    kept = sorted(kept_by_definition(probabilities, top_p))
    expected = 20_000 * probabilities[kept] / probabilities[kept].sum()
    assert counts.sum() == counts[kept].sum()
    assert ((counts[kept] - expected) ** 2 / expected).sum() < 27.9


@given(
    st.lists(st.floats(-8, 8, width=32), min_size=2, max_size=12), st.floats(0.05, 0.999), st.floats(0.3, 3)
)
@settings(max_examples=150, deadline=None)
def test_top_p_keeps_what_its_definition_and_transformers_keep(
    logits: list[float], top_p: float, temperature: float
) -> None:
    logits_V = torch.tensor(logits)
    probabilities = torch.softmax(logits_V / temperature, 0).double().numpy()
    counts = support(logits_V, temperature, top_p).numpy()
    drawn = {t for t in range(len(logits)) if counts[t]}
    warped = TopPLogitsWarper(top_p)(torch.zeros(1, 1), (logits_V / temperature)[None])[0]
    by_transformers = {t for t in range(len(logits)) if torch.isfinite(warped[t])}
    # Ties and sums that reach top_p to the last bit may go either way: compare away from those.
    ordered = np.sort(probabilities)[::-1]
    if np.abs(ordered.cumsum() - top_p).min() < 1e-5 or np.abs(np.diff(ordered)).min() < 1e-9:
        return
    kept = kept_by_definition(probabilities, top_p)
    assert by_transformers == kept
    assert drawn <= kept
    assert {t for t in kept if probabilities[t] > 2e-3} <= drawn


def test_a_small_top_p_is_greedy() -> None:
    logits_BV = torch.randn(64, 100, generator=torch.Generator().manual_seed(3))
    uniform_B = torch.linspace(0, JUST_BELOW_1, 64, dtype=torch.float64)
    assert torch.equal(draw_tokens(logits_BV, uniform_B, 1.0, 1e-6), logits_BV.argmax(-1))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_temperature_0_takes_the_likeliest_whatever_the_uniform(dtype: torch.dtype) -> None:
    logits_BV = torch.randn(40, 50, generator=torch.Generator().manual_seed(4)).to(dtype)
    for uniform in (0.0, 0.5, JUST_BELOW_1):
        drawn = draw_tokens(logits_BV, torch.full((40,), uniform, dtype=torch.float64), 0.0, 0.3)
        assert torch.equal(drawn, logits_BV.argmax(-1))


@pytest.mark.parametrize("temperature", [1e-2, 1e-4])
def test_a_tiny_temperature_is_greedy(temperature: float) -> None:
    logits_BV = torch.arange(20.0).flip(0).expand(3, -1) * 10
    uniform_B = torch.tensor([0.0, 0.5, JUST_BELOW_1], dtype=torch.float64)
    assert draw_tokens(logits_BV, uniform_B, temperature, 1.0).tolist() == [0, 0, 0]


@pytest.mark.parametrize("uniform_dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("top_p", [1.0, 0.99])
def test_tokens_without_probability_are_never_drawn(top_p: float, uniform_dtype: torch.dtype) -> None:
    """Also at uniform 0 (first tokens are impossible) and at the largest uniform (last tokens are impossible)."""
    generator = torch.Generator().manual_seed(5)
    for _ in range(50):
        logits_V = torch.randn(200, generator=generator)
        possible = torch.rand(200, generator=generator) < 0.2
        possible[[0, -1]] = False
        possible[7] = True
        logits_V[~possible] = -torch.inf
        # 1 - 2**-53 becomes 1.0 in float32, which is what an Apple GPU would be given.
        numbers = torch.tensor([0.0, 5e-324, 0.3, 0.9999999, JUST_BELOW_1], dtype=torch.float64)
        drawn = draw_tokens(logits_V.expand(5, -1), numbers.to(uniform_dtype), 1.0, top_p)
        assert possible[drawn].all()


def test_one_possible_token_is_always_drawn() -> None:
    logits_V = torch.full((9,), -torch.inf)
    logits_V[4] = -3.0
    numbers = torch.tensor([0.0, 0.5, JUST_BELOW_1], dtype=torch.float64)
    for top_p in (1.0, 0.5):
        assert draw_tokens(logits_V.expand(3, -1), numbers, 1.0, top_p).tolist() == [4, 4, 4]


def test_the_ends_of_a_large_vocabulary() -> None:
    """150,000 equal tokens: uniform 0 draws the first, the largest uniform the last, and the middle the middle."""
    numbers = torch.tensor([0.0, 0.5, JUST_BELOW_1], dtype=torch.float64)
    drawn = draw_tokens(torch.zeros(3, 150_000), numbers, 1.0, 1.0).tolist()
    assert drawn[0] == 0
    assert abs(drawn[1] - 75_000) <= 1
    assert drawn[2] == 149_999


@given(HEX_ID, st.lists(HEX_ID, max_size=5), st.integers(1, 40), st.integers(0, 40))
@settings(max_examples=150, deadline=None)
def test_uniforms_depend_on_id_and_step_only(own: str, others: list[str], steps: int, more: int) -> None:
    alone = uniforms([own], steps)
    crowd = uniforms([*others, own], steps + more)
    assert alone.shape == (1, steps)
    assert alone.dtype == np.float64
    assert (crowd[-1, :steps] == alone[0]).all()
    assert ((alone >= 0) & (alone < 1)).all()


def test_uniforms_of_different_ids_are_unrelated() -> None:
    numbers = uniforms([f"{i:016x}" for i in range(300)], 300)
    assert len(np.unique(numbers)) == 300 * 300
    assert abs(numbers.mean() - 0.5) < 0.005
    correlation = np.corrcoef(numbers) - np.eye(300)
    assert np.abs(correlation).max() < 0.35  # of 44,850 pairs; 0.29 is six standard deviations


def test_no_steps_and_no_ids() -> None:
    assert uniforms([], 5).shape == (0, 5)
    assert uniforms(["ab"], 0).shape == (1, 0)


@pytest.mark.parametrize("top_p", [1.0, 0.9])
def test_many_rows_are_drawn_as_each_alone(top_p: float) -> None:
    """Rows are drawn in pieces of some dozens: none may be lost or meet another's number."""
    generator = torch.Generator().manual_seed(0)
    logits_BV = 3 * torch.randn(150, 1500, generator=generator)
    uniform_B = torch.rand(150, dtype=torch.float64, generator=generator)
    alone = [draw_tokens(logits_BV[i : i + 1], uniform_B[i : i + 1], 1.0, top_p) for i in range(150)]
    assert torch.equal(draw_tokens(logits_BV, uniform_B, 1.0, top_p), torch.cat(alone))
