"""Turn results into one offline HTML page: `build_report(folder)`. Figures are inline SVG; no script, no network.

The names are loaded when they are asked for: the command line shows text safely (`report.visible`) long before
anybody wants a picture.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from axenic.report.page import ReportFiles, build_report

__all__ = ["ReportFiles", "build_report"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from axenic.report import page

        return vars(page)[name]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
