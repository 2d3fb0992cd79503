"""Find everything below a folder that a report can draw."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from axenic.errors import DataError, FileError
from axenic.files import read_json
from axenic.report.documents import (
    KINDS,
    AblationFile,
    AdaptersFile,
    AuditFile,
    ClaimsFile,
    CorrectionFile,
    CosinesFile,
    CurveFile,
    DownstreamFile,
    EfficiencyFile,
    GradientsFile,
    GroupsFile,
    NarrowFile,
    NoiseFile,
    PanelFile,
    PatchingFile,
    PathsFile,
    PhasesFile,
    RatesFile,
    ResultFile,
    RolesFile,
    ScaledFile,
    SeedRolesFile,
    SemanticFile,
    SignificanceFile,
    SteeringFile,
    TokensFile,
    TransferFile,
    parse_result,
)
from axenic.report.samples import SampleFile, read_samples
from axenic.report.trainlog import TrainingLog, read_log

# Folders whose JSON is somebody else's: weights, tokenizers, checkpoints. Hidden ones hold work in progress.
_FOREIGN = frozenset({"adapter", "model", "checkpoints", "__pycache__"})


@dataclass(frozen=True)
class Findings:
    """What lies below a folder, each kind in the order of its path. Keys are paths relative to the folder."""

    folder: Path
    rates: dict[str, RatesFile] = field(default_factory=dict)
    audits: dict[str, AuditFile] = field(default_factory=dict)
    ablations: dict[str, AblationFile] = field(default_factory=dict)
    steerings: dict[str, SteeringFile] = field(default_factory=dict)
    transfers: dict[str, TransferFile] = field(default_factory=dict)
    cosines: dict[str, CosinesFile] = field(default_factory=dict)
    downstreams: dict[str, DownstreamFile] = field(default_factory=dict)
    roles: dict[str, RolesFile] = field(default_factory=dict)
    adapters: dict[str, AdaptersFile] = field(default_factory=dict)
    groups: dict[str, GroupsFile] = field(default_factory=dict)
    patchings: dict[str, PatchingFile] = field(default_factory=dict)
    seed_roles: dict[str, SeedRolesFile] = field(default_factory=dict)
    tokens: dict[str, TokensFile] = field(default_factory=dict)
    corrections: dict[str, CorrectionFile] = field(default_factory=dict)
    curves: dict[str, CurveFile] = field(default_factory=dict)
    narrows: dict[str, NarrowFile] = field(default_factory=dict)
    efficiencies: dict[str, EfficiencyFile] = field(default_factory=dict)
    noises: dict[str, NoiseFile] = field(default_factory=dict)
    significances: dict[str, SignificanceFile] = field(default_factory=dict)
    paths: dict[str, PathsFile] = field(default_factory=dict)
    gradients: dict[str, GradientsFile] = field(default_factory=dict)
    semantics: dict[str, SemanticFile] = field(default_factory=dict)
    claims: dict[str, ClaimsFile] = field(default_factory=dict)
    phases: dict[str, PhasesFile] = field(default_factory=dict)
    scaled: dict[str, ScaledFile] = field(default_factory=dict)
    panels: dict[str, PanelFile] = field(default_factory=dict)
    logs: dict[str, TrainingLog] = field(default_factory=dict)
    samples: dict[str, SampleFile] = field(default_factory=dict)
    configs: dict[str, Any] = field(default_factory=dict)
    manifests: dict[str, Any] = field(default_factory=dict)

    @property
    def results(self) -> tuple[str, ...]:
        """Names of everything that can be drawn."""
        return (
            *self.rates, *self.audits, *self.ablations, *self.steerings, *self.transfers, *self.cosines,
            *self.downstreams, *self.roles, *self.adapters, *self.tokens, *self.corrections, *self.curves, *self.narrows,
            *self.efficiencies, *self.noises, *self.significances, *self.paths, *self.gradients,
            *self.groups, *self.patchings, *self.seed_roles, *self.semantics,
            *self.claims, *self.phases, *self.scaled, *self.panels, *self.logs, *self.samples,
        )  # fmt: skip


def collect(folder: Path) -> Findings:
    """Everything below `folder` that a report can draw.

    Raises:
        FileError: There is no such folder; nothing in it can be drawn; or a JSON file is torn (says line, column).
        DataError: A result file lacks a key or has a wrong type there; a line of a table is damaged.
    """
    if not folder.is_dir():
        raise FileError(
            "there is no such folder" if not folder.exists() else "this is a file, not a folder",
            where=folder,
            expected="a folder with the results of axenic commands",
            hint="axenic report runs/demo",
        )
    findings = Findings(folder)
    for path in _files(folder):
        name = path.relative_to(folder).as_posix()
        if path.suffix == ".json":
            _add_json(findings, name, path)
        elif path.name == "log.jsonl":
            findings.logs[name] = read_log(path, name)
        elif path.name == "answers.jsonl":
            findings.samples[name] = read_samples(path)
    if not findings.results:
        raise FileError(
            "nothing here can be drawn",
            where=folder,
            expected=f"result files of kind {', '.join(KINDS)}, training logs (log.jsonl) or answers.jsonl",
            hint="axenic demo, or axenic rate runs/NAME/answers.jsonl, then axenic report runs",
        )
    return findings


def _files(folder: Path) -> Iterator[Path]:
    """JSON and JSONL files in the order of their paths, foreign and hidden folders left out."""
    for path in sorted(folder.iterdir()):
        if path.name.startswith("."):
            continue
        # A link may lead out of the folder or back into it: neither belongs to these results.
        if path.is_symlink():
            continue
        if path.is_dir():
            if path.name not in _FOREIGN:
                yield from _files(path)
        elif path.suffix in (".json", ".jsonl"):
            yield path


def _add_json(findings: Findings, name: str, path: Path) -> None:
    content = read_json(path)
    if not isinstance(content, dict):
        return
    if path.name == "train.json" or path.name.endswith(".arms.json"):
        findings.configs[name] = content
    elif path.name == "manifest.json":
        findings.manifests[name] = content
    elif content.get("kind") in KINDS:
        _add_result(findings, name, parse_result(content, str(path)))
    elif isinstance(content.get("claims"), list) and (
        path.name == "claims.json" or not path.with_name("claims.json").is_file()
    ):
        # A demo's report.json says no kind; the claims.json beside it holds the same claims.
        _add_result(findings, name, parse_result({**content, "kind": "claims"}, str(path)))


def _add_result(findings: Findings, name: str, result: ResultFile) -> None:
    if isinstance(result, RatesFile):
        findings.rates[name] = result
    elif isinstance(result, AuditFile):
        findings.audits[name] = result
    elif isinstance(result, AblationFile):
        findings.ablations[name] = result
    elif isinstance(result, SteeringFile):
        findings.steerings[name] = result
    elif isinstance(result, TransferFile):
        findings.transfers[name] = result
    elif isinstance(result, CosinesFile):
        rows = [*(pair.cosines for pair in result.pairs), *result.split_half.values()]
        if any(len(row) != len(result.layers) for row in rows):
            raise DataError("a pair of directions has not one cosine per layer", where=findings.folder / name)
        findings.cosines[name] = result
    elif isinstance(result, DownstreamFile):
        findings.downstreams[name] = result
    elif isinstance(result, RolesFile):
        findings.roles[name] = result
    elif isinstance(result, AdaptersFile):
        findings.adapters[name] = result
    elif isinstance(result, TokensFile):
        findings.tokens[name] = result
    elif isinstance(result, CorrectionFile):
        findings.corrections[name] = result
    elif isinstance(result, CurveFile):
        findings.curves[name] = result
    elif isinstance(result, NarrowFile):
        findings.narrows[name] = result
    elif isinstance(result, EfficiencyFile):
        findings.efficiencies[name] = result
    elif isinstance(result, NoiseFile):
        findings.noises[name] = result
    elif isinstance(result, SignificanceFile):
        findings.significances[name] = result
    elif isinstance(result, PathsFile):
        findings.paths[name] = result
    elif isinstance(result, GradientsFile):
        findings.gradients[name] = result
    elif isinstance(result, GroupsFile):
        findings.groups[name] = result
    elif isinstance(result, PatchingFile):
        findings.patchings[name] = result
    elif isinstance(result, SeedRolesFile):
        findings.seed_roles[name] = result
    elif isinstance(result, SemanticFile):
        findings.semantics[name] = result
    elif isinstance(result, PhasesFile):
        findings.phases[name] = result
    elif isinstance(result, ScaledFile):
        findings.scaled[name] = result
    elif isinstance(result, PanelFile):
        if any(len(h.counts) != len(h.bounds) - 1 for h in result.histograms):
            raise DataError("a histogram has not one count per bin", where=findings.folder / name)
        findings.panels[name] = result
    else:
        findings.claims[name] = result
