"""Files that a kill, a full disk or a stranger cannot spoil: atomic writes, tables, manifests, tensors."""

from axenic.files.atomic import atomic_folder, atomic_write, is_temporary, remove_leftovers
from axenic.files.hashing import content_id, sha256_file
from axenic.files.jsontext import canonical_json, parse_json, read_json, write_json
from axenic.files.manifest import verify_manifest, write_manifest
from axenic.files.parquet import parquet_facts, parquet_writer, read_parquet
from axenic.files.stack import TensorStack
from axenic.files.table import Table
from axenic.files.tensors import load_tensors, save_tensors

__all__ = [
    "Table",
    "TensorStack",
    "atomic_folder",
    "atomic_write",
    "canonical_json",
    "content_id",
    "is_temporary",
    "load_tensors",
    "parquet_facts",
    "parquet_writer",
    "parse_json",
    "read_json",
    "read_parquet",
    "remove_leftovers",
    "save_tensors",
    "sha256_file",
    "verify_manifest",
    "write_json",
    "write_manifest",
]
