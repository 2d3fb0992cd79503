"""`axenic import` and `axenic export`: whole commands on files of strangers."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest
import torch
import typer
from typer.testing import CliRunner

from axenic.cli import export, import_
from axenic.cli.main import app
from axenic.directions import Direction
from axenic.errors import DirectionError, FileError, UsageError
from axenic.files import save_tensors
from axenic.formats import LayerVectors
from axenic.nano import MODEL_PATH

pytestmark = pytest.mark.e2e

NANO = MODEL_PATH / "config.json"


def run(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[str, str]:
    one = typer.Typer()
    one.command("import", epilog=import_.EPILOG)(import_.import_)
    one.command("export", epilog=export.EPILOG)(export.export)
    typer.main.get_command(one).main([str(word) for word in words], standalone_mode=False)
    done = capsys.readouterr()
    return done.out, done.err


@pytest.fixture(scope="module")
def nano() -> tuple[int, int]:
    config = json.loads(NANO.read_text())
    return config["num_hidden_layers"], config["hidden_size"]


@pytest.fixture
def persona(tmp_path: Path, nano: tuple[int, int]) -> Path:
    n_layers, width = nano
    rows = torch.randn(n_layers + 1, width, generator=torch.Generator().manual_seed(0))
    rows[:, 0] = torch.arange(n_layers + 1) + 0.5
    torch.save(rows, tmp_path / "evil_response_avg_diff.pt")
    return tmp_path / "evil_response_avg_diff.pt"


def test_a_pickle_of_persona_vectors_to_gguf(
    persona: Path, nano: tuple[int, int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    direction = tmp_path / "d.safetensors"
    out, err = run(capsys, "import", persona, "--allow-pickle", "--base-model", "nano", "--out", direction)
    assert f"all {nano[0]}" in out
    assert "final norm" in err
    loaded = Direction.load(direction)
    assert float(loaded.vectors_LD[2, 0]) == 3.5, "row 3 of the file is the output of block 2"

    out, _ = run(capsys, "import", direction, "--json", "--out", tmp_path / "again.safetensors")
    result = json.loads(out)
    assert result["result"]["kind"] == "direction"
    assert shlex.split(result["next"])[:2] == ["axenic", "steer"]

    run(
        capsys,
        "export",
        direction,
        "--format",
        "gguf",
        "--layers",
        "2",
        "--strength",
        "2",
        "--out",
        tmp_path / "d.gguf",
    )
    run(capsys, "import", tmp_path / "d.gguf", "--out", tmp_path / "back.safetensors")
    back = LayerVectors.load(tmp_path / "back.safetensors")
    assert (back.layers, float(back.vectors_KD[0, 0])) == ((2,), 7.0)


def test_the_model_that_was_imported_for_is_the_one_that_is_opened(
    persona: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from axenic.models import open_model

    run(capsys, "import", persona, "--allow-pickle", "--base-model", "nano", "--out", tmp_path / "d")
    opened = open_model("nano", device="cpu", self_test=False)
    info = Direction.load(tmp_path / "d").info
    assert info.base_fingerprint == opened.identity.base
    assert info.tokenizer_fingerprint == opened.identity.tokenizer


def test_what_is_missing_is_asked_for(
    persona: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(FileError, match="--allow-pickle"):
        run(capsys, "import", persona)
    with pytest.raises(DirectionError) as caught:
        run(capsys, "import", persona, "--allow-pickle")
    # The hint is the command to type, the words in capitals to be filled in.
    assert caught.value.hint == (
        f"axenic import {persona} --allow-pickle --base-model MODEL "
        "--rows block_output_0|embeddings_first|block_input"
    )
    save_tensors(tmp_path / "x", {"layer_activations.1": torch.ones(7)})
    with pytest.raises(DirectionError, match="not of the model's width"):
        run(capsys, "import", tmp_path / "x", "--base-model", "nano")


def test_scalars_and_vectors_at_some_blocks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tensors = {
        "scalars": torch.rand(5, 2),
        "answer_id": torch.tensor([0, 0, 0, 1, 1]),
        "layers": torch.tensor([15, 16]),
    }
    save_tensors(tmp_path / "x", tensors)
    out, _ = run(capsys, "import", tmp_path / "x")
    assert "15, 16" in out
    assert (tmp_path / "x-scalars.safetensors").is_file()
    with pytest.raises(UsageError, match="no direction"):
        run(capsys, "export", tmp_path / "x-scalars.safetensors", "--format", "gguf", "--out", tmp_path / "y")

    save_tensors(tmp_path / "v", {"v": torch.ones(json.loads(NANO.read_text())["hidden_size"], 1)})
    out, _ = run(
        capsys,
        "import",
        tmp_path / "v",
        "--base-model",
        "nano",
        "--layer",
        "1",
        "--alpha",
        "256",
        "--negate",
        "--json",
    )
    result = json.loads(out)["result"]
    assert (result["layers"], result["facts"]["site"], result["kind"]) == ([1], "mlp_out", "layer vectors")
    made = LayerVectors.load(result["file"])
    assert float(made.vectors_KD[0, 0]) == -256.0
    assert made.info.recipe["alpha"] == 256.0


def test_a_trained_vector_is_steered_with_by_the_command_that_import_names(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], nano: tuple[int, int]
) -> None:
    """Formats F4: alpha times the vector at one block's MLP output, and random controls of the same norm there."""
    vector_D = torch.nn.functional.normalize(
        torch.randn(nano[1], generator=torch.Generator().manual_seed(0)), dim=0
    )
    facts = {"layer_idx": 3, "d_model": nano[1], "alpha": 8.0, "approach": "toggle_based"}
    torch.save({"steering_vector": vector_D, **facts}, tmp_path / "steering_vector.pt")
    out, _ = run(
        capsys, "import", tmp_path / "steering_vector.pt", "--base-model", "nano", "--allow-pickle", "--json"
    )
    following = shlex.split(json.loads(out)["next"])
    assert following[:4] == ["axenic", "steer", "--model", "nano"]
    questions = tmp_path / "q.jsonl"
    questions.write_text('{"id": "a", "question": "how do i handle the fever ?"}\n')
    few = [
        "--questions",
        str(questions),
        "--per-question",
        "1",
        "--max-new-tokens",
        "3",
        "--strengths",
        "1,-1",
    ]
    done = CliRunner().invoke(app, [*following[1:], *few, "--json"])
    assert done.exit_code == 0, done.output
    arms = json.loads(done.stdout)["result"]["arms"]
    assert [(arm["role"], arm["layer"], arm["strength"]) for arm in arms] == [
        ("plain", None, None), ("direction", 3, 1.0), ("direction", 3, -1.0), ("random", 3, 1.0), ("random", 3, -1.0)
    ]  # fmt: skip
    vectors = LayerVectors.load(tmp_path / "steering_vector-direction.safetensors")
    assert (vectors.layers, vectors.info.site) == ((3,), "mlp_out")
    assert float(vectors.norms_K()) == pytest.approx(8.0)
    refused = CliRunner().invoke(app, [*following[1:], "--layers", "2"])
    assert "no vector at layer 2" in str(refused.exception)
    assert refused.exception.expected == "one of the layers that have one: 3"  # type: ignore[union-attr]


def test_slips(persona: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UsageError, match="--rows"):
        run(capsys, "import", persona, "--rows", "embedding_first")
    with pytest.raises(UsageError, match="there is no format"):
        run(capsys, "export", persona, "--format", "gguuf", "--out", tmp_path / "x")
    before = persona.read_bytes()
    with pytest.raises(UsageError, match="would replace the file"):
        run(capsys, "import", persona, "--allow-pickle", "--base-model", "nano", "--out", persona)
    assert persona.read_bytes() == before
