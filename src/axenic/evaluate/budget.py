"""A budget: how many requests, tokens and money may be used, counted before they are spent."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from decimal import Decimal

from axenic.errors import UsageError
from axenic.evaluate.judge_error import JudgeError


@dataclass(frozen=True)
class Limits:
    """What may be used in all, retries included. None is without a limit.

    Args:
        requests: HTTP requests.
        tokens: Of prompts and replies together.
        money: In the currency of the prices.
        prompt_price: Money per million prompt tokens.
        reply_price: Money per million reply tokens.

    Raises:
        UsageError: A limit is 0 or less (with a limit of 0 nothing can be asked), a price is negative, or money is
            limited without prices.
    """

    requests: int | None = None
    tokens: int | None = None
    money: Decimal | None = None
    prompt_price: Decimal | None = None
    reply_price: Decimal | None = None

    def __post_init__(self) -> None:
        for name, limit in (("requests", self.requests), ("tokens", self.tokens), ("money", self.money)):
            if limit is not None and not limit > 0:
                raise UsageError(
                    f"a budget of {limit} {name} allows no request",
                    expected="more than 0, or no limit",
                    found=limit,
                    hint=f"raise the budget of {name}",
                )
        for name, price in (("prompt_price", self.prompt_price), ("reply_price", self.reply_price)):
            if price is not None and not price >= 0:
                raise UsageError(f"{name} is negative", expected="0 or more", found=price)
            if price is None and self.money is not None:
                raise UsageError(
                    "a budget in money needs the prices of tokens",
                    expected="prompt_price and reply_price, per million tokens",
                    found=f"no {name}",
                )

    def cost(self, prompt_tokens: int, reply_tokens: int) -> Decimal:
        """Money for so many tokens; exact; 0 without prices."""
        prompt, reply = self.prompt_price or Decimal(0), self.reply_price or Decimal(0)
        return (prompt * prompt_tokens + reply * reply_tokens) / 1_000_000


@dataclass(frozen=True)
class Hold:
    """What one request may cost at most, set aside until it is known what it did cost (tokens)."""

    prompt_tokens: int
    reply_tokens: int


class Budget:
    """What has been used, against `Limits`. The limits hold exactly: what does not fit is not sent.

    A request is counted when it is sent. Its tokens are set aside at their upper bound (a byte-level tokenizer makes at
    most one token of a byte) and corrected by the server's count. A reply that never came, or came without a count,
    may have been charged and stays at the bound; an error status costs no tokens.

    Use it from one event loop. It lives as long as its judge or generator; another process has a budget of its own.

    Attributes:
        requests: Sent so far.
        tokens: Used so far, without what is set aside.
        money: Used so far.
    """

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.requests = 0
        self.tokens = 0
        self.money = Decimal(0)
        self._held: list[Hold] = []
        self._changed = asyncio.Condition()

    async def reserve(self, hold: Hold) -> None:
        """Count one request and set its tokens aside; wait for others' corrections if it does not fit yet.

        Raises:
            JudgeError: It does not fit even when nothing else is under way.
        """
        async with self._changed:
            while (short := self._short(hold)) is not None:
                if not self._held or short == "requests":
                    raise self._spent(short)
                await self._changed.wait()
            self.requests += 1
            self._held.append(hold)

    async def settle(self, hold: Hold, used: tuple[int, int] | None) -> None:
        """Replace what was set aside by what was used.

        Args:
            hold: As reserved.
            used: (prompt tokens, reply tokens) by the server's count, or None if it is not known.
        """
        prompt, reply = used if used is not None else (hold.prompt_tokens, hold.reply_tokens)
        async with self._changed:
            # By identity: equal holds of two requests are two.
            self._held = [other for other in self._held if other is not hold]
            self.tokens += prompt + reply
            self.money += self.limits.cost(prompt, reply)
            self._changed.notify_all()

    def text(self) -> str:
        """One line: what has been used."""
        money = f", {self.money:.4f} money" if self.limits.prompt_price is not None else ""
        return f"{self.requests:,} requests, {self.tokens:,} tokens{money}"

    def _short(self, hold: Hold) -> str | None:
        """Which limit has no room for one more such request."""
        limits = self.limits
        held = [*self._held, hold]
        prompt, reply = sum(h.prompt_tokens for h in held), sum(h.reply_tokens for h in held)
        if limits.requests is not None and self.requests + 1 > limits.requests:
            return "requests"
        if limits.tokens is not None and self.tokens + prompt + reply > limits.tokens:
            return "tokens"
        if limits.money is not None and self.money + limits.cost(prompt, reply) > limits.money:
            return "money"
        return None

    def _spent(self, short: str) -> JudgeError:
        limit = {"requests": self.limits.requests, "tokens": self.limits.tokens, "money": self.limits.money}
        return JudgeError(
            f"the budget of {short} is spent",
            expected=f"at most {limit[short]} {short}",
            found=f"{self.text()} used; the next request might go over",
            hint="raise the budget and run the same command again: what is done is kept",
        )
