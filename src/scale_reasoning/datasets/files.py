"""Reads a user's own rows: JSONL, CSV and Parquet, told apart by their suffix.

Decides how big a file may be and what is malformed in each format. Knows nothing of problems or answers.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

from scale_reasoning.datasets.dataset import Dataset, Wanted, dataset_of
from scale_reasoning.datasets.numbers import SHORT_FLOATS, float_text, integer_text, with_short_floats
from scale_reasoning.datasets.parquet import bounded_table
from scale_reasoning.datasets.rows import Row, problems_of
from scale_reasoning.errors import ConfigError
from scale_reasoning.files import read_bounded
from scale_reasoning.types import JSON

MAX_BYTES = 256 * 2**20
"""A bigger file is not a set of problems, or is one to cut first: it is read whole."""


MOST_LINE = 8 << 20
"""Characters of a line of JSONL: its values take many times as much memory once they are read."""
LINE = re.compile(r"\S[^\n]*")
"""A line that says something, from its first character on."""


def load(path: Path, wanted: Wanted) -> Dataset:
    """The problems of a file, by the fields asked for. Raises `ConfigError` for whatever is wrong with it."""
    wanted.allow(str(path), "problem_field", "answer_field")
    problems = problems_of(read(path), str(path), problem_field=wanted.problem_field, answer_field=wanted.answer_field)
    return dataset_of(path.stem, problems, origin=str(path), count=wanted.count, facts={})


def read(path: Path) -> Iterator[Row]:
    """The rows of a file of a known format and a bearable size."""
    if path.suffix not in FORMATS:
        raise ConfigError(f"{path}: a dataset's file ends in {', '.join(FORMATS)}")
    if not path.is_file():
        raise ConfigError(f"{path}: {'not a file' if path.exists() else 'no such file'}")
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise ConfigError(f"{path}: {size:,} bytes; at most {MAX_BYTES:,} are read")
        return FORMATS[path.suffix](path)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror or error})") from error


def _jsonl(path: Path) -> Iterator[Row]:
    return _json_rows(path, _text(path))


def _json_rows(path: Path, text: str) -> Iterator[Row]:
    number, before = 1, 0
    for line in LINE.finditer(text):
        number, before = number + text.count("\n", before, line.start()), line.start()
        where = f"{path}, line {number}"
        if len(line[0]) > MOST_LINE:
            raise ConfigError(f"{where}: {len(line[0]):,} characters; at most {MOST_LINE:,} are read")
        yield Row(where=where, fields=_object(line[0], where))


def _object(line: str, where: str) -> Mapping[str, JSON]:
    try:
        value: JSON = json.loads(line, parse_constant=_no_constant, parse_int=integer_text, parse_float=float_text)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{where}: not JSON ({error})") from None
    if not isinstance(value, dict):
        raise ConfigError(f"{where}: a row is a JSON object, not {line.strip():.40}")
    return value  # pyright: ignore[reportUnknownVariableType] - the JSON edge


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number")


def _csv(path: Path) -> Iterator[Row]:
    return _csv_rows(path, _text(path))


def _csv_rows(path: Path, text: str) -> Iterator[Row]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    names: list[str] = []
    try:
        for cells in reader:
            where = f"{path}, line {reader.line_num}"
            if not names:
                names = cells
                if len(set(names)) < len(names):
                    raise ConfigError(f"{where}: a column's name comes twice: {', '.join(names)}")
            elif len(cells) > len(names):
                raise ConfigError(f"{where}: {len(cells)} cells under {len(names)} column names ({', '.join(names)})")
            elif cells:
                yield Row(where=where, fields=dict(zip(names, cells, strict=False)))
    except csv.Error as error:
        raise ConfigError(f"{path}, line {reader.line_num}: not CSV ({error})") from None


def _parquet(path: Path) -> Iterator[Row]:
    try:
        parquet: Any = import_module("pyarrow.parquet")
    except ImportError:
        raise ConfigError(f"{path}: Parquet needs pyarrow: pip install 'scale-reasoning[data]'") from None
    try:
        table = bounded_table(path, parquet, MAX_BYTES)
        rows: list[dict[str, JSON]] = table.to_pylist()
        types = {field.name: str(field.type) for field in table.schema}
    except ValueError as error:  # ArrowInvalid is one
        raise ConfigError(f"{path}: not Parquet ({error})") from error
    short = {name: SHORT_FLOATS[kind] for name, kind in types.items() if kind in SHORT_FLOATS}
    return (Row(where=f"{path}, row {n}", fields=with_short_floats(row, short)) for n, row in enumerate(rows, 1))


def _text(path: Path) -> str:
    """The file's text. A byte that is no UTF-8 is named by its line."""
    data = read_bounded(path, MAX_BYTES)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"{path}, line {line}: not UTF-8 (byte {data[error.start]:#04x})") from None


FORMATS: Mapping[str, Callable[[Path], Iterator[Row]]] = {".jsonl": _jsonl, ".csv": _csv, ".parquet": _parquet}
