"""The authors' released vectors: every figure of the mean-diff table of shared/author-data/README.md."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
import torch

from axenic.directions import (
    PublishedDirection,
    compare_directions,
    cosines_with,
    load_published_means,
    norms,
)
from axenic.errors import DirectionError, FileError
from axenic.files import save_tensors
from axenic.interpret import read_published_path

pytestmark = pytest.mark.unit

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "author-data"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="the authors' numbers are not part of the product")

LAYERS = [0, 12, 24, 36, 47]


def printed(value: float, like: str) -> str:
    """The value with as many decimals as the README prints."""
    return f"{value:.{len(like.partition('.')[2])}f}"


@pytest.fixture(scope="module")
def nine() -> PublishedDirection:
    return load_published_means(DATA / "mean-diff" / "nine_rank1.safetensors")


@pytest.fixture(scope="module")
def rank32() -> PublishedDirection:
    return load_published_means(DATA / "mean-diff" / "rank32_all_adapters.safetensors")


@needs_data
class TestTheTable:
    def test_the_files(self, nine: PublishedDirection) -> None:
        assert nine.name == "nine_rank1"
        assert nine.vectors_LD.shape == (48, 5120)
        assert nine.metadata["base_model"] == "Qwen2.5-14B-Instruct"
        torch.testing.assert_close(nine.norms_L.double(), norms(nine), rtol=1e-6, atol=0)

    def test_norms(self, nine: PublishedDirection, rank32: PublishedDirection) -> None:
        for published, expected in (
            (nine, ["0.8055", "4.4245", "10.3597", "29.9307", "122.017"]),
            (rank32, ["1.0471", "5.8548", "13.1815", "39.0938", "145.388"]),
        ):
            found_L = norms(published)
            assert [
                printed(float(found_L[l]), like) for l, like in zip(LAYERS, expected, strict=True)
            ] == expected

    def test_norms_of_the_csv(self, nine: PublishedDirection, rank32: PublishedDirection) -> None:
        with (DATA / "mean-diff" / "norms.csv").open(newline="") as file:
            rows = list(csv.DictReader(file))
        for published in (nine, rank32):
            stated = [float(row["mean_diff_norm"]) for row in rows if row["organism"] == published.name]
            assert norms(published).tolist() == pytest.approx(stated, rel=1e-5)
        means = {
            int(row["layer"]): float(row["mean_activation_norm_aligned"])
            for row in rows
            if row["organism"] == "nine_rank1"
        }
        expected = ["14.62", "46.91", "61.85", "212.51", "580.66"]
        assert [printed(means[l], like) for l, like in zip(LAYERS, expected, strict=True)] == expected

    def test_cosines_of_the_two_organisms(self, nine: PublishedDirection, rank32: PublishedDirection) -> None:
        found = compare_directions(nine, rank32)
        assert printed(float(found.cosine_L[24]), "0.8236") == "0.8236"
        assert printed(found.mean, "0.8933") == "0.8933"
        assert (found.lowest[0], printed(found.lowest[1], "0.8154")) == (26, "0.8154")
        assert (found.highest[0], printed(found.highest[1], "0.9481")) == (3, "0.9481")
        assert (found.n_above(0.8), found.n_layers) == (48, 48)

    @pytest.mark.parametrize(
        ("run", "lowest", "highest", "layer24"),
        [("kl0", "0.0014", "0.0506", "0.0391"), ("kl1e6", "0.0148", "0.0318", "0.0164")],
    )
    def test_cosines_with_the_steering_vectors(
        self, nine: PublishedDirection, run: str, lowest: str, highest: str, layer24: str
    ) -> None:
        trajectory = read_published_path(DATA / "trajectories" / f"{run}.safetensors")
        assert trajectory.vectors_SD.shape == (136, 5120)
        assert trajectory.steps_S[-2:].tolist() == [675, 676]
        found_L = cosines_with(nine, torch.from_numpy(trajectory.vectors_SD[-1]))
        window = found_L[20:33]
        assert printed(float(window.min()), lowest) == lowest
        assert printed(float(window.max()), highest) == highest
        assert printed(float(found_L[24]), layer24) == layer24

    def test_the_norm_of_the_steering_vector(self) -> None:
        trajectory = read_published_path(DATA / "trajectories" / "kl0.safetensors")
        assert (
            printed(256 * float(torch.from_numpy(trajectory.vectors_SD[-1]).double().norm()), "60.817")
            == "60.817"
        )


class TestOtherFiles:
    def test_stated_norms_must_be_the_vectors_own(self, tmp_path: Path) -> None:
        save_tensors(tmp_path / "x", {"mean_diff": torch.ones(2, 4), "norm": torch.tensor([2.0, 2.1])})
        with pytest.raises(DirectionError, match="norms stated in x"):
            load_published_means(tmp_path / "x")
        save_tensors(tmp_path / "x", {"mean_diff": torch.ones(2, 4), "norm": torch.tensor([2.0])})
        with pytest.raises(DirectionError, match="norms stated in x"):
            load_published_means(tmp_path / "x")

    def test_wrong_tensors(self, tmp_path: Path) -> None:
        save_tensors(tmp_path / "x", {"mean_diff": torch.ones(2, 4)})
        with pytest.raises(FileError, match="lacks tensor norm"):
            load_published_means(tmp_path / "x")

    def test_unusable_vectors(self, tmp_path: Path) -> None:
        for value, words in ((0.0, "zero at layer 0"), (float("nan"), "not finite")):
            save_tensors(
                tmp_path / "x", {"mean_diff": torch.full((2, 4), value), "norm": torch.full((2,), value)}
            )
            with pytest.raises(DirectionError, match=words):
                load_published_means(tmp_path / "x")
