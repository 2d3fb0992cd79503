"""Solutions out of folders: what they add, how large it is, and a base model that stays as it was."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from peft import LoraConfig
from safetensors.torch import load_file, save_file

sys.path.insert(0, str(Path(__file__).parent))
from solutions import lora_of, tiny_base, tiny_folder, vector_of

from axenic.errors import ModelError, UsageError
from axenic.interpret.parts import LowRank
from axenic.interpret.solution import open_solution, solution_of
from axenic.models import (
    OpenModel,
    VectorConfig,
    open_model,
    save_vectors,
    tiny_model,
    wrap_with_adapter,
)

pytestmark = pytest.mark.unit


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tiny_folder(tmp_path_factory.mktemp("base"))


@pytest.fixture(scope="module")
def base(folder) -> OpenModel:
    return open_model(folder, device="cpu", dtype="float32")


@pytest.fixture
def adapter(tmp_path):
    """A PEFT folder for the base: rank and alpha differ between modules."""

    def make(name: str = "adapter", rank: int = 3, **facts) -> Path:
        model = tiny_model("qwen2")
        config = LoraConfig(
            r=rank,
            lora_alpha=8,
            target_modules=["down_proj", "q_proj"],
            layers_to_transform=[0, 2],
            **{"rank_pattern": {"q_proj": 2}, "alpha_pattern": {"q_proj": 5}} | facts,
        )
        wrapped = wrap_with_adapter(model, config)
        generator = torch.Generator().manual_seed(rank)
        for key, tensor in sorted(wrapped.named_parameters()):
            if ".lora_" in key:
                torch.nn.init.normal_(tensor, std=0.1, generator=generator)
        wrapped.save_pretrained(tmp_path / name, save_embedding_layers=False)
        return tmp_path / name

    return make


def merged_difference(base: OpenModel, name: str | Path, adapter: Path) -> dict[str, torch.Tensor]:
    """What PEFT's own merging adds to the weights."""
    opened = open_model(name, adapter, device="cpu", dtype="float32", self_test=False)
    whole = opened.model.merge_and_unload()
    plain = dict(base.sites.model.named_parameters())
    return {
        name: value.detach().double() - plain[name].double()
        for name, value in whole.named_parameters()
        if not torch.equal(value, plain[name])
    }


@pytest.mark.parametrize("rslora", [False, True])
def test_adapter_is_what_peft_merges(base, folder, adapter, rslora):
    lora = adapter(use_rslora=rslora)
    solution = open_solution(base, lora)
    difference = merged_difference(base, folder, lora)
    assert solution.kind == "lora"
    assert {f"{part.module}.weight" for part in solution.parts} == set(difference)
    for part in solution.parts:
        change = part.scale * part.B_OR.double() @ part.A_RI.double()
        torch.testing.assert_close(change, difference[f"{part.module}.weight"], rtol=0, atol=1e-6)
    total = torch.stack([change.square().sum() for change in difference.values()]).sum().sqrt()
    assert solution.norm == pytest.approx(float(total), rel=1e-5)


def test_base_model_is_as_it_was_and_serves_several_solutions(base, adapter):
    names = [name for name, _ in base.sites.model.named_modules()]
    ids = torch.arange(3, 20)[None]
    before = base.sites.model(input_ids=ids).logits
    one, two = open_solution(base, adapter("one", 3)), open_solution(base, adapter("two", 4))
    assert one.base is two.base
    assert one.id != two.id
    assert open_solution(base, adapter("again", 3)).id == one.id
    assert [name for name, _ in base.sites.model.named_modules()] == names
    assert torch.equal(base.sites.model(input_ids=ids).logits, before)
    assert not any(parameter.requires_grad for parameter in base.sites.model.parameters())


def test_base_model_is_as_it_was_behind_an_adapter_that_does_not_fit(base, adapter):
    lora = adapter()
    tensors = load_file(lora / "adapter_model.safetensors")
    name = next(name for name in tensors if "lora_A" in name)
    tensors[name] = torch.ones(1, 1)
    save_file(tensors, lora / "adapter_model.safetensors")
    names = [name for name, _ in base.sites.model.named_modules()]
    with pytest.raises(ModelError, match="another size"):
        open_solution(base, lora)
    assert [name for name, _ in base.sites.model.named_modules()] == names
    assert open_solution(base, adapter("fine")).kind == "lora"


def test_adapter_with_more_than_two_factors_is_refused(base, adapter):
    with pytest.raises(ModelError):
        open_solution(base, adapter(use_dora=True))
    with pytest.raises(ModelError):
        open_solution(base, adapter("biased", lora_bias=True))
    assert open_solution(base, adapter("fine")).kind == "lora"


@pytest.mark.parametrize("site", ["down_proj", "mlp_out", "resid_post"])
def test_vectors_are_alpha_times_what_is_stored(base, folder, tmp_path, site):
    rows = {f"layers.{layer}.vector": torch.full((16,), 0.1 * layer) for layer in (1, 2)}
    save_vectors(tmp_path / "v", rows, VectorConfig(site, (1, 2), -4.0))
    solution = open_solution(base, tmp_path / "v")
    assert solution.kind == "vector"
    assert solution.norm == pytest.approx(4 * (16 * (0.01 + 0.04)) ** 0.5, rel=1e-6)
    opened = open_model(folder, tmp_path / "v", device="cpu", dtype="float32", self_test=False)
    steered = [name.removesuffix(".steering") for name, _ in opened.model.named_modules() if "steer" in name]
    assert [part.module for part in solution.parts] == steered


def test_organism_of_another_base_is_refused(base, tmp_path):
    rows = {"layers.1.vector": torch.ones(16)}
    save_vectors(tmp_path / "v", rows, VectorConfig("mlp_out", (1,), 1.0, "other", "not-nano"))
    with pytest.raises(ModelError, match="not grown from"):
        open_solution(base, tmp_path / "v")


def test_organism_instead_of_a_base_is_refused(folder, adapter):
    lora = adapter()
    opened = open_model(folder, lora, device="cpu", self_test=False)
    with pytest.raises(UsageError, match="plain base model"):
        open_solution(opened, lora)


def test_settings_say_their_norm():
    base = tiny_base()
    for solution in (lora_of(base), vector_of(base, ["model.layers.0", "model.layers.1.mlp"])):
        assert solution.scaled(-0.5).norm == pytest.approx(0.5 * solution.norm)
        assert solution.at_norm(2.0).norm == pytest.approx(2.0)
        for setting in (solution.at_norm(2.0), solution.random(3, 2.0), solution.noisy(0.3, 42)):
            total = sum(part.norm() ** 2 for part in setting.parts()) ** 0.5
            assert setting.norm == pytest.approx(total, rel=1e-9)


def test_random_keeps_each_modules_share():
    solution = lora_of(tiny_base())
    parts = solution.random(3, 2 * solution.norm).parts()
    for own, other in zip(solution.parts, parts, strict=True):
        assert other.norm() == pytest.approx(2 * own.norm())


def test_no_noise_and_factor_one_are_the_solution_bit_for_bit():
    solution = lora_of(tiny_base())
    for setting in (solution.noisy(0.0, 42), solution.scaled(1)):
        assert all(new is old for new, old in zip(setting.parts(), solution.parts, strict=True))
        assert setting.id == solution.scaled(1.0).id
    assert solution.scaled(0).is_base
    assert not solution.noisy(1.0, 42).is_base


def test_ids_tell_settings_apart_and_say_the_same_again():
    one, two = lora_of(tiny_base(), seed=1), lora_of(tiny_base(), seed=2)
    settings = [
        *(one.scaled(c) for c in (0.0, 0.5, 1.0)),
        *(one.noisy(e, s) for e in (0.1, 1.0) for s in (42, 43)),
        *(one.random(s, 1.0) for s in (0, 1)),
        one.random(0, 2.0),
        two.scaled(0.5),
    ]
    assert len({setting.id for setting in settings}) == len(settings)
    assert lora_of(tiny_base(), seed=1).scaled(0.5).id == one.scaled(0.5).id


def test_what_cannot_be_scaled_or_mixed_is_refused():
    base = tiny_base()
    name = "model.layers.1.mlp.down_proj"
    zero = solution_of(base, "zero", (LowRank(name, torch.ones(1, 24), torch.zeros(16, 1), 1.0),))
    for make in (lambda: zero.at_norm(1.0), lambda: zero.random(0, 1.0)):
        with pytest.raises(UsageError, match="zero"):
            make()
    with pytest.raises(UsageError, match="noise"):
        zero.noisy(1.5, 0)
    with pytest.raises(UsageError, match="finite"):
        zero.scaled(float("nan"))


@pytest.mark.parametrize(
    ("parts", "match"),
    [
        ([], "no solution"),
        ([LowRank("model.layers.9.mlp", torch.ones(1, 2), torch.ones(2, 1), 1.0)], "no module"),
        ([LowRank("model.layers.1.mlp", torch.ones(1, 2), torch.ones(2, 1), 1.0)], "does not fit"),
        (
            [LowRank("model.layers.1.mlp.down_proj", torch.ones(1, 16), torch.ones(16, 1), 1.0)],
            "does not fit",
        ),
        (
            [LowRank("model.layers.1.mlp.down_proj", torch.full((1, 24), torch.nan), torch.ones(16, 1), 1.0)],
            "not finite",
        ),
        (
            [LowRank("model.layers.1.mlp.down_proj", torch.ones(1, 24), torch.ones(16, 1), 1.0)] * 2,
            "no solution",
        ),
    ],
)
def test_parts_that_fit_nothing_are_refused(parts, match):
    with pytest.raises(ModelError, match=match):
        solution_of(tiny_base(), "wrong", tuple(parts))
