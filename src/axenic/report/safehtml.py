"""Hostile text as HTML."""

from __future__ import annotations

from markupsafe import Markup, escape

from axenic.visible import pieces


def shown(text: str) -> Markup:
    """Text as HTML: escaped, and invisible characters as signs that are set off from the rest."""
    return Markup("").join(
        Markup('<span class="ctl">{}</span>').format(part) if is_sign else escape(part)
        for is_sign, part in pieces(text)
    )
