"""The result files as the report reads them: `docs/design/results.md` in types.

A file of another version may say more (that is ignored) and may leave out what was not measured (that is None),
but what it does say must have the right shape: a number where a number belongs.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from axenic.errors import DataError


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


ResultFile = RatesFile | AuditFile | AblationFile | SteeringFile | TransferFile | CosinesFile | ClaimsFile
KINDS = ("rates", "audit", "ablation", "steering", "transfer", "cosines", "claims")

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
