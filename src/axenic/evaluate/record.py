"""Results read back from their JSON, checked key by key."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from axenic.errors import DataError
from axenic.files import canonical_json

_Result = TypeVar("_Result")


def read_record(cls: type[_Result], kind: str, row: object) -> _Result:
    """A frozen dataclass from the JSON of its `to_json`; keys that it does not have are ignored.

    Args:
        cls: The dataclass; dataclasses within it are read too.
        kind: What `row["kind"]` must be.
        row: A JSON object.

    Raises:
        DataError: It is of another kind, or a key is missing or holds another type; names the key.
    """
    # pydantic takes a tenth of a second to load, which nobody should pay who reads no result.
    from pydantic import TypeAdapter, ValidationError

    if not isinstance(row, Mapping) or row.get("kind") != kind:
        raise DataError(f"this is not a result of kind {kind}", expected=f'{{"kind": "{kind}", ...}}')
    try:
        return TypeAdapter(cls).validate_json(canonical_json(dict(row)), strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise DataError(
            f"this is not a result of kind {kind}: {first['msg'].lower()}",
            where="key " + ".".join(map(str, first["loc"])),
            found=repr(first["input"])[:80],
        ) from error
