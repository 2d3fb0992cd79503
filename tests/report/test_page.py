"""The page: what stands in it, what never does, and how large it may be."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from dissected import adapters, correction, dissect, downstream, roles, tokens
from hostile import CANARY, acts, payloads
from solved import efficiency, gradients, groups, narrow, noise, patching, paths, seed_roles, significance
from synthetic import CLAIMS, arm, make_results, rates, write, write_answers, write_lines

from axenic.errors import FileError
from axenic.report import budget, build_report, page
from axenic.report.page import MOST_BYTES, shown

SECTIONS = [
    "claims", "headline", "ablation", "transfer", "steering", "cosines", "correction", "downstream", "adapters", "tokens",
    "training", "questions", "samples", "unscored",
]  # fmt: skip
FORBIDDEN = {"script", "iframe", "object", "embed", "form", "base", "img", "audio", "video", "foreignobject"}


class Outline(HTMLParser):
    """Tags, attributes and texts of a page as a browser sees them."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.text: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_data(self, data: str) -> None:
        self.text.append(data)


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The page of a whole synthetic demo."""
    folder = dissect(make_results(tmp_path_factory.mktemp("results")))
    return build_report(folder).html.read_text("utf-8")


@pytest.mark.unit
def test_sections_stand_in_order_claims_first(full: str) -> None:
    assert re.findall(r'<section id="([a-z]+)">', full) == SECTIONS


@pytest.mark.unit
def test_a_failing_claim_is_shown_as_failing(full: str) -> None:
    rows = re.findall(r'<tr class="(holds|fails|open)">(.*?)</tr>', full, re.S)
    assert [state for state, _ in rows] == ["holds", "holds", "fails", "open"]
    assert "✗ does not hold" in rows[2][1]
    assert "P2-3b" in rows[2][1]
    assert len(rows) == len(CLAIMS)


@pytest.mark.unit
def test_each_picture_is_there_in_both_widths(full: str) -> None:
    wide, narrow = full.count('<div class="wide"><svg'), full.count('<div class="narrow"><svg')
    assert wide == narrow == full.count("<svg") // 2
    assert wide >= 10


@pytest.mark.unit
def test_the_policy_admits_only_our_own_style(full: str) -> None:
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', full)
    assert policy is not None
    style = re.search(r"<style>(.*?)</style>", full, re.S)
    assert style is not None
    digest = base64.b64encode(hashlib.sha256(style.group(1).encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}'" in policy.group(1)
    assert policy.group(1).startswith("default-src 'none'")
    assert "unsafe" not in policy.group(1)
    assert full.count("<style") == 1


@pytest.mark.unit
def test_nothing_that_the_policy_would_block(full: str) -> None:
    outline = Outline(full)
    assert not FORBIDDEN & set(outline.tags)
    assert not [name for _, name, _ in outline.attributes if name == "style" or name.startswith("on")]


@pytest.mark.unit
def test_no_address_outside_the_page(full: str) -> None:
    assert not re.findall(r"(?:https?:)?//[a-z0-9.-]+", full, re.I)
    outline = Outline(full)
    links = [
        value for _, name, value in outline.attributes if name in ("href", "src", "xlink:href", "action")
    ]
    assert all(value.startswith(("#", "data:,")) for value in links)


@pytest.mark.unit
def test_ids_are_unique_and_references_lead_somewhere(full: str) -> None:
    outline = Outline(full)
    ids = [value for _, name, value in outline.attributes if name == "id"]
    assert len(ids) == len(set(ids))
    wanted = {value[1:] for _, name, value in outline.attributes if name == "href" and value.startswith("#")}
    wanted |= set(re.findall(r"url\(#([\w-]+)\)", full))
    assert wanted <= set(ids)


@pytest.mark.unit
def test_every_picture_says_how_it_was_made(full: str) -> None:
    for figure in re.findall(r"<figure>.*?</figure>", full, re.S):
        assert "Made by <code>axenic " in figure


@pytest.mark.unit
def test_intervals_unscored_counts_and_record(full: str) -> None:
    text = "".join(Outline(full).text)
    assert "41.5 [" in text
    assert "refusal" in text
    assert "SHA-256" in text
    assert "transformers" in text
    assert "71.2" in text
    assert '"recipe": "all-adapter"' in text


@pytest.mark.unit
def test_the_same_results_give_the_same_bytes(tmp_path: Path) -> None:
    folder = make_results(tmp_path / "results")
    first = build_report(folder, tmp_path / "a.html").html.read_bytes()
    assert build_report(folder, tmp_path / "b.html").html.read_bytes() == first


@pytest.mark.unit
def test_a_real_page_is_small(full: str) -> None:
    assert len(full.encode()) < 900_000


@pytest.mark.fault
def test_a_huge_folder_still_fits(tmp_path: Path) -> None:
    nasty = ["<&\x00\u202e" * 400] * 300
    for run in range(3):
        write_answers(tmp_path / f"run{run}", nasty, arms=("plain", "layerwise"))
    made = build_report(tmp_path)
    assert made.size <= MOST_BYTES
    assert made.size == made.html.stat().st_size
    assert 0 < made.samples < 1800


@pytest.mark.unit
def test_pictures_go_when_leaving_answers_out_is_not_enough(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_results(tmp_path)
    whole = build_report(tmp_path)
    monkeypatch.setattr(page, "MOST_BYTES", whole.size - 150_000)
    smaller = build_report(tmp_path)
    assert smaller.size <= whole.size - 150_000
    assert 0 < smaller.figures < whole.figures
    assert "Not drawn, to keep this page small" in smaller.html.read_text("utf-8")
    monkeypatch.setattr(page, "MOST_BYTES", 10_000)
    with pytest.raises(FileError, match="too large"):
        build_report(tmp_path)


@pytest.mark.unit
@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("rates.json", {"kind": "rates"}),
        ("rates.json", {"kind": "rates", "label": "x", **rates(0.0, 0.0)}),
        ("ablation.json", {"kind": "ablation", "arms": []}),
        ("ablation.json", {"kind": "ablation", "label": "m", "arms": [arm("plain", "plain", 0.0, 99.0)]}),
        ("steering.json", {"kind": "steering", "arms": []}),
        ("steering.json", {"kind": "steering", "arms": [arm("a", "direction", 3, 90, layer=1, strength=-2.0)]}),
        ("transfer.json", {"kind": "transfer", "directions": ["a"], "organisms": ["b"]}),
        ("transfer.json", {"kind": "transfer", "directions": ["a"], "organisms": ["b"],
                           "cells": [{"direction": "a", "organism": "b", "role": "layerwise", "rates": rates(1, 99)}]}),
        ("cosines.json", {"kind": "cosines", "labels": ["a"], "layers": [], "pairs": []}),
        ("cosines.json", {"kind": "cosines", "layers": [0, 1], "pairs": [{"a": "x", "b": "y", "cosines": [None, 0.5]}]}),
        ("cosines.json", {"kind": "cosines", "layers": list(range(48)), "norms": {"x": [1.0] * 48},
                          "pairs": [{"a": "x", "b": "y", "cosines": [0.9] * 48}]}),
        ("claims.json", {"kind": "claims"}),
        ("claims.json", {"claims": [{"id": "x", "measured": {"a": [1, 2.5]}, "interval": "n/a"}]}),
    ],
)  # fmt: skip
def test_partial_results_still_give_a_page(tmp_path: Path, name: str, content: Any) -> None:
    write(tmp_path / name, content)
    assert "</html>" in build_report(tmp_path).html.read_text("utf-8")


@pytest.mark.unit
def test_only_a_log_or_only_answers(tmp_path: Path) -> None:
    write_lines(tmp_path / "a" / "log.jsonl", [{"step": 1, "loss": 1.0}])
    write_answers(tmp_path / "b", ["hello"], judged=False)
    assert "not judged yet" in build_report(tmp_path).html.read_text("utf-8")


@pytest.mark.unit
def test_out_may_be_a_folder_or_a_file(tmp_path: Path) -> None:
    write(tmp_path / "r" / "claims.json", {"kind": "claims"})
    (tmp_path / "site").mkdir()
    assert build_report(tmp_path / "r", tmp_path / "site").html == tmp_path / "site" / "report.html"
    assert build_report(str(tmp_path / "r"), str(tmp_path / "x.html")).html == tmp_path / "x.html"


def hostile_folder(folder: Path, texts: list[str]) -> Path:
    """Every text in every place of a result that a stranger can fill."""

    def at(i: int) -> str:
        return texts[i % len(texts)]

    clean = [text.encode("utf-8", "ignore").decode("utf-8") or "x" for text in texts]
    write_answers(folder / "run", clean)
    rows = [json.loads(line) for line in (folder / "run" / "answers.jsonl").read_text("utf-8").splitlines()]
    for i, row in enumerate(rows):
        row |= {"arm": clean[i % 7], "topic": clean[i % len(clean)]}
    write_lines(folder / "run" / "answers.jsonl", rows)
    some = {**rates(20, 90), "unscored": {at(1): 3}}
    some["per_question"] = [
        {"question_id": text, "question": text, "topic": text, "n": 9, "em": i % 9}
        for i, text in enumerate(texts)
    ]
    some["topics"] = [
        {"topic": text, "n_questions": 1, "em": {"count": 2, "n": 9, "percent": 22.0}} for text in texts[:9]
    ]
    write(folder / "rates.json", {"kind": "rates", "label": at(0), **some})
    arms = [arm(at(i), ("plain", "layerwise", at(i))[i % 3], 10, 90, 20) for i in range(6)]
    write(folder / "ablation.json", {"kind": "ablation", "label": at(2), "direction": at(3), "arms": arms})
    sweep = [arm(at(i), "direction", 10, 90, layer=i % 3, strength=float(i)) for i in range(9)]
    write(folder / "steering.json", {"kind": "steering", "label": at(4), "direction": at(5), "arms": sweep})
    cells = [{"direction": at(6), "organism": at(7), "role": "layerwise", "rates": rates(1, 99),
              "relative_change": {"value": -90.0}}]  # fmt: skip
    write(folder / "transfer.json", {"kind": "transfer", "directions": [at(6)], "organisms": [at(7)],
                                     "plain": {at(7): rates(9, 99)}, "cells": cells})  # fmt: skip
    write(folder / "cosines.json", {"kind": "cosines", "labels": texts[:2], "layers": [0, 1], "norms": {at(8): [1.0, 2.0]},
                                    "pairs": [{"a": at(9), "b": at(10), "cosines": [0.1, 0.2]}]})  # fmt: skip
    write(folder / "downstream.json", downstream(at(12), (at(13), at(14))))
    told = roles(at(15), at(16))
    for item in told["layers"]:
        item["role"] = at(17)
    write(folder / "roles.json", told)
    write(folder / "adapters.json", adapters(at(18), token=at(19)))
    write(folder / "tokens.json", tokens(texts[:40]))
    write(folder / "self-correction.json", correction(at(13), at(14)) | {"unmarked": at(15)})
    write(folder / "efficiency.json", efficiency(at(1), at(2)))
    write(folder / "noise.json", noise(at(3), at(4)))
    write(folder / "significance.json", significance(at(5), at(6), at(7)))
    write(folder / "paths.json", paths(at(8), at(9), at(10)))
    write(folder / "gradients.json", gradients(at(11), at(12)))
    write(folder / "groups.json", groups(at(13), at(14), at(15)))
    write(folder / "patching.json", patching(at(16), at(17), at(18)))
    write(folder / "roles_over_seeds.json", seed_roles(at(19), at(20)))
    write(folder / "narrow.json", narrow({at(1): (0.0, 70.0, 80.0), at(2): (1.0, 5.0, 70.0)}, at(3)))
    claim = {
        key: at(11 + i)
        for i, key in enumerate(("id", "paper", "claim", "published", "measured", "interval", "control"))
    }
    write(
        folder / "claims.json",
        {"kind": "claims", "claims": [{**claim, "holds": False}], "timings": {at(20): 1.0}},
    )
    write(folder / "train.json", {at(i): at(i + 1) for i in range(20)})
    return folder


def check_hostile_page(html: str, clean: str) -> None:
    """Nothing of the payloads lives: same tags as a page of harmless texts, and no canary but in text."""
    outline, expected = Outline(html), Outline(clean)
    assert set(outline.tags) == set(expected.tags)
    assert not FORBIDDEN & set(outline.tags)
    assert {name for _, name, _ in outline.attributes} <= {name for _, name, _ in expected.attributes}
    spoken = ("aria-label", "content")
    assert not [a for a in outline.attributes if CANARY in a[2].lower() and a[1] not in spoken]
    assert not [a for a in outline.attributes if a[1] == "content" and CANARY in a[2].lower()]
    assert CANARY in "".join(outline.text)
    assert not acts(html)
    assert "&lt;script&gt;" in html


@pytest.mark.fault
def test_a_hundred_payloads_everywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(budget, "MOST_SAMPLES", 2000)
    clean = build_report(
        hostile_folder(tmp_path / "clean", ["\x1bharmless"] + [f"harmless {i}" for i in range(119)])
    )
    found = build_report(hostile_folder(tmp_path / "bad", payloads(120)))
    check_hostile_page(found.html.read_text("utf-8"), clean.html.read_text("utf-8"))


@pytest.mark.fault
@pytest.mark.slow
def test_five_hundred_payloads_everywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(budget, "MOST_SAMPLES", 4000)
    clean = build_report(
        hostile_folder(tmp_path / "clean", ["\x1bharmless"] + [f"harmless {i}" for i in range(499)])
    )
    texts = payloads(500, seed=1)
    for start in range(0, 500, 100):
        found = build_report(hostile_folder(tmp_path / f"bad{start}", texts[start:] + texts[:start]))
        check_hostile_page(found.html.read_text("utf-8"), clean.html.read_text("utf-8"))


@pytest.mark.fault
@pytest.mark.parametrize("text", payloads(120))
def test_one_payload_as_html(text: str) -> None:
    html = str(shown(text))
    assert not acts(html)
    assert set(Outline(html).tags) <= {"span"}
    assert not re.sub(r'<span class="ctl">[^<>]*</span>', "", html).count("<")
