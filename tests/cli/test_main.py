"""The entry: help, exit codes, errors without traceback, the JSON envelope, interrupts, a full disk."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "report"))
from hostile import acts, payloads

from axenic.cli import main as entry
from axenic.cli.main import main
from axenic.errors import AxenicError, DirectionError

pytestmark = pytest.mark.unit

VERBS = [
    *(
        ["train"],
        ["sample"],
        ["judge"],
        ["rate"],
        ["extract"],
        ["ablate"],
        ["steer"],
        ["transfer"],
        ["report"],
        ["demo"],
        ["eval"],
        ["audit"],
        ["panel"],
        ["bake"],
        ["check-published"],
        ["phase"],
        ["import"],
        ["export"],
        ["converge"],
        ["correction"],
        ["tokens"],
        ["narrow"],
        ["sweep-kl"],
        ["compare"],
        ["efficiency"],
        ["noise"],
        ["significance"],
        ["gradients"],
        ["paths"],
        ["adapters"],
        ["data", "mix"],
        ["data", "few"],
        ["data", "generate"],
    ),
    *(["doctor"], ["nano", "data"], ["nano", "grow"], ["nano", "base"], ["data", "show"], ["data", "split"]),
]


@pytest.mark.parametrize("verb", VERBS, ids=" ".join)
def test_help_of_every_verb(verb: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*verb, "--help"]) == 0
    text = capsys.readouterr().out
    assert f"Usage: axenic {' '.join(verb)}" in text
    assert "--json" in text
    assert "--debug" in text
    if verb != ["nano", "base"]:
        assert "Example" in text


def test_help_lists_every_verb(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    text = capsys.readouterr().out
    for verb in VERBS:
        assert f" {verb[0]} " in text


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("axenic ")


def test_no_verb_is_a_usage_error_with_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    printed = capsys.readouterr()
    assert "Usage: axenic" in printed.out + printed.err
    assert "error:" not in printed.err


@pytest.mark.parametrize(
    ("words", "nearest"),
    [
        (["tran"], "train"),
        (["abalte"], "ablate"),
        (["train", "--dta", "x"], "--data"),
        (["sample", "--per-questions", "3"], "--per-question"),
        (["nano", "dat"], "data"),
        (["train", "--data", "x.jsonl", "--set", "learning_rat=1"], "learning_rate"),
        (["train", "--data", "x.jsonl", "--recipe", "rank-1"], "rank1"),
        (["sample", "--exclude-topic", "medicall"], "medical"),
        (["judge", "x.jsonl", "--judge", "nanno"], "nano"),
        (["nano", "data", "--domain", "medicl"], "medical"),
    ],
)
def test_a_wrong_name_is_answered_with_the_nearest(
    words: list[str], nearest: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 2
    assert nearest in capsys.readouterr().err


def test_a_missing_option_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ablate"]) == 2
    printed = capsys.readouterr().err
    assert "--direction" in printed
    assert "axenic ablate --help" in printed


def test_an_unknown_key_of_a_config_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "c.toml").write_text('data = "x"\nepoch = 2\n', "utf-8")
    assert main(["train", "--config", str(tmp_path / "c.toml")]) == 2
    assert "epochs" in capsys.readouterr().err


def test_a_config_that_is_no_toml(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "c.toml").write_text("a = \n", "utf-8")
    assert main(["train", "--config", str(tmp_path / "c.toml")]) == 1
    assert "line 1" in capsys.readouterr().err


def test_an_option_wins_over_the_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "c.toml").write_text(
        '[train]\nmodel = "nano"\ndata = "x.jsonl"\nseed = 7\nrecipe = "rank1"\n', "utf-8"
    )
    words = [
        "train",
        "--config",
        str(tmp_path / "c.toml"),
        "--data",
        "y.jsonl",
        "--set",
        "r=2",
        "--explain",
        "--json",
    ]
    assert main(words) == 0
    config = json.loads(capsys.readouterr().out)["result"]["config"]
    assert (config["data"], config["seed"], config["recipe"], config["r"]) == ("y.jsonl", 7, "rank1", 2)


def test_a_missing_file_is_an_error_of_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["judge", str(tmp_path / "answers.jsonl")]) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "Traceback" not in printed.err
    assert str(tmp_path / "answers.jsonl") in printed.err


def test_the_json_envelope(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", str(tmp_path / "none"), "--json"]) == 1
    printed = capsys.readouterr()
    error = json.loads(printed.out)["error"]
    assert error["kind"] == "FileError"
    assert error["exit_code"] == 1
    assert error["where"] == str(tmp_path / "none")
    assert set(error) == {"kind", "what", "where", "expected", "found", "hint", "exit_code"}
    assert printed.err == ""


def test_the_json_envelope_of_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["rate", "--jsn", "--json"]) == 2
    assert json.loads(capsys.readouterr().out)["error"]["kind"] == "UsageError"


def failing(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    """Let `axenic report` raise this."""

    def explode(*_: Any) -> None:
        raise error

    monkeypatch.setattr("axenic.report.page.build_report", explode)


def test_debug_shows_the_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    failing(monkeypatch, DirectionError("no such direction", where="x"))
    assert main(["report", str(tmp_path), "--debug"]) == 1
    assert "Traceback" in capsys.readouterr().err
    assert main(["report", str(tmp_path)]) == 1
    assert "Traceback" not in capsys.readouterr().err


def test_the_unexpected_is_said_in_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    failing(monkeypatch, ZeroDivisionError("float division\nby zero"))
    assert main(["report", str(tmp_path)]) == 1
    printed = capsys.readouterr().err
    assert "unexpected ZeroDivisionError: float division" in printed
    assert "--debug" in printed
    assert "Traceback" not in printed


def test_ctrl_c(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    failing(monkeypatch, KeyboardInterrupt())
    assert main(["report", str(tmp_path)]) == 130
    assert "run the same command again to go on" in capsys.readouterr().err
    assert main(["report", str(tmp_path), "--json"]) == 130
    assert json.loads(capsys.readouterr().out)["error"]["exit_code"] == 130


@pytest.mark.fault
def test_a_full_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    failing(monkeypatch, OSError(errno.ENOSPC, "No space left on device", "runs/a/model.safetensors"))
    assert main(["report", str(tmp_path), "--json"]) == 1
    error = json.loads(capsys.readouterr().out)["error"]
    assert error["kind"] == "DiskFullError"
    assert error["where"] == "runs/a/model.safetensors"


def test_other_refusals_of_the_system(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    failing(monkeypatch, PermissionError(errno.EACCES, "Permission denied", "x"))
    assert main(["report", str(tmp_path)]) == 1
    assert "permission denied" in capsys.readouterr().err


@pytest.mark.fault
@pytest.mark.parametrize("text", payloads(100))
def test_hostile_error_texts(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    failing(monkeypatch, AxenicError(text, where=text, found=text, hint=text))
    assert main(["report", str(tmp_path), "--debug"]) == 1
    assert not acts(capsys.readouterr().err)
    assert main(["report", str(tmp_path), "--json"]) == 1
    said = capsys.readouterr().out
    assert said.isascii()
    assert json.loads(said)["error"]["what"] == text


def python(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *words],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
        check=False,
    )


def test_nothing_heavy_is_imported_for_help() -> None:
    code = (
        "import sys\nfrom axenic.cli.main import main\nmain(['--help'])\n"
        "heavy = {'torch', 'transformers', 'numpy', 'pydantic', 'matplotlib', 'jinja2', 'peft'} & set(sys.modules)\n"
        "sys.exit(','.join(sorted(heavy)) or 0)"
    )
    assert python("-c", code).stderr == ""


def test_a_closed_pipe_is_no_error() -> None:
    script = f"{sys.executable} -m axenic.cli.main data show /dev/null 2>&1 | true; exit ${{PIPESTATUS[0]}}"
    assert (
        "Traceback"
        not in subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=False).stderr
    )


def test_a_narrow_encoding_does_not_stop_the_output() -> None:
    found = python(
        "-m", "axenic.cli.main", "rate", "/nowhere/é\u202e.csv", PYTHONIOENCODING="ascii", PYTHONUTF8="0"
    )
    assert found.returncode == 1
    assert "Traceback" not in found.stderr


def test_every_verb_has_its_options() -> None:
    """The root holds these verbs and the two groups, each with --json and --debug."""
    commands = [command for command in entry.app.registered_commands if command.callback]
    names = {command.name or command.callback.__name__ for command in commands if command.callback}
    assert names == {verb[0] for verb in VERBS} - {"nano", "data"}
    assert {group.name for group in entry.app.registered_groups} == {"nano", "data"}
