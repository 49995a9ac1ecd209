"""Reads rows from a user's file: JSONL, CSV or Parquet, by its suffix.

Decides how large a file may be and what is malformed in each format. Knows nothing of problems or answers.
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

from scale_reasoning.datasets.dataset import Dataset, DatasetOptions, make_dataset
from scale_reasoning.datasets.numbers import SHORT_FLOATS, shorten_floats, spell_float, spell_integer
from scale_reasoning.datasets.parquet import read_table
from scale_reasoning.datasets.rows import SourceRow, make_problems
from scale_reasoning.errors import ConfigError
from scale_reasoning.files import read_bounded
from scale_reasoning.types import JSON

MAX_BYTES = 256 * 2**20
"""A larger file is refused, because a file is read into memory as a whole."""


MOST_LINE = 8 << 20
"""The longest line of JSONL in characters: its values need much more memory than the text."""
LINE = re.compile(r"\S[^\n]*")
"""A line with text, from its first character on."""


def load(path: Path, options: DatasetOptions) -> Dataset:
    """The problems of a file. Raises `ConfigError` for a file or a row that cannot be used."""
    options.check(str(path), "problem_field", "answer_field")
    problems = make_problems(
        read(path), str(path), problem_field=options.problem_field, answer_field=options.answer_field
    )
    return make_dataset(path.stem, problems, origin=str(path), count=options.count, facts={})


def read(path: Path) -> Iterator[SourceRow]:
    """The rows of a file. Raises `ConfigError` for an unknown format, a file that cannot be read or is too large."""
    if path.suffix not in FORMATS:
        raise ConfigError(f"{path}: the name of a dataset's file must end in {' or '.join(FORMATS)}")
    if not path.is_file():
        raise ConfigError(f"{path}: {'not a file' if path.exists() else 'no such file'}")
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise ConfigError(f"{path}: it has {size:,} bytes; the limit is {MAX_BYTES:,}")
        return FORMATS[path.suffix](path)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror or error})") from error


def _read_jsonl(path: Path) -> Iterator[SourceRow]:
    return _json_rows(path, _decode(path))


def _json_rows(path: Path, text: str) -> Iterator[SourceRow]:
    number, before = 1, 0
    for line in LINE.finditer(text):
        number, before = number + text.count("\n", before, line.start()), line.start()
        where = f"{path}, line {number}"
        if len(line[0]) > MOST_LINE:
            raise ConfigError(f"{where}: {len(line[0]):,} characters; the limit is {MOST_LINE:,}")
        yield SourceRow(where=where, fields=_parse_object(line[0], where))


def _parse_object(line: str, where: str) -> Mapping[str, JSON]:
    try:
        value: JSON = json.loads(
            line, parse_constant=_refuse_constant, parse_int=spell_integer, parse_float=spell_float
        )
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{where}: not JSON ({error})") from None
    if not isinstance(value, dict):
        raise ConfigError(f"{where}: a row must be a JSON object, not {line.strip():.40}")
    return value  # pyright: ignore[reportUnknownVariableType] - the JSON edge


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number")


def _read_csv(path: Path) -> Iterator[SourceRow]:
    return _csv_rows(path, _decode(path))


def _csv_rows(path: Path, text: str) -> Iterator[SourceRow]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    names: list[str] = []
    try:
        for cells in reader:
            where = f"{path}, line {reader.line_num}"
            if not names:
                names = cells
                if len(set(names)) < len(names):
                    raise ConfigError(f"{where}: two columns have the same name: {', '.join(names)}")
            elif len(cells) > len(names):
                raise ConfigError(f"{where}: {len(cells)} cells under {len(names)} column names ({', '.join(names)})")
            elif cells:
                yield SourceRow(where=where, fields=dict(zip(names, cells, strict=False)))
    except csv.Error as error:
        raise ConfigError(f"{path}, line {reader.line_num}: not CSV ({error})") from None


def _read_parquet(path: Path) -> Iterator[SourceRow]:
    try:
        parquet: Any = import_module("pyarrow.parquet")
    except ImportError:
        raise ConfigError(f"{path}: Parquet needs pyarrow: pip install 'scale-reasoning[data]'") from None
    try:
        table = read_table(path, parquet, MAX_BYTES)
        rows: list[dict[str, JSON]] = table.to_pylist()
        types = {field.name: str(field.type) for field in table.schema}
    except ValueError as error:  # ArrowInvalid is one
        raise ConfigError(f"{path}: not Parquet ({error})") from error
    short = {name: SHORT_FLOATS[kind] for name, kind in types.items() if kind in SHORT_FLOATS}
    return (SourceRow(where=f"{path}, row {n}", fields=shorten_floats(row, short)) for n, row in enumerate(rows, 1))


def _decode(path: Path) -> str:
    """The file's text. Raises `ConfigError` with the line of a byte that is not UTF-8."""
    data = read_bounded(path, MAX_BYTES)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"{path}, line {line}: not UTF-8 (byte {data[error.start]:#04x})") from None


FORMATS: Mapping[str, Callable[[Path], Iterator[SourceRow]]] = {
    ".jsonl": _read_jsonl,
    ".csv": _read_csv,
    ".parquet": _read_parquet,
}
