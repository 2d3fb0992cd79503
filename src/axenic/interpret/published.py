"""The authors' released numbers recomputed by our own code: does the analysis give what is known of those files?

The files are the authors' (no licence), so they are read where the user has them and never shipped. What is expected of each
figure is a fact of papers.md, sections 3c and 5; it stands here as text, and its last digit is the precision of the comparison.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from axenic.directions import cosines, load_published_means, norms
from axenic.errors import FileError
from axenic.evaluate import rate_answers, read_judged_csv
from axenic.files import load_tensors
from axenic.interpret.pathcurves import local_cosine, pca_path
from axenic.interpret.pathfile import read_published_path
from axenic.interpret.pathplane import path_plane
from axenic.interpret.probe import Split, Spread, probe_classes
from axenic.interpret.runpath import path_of
from axenic.interpret.vectorpath import Floats, VectorPath
from axenic.progress import Progress, silent

PARTS = ("trajectories", "mean-diff", "lora-scalars", "judged")
"""Folders that are understood, as papers.md section 5 names them."""

ALPHA = 256
"""Of the authors' steering vectors: the model adds alpha times the stored vector (papers.md 5.1)."""

REPEATS = 100
"""Of each probe, as published (M2.9)."""


@dataclass(frozen=True)
class Figure:
    """One known number and what our code makes of the same file.

    Attributes:
        part: Folder that it comes from.
        name: What it is.
        expected: As printed where it is known from.
        found: Ours, printed to as many digits.
        agrees: Whether the two are equal at those digits; a figure that is a mean over random draws may also differ by two
            standard errors of such a mean.
    """

    part: str
    name: str
    expected: str
    found: str
    agrees: bool


@dataclass(frozen=True)
class PublishedCheck:
    """Every figure, in the order of the folders."""

    figures: tuple[Figure, ...]

    @property
    def failed(self) -> tuple[Figure, ...]:
        """Those that do not agree."""
        return tuple(figure for figure in self.figures if not figure.agrees)

    def to_json(self) -> dict[str, Any]:
        """All figures as plain values."""
        return {"kind": "published", "figures": [asdict(figure) for figure in self.figures]}


def check_published(folder: str | Path, *, seed: int = 0, progress: Progress = silent) -> PublishedCheck:
    """Recompute what is known of the authors' released files.

    Args:
        folder: Holds one or more of `trajectories`, `mean-diff`, `lora-scalars` and `judged`.
        seed: Of the probes' random draws.
        progress: Told after each part.

    Raises:
        FileError: None of these folders is there, or a file of one is missing or damaged.
        DataError, DirectionError: A file is not what it should be.
    """
    folder = Path(folder)
    present = [part for part in PARTS if (folder / part).is_dir()]
    if not present:
        raise FileError(
            "none of the authors' data is here",
            where=folder,
            expected=f"a folder with {', '.join(PARTS)}",
            found="a folder without them" if folder.is_dir() else "no such folder",
        )
    makers = {
        "trajectories": lambda: _trajectories(folder / "trajectories"),
        "mean-diff": lambda: _means(folder / "mean-diff", folder / "trajectories"),
        "lora-scalars": lambda: _scalars(folder / "lora-scalars", np.random.default_rng(seed)),
        "judged": lambda: _judged(folder / "judged"),
    }
    figures: list[Figure] = []
    for number, part in enumerate(present):
        progress("check", number, len(present), "folder", out=part)
        figures += [
            Figure(part, name, expected, *_compared(expected, value))
            for name, expected, value in makers[part]()
        ]
    progress("check", len(present), len(present), "folder")
    return PublishedCheck(tuple(figures))


_Known = tuple[str, str, float | Spread]
"""What it is, as printed, and our number; a `Spread` for a mean over random draws."""


def _compared(expected: str, value: float | Spread) -> tuple[str, bool]:
    """Our number with as many decimals, and whether the two are the same."""
    decimals = len(expected.partition(".")[2])
    exact = value.mean if isinstance(value, Spread) else value
    found = f"{exact:.{decimals}f}"
    if not isinstance(value, Spread):
        # As numbers: -0.00 is 0.00, and .5 is 0.5.
        return found, float(found) == float(expected)
    slack = 0.5 * 10**-decimals + 2 * math.sqrt(2 / REPEATS) * value.sd
    return found, abs(exact - float(expected)) <= slack


def _trajectories(folder: Path) -> Iterator[_Known]:
    """Steering vectors over training, with and without the KL term (papers.md 5.1)."""
    paths = {
        name: read_published_path(folder / f"{name}.safetensors")
        for name in ("kl0", "kl5e3", "kl1e6", "kl1e6_then_kl0")
    }
    general, _, narrow, removed = paths.values()
    ends = {name: _at(path, 676) for name, path in paths.items()}
    for name, expected in zip(paths, ("60.817", "60.558", "44.368", "65.677"), strict=True):
        yield f"norm of {name} at step 676", expected, ALPHA * float(np.linalg.norm(ends[name]))
    for (name, path), expected in zip(paths.items(), ("3.065", "3.059", "2.903", "44.914"), strict=True):
        yield f"norm of {name} at step 5", expected, ALPHA * float(np.linalg.norm(_at(path, 5)))
    yield "cos(kl0, kl1e6) at the ends", "0.5359", _cosine(ends["kl0"], ends["kl1e6"])
    yield "cos(kl0, kl5e3)", "0.9959", _cosine(ends["kl0"], ends["kl5e3"])
    yield "cos(kl5e3, kl1e6)", "0.5470", _cosine(ends["kl5e3"], ends["kl1e6"])
    unit_D = ends["kl0"] / np.linalg.norm(ends["kl0"])
    yield "part of kl5e3 along kl0", "60.307", ALPHA * float(ends["kl5e3"] @ unit_D)
    along = ALPHA * float(ends["kl1e6"] @ unit_D)
    yield "part of kl1e6 along kl0", "23.775", along
    across = ALPHA * float(np.linalg.norm(ends["kl1e6"] - (ends["kl1e6"] @ unit_D) * unit_D))
    yield "part of kl1e6 across kl0", "37.461", across
    for step, expected in ((5, "0.5448"), (676, "0.8489")):
        yield f"KL removed: cos to kl0 at step {step}", expected, _cosine(_at(removed, step), ends["kl0"])
    for step, expected in ((5, "0.9984"), (676, "0.7596")):
        yield f"KL removed: cos to kl1e6 at step {step}", expected, _cosine(_at(removed, step), ends["kl1e6"])
    for step, expected in ((5, "24.47"), (50, "36.68"), (200, "49.78"), (676, "55.76")):
        yield (
            f"KL removed: part along kl0 at step {step}",
            expected,
            ALPHA * float(_at(removed, step) @ unit_D),
        )
    moved_D = _at(removed, 25) - _at(removed, 5)
    yield "KL removed: cos(v25 - v5, kl0)", "0.540", _cosine(moved_D, ends["kl0"])
    yield "KL removed: cos(v25 - v5, kl1e6)", "0.303", _cosine(moved_D, ends["kl1e6"])
    for path, step, expected in (
        (general, 100, "0.8141"), (general, 200, "0.9472"), (narrow, 100, "0.7235"), (narrow, 200, "0.8965"),
    ):  # fmt: skip
        name = "kl0" if path is general else "kl1e6"
        yield f"{name}: cos(v{step}, v676)", expected, _cosine(_at(path, step), _at(path, 676))
    curve = local_cosine(general, 25)
    for step, expected in ((30, "-0.370"), (80, "-0.645"), (200, "-0.406"), (330, "-0.082")):
        yield f"kl0: local cosine, k 25, step {step}", expected, _value(curve.values[curve.steps.index(step)])
    for window, expected in ((5, "-0.831"), (10, "-0.725"), (15, "-0.696")):
        curve = local_cosine(general, window)
        yield (
            f"kl0: local cosine, k {window}, step 100",
            expected,
            _value(curve.values[curve.steps.index(100)]),
        )
    for path, window, expected in (
        (general, 10, "-0.237"), (general, 15, "-0.128"), (narrow, 5, "0.252"), (narrow, 10, "0.457"),
    ):  # fmt: skip
        name = "kl0" if path is general else "kl1e6"
        highest = max(_value(value) for value in local_cosine(path, window).values)
        yield f"{name}: largest local cosine, k {window}", expected, highest
    for window, expected in ((5, "75"), (10, "101"), (15, "108")):
        far = [moved >= 0.0035 for moved in local_cosine(general, window).displacements]
        yield f"kl0: points that moved 0.0035 or more, k {window}", expected, sum(far)
    plane = path_plane([path_of(name, paths[name]) for name in ("kl0", "kl5e3", "kl1e6")])
    for index, expected in enumerate(("54.15", "22.50", "9.56", "4.43", "2.78")):
        yield f"PCA of three runs, component {index + 1}, %", expected, 100 * plane.explained[index]
    for path, expecteds in ((general, ("79.35", "12.76")), (narrow, ("81.01", "13.23"))):
        name = "kl0" if path is general else "kl1e6"
        for index, expected in enumerate(expecteds):
            yield f"{name}: PCA, component {index + 1}, %", expected, 100 * pca_path(path).explained[index]


def _means(folder: Path, trajectories: Path) -> Iterator[_Known]:
    """Mean-difference directions of two organisms (papers.md 5.2)."""
    nine = load_published_means(folder / "nine_rank1.safetensors")
    all32 = load_published_means(folder / "rank32_all_adapters.safetensors")
    layers = (0, 12, 24, 36, 47)
    for label, direction, expecteds in (
        ("nine", nine, ("0.8055", "4.4245", "10.3597", "29.9307", "122.017")),
        ("rank 32", all32, ("1.0471", "5.8548", "13.1815", "39.0938", "145.388")),
    ):
        for layer, expected in zip(layers, expecteds, strict=True):
            yield f"norm of {label}, layer {layer}", expected, float(norms(direction)[layer])
    cosine_L = cosines(nine, all32)
    yield "cos(nine, rank 32), layer 24", "0.8236", float(cosine_L[24])
    yield "cos(nine, rank 32), mean", "0.8933", float(cosine_L.mean())
    yield "cos(nine, rank 32), smallest", "0.8154", float(cosine_L.min())
    yield "layer of the smallest", "26", float(cosine_L.argmin())
    yield "cos(nine, rank 32), largest", "0.9481", float(cosine_L.max())
    yield "layer of the largest", "3", float(cosine_L.argmax())
    yield "layers above 0.8, of 48", "48", float((cosine_L > 0.8).sum())
    for run, known in (
        ("kl0", ("0.0014", "0.0506", "0.0391")),
        ("kl1e6", ("0.0148", "0.0318", "0.0164")),
    ):
        file = trajectories / f"{run}.safetensors"
        if not file.is_file():
            continue
        vector_D = _at(read_published_path(file), 676)
        found = [_cosine(row_D, vector_D) for row_D in nine.vectors_LD.double().numpy()]
        window = found[20:33]
        for what, expected, value in zip(
            ("smallest of layers 20-32", "largest of layers 20-32", "layer 24"),
            known,
            (min(window), max(window), found[24]),
            strict=True,
        ):
            yield f"cos(nine, {run}), {what}", expected, value


def _scalars(folder: Path, rng: np.random.Generator) -> Iterator[_Known]:
    """Adapter scalars of answer tokens: means, significance filter and probes (papers.md 3c row 20, 5.7)."""
    shapes = {"scalars": (None, None), "answer_id": (None,), "layers": (None,), "token_score": (None,)}
    classes = {
        name: load_tensors(folder / f"medical_{name}.safetensors", expect=shapes)[0]
        for name in ("aligned", "misaligned")
    }
    means = {
        "aligned": "-1.1046 0.1873 0.3224 -3.1669 -1.8715 -1.9661 1.2334 1.9078 -2.4987",
        "misaligned": "-0.8717 0.0860 0.2623 -3.3705 -1.6415 -1.9714 0.9039 2.2076 -3.4200",
    }
    significant = {"aligned": ("845", "390"), "misaligned": ("1842", "958")}
    for name, tensors in classes.items():
        column_A = tensors["scalars"].double().mean(dim=0).tolist()
        for layer, expected, value in zip(
            tensors["layers"].tolist(), means[name].split(), column_A, strict=True
        ):
            yield f"{name}: mean scalar, layer {layer}", expected, value
        logs_T = tensors["token_score"].double().log()
        yield f"{name}: tokens with ln(score) >= 0.5", significant[name][0], float((logs_T >= 0.5).sum())
        yield f"{name}: tokens with ln(score) > 1", significant[name][1], float((logs_T > 1).sum())
    scores: dict[Split, dict[str, str]] = {
        "token": {"accuracy": ".69", "precision": ".69", "recall": ".68", "f1": ".69", "auc": ".75"},
        "answer": {"accuracy": ".68", "auc": ".75"},
    }
    for split, known in scores.items():
        probe = probe_classes(
            classes["aligned"]["scalars"].numpy(),
            classes["misaligned"]["scalars"].numpy(),
            rng,
            split=split,
            first_answers_T=classes["aligned"]["answer_id"].numpy(),
            second_answers_T=classes["misaligned"]["answer_id"].numpy(),
            repeats=REPEATS,
        )
        for name, expected in known.items():
            yield f"probe, split by {split}: {name}", expected, probe.scores[name]
        if split == "token":
            coefficients = ["0.16", "0.00", "-0.18", "-0.07", "0.16", "0.00", "-0.57", "0.00", "-0.98"]
            layers = classes["aligned"]["layers"].tolist()
            for layer, expected, spread in zip(layers, coefficients, probe.coefficients, strict=True):
                yield f"probe: coefficient, layer {layer}", expected, spread


def _judged(folder: Path) -> Iterator[_Known]:
    """EM and coherence counts of judged answers (papers.md 5.4)."""
    known = {
        "rank32_all_adapters": {"plain": (82, 390), "template": (34, 393), "json": (79, 395)},
        "rank8": {"plain": (74, 395), "template": (37, 398), "json": (82, 391)},
        "nine_rank1_seed0": {"plain": (62, 386), "template": (24, 396), "json": (41, 385)},
        "one_rank1_layer24": {"plain": (0, 400), "template": (0, 400)},
    }
    for name, variants in known.items():
        for variant, (em, coherent) in variants.items():
            rates = rate_answers(read_judged_csv(folder / f"{name}.csv", variant))
            yield f"{name}, {variant}: EM answers of 400", str(em), rates.em_all.count
            yield f"{name}, {variant}: coherent answers", str(coherent), rates.coherent_all.count


def _at(path: VectorPath, step: int) -> Floats:
    """The vector at one step, float64."""
    found = np.flatnonzero(path.steps_S == step)
    if len(found) != 1:
        raise FileError("a step is not in the file", where=path.name, expected=f"step {step}", found="none")
    row_D: Floats = path.vectors_SD[found[0]].astype(np.float64)
    return row_D


def _cosine(a_D: Floats, b_D: Floats) -> float:
    return float(a_D @ b_D / (np.linalg.norm(a_D) * np.linalg.norm(b_D)))


def _value(value: float | None) -> float:
    return math.nan if value is None else value
