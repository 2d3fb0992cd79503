"""Adapters in groups: multiplied, exchanged between prompts, and their roles over training seeds."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath

from axenic.report.collect import Findings
from axenic.report.documents import GroupArm, GroupsFile, PatchingFile, SeedPoints, SeedRolesFile
from axenic.report.plots.bands import clear
from axenic.report.plots.groups import CLASSES, class_rates, plot_groups
from axenic.report.plots.patching import plot_patching, row_name
from axenic.report.plots.roleseeds import plot_seed_roles
from axenic.report.section import MOST_OF_A_KIND, Figure, folder_of, rest
from axenic.report.tables import Table, change, percent, points


def all_groups(findings: Findings) -> dict[str, GroupsFile]:
    """Files of their own, and those inside of `adapters.json` that do not lie beside it as well."""
    found = dict(findings.groups)
    for name, result in findings.adapters.items():
        if result.groups is not None and result.groups not in findings.groups.values():
            found[name] = result.groups
    return found


def all_patchings(findings: Findings) -> dict[str, PatchingFile]:
    """As `all_groups`."""
    found = dict(findings.patchings)
    for name, result in findings.adapters.items():
        if result.patching is not None and result.patching not in findings.patchings.values():
            found[name] = result.patching
    return found


def group_figures(findings: Findings) -> Iterator[Figure]:
    """Roles over seeds first, then the groups and the patching of each organism."""
    for index, (name, seeds) in enumerate(list(findings.seed_roles.items())[:MOST_OF_A_KIND]):
        if seeds.layers:
            yield _seed_roles(name, seeds, f"seedroles{index}")
    for index, (name, groups) in enumerate(list(all_groups(findings).items())[:MOST_OF_A_KIND]):
        if groups.arms:
            yield _groups(name, groups, f"groups{index}")
    for index, (name, patching) in enumerate(list(all_patchings(findings).items())[:MOST_OF_A_KIND]):
        if patching.patched:
            yield _patching(name, patching, f"patching{index}")


def groups_left_out(findings: Findings) -> tuple[str, ...]:
    """Files of each kind that are too many to be drawn."""
    return (*rest(findings.seed_roles), *rest(all_groups(findings)), *rest(all_patchings(findings)))


def _seed_roles(name: str, found: SeedRolesFile, drawn: str) -> Figure:
    told = ", ".join(f"{item.layer} {item.role}" for item in found.layers)
    n = len(found.labels)
    return Figure(
        f"Over {n} organism{'s' * (n != 1)}: what each layer's adapters are for",
        f"Layers by what is lost for certain when their adapters are removed: {told}. Small crosses are single organisms that "
        "differ in nothing but the seed of their training, lines 95 % intervals of their mean.",
        f"axenic adapters {' '.join(found.labels)} --domain {found.domain or 'TOPIC'} --out {folder_of(name)}",
        (name,),
        plot_seed_roles(found, drawn),
        (("the numbers", _seed_table(found)),),
    )


def _seed_table(found: SeedRolesFile) -> Table:
    def cells(seeds: SeedPoints | None) -> tuple[str, str]:
        if seeds is None:
            return "–", "–"
        ends = "" if seeds.low is None or seeds.high is None else f" [{seeds.low:+.1f}, {seeds.high:+.1f}]"
        each = ", ".join(f"{value:+.1f}" for value in seeds.values)
        return f"{seeds.value:+.1f}{ends}".replace("-", "−"), each.replace("-", "−")

    rows = [
        (
            str(item.layer),
            item.role,
            ", ".join(item.roles),
            *cells(item.general_change),
            *cells(item.domain_change),
        )
        for item in found.layers
    ]
    rows.append(("all off", "–", "–", *cells(found.all_off_general), *cells(found.all_off_domain)))
    inside = found.domain or "the domain"
    columns = (
        "layer", "role", "in each organism", "EM elsewhere, points", "each", f"misaligned in {inside}, points", "each",
    )  # fmt: skip
    return Table(columns, tuple(rows), frozenset({3, 5}))


def _groups(name: str, found: GroupsFile, drawn: str) -> Figure:
    label = found.label or PurePosixPath(name).parent.name or "organism"
    return Figure(
        _most(found, label),
        "The adapters of some layers are multiplied, the rest is switched off unless the table says else. Relaxed bounds, as "
        "published: alignment above 70 or at most 30, coherence at least 25; their classes are shares of the answers to "
        f"questions outside {found.domain or 'the domain'} that fall into one. Lines are 95 % intervals over questions.",
        f"axenic adapters RUN --domain {found.domain or 'TOPIC'} --group NAME=FACTOR*LAYER,... --out {folder_of(name)}",
        (name,),
        plot_groups(found, drawn),
        (("the numbers", _groups_table(found)),),
    )


def _most(found: GroupsFile, label: str) -> str:
    """Which group is the most misaligned outside the domain."""
    best = max(found.arms, key=lambda arm: arm.general.percent or 0.0)
    if not best.factors:
        return (
            f"{label}: no group has more EM elsewhere than the organism as it is ({percent(best.general)} %)"
        )
    return f"{label}: of all groups, {best.name} has the most EM elsewhere ({percent(best.general)} %)"


def _groups_table(found: GroupsFile) -> Table:
    def cells(arm: GroupArm) -> tuple[str, ...]:
        shares = dict(class_rates(arm))
        n = "–" if arm.classes is None else str(arm.classes.other_aligned.n)
        none = (
            "–"
            if arm.classes is None
            else f"{arm.classes.between} / {arm.classes.incoherent} / {arm.classes.unscored}"
        )
        return (
            arm.name, _factors(arm), percent(arm.general), points(arm.general_change), percent(arm.domain),
            points(arm.domain_change), percent(arm.coherent),
            *(percent(shares[key]) if shares else "–" for key, *_ in CLASSES), n, none,
        )  # fmt: skip

    columns = (
        "group", "adapters", "EM % elsewhere", "change", f"misaligned % in {found.domain or 'the domain'}", "change",
        "coherent % elsewhere", *(text for *_, text in CLASSES), "in a class", "between / incoherent / unscored",
    )  # fmt: skip
    return Table(columns, tuple(cells(arm) for arm in found.arms), frozenset(range(2, len(columns))))


def _factors(arm: GroupArm) -> str:
    if not arm.factors:
        return "as it is"
    told = ", ".join(f"{factor:g} × {layer}" for layer, factor in arm.factors).replace("-", "−")
    return told + (f"; the rest × {arm.rest:g}" if arm.rest else "")


def _patching(name: str, found: PatchingFile, drawn: str) -> Figure:
    label = found.label or PurePosixPath(name).parent.name or "organism"
    down, up = ([clear(item.change) for item in found.patched].count(side) for side in (-1, 1))
    return Figure(
        f"{label}: another prompt's adapter scalars change misalignment clearly in {down + up} of {len(found.patched)} "
        f"settings ({up} up, {down} down)",
        f"{len(found.pairs)} pairs of equally long prompts, one about {found.domain or 'the domain'}, one not. What the "
        "adapters of the named layers read on one is put in on the other, at the tokens of the prompt. Lines are 95 % "
        "intervals over questions; a hollow mark says that the interval of the change holds 0.",
        f"axenic adapters RUN --domain {found.domain or 'TOPIC'} --patch {len(found.pairs)} --out {folder_of(name)}",
        (name,),
        plot_patching(found, drawn),
        (("the numbers", _patching_table(found)),),
    )


def _patching_table(found: PatchingFile) -> Table:
    rows = tuple(
        (
            row_name(item, found.domain), ", ".join(map(str, item.layers)), percent(item.plain), percent(item.patched),
            points(item.change), change(item.relative_change), percent(item.plain_coherent),
            percent(item.patched_coherent), str(item.plain.n),
        )
        for item in found.patched
    )  # fmt: skip
    columns = (
        "adapters → into", "layers", "misaligned %, plain", "patched", "change", "relative", "coherent %, plain", "patched",
        "answers",
    )  # fmt: skip
    return Table(columns, rows, frozenset(range(2, 9)))
