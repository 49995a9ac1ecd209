"""Reads a Parquet file whose decoded size is bounded.

A small file can decode to any size, by compression, by nested columns or by repeated references to one text. So the
sizes in the file's metadata are checked first, only columns of text and numbers are read, and each text is counted once
per reference before the references are expanded.
"""

from __future__ import annotations

from collections import Counter
from importlib import import_module
from pathlib import Path
from typing import Any

from scale_reasoning.datasets.rows import MOST_ROWS
from scale_reasoning.errors import ConfigError

TEXTS = frozenset({"string", "large_string", "string_view", "binary", "large_binary", "binary_view"})
INDEX_BYTES = 4
"""The size of a text in a column, which is read as a reference to one of its distinct texts."""


def read_table(path: Path, parquet: Any, most: int) -> Any:
    """Reads the file's columns of text and numbers.

    Raises ConfigError for a column name that occurs twice, for too many rows, and for more than `most` bytes once
    decoded; ValueError for a file that is not Parquet; MemoryError.
    """
    metadata = parquet.read_metadata(path)
    if metadata.num_rows > MOST_ROWS:
        raise ConfigError(f"{path}: {metadata.num_rows:,} rows; the limit is {MOST_ROWS:,}")
    groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
    _check_size(path, sum(group.total_byte_size for group in groups), most)
    schema = parquet.read_schema(path)
    names: list[str] = schema.names
    if twice := [name for name, count in Counter(names).items() if count > 1]:
        raise ConfigError(f"{path}: a column name occurs twice: {twice[0]!r}")
    flat = _flat_columns(schema)
    _check_size(path, metadata.num_rows * sum(flat.values()), most)
    texts = [name for name in flat if str(schema.field(name).type) in TEXTS]
    table = parquet.ParquetFile(path, read_dictionary=texts).read(columns=list(flat))
    _check_size(path, sum(_count_bytes(column) for column in table.columns), most)
    return table


def _flat_columns(schema: Any) -> dict[str, int]:
    """The columns of text and numbers, with the bytes that each needs per row besides the texts."""
    types: Any = import_module("pyarrow.types")
    numbers = (types.is_integer, types.is_floating, types.is_decimal, types.is_boolean)
    flat: dict[str, int] = {}
    for field in schema:
        kind = field.type
        if str(kind) in TEXTS or types.is_null(kind):
            flat[field.name] = INDEX_BYTES
        elif types.is_dictionary(kind) and str(kind.value_type) in TEXTS:
            flat[field.name] = kind.index_type.bit_width // 8
        elif any(is_number(kind) for is_number in numbers):
            flat[field.name] = -(-kind.bit_width // 8)
    # A name with a dot also selects the part of a nested column that has the same path.
    return {name: size for name, size in flat.items() if not _is_part(name, set(schema.names) - set(flat))}


def _is_part(name: str, nested: set[str]) -> bool:
    return any(name.startswith(f"{column}.") for column in nested)


def _check_size(path: Path, size: int, most: int) -> None:
    if size > most:
        raise ConfigError(f"{path}: {size:,} bytes once decoded; the limit is {most:,}")


def _count_bytes(column: Any) -> int:
    compute: Any = import_module("pyarrow.compute")
    size = 0
    for chunk in column.chunks:
        if hasattr(chunk, "dictionary"):
            lengths = compute.binary_length(chunk.dictionary)
            size += compute.sum(lengths.take(chunk.indices)).as_py() or 0
        else:
            size += chunk.nbytes
    return size
