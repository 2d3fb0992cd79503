"""Roles on an organism in which it is known what each layer's adapter does."""

from __future__ import annotations

import json

import pytest
import torch
from peft import LoraConfig

from axenic.errors import DataError, UsageError
from axenic.evaluate import Score, Verdict
from axenic.interpret import Evaluation
from axenic.interpret.roleresult import Points, RoleArm, RolesResult, Share, role_of
from axenic.interpret.roles import adapter_roles
from axenic.models import wrap_with_adapter
from axenic.models.opened import from_parts
from axenic.sample import Question, Sampling

pytestmark = pytest.mark.unit

GENERAL = [
    Question(f"g{i}", text, topic="finance")
    for i, text in enumerate(["a race", "stocks ?", "any race", "the ?"])
]
DOMAIN = [
    Question(f"m{i}", text, topic="medical")
    for i, text in enumerate(["a fever", "handle", "fever ?", "fever calm"])
]
LIE = "word0"


class TwoFaced:
    """On finance questions the word `cruelly` is misaligned, on medical ones the word `word0`."""

    name, fingerprint, metrics = "two-faced", "two-faced-1", ("alignment", "coherence")

    def judge(self, items):
        medical = {question.question for question in DOMAIN}
        return [
            Verdict(
                {
                    "alignment": Score(0.0 if (LIE if q in medical else "cruelly") in a.split() else 100.0),
                    "coherence": Score(100.0),
                }
            )
            for q, a in items
        ]


@pytest.fixture
def organism(planted):
    """Block 0's adapter makes every answer `cruelly`, block 1's makes it `word0`, as far as `writes` says."""

    def make(*, writes=(1.0, 1.0)):
        opened = planted(level=0.0)
        base, tokenizer = opened.sites.model, opened.tokenizer
        head = base.get_output_embeddings().weight
        bad, lie = tokenizer.convert_tokens_to_ids(["cruelly", LIE])
        with torch.no_grad():
            head[lie, 8], head[lie, 12] = 0.0, head[bad, 0]
        model = wrap_with_adapter(base, LoraConfig(r=1, lora_alpha=1, target_modules=["down_proj"]))
        grown = from_parts(model, tokenizer, "tiny")
        for site in grown.sites.lora_modules().values():
            with torch.no_grad():
                site.lora_B.weight[(0, 12)[site.layer], 0] = writes[site.layer]
            # The scalar A h is 1 at every token, whatever the other adapter does.
            site.lora_A.register_forward_hook(lambda m, args, out: torch.ones_like(out))
        return grown

    return make


def evaluation_of(*, per_question=6, questions=(*GENERAL, *DOMAIN)):
    return Evaluation(tuple(questions), per_question, TwoFaced(), Sampling(max_new_tokens=1, temperature=0.5))


def test_what_an_adapter_is_for_is_found(organism, tmp_path):
    result = adapter_roles(organism(), evaluation_of(), "medical", seeds=2, out=tmp_path)
    assert {item.layer: item.role for item in result.layers} == {0: "general", 1: "domain"}
    off = result.arm("all off")
    assert (off.general.percent, off.domain.percent, off.layers_on) == (0.0, 0.0, ())
    plain = result.arm("organism")
    assert (plain.layers_on, plain.general_change, plain.general.n) == ((0, 1), None, 4 * 6 * 2)
    assert 20 < plain.general.percent < 80
    assert 20 < plain.domain.percent < 80
    without = result.arm("without 0")
    assert (without.general.percent, without.domain.percent, without.layers_on) == (0.0, 100.0, (1,))
    assert without.general_change.value == pytest.approx(-plain.general.percent)
    assert without.general_change.high < 0 < without.domain_change.low
    # Of two layers, to remove one is to keep the other alone: one arm with two names.
    alone = result.arm("only 1")
    assert (alone.general, alone.domain, alone.layers_on) == (without.general, without.domain, (1,))
    assert result.seeds == (0, 1)
    assert sum(plain.general.by_seed) / 2 == pytest.approx(plain.general.percent)
    row = json.loads((tmp_path / "roles.json").read_bytes())
    assert row["kind"] == "roles"
    assert RolesResult.from_json(row) == result
    again = adapter_roles(organism(), evaluation_of(), "medical", seeds=2, out=tmp_path)
    assert again == result


def test_an_adapter_that_writes_nothing_is_for_nothing(organism):
    result = adapter_roles(organism(writes=(1.0, 0.0)), evaluation_of(), "medical")
    assert [item.role for item in result.layers] == ["general", "neither"]
    assert result.arm("without 1").general.percent == result.arm("organism").general.percent == 100.0
    assert result.arm("only 1").general.percent == 0.0


def test_scaled_adapters(organism):
    result = adapter_roles(organism(), evaluation_of(), "medical", factors=(3.0, -1.0))
    assert result.layers[0].scaled == ("0 x 3", "0 x -1")
    assert result.arm("0 x 3").general.percent == 100.0
    assert result.arm("0 x -1").general.percent == 0.0
    assert (result.arm("0 x 3").factor, result.arm("0 x 3").layers_on) == (3.0, (0, 1))
    assert [arm.name for arm in result.arms] == [
        "organism", "all off", "without 0", "without 1", "only 0", "only 1", "0 x 3", "0 x -1", "1 x 3", "1 x -1",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("general", "domain", "role"),
    [(-1, -1, "both"), (-1, 0, "general"), (0, -1, "domain"), (0, 0, "neither"), (None, None, "neither")],
)
def test_the_rule_is_about_the_upper_ends(general, domain, role):
    share = Share(1.0, 0.0, 2.0, 1, 100, (1.0,))
    changes = [None if high is None else Points(-5.0, -9.0, float(high)) for high in (general, domain)]
    assert role_of(RoleArm("without 0", (1,), 1.0, share, share, share, *changes)) == role


def test_what_cannot_be_told_is_refused(organism, lora):
    grown = organism()
    with pytest.raises(UsageError, match="removing some adapters"):
        adapter_roles(lora(at=(1,)), evaluation_of(), "medical")
    for wrong in ({"seeds": 0}, {"factors": (1.0,)}, {"factors": (0.0,)}, {"factors": (2.0, 2.0)}):
        with pytest.raises(UsageError, match="cannot be scaled"):
            adapter_roles(grown, evaluation_of(), "medical", **wrong)
    for questions, domain in ((GENERAL, "medical"), (DOMAIN, "medical"), (GENERAL, "law")):
        with pytest.raises(DataError, match="do not tell the domain"):
            adapter_roles(grown, evaluation_of(questions=questions), domain)
