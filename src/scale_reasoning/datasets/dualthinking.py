"""The traces that the paper's authors published: SCALE with QwQ-32B on LIMOPRO's problems, YangXiao-nlp/DualThinking.

Known on 2026-11-28 from copies of its card (commit a586f01) and the authors' code: the columns below, 3,112 rows
(several per problem; the paper trained on 800), MIT. Not known: a full commit and the names of its files. So the newest
commit is read and recorded, and every file of JSON is taken that is not for evaluation. The card names a column type
that the library `datasets` does not have, so the files are read without it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path, PurePosixPath
from typing import Any, cast

from scale_reasoning.datasets import hub
from scale_reasoning.datasets.rows import SourceRow
from scale_reasoning.errors import ConfigError, first_line
from scale_reasoning.files import open_regular, read_bounded
from scale_reasoning.types import JSON

NAME = "dualthinking"
PLACE = hub.HubSplit(repo="YangXiao-nlp/DualThinking", split="train")
LICENCE = "MIT"
COLUMNS = ("problem", "answer", "steps", "steps_scores", "steps_detail", "steps_content")
"""What is read of a row; the four of steps are objects with the keys step1, step2, ..."""
SUFFIXES = (".jsonl", ".json")
NOT_FOR_TRAINING = ("eval", "test")
MOST_LINE = 8 << 20
MOST_BYTES = 256 << 20
"""The longest line of JSONL, and the largest file of JSON, in bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedRows:
    """The rows, and where they are from: `facts` are an origin's, the licence's and the commit's."""

    rows: Iterator[SourceRow]
    facts: Mapping[str, JSON]


def read(*, data_dir: Path | None = None, revision: str | None = None, part: str | None = None) -> PublishedRows:
    """The rows of DIR/dualthinking.jsonl or of the files under DIR/dualthinking, else of the Hub at `revision`.

    `part` is a part of the path that files must have (by default any but those for evaluation). Raises `ConfigError`.
    """
    facts: dict[str, JSON] = {"licence": LICENCE}
    if data_dir is not None:
        single = data_dir / f"{NAME}.jsonl"
        folder = single if single.exists() else data_dir / NAME
        return PublishedRows(rows=_read_files(folder, part), facts={**facts, "origin": str(folder)})
    place = hub.pin(replace(PLACE, revision=revision))
    facts |= {"origin": f"hub:{place.repo}", "revision": place.revision}
    return PublishedRows(rows=_read_files(_download(place, part), part), facts=facts)


def _download(place: hub.HubSplit, part: str | None) -> Path:
    """The folder, in the Hub's cache, with the files that are wanted."""
    try:
        library: Any = import_module("huggingface_hub")
    except ImportError:
        raise ConfigError(
            f"{NAME} needs huggingface_hub: pip install 'scale-reasoning[data]', or give --data-dir"
        ) from None
    where = {"repo_id": place.repo, "repo_type": "dataset", "revision": place.revision}
    try:
        names: list[str] = library.HfApi().list_repo_files(**where)
        wanted = [name for name in names if _is_wanted(name, part)]
        if not wanted:
            raise ConfigError(_explain_none(str(place), names, part))
        return Path(library.snapshot_download(**where, allow_patterns=wanted))
    except ConfigError:
        raise
    except Exception as error:  # the library's own kinds, those of its HTTP client, and the system's
        raise ConfigError(
            f"{place} cannot be read from the Hub: {first_line(error)}; or use a local copy: --data-dir"
        ) from error


def _is_wanted(name: str, part: str | None) -> bool:
    if PurePosixPath(name).suffix not in SUFFIXES:
        return False
    return part in name if part else not any(word in name.lower() for word in NOT_FOR_TRAINING)


def _explain_none(where: str, names: list[str], part: str | None) -> str:
    found = ", ".join(names[:20]) or "none"
    what = f"with {part!r} in its path" if part else f"that is not for evaluation ({', '.join(NOT_FOR_TRAINING)})"
    return f"{where}: no file of JSON {what}; name a part of a path with --split; its files: {found}"


def _read_files(place: Path, part: str | None) -> Iterator[SourceRow]:
    if place.is_file():
        yield from _read_file(place)
        return
    if not place.is_dir():
        raise ConfigError(f"{place}: no such folder, and no {place}.jsonl")
    files = {file.relative_to(place).as_posix(): file for file in sorted(place.rglob("*")) if file.is_file()}
    wanted = [file for name, file in files.items() if _is_wanted(name, part)]
    if not wanted:
        raise ConfigError(_explain_none(str(place), list(files), part))
    for file in wanted:
        yield from _read_file(file)


def _read_file(file: Path) -> Iterator[SourceRow]:
    """The rows of a file: its lines, or its one value, an object or a list of them. Raises `ConfigError`."""
    try:
        place = file.resolve()  # the Hub's cache has links
        if file.suffix == ".json":
            value: JSON = _parse(read_bounded(place, MOST_BYTES), str(file))
            rows = cast("list[JSON]", value) if isinstance(value, list) else [value]
            for number, row in enumerate(rows, 1):
                yield _make_row(row, f"{file.name}, row {number}")
            return
        with open_regular(place) as lines:
            for number, line in enumerate(iter(lambda: lines.readline(MOST_LINE + 1), b""), 1):
                where = f"{file.name}, line {number}"
                if len(line) > MOST_LINE:
                    raise ConfigError(f"{where}: more than {MOST_LINE:,} bytes")
                if line.strip():
                    yield _make_row(_parse(line, where), where)
    except OSError as error:
        raise ConfigError(f"{file}: cannot be read ({error.strerror or error})") from error


def _parse(text: bytes, where: str) -> JSON:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{where}: not JSON ({error})") from None


def _make_row(value: JSON, where: str) -> SourceRow:
    if not isinstance(value, dict):
        raise ConfigError(f"{where}: a row must be a JSON object, not {type(value).__name__}")
    fields = cast("dict[str, JSON]", value)
    if missing := [name for name in COLUMNS if name not in fields]:
        raise ConfigError(f"{where}: no {missing[0]} among its fields ({', '.join(map(repr, fields))})")
    return SourceRow(where=where, fields=fields)
