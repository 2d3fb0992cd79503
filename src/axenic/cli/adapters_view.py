"""Tables of what the adapters of an organism read, are for, and say."""

from __future__ import annotations

from typing import TYPE_CHECKING

from axenic.cli.outcome import Grid

if TYPE_CHECKING:
    from axenic.interpret.adapters import AdapterReport
    from axenic.interpret.groups import GroupsResult
    from axenic.interpret.patchresult import PatchResult
    from axenic.interpret.relaxed import RelaxedShares
    from axenic.interpret.roleresult import Points, RolesResult, Share
    from axenic.interpret.roleseeds import RolesOverSeeds, SeedPoints


def adapter_grids(report: AdapterReport) -> tuple[Grid, ...]:
    """Probes, roles and lens, as far as they were measured."""
    rows: list[tuple[str, ...]] = []
    for task in report.probes:
        name = f"{task.first} against {task.second}"
        if task.probe is None:
            rows.append(
                (name, task.split, "too few", f"{task.answers[0]} and {task.answers[1]} answers", "–")
            )
            continue
        scores = [
            f"{task.probe.scores[what].mean:.3f} ± {task.probe.scores[what].sd:.3f}"
            for what in ("accuracy", "auc")
        ]
        rows.append((name, task.split, *scores, str(task.probe.n_per_class)))
    grids = [
        Grid(
            ("probe", "split by", "accuracy", "AUC", "tokens a class"),
            rows,
            frozenset({2, 3, 4}),
            "what the scalars know",
        )
    ]
    if report.roles is not None:
        grids += role_grids(report.roles, report.domain)
    if report.groups is not None:
        grids.append(group_grid(report.groups))
    if report.patching is not None:
        grids.append(patch_grid(report.patching))
    lens = [
        (
            str(item.layer),
            item.module.rsplit(".", 1)[-1],
            str(item.component),
            _words(item.positive),
            _words(item.negative),
        )
        for item in report.lens
    ]
    columns = ("layer", "module", "component", "A h > 0 promotes", "A h < 0 promotes")
    return (*grids, Grid(columns, lens, frozenset({0, 2}), "logit lens of each B"))


def role_grids(roles: RolesResult, domain: str) -> list[Grid]:
    """The settings, and what each layer is for."""
    arms = [
        (
            arm.name, _share(arm.general), _points(arm.general_change), _share(arm.domain), _points(arm.domain_change),
            _share(arm.coherent),
        )
        for arm in roles.arms
    ]  # fmt: skip
    columns = ("adapters", f"EM outside {domain}", "change", f"misaligned in {domain}", "change", "coherent")
    told = [
        (str(item.layer), item.role, ", ".join(name.split(".", 3)[-1] for name in item.modules))
        for item in roles.layers
    ]
    return [
        Grid(
            columns,
            arms,
            frozenset(range(1, 6)),
            "adapters removed, alone and scaled (percent of all answers)",
        ),
        Grid(
            ("layer", "role", "modules"),
            told,
            frozenset({0}),
            "what removing a layer's adapters takes away for certain",
        ),
    ]


def group_grid(found: GroupsResult) -> Grid:
    """Groups of adapters, by the usual bounds and by the relaxed ones."""
    inside = found.domain
    rows = [
        (
            arm.name,
            ", ".join(f"{factor:g} x {layer}" for layer, factor in arm.factors) or "as it is",
            _share(arm.general),
            _share(arm.coherent),
            *_classes(arm.classes),
        )
        for arm in found.arms
    ]
    columns = (
        "group", "adapters", f"EM outside {inside}", "coherent", "misaligned, other", f"misaligned, {inside}", "aligned, other",
        f"aligned, {inside}", "in a class",
    )  # fmt: skip
    title = (
        f"groups of adapters on questions outside {inside} (percent of all answers; then by the relaxed bounds, percent of "
        "those in a class)"
    )
    return Grid(columns, rows, frozenset(range(2, 9)), title)


def patch_grid(found: PatchResult) -> Grid:
    """Both directions of each set of layers."""
    rows = [
        (
            item.name,
            f"{found.domain if item.into == 'domain' else 'other'} prompts",
            _share(item.plain),
            _share(item.patched),
            _points(item.change),
            "–" if item.relative_change is None else f"{item.relative_change.value:+.0f} %",
            _share(item.patched_coherent),
        )
        for item in found.patched
    ]
    columns = ("adapters", "put into", "misaligned, plain", "patched", "change", "relative", "coherent")
    title = (
        f"adapter scalars of one prompt put into the other, {len(found.pairs)} pairs (percent of all answers)"
    )
    return Grid(columns, rows, frozenset(range(2, 7)), title)


def seeds_grid(found: RolesOverSeeds) -> Grid:
    """Roles of layers over organisms."""
    rows: list[tuple[str, ...]] = [
        (
            str(item.layer),
            item.role,
            ", ".join(item.roles),
            _over(item.general_change),
            _over(item.domain_change),
        )
        for item in found.layers
    ]
    rows.append(("all", "–", "–", _over(found.all_off_general), _over(found.all_off_domain)))
    columns = (
        "layer",
        "role",
        "of each organism",
        f"EM outside {found.domain} without it",
        f"in {found.domain}",
    )
    title = f"roles over {len(found.labels)} organisms: mean change in points, 95 % interval over organisms"
    return Grid(columns, rows, frozenset({0, 3, 4}), title)


def _classes(classes: RelaxedShares | None) -> tuple[str, ...]:
    if classes is None:
        return ("–",) * 5
    shares = (
        classes.other_misaligned, classes.domain_misaligned, classes.other_aligned, classes.domain_aligned,
    )  # fmt: skip
    return (*(f"{share.percent:.1f}" for share in shares), str(classes.other_aligned.n))


def _over(change: SeedPoints) -> str:
    return f"{change.value:+.1f} [{change.low:+.1f}, {change.high:+.1f}]"


def _share(share: Share) -> str:
    return f"{share.percent:.1f} [{share.low:.1f}, {share.high:.1f}]"


def _points(points: Points | None) -> str:
    return "–" if points is None else f"{points.value:+.1f} [{points.low:+.1f}, {points.high:+.1f}]"


def _words(pairs: tuple[tuple[str, float], ...]) -> str:
    return " ".join(text.strip() or repr(text) for text, _ in pairs)
