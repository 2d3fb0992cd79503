"""The files in `recipes/`: each resolves to the published values, and nothing in them is silently ignored."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from axenic.cli.settings import training_config
from axenic.train import resolve

pytestmark = pytest.mark.unit

FOLDER = Path(__file__).parents[2] / "recipes"
FILES = sorted(FOLDER.glob("*.toml"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_recipe_file_resolves_to_what_it_says(path: Path) -> None:
    said = tomllib.loads(path.read_text())
    assert f"axenic train --config recipes/{path.name}" in path.read_text()
    # Without layers, a rank-1 recipe would have to fetch the model's configuration to know its depth.
    assert "layers" in said or said["recipe"] in ("all-adapter", "full")
    found = training_config({"data": "x.jsonl"}, (), path).model_dump(mode="json")
    assert {key: found[key] for key in said} == said


def test_the_nine_layers_are_the_ones_that_scaling_gives() -> None:
    said = tomllib.loads((FOLDER / "p2-nine-rank-1.toml").read_text())
    assert list(resolve("rank1x9", "any", {"data": "x"}, n_layers=48).layers or ()) == said["layers"]


def test_there_is_a_file_for_every_recipe() -> None:
    assert {tomllib.loads(path.read_text())["recipe"] for path in FILES} == {
        "all-adapter",
        "rank1",
        "rank1x9",
        "full",
        "vector",
    }
