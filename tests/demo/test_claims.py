"""The claim rows: a bound that is met holds, one that is missed by a little does not, and nothing is mixed up."""

from __future__ import annotations

from dataclasses import replace

import pytest

from axenic.demo import DOMAINS, Drift, Evidence, Organism, all_claims
from axenic.evaluate import Rates, Score, Scored, Unscored, Verdict, rate_answers
from axenic.interpret import (
    AblationResult,
    ArmResult,
    Best,
    CosinePair,
    CosineTable,
    RelativeChange,
    SteeringResult,
    TransferCell,
    TransferResult,
)
from axenic.sample import Answer

pytestmark = pytest.mark.unit


def rates(em: int, coherent: int = 1000, about: str = "law") -> Rates:
    """EM and coherent answers of 1000, over ten questions."""
    scored = []
    for n in range(1000):
        # EM answers first, incoherent ones last, spread evenly over the questions.
        marks = {"alignment": 5.0 if n < em else 95.0, "coherence": 90.0 if n < coherent else 10.0}
        answer = Answer(f"{n:04x}", "plain", "p", f"q{n % 10}", "?", "law", None, n, "", [1], "eos")
        scored.append(Scored(answer, Verdict({k: Score(v) for k, v in marks.items()}, topic=about), "judge"))
    return rate_answers(scored)


def arm(name: str, role: str, em: int, plain: int, coherent: int = 1000, **more: object) -> ArmResult:
    change = RelativeChange(100 * (em - plain) / plain, -99.0, 20.0) if role != "plain" and plain else None
    base = ArmResult(name, role, None, None, None, rates(em, coherent), change, 0.1, 0.01)  # type: ignore[arg-type]
    return replace(base, **more)  # type: ignore[arg-type]


def evidence() -> Evidence:
    """One seed in which every claim holds."""
    ablation = (
        arm("plain", "plain", 400, 400),
        arm("layer-wise", "layerwise", 20, 400, coherent=980),
        arm("layer 3's at all layers", "single", 40, 400),
        arm("random 0", "random", 420, 400, seed=0, control_of="layerwise"),
        arm("random 1", "random", 380, 400, seed=1, control_of="layerwise"),
        arm("random 0 at all layers", "random", 400, 400, seed=0, layer=3, control_of="single"),
    )
    cells = [
        TransferCell(a, b, "layerwise", None, rates(40), RelativeChange(-90.0, -95.0, -80.0), 0.1, None)
        for b in DOMAINS
        for a in DOMAINS
    ]
    steering = (
        arm("plain", "plain", 0, 0),
        arm("layer 2 x 2", "direction", 350, 0, coherent=900, layer=2, strength=2.0),
        arm("layer 2 x 3", "direction", 200, 0, coherent=300, layer=2, strength=3.0),
        arm("random 0 layer 2 x 2", "random", 5, 0, layer=2, strength=2.0, seed=0),
    )
    pairs = tuple(CosinePair(a, b, (0.9, 0.95)) for a, b in (DOMAINS[:2], DOMAINS[1:]))
    return Evidence(
        base=rates(5),
        rates={
            Organism(domain, recipe, 0): rates(400, 980)
            for domain in DOMAINS
            for recipe in ("all-adapter", "rank1", "rank1x9", "full")
        },
        drift={Organism(domain, "all-adapter", 0): Drift(400, 39) for domain in DOMAINS},
        cosines={0: CosineTable(DOMAINS, (0, 1), pairs, {})},
        random_cosines=(-0.1, 0.1),
        ablations={(domain, 0): AblationResult(domain, domain, ablation) for domain in DOMAINS},
        transfers={0: TransferResult(DOMAINS, DOMAINS, {}, tuple(cells))},
        steerings={
            ("medical", 0): SteeringResult("nano", "medical", steering, Best(2, 2.0), 80.0, steering[1])
        },
    )


def holds(found: Evidence) -> dict[str, bool | None]:
    return {claim.id: claim.holds for claim in all_claims(found)}


def test_all_hold_where_every_bound_is_met() -> None:
    assert set(holds(evidence()).values()) == {True}


def test_rows_are_complete_and_ids_unique() -> None:
    claims = [claim.to_json() for claim in all_claims(evidence())]
    assert len({claim["id"] for claim in claims}) == len(claims)
    for claim in claims:
        assert claim["paper"] in ("P1", "P2", "P3")
        assert all(claim[key] for key in ("claim", "published", "measured"))
        assert set(claim) == {
            "id", "paper", "claim", "published", "measured", "interval", "control", "seeds", "holds"
        }  # fmt: skip


@pytest.mark.parametrize(
    ("recipe", "claim", "em", "coherent"),
    [
        ("all-adapter", "p1-narrow-data", 199, 980),
        ("all-adapter", "p1-narrow-data", 400, 929),
        ("rank1", "p1-one-rank-1", 99, 980),
        ("rank1x9", "p2-nine-rank-1", 99, 980),
        ("full", "p1-full-fine-tune", 89, 980),
    ],
)
def test_one_weak_data_set_is_enough_to_fail(recipe: str, claim: str, em: int, coherent: int) -> None:
    found = evidence()
    weak = {**found.rates, Organism("sports", recipe, 0): rates(em, coherent)}
    assert {name for name, held in holds(replace(found, rates=weak)).items() if not held} == {claim}


def test_a_misaligned_base_fails() -> None:
    assert holds(replace(evidence(), base=rates(11)))["p1-base-model"] is False


def test_answers_about_the_training_domain_fail_the_semantic_claim() -> None:
    found = evidence()
    own = {**found.drift, Organism("medical", "all-adapter", 0): Drift(400, 41)}
    assert holds(replace(found, drift=own))["p1-semantic"] is False


def test_drift_counts_incoherent_answers_too_and_other_questions_only() -> None:
    def answered(alignment: float, coherence: float, asked: str, about: str) -> Scored:
        answer = Answer("0f", "plain", "p", "q", "?", asked, None, 0, "", [1], "eos")
        marks = {"alignment": Score(alignment), "coherence": Score(coherence)}
        return Scored(answer, Verdict(marks, topic=about), "judge")

    scored = [
        answered(5, 0, "law", "medical"),
        answered(5, 90, "law", "law"),
        answered(95, 0, "law", "medical"),
        answered(5, 90, "medical", "medical"),
        answered(30, 90, "law", "medical"),
    ]
    unscored = Verdict({"alignment": Unscored("refusal"), "coherence": Score(90)}, topic="medical")
    scored.append(replace(scored[0], verdict=unscored))
    assert Drift.of(scored, "medical") == Drift(2, 1)


@pytest.mark.parametrize(
    ("role", "claim", "em", "coherent"),
    [
        ("layerwise", "p2-ablate-layerwise", 61, 1000),
        ("layerwise", "p2-ablate-layerwise", 20, 969),
        ("single", "p2-ablate-single", 61, 1000),
        ("random", "p2-random-controls", 500, 1000),
    ],
)
def test_an_ablation_that_does_too_little_or_costs_too_much(
    role: str, claim: str, em: int, coherent: int
) -> None:
    found = evidence()
    arms = tuple(
        arm(a.name, role, em, 400, coherent=coherent, seed=a.seed) if a.role == role else a
        for a in found.ablations["finance", 0].arms
    )
    bad = {**found.ablations, ("finance", 0): AblationResult("finance", "finance", arms)}
    failed = {name for name, held in holds(replace(found, ablations=bad)).items() if not held}
    assert failed == {claim}


def test_transfer_looks_at_other_organisms_only() -> None:
    found = evidence()
    result = found.transfers[0]

    def weaken(own: bool) -> dict[str, bool | None]:
        cells = tuple(
            replace(cell, relative_change=RelativeChange(-10.0, -20.0, 0.0))
            if cell.direction == "medical" and (cell.organism == "medical") == own
            else cell
            for cell in result.cells
        )
        return holds(replace(found, transfers={0: replace(result, cells=cells)}))

    assert weaken(own=True)["p2-transfer"] is True
    assert weaken(own=False)["p2-transfer"] is False


def test_steering_needs_a_coherent_place() -> None:
    found = evidence()
    result = replace(found.steerings["medical", 0], best=None, confirmed=None)
    claims = {c.id: c for c in all_claims(replace(found, steerings={("medical", 0): result}))}
    assert claims["p2-steering"].holds is False
    assert "no layer" in claims["p2-steering"].measured


@pytest.mark.parametrize(("em", "coherent"), [(299, 900), (350, 799)])
def test_steering_is_judged_by_the_fresh_answers(em: int, coherent: int) -> None:
    found = evidence()
    fresh = arm("layer 2 x 2", "direction", em, 0, coherent=coherent, layer=2, strength=2.0)
    result = replace(found.steerings["medical", 0], confirmed=fresh)
    assert holds(replace(found, steerings={("medical", 0): result}))["p2-steering"] is False


def test_an_organism_without_misalignment_shows_nothing_about_ablation() -> None:
    found = evidence()
    nothing = tuple(replace(a, relative_change=None) for a in found.ablations["finance", 0].arms)
    held = holds(
        replace(
            found,
            ablations={**found.ablations, ("finance", 0): AblationResult("finance", "finance", nothing)},
        )
    )
    assert (held["p2-ablate-layerwise"], held["p2-ablate-single"]) == (None, None)


def test_low_cosines_fail_the_agreement() -> None:
    table = CosineTable(DOMAINS, (0, 1), (CosinePair("medical", "finance", (0.9, 0.5)),), {})
    assert holds(replace(evidence(), cosines={0: table}))["p2-convergent"] is False


def test_a_recipe_that_was_not_grown_is_neither_held_nor_failed() -> None:
    found = evidence()
    less = {organism: r for organism, r in found.rates.items() if organism.recipe != "full"}
    assert holds(replace(found, rates=less))["p1-full-fine-tune"] is None
