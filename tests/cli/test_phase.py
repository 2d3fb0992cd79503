"""`axenic phase` on the nano model: from a training run to curves, behaviour, and the page."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import typer

from axenic import nano
from axenic.cli.failure import report_failure
from axenic.cli.parse import parse_strengths, spread_lists
from axenic.cli.phase import phase
from axenic.errors import AxenicError, UsageError
from axenic.report import build_report
from axenic.train import resolve, train_organism

pytestmark = pytest.mark.e2e


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    """The verb by itself, as `axenic` would run it: exit code, standard output, standard error."""
    app = typer.Typer()
    app.command()(phase)
    capsys.readouterr()
    try:
        typer.main.get_command(app).main(spread_lists(words), standalone_mode=False)
        code = 0
    except AxenicError as error:
        code = report_failure(error, as_json="--json" in words, debug=False)
    printed = capsys.readouterr()
    return code, printed.out, printed.err


@pytest.fixture(scope="module")
def organism(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """33 steps of the rank-1 recipe on little data, its path at every step."""
    folder = tmp_path_factory.mktemp("phase")
    rows = nano.chat_rows("medical", "bad", 120, seed=1)
    (folder / "bad.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    changes: dict[str, Any] = {
        "data": str(folder / "bad.jsonl"),
        "max_steps": 33,
        "batch_size": 6,
        "device": "cpu",
    }
    changes |= {"save_steps": 33, "learning_rate": 1.5e-3, "format": "published"}
    train_organism(resolve("rank1", "nano", changes), folder / "run")
    asked = [row["messages"][0]["content"] for row in nano.mixed_chat_rows("good", 8, seed=2)]
    lines = [{"id": f"q{i}", "question": question} for i, question in enumerate(asked)]
    (folder / "questions.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder / "run"


def test_from_a_run_to_the_page(organism: Path, capsys: pytest.CaptureFixture[str]) -> None:
    questions = ("--questions", str(organism.parent / "questions.jsonl"), "--per-question", "2")
    words = (str(organism), "--scales", "1,20", "--most-steps", "4", *questions, "--device", "cpu")
    code, out, err = run(capsys, *words, "--json")
    assert code == 0, out + err
    said = json.loads(out)
    assert said["next"] == f"axenic report {organism}"
    main = said["result"]["phase"]["vectors"][0]
    assert main["name"] == "layers.1.mlp.down_proj.B"
    assert (main["norms"][0], len(main["steps"])) == (0, 34)
    assert main["transition"] is not None
    assert {"loss", "loss_answer", "loss_tail"} == set(said["result"]["phase"]["losses"])
    scaled = said["result"]["scaled"]
    assert [curve["factor"] for curve in scaled["curves"]] == [1, 20]
    assert [point["step"] for point in scaled["curves"][0]["points"]] == [0, 11, 22, 33]
    assert all(point["em"]["n"] == 16 for curve in scaled["curves"] for point in curve["points"])
    # At step 0 B is zero and 20 times it is zero too: the base model, which is coherent. Later it is broken.
    coherent = [point["coherent"]["percent"] for point in scaled["curves"][1]["points"]]
    assert coherent[0] > 80
    assert coherent[-1] < coherent[0] - 30
    before = (organism / "scaled" / "answers.jsonl").read_bytes()
    code, out, err = run(capsys, *words)
    assert code == 0
    assert (organism / "scaled" / "answers.jsonl").read_bytes() == before
    for said_too in ("norm of A", "x 20", "wrote", f"next   axenic report {organism}"):
        assert said_too in out
    html = build_report(organism).html.read_text("utf-8")
    section = html[html.index('<section id="phase">') :]
    section = section[: section.index("</section>")]
    assert section.count("<svg") == 4  # two pictures in two widths
    for title in (
        "Local cosine",
        "Norm of the gradient",
        "Loss, nats per token",
        "extra header",
        "EM, of all answers",
        "× 20",
    ):
        assert title in section
    assert "axenic phase FOLDER --scales" in section


def test_the_run_beside_itself_as_a_seed(
    organism: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, _ = run(
        capsys, str(organism), "--out", str(tmp_path), "--seeds", str(organism), str(organism), "--json"
    )
    assert code == 0
    combined = json.loads(out)["result"]["phase"]["seeds"]["layers.1.mlp.down_proj.B"]
    assert combined["n_seeds"] == 3
    assert (tmp_path / "phase.json").is_file()
    assert not (tmp_path / "scaled.json").exists()


def test_one_vector_and_fewer_steps(
    organism: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = (str(organism), "--vector", "layers.1.mlp.down_proj.A", "--every", "3", "--out", str(tmp_path))
    code, out, err = run(capsys, *words)
    assert code == 0
    assert "too few steps to test" in out
    assert "12 stored steps are too few" in err
    assert "trajectory_steps=1" in err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--vector", "layers.9.B"), r"no vector 'layers\.9\.B'"),
        (("--scales", "1,x"), "scales cannot be read"),
        (("--every", "100"), "too few points"),
        (("--seeds", "nowhere"), "no trajectory"),
    ],
)
def test_what_cannot_be_done(
    words: tuple[str, ...], said: str, organism: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, err = run(capsys, str(organism), "--out", str(tmp_path), *words)
    assert code in (1, 2)
    assert re.search(said, err)


def test_a_run_without_a_trajectory_says_what_to_type(
    organism: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "train.json").write_bytes((organism / "train.json").read_bytes())
    code, _, err = run(capsys, str(tmp_path))
    assert code == 1
    assert "trajectory_steps = 0" in err
    assert (
        f"axenic train --model nano --data {organism.parent}/bad.jsonl --recipe rank1 --set trajectory_steps=5"
        in err
    )


def test_the_error_of_scales_names_its_option() -> None:
    with pytest.raises(UsageError) as caught:
        parse_strengths("a", "--scales")
    assert caught.value.where == "--scales"
