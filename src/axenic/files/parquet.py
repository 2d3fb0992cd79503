"""Parquet: tables of many columns, written a row group at a time and whole or not at all.

pyarrow is loaded in the functions: every command imports this storey, and few of them write such a table.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from axenic.errors import FileError
from axenic.files.atomic import replacing
from axenic.files.disk import disk_errors
from axenic.files.jsontext import canonical_json, parse_json


@contextmanager
def parquet_writer(
    path: str | Path, schema: Any, facts: Mapping[str, Any], key: str, *, repeated: Sequence[str] = ()
) -> Iterator[Any]:
    """Yield a `pyarrow.parquet.ParquetWriter` whose file takes the name when the block ends without an error.

    Each `write_table` is on its way to the disk when it returns, so memory holds one row group; a killed run leaves an
    unfinished temporary file at most (`is_temporary`).

    Args:
        path: The file; missing parent folders are created.
        schema: A `pyarrow.Schema`.
        facts: JSON values that are kept in the schema's metadata.
        key: Their key there.
        repeated: Columns in which few values occur often; these are stored by a dictionary.

    Raises:
        DiskFullError: The disk ran full. The old file is untouched.
        FileError: Any other failure to write.
    """
    import pyarrow.parquet as pq

    path = Path(path)
    marked = schema.with_metadata({key.encode(): canonical_json(dict(facts)).encode()})
    with (
        replacing(path, None) as fd,
        os.fdopen(os.dup(fd), "wb") as file,
        pq.ParquetWriter(file, marked, compression="zstd", use_dictionary=list(repeated)) as writer,
    ):
        yield writer


def parquet_facts(path: str | Path, key: str) -> tuple[Any, int, list[str]]:
    """The facts that `parquet_writer` kept under the key, how many rows there are, and the names of the columns.

    Raises:
        FileError: Missing, no Parquet, or without such facts.
    """
    import pyarrow.parquet as pq

    path = Path(path)
    with _reading(path), pq.ParquetFile(path) as file:
        schema, rows = file.schema_arrow, int(file.metadata.num_rows)
    metadata = schema.metadata or {}
    try:
        facts = parse_json(metadata[key.encode()])
    except (KeyError, ValueError) as error:
        raise FileError(
            f"{path.name} does not say what it holds",
            where=path,
            expected=f"metadata {key} in the schema",
            found=", ".join(name.decode("utf-8", "replace") for name in metadata) or "no metadata",
        ) from error
    return facts, rows, list(schema.names)


def read_parquet(path: str | Path, columns: Sequence[str]) -> Any:
    """These columns as a `pyarrow.Table`; the others are not read from the disk. Raises `FileError`."""
    import pyarrow.parquet as pq

    path = Path(path)
    with _reading(path), pq.ParquetFile(path) as file:
        missing = sorted(set(columns) - set(file.schema_arrow.names))
        if missing:
            raise FileError(f"{path.name} lacks a column", where=path, expected=missing[0], found="none")
        return file.read(list(columns))


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    import pyarrow as pa

    with disk_errors(path, "read"):
        try:
            yield
        except pa.ArrowException as error:
            raise FileError(
                f"{path.name} is no Parquet file, or a torn one",
                where=path,
                found=str(error).partition("\n")[0],
            ) from error
