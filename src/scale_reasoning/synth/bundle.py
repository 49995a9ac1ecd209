"""Writes a bundle: training rows, dropped attempts, counts, manifest and dataset card.

A row has the conversation twice, as `messages` and as `prompt` and `completion`, because libraries read different keys.
Every file is written atomically. Does not decide which attempts are kept.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec

from scale_reasoning.errors import ConfigError, StoreError
from scale_reasoning.files import read_bounded, replacing, write_file
from scale_reasoning.prompts import Prompts
from scale_reasoning.runs.folder import DATABASE, MANIFEST_BYTES
from scale_reasoning.synth.card import make_card
from scale_reasoning.synth.collect import Origin
from scale_reasoning.synth.funnel import Candidate, Drop, Funnel
from scale_reasoning.synth.rows import MOST_BYTES as ROWS_BYTES
from scale_reasoning.synth.trace import make_prompt, read_steps
from scale_reasoning.types import JSON

ROWS, PARQUET, MANIFEST = "train.jsonl", "train.parquet", "manifest.json"
FILES = (ROWS, PARQUET, "dropped.jsonl", "funnel.json", MANIFEST, "README.md")


def read_previous(out: Path) -> Mapping[str, Any] | None:
    """The manifest of the bundle in `out`; None without a bundle, or where its rows do not match the manifest."""
    try:
        manifest = msgspec.json.decode(read_bounded(out / MANIFEST, MANIFEST_BYTES), type=dict[str, Any])
        msgspec.convert(manifest.get("settings", {}), dict[str, Any])
        msgspec.convert(manifest.get("origins"), list[dict[str, Any]])
        rows = sha256(read_bounded(out / ROWS, ROWS_BYTES)).hexdigest()
    except (OSError, ValueError, RecursionError):  # msgspec's errors are ValueErrors
        return None
    return manifest if manifest.get("train_sha256") == rows else None


def check(out: Path, settings: Mapping[str, JSON], origins: Sequence[Origin], *, overwrite: bool) -> None:
    """Raises ConfigError unless a bundle with these settings, of runs from `origins`, may be written into `out`.

    An earlier bundle is replaced if it has the same runs and settings, or with `overwrite`. A run is never replaced.
    """
    if (out / DATABASE).exists():
        raise ConfigError(f"--out {out} has a run: name another folder for the traces")
    found = [name for name in FILES if (out / name).exists()]
    if not found or overwrite:
        return
    made = read_previous(out)
    if made is None:
        why = f"{', '.join(found)} would be replaced, but this command did not write it"
    elif changed := [key for key in settings if made.get("settings", {}).get(key) != settings[key]]:
        why = f"its traces were made with other settings ({', '.join(changed)})"
    elif [_identity(each) for each in made["origins"]] != [_identity(each) for each in _round_trip(origins)]:
        why = "its traces were made from other runs"
    else:
        return
    raise ConfigError(f"{out}: {why}; name another --out, or add --overwrite to replace them")


def _round_trip(value: JSON) -> Any:
    """The value after a round trip through JSON."""
    return msgspec.json.decode(msgspec.json.encode(value))


def _identity(origin: Mapping[str, JSON]) -> list[JSON]:
    """The part of an origin that a resume does not change."""
    return [origin.get(key) for key in ("run", "seed", "strategies", "datasets")]


def write(
    out: Path, funnel: Funnel, origins: Iterable[Origin], *, student: Prompts, settings: Mapping[str, JSON]
) -> list[str]:
    """Writes the bundle into `out` and returns the names of its files. Raises StoreError.

    `student` are the prompts of the model to train; `settings` go into the manifest.
    """
    rows = [make_row(one, student) for one in funnel.kept]
    origins = tuple(origins)
    counts = [{"stage": c.stage, "came": c.came, "dropped": c.dropped, "kept": c.kept} for c in funnel.counts]
    lines = _to_json_lines(rows)
    made = {"settings": settings, "funnel": counts, "origins": origins, "train_sha256": sha256(lines).hexdigest()}
    if funnel.marked:
        made["marked"] = [{"id": one.candidate.id, "stage": one.stage, "reason": one.reason} for one in funnel.marked]
    files = {
        ROWS: lines,
        "dropped.jsonl": _to_json_lines(map(_make_drop_row, funnel.dropped)),
        "funnel.json": to_indented_json(counts),
        MANIFEST: to_indented_json(made),
        "README.md": make_card(rows, funnel, origins, settings).encode(),
    }
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            write_file(out / name, content)
        return [*files, *_write_parquet(out, rows)]
    except OSError as error:
        raise StoreError(f"the bundle in {out}: {error}") from error


def make_row(one: Candidate, student: Prompts) -> dict[str, JSON]:
    """One training row. `answer` is the gold answer, `found` the answer of the trace."""
    prompt = [asdict(message) for message in make_prompt(one.problem, student)]
    completion = [{"role": "assistant", "content": one.text}]
    record = one.record
    return {
        "id": one.id,
        "messages": [*prompt, *completion],
        "prompt": prompt,
        "completion": completion,
        "dataset": one.dataset,
        "problem_id": one.problem.id,
        "sample": record.attempt.sample,
        "problem": one.problem.text,
        "answer": one.problem.answer,
        "found": None if record.solution is None else record.solution.answer,
        "tokens": one.tokens,
        "model": record.model,
        "strategy": str(record.strategy["name"]),
        "steps": [
            {
                "subproblem": step.subproblem,
                "mode": step.mode.value,
                "difficulty": step.difficulty,
                "tokens": step.own_tokens,
            }
            for step in read_steps(record)
        ],
    }


def _make_drop_row(one: Drop) -> dict[str, JSON]:
    held = one.candidate
    failure = held.record.failure
    return {
        "stage": one.stage,
        "reason": one.reason,
        "dataset": held.dataset,
        "problem_id": held.problem.id,
        "sample": held.record.attempt.sample,
        "answer": held.problem.answer,
        "found": None if held.record.solution is None else held.record.solution.answer,
        "failure": None if failure is None else failure.kind,
        "tokens": held.tokens,
        "text": held.text,
    }


def _to_json_lines(rows: Iterable[Mapping[str, JSON]]) -> bytes:
    return b"".join(msgspec.json.encode(row) + b"\n" for row in rows)


def to_indented_json(value: JSON) -> bytes:
    """Indented JSON."""
    return msgspec.json.format(msgspec.json.encode(value), indent=1) + b"\n"


def _write_parquet(out: Path, rows: list[dict[str, JSON]]) -> list[str]:
    """Writes the rows as Parquet where pyarrow is installed. Removes the file of an earlier bundle."""
    (out / PARQUET).unlink(missing_ok=True)
    if not rows:
        return []
    try:
        arrow: Any = importlib.import_module("pyarrow")
        parquet: Any = importlib.import_module("pyarrow.parquet")
    except ImportError:
        return []
    with replacing(out / PARQUET) as file:
        parquet.write_table(arrow.Table.from_pylist(rows), file)
    return [PARQUET]
