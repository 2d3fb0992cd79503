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
from axenic.report.documents.narrow import NarrowFile, NarrowPoint
from axenic.report.documents.panels import Coefficient, JudgeRates, MarkHistogram, PanelFile
from axenic.report.documents.phases import (
    CombinedTransition,
    PhasesFile,
    PhaseVector,
    ScaledFile,
    Transition,
)
from axenic.report.documents.tokens import TokenAnswer, TokensFile

__all__ = [
    "KINDS",
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
    "Interval",
    "JudgeRates",
    "MarkHistogram",
    "NarrowFile",
    "NarrowPoint",
    "PanelFile",
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
    "SemanticFile",
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
    | TokensFile
    | CorrectionFile
    | SemanticFile
    | CurveFile
    | NarrowFile
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
    "tokens",
    "self-correction",
    "semantic",
    "curve",
    "narrow",
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
