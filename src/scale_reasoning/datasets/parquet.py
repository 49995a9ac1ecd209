"""How large a Parquet file is once it is decoded: a small file can hold any amount, by compression or by reference.

What the file says of itself is looked at first. Texts that it stores once and refers to many times are then counted as
often as they are referred to, before they are written out.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

from scale_reasoning.datasets.rows import MOST_ROWS
from scale_reasoning.errors import ConfigError


def bounded_table(path: Path, parquet: Any, most: int) -> Any:
    """The file's table. Raises ConfigError where it has too many rows, or over `most` bytes once decoded.

    Raises ValueError for what is not Parquet.
    """
    metadata = parquet.read_metadata(path)
    if metadata.num_rows > MOST_ROWS:
        raise ConfigError(f"{path}: {metadata.num_rows:,} rows; at most {MOST_ROWS:,} are read")
    groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
    _bound(path, sum(group.total_byte_size for group in groups), most)
    schema = parquet.read_schema(path)
    texts = [field.name for field in schema if str(field.type) in ("string", "large_string", "binary", "large_binary")]
    table = parquet.ParquetFile(path, read_dictionary=texts).read()
    _bound(path, sum(_bytes(column) for column in table.columns), most)
    return table


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
