"""Exports a run's records for other tools: JSON lines (one record of `scale solve --json` per line) or Parquet."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from scale_reasoning.errors import ConfigError, StoreError
from scale_reasoning.files import replacing
from scale_reasoning.runs.store import Store
from scale_reasoning.types import Record

ROWS_PER_GROUP = 1000


def records(store: Store) -> Iterator[tuple[str, Record]]:
    """(dataset, record) of every attempt of a run, cell by cell."""
    for number, spec in enumerate(store.manifest.cells):
        for record in store.records(number):
            yield spec.dataset.name, record


def to_jsonl(store: Store, file: Path) -> int:
    """Writes one record per line, atomically; returns their number. Raises StoreError."""
    count = 0
    try:
        with replacing(file) as out:
            for _, record in records(store):
                out.write(msgspec.json.encode(record) + b"\n")
                count += 1
    except OSError as error:
        raise StoreError(f"export to {file}: {error}; name another file with --out") from error
    return count


def to_parquet(store: Store, file: Path) -> int:
    """Writes one row per record: flat columns to sort and filter by, and the record as JSON; returns their number."""
    try:
        arrow: Any = importlib.import_module("pyarrow")
        parquet: Any = importlib.import_module("pyarrow.parquet")
    except ImportError as error:
        raise ConfigError("--format parquet needs pyarrow: pip install 'scale-reasoning[data]'") from error
    columns = [("dataset", arrow.string()), ("problem_id", arrow.string()), ("sample", arrow.int64()),
               ("strategy", arrow.string()), ("model", arrow.string()), ("answer", arrow.string()),
               ("correct", arrow.bool_()), ("failure", arrow.string()), ("completion_tokens", arrow.int64()),
               ("seconds", arrow.float64()), ("record", arrow.string())]  # fmt: skip
    schema = arrow.schema(columns)
    count = 0
    try:
        with replacing(file) as out, parquet.ParquetWriter(out, schema) as writer:
            rows: list[dict[str, Any]] = []
            for dataset, record in records(store):
                rows.append(_row(dataset, record))
                count += 1
                if len(rows) == ROWS_PER_GROUP:
                    writer.write_table(arrow.Table.from_pylist(rows, schema=schema))
                    rows.clear()
            writer.write_table(arrow.Table.from_pylist(rows, schema=schema))
    except OSError as error:
        raise StoreError(f"export to {file}: {error}; name another file with --out") from error
    return count


def _row(dataset: str, record: Record) -> dict[str, Any]:
    return {
        "dataset": dataset,
        "problem_id": record.attempt.problem_id,
        "sample": record.attempt.sample,
        "strategy": str(record.strategy["name"]),
        "model": record.model,
        "answer": record.solution.answer if record.solution else None,
        "correct": record.grade.correct if record.grade else None,
        "failure": record.failure.kind if record.failure else None,
        "completion_tokens": record.usage.total.completion_tokens,
        "seconds": record.seconds,
        "record": msgspec.json.encode(record).decode(),
    }
