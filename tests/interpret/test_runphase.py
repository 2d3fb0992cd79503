"""The phase analysis of a run folder: which vectors, which curves, other seeds, and what is refused."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))
from paths import kinked_moves, smooth_moves

from axenic.errors import DataError, FileError
from axenic.files import Table, TensorStack, write_json
from axenic.interpret.pathcurves import comp_score
from axenic.interpret.runphase import MOST_VECTORS, RunPhase, named_paths, phase_of_run, too_short
from axenic.interpret.transition import combine_transitions

pytestmark = pytest.mark.unit


def write_run(folder, moves_by_module, *, spacing=1, kind="adapter"):
    """A run whose B vectors make these displacements from zero; A stands still."""
    tensors = {}
    for name, moves in moves_by_module.items():
        rows = np.concatenate([np.zeros((1, moves.shape[1])), np.cumsum(moves, axis=0)])
        if kind == "full":
            tensors[f"{name}.delta"] = torch.tensor(rows).float()
        else:
            tensors[f"{name}.B"] = torch.tensor(rows).float()[:, :, None]
            tensors[f"{name}.A"] = torch.ones(len(rows), 1, 4)
    n = len(next(iter(tensors.values())))
    folder.mkdir(parents=True, exist_ok=True)
    steps = list(range(0, n * spacing, spacing))
    stack = TensorStack.create(
        folder / "trajectory.safetensors",
        {k: tuple(t.shape[1:]) for k, t in tensors.items()},
        steps,
        {"kind": "weight_sketch" if kind == "full" else "adapter_trajectory", "scale": "1.0"},
    )
    for row, step in enumerate(steps):
        stack.write(step, {k: t[row] for k, t in tensors.items()})
    log = [
        {"id": str(s), "step": s, "loss": 1.0, "loss_answer": 1.5, "loss_tail": 0.5, "grad_norm": 2.0}
        for s in (1, 2)
    ]
    Table(folder / "log.jsonl").append(log)
    return folder


def test_a_single_adapter(tmp_path):
    run = write_run(tmp_path / "run", {"layers.1.mlp.down_proj": kinked_moves(0, 40, 90, n_points=81)})
    found = phase_of_run(run, out=tmp_path)
    (main,) = found.vectors
    assert main.name == "layers.1.mlp.down_proj.B"
    assert main.transition.found
    assert abs(main.transition.step - 40) <= 2
    assert found.partner_norms == {main.name: (2.0,) * 81}
    assert {name: curve.values for name, curve in found.losses.items()} == {
        "loss": (1.0, 1.0),
        "loss_answer": (1.5, 1.5),
        "loss_tail": (0.5, 0.5),
    }
    assert found.gradient.values == (2.0, 2.0)
    assert (found.comp, found.runs, found.seeds, too_short(found)) == ({}, (), None, None)
    row = json.loads((tmp_path / "phase.json").read_text())
    assert row["kind"] == "phases"
    assert row == found.to_json()
    assert RunPhase.from_json(row) == found


def test_several_adapters_are_one_vector_first(tmp_path):
    moves = {f"layers.{l}.mlp.down_proj": kinked_moves(l, 40, 90, dims=12) for l in range(3)}
    run = write_run(tmp_path / "run", moves)
    found = phase_of_run(run, n_surrogates=120)
    assert [v.name for v in found.vectors] == ["all.B", *(f"{name}.B" for name in moves)]
    exact = np.sqrt(sum(np.square(vector.norms) for vector in found.vectors[1:]))
    np.testing.assert_allclose(found.vectors[0].norms, exact, atol=1e-9)
    assert found.vectors[0].transition.found
    paths = named_paths(run)
    adapters = [paths[f"{name}.B"] for name in moves]
    assert list(found.comp.values()) == [
        comp_score(adapters, demean=demean, layout=layout)
        for layout in ("rows", "columns")
        for demean in ("step", "checkpoints")
    ]


def test_many_adapters_are_only_taken_together_and_one_can_be_named(tmp_path):
    moves = {f"layers.{l}.self_attn.q_proj": smooth_moves(l, dims=5) for l in range(MOST_VECTORS + 1)}
    run = write_run(tmp_path / "run", moves)
    assert [v.name for v in phase_of_run(run, n_surrogates=99).vectors] == ["all.B"]
    for name in ("layers.3.self_attn.q_proj.B", "layers.3.self_attn.q_proj.B", "all.B"):
        assert [v.name for v in phase_of_run(run, vector=name, n_surrogates=99).vectors] == [name]
    with pytest.raises(DataError, match="no vector") as caught:
        phase_of_run(run, vector="layers.99.B")
    assert "layers.3.self_attn.q_proj.B" in caught.value.expected


def test_adapters_of_other_sizes_have_no_comp_score(tmp_path):
    run = write_run(
        tmp_path / "run", {"layers.0.a": smooth_moves(0, dims=5), "layers.0.b": smooth_moves(1, dims=7)}
    )
    assert phase_of_run(run, n_surrogates=99).comp == {}


def test_a_full_fine_tune(tmp_path):
    moves = {f"layers.{l}": kinked_moves(l, 40, 90, dims=12) for l in range(2)}
    found = phase_of_run(write_run(tmp_path / "run", moves, kind="full"), n_surrogates=120)
    assert [v.name for v in found.vectors] == ["all.delta", "layers.0.delta", "layers.1.delta"]
    assert found.vectors[0].transition.found
    assert found.partner_norms == {}


def test_over_seeds(tmp_path):
    name = "layers.1.mlp.down_proj"
    runs = [write_run(tmp_path / f"s{i}", {name: kinked_moves(i, 38 + 2 * i, 90)}) for i in range(3)]
    found = phase_of_run(runs[0], other_seeds=runs[1:])
    single = [phase_of_run(run).vectors[0].transition for run in runs]
    assert found.seeds == {f"{name}.B": combine_transitions(single)}
    assert found.seeds[f"{name}.B"].n_found == 3
    assert found.runs == tuple(map(str, runs))
    assert RunPhase.from_json(json.loads(json.dumps(found.to_json()))) == found
    other = write_run(tmp_path / "other", {"layers.2.x": smooth_moves(0)})
    with pytest.raises(DataError, match="no vector"):
        phase_of_run(runs[0], other_seeds=[other])


def test_short_and_missing_paths(tmp_path):
    short = phase_of_run(write_run(tmp_path / "short", {"layers.0.a": smooth_moves(0, n_points=12)}))
    assert short.vectors[0].transition is None
    assert "12 stored steps" in too_short(short)
    with pytest.raises(DataError, match="too few points"):
        phase_of_run(write_run(tmp_path / "two", {"layers.0.a": smooth_moves(0, n_points=2)}))
    for config, said in (
        (None, "has no trajectory"),
        ({"model": "nano", "data": "a b.jsonl", "recipe": "rank1"}, "stored no"),
    ):
        if config is not None:
            write_json(tmp_path / "train.json", {"config": config})
        with pytest.raises(FileError, match=said) as caught:
            phase_of_run(tmp_path)
        assert "axenic train" in caught.value.hint
        assert "trajectory_steps=5" in caught.value.hint
    assert "--data 'a b.jsonl'" in caught.value.hint


def test_every_thins_and_a_missing_step_is_named(tmp_path):
    run = write_run(tmp_path / "run", {"layers.0.a": smooth_moves(0, n_points=81)}, spacing=5)
    assert phase_of_run(run, every=10, n_surrogates=99).vectors[0].steps == tuple(range(0, 401, 10))
    whole = (run / "trajectory.safetensors").read_bytes()
    # The last 81 bytes mark which rows are written: step 200 is taken away.
    flags = bytearray(whole)
    at = whole.rfind(b"\x01" * 81)
    flags[at + 40] = 0
    (run / "trajectory.safetensors").write_bytes(bytes(flags))
    with pytest.raises(DataError, match="step 200 is missing"):
        phase_of_run(run)
