"""Reads a Parquet file whose decoded size is bounded.

A small file can decode to any size, by compression or by repeated references to one text. So the sizes in the file's
metadata are checked first, and then each text is counted once per reference, before the references are expanded.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

from scale_reasoning.datasets.rows import MOST_ROWS
from scale_reasoning.errors import ConfigError


def read_table(path: Path, parquet: Any, most: int) -> Any:
    """The file's table. Raises ConfigError for too many rows, or more than `most` bytes once decoded.

    Raises ValueError for a file that is not Parquet.
    """
    metadata = parquet.read_metadata(path)
    if metadata.num_rows > MOST_ROWS:
        raise ConfigError(f"{path}: {metadata.num_rows:,} rows; the limit is {MOST_ROWS:,}")
    groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
    _check_size(path, sum(group.total_byte_size for group in groups), most)
    schema = parquet.read_schema(path)
    texts = [field.name for field in schema if str(field.type) in ("string", "large_string", "binary", "large_binary")]
    table = parquet.ParquetFile(path, read_dictionary=texts).read()
    _check_size(path, sum(_count_bytes(column) for column in table.columns), most)
    return table


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
