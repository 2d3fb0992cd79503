"""The plane of several runs: what is drawn, that it is the same every time, and that names cannot break out."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from typing import Any

import pytest
from pydantic import ValidationError

from axenic.report.documents.paths import PathsFile
from axenic.report.plots.pathplane import plot_path_plane, standalone

pytestmark = pytest.mark.unit


def trace(name: str, fitted: bool, n: int, components: int = 2) -> dict[str, Any]:
    line = [float(i) for i in range(n)]
    return {
        "name": name, "fitted": fitted, "steps": list(range(n)),
        "points": [[x * (k + 1) for k in range(components)] for x in line],
        "norms": line, "cos_general": [None, *line[1:]], "cos_narrow": line, "along": line, "across": line,
    }  # fmt: skip


def paths(components: int = 2, name: str = "general run") -> dict[str, Any]:
    return {
        "kind": "paths", "general": name, "narrow": "narrow run", "explained": [0.7, 0.3][:components],
        "runs": [trace(name, True, 6, components), trace("narrow run", True, 4, components), trace("on", False, 5, components)],
    }  # fmt: skip


@pytest.mark.parametrize("components", [1, 2])
def test_ends_are_named_and_runs_that_go_on_are_arrows(components: int) -> None:
    drawing = plot_path_plane(PathsFile.model_validate(paths(components)), "p")
    texts = "".join(ElementTree.fromstring(standalone(drawing)).itertext())
    for text in ("general", "narrow", "on (projected)", "first component (70 %)"):
        assert text in texts
    assert plot_path_plane(PathsFile.model_validate(paths(components)), "p") == drawing
    fitted = paths(components)
    fitted["runs"] = fitted["runs"][:2]
    without = plot_path_plane(PathsFile.model_validate(fitted), "p")
    # Each arrow is a path of its own: one in the middle, one at the end.
    assert str(drawing.wide).count("<path") >= str(without.wide).count("<path") + 2


def test_a_hostile_name_stays_text() -> None:
    name = "<script>alert(1)</script>\u202e$x$"
    svg = standalone(plot_path_plane(PathsFile.model_validate(paths(name=name)), "p"))
    assert "<script" not in svg
    assert "\u202e" not in svg


def test_lists_that_do_not_belong_together_are_refused() -> None:
    for key in ("points", "norms", "cos_general"):
        broken = paths()
        broken["runs"][2][key] = broken["runs"][2][key][:-1]
        with pytest.raises(ValidationError, match="not equally long"):
            PathsFile.model_validate(broken)
    with pytest.raises(ValidationError):
        PathsFile.model_validate(paths() | {"runs": []})
