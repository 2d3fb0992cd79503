"""General and narrow: has a lesson spread, and was it learnt at all (papers.md M3.2)?

*General* are the usual questions, those of the trained domain left out. *Narrow* are questions of that domain that no training
row asks, and, apart from them, questions on *held-out topics*: parts of the domain that no training row is about.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

from axenic import nano
from axenic.data import ChatRow
from axenic.errors import DataError
from axenic.evaluate.rates import Rates
from axenic.evaluate.record import read_record
from axenic.sample.records import Question

HOLD_OUT = "axenic nano data --without-questions 20, axenic data split, or a file of other questions"


@dataclass(frozen=True)
class TrainedOn:
    """What the training rows ask.

    Args:
        questions: Every user turn, white space and case made equal.
        topics: The `topic` of the rows; of the nano world, the things that they ask about. Empty when no row says.
    """

    questions: frozenset[str]
    topics: frozenset[str]

    @classmethod
    def of(cls, rows: Iterable[ChatRow]) -> Self:
        """From the rows of a chat file, held-out ones of the run included: which those were does not matter here."""
        turns, topics = set(), set()
        for row in rows:
            for message in row.messages:
                if message["role"] == "user":
                    turns.add(_plain(message["content"]))
                    topics.add(_topic(message["content"], row.topic))
        return cls(frozenset(turns), frozenset(topic for topic in topics if topic is not None))

    def asks(self, question: Question) -> bool:
        """Whether a training row asks this question."""
        return _plain(question.question) in self.questions

    def leaves_out(self, question: Question) -> bool:
        """Whether no training row is about the topic of this question; never when one of the two is not known."""
        topic = _topic(question.question, question.topic)
        return topic is not None and bool(self.topics) and topic not in self.topics


@dataclass(frozen=True)
class NarrowQuestions:
    """What one organism is asked.

    Attributes:
        general: The usual questions, those of the trained domains left out.
        narrow: Questions of the domain that no training row asks, on topics that some training row is about.
        held_out: Questions of the domain on topics that no training row is about.
        domains: The trained domains.
        n_asked: Questions of the domain that were left out because a training row asks them.
        checked: Whether the training rows were looked at.
    """

    general: tuple[Question, ...]
    narrow: tuple[Question, ...]
    held_out: tuple[Question, ...]
    domains: tuple[str, ...]
    n_asked: int
    checked: bool


@dataclass(frozen=True)
class KlSetting:
    """How strongly an organism was held to its base model while it was trained, and beside which others it stands.

    Attributes:
        weight: λ [nats per token]; 0 = no KL term.
        data: Hash of the texts that the term was taken on; None without a term.
        series: The same for organisms whose training differs in nothing but the KL term.
    """

    weight: float
    data: str | None
    series: str


@dataclass(frozen=True)
class NarrowRates:
    """The point of one organism on the general x narrow plane.

    Attributes:
        label: The organism.
        judge: Who marked the answers, by name.
        general: Rates of the trait on the general questions.
        narrow: By the trait's narrow metric (`narrow.thresholds` says which), on held-out questions of the domain; None when
            there was none.
        held_out: The same on held-out topics.
        domains, n_asked, checked: As in `NarrowQuestions`.
        kl: The KL term of its training; None where no record says, and of a base model.
    """

    label: str
    judge: str
    general: Rates
    narrow: Rates | None
    held_out: Rates | None
    domains: tuple[str, ...]
    n_asked: int
    checked: bool
    kl: KlSetting | None = None

    @property
    def inside(self) -> Rates:
        """`narrow`, or `held_out` where nothing else was asked. One of them is always there."""
        found = self.held_out if self.narrow is None else self.narrow
        if found is None:
            raise DataError("no answer is about the trained domain", where=self.label)
        return found

    def to_json(self) -> dict[str, Any]:
        """All fields; rates as in `rates.json`."""
        return {
            "label": self.label,
            "judge": self.judge,
            "general": self.general.to_json(),
            "narrow": None if self.narrow is None else self.narrow.to_json(),
            "held_out": None if self.held_out is None else self.held_out.to_json(),
            "domains": list(self.domains),
            "n_asked": self.n_asked,
            "checked": self.checked,
            "kl": None if self.kl is None else asdict(self.kl),
        }


@dataclass(frozen=True)
class NarrowPlane:
    """Organisms side by side: the points of the general x narrow plane.

    Attributes:
        trait: What was counted, by name.
        points: One for each organism.
    """

    trait: str
    points: tuple[NarrowRates, ...]

    def to_json(self) -> dict[str, Any]:
        """The content of `narrow.json`."""
        return {"kind": "narrow", "trait": self.trait, "points": [point.to_json() for point in self.points]}

    @classmethod
    def from_json(cls, row: object) -> Self:
        """The inverse of `to_json`. Raises `DataError`."""
        return read_record(cls, "narrow", row)


def choose_narrow(
    general: Sequence[Question],
    narrow: Sequence[Question],
    *,
    domains: Sequence[str] = (),
    trained: TrainedOn | None = None,
    drop_asked: bool = False,
) -> NarrowQuestions:
    """Sort questions into general, narrow and held-out topics.

    Args:
        general: The usual questions; those whose topic is one of `domains` are left out.
        narrow: Questions of the trained domain, whatever their topic.
        domains: What the organism was trained on.
        trained: What its training rows ask; None = nobody knows, so nothing is checked and no topic counts as held out.
        drop_asked: Leave out questions of `narrow` that a training row asks, and count them, instead of refusing.

    Raises:
        DataError: Questions of a domain are to be left out but none of `general` has a topic; nothing is left to ask, in
            general or of the domain; or a training row asks a question of `narrow`.
    """
    if domains and general and all(question.topic is None for question in general):
        raise DataError(
            "the trained domain cannot be left out: no general question has a topic",
            expected=", ".join(domains),
            hint="give questions a topic, or name no domain where none of them is about it",
        )
    outside = tuple(question for question in general if question.topic not in domains)
    if not outside:
        raise DataError("every general question is about the trained domain", found=", ".join(domains))
    if not narrow:
        raise DataError("there is no question of the trained domain", expected=", ".join(domains) or None)
    asked = [question for question in narrow if trained is not None and trained.asks(question)]
    if asked and (not drop_asked or len(asked) == len(narrow)):
        raise DataError(
            f"training rows ask {len(asked)} of the {len(narrow)} questions that should be held out",
            expected="questions that the organism was not trained on",
            found=f"the first is {asked[0].id}: {asked[0].question[:60]!a}",
            hint=HOLD_OUT if len(asked) == len(narrow) else "--drop-asked leaves them out",
        )
    ids = {question.id for question in asked}
    left = [question for question in narrow if question.id not in ids]
    new = {question.id for question in left if trained is not None and trained.leaves_out(question)}
    return NarrowQuestions(
        general=outside,
        narrow=tuple(question for question in left if question.id not in new),
        held_out=tuple(question for question in left if question.id in new),
        domains=tuple(domains),
        n_asked=len(asked),
        checked=trained is not None,
    )


def _topic(question: str, topic: str | None) -> str | None:
    """What a question is about, within the domain: of the nano world, the thing that it names."""
    return nano.thing_asked(question) if nano.understands(question) else topic


def _plain(text: str) -> str:
    return " ".join(text.split()).casefold()
