"""What is written of a funnel: rows to train on, all that was dropped, the counts, the manifest, the dataset card.

A row has the conversation twice, as `messages` and as `prompt` and `completion`, for the libraries that read it differ.
Files appear whole or not at all. Decides nothing about what is kept.
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
from scale_reasoning.files import read_bounded
from scale_reasoning.prompts import Prompts
from scale_reasoning.runs.folder import DATABASE, MANIFEST_BYTES
from scale_reasoning.synth.card import card
from scale_reasoning.synth.collect import Origin
from scale_reasoning.synth.funnel import Candidate, Dropped, Funnel
from scale_reasoning.synth.rows import MOST_BYTES as ROWS_BYTES
from scale_reasoning.synth.trace import chain_of, prompt_of
from scale_reasoning.types import JSON

ROWS, PARQUET, MANIFEST = "train.jsonl", "train.parquet", "manifest.json"
FILES = (ROWS, PARQUET, "dropped.jsonl", "funnel.json", MANIFEST, "README.md")


def previous(out: Path) -> Mapping[str, Any] | None:
    """The manifest of the bundle in `out`; None where there is none, or its rows are not those that it names."""
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

    It may where there is nothing to replace but an earlier bundle of the same runs and settings; with `overwrite`, any
    bundle is replaced, and a run never is.
    """
    if (out / DATABASE).exists():
        raise ConfigError(f"--out {out}: it holds a run; name another folder for the traces")
    found = [name for name in FILES if (out / name).exists()]
    if not found or overwrite:
        return
    made = previous(out)
    if made is None:
        why = f"{', '.join(found)} would be replaced, and this command did not write what is there"
    elif changed := [key for key in settings if made.get("settings", {}).get(key) != settings[key]]:
        why = f"its traces were made with other settings ({', '.join(changed)})"
    elif [_identity(each) for each in made["origins"]] != [_identity(each) for each in _json(origins)]:
        why = "its traces were made from other runs"
    else:
        return
    raise ConfigError(f"{out}: {why}; name another --out, or add --overwrite to replace them")


def _json(value: JSON) -> Any:
    """The value as it comes back from a file."""
    return msgspec.json.decode(msgspec.json.encode(value))


def _identity(origin: Mapping[str, JSON]) -> list[JSON]:
    """What stays the same of a run while it is resumed."""
    return [origin.get(key) for key in ("run", "seed", "strategies", "datasets")]


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
        MANIFEST: indented(made),
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
    """The rows for those who read Parquet, where pyarrow is installed and there are any; never those of before."""
    (out / PARQUET).unlink(missing_ok=True)
    if not rows:
        return []
    try:
        arrow: Any = importlib.import_module("pyarrow")
        parquet: Any = importlib.import_module("pyarrow.parquet")
    except ImportError:
        return []
    part = out / f"{PARQUET}.part"
    parquet.write_table(arrow.Table.from_pylist(rows), part)
    part.replace(out / PARQUET)
    return [PARQUET]
