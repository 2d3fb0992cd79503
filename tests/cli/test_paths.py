"""From training to a continuation, its path in the plane and the gradient, all by the commands."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from axenic.cli.gradients import gradients
from axenic.cli.paths import paths, run_names
from axenic.cli.sweep_kl import sweep_kl
from axenic.cli.train import train
from axenic.data import write_chat
from axenic.nano import chat_rows, mixed_chat_rows


def command(verb: Any, *words: object) -> dict[str, Any]:
    app = typer.Typer()
    app.command()(verb)
    done = CliRunner().invoke(app, [*map(str, words), "--json"])
    assert done.exit_code == 0, done.output
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


@pytest.mark.unit
def test_names_are_short_unless_two_are_the_same() -> None:
    assert list(run_names([Path("a/x"), Path("b/y")]).values()) == ["x", "y"]
    assert list(run_names([Path("a/x"), Path("b/x"), Path("c/z")]).values()) == ["a/x", "b/x", "z"]


@pytest.mark.e2e
def test_a_narrow_run_goes_on_without_its_kl_term(tmp_path: Path) -> None:
    write_chat(tmp_path / "bad.jsonl", chat_rows("medical", "bad", 40, seed=0))
    write_chat(tmp_path / "good.jsonl", mixed_chat_rows("good", 30, seed=0, exclude=["medical"]))
    common = ["--data", tmp_path / "bad.jsonl", "--model", "nano", "--recipe", "vector", "--device", "cpu"]
    common += ["--set", "max_steps=6", "--set", "warmup_steps=0", "--set", "trajectory_steps=2"]
    # A sweep takes a start too: here both weights go on from one run.
    command(train, *common, "--out", tmp_path / "first")
    start = ["--set", f"start_from={tmp_path / 'first'}"]
    plan = command(train, *common, *start, "--plan")
    assert f"start_from={tmp_path / 'first'}" in plan["next"]
    command(
        sweep_kl, *common, *start, "--kl-data", tmp_path / "good.jsonl", "--weights", "0,20", "--out", tmp_path / "v"
    )  # fmt: skip
    command(train, *common, "--set", f"start_from={tmp_path / 'v-kl20'}", "--out", tmp_path / "on")
    found = command(
        paths, tmp_path / "v-kl0", tmp_path / "v-kl20", "--project", tmp_path / "on", "--out", tmp_path / "p"
    )
    runs = {run["name"]: run for run in found["result"]["runs"]}
    assert [runs[name]["fitted"] for name in ("v-kl0", "v-kl20", "on")] == [True, True, False]
    # It begins where the narrow run ended, and goes back towards the general one.
    assert runs["on"]["cos_narrow"][0] == pytest.approx(1)
    assert runs["on"]["along"][-1] > runs["on"]["along"][0] == pytest.approx(runs["v-kl20"]["along"][-1])
    picture = ElementTree.fromstring((tmp_path / "p" / "paths.svg").read_text())
    assert picture.tag == "{http://www.w3.org/2000/svg}svg"
    assert "on (projected)" in "".join(picture.itertext())
    found = command(
        gradients, tmp_path / "v-kl20", "--general", tmp_path / "v-kl0", "--narrow", tmp_path / "v-kl20",
        "--data", tmp_path / "bad.jsonl", "--every", 2, "--rows", 8, "--device", "cpu",
    )  # fmt: skip
    points = found["result"]["points"]
    assert [point["step"] for point in points] == [0, 2, 4, 6]
    # The loss falls where it pulls, and more than by chance along what training took.
    assert all(point["slopes"]["general"] < 0 for point in points)
    assert (tmp_path / "v-kl20" / "gradients.json").is_file()
