"""Budgets hold exactly, whatever the order in which requests end."""

from __future__ import annotations

import asyncio
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from axenic.errors import UsageError
from axenic.evaluate.budget import Budget, Hold, Limits
from axenic.evaluate.judge_error import JudgeError

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("limits", [{"requests": 0}, {"tokens": -1}, {"money": Decimal(0)}])
def test_a_budget_of_nothing_is_refused(limits: dict[str, int]) -> None:
    with pytest.raises(UsageError, match="allows no request"):
        Limits(**limits)  # type: ignore[arg-type]


def test_money_needs_prices() -> None:
    with pytest.raises(UsageError, match="prices"):
        Limits(money=Decimal(1))
    with pytest.raises(UsageError, match="negative"):
        Limits(prompt_price=Decimal(-1))


def test_money_is_exact() -> None:
    limits = Limits(money=Decimal("0.3"), prompt_price=Decimal(100_000), reply_price=Decimal(0))

    async def spend() -> Budget:
        budget = Budget(limits)
        for _ in range(3):
            hold = Hold(1, 5)
            await budget.reserve(hold)
            await budget.settle(hold, (1, 0))
        with pytest.raises(JudgeError, match="money is spent"):
            await budget.reserve(Hold(1, 0))
        return budget

    assert asyncio.run(spend()).money == Decimal("0.3")


@given(
    st.lists(st.tuples(st.integers(1, 50), st.integers(0, 50), st.booleans()), max_size=30),
    st.integers(20, 400),
    st.integers(1, 25),
)
def test_never_over(jobs: list[tuple[int, int, bool]], tokens: int, requests: int) -> None:
    """Jobs hold up to their bound and use at most that; at no time is more under way than is left."""
    budget_seen: list[Budget] = []

    async def work() -> int:
        budget = Budget(Limits(requests=requests, tokens=tokens))
        budget_seen.append(budget)
        sent = 0

        async def job(bound: int, used: int, known: bool) -> None:
            nonlocal sent
            hold = Hold(bound, 2)
            await budget.reserve(hold)
            sent += 1
            await asyncio.sleep(0)
            await budget.settle(hold, (min(used, bound), 1) if known else None)

        await asyncio.gather(*(job(*values) for values in jobs), return_exceptions=True)
        return sent

    sent = asyncio.run(work())
    (budget,) = budget_seen
    assert budget.requests == sent <= requests
    assert budget.tokens <= tokens
