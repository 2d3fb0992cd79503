"""The Parquet file of scalars: read back, by another library too, and refused where it is not whole."""

from __future__ import annotations

import json
import tracemalloc

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from axenic.errors import FileError, UsageError
from axenic.interpret.scalarfile import read_scalars, write_scalars
from axenic.interpret.scalars import collect_scalars

pytestmark = pytest.mark.unit


@pytest.fixture
def written(lora, answers, tmp_path):
    opened, texts = lora(rank=2, rslora=True, targets=("down_proj", "lm_head")), answers(7)
    path = tmp_path / "adapters" / "scalars.parquet"
    write_scalars(path, opened, texts)
    return opened, texts, path


def test_there_and_back(lora, answers, tmp_path, monkeypatch):
    opened, texts, path = lora(rank=2), answers(9), tmp_path / "scalars.parquet"
    T = sum(len(a.tokens) for a in texts)
    found = collect_scalars(opened, texts, score_T=torch.arange(T).double())
    monkeypatch.setattr("axenic.interpret.scalars.BLOCK_TOKENS", 20)
    assert write_scalars(path, opened, texts, score_T=torch.arange(T).double()) == T
    assert pq.ParquetFile(path).metadata.num_row_groups > 2
    again = read_scalars(path)
    for name in vars(found):
        one, two = getattr(found, name), getattr(again, name)
        if name == "scalars_TC":
            assert torch.allclose(one, two, rtol=1e-6, atol=1e-6)
        elif isinstance(one, torch.Tensor):
            assert torch.equal(one, two)
            assert one.dtype == two.dtype
        else:
            assert one == two
    assert again.score_T.tolist() == list(range(T))


def test_what_another_library_reads(lora, answers, tmp_path):
    opened, texts = lora(rank=2, rslora=True, targets=("down_proj", "lm_head")), answers(7)
    path, classes = tmp_path / "s.parquet", {texts[0].id: "domain aligned", texts[1].id: None}
    write_scalars(path, opened, texts, class_of=classes)
    found = collect_scalars(opened, texts)
    table = pq.read_table(path)
    names = [f"{l}.mlp.down_proj.{c}" for l in range(3) for c in range(2)] + ["3.lm_head.0", "3.lm_head.1"]
    assert table.column_names == [
        "answer_id",
        "question_id",
        "position",
        "token_id",
        "token",
        "class",
        *names,
    ]
    assert {str(table.schema.field(name).type) for name in names} == {"float"}
    rows = table.to_pylist()
    assert [row["answer_id"] for row in rows] == [a.id for a in texts for _ in a.tokens]
    assert [row["question_id"] for row in rows] == [a.question_id for a in texts for _ in a.tokens]
    assert [row["class"] for row in rows] == [classes.get(a.id) for a in texts for _ in a.tokens]
    for text in texts:
        own = "".join(row["token"] for row in rows if row["answer_id"] == text.id)
        assert own == opened.tokenizer.decode(text.tokens)
    assert [row["2.mlp.down_proj.1"] for row in rows] == found.scalars_TC[:, 5].tolist()
    facts = json.loads(table.schema.metadata[b"axenic_scalars"])
    assert facts["base"] == opened.identity.base
    assert facts["tokenizer"] == opened.identity.tokenizer
    assert [c["scale"] for c in facts["columns"]] == pytest.approx([8 / 2**0.5] * 8)
    assert facts["columns"][4] == {
        "name": "2.mlp.down_proj.0", "layer": 2, "module": found.modules_C[4], "component": 0,
        "scale": pytest.approx(8 / 2**0.5), "b_norm": pytest.approx(float(found.b_norm_C[4])),
    }  # fmt: skip


def test_some_columns(written):
    whole, path = read_scalars(written[2]), written[2]
    part = read_scalars(path, ["3.lm_head.1", "0.mlp.down_proj.0"])
    assert torch.equal(part.scalars_TC, whole.scalars_TC[:, [7, 0]])
    assert part.names_C == ("3.lm_head.1", "0.mlp.down_proj.0")
    assert part.layers_C.tolist() == [3, 0]
    for columns in ([], ["4.lm_head.0"]):
        with pytest.raises(UsageError, match="no such scalars"):
            read_scalars(path, columns)


def test_what_does_not_fit_into_memory_is_refused(written, monkeypatch):
    T = sum(len(a.tokens) for a in written[1])
    monkeypatch.setattr("axenic.interpret.scalarfile.MOST_BYTES", 4 * T * 2)
    with pytest.raises(UsageError, match="do not fit into memory"):
        read_scalars(written[2])
    assert read_scalars(written[2], ["0.mlp.down_proj.0", "1.mlp.down_proj.0"]).scalars_TC.shape == (T, 2)


def test_a_table_that_was_sorted_filtered_or_changed_is_refused(written):
    path = written[2]
    table = pq.read_table(path)
    n = table.num_rows

    def put(changed):
        pq.write_table(changed.replace_schema_metadata(table.schema.metadata), path)

    for order in (
        [*range(1, n)],
        [*range(n - 1)],
        [*range(n - 1, -1, -1)],
        [0, 1, *range(3, n)],
        [*range(n), *range(len(written[1][0].tokens))],
    ):
        put(table.take(order))
        with pytest.raises(FileError, match="whole answers in order"):
            read_scalars(path)
    put(table.drop_columns(["1.mlp.down_proj.0"]))
    with pytest.raises(FileError, match="lacks a column"):
        read_scalars(path)
    put(table.set_column(table.column_names.index("position"), "position", pa.array([None] * n, pa.int32())))
    with pytest.raises(FileError, match="holds other things"):
        read_scalars(path)
    pq.write_table(table.replace_schema_metadata({"axenic_scalars": '{"columns": [{"name": "x"}]}'}), path)
    with pytest.raises(FileError, match="does not say which adapters"):
        read_scalars(path)
    pq.write_table(table.replace_schema_metadata({}), path)
    with pytest.raises(FileError, match="does not say what"):
        read_scalars(path)


def test_a_run_that_breaks_leaves_the_old_file(written, answers, monkeypatch):
    opened, texts, path = written
    before = path.read_bytes()
    monkeypatch.setattr("axenic.interpret.scalars.BLOCK_TOKENS", 1)
    calls = 0

    def interrupted(*args, **facts):
        nonlocal calls
        calls += 1
        if calls == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_scalars(path, opened, texts, progress=interrupted)
    assert path.read_bytes() == before
    assert [entry.name for entry in path.parent.iterdir()] == ["scalars.parquet"]
    assert not any(site.lora_A._forward_hooks for site in opened.sites.lora_modules().values())


def test_memory_does_not_grow_with_the_answers(lora, answers, tmp_path, monkeypatch):
    """Blocks of 200 tokens: four times the answers must not need four times the blocks' memory."""
    opened = lora(rank=64, targets=("down_proj", "o_proj"))
    monkeypatch.setattr("axenic.interpret.scalars.BLOCK_TOKENS", 200)
    alive, most = [], []
    real = torch.empty

    def counted(*shape, **facts):
        tensor = real(*shape, **facts)
        if len(shape) == 2 and shape[1] == 64 * 6:
            alive.append(tensor.untyped_storage())
        return tensor

    monkeypatch.setattr("axenic.interpret.scalars.torch.empty", counted)
    for n in (40, 160):
        alive.clear()
        tracemalloc.start()
        write_scalars(tmp_path / "s.parquet", opened, answers(n))
        most.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert max(storage.nbytes() for storage in alive) <= 4 * 200 * 64 * 6
    assert len(alive) > 4
    assert most[1] < 2 * most[0]
