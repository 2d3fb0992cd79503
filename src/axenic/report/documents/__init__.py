"""The result files as the report reads them: `docs/design/results.md` in types.

A file of another version may say more (that is ignored) and may leave out what was not measured (that is None),
but what it does say must have the right shape: a number where a number belongs.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, TypeAdapter, ValidationError

from axenic.errors import DataError
from axenic.report.documents.adapters import (
    AdapterFact,
    AdaptersFile,
    ProbeTask,
    RoleArm,
    RolesFile,
)
from axenic.report.documents.arms import (
    AblationFile,
    Arm,
    AuditFile,
    Best,
    Cell,
    CosinesFile,
    RatesFile,
    SteeringFile,
    TransferFile,
)
from axenic.report.documents.base import Interval, Points, Rate, Rates
from axenic.report.documents.correction import CorrectionArm, CorrectionFile
from axenic.report.documents.downstream import DownstreamFile, EffectCurve
from axenic.report.documents.findings import Claim, ClaimsFile, CurveFile, SemanticFile
from axenic.report.documents.gradients import GradientsFile
from axenic.report.documents.groups import (
    GroupArm,
    GroupsFile,
    Patched,
    PatchingFile,
    SeedPoints,
    SeedRolesFile,
)
from axenic.report.documents.narrow import NarrowFile, NarrowPoint
from axenic.report.documents.panels import Coefficient, JudgeRates, MarkHistogram, PanelFile
from axenic.report.documents.paths import PathsFile, PathTrace
from axenic.report.documents.phases import (
    CombinedTransition,
    PhasesFile,
    PhaseVector,
    ScaledFile,
    Transition,
)
from axenic.report.documents.solutions import (
    EfficiencyCurve,
    EfficiencyFile,
    EqualNorm,
    KLCurve,
    KLPoint,
    Mean,
    NoiseCurve,
    NoiseFile,
    NoisePoint,
    SignificanceFile,
)
from axenic.report.documents.tokens import TokenAnswer, TokensFile

__all__ = [
    "AblationFile",
    "AdapterFact",
    "AdaptersFile",
    "Arm",
    "AuditFile",
    "Best",
    "Cell",
    "Claim",
    "ClaimsFile",
    "Coefficient",
    "CombinedTransition",
    "CorrectionArm",
    "CorrectionFile",
    "CosinesFile",
    "CurveFile",
    "DownstreamFile",
    "EffectCurve",
    "EfficiencyCurve",
    "EfficiencyFile",
    "EqualNorm",
    "GradientsFile",
    "GroupArm",
    "GroupsFile",
    "Interval",
    "JudgeRates",
    "KINDS",
    "KLCurve",
    "KLPoint",
    "MarkHistogram",
    "Mean",
    "NarrowFile",
    "NarrowPoint",
    "NoiseCurve",
    "NoiseFile",
    "NoisePoint",
    "PanelFile",
    "Patched",
    "PatchingFile",
    "PathTrace",
    "PathsFile",
    "PhaseVector",
    "PhasesFile",
    "Points",
    "ProbeTask",
    "Rate",
    "Rates",
    "RatesFile",
    "ResultFile",
    "RoleArm",
    "RolesFile",
    "ScaledFile",
    "SeedPoints",
    "SeedRolesFile",
    "SemanticFile",
    "SignificanceFile",
    "SteeringFile",
    "TokenAnswer",
    "TokensFile",
    "TransferFile",
    "Transition",
    "parse_result",
]

ResultFile = (
    RatesFile
    | AuditFile
    | AblationFile
    | SteeringFile
    | TransferFile
    | CosinesFile
    | DownstreamFile
    | RolesFile
    | AdaptersFile
    | GroupsFile
    | PatchingFile
    | SeedRolesFile
    | TokensFile
    | CorrectionFile
    | SemanticFile
    | CurveFile
    | NarrowFile
    | EfficiencyFile
    | NoiseFile
    | SignificanceFile
    | PathsFile
    | GradientsFile
    | PhasesFile
    | ScaledFile
    | PanelFile
    | ClaimsFile
)
KINDS = (
    "rates",
    "audit",
    "ablation",
    "steering",
    "transfer",
    "cosines",
    "downstream",
    "roles",
    "adapters",
    "groups",
    "patching",
    "roles_over_seeds",
    "tokens",
    "self-correction",
    "semantic",
    "curve",
    "narrow",
    "efficiency",
    "noise",
    "corpus_significance",
    "paths",
    "gradients",
    "phases",
    "scaled",
    "panel",
    "claims",
)

_ADAPTER: TypeAdapter[ResultFile] = TypeAdapter(Annotated[ResultFile, Field(discriminator="kind")])


def parse_result(content: Any, where: str) -> ResultFile:
    """A result of one of `KINDS` from the content of its JSON file.

    Raises:
        DataError: A key is missing or has a value of another type; says which key of which file.
    """
    try:
        return _ADAPTER.validate_python(content)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"][1:])
        raise DataError(
            f"a result file is not what it says it is: {first['msg'].lower()}",
            where=f"{where}, key {place}" if place else where,
            expected=f"a result of kind {content['kind']} (docs/design/results.md)",
            found=repr(first["input"])[:80],
        ) from error
