"""The cosine table."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from axenic.errors import DirectionError, UsageError
from axenic.files import read_json
from axenic.interpret import CosineTable, compare

pytestmark = pytest.mark.unit

AUTHORS = Path(__file__).resolve().parents[2].parent / "shared" / "author-data" / "mean-diff"


def test_every_pair_once_with_exact_cosines(direction):
    a, b, c = (
        torch.tensor([[1.0, 0], [0, 2]]),
        torch.tensor([[1.0, 1], [0, -5]]),
        torch.tensor([[0.0, 3], [4, 0]]),
    )
    table = compare({"a": direction(a), "b": direction(b), "c": direction(c)})
    assert [(pair.a, pair.b) for pair in table.pairs] == [("a", "b"), ("a", "c"), ("b", "c")]
    assert table.pair("b", "a").cosines == pytest.approx([math.sqrt(0.5), -1.0], rel=1e-15)
    assert table.pair("a", "c").cosines == pytest.approx([0.0, 0.0])
    assert table.norms["c"] == (3.0, 4.0)
    assert table.layers == (0, 1)


def test_cosines_are_float64_of_the_stored_vectors(direction):
    torch.manual_seed(0)
    a, b = torch.randn(4, 5000), torch.randn(4, 5000)
    (pair,) = compare({"a": direction(a), "b": direction(b)}).pairs
    exact = torch.nn.functional.cosine_similarity(a.double(), b.double(), dim=1).tolist()
    assert pair.cosines == pytest.approx(exact, rel=1e-12)


def test_file(direction, tmp_path):
    table = compare({"a": direction(torch.eye(2)), "b": direction(torch.ones(2, 2))}, out=tmp_path)
    assert CosineTable.from_json(read_json(tmp_path / "cosines.json")) == table


def test_different_spaces_are_refused(direction):
    a = direction(torch.eye(2))
    with pytest.raises(UsageError, match="comparison"):
        compare({"a": a})
    with pytest.raises(DirectionError, match="different spaces"):
        compare({"a": a, "b": direction(torch.ones(3, 2))})
    with pytest.raises(DirectionError, match="different spaces"):
        compare({"a": a, "b": direction(torch.eye(2), base="another")})
    other = replace(a, info=a.info.model_copy(update={"site": "mlp_out"}))
    with pytest.raises(DirectionError, match="different spaces"):
        compare({"a": a, "b": other})


@pytest.mark.skipif(not AUTHORS.is_dir(), reason="the authors' files are not on this machine")
def test_authors_directions_agree_as_published(direction):
    """papers.md 5.2: cos(nine-adapter, R32) is 0.824 at layer 24, 0.893 on average, 0.815 at least (layer 26)."""
    from safetensors.torch import load_file

    nine, r32 = (
        direction(load_file(AUTHORS / f"{name}.safetensors")["mean_diff"])
        for name in ("nine_rank1", "rank32_all_adapters")
    )
    table = compare({"nine": nine, "r32": r32})
    cosines = table.pairs[0].cosines
    assert cosines[24] == pytest.approx(0.8236, abs=5e-5)
    assert sum(cosines) / 48 == pytest.approx(0.8933, abs=5e-5)
    assert min(cosines) == cosines[26] == pytest.approx(0.8154, abs=5e-5)
    assert table.norms["nine"][24] == pytest.approx(10.3597, abs=1e-3)


def test_split_halves_stand_beside_where_they_are_known(direction):
    plain = direction(torch.eye(2))
    known = replace(
        plain, info=plain.info.model_copy(update={"calibration": {"split_half_cosine": [0.9, None]}})
    )
    table = compare({"a": known, "b": plain})
    assert table.split_half == {"a": (0.9, None)}
    assert CosineTable.from_json(table.to_json()) == table
    old = {key: value for key, value in table.to_json().items() if key != "split_half"}
    assert CosineTable.from_json(old).split_half == {}
    torn = replace(plain, info=plain.info.model_copy(update={"calibration": {"split_half_cosine": [0.9]}}))
    with pytest.raises(DirectionError, match="one for each layer"):
        compare({"a": torn, "b": plain})
