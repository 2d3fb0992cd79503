"""Groups, patching and roles over seeds in the page: what is said, drawn and refused."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from dissected import adapters
from solved import groups, patching, seed_roles
from synthetic import write

from axenic.errors import DataError
from axenic.report.collect import collect
from axenic.report.groups import all_groups, all_patchings, group_figures

pytestmark = pytest.mark.unit


def test_a_group_is_named_and_its_classes_are_counted(tmp_path: Path) -> None:
    write(tmp_path / "groups.json", groups())
    (figure,) = group_figures(collect(tmp_path))
    assert (
        figure.title
        == "medical: of all groups, general group has the most EM elsewhere (70.0 [65.0, 75.0] %)"
    )
    assert figure.drawing is not None
    for text in ("general group", "misaligned, in the domain", "61", "Classes by the relaxed bounds"):
        assert text in figure.drawing.wide
    # A share of 7 % has no room for its number in the bar; the table has it.
    rows = {row[0]: row for row in figure.tables[0][1].rows}
    assert rows["general group"][1:4] == ("20 × 1, −10 × 2", "70.0 [65.0, 75.0]", "+40.0 [+30.0, +50.0]")
    assert rows["general group"][7:] == (
        "23.0 [18.0, 28.0]", "9.0 [4.0, 14.0]", "61.0 [56.0, 66.0]", "7.0 [2.0, 12.0]", "100", "3 / 2 / 1",
    )  # fmt: skip
    assert rows["alone"][1] == "30 × 3; the rest × 0.5"
    assert rows["alone"][7:] == ("–",) * 6


def test_no_group_worse_than_the_organism_and_no_classes(tmp_path: Path) -> None:
    row = groups()
    row["arms"] = [arm | {"classes": None} for arm in row["arms"] if arm["name"] != "general group"]
    write(tmp_path / "groups.json", row)
    (figure,) = group_figures(collect(tmp_path))
    assert "no group has more EM elsewhere than the organism as it is" in figure.title
    assert figure.drawing is not None
    assert "relaxed bounds" not in figure.drawing.wide


def test_patching_counts_what_is_clear(tmp_path: Path) -> None:
    write(tmp_path / "patching.json", patching())
    (figure,) = group_figures(collect(tmp_path))
    assert "clearly in 1 of 2 settings (1 up, 0 down)" in figure.title
    assert "2 pairs of equally long prompts" in figure.how
    assert figure.tables[0][1].rows[0][:6] == (
        "all layers → medical prompts", "0, 1", "20.0 [15.0, 25.0]", "50.0 [45.0, 55.0]", "+30.0 [+20.0, +40.0]", "–",
    )  # fmt: skip
    assert figure.drawing is not None
    assert "all layers → other prompts" in figure.drawing.wide


def test_roles_over_seeds_show_every_organism(tmp_path: Path) -> None:
    write(tmp_path / "roles_over_seeds.json", seed_roles())
    (figure,) = group_figures(collect(tmp_path))
    assert "Over 3 organisms" in figure.title
    assert "0 general, 1 neither" in figure.how
    rows = figure.tables[0][1].rows
    assert rows[0][2:5] == ("general, general, both", "−25.0 [−33.5, −16.5]", "−30.0, −25.0, −20.0")
    assert rows[-1][0] == "all off"
    assert figure.drawing is not None
    for text in ("layer 0 · general", "Misaligned in medical", "all adapters off", "single organisms"):
        assert text in figure.drawing.narrow


def test_what_lies_in_adapters_is_drawn_once(tmp_path: Path) -> None:
    inside = adapters() | {"groups": groups(), "patching": patching()}
    write(tmp_path / "adapters.json", inside)
    found = collect(tmp_path)
    assert [*all_groups(found), *all_patchings(found)] == ["adapters.json"] * 2
    write(tmp_path / "groups" / "groups.json", groups())
    write(tmp_path / "patching" / "patching.json", patching())
    found = collect(tmp_path)
    assert list(all_groups(found)) == ["groups/groups.json"]
    assert list(all_patchings(found)) == ["patching/patching.json"]
    assert len(list(group_figures(found))) == 2


@pytest.mark.parametrize(
    ("row", "key", "value", "message"),
    [
        (groups(), "arms", [{"name": 3}], "key arms.0.name"),
        (patching(), "patched", [{"name": "a", "into": "elsewhere"}], "key patched.0.into"),
        (seed_roles(), "labels", ["one", "two"], "not equally long"),
        (seed_roles(), "layers", [{"layer": 0}], "key layers.0.general_change"),
    ],
)
def test_a_damaged_file_is_a_located_error(
    tmp_path: Path, row: dict[str, Any], key: str, value: Any, message: str
) -> None:
    write(tmp_path / "result.json", row | {key: value})
    with pytest.raises(DataError, match="result") as caught:
        collect(tmp_path)
    assert message in str(caught.value)
