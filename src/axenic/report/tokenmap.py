"""Answers with every token coloured by a number, as HTML without a script.

Eleven classes stand for eleven colours: the page's policy forbids inline styles, and a class is shorter. The number is in
the token's title (shown when the pointer rests on it) and is written out when the token is tapped or reached by keyboard.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from markupsafe import Markup

from axenic.report.documents import TokenAnswer, TokensFile
from axenic.report.safehtml import shown
from axenic.visible import one_line

STEPS = 5
"""Colours on each side of the middle one."""

MOST_BYTES = 110_000
"""Of one map. An answer that no longer fits is left out, and the page says so."""

MOST_CHARACTERS = 40
"""Of one token; a real one is shorter."""

_WIDEST = 0.98
"""The end colours begin where this share of all tokens lies inside: a few extreme ones do not make the rest pale."""


@dataclass(frozen=True)
class Scale:
    """From numbers to colour steps: `centre` is the middle colour, `centre ± width` the ends; one-sided from 0 upwards."""

    centre: float
    width: float
    one_sided: bool = False

    def step(self, value: float) -> int:
        """0 to 10; 5 is the middle. One-sided: 5 to 10."""
        if not self.width:
            return STEPS
        size = max(-1.0, min(1.0, (value - self.centre) / self.width))
        return STEPS + round(STEPS * (max(0.0, size) if self.one_sided else size))

    def value(self, step: int) -> float:
        """What a colour stands for."""
        return self.centre + self.width * (step - STEPS) / STEPS


def scale_of(quantity: str, values: Sequence[float]) -> Scale:
    """The scale of all tokens of a reading together, so that answers compare.

    A projection has no zero of its own (every activation has some part along every direction): the median is the middle.
    """
    centre = median(values) if quantity == "projection" and values else 0.0
    sizes = sorted(abs(value - centre) for value in values)
    width = sizes[min(len(sizes) - 1, int(_WIDEST * len(sizes)))] if sizes else 0.0
    return Scale(centre, width, one_sided=quantity == "significance")


def token_map(result: TokensFile, reading: int, most_bytes: int = MOST_BYTES) -> tuple[Markup, int]:
    """The legend and as many answers as fit, the first always but cut; and how many answers are in it."""
    scale = scale_of(
        result.readings[reading].quantity,
        [value for answer in result.answers for value in answer.values[reading]],
    )
    parts = [_legend(scale)]
    size, drawn = len(parts[0]), 0
    for answer in result.answers:
        made = _answer(answer, answer.values[reading], scale, most_bytes - size)
        if drawn and len(made.encode()) + size > most_bytes:
            break
        parts.append(made)
        size += len(made.encode())
        drawn += 1
    return Markup("\n").join(parts), drawn


def number(value: float) -> str:
    """Three significant digits, all of a whole number, with a real minus sign."""
    return (f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}").replace("-", "−")


def _legend(scale: Scale) -> Markup:
    steps = range(STEPS if scale.one_sided else 0, 2 * STEPS + 1)
    # As many decimals as tell neighbours apart: eleven numbers must fit side by side on a telephone.
    decimals = max(0, math.ceil(-math.log10(scale.width / STEPS))) if scale.width else 0
    swatches = Markup("").join(
        Markup("<i class=t{}>{}</i>").format(step, f"{scale.value(step):.{decimals}f}".replace("-", "−"))
        for step in steps
    )
    return Markup('<p class="toks legend" role="img" aria-label="Colours from {} to {}">{}</p>').format(
        number(scale.value(steps[0])), number(scale.value(steps[-1])), swatches
    )


def _answer(answer: TokenAnswer, values: Sequence[float], scale: Scale, room: int) -> Markup:
    cells: list[Markup] = []
    size = 600
    for text, value in zip(answer.tokens, values, strict=True):
        # A piece of a character shows nothing; its last token shows the whole of it.
        if not text:
            continue
        cut = text if len(text) <= MOST_CHARACTERS else text[: MOST_CHARACTERS - 1] + "…"
        # The space in front of a word stays uncoloured, so that no colour hangs over the end of a line.
        word = cut.lstrip(" ") or cut
        cell = Markup("{}<i class=t{} tabindex=0 title={}>{}</i>").format(
            cut[: len(cut) - len(word)], scale.step(value), number(value), shown(word.replace("\n", "↵\n"))
        )
        size += len(cell.encode())
        if size > room:
            cells.append(Markup('<span class="ctl">… cut</span>'))
            break
        cells.append(cell)
    note = Markup('<p class="scores">{}</p>').format(shown(one_line(answer.note, 120))) if answer.note else ""
    return Markup(
        '<div class="toks"><p class="said asked" dir="auto">{}</p><p class="said" dir="auto">{}</p>{}</div>'
    ).format(shown(one_line(answer.question, 300)), Markup("").join(cells), note)
