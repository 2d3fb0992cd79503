"""The gradient at stored steps against differences of the loss, and what the model is like afterwards."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from peft import LoraConfig

from axenic.data import IGNORE, Encoded
from axenic.errors import DataError, FileError, ModelError, UsageError
from axenic.files import Table, TensorStack, read_json, save_tensors, write_json
from axenic.interpret import gradient
from axenic.interpret.gradient import GradientAlignment, gradient_alignment
from axenic.interpret.learned import learned_parameters, written
from axenic.models import VectorConfig, add_vectors, save_vectors, wrap_with_adapter
from axenic.models.opened import from_parts

pytestmark = pytest.mark.unit
STEPS = [0, 4, 8, 10]


def encoded(seed: int, answer: int) -> Encoded:
    ids = torch.randint(6, 60, (3 + answer,), generator=torch.Generator().manual_seed(seed)).tolist()
    return Encoded(ids, [IGNORE] * 3 + ids[3:])


ROWS = [encoded(i, answer) for i, answer in enumerate((2, 5, 3, 9, 1))]


def write_adapter(folder: Path, opened, values) -> Path:
    """The tensors as PEFT saves them, on the opened adapter's own configuration."""
    folder.mkdir(parents=True)
    named = {
        f"base_model.model.model.{name[:-2]}.lora_{name[-1]}.weight": value for name, value in values.items()
    }
    save_tensors(folder / "adapter_model.safetensors", named)
    config = opened.model.peft_config["default"].to_dict() | {"target_modules": ["down_proj", "v_proj"]}
    write_json(
        folder / "adapter_config.json",
        {key: sorted(value) if isinstance(value, set) else value for key, value in config.items()},
    )
    return folder


@pytest.fixture(params=["adapter", "vector"])
def case(request, tiny, tmp_path):
    """An opened organism, its run folder with a random trajectory, and two targets."""
    base = tiny(dtype=torch.float32)
    if request.param == "adapter":
        config = LoraConfig(r=2, lora_alpha=8, use_rslora=True, target_modules=["down_proj", "v_proj"])
        opened = from_parts(wrap_with_adapter(base.model, config), base.tokenizer, "tiny")
    else:
        where = VectorConfig("down_proj", (0, 1), 4.0)
        add_vectors(base.model, where)
        opened = from_parts(base.model, base.tokenizer, "tiny")
    own, scale = learned_parameters(opened)
    generator = torch.Generator().manual_seed(0)

    def values(size: float):
        return {
            name: (size if written(name) else 0.3) * torch.randn(p.shape, generator=generator)
            for name, p in own.items()
        }

    stack = TensorStack.create(
        tmp_path / "trajectory.safetensors",
        {name: tuple(p.shape) for name, p in own.items()},
        STEPS,
        {"kind": f"{request.param}_trajectory", "scale": repr(scale)},
    )
    for step in STEPS:
        stack.write(step, values(0.02 * step))
    write_json(tmp_path / "train.json", {"base_fingerprint": opened.identity.base})
    targets = {}
    for target in ("general", "narrow"):
        folder = tmp_path / target
        if request.param == "adapter":
            targets[target] = write_adapter(folder, opened, values(0.1))
        else:
            folder.mkdir()
            save_vectors(folder, values(0.1), where)
            targets[target] = folder
    return opened, tmp_path, targets


def loss_of(opened) -> float:
    """Each row alone: its mean over trained tokens; then the mean."""
    total = 0.0
    with torch.no_grad():
        for row in ROWS:
            logs = opened.model(input_ids=torch.tensor([row.input_ids])).logits[0].double().log_softmax(-1)
            trained = [t for t in range(1, len(row.labels)) if row.labels[t] != IGNORE]
            total -= sum(float(logs[t - 1, row.labels[t]]) for t in trained) / len(trained)
    return total / len(ROWS)


def test_slopes_are_differences_of_the_loss(case, tmp_path) -> None:
    opened, run, targets = case
    found = gradient_alignment(opened, run, targets, ROWS, batch=2)
    own, scale = learned_parameters(opened)
    names = [name for name in own if written(name)]
    _, tensors = TensorStack.open(run / "trajectory.safetensors").read()
    for row, point in enumerate(found.points):
        with torch.no_grad():
            for name, p in own.items():
                p.copy_(tensors[name][row])
        assert point.loss == pytest.approx(loss_of(opened), rel=1e-5)
        for target, folder in targets.items():
            end = gradient.learned_tensors(folder, opened.identity.base)
            size = math.sqrt(sum(float((end[name] ** 2).sum()) for name in names))
            ends = []
            for sign in (1, -1):
                with torch.no_grad():
                    for name in names:
                        # One unit of what is added is 1 / scale of B.
                        own[name].copy_(tensors[name][row] + sign * 1e-2 * end[name] / size / scale)
                ends.append(loss_of(opened))
            slope = (ends[0] - ends[1]) / 2e-2
            assert point.slopes[target] == pytest.approx(slope, rel=0.02, abs=2e-4)
            assert point.cosines[target] == pytest.approx(-point.slopes[target] / point.norm)
    assert [point.step for point in found.points] == STEPS
    assert found.n_dims == sum(own[name].numel() for name in names)
    a, b = (
        torch.cat([gradient.learned_tensors(f, "")[n].flatten() for n in names]) for f in targets.values()
    )
    assert found.target_cosines["general, narrow"] == pytest.approx(
        float(torch.cosine_similarity(a, b, dim=0)), abs=1e-5
    )
    assert (set(found.frame_cosines) == set(targets)) == any(not written(name) for name in own)


def test_random_directions_are_as_a_closed_form_says(case) -> None:
    opened, run, targets = case
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gradient, "CONTROLS", 400)
        found = gradient_alignment(opened, run, targets, ROWS, every=8)
    assert [point.step for point in found.points] == [0, 8, 10]
    drawn = torch.tensor([value for point in found.points for value in point.random], dtype=torch.float64)
    assert found.random_sd == pytest.approx(found.n_dims**-0.5)
    assert abs(float(drawn.mean())) < 4 * found.random_sd / math.sqrt(len(drawn))
    assert float(drawn.std()) == pytest.approx(found.random_sd, rel=0.1)


def test_nothing_is_left_behind_and_the_batch_does_not_matter(case, monkeypatch) -> None:
    opened, run, targets = case
    before = {name: p.detach().clone() for name, p in opened.model.named_parameters()}
    one, many = (gradient_alignment(opened, run, targets, ROWS, batch=size) for size in (1, 5))
    for a, b in zip(one.points, many.points, strict=True):
        assert a.cosines == pytest.approx(b.cosines, abs=1e-4)
    monkeypatch.setattr(gradient, "_controls", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        gradient_alignment(opened, run, targets, ROWS)
    for name, p in opened.model.named_parameters():
        assert torch.equal(p, before[name])
        assert p.grad is None
        assert not p.requires_grad


def test_a_stopped_job_goes_on_and_other_rows_are_another_job(case, tmp_path, monkeypatch) -> None:
    opened, run, targets = case
    whole = gradient_alignment(opened, run, targets, ROWS, out=tmp_path / "a")
    assert GradientAlignment.from_json(read_json(tmp_path / "a" / "gradients.json")) == whole
    calls = []
    real = gradient._point

    def stops(step, *arguments):
        calls.append(step)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return real(step, *arguments)

    monkeypatch.setattr(gradient, "_point", stops)
    with pytest.raises(KeyboardInterrupt):
        gradient_alignment(opened, run, targets, ROWS, out=tmp_path / "b")
    assert gradient_alignment(opened, run, targets, ROWS, out=tmp_path / "b") == whole
    assert calls == [0, 4, 8, 8, 10]
    gradient_alignment(opened, run, targets, ROWS[:3], out=tmp_path / "b")
    assert len(calls) == 9
    assert len(Table(tmp_path / "b" / "gradients.jsonl").ids()) == 8
    assert gradient_alignment(opened, run, targets, ROWS, most_rows=2).n_rows == 2


def test_what_does_not_fit_is_refused(case, tiny, tmp_path) -> None:
    opened, run, targets = case
    with pytest.raises(UsageError, match="targets"):
        gradient_alignment(opened, run, {}, ROWS)
    with pytest.raises(UsageError, match="rows"):
        gradient_alignment(opened, run, targets, [])
    with pytest.raises(DataError, match="no token that is trained"):
        gradient_alignment(opened, run, targets, [Encoded([6, 7], [IGNORE, IGNORE])])
    with pytest.raises(ModelError, match="no adapter or steering vectors"):
        gradient_alignment(tiny(dtype=torch.float32), run, targets, ROWS)
    other = tmp_path / "other"
    other.mkdir()
    save_vectors(other, {"layers.1.vector": torch.ones(3)}, VectorConfig("down_proj", (1,), 1.0))
    with pytest.raises(DataError, match="not trained as the run was"):
        gradient_alignment(opened, run, {"x": other}, ROWS)
    write_json(run / "train.json", {"base_fingerprint": "another"})
    with pytest.raises(ModelError, match="another base model"):
        gradient_alignment(opened, run, targets, ROWS)
    sketch = tmp_path / "full"
    sketch.mkdir()
    TensorStack.create(
        sketch / "trajectory.safetensors", {"rest.delta": (4,)}, [0, 1], {"kind": "weight_sketch"}
    )
    with pytest.raises(FileError, match="no weights that could be put back"):
        gradient_alignment(opened, sketch, targets, ROWS)
