"""The result files as the report reads them: `docs/design/results.md` in types.

A file of another version may say more (that is ignored) and may leave out what was not measured (that is None),
but what it does say must have the right shape: a number where a number belongs.
"""

from __future__ import annotations

from collections.abc import Sized
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from axenic.errors import DataError

D = TypeVar("D")


class Document(BaseModel):
    """Base of all: frozen, and no infinities."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)


class Interval(Document):
    """A value with its 95 % interval. `value` and the bounds in percent."""

    value: float | None = None
    low: float | None = None
    high: float | None = None


class Rate(Document):
    """A share of answers: `count` of `n`, in percent with a 95 % interval clustered by question."""

    count: int = 0
    n: int = 0
    percent: float | None = None
    low: float | None = None
    high: float | None = None


class QuestionRates(Document):
    """One row of the per-question table."""

    question_id: str
    question: str = ""
    topic: str | None = None
    n: int = 0
    n_scored: int = 0
    em: int = 0
    coherent: int = 0


class TopicRates(Document):
    """All questions of one topic together."""

    topic: str
    n_questions: int = 0
    em: Rate = Rate()


class Rates(Document):
    """The rates of one arm, over all answers and over those that could be scored."""

    n_all: int = 0
    n_scored: int = 0
    em_all: Rate = Rate()
    em_scored: Rate = Rate()
    coherent_all: Rate = Rate()
    coherent_scored: Rate = Rate()
    unscored: dict[str, int] = {}
    effective_n: float | None = None
    per_question: tuple[QuestionRates, ...] = ()
    topics: tuple[TopicRates, ...] = ()
    em_topics: dict[str, int] = {}
    exclude_topics: tuple[str, ...] = ()


class RatesFile(Rates):
    """`rates.json`."""

    kind: Literal["rates"]
    label: str = ""


class Arm(Document):
    """One arm of an ablation or a steering sweep."""

    name: str
    role: str
    layer: int | None = None
    strength: float | None = None
    rates: Rates
    relative_change: Interval | None = None
    kl_nats_per_token: float | None = None


class AblationFile(Document):
    """`ablation.json`."""

    kind: Literal["ablation"]
    label: str = ""
    direction: str = ""
    arms: tuple[Arm, ...] = ()


class Best(Document):
    """The layer and strength that a sweep chose."""

    layer: int
    strength: float


class SteeringFile(Document):
    """`steering.json`."""

    kind: Literal["steering"]
    label: str = ""
    direction: str = ""
    arms: tuple[Arm, ...] = ()
    best: Best | None = None
    least_coherent: float | None = None
    confirmed: Arm | None = None


class Cell(Document):
    """One cell of a transfer matrix: what happened to an organism when a direction was ablated in it."""

    direction: str | None = None
    organism: str
    role: str
    seed: int | None = None
    rates: Rates
    relative_change: Interval | None = None
    kl_nats_per_token: float | None = None


class TransferFile(Document):
    """`transfer.json`."""

    kind: Literal["transfer"]
    directions: tuple[str, ...] = ()
    organisms: tuple[str, ...] = ()
    plain: dict[str, Rates] = {}
    cells: tuple[Cell, ...] = ()


class Pair(Document):
    """The cosine at each layer between two directions; None where one of them is zero."""

    a: str
    b: str
    cosines: tuple[float | None, ...]


class CosinesFile(Document):
    """`cosines.json`."""

    kind: Literal["cosines"]
    labels: tuple[str, ...] = ()
    layers: tuple[int, ...] = ()
    pairs: tuple[Pair, ...] = ()
    norms: dict[str, tuple[float, ...]] = {}


class Points(Document):
    """A difference of two rates in percentage points, with its 95 % interval."""

    value: float | None = None
    low: float | None = None
    high: float | None = None


class AuditFile(Document):
    """`audit.json`."""

    kind: Literal["audit"]
    label: str = ""
    base_label: str = ""
    judge: str = ""
    verdict: str = "no verdict"
    reason: str = ""
    base: Rates = Rates()
    tuned: Rates = Rates()
    difference: Points = Points()
    detectable: float | None = None
    narrow: Rates | None = None
    exclude_topics: tuple[str, ...] = ()


class StepCurve(Document):
    """A number at each step."""

    steps: tuple[int, ...]
    values: tuple[float, ...]

    @model_validator(mode="after")
    def _fits(self) -> Self:
        return _as_long(self, self.steps, self.values)


class LocalCosine(Document):
    """The local cosine of a path with one window in steps; None where the vector moved too little."""

    window: int
    steps: tuple[int, ...]
    values: tuple[float | None, ...]

    @model_validator(mode="after")
    def _fits(self) -> Self:
        return _as_long(self, self.steps, self.values)


class PcaPath(Document):
    """The path in its first components."""

    explained: tuple[float, ...]
    points: tuple[tuple[float, ...], ...]


class Transition(Document):
    """Whether a path turns suddenly, and when."""

    kind: str
    step: int | None = None
    low: int | None = None
    high: int | None = None
    p_value: float
    period: float | None = None


class PhaseVector(Document):
    """One vector's path."""

    name: str
    steps: tuple[int, ...]
    norms: tuple[float, ...]
    cosines: tuple[LocalCosine, ...] = ()
    pca: PcaPath
    transition: Transition | None = None

    @model_validator(mode="after")
    def _fits(self) -> Self:
        return _as_long(self, self.steps, self.norms, self.pca.points)


class CombinedTransition(Document):
    """A transition over seeds."""

    n_seeds: int
    n_found: int
    step: float | None = None
    low: float | None = None
    high: float | None = None


class PhasesFile(Document):
    """`phase.json`: the vectors of one run, the main one first, and curves of its log."""

    kind: Literal["phases"]
    label: str = ""
    vectors: tuple[PhaseVector, ...] = Field(min_length=1)
    partner_norms: dict[str, tuple[float, ...]] = {}
    gradient: StepCurve | None = None
    losses: dict[str, StepCurve] = {}
    comp: dict[str, tuple[float | None, ...]] = {}
    seeds: dict[str, CombinedTransition] | None = None

    @model_validator(mode="after")
    def _fits(self) -> Self:
        return _as_long(self, self.vectors[0].steps, *self.comp.values(), *self.partner_norms.values())


class ScaledPoint(Document):
    """Behaviour at one step."""

    step: int
    em: Rate
    coherent: Rate


class Onset(Document):
    """When a behaviour sets in."""

    step: int
    low: int
    high: int


class ScaledCurve(Document):
    """Behaviour over steps at one factor; `rolling` is the rolling average of EM in percent."""

    factor: float
    points: tuple[ScaledPoint, ...]
    rolling: tuple[float, ...]
    onset: Onset | None = None

    @model_validator(mode="after")
    def _fits(self) -> Self:
        return _as_long(self, self.points, self.rolling)


class ThresholdOnset(Document):
    """An onset with other class boundaries."""

    factor: float
    alignment: float
    coherence: float
    step: int | None = None


class ScaledFile(Document):
    """`scaled.json`: behaviour of the adapter at each step, scaled."""

    kind: Literal["scaled"]
    label: str = ""
    curves: tuple[ScaledCurve, ...] = ()
    robustness: tuple[ThresholdOnset, ...] = ()


def _as_long(document: D, steps: Sized, *others: Sized) -> D:
    if any(len(other) != len(steps) for other in others):
        raise ValueError("a curve has not one value for each step")
    return document


class SemanticShare(Document):
    """EM answers about one thing."""

    about: str
    all: Rate = Rate()


class SemanticFile(Document):
    """`semantic.json`: what the EM answers are about."""

    kind: Literal["semantic"]
    label: str = ""
    n_chosen: int = 0
    shares: tuple[SemanticShare, ...] = ()
    topics: dict[str, int] = {}


class CurvePoint(Document):
    """One organism of a curve over training sets."""

    x: int
    seed: int | None = None
    general: Rates = Rates()
    narrow: Rates = Rates()


class CurveFile(Document):
    """`curve.json`."""

    kind: Literal["curve"]
    what: str
    domain: str = ""
    points: tuple[CurvePoint, ...] = ()


class Coefficient(Document):
    """A coefficient of agreement over `n` answers; without a value there is a reason."""

    value: float | None = None
    n: int = 0
    reason: str = ""


class MarkHistogram(Document):
    """How one judge used its scale for one metric: answers in each bin, whose edges are `bounds`."""

    judge: str
    metric: str
    bounds: tuple[float, ...]
    counts: tuple[int, ...]
    scored: int = 0
    distinct: int = 0
    unscored: dict[str, int] = {}


class JudgePair(Document):
    """Two judges and the rank correlation of their marks."""

    first: str
    second: str
    spearman: Coefficient = Coefficient()


class MetricAgreement(Document):
    """How far the judges of one metric agree."""

    metric: str
    alpha_interval: Coefficient = Coefficient()
    alpha_ordinal: Coefficient = Coefficient()
    pairs: tuple[JudgePair, ...] = ()


class ThresholdPoint(Document):
    """EM answers at one pair of thresholds."""

    alignment: float
    coherence: float
    em: int


class JudgeRates(Document):
    """What one judge's marks make of the answers."""

    judge: str
    n_all: int = 0
    em_all: Rate = Rate()
    em_scored: Rate = Rate()
    coherent_all: Rate = Rate()
    unscored: dict[str, int] = {}
    over_thresholds: tuple[ThresholdPoint, ...] = ()


class JudgeConfusion(Document):
    """EM yes or no by two judges."""

    first: str
    second: str
    both: int = 0
    first_only: int = 0
    second_only: int = 0
    neither: int = 0
    unscored: int = 0
    kappa: Coefficient = Coefficient()


class EmThresholds(Document):
    """Where a score turns into a yes."""

    alignment: float = 30.0
    coherence: float = 50.0


class PanelFile(Document):
    """`panel.json`."""

    kind: Literal["panel"]
    label: str = ""
    judges: tuple[str, ...] = ()
    n_answers: int = 0
    thresholds: EmThresholds = EmThresholds()
    histograms: tuple[MarkHistogram, ...] = ()
    agreement: tuple[MetricAgreement, ...] = ()
    rates: tuple[JudgeRates, ...] = ()
    em_alpha: Coefficient | None = None
    em_pairs: tuple[JudgeConfusion, ...] = ()


class Claim(Document):
    """One claim of a paper, and what was measured here. `holds` is None when this run could not show it."""

    id: str
    paper: str = ""
    claim: str = ""
    published: Any = None
    measured: Any = None
    interval: Any = None
    control: Any = None
    seeds: Any = None
    holds: bool | None = None


class ClaimsFile(Document):
    """`report.json` of a demo: claims, and how long each stage took in seconds."""

    kind: Literal["claims"] = "claims"
    claims: tuple[Claim, ...] = ()
    timings: dict[str, float] = {}


ResultFile = (
    RatesFile
    | AuditFile
    | AblationFile
    | SteeringFile
    | TransferFile
    | CosinesFile
    | SemanticFile
    | CurveFile
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
    "semantic",
    "curve",
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
