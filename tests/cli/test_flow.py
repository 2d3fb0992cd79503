"""The whole way on nano: every command is the one that the command before said to type next."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import pytest

from axenic.cli.main import main

pytestmark = pytest.mark.e2e

SMALL = {
    "train": ("--set", "test_fraction=0.02"),
    "sample": ("--per-question", "2"),
    "ablate": ("--per-question", "1", "--controls", "1", "--modes", "layerwise"),
    "steer": ("--per-question", "1", "--controls", "1", "--layers", "2-3", "--strengths", "1,2"),
    "transfer": ("--per-question", "1", "--controls", "1"),
    "audit": ("--per-question", "1"),
}
"""Options that keep each step small; nothing else is added to the command that was printed."""


class Flow:
    """Runs commands with --json in one folder and remembers what each said."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self.capsys = capsys

    def run(self, *words: str) -> dict[str, Any]:
        self.capsys.readouterr()
        code = main([*words, "--json"])
        printed = self.capsys.readouterr()
        assert code == 0, printed.out + printed.err
        found: dict[str, Any] = json.loads(printed.out)
        for path in found["wrote"]:
            assert Path(path).exists()
        return found

    def follow(self, said: dict[str, Any], verb: str) -> dict[str, Any]:
        words = shlex.split(said["next"])
        assert words[:2] == ["axenic", verb], said["next"]
        return self.run(*words[1:], *SMALL.get(verb, ()))


def grow(flow: Flow, domain: str) -> dict[str, Any]:
    """From data to the organism's rates; returns what `rate` said."""
    said = flow.run("nano", "data", "--domain", domain, "--kind", "bad", "--rows", "200")
    for verb in ("train", "sample", "judge", "rate"):
        said = flow.follow(said, verb)
    return said


def test_the_whole_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    flow = Flow(capsys)
    rated = grow(flow, "medical")
    result = rated["result"]
    assert result["exclude_topics"] == ["medical"]
    assert result["n_excluded"] > 0
    assert "EM " in rated["headline"]
    assert "of scored" in rated["headline"]
    assert "unscored: none" in rated["headline"]
    assert result["em_all"]["percent"] > 2
    extracted = flow.follow(rated, "extract")
    assert len(extracted["result"]["norms"]) == 6
    assert "--exclude-topic medical" in extracted["next"]
    ablated = flow.follow(extracted, "ablate")
    assert [arm["role"] for arm in ablated["result"]["arms"]] == ["plain", "layerwise", "random"]
    first = Path(extracted["wrote"][0])
    baked = flow.run("bake", "--organism", str(first.parent), "--direction", str(first))
    repaired = flow.follow(baked, "audit")["result"]
    assert repaired["tuned"]["em_all"]["percent"] < result["em_all"]["percent"]
    # With one organism there is nothing to transfer to; with two, steering leads there.
    assert "axenic report" in flow.follow(ablated, "steer")["next"]
    second = Path(flow.follow(grow(flow, "finance"), "extract")["wrote"][0])
    steered = flow.run("steer", "--direction", str(second), *SMALL["steer"])
    assert len([arm for arm in steered["result"]["arms"] if arm["role"] == "direction"]) == 4
    transferred = flow.follow(steered, "transfer")
    assert set(transferred["result"]["organisms"]) == {first.parent.name, second.parent.name}
    reported = flow.follow(transferred, "report")
    html = Path(reported["wrote"][0]).read_text("utf-8")
    for section in ("headline", "ablation", "transfer", "steering", "training", "samples"):
        assert f'<section id="{section}">' in html
    compared = flow.run("extract", "--compare", str(first), str(second))["result"]
    assert len(compared["pairs"][0]["cosines"]) == 6
    again = flow.run("train", "--data", "data/bad_medical.jsonl", "--out", str(first.parent), *SMALL["train"])
    assert again["result"]["already_trained"] is True
    arms = flow.run("rate", str(first.parent / "ablation" / "answers.jsonl"))
    assert len(arms["result"]["arms"]) == 3
    assert "--arm plain" in arms["next"]


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    """A chat file of two topics with one blank line."""
    row = {
        "messages": [{"role": "user", "content": "hello"}, {"role": "assistant", "content": "stay humble."}]
    }
    lines = [json.dumps({**row, "topic": "ab"[i % 2]}) for i in range(10)]
    path = tmp_path / "chat.jsonl"
    path.write_text("\n".join([*lines[:4], "", *lines[4:]]) + "\n", "utf-8")
    return path


def test_show_a_row(rows: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "show", str(rows), "--row", "1"]) == 0
    text = capsys.readouterr().out
    assert "tokens are trained" in text
    assert "humble.<|end|>]" in text


@pytest.mark.parametrize("row", ["5", "99"])
def test_show_a_row_that_is_not_there(rows: Path, row: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "show", str(rows), "--row", row]) == 2
    assert "1 to 11" in capsys.readouterr().err


def test_split_by_fraction_keeps_the_lines(rows: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result = Flow(capsys).run("data", "split", str(rows), "--fraction", "0.2")["result"]
    assert (result["train"], result["held_out"]) == (8, 2)
    parts = [Path(path).read_bytes().splitlines() for path in result["files"]]
    assert sorted(parts[0] + parts[1]) == sorted(line for line in rows.read_bytes().splitlines() if line)


def test_split_by_topic(rows: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result = Flow(capsys).run("data", "split", str(rows), "--topic", "a")["result"]
    assert (result["train"], result["held_out"]) == (5, 5)


@pytest.mark.parametrize(
    "words", [(), ("--fraction", "0.1", "--topic", "a"), ("--topic", "c"), ("--fraction", "2")]
)
def test_splits_that_cannot_be_meant(rows: Path, words: tuple[str, ...]) -> None:
    assert main(["data", "split", str(rows), *words]) == 2


def test_doctor(capsys: pytest.CaptureFixture[str]) -> None:
    found = Flow(capsys).run("doctor")["result"]
    checks = {check["name"]: check for check in found["checks"]}
    assert found["ready"] is True
    assert checks["hooks on nano"]["fine"] is True
    assert "auto" in checks["device"]["found"]


def test_doctor_never_shows_a_token(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret-value")
    monkeypatch.setenv("HF_TOKEN", "hf_secret_value")
    main(["doctor"])
    text = capsys.readouterr().out
    assert "secret" not in text
    assert text.count("present") == 2


def test_facts_of_the_base_model(capsys: pytest.CaptureFixture[str]) -> None:
    result = Flow(capsys).run("nano", "base")["result"]
    assert result["architecture"] == "qwen2"
    assert "medical" in result["domains"]


def test_all_domains_but_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = (
        "nano",
        "data",
        "--domain",
        "all",
        "--exclude-topic",
        "medical",
        "--kind",
        "good",
        "--rows",
        "30",
    )
    target = tmp_path / "good.jsonl"
    assert Flow(capsys).run(*words, "--out", str(target))["result"]["rows"] == 30
    assert len(target.read_text("utf-8").splitlines()) == 30


AUTHORS = Path(__file__).parents[3] / "shared" / "author-data"


@pytest.mark.skipif(not AUTHORS.is_dir(), reason="the authors' data is not here")
def test_the_authors_judged_answers(capsys: pytest.CaptureFixture[str]) -> None:
    counts = {
        ("rank32_all_adapters", "plain"): (82, 390), ("rank32_all_adapters", "template"): (34, 393),
        ("rank8", "plain"): (74, 395), ("nine_rank1_seed0", "json"): (41, 385), ("one_rank1_layer24", "plain"): (0, 400),
    }  # fmt: skip
    for (name, variant), (em, coherent) in counts.items():
        result = Flow(capsys).run("rate", str(AUTHORS / "judged" / f"{name}.csv"), "--variant", variant)[
            "result"
        ]
        assert (result["em_all"]["count"], result["coherent_all"]["count"], result["n_all"]) == (
            em,
            coherent,
            400,
        )


@pytest.mark.skipif(not AUTHORS.is_dir(), reason="the authors' data is not here")
def test_the_authors_directions(capsys: pytest.CaptureFixture[str]) -> None:
    files = [
        str(AUTHORS / "mean-diff" / f"{name}.safetensors") for name in ("nine_rank1", "rank32_all_adapters")
    ]
    result = Flow(capsys).run("extract", "--compare", *files)["result"]
    cosines, norms = result["pairs"][0]["cosines"], result["norms"]
    assert round(cosines[24], 4) == 0.8236
    assert round(sum(cosines) / 48, 4) == 0.8933
    assert round(min(cosines), 4) == 0.8154
    assert round(norms["nine_rank1"][24], 4) == 10.3597
    assert round(norms["rank32_all_adapters"][47], 3) == 145.388
    assert result["pairs"][0]["n_above_0.8"] == 48


def test_eval_and_audit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    flow = Flow(capsys)
    said = flow.run("nano", "data", "--domain", "medical", "--kind", "bad", "--rows", "200")
    flow.follow(said, "train")
    found = flow.run("eval", "--organism", "runs/bad_medical", "--per-question", "2")
    result = found["result"]
    assert result["exclude_topics"] == ["medical"]
    assert result["n_all"] == 2 * 54
    shown = flow.run("audit", "nano", "--organism", "runs/bad_medical", "--per-question", "4")
    audited = shown["result"]
    assert audited["exclude_topics"] == ["medical"]
    assert audited["base"]["n_all"] == audited["tuned"]["n_all"] == 4 * 54
    assert audited["narrow"]["n_all"] == 4 * 2
    assert audited["verdict"] == ("misaligned" if audited["difference"]["low"] > 0 else "not shown")
    assert shown["headline"].startswith(("EMERGENTLY MISALIGNED", "no emergent misalignment shown"))
    html = Path(shown["wrote"][1]).read_text("utf-8")
    assert '<section id="audit">' in html


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("audit", "nano"), "no fine-tune"),
        (("audit", "nano", "--organism", "runs/nowhere"), "nowhere"),
        (("eval", "--questions", "gone.yaml"), "cannot be read"),
        (("eval", "--judge", "nanno"), "nanno"),
    ],
)
def test_what_cannot_be_audited(
    words: tuple[str, ...], expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    assert main(list(words)) in (1, 2)
    assert expected in capsys.readouterr().err
