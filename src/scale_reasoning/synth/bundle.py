"""What is written of a funnel: rows to train on, all that was dropped, the counts, the manifest, the dataset card.

A row has the conversation twice, as `messages` and as `prompt` and `completion`, for the libraries that read it differ.
Files appear whole or not at all. Decides nothing about what is kept.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec

from scale_reasoning.errors import StoreError
from scale_reasoning.prompts import Prompts
from scale_reasoning.synth.card import card
from scale_reasoning.synth.collect import Origin
from scale_reasoning.synth.funnel import Candidate, Dropped, Funnel
from scale_reasoning.synth.trace import chain_of, prompt_of
from scale_reasoning.types import JSON

ROWS = "train.jsonl"


def write(
    out: Path, funnel: Funnel, origins: Iterable[Origin], *, student: Prompts, settings: Mapping[str, JSON]
) -> list[str]:
    """Writes the bundle into `out`; the names of its files. Raises StoreError.

    `student` are the prompts of the model that is to learn, `settings` what the manifest says of how it was made.
    """
    rows = [row(one, student) for one in funnel.kept]
    origins = tuple(origins)
    counts = [{"stage": c.stage, "came": c.came, "dropped": c.dropped, "kept": c.kept} for c in funnel.counts]
    lines = _lines(rows)
    made = {"settings": settings, "funnel": counts, "origins": origins, "train_sha256": sha256(lines).hexdigest()}
    files = {
        ROWS: lines,
        "dropped.jsonl": _lines(map(_dropped, funnel.dropped)),
        "funnel.json": indented(counts),
        "manifest.json": indented(made),
        "README.md": card(rows, funnel.counts, origins).encode(),
    }
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            put(out / name, content)
        return [*files, *_parquet(out, rows)]
    except OSError as error:
        raise StoreError(f"the bundle in {out}: {error}") from error


def row(one: Candidate, student: Prompts) -> dict[str, JSON]:
    """One training row with what is known of it. `answer` is the set's, `found` what the trace ends in."""
    prompt = [asdict(message) for message in prompt_of(one.problem, student)]
    completion = [{"role": "assistant", "content": one.text}]
    record = one.record
    return {
        "id": f"{one.dataset}/{one.problem.id}/{record.attempt.sample}",
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
                "tokens": step.usage.completion_tokens,
            }
            for step in chain_of(record)
        ],
    }


def _dropped(one: Dropped) -> dict[str, JSON]:
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


def put(file: Path, content: bytes) -> None:
    """Writes a file at a stroke."""
    part = file.with_name(f"{file.name}.part")
    part.write_bytes(content)
    part.replace(file)


def _lines(rows: Iterable[Mapping[str, JSON]]) -> bytes:
    return b"".join(msgspec.json.encode(row) + b"\n" for row in rows)


def indented(value: JSON) -> bytes:
    """JSON for people to read."""
    return msgspec.json.format(msgspec.json.encode(value), indent=1) + b"\n"


def _parquet(out: Path, rows: list[dict[str, JSON]]) -> list[str]:
    """The rows for those who read Parquet, where pyarrow is installed and there are any."""
    if not rows:
        return []
    try:
        arrow: Any = importlib.import_module("pyarrow")
        parquet: Any = importlib.import_module("pyarrow.parquet")
    except ImportError:
        return []
    part = out / "train.parquet.part"
    parquet.write_table(arrow.Table.from_pylist(rows), part)
    part.replace(out / "train.parquet")
    return ["train.parquet"]
