"""Adapter scalars on disk: one Parquet table, a row for each answer token, written while the model runs.

Columns: `answer_id`, `question_id`, `position` (0 at the answer's first token), `token_id`, `token` (the text that it adds),
`class` (null where the answer has none), `significance_nats` (where it was measured), then one float32 column of A h for
each adapter and rank, named as in `AdapterScalars.names_C`. The schema's metadata say of which model, and what each column's
scale and norm of B are. pandas, polars, DuckDB and R read it as it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from axenic.errors import FileError, UsageError
from axenic.files import parquet_facts, parquet_writer, read_parquet
from axenic.interpret.scalars import BATCH_TOKENS, MOST_BYTES, AdapterScalars, scalar_blocks
from axenic.interpret.tokens import token_texts
from axenic.models import OpenModel
from axenic.progress import Progress, silent
from axenic.sample import Answer

FILE, KEY = "scalars.parquet", "axenic_scalars"
SIGNIFICANCE = "significance_nats"
_WORDS = ("answer_id", "question_id", "token", "class")


def write_scalars(
    path: str | Path,
    opened: OpenModel,
    answers: Sequence[Answer],
    *,
    class_of: Mapping[str, str | None] | None = None,
    score_T: Tensor | None = None,
    batch_tokens: int = BATCH_TOKENS,
    progress: Progress = silent,
) -> int:
    """Stream the adapters' scalars at every token of the answers into a Parquet file; memory holds one block of them.

    The file takes its name when it is whole: a killed run leaves none, or the one that was there.

    Args:
        path: The file.
        opened: The organism.
        answers: Finished answers, each once; at least one.
        class_of: Answer id -> class, e.g. by `answer_class`; answers that are not in it have none.
        score_T: Token significance of the same answers (`token_significance`), nats.
        batch_tokens: Upper bound of a batch's tokens, padding counted.
        progress: Told after every batch.

    Returns:
        How many tokens were written.

    Raises:
        FileError, DiskFullError: The file cannot be written.
        What `scalar_blocks` raises.
    """
    blocks = scalar_blocks(opened, answers, score_T=score_T, batch_tokens=batch_tokens, progress=progress)
    first = next(blocks)
    question_of = {answer.id: answer.question_id for answer in answers}
    schema = _schema(first)
    written = 0
    with parquet_writer(path, schema, _facts(opened, answers, first), KEY, repeated=_WORDS) as writer:
        block: AdapterScalars | None = first
        while block is not None:
            writer.write_table(_table(block, schema, opened.tokenizer, question_of, class_of or {}))
            written += len(block.token_T)
            block = next(blocks, None)
    return written


def read_scalars(path: str | Path, columns: Sequence[str] | None = None) -> AdapterScalars:
    """Read what `write_scalars` wrote, or some columns of it.

    Args:
        path: The file.
        columns: Names as in `AdapterScalars.names_C`, in the order wanted; None: all.

    Raises:
        FileError: Missing, torn, of another kind, or with tokens that are not those of whole answers in order.
        UsageError: A column that is not there, or a table that does not fit into memory.
    """
    path = Path(path)
    facts, T, names = parquet_facts(path, KEY)
    try:
        n_answers, n_tokens = int(facts["answers"]), int(facts["tokens"])
        known: dict[str, Any] = {column["name"]: column for column in facts["columns"]}
        taken = [known[name] for name in (known if columns is None else columns) if name in known]
        layers, components = ([int(column[key]) for column in taken] for key in ("layer", "component"))
        scales, norms = ([float(column[key]) for column in taken] for key in ("scale", "b_norm"))
        modules = tuple(str(column["module"]) for column in taken)
    except (KeyError, TypeError, ValueError) as error:
        raise FileError(
            f"{path.name} does not say which adapters its scalars are of",
            where=path,
            expected=f"metadata {KEY} with answers, tokens, and columns: name, layer, module, component, scale, b_norm",
            found=repr(error),
        ) from error
    wanted = list(known) if columns is None else list(columns)
    if len(taken) != len(wanted) or not taken:
        other = [name for name in wanted if name not in known]
        raise UsageError(
            "there are no such scalars",
            where=path,
            expected=", ".join(list(known)[:8]) + (" ..." if len(known) > 8 else ""),
            found=", ".join(other[:4]) or "none was asked for",
        )
    if 4 * T * len(wanted) > MOST_BYTES:
        raise UsageError(
            "the scalars do not fit into memory",
            where=path,
            expected=f"at most {MOST_BYTES / 2**30:.0f} GiB",
            found=f"{4 * T * len(wanted) / 2**30:.1f} GiB: {T:,} tokens x {len(wanted):,} columns",
            hint="fewer columns",
        )
    scored = [SIGNIFICANCE] if SIGNIFICANCE in names else []
    table = read_parquet(path, ["answer_id", "position", "token_id", *scored, *wanted])
    ids = table["answer_id"].combine_chunks().dictionary_encode()
    answer_T = _column(path, table, "answer_id", ids.indices)
    position_T = _column(path, table, "position")
    scalars_TC = torch.empty(T, len(wanted))
    for index, name in enumerate(wanted):
        scalars_TC[:, index] = _column(path, table, name)
    _check_order(path, answer_T, position_T, n_answers, n_tokens)
    return AdapterScalars(
        scalars_TC=scalars_TC,
        answer_T=answer_T.long(),
        position_T=position_T.long(),
        token_T=_column(path, table, "token_id").long(),
        layers_C=torch.tensor(layers),
        component_C=torch.tensor(components),
        scale_C=torch.tensor(scales),
        b_norm_C=torch.tensor(norms),
        modules_C=modules,
        answer_ids=tuple(ids.dictionary.to_pylist()),
        score_T=_column(path, table, SIGNIFICANCE) if scored else None,
    )


def _facts(opened: OpenModel, answers: Sequence[Answer], block: AdapterScalars) -> dict[str, Any]:
    return {
        "stored": "A h; neither scale nor B",
        "model": opened.name,
        "base": opened.identity.base,
        "organism": opened.identity.organism,
        "tokenizer": opened.identity.tokenizer,
        "answers": len(answers),
        "tokens": sum(len(answer.tokens) for answer in answers),
        "columns": [
            {"name": name, "layer": layer, "module": module, "component": c, "scale": scale, "b_norm": norm}
            for name, layer, module, c, scale, norm in zip(
                block.names_C, block.layers_C.tolist(), block.modules_C, block.component_C.tolist(),
                block.scale_C.tolist(), block.b_norm_C.tolist(), strict=True,
            )
        ],
    }  # fmt: skip


def _schema(block: AdapterScalars) -> Any:
    import pyarrow as pa

    text, whole, number = pa.string(), pa.int32(), pa.float32()
    fields = [
        pa.field("answer_id", text, nullable=False), pa.field("question_id", text, nullable=False),
        pa.field("position", whole, nullable=False), pa.field("token_id", whole, nullable=False),
        pa.field("token", text, nullable=False), pa.field("class", text),
    ]  # fmt: skip
    if block.score_T is not None:
        fields.append(pa.field(SIGNIFICANCE, number, nullable=False))
    return pa.schema([*fields, *(pa.field(name, number, nullable=False) for name in block.names_C)])


def _table(
    block: AdapterScalars,
    schema: Any,
    tokenizer: Any,
    question_of: Mapping[str, str],
    class_of: Mapping[str, str | None],
) -> Any:
    """One row group."""
    import pyarrow as pa

    index_T = block.answer_T.tolist()
    texts: list[str] = []
    for tokens_T in torch.split(block.token_T, torch.bincount(block.answer_T).tolist()):
        texts += token_texts(tokenizer, tokens_T.tolist())
    ids = block.answer_ids
    columns: list[Any] = [
        [ids[i] for i in index_T],
        [question_of[ids[i]] for i in index_T],
        block.position_T.numpy(),
        block.token_T.numpy(),
        texts,
        [class_of.get(ids[i]) for i in index_T],
    ]
    if block.score_T is not None:
        columns.append(block.score_T.numpy())
    columns += list(block.scalars_TC.T.contiguous().numpy())
    arrays = [pa.array(values, type=field.type) for values, field in zip(columns, schema, strict=True)]
    return pa.Table.from_arrays(arrays, schema=schema)


def _column(path: Path, table: Any, name: str, values: Any = None) -> Tensor:
    """A column, or the values given for it, as a tensor."""
    column = table[name].combine_chunks() if values is None else values
    kind = str(column.type)
    if column.null_count or kind not in ("int32", "float"):
        raise FileError(
            f"{path.name} holds other things than adapter scalars",
            where=f"{path}, column {name}",
            expected="numbers, none missing",
            found=f"{column.null_count} missing" if column.null_count else kind,
        )
    return torch.from_numpy(column.to_numpy(zero_copy_only=False).copy())


def _check_order(path: Path, answer_T: Tensor, position_T: Tensor, n_answers: int, n_tokens: int) -> None:
    """Every answer's tokens stand together, from 0 on without a gap: a table that was sorted or filtered is refused."""
    starts_T = position_T == 0
    grows_T = torch.ones_like(starts_T)
    grows_T[1:] = (position_T[1:] == position_T[:-1] + 1) & (answer_T[1:] == answer_T[:-1])
    good = n_tokens == len(starts_T) > 0 and bool(starts_T[0]) and bool((starts_T | grows_T).all())
    found = len(set(answer_T.tolist()))
    if not good or not n_answers == int(starts_T.sum()) == found:
        raise FileError(
            f"the tokens of {path.name} are not those of whole answers in order",
            where=path,
            expected=f"{n_answers:,} answers, {n_tokens:,} tokens; each answer's positions 0, 1, 2, ... one after the other",
            found=f"{found:,} answers, {len(answer_T):,} tokens" + ("" if good else ", or another order"),
            hint="axenic adapters RUN",
        )
