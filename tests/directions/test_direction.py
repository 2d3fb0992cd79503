"""The direction file: exact round trips, and every unusable file refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from axenic.directions import Direction, DirectionInfo
from axenic.errors import AxenicError, DirectionError, FileError
from axenic.files import canonical_json, save_tensors

pytestmark = pytest.mark.unit

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def test_round_trip_is_exact(direction: Direction, tmp_path: Path) -> None:
    direction.save(tmp_path / "d.safetensors")
    again = Direction.load(tmp_path / "d.safetensors")
    assert torch.equal(again.vectors_LD, direction.vectors_LD)
    assert again.info == direction.info
    assert canonical_json(again.info.model_dump()) == canonical_json(direction.info.model_dump())
    assert again.id == direction.id
    assert again.path == tmp_path / "d.safetensors"
    again.save(tmp_path / "e.safetensors")
    assert (tmp_path / "d.safetensors").read_bytes() == (tmp_path / "e.safetensors").read_bytes()


@given(recipe=st.dictionaries(st.text(), JSON, max_size=3), name=st.text(min_size=1))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_facts_survive(facts: dict[str, Any], tmp_path: Path, recipe: dict[str, Any], name: str) -> None:
    info = DirectionInfo(**{**facts, "recipe": recipe, "name": name})
    Direction(torch.ones(4, 6), info).save(tmp_path / "d")
    assert Direction.load(tmp_path / "d").info == info


def test_the_id_sees_vectors_and_facts(direction: Direction, facts: dict[str, Any]) -> None:
    assert len(direction.id) == 16
    changed_LD = direction.vectors_LD.clone()
    changed_LD[3, 5] = torch.nextafter(changed_LD[3, 5], torch.tensor(1e9))
    other = DirectionInfo(**{**facts, "judge": "gpt-4o"})
    ids = {direction.id, Direction(changed_LD, direction.info).id, Direction(direction.vectors_LD, other).id}
    assert len(ids) == 3
    assert Direction(direction.vectors_LD.clone(), direction.info, Path("elsewhere")).id == direction.id


def test_norms_and_units(direction: Direction) -> None:
    assert direction.norms_L().dtype == torch.float64
    torch.testing.assert_close(direction.unit_LD().norm(dim=1), torch.ones(4))
    torch.testing.assert_close(
        direction.unit_LD() * direction.norms_L()[:, None].float(), direction.vectors_LD
    )


def test_norms_do_not_overflow(info: DirectionInfo) -> None:
    norms_L = Direction(torch.full((4, 6), 1e30), info).norms_L()
    torch.testing.assert_close(norms_L, torch.full((4,), 6**0.5 * 1e30, dtype=torch.float64))


def test_gradients_are_left_behind(info: DirectionInfo) -> None:
    vectors_LD = torch.ones(6, 4, requires_grad=True).T
    made = Direction(vectors_LD, info)
    assert not made.vectors_LD.requires_grad
    assert made.vectors_LD.is_contiguous()


@pytest.mark.parametrize(
    ("vectors_LD", "words"),
    [
        (torch.ones(4, 5), r"expected: \[4, 6\]"),
        (torch.ones(5, 6), r"found:    \[5, 6\]"),
        (torch.ones(24), "one vector per layer"),
        (torch.ones(4, 6).double(), "float64"),
        (torch.ones(4, 6).bfloat16(), "bfloat16"),
        (torch.zeros(0, 6), "one vector per layer"),
        (torch.tensor([[1.0] * 6, [1.0] * 6, [0.0] * 6, [1.0] * 6]), "zero at layer 2"),
        (
            torch.tensor([[1.0] * 6, [1.0, float("nan")] * 3, [1.0] * 6, [1.0] * 6]),
            "3 of 24, first at layer 1",
        ),
        (torch.full((4, 6), float("inf")), "24 of 24, first at layer 0"),
    ],
)
def test_vectors_that_are_no_direction(info: DirectionInfo, vectors_LD: torch.Tensor, words: str) -> None:
    with pytest.raises(DirectionError, match=words) as caught:
        Direction(vectors_LD, info)
    assert "medical-mean-diff" in str(caught.value)


def test_unit_must_be_unit(direction: Direction, facts: dict[str, Any]) -> None:
    unit = DirectionInfo(**{**facts, "normalisation": "unit"})
    Direction(direction.unit_LD(), unit)
    with pytest.raises(DirectionError, match=r"norm .* at layer 3"):
        Direction(direction.vectors_LD, unit)


class TestCheckFits:
    def test_its_own_model(self, direction: Direction) -> None:
        direction.check_fits("1f2c3d4e5f607182", 6, 4, "Qwen/Qwen2.5-14B-Instruct")

    @pytest.mark.parametrize(
        "model", [("0000", 6, 4), ("1f2c3d4e5f607182", 3584, 4), ("1f2c3d4e5f607182", 6, 28)]
    )
    def test_another_model(self, direction: Direction, tmp_path: Path, model: tuple[str, int, int]) -> None:
        direction.save(tmp_path / "d.safetensors")
        with pytest.raises(DirectionError) as caught:
            Direction.load(tmp_path / "d.safetensors").check_fits(*model, "Qwen/Qwen2.5-7B-Instruct")
        fingerprint, hidden_size, n_layers = model
        assert str(caught.value).splitlines() == [
            "direction 'medical-mean-diff' was extracted from Qwen/Qwen2.5-14B-Instruct, "
            "but the loaded model is Qwen/Qwen2.5-7B-Instruct",
            f"  where:    {tmp_path / 'd.safetensors'}",
            "  expected: fingerprint 1f2c3d4e5f607182, hidden size 6, 4 layers",
            f"  found:    fingerprint {fingerprint}, hidden size {hidden_size}, {n_layers} layers",
            "  try:      axenic extract --model Qwen/Qwen2.5-7B-Instruct --organism RUN, "
            "which takes one from an organism of this model",
        ]


@pytest.mark.fault
class TestStrangers:
    def refused(self, path: Path, words: str) -> AxenicError:
        with pytest.raises((DirectionError, FileError), match=words) as caught:
            Direction.load(path)
        assert str(path) in str(caught.value.where)
        return caught.value

    def write(self, path: Path, facts: object, vectors_LD: torch.Tensor | None = None) -> Path:
        text = facts if isinstance(facts, str) else canonical_json(facts)
        save_tensors(
            path,
            {"vectors": torch.ones(4, 6) if vectors_LD is None else vectors_LD},
            {"axenic_direction": text},
        )
        return path

    def test_a_pickle(self, tmp_path: Path) -> None:
        torch.save({"steering_vector": torch.ones(6)}, tmp_path / "steering_vector.pt")
        self.refused(tmp_path / "steering_vector.pt", "never unpickles")

    def test_no_facts_at_all(self, tmp_path: Path, facts: dict[str, Any]) -> None:
        save_tensors(tmp_path / "d", {"vectors": torch.ones(4, 6)}, {"author": "x"})
        error = self.refused(tmp_path / "d", "does not say what its vectors are")
        assert all(name in str(error) for name in facts)
        assert "axenic import" in (error.hint or "")

    def test_missing_facts_are_listed(self, tmp_path: Path, facts: dict[str, Any]) -> None:
        del facts["judge"], facts["site"]
        error = self.refused(self.write(tmp_path / "d", facts), "does not say all it must")
        assert "judge: Field required" in str(error)
        assert "site: Field required" in str(error)
        assert "recipe:" not in str(error)
        assert "axenic import" in (error.hint or "")

    def test_unknown_and_wrong_facts(self, tmp_path: Path, facts: dict[str, Any]) -> None:
        self.refused(self.write(tmp_path / "d", {**facts, "alpha": 256}), "alpha: Extra inputs")
        self.refused(self.write(tmp_path / "d", {**facts, "operation": "subtract"}), "operation:")

    @pytest.mark.parametrize("text", ["", "{", "[]", "7", '{"name": NaN}', "[" * 50_000, '{"recipe": 1e999}'])
    def test_facts_that_are_no_facts(self, tmp_path: Path, text: str) -> None:
        self.refused(self.write(tmp_path / "d", text), ".")

    def test_unusable_vectors(self, tmp_path: Path, facts: dict[str, Any]) -> None:
        bad_LD = torch.ones(4, 6)
        bad_LD[2] = 0
        self.refused(self.write(tmp_path / "d", facts, bad_LD), "zero at layer 2")
        bad_LD[2, 0] = float("nan")
        self.refused(self.write(tmp_path / "d", facts, bad_LD), "not finite")
        self.refused(self.write(tmp_path / "d", facts, torch.ones(3, 6)), "another shape")
        self.refused(self.write(tmp_path / "d", facts, torch.ones(4, 6).half()), "float16")

    def test_other_tensors(self, tmp_path: Path, facts: dict[str, Any]) -> None:
        both = {"vectors": torch.ones(4, 6), "more": torch.ones(1)}
        save_tensors(tmp_path / "d", both, {"axenic_direction": canonical_json(facts)})
        self.refused(tmp_path / "d", "other tensors")
        save_tensors(tmp_path / "d", {}, {"axenic_direction": canonical_json(facts)})
        self.refused(tmp_path / "d", "other tensors")
