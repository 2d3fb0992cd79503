"""Everything about an organism's adapters as one call: scalars, token significance, probes, roles, logit lens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from axenic.errors import DataError
from axenic.evaluate import Scored
from axenic.files import write_json
from axenic.interpret.armresult import plain_lists
from axenic.interpret.contrast import one_arm
from axenic.interpret.evaluation import Evaluation
from axenic.interpret.label import label_of
from axenic.interpret.lens import AdapterLens, adapter_lens
from axenic.interpret.probetasks import ProbeTask, probe_tasks
from axenic.interpret.roles import RolesResult, adapter_roles
from axenic.interpret.scalars import FILE as SCALARS
from axenic.interpret.scalars import AdapterScalars, collect_scalars
from axenic.interpret.significance import token_significance
from axenic.models import OpenModel
from axenic.progress import Progress, silent

FILE = "adapters.json"


@dataclass(frozen=True, eq=False)
class AdapterReport:
    """What `dissect_adapters` found.

    Attributes:
        label: The organism.
        domain: What it was trained on.
        scalars: At every answer token, with the tokens' significance where that was asked for.
        kl_nats_per_token: KL(base || organism) per answer token; None without significance.
        probes: The four tasks, by token and by answer.
        roles: None without an evaluation, or of an organism with adapters in one layer only.
        lens: What each B that writes into the residual stream promotes.
    """

    label: str
    domain: str
    scalars: AdapterScalars
    kl_nats_per_token: float | None
    probes: tuple[ProbeTask, ...]
    roles: RolesResult | None
    lens: tuple[AdapterLens, ...]

    def to_json(self) -> dict[str, Any]:
        """Everything but the scalars themselves, with `"kind": "adapters"`."""
        row: dict[str, Any] = plain_lists(
            {
                "kind": "adapters",
                "label": self.label,
                "domain": self.domain,
                "n_answers": len(self.scalars.answer_ids),
                "n_tokens": len(self.scalars.token_T),
                "kl_nats_per_token": self.kl_nats_per_token,
                "adapters": [
                    {"layer": layer, "module": module, "component": component, "scale": scale, "b_norm": norm,
                     "mean_scalar": mean, "sd_scalar": sd}
                    for layer, module, component, scale, norm, mean, sd in zip(
                        self.scalars.layers_C.tolist(), self.scalars.modules_C, self.scalars.component_C.tolist(),
                        self.scalars.scale_C.tolist(), self.scalars.b_norm_C.tolist(),
                        self.scalars.scalars_TC.double().mean(0).tolist(),
                        self.scalars.scalars_TC.double().std(0, correction=0).tolist(), strict=True,
                    )
                ],
                "probes": [task.to_json() for task in self.probes],
                "roles": None if self.roles is None else self.roles.to_json(),
                "lens": [vars(item) for item in self.lens],
            }
        )  # fmt: skip
        return row


def dissect_adapters(
    opened: OpenModel,
    scored: Sequence[Scored],
    domain: str,
    *,
    evaluation: Evaluation | None = None,
    factors: Sequence[float] = (),
    seeds: int = 1,
    significance: bool = True,
    least_log_score: float | None = None,
    repeats: int = 100,
    top: int = 10,
    seed: int = 0,
    label: str | None = None,
    out: str | Path | None = None,
    progress: Progress = silent,
) -> AdapterReport:
    """Read what the adapters read, probe it, say what each is for, and what each promotes.

    Args:
        opened: An organism with a LoRA adapter.
        scored: Its plain, judged answers.
        domain: What it was trained on; see `probe_tasks` and `adapter_roles`.
        evaluation: For the roles, with questions of the domain among others; None leaves the roles out.
        factors, seeds: See `adapter_roles`.
        significance: Measure the tokens' significance (a backward pass over all answers).
        least_log_score: See `probe_tasks`.
        repeats: Of each probe.
        top: Tokens of each side of each lens.
        seed: Of the probes.
        label: What the organism is called in the result; None: its folder's name.
        out: A folder for `scalars.safetensors`, `adapters.json`, and `roles/`; None writes nothing.
        progress: Told by every stage.

    Raises:
        DataError: Answers of several arms, or too few for anything.
        What the parts raise.
    """
    one_arm(scored)
    if not scored:
        raise DataError("there is no answer to read the adapters on")
    answers = [item.answer for item in scored]
    score_T, kl = None, None
    if significance:
        score_T, kl_N = token_significance(opened, answers, progress=progress)
        kl = float(kl_N.sum()) / len(score_T)
    scalars = collect_scalars(opened, answers, score_T=score_T, progress=progress)
    folder = None if out is None else Path(out)
    if folder is not None:
        scalars.save(folder / SCALARS)
    layers = {site.layer for site in opened.sites.lora_modules().values()}
    roles = None
    if evaluation is not None and len(layers) > 1:
        roles = adapter_roles(
            opened,
            evaluation,
            domain,
            factors=factors,
            seeds=seeds,
            label=label,
            out=None if folder is None else folder / "roles",
            progress=progress,
        )
    report = AdapterReport(
        label=label_of(opened) if label is None else label,
        domain=domain,
        scalars=scalars,
        kl_nats_per_token=kl,
        probes=tuple(
            probe_tasks(
                scalars,
                scored,
                domain,
                np.random.default_rng(seed),
                least_log_score=least_log_score,
                repeats=repeats,
            )
        ),
        roles=roles,
        lens=tuple(adapter_lens(opened, top=top)),
    )
    if folder is not None:
        write_json(folder / FILE, report.to_json())
    return report
