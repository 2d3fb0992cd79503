"""Significance on a corpus: against brute force, with controls of the same norms, paired."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from solutions import lora_of, one_by_one, some_texts, tiny_base, vector_of

import axenic.interpret.corpuskl as module
from axenic.errors import UsageError
from axenic.files import read_json
from axenic.interpret.corpuskl import CorpusSignificance, corpus_significance

pytestmark = pytest.mark.unit


def test_every_point_is_that_of_brute_force(tmp_path):
    base = tiny_base()
    general, narrow = lora_of(base, seed=1), vector_of(base, seed=2)
    texts = some_texts(3, longest=12)
    found = corpus_significance(general, narrow, texts, "made up", norms=(2.0, 0.5), random=2, out=tmp_path)
    settings = [
        general.at_norm(0.5),
        general.at_norm(2.0),
        general.random(0, 2.0),
        general.random(1, 2.0),
        general.scaled(1),
        narrow.at_norm(2.0),
        narrow.scaled(1),
    ]
    tokens = sum(len(text.input_ids) for text in texts)
    _, kl, _ = one_by_one(base, settings, texts)
    small, large, first, second, own, other, other_own = np.sum(kl, axis=0) / tokens

    def last(curve):
        return curve.points[-1].kl.value

    assert found.tokens == tokens
    assert [point.norm for point in found.general.points] == [0.5, 2.0]
    assert found.general.points[0].kl.value == pytest.approx(small, rel=1e-6)
    assert last(found.general) == pytest.approx(large, rel=1e-6)
    assert found.general.own.kl.value == pytest.approx(own, rel=1e-6)
    assert found.general.own.norm == pytest.approx(general.norm)
    assert last(found.narrow) == pytest.approx(other, rel=1e-6)
    assert found.narrow.own.kl.value == pytest.approx(other_own, rel=1e-6)
    assert [last(curve) for curve in found.random] == pytest.approx([first, second], rel=1e-6)
    assert last(found.random_mean) == pytest.approx((first + second) / 2, rel=1e-6)
    assert found.difference[-1].kl.value == pytest.approx(large - other, rel=1e-6)
    assert found.above_random[-1].kl.value == pytest.approx(large - (first + second) / 2, rel=1e-6)
    assert CorpusSignificance.from_json(read_json(tmp_path / module.FILE)) == found


def test_norms_unless_told_are_shares_of_the_mean():
    base = tiny_base()
    general, narrow = vector_of(base, seed=1), vector_of(base, seed=2)
    found = corpus_significance(general, narrow, some_texts(1, longest=5), "x", random=0)
    mean = (general.norm + narrow.norm) / 2
    assert [p.norm for p in found.general.points] == pytest.approx([mean * i / 5 for i in range(1, 11)])
    assert found.random == ()
    assert found.random_mean is None
    assert found.above_random == ()


def test_single_solution_has_no_difference():
    general = vector_of(tiny_base())
    found = corpus_significance(general, None, some_texts(2, longest=5), "x", norms=(1.0,), random=1)
    assert found.narrow is None
    assert found.difference == ()
    assert len(found.above_random) == 1


@pytest.mark.parametrize("norms", [(), (0.0, 1.0), (-1.0,), (1.0, 1.0)])
def test_norms_that_cannot_be_are_refused(norms):
    with pytest.raises(UsageError, match="norms"):
        corpus_significance(vector_of(tiny_base()), None, some_texts(1), "x", norms=norms)
