"""Full fine-tunes as solutions: differences from files, weights changed in place and put back."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

sys.path.insert(0, str(Path(__file__).parent))
from solutions import some_texts, tiny_folder

from axenic.errors import ModelError
from axenic.interpret.fullchange import changed_weights
from axenic.interpret.settings import measure
from axenic.interpret.solution import Solution, open_solution
from axenic.models import open_model, tiny_model

pytestmark = pytest.mark.unit


@pytest.fixture
def folder(tmp_path) -> Path:
    return tiny_folder(tmp_path / "base")


@pytest.fixture
def organism(tmp_path) -> Path:
    """Every weight of the base moved a little."""
    model = tiny_model("qwen2")
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for _, parameter in sorted(model.named_parameters()):
            parameter += 0.05 * torch.randn(parameter.shape, generator=generator)
    model.save_pretrained(tmp_path / "full")
    return tmp_path / "full"


@pytest.fixture
def solution(folder, organism) -> Solution:
    return open_solution(folder, organism, device="cpu", dtype="float32")


def weights(model) -> dict[str, torch.Tensor]:
    return {name: parameter.detach().clone() for name, parameter in model.named_parameters()}


def test_norm_is_that_of_all_differences(solution, folder, organism):
    before = weights(solution.base.sites.model)
    after = weights(open_model(folder, organism, device="cpu", dtype="float32", self_test=False).sites.model)
    squares = sum(float((after[name].double() - before[name].double()).square().sum()) for name in before)
    assert solution.kind == "full"
    assert solution.norm == pytest.approx(squares**0.5, rel=1e-12)


def test_settings_are_the_weights_they_should_be(solution, folder, organism):
    model = solution.base.sites.model
    before = weights(model)
    after = weights(open_model(folder, organism, device="cpu", dtype="float32", self_test=False).sites.model)
    with changed_weights(model, solution.added, solution.scaled(1).weight):
        assert all(torch.equal(value, after[name]) for name, value in weights(model).items())
    with changed_weights(model, solution.added, solution.scaled(-0.5).weight):
        for name, value in weights(model).items():
            expected = before[name].double() - 0.5 * (after[name].double() - before[name].double())
            assert torch.equal(value, expected.float())
    for setting in (solution.noisy(0.6, 42), solution.random(1, solution.norm)):
        with changed_weights(model, solution.added, setting.weight):
            moved = {name: value.double() - before[name].double() for name, value in weights(model).items()}
        total = sum(float(change.square().sum()) for change in moved.values()) ** 0.5
        assert total == pytest.approx(setting.norm, rel=1e-4)
        along = sum(
            float((moved[name] * (after[name].double() - before[name].double())).sum()) for name in moved
        )
        expected = 0.8 if setting.form == "noisy" else 0.0
        assert along / solution.norm**2 == pytest.approx(expected, abs=0.03)
    assert all(torch.equal(value, before[name]) for name, value in weights(model).items())


def test_base_is_put_back_bit_for_bit_after_an_exception(solution, monkeypatch):
    model = solution.base.sites.model
    before = weights(model)
    with (
        pytest.raises(RuntimeError, match="stop"),
        changed_weights(model, solution.added, solution.scaled(1).weight),
    ):
        raise RuntimeError("stop")
    assert all(torch.equal(value, before[name]) for name, value in weights(model).items())

    # And when the weights themselves cannot be made, half-way through.
    names = list(solution.added.files)

    def fail(name, old, new):
        if name == names[7]:
            raise RuntimeError("disk gone")
        return new

    with (
        pytest.raises(RuntimeError, match="disk gone"),
        changed_weights(model, solution.added, fail),
    ):
        pass
    assert all(torch.equal(value, before[name]) for name, value in weights(model).items())


def test_measured_is_what_the_opened_organism_gives(solution, folder, organism):
    texts = some_texts(3)
    found = measure(solution, [solution.scaled(1), solution.scaled(0)], texts, batch_tokens=60)
    own = open_model(folder, organism, device="cpu", dtype="float32", self_test=False).sites.model
    for n, text in enumerate(texts):
        ids = torch.tensor([text.input_ids])
        log_p = solution.base.sites.model(input_ids=ids).logits[0].double().log_softmax(-1)
        log_q = own(input_ids=ids).logits[0].double().log_softmax(-1)
        nll = -sum(float(log_q[t - 1, label]) for t, label in enumerate(text.labels) if t and label >= 0)
        assert found.nll_NK[n, 0] == pytest.approx(nll, rel=1e-5)
        assert found.kl_NK[n, 0] == pytest.approx(float((log_p.exp() * (log_p - log_q)).sum()), rel=1e-3)
        assert found.nll_NK[n, 1] == found.base_nll_N[n]
        assert found.kl_NK[n, 1] == 0


@pytest.mark.parametrize("wrong", ["missing", "extra", "shape"])
def test_files_that_are_not_the_models_are_refused(folder, organism, wrong):
    file = organism / "model.safetensors"
    tensors = load_file(file)
    name = "model.layers.0.mlp.down_proj.weight"
    if wrong == "missing":
        del tensors[name]
    elif wrong == "extra":
        tensors["model.layers.0.mlp.strange.weight"] = torch.ones(2)
    else:
        tensors[name] = torch.ones(3, 3)
    save_file(tensors, file, {"format": "pt"})
    with pytest.raises(ModelError) as caught:
        open_solution(folder, organism, device="cpu", dtype="float32")
    assert "layers.0.mlp" in str(caught.value)
