"""The sections of a report and the order in which they come."""

from __future__ import annotations

from axenic.report.collect import Findings
from axenic.report.dissection import (
    adapter_figures,
    all_roles,
    correction_figures,
    downstream_figures,
    token_figures,
)
from axenic.report.groups import group_figures, groups_left_out
from axenic.report.headline import audit_figures, headline_figures
from axenic.report.interventions import (
    ablation_figures,
    cosine_figures,
    steering_figures,
    transfer_figures,
)
from axenic.report.judgements import judge_figures, question_figures, semantic_figures
from axenic.report.learning import MOST_RUNS, curve_figures, phase_figures, phase_files, training_figures
from axenic.report.narrowplane import narrow_figures
from axenic.report.pathplane import gradient_figures, path_figures
from axenic.report.section import MOST_OF_A_KIND, Section, rest
from axenic.report.solutions import solution_figures, solutions_left_out


def sections(findings: Findings) -> list[Section]:
    """Every section that has something to show, in the order of the page."""
    made = [
        Section(
            "audit", "Is it emergently misaligned?", tuple(audit_figures(findings)), rest(findings.audits)
        ),
        Section("headline", "How misaligned, how coherent", tuple(headline_figures(findings))),
        Section("narrow", "Learnt, and spread?", tuple(narrow_figures(findings)), rest(findings.narrows)),
        Section(
            "solutions",
            "General and narrow solutions",
            tuple(solution_figures(findings)),
            solutions_left_out(findings),
        ),
        Section(
            "paths",
            "The way there, and back",
            (*path_figures(findings), *gradient_figures(findings)),
            (*rest(findings.paths), *rest(findings.gradients)),
        ),
        Section("judges", "The judges", tuple(judge_figures(findings)), rest(findings.panels)),
        Section(
            "ablation",
            "Switching it off",
            tuple(ablation_figures(findings)),
            tuple(list(findings.ablations)[2 * MOST_OF_A_KIND :]),
        ),
        Section(
            "transfer",
            "One direction, other organisms",
            tuple(transfer_figures(findings)),
            rest(findings.transfers),
        ),
        Section("steering", "Switching it on", tuple(steering_figures(findings)), rest(findings.steerings)),
        Section(
            "cosines", "Do the directions agree", tuple(cosine_figures(findings)), rest(findings.cosines)
        ),
        Section(
            "correction",
            "Said and taken back",
            tuple(correction_figures(findings)),
            rest(findings.corrections),
        ),
        Section(
            "downstream",
            "Two roads to the same place",
            tuple(downstream_figures(findings)),
            rest(findings.downstreams),
        ),
        Section(
            "adapters",
            "What each adapter is for",
            tuple(adapter_figures(findings)),
            (*rest(all_roles(findings)), *rest(findings.adapters)),
        ),
        Section("groups", "Adapters in groups", tuple(group_figures(findings)), groups_left_out(findings)),
        Section("tokens", "Token by token", tuple(token_figures(findings)), rest(findings.tokens)),
        Section(
            "phase",
            "When it turned",
            tuple(phase_figures(findings)),
            tuple(phase_files(findings))[MOST_OF_A_KIND:],
        ),
        Section("curves", "Other training sets", tuple(curve_figures(findings)), rest(findings.curves)),
        Section(
            "training", "Training", tuple(training_figures(findings)), tuple(list(findings.logs)[MOST_RUNS:])
        ),
        Section(
            "semantic",
            "What the misaligned answers are about",
            tuple(semantic_figures(findings)),
            rest(findings.semantics),
        ),
        Section("questions", "Question by question", tuple(question_figures(findings)), rest(findings.rates)),
    ]
    return [section for section in made if section.figures]
