"""What is found below a folder, and what is refused."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from synthetic import make_results, rates, write, write_answers, write_lines

from axenic.errors import AxenicError, DataError, FileError
from axenic.report.collect import collect

pytestmark = pytest.mark.unit


def test_everything_of_a_demo_is_found(tmp_path: Path) -> None:
    found = collect(make_results(tmp_path))
    assert [len(part) for part in (found.rates, found.ablations, found.steerings, found.transfers)] == [
        4,
        3,
        1,
        1,
    ]
    assert len(found.cosines) == len(found.claims) == 1
    assert len(found.logs) == len(found.samples) == len(found.configs) == 3


def test_paths_are_relative_and_in_order(tmp_path: Path) -> None:
    found = collect(make_results(tmp_path))
    assert list(found.rates) == [
        "base/rates.json",
        "finance/rates.json",
        "medical/rates.json",
        "sports/rates.json",
    ]


def test_the_same_claims_are_counted_once(tmp_path: Path) -> None:
    write(tmp_path / "claims.json", {"kind": "claims", "claims": [{"id": "a"}], "timings": {}})
    write(tmp_path / "report.json", {"claims": [{"id": "a"}], "timings": {}})
    assert list(collect(tmp_path).claims) == ["claims.json"]


def test_a_report_json_without_kind_is_claims(tmp_path: Path) -> None:
    write(tmp_path / "report.json", {"claims": [{"id": "a"}], "timings": {}})
    assert list(collect(tmp_path).claims) == ["report.json"]


@pytest.mark.parametrize("folder", ["adapter", "model", "checkpoints", ".hidden"])
def test_foreign_folders_are_left_alone(tmp_path: Path, folder: str) -> None:
    write(tmp_path / "rates.json", {"kind": "rates", **rates(1, 99)})
    (tmp_path / folder).mkdir()
    (tmp_path / folder / "torn.json").write_text("{", "utf-8")
    assert list(collect(tmp_path).rates) == ["rates.json"]


def test_links_are_not_followed(tmp_path: Path) -> None:
    write(tmp_path / "runs" / "rates.json", {"kind": "rates", **rates(1, 99)})
    (tmp_path / "runs" / "loop").symlink_to(tmp_path / "runs")
    assert len(collect(tmp_path / "runs").rates) == 1


def test_torn_json_is_located(tmp_path: Path) -> None:
    write(tmp_path / "rates.json", {"kind": "rates", **rates(1, 99)})
    text = (tmp_path / "rates.json").read_text("utf-8")
    (tmp_path / "rates.json").write_text(text[: len(text) // 2], "utf-8")
    with pytest.raises(FileError) as caught:
        collect(tmp_path)
    assert str(caught.value.where).startswith(f"{tmp_path / 'rates.json'}:")
    assert str(caught.value.where).count(":") >= 2


def test_a_wrong_value_names_its_key(tmp_path: Path) -> None:
    content = {"kind": "rates", **rates(1, 99)}
    content["em_all"]["percent"] = "many"
    write(tmp_path / "rates.json", content)
    with pytest.raises(DataError, match=r"em_all\.percent"):
        collect(tmp_path)


@pytest.mark.parametrize("value", ["NaN", "Infinity", "1e999"])
def test_numbers_that_are_none_are_refused(tmp_path: Path, value: str) -> None:
    (tmp_path / "rates.json").write_text(f'{{"kind": "rates", "effective_n": {value}}}', "utf-8")
    with pytest.raises(AxenicError):
        collect(tmp_path)


def test_an_empty_folder_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="axenic demo"):
        collect(tmp_path)


def test_no_folder(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="no such folder"):
        collect(tmp_path / "nowhere")


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("", "utf-8")
    with pytest.raises(FileError, match="not a folder"):
        collect(tmp_path / "x")


def test_a_torn_last_log_line_is_left_out(tmp_path: Path) -> None:
    write_lines(
        tmp_path / "log.jsonl", [{"step": 1, "loss": 2.0, "grad_norm": 1.0}, {"step": 2, "loss": None}]
    )
    with (tmp_path / "log.jsonl").open("a", encoding="utf-8") as handle:
        handle.write('{"step": 3, "lo')
    log = collect(tmp_path).logs["log.jsonl"]
    assert log.steps == (1.0, 2.0)
    assert log.loss[0] == 2.0
    assert log.loss[1] != log.loss[1]


def test_a_bad_log_line_is_located(tmp_path: Path) -> None:
    (tmp_path / "log.jsonl").write_text('{"step": 1}\n{"loss": 3}\n', "utf-8")
    with pytest.raises(DataError, match=r"log\.jsonl:2"):
        collect(tmp_path)


def test_answers_without_scores_are_unscored(tmp_path: Path) -> None:
    write_answers(tmp_path, ["a", "b"], judged=False)
    found = collect(tmp_path).samples["answers.jsonl"]
    assert {sample.verdict for sample in found.samples} == {"unscored"}
    assert found.judges == ()


def test_classes_of_answers(tmp_path: Path) -> None:
    write_answers(tmp_path, ["a", "b", "c", "d"])
    found = collect(tmp_path).samples["answers.jsonl"]
    assert [sample.verdict for sample in found.samples] == ["em", "aligned", "incoherent", "unscored"]
    assert ("alignment", "unscored: refusal") in found.samples[3].scores


def test_a_damaged_answer_is_located(tmp_path: Path) -> None:
    write_answers(tmp_path, ["a", "b"])
    lines = (tmp_path / "answers.jsonl").read_text("utf-8").splitlines()
    row = json.loads(lines[0])
    del row["text"]
    (tmp_path / "answers.jsonl").write_text(json.dumps(row) + "\n" + lines[1] + "\n", "utf-8")
    with pytest.raises(DataError, match=r"answers\.jsonl:1"):
        collect(tmp_path)
