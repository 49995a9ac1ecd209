"""How large a Parquet file is once it is decoded: a small file can hold any amount, by compression or by reference.

What the file says of itself is looked at first. Columns that hold neither text nor numbers are not read, because no
problem is made of them. Texts that the file stores once and refers to many times are counted as often as they are
referred to, before they are written out.
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
"""Of a text in a column: it is read as a reference to one of the column's distinct texts."""


def bounded_table(path: Path, parquet: Any, most: int) -> Any:
    """The file's columns of text and numbers.

    Raises ConfigError where a column's name comes twice, and for too many rows or over `most` bytes once decoded.
    Raises ValueError for what is not Parquet, and MemoryError.
    """
    metadata = parquet.read_metadata(path)
    if metadata.num_rows > MOST_ROWS:
        raise ConfigError(f"{path}: {metadata.num_rows:,} rows; at most {MOST_ROWS:,} are read")
    groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
    _bound(path, sum(group.total_byte_size for group in groups), most)
    schema = parquet.read_schema(path)
    names: list[str] = schema.names
    if twice := [name for name, count in Counter(names).items() if count > 1]:
        raise ConfigError(f"{path}: a column's name comes twice: {twice[0]!r}")
    flat = _flat_columns(schema)
    _bound(path, metadata.num_rows * sum(flat.values()), most)
    texts = [name for name in flat if str(schema.field(name).type) in TEXTS]
    table = parquet.ParquetFile(path, read_dictionary=texts).read(columns=list(flat))
    _bound(path, sum(_bytes(column) for column in table.columns), most)
    return table


def _flat_columns(schema: Any) -> dict[str, int]:
    """The columns of text and numbers, with the bytes that each takes per row besides the texts themselves."""
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


def _bound(path: Path, size: int, most: int) -> None:
    if size > most:
        raise ConfigError(f"{path}: {size:,} bytes once decoded; at most {most:,} are read")


def _bytes(column: Any) -> int:
    compute: Any = import_module("pyarrow.compute")
    size = 0
    for chunk in column.chunks:
        if hasattr(chunk, "dictionary"):
            lengths = compute.binary_length(chunk.dictionary)
            size += compute.sum(lengths.take(chunk.indices)).as_py() or 0
        else:
            size += chunk.nbytes
    return size
