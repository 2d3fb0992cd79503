"""The transfer matrix: which direction was ablated in which organism."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial

import pytest
import torch

from axenic.errors import DirectionError, UsageError
from axenic.interpret import Organism, TransferResult, transfer_matrix
from axenic.sample import read_answers

pytestmark = pytest.mark.unit


@pytest.fixture
def organisms(planted):
    """Two are misaligned along axis 0 and one along axis 2: the matrix is not symmetric."""
    return [
        Organism("zero", partial(planted, organism="zero", axis=0)),
        Organism("zero-again", partial(planted, organism="zero-again", axis=0, level=1.5)),
        Organism("two", partial(planted, organism="two", axis=2)),
    ]


@pytest.fixture
def directions(axis):
    return {"d0": axis(0), "d2": axis(2), "d5": axis(5)}


def test_cells_are_direction_by_organism(organisms, directions, evaluation):
    matrix = transfer_matrix(organisms, directions, evaluation, controls=2)
    em = {
        (cell.direction, cell.organism): cell.rates.em_all.percent
        for cell in matrix.cells
        if cell.role == "layerwise"
    }
    assert em == {
        ("d0", "zero"): 0.0,
        ("d0", "zero-again"): 0.0,
        ("d0", "two"): 100.0,
        ("d2", "zero"): 100.0,
        ("d2", "zero-again"): 100.0,
        ("d2", "two"): 0.0,
        ("d5", "zero"): 100.0,
        ("d5", "zero-again"): 100.0,
        ("d5", "two"): 100.0,
    }
    assert matrix.cell("d2", "two").relative_change.value == -100.0
    assert (matrix.directions, matrix.organisms) == (("d0", "d2", "d5"), ("zero", "zero-again", "two"))
    assert {label: rates.em_all.percent for label, rates in matrix.plain.items()} == dict.fromkeys(
        matrix.organisms, 100.0
    )


def test_controls_stand_beside_every_organism_and_belong_to_no_direction(organisms, directions, evaluation):
    matrix = transfer_matrix(organisms, directions, evaluation, controls=2)
    controls = [cell for cell in matrix.cells if cell.role == "random"]
    assert [(cell.organism, cell.seed) for cell in controls] == [
        (label, seed) for label in matrix.organisms for seed in (0, 1)
    ]
    assert all(cell.direction is None for cell in controls)
    assert all(cell.rates.em_all.percent == 100.0 for cell in controls)


def test_each_organism_leaves_its_own_topics_out(organisms, directions, evaluation, tmp_path):
    organisms[1] = replace(organisms[1], exclude_topics=("medical",))
    matrix = transfer_matrix(
        organisms, directions, replace(evaluation, exclude_topics=("sports",)), controls=0, out=tmp_path
    )
    asked = {
        label: {answer.topic for answer in read_answers(tmp_path / label / "answers.jsonl")}
        for label in matrix.organisms
    }
    assert asked == {"zero": {"medical", "finance"}, "zero-again": {"finance"}, "two": {"medical", "finance"}}
    assert matrix.plain["zero-again"].n_all < matrix.plain["zero"].n_all


def test_file_and_resume(organisms, directions, evaluation, tmp_path, judge):
    first = transfer_matrix(organisms, directions, evaluation, controls=1, out=tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    judged = judge.judged
    assert transfer_matrix(organisms, directions, evaluation, controls=1, out=tmp_path) == first
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
    assert judge.judged == judged
    assert TransferResult.from_json(json.loads((tmp_path / "transfer.json").read_text())) == first


@pytest.mark.parametrize("label", ["", ".", "..", "a/b", "/tmp/x"])
def test_labels_that_are_no_folder_names_are_refused(organisms, directions, evaluation, label):
    organisms[0] = replace(organisms[0], label=label)
    with pytest.raises(UsageError, match="folder names"):
        transfer_matrix(organisms, directions, evaluation)


def test_equal_labels_and_no_organism_are_refused(organisms, directions, evaluation):
    with pytest.raises(UsageError, match="each once"):
        transfer_matrix([organisms[0], organisms[0]], directions, evaluation)
    with pytest.raises(UsageError, match="no organism"):
        transfer_matrix([], directions, evaluation)


def test_one_direction_that_does_not_fit_stops_all(organisms, directions, evaluation, direction, tmp_path):
    directions["alien"] = direction(torch.ones(2, 256), base="another")
    with pytest.raises(DirectionError, match="extracted from"):
        transfer_matrix(organisms, directions, evaluation, out=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_unknown_cell_is_an_error(organisms, directions, evaluation):
    matrix = transfer_matrix(organisms[:1], directions, evaluation, controls=0)
    with pytest.raises(UsageError, match="no such cell"):
        matrix.cell("d0", "nobody")
