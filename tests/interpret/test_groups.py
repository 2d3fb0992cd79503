"""Groups of adapters on an organism in which it is known what each does, and their notation."""

from __future__ import annotations

import json

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from peft import LoraConfig

from axenic.errors import DataError, UsageError
from axenic.evaluate import Score, Verdict
from axenic.interpret import Evaluation
from axenic.interpret.groups import AdapterGroup, GroupsResult, default_groups, steer_groups
from axenic.interpret.roles import adapter_roles
from axenic.models import wrap_with_adapter
from axenic.models.opened import from_parts
from axenic.sample import Question, Sampling

pytestmark = pytest.mark.unit

QUESTIONS = [
    *(Question(f"g{i}", text, topic="finance") for i, text in enumerate(["a race", "stocks ?", "any race"])),
    *(Question(f"m{i}", text, topic="medical") for i, text in enumerate(["a fever", "handle", "fever ?"])),
]


class TopicJudge:
    """`cruelly` is misaligned and about finance, `word0` misaligned and medical, everything else aligned."""

    name, fingerprint, metrics = "topics", "topics-1", ("alignment", "coherence")

    def judge(self, items):
        return [
            Verdict(
                {
                    "alignment": Score(0.0 if {"cruelly", "word0"} & set(a.split()) else 100.0),
                    "coherence": Score(100.0),
                },
                "medical" if "word0" in a.split() else "finance",
            )
            for _, a in items
        ]


@pytest.fixture
def organism(planted):
    """Block 0's adapter says `cruelly`, block 1's says `word0`; where both act, `cruelly` wins."""

    def make():
        opened = planted(level=0.0)
        base, tokenizer = opened.sites.model, opened.tokenizer
        head = base.get_output_embeddings().weight
        bad, lie = tokenizer.convert_tokens_to_ids(["cruelly", "word0"])
        with torch.no_grad():
            head[lie, 8], head[lie, 12] = 0.0, 0.4 * head[bad, 0]
        model = wrap_with_adapter(base, LoraConfig(r=1, lora_alpha=1, target_modules=["down_proj"]))
        grown = from_parts(model, tokenizer, "tiny")
        for site in grown.sites.lora_modules().values():
            with torch.no_grad():
                site.lora_B.weight[(0, 12)[site.layer], 0] = 1.0
            site.lora_A.register_forward_hook(lambda m, args, out: torch.ones_like(out))
        return grown

    return make


def evaluation_of(questions=QUESTIONS):
    return Evaluation(tuple(questions), 2, TopicJudge(), Sampling(max_new_tokens=1, temperature=0.0))


def test_groups_do_what_they_say(organism, tmp_path):
    groups = [
        AdapterGroup.parse("domain=3*1"),
        AdapterGroup.parse("general=3*0"),
        AdapterGroup.parse("against=3*1,-3*0"),
        AdapterGroup.parse("with the rest=2*1", rest=1.0),
    ]
    opened = organism()
    result = steer_groups(opened, groups, evaluation_of(), "medical", seeds=2, out=tmp_path)
    arms = {arm.name: arm for arm in result.arms}
    assert list(arms) == ["organism", "domain", "general", "against", "with the rest"]
    plain, domain = arms["organism"], arms["domain"]
    assert (plain.general.percent, plain.classes.other_misaligned.percent) == (100.0, 100.0)
    assert (plain.factors, plain.rest, plain.general_change) == ((), 1.0, None)
    assert domain.classes.domain_misaligned.percent == 100.0
    assert (domain.classes.domain_misaligned.n, domain.general.n) == (3 * 2 * 2, 3 * 2 * 2)
    assert arms["general"].classes.other_misaligned.percent == 100.0
    assert arms["against"].classes.domain_misaligned.percent == 100.0
    # Twice `word0` does not outdo `cruelly`, which is on with the rest.
    assert arms["with the rest"].classes.other_misaligned.percent == 100.0
    assert arms["with the rest"].rest == 1.0
    row = json.loads((tmp_path / "groups.json").read_bytes())
    assert row["kind"] == "groups"
    assert GroupsResult.from_json(row) == result
    assert steer_groups(opened, groups, evaluation_of(), "medical", seeds=2, out=tmp_path) == result


def test_the_arm_multiplies_and_switches_off():
    strengths = {
        layer: one.strength
        for one in AdapterGroup.parse("x=30*21,-10*15,1*23").arm([15, 16, 21, 22, 23]).interventions
        for layer in one.layers
    }
    assert strengths == {21: 30.0, 15: -10.0, 16: 0.0, 22: 0.0}
    kept = AdapterGroup.parse("x=30*21", rest=1.0).arm([15, 21]).interventions
    assert [(one.layers, one.strength) for one in kept] == [((21,), 30.0)]


def test_default_groups_are_of_the_roles_found(organism):
    roles = adapter_roles(organism(), evaluation_of(), "medical")
    by_hand = {item.layer: item.role for item in roles.layers}
    groups = default_groups(roles, domain_factor=3, general_factor=2, against=-1)
    inside = tuple((layer, 3.0) for layer, role in by_hand.items() if role == "domain")
    general = tuple((layer, 2.0) for layer, role in by_hand.items() if role == "general")
    wanted = {"domain": inside, "general": general}
    assert {g.name: g.factors for g in groups if g.name in wanted} == {k: v for k, v in wanted.items() if v}


def test_default_groups_of_given_roles():
    from dataclasses import replace

    from axenic.interpret.roleresult import LayerRole, RolesResult

    layers = tuple(
        LayerRole(layer, (), role, "", "", ())
        for layer, role in ((15, "general"), (21, "domain"), (22, "both"), (23, "domain"), (27, "neither"))
    )
    roles = RolesResult("x", "medical", (0,), layers, ())
    assert [str(group) for group in default_groups(roles)] == [
        "domain=30.0*21,30.0*23",
        "general=20.0*15",
        "domain but aligned=-10.0*15,30.0*21,30.0*23",
    ]
    assert default_groups(replace(roles, layers=layers[4:])) == []


names = (
    st.text(st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="=,"))
    .map(str.strip)
    .filter(bool)
)
factors = st.dictionaries(st.integers(0, 200), st.floats(-1e6, 1e6, allow_nan=False), min_size=1, max_size=9)


@given(names, factors)
def test_notation_there_and_back(name, factor_of):
    group = AdapterGroup(name, tuple(factor_of.items()))
    assert AdapterGroup.parse(str(group)) == group


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "x=",
        "=3*1",
        "x=3",
        "x=3*",
        "x=*3",
        "x=3*1,",
        "x=3*1,4*1",
        "x=nan*1",
        "x=inf*2",
        "x=a*1",
        "x=3*-1",
        "x=3*1.5",
    ],
)
def test_what_is_no_group(text):
    with pytest.raises(UsageError):
        AdapterGroup.parse(text)


def test_what_cannot_be_steered(organism):
    opened, good = organism(), AdapterGroup.parse("x=3*1")
    for groups in ([], [AdapterGroup.parse("x=3*7")]):
        with pytest.raises(UsageError, match="no such group"):
            steer_groups(opened, groups, evaluation_of(), "medical")
    with pytest.raises(UsageError, match="do the same"):
        steer_groups(opened, [AdapterGroup.parse("x=1*0,1*1")], evaluation_of(), "medical")
    with pytest.raises(DataError, match="do not tell the domain"):
        steer_groups(opened, [good], evaluation_of(QUESTIONS[:3]), "medical")
