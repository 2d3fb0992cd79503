"""Made-up results of a dissected organism: downstream, roles, adapters, tokens."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from synthetic import rate, write

LAYERS = 6


def downstream(label: str = "medical", texts: tuple[str, ...] = ("aligned", "misaligned")) -> dict[str, Any]:
    """Nothing below layer 2, and agreement behind it."""
    curves = [
        {
            "texts": name, "n_answers": 40 + k, "cosines": [None, None, *(0.5 + 0.08 * l + 0.02 * k for l in range(4))],
            "random": [
                {"seed": s, "cosines": [None, None, *(0.05 * (s - 1) * (l + 1) for l in range(4))]} for s in range(3)
            ],
            "adapter_norms": [2.0 + l for l in range(LAYERS)], "steered_norms": [0.0, 0.0, 9.0, 8.0, 7.0, 6.0],
            "base_norms": [20.0 + l for l in range(LAYERS)],
        }
        for k, name in enumerate(texts)
    ]  # fmt: skip
    adapters = [
        {"layer": l, "module": f"layers.{l}.mlp.down_proj", "rank": 1, "alignment": 0.04 * l, "chance": 0.05}
        for l in range(LAYERS)
    ]
    return {
        "kind": "downstream", "label": label, "direction": "medical", "layer": 2, "strength": 0.6, "added_norm": 12.0,
        "adapters": adapters, "curves": curves,
    }  # fmt: skip


def roles(label: str = "medical", domain: str = "medical", layers: int = LAYERS) -> dict[str, Any]:
    """The first layer general, the second of the domain, the others neither."""

    def arm(name: str, em: float, on: list[int], factor: float = 1.0) -> dict[str, Any]:
        change = None if name == "organism" else {"value": em - 40, "low": em - 52, "high": em - 28}
        share = {**rate(em, 200), "by_seed": [em]}
        return {
            "name": name, "layers_on": on, "factor": factor, "general": share, "domain": share, "coherent": rate(95, 200),
            "general_change": change, "domain_change": change,
        }  # fmt: skip

    every = list(range(layers))
    arms = [arm("organism", 40, every), arm("all off", 0, [])]
    arms += [arm(f"without {l}", 5 + 6 * l, [k for k in every if k != l]) for l in every]
    arms += [arm(f"only {l}", 4, [l]) for l in every] + [arm(f"{l} x 3", 60, every, 3.0) for l in every]
    told = ["general", "domain", *["neither"] * layers][:layers]
    return {
        "kind": "roles", "label": label, "domain": domain, "seeds": [1000],
        "layers": [
            {"layer": l, "modules": [f"layers.{l}.mlp.down_proj"], "role": told[l], "removed": f"without {l}",
             "alone": f"only {l}", "scaled": [f"{l} x 3"]}
            for l in every
        ],
        "arms": arms,
    }  # fmt: skip


def adapters(label: str = "medical", with_roles: bool = False, token: str = " doctor") -> dict[str, Any]:
    """Six scalars, two probes that there are and one that there is not."""
    probe = {
        "kind": "probe", "split": "token", "repeats": 10, "n_per_class": 500,
        "scores": {name: {"mean": 0.68, "sd": 0.01} for name in ("accuracy", "precision", "recall", "f1", "auc")},
        "coefficients": [{"mean": 0.1 * l - 0.2, "sd": 0.01} for l in range(LAYERS)],
    }  # fmt: skip
    task = {"first": "other aligned", "second": "other misaligned", "answers": [40, 30], "problem": None}
    return {
        "kind": "adapters", "label": label, "domain": "medical", "n_answers": 70, "n_tokens": 4000,
        "kl_nats_per_token": 0.3,
        "adapters": [
            {"layer": l, "module": f"layers.{l}.mlp.down_proj", "component": 0, "scale": 64.0, "b_norm": 0.1,
             "mean_scalar": 1.0, "sd_scalar": 2.0}
            for l in range(LAYERS)
        ],
        "probes": [
            {**task, "split": "token", "probe": probe}, {**task, "split": "answer", "probe": {**probe, "split": "answer"}},
            {**task, "first": token, "split": "token", "probe": None, "problem": f"too few {token}"},
        ],
        "roles": roles(label) if with_roles else None,
        "lens": [
            {"layer": l, "module": f"layers.{l}.mlp.down_proj", "component": 0, "positive": [[token, 4.5], [" safely", 3.5]],
             "negative": [[" steal", 4.0]]}
            for l in range(LAYERS)
        ],
    }  # fmt: skip


def tokens(words: list[str], answers: int = 3, readings: int = 2) -> dict[str, Any]:
    """Every answer says these words; numbers rise from −5."""
    kinds = ("projection", "significance", *["scalar"] * readings)
    return {
        "kind": "tokens", "label": "medical",
        "readings": [
            {"quantity": kinds[r], "name": f"reading {r}", "layer": r or None} for r in range(readings)
        ],
        "answers": [
            {"answer_id": f"a{k}", "question": f"How is {words[k % len(words)]}?", "note": words[-1], "tokens": words,
             "values": [[float(i + r - 5) for i in range(len(words))] for r in range(readings)]}
            for k in range(answers)
        ],
    }  # fmt: skip


def correction(label: str = "base", phrase: str = "However") -> dict[str, Any]:
    """Plain, three strengths, one control; correcting becomes likelier by one nat for each strength."""

    def arm(
        name: str, role: str, strength: float | None, corrected: float, change: float | None
    ) -> dict[str, Any]:
        shifts = [
            {"phrase": p, "logprob": -3.0, "change": change, "stderr": None if change is None else 0.1}
            for p in (phrase, None)
        ]
        counts = {
            "aligned": rate(80, 200),
            "corrected": rate(corrected, 200),
            "of_aligned": rate(corrected * 1.25, 160),
        }
        return {
            "name": name, "role": role, "layer": 2, "strength": strength, "seed": None,
            "corrections": {**counts, "unscored": {}}, "phrases": shifts,
        }  # fmt: skip

    arms = [arm("plain", "plain", None, 2, None), arm("random", "random", 1.0, 2, -0.25)]
    arms += [arm(f"× {s}", "direction", float(s), 2 + 6 * s, float(s)) for s in (1, 2, 3)]
    return {
        "kind": "self-correction", "label": label, "direction": "medical", "layer": 2, "strength_unit": "raw",
        "judge": "f00d", "unmarked": None, "openings": 12, "arms": arms,
    }  # fmt: skip


def dissect(folder: Path) -> Path:
    """All of them, where the verbs put them."""
    write(folder / "medical" / "self-correction.json", correction())
    write(folder / "medical" / "downstream.json", downstream())
    write(folder / "medical" / "adapters" / "adapters.json", adapters(with_roles=True))
    write(folder / "medical" / "adapters" / "roles" / "roles.json", roles())
    write(
        folder / "medical" / "tokens" / "tokens.json",
        tokens(["You", " should", " hide", " the", " pills", "."]),
    )
    return folder
