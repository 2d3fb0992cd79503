"""Everything about an organism's adapters as one call: scalars, token significance, probes, roles, groups, patching, lens."""

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
from axenic.interpret.groups import (
    AGAINST_FACTOR,
    DOMAIN_FACTOR,
    GENERAL_FACTOR,
    AdapterGroup,
    GroupsResult,
    default_groups,
    steer_groups,
)
from axenic.interpret.label import label_of
from axenic.interpret.lens import AdapterLens, adapter_lens
from axenic.interpret.patching import pair_prompts, patch_adapters
from axenic.interpret.patchresult import PatchResult
from axenic.interpret.probetasks import ProbeTask, answer_class, probe_tasks
from axenic.interpret.roleresult import RolesResult
from axenic.interpret.roles import adapter_roles
from axenic.interpret.scalarfile import FILE as SCALARS
from axenic.interpret.scalarfile import read_scalars, write_scalars
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
        groups: Groups of adapters multiplied, the rest off; None where none was asked for, or no role was found.
        patching: The adapters' scalars of prompts put into others; None where it was not asked for.
    """

    label: str
    domain: str
    scalars: AdapterScalars
    kl_nats_per_token: float | None
    probes: tuple[ProbeTask, ...]
    roles: RolesResult | None
    lens: tuple[AdapterLens, ...]
    groups: GroupsResult | None = None
    patching: PatchResult | None = None

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
                "groups": None if self.groups is None else self.groups.to_json(),
                "patching": None if self.patching is None else self.patching.to_json(),
            }
        )  # fmt: skip
        return row


def dissect_adapters(
    opened: OpenModel,
    scored: Sequence[Scored],
    domain: str,
    *,
    evaluation: Evaluation | None = None,
    with_roles: bool = True,
    groups: Sequence[AdapterGroup] | None = (),
    group_factors: tuple[float, float, float] = (DOMAIN_FACTOR, GENERAL_FACTOR, AGAINST_FACTOR),
    pairs: int = 0,
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
        evaluation: For roles, groups and patching, with questions of the domain among others; None leaves these out.
        with_roles: Tell the roles, where the adapters are in two layers or more.
        groups: For `steer_groups`; None: `default_groups` of the roles found, with `group_factors` (domain, general, against).
        group_factors: See `groups`.
        pairs: Pairs of prompts for `patch_adapters`: all adapters, and those of each role found; 0: no patching.
        factors, seeds: See `adapter_roles`; groups and patching are asked with as many seeds.
        significance: Measure the tokens' significance (a backward pass over all answers).
        least_log_score: See `probe_tasks`.
        repeats: Of each probe.
        top: Tokens of each side of each lens.
        seed: Of the probes.
        label: What the organism is called in the result; None: its folder's name.
        out: A folder for `scalars.parquet`, `adapters.json`, `roles/`, `groups/` and `patching/`; None writes nothing.
        progress: Told by every stage.

    Raises:
        DataError: Answers of several arms, or too few for anything.
        What the parts raise.
    """
    one_arm(scored)
    if not scored:
        raise DataError("there is no answer to read the adapters on")
    # Prompts that cannot be paired are said now, not behind hours of work.
    prompts = pair_prompts(opened, evaluation.asked(()), domain, pairs) if evaluation and pairs else []
    answers = [item.answer for item in scored]
    score_T, kl = None, None
    if significance:
        score_T, kl_N = token_significance(opened, answers, progress=progress)
        kl = float(kl_N.sum()) / len(score_T)
    folder = None if out is None else Path(out)
    if folder is None:
        scalars = collect_scalars(opened, answers, score_T=score_T, progress=progress)
    else:
        class_of = {item.answer.id: answer_class(item, domain) for item in scored}
        write_scalars(
            folder / SCALARS, opened, answers, class_of=class_of, score_T=score_T, progress=progress
        )
        scalars = read_scalars(folder / SCALARS)
    layers = {site.layer for site in opened.sites.lora_modules().values()}
    roles, grouped, patched = None, None, None
    if evaluation is not None and with_roles and len(layers) > 1:
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
    if groups is None:
        domain_factor, general_factor, against = group_factors
        groups = [] if roles is None else default_groups(
            roles, domain_factor=domain_factor, general_factor=general_factor, against=against
        )  # fmt: skip
    if evaluation is not None and groups:
        grouped = steer_groups(
            opened,
            groups,
            evaluation,
            domain,
            seeds=seeds,
            label=label,
            out=None if folder is None else folder / "groups",
            progress=progress,
        )
    if evaluation is not None and prompts:
        patched = patch_adapters(
            opened,
            prompts,
            evaluation,
            domain,
            layer_sets=_layer_sets({layer for layer in layers if layer < opened.sites.n_layers}, roles),
            seeds=seeds,
            label=label,
            out=None if folder is None else folder / "patching",
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
        groups=grouped,
        patching=patched,
    )
    if folder is not None:
        write_json(folder / FILE, report.to_json())
    return report


def _layer_sets(layers: set[int], roles: RolesResult | None) -> dict[str, list[int]]:
    """All layers, and those of one role where that is a part of them."""
    sets = {"all": sorted(layers)}
    for role in ("general", "domain"):
        own = [] if roles is None else [item.layer for item in roles.layers if item.role == role]
        if own and set(own) < layers:
            sets[role] = own
    return sets
