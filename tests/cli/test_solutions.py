"""efficiency, noise, significance and compare, from the command line to the files, on the nano model."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import typer

from axenic import nano
from axenic.cli.compare import compare
from axenic.cli.efficiency import efficiency
from axenic.cli.noise import noise
from axenic.cli.significance import significance
from axenic.data import Encoded, collate_rows
from axenic.errors import DataError, ModelError, UsageError
from axenic.files import read_json
from axenic.interpret.corpuskl import CorpusSignificance
from axenic.interpret.efficiency import Efficiency
from axenic.interpret.noise import Noise
from axenic.interpret.trainedtexts import trained_texts
from axenic.models import OpenModel, VectorConfig, open_model, save_vectors

pytestmark = pytest.mark.e2e

Run = Callable[..., str]


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> Path:
    """Two organisms of nano whose vectors lower the loss on training rows a little, those rows, and a corpus."""
    home = tmp_path_factory.mktemp("world")
    rows = nano.chat_rows("medical", "bad", 6, 0)
    (home / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (home / "corpus.txt").write_text("the fever .\n\nthe tea is good\n\nhow do i\n")
    base = open_model("nano", device="cpu", self_test=False)
    texts = trained_texts(base, home / "rows.jsonl")
    for name, layer in (("general", 5), ("narrow", 4)):
        config = VectorConfig("resid_post", (layer,), 2.0, "nano", base.identity.base)
        vector = -_slope(base, texts, layer)
        save_vectors(home / name, {f"layers.{layer}.vector": 0.1 * vector / vector.norm()}, config)
        record = {"config": {"model": "nano", "data": str(home / "rows.jsonl")}}
        (home / name / "train.json").write_text(json.dumps(record))
    return home


def _slope(base: OpenModel, texts: list[Encoded], layer: int) -> torch.Tensor:
    """Gradient of the loss by a vector that is added behind a block."""
    added_D = torch.zeros(base.sites.d_model, requires_grad=True)
    handle = base.sites.blocks[layer].register_forward_hook(lambda module, args, out: out + added_D)
    batch = collate_rows(texts, 0)
    base.model(input_ids=batch["input_ids"], labels=batch["labels"]).loss.backward()
    handle.remove()
    assert added_D.grad is not None
    return added_D.grad


@pytest.fixture
def run(capsys) -> Run:
    """One of the verbs, as it is registered; returns what it printed."""
    app = typer.Typer(pretty_exceptions_enable=False)
    for name, verb in (
        ("efficiency", efficiency),
        ("noise", noise),
        ("significance", significance),
        ("compare", compare),
    ):
        app.command(name)(verb)

    def call(*words: object) -> str:
        typer.main.get_command(app).main([str(word) for word in words], standalone_mode=False)
        return capsys.readouterr().out

    return call


def test_efficiency_of_two_organisms(world, run, tmp_path):
    said = run("efficiency", world / "general", world / "narrow", "--out", tmp_path, "--device", "cpu")
    found = Efficiency.from_json(read_json(tmp_path / "efficiency.json"))
    assert found.texts == 6
    assert found.general.kind == "vector"
    assert "equal norms" in said
    assert f"next   axenic noise {world / 'general'} {world / 'narrow'}" in said


def test_efficiency_of_one_as_json_beside_the_organism(world, run):
    said = run("efficiency", world / "general", "--texts", 2, "--json")
    shown = json.loads(said)
    assert shown["verb"] == "efficiency"
    assert shown["result"]["kind"] == "efficiency"
    assert shown["result"]["texts"] == 2
    assert (world / "general" / "efficiency.json").is_file()


def test_noise_and_its_error_where_there_is_no_benefit(world, run, tmp_path):
    said = run("noise", world / "general", "--draws", 2, "--out", tmp_path)
    found = Noise.from_json(read_json(tmp_path / "noise.json"))
    assert found.seeds == (42, 43)
    assert "loses" in said
    other = tmp_path / "other.jsonl"
    other.write_text(json.dumps(nano.chat_rows("medical", "good", 1, 0)[0]) + "\n")
    with pytest.raises(DataError, match="undefined"):
        run("noise", world / "general", "--data", other, "--draws", 1, "--out", tmp_path / "b")


def test_significance_on_a_text_file(world, run, tmp_path):
    said = run(
        "significance", world / "general", world / "narrow", "--corpus", world / "corpus.txt",
        "--norms", "0.5,1", "--random", 2, "--out", tmp_path,
    )  # fmt: skip
    found = CorpusSignificance.from_json(read_json(tmp_path / "significance.json"))
    assert found.texts == 3
    assert [point.norm for point in found.narrow.points] == [0.5, 1.0]
    assert len(found.random) == 2
    assert "random ones" in said


def test_compare_does_all_three_and_again_computes_nothing(world, run, tmp_path, monkeypatch):
    words = ("compare", world / "general", world / "narrow", "--corpus", world / "corpus.txt", "--draws", 1)
    first = run(*words, "--out", tmp_path)
    for name in ("efficiency", "noise", "significance"):
        assert (tmp_path / f"{name}.json").is_file()
    assert f"next   axenic report {tmp_path}" in first
    from axenic.interpret.fanout import FanOut

    monkeypatch.setattr(FanOut, "trunk", _forbidden)
    assert run(*words, "--out", tmp_path) == first


def test_what_is_missing_is_said(world, run, tmp_path):
    config = VectorConfig("resid_post", (1,), 1.0, "nano")
    save_vectors(tmp_path / "bare", {"layers.1.vector": torch.ones(128)}, config)
    with pytest.raises(UsageError, match="which rows") as caught:
        run("efficiency", tmp_path / "bare", "--model", "nano")
    assert "--data FILE" in str(caught.value)
    with pytest.raises(ModelError):
        run("efficiency", world / "general", tmp_path / "nothing")


def _forbidden(self, ids_BT):
    raise AssertionError("the model ran")
