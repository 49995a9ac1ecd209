"""The reference of the site, made from the code while the site is built: a hook that mkdocs.yml names.

Commands come from the command's own parser, options from the fields of strategies, the record and errors from their
classes. Nothing of it is committed, so nothing of it can be out of date.
"""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import inspect
import os
import textwrap
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

import scale_reasoning
from scale_reasoning import STRATEGIES, Connection, Scale, connect, errors, solve
from scale_reasoning.cli import _parser, usage
from scale_reasoning.cli.listing import list_options
from scale_reasoning.strategies.options import Option, options_of
from scale_reasoning.strategies.table import TABLES, Table
from scale_reasoning.types import Record

HELP_WIDTH = "92"
PLURALS = {"strategy": "Strategies", "allocator": "Allocators", "assessor": "Assessors"}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the pages to the site's."""
    pages = {
        "commands": write_commands(),
        "options": write_options(),
        "python": write_python(),
        "record": write_record(),
        "errors": write_errors(),
    }
    for name, text in pages.items():
        files.append(File.generated(config, f"reference/{name}.md", content=text))
    return files


def write_commands() -> str:
    """Every verb: its sentence, examples, page, and the help that it prints."""
    os.environ["COLUMNS"] = HELP_WIDTH
    (verbs,) = (each for each in _parser()._actions if isinstance(each, argparse._SubParsersAction))  # noqa: SLF001
    parts = ["# Commands", "What `scale COMMAND --help` prints."]
    for verb, parser in verbs.choices.items():
        said = usage.list_examples()[verb]
        page = said["page"]
        sentence, parser.description, parser.epilog = parser.description, None, None
        parts += [
            f"## scale {verb}",
            _escape(sentence),
            _fence("sh", "\n".join(said["try"])),
            f"More: [{page.removesuffix('.md')}](../{page})",
            _fence("text", parser.format_help().strip()),
        ]
    return "\n\n".join(parts)


OPTIONS = """# Strategies and their options

What `scale list strategies`, `scale list allocators` and `scale list assessors` print, with the values that are
allowed. `--set NAME=VALUE` reaches every option, of a part as `route.tau`; those that are marked have a flag of their
own, spelled with dashes. [The method and its options](../method.md) says what they are for."""


def write_options() -> str:
    """Every strategy, allocator and assessor with its options."""
    parts = [OPTIONS]
    for table in TABLES.values():
        parts += [f"## {PLURALS[table.kind]}", *_write_table(table)]
    return "\n\n".join(parts)


HEAD = "| option | flag | default | values | what it is |\n| --- | --- | --- | --- | --- |"


def _write_table(table: Table) -> Iterator[str]:
    for word, shape in table.rows.items():
        yield f"### {word}"
        yield _escape((inspect.getdoc(shape) or "").partition("\n\n")[0])
        described, rows = options_of(shape), [HEAD]
        for name, default, said in list_options(shape):
            option = described.get(name)
            cells = (f"`{name}`", _write_flag(option), _code(default), _write_values(option), _cell(said))
            rows.append(f"| {' | '.join(cells)} |")
        if len(rows) > 1:
            yield "\n".join(rows)
    for word, (name, settings) in table.short.items():
        yield f"`{word}` is short for `{name}` with {', '.join(f'{key} = {value}' for key, value in settings.items())}."


def _write_flag(option: Option | None) -> str:
    return "yes" if option and option.flag else ""


def _write_values(option: Option | None) -> str:
    if option is None:
        return ""
    if option.choices:
        return ", ".join(f"`{choice}`" for choice in option.choices)
    if option.low is None:
        return ""
    return f"at least {option.low:g}" if option.high is None else f"{option.low:g} to {option.high:g}"


PYTHON = """# Python

All of these are imported from `scale_reasoning`, and so are `Record` and `Solution`: see [the record](record.md). The
[options](options.md) of a strategy are its keywords."""


def write_python() -> str:
    """The public names, in the order of `__all__`, without those that the page of the record has."""
    example = (Path(__file__).parents[1] / "examples" / "ten_lines.py").read_text(encoding="utf-8")
    places = {name: f"scale_reasoning.{module}" for module, names in scale_reasoning._PLACES.items() for name in names}  # noqa: SLF001
    parts = [PYTHON, _fence("python", example.strip())]
    strategies = {shape.__name__ for shape in STRATEGIES.values()}
    recorded = {shape.__name__ for shape in _list_shapes(Record)}
    for name in (name for name in scale_reasoning.__all__ if name not in recorded):
        parts.append(f"::: {places[name]}.{name}")
        if name in strategies:
            parts[-1] += "\n    options:\n      show_signature: false"
    return "\n\n".join(parts)


RECORD = """# The record

What `scale solve --json` prints, `scale export` writes and `solve` returns: one attempt, with everything that
happened in it. Keys are the fields of the classes below. Unknown is `null`, never zero.

??? example "The record of a problem of two steps, by the arithmetic teacher, which is not a model"
"""


def write_record() -> str:
    """An example, and the classes of a record from the outside in."""
    example = textwrap.indent(_fence("json", asyncio.run(_make_record())), "    ")
    classes = (f"::: {shape.__module__}.{shape.__qualname__}" for shape in _list_shapes(Record))
    return "\n\n".join([f"{RECORD}\n{example}", *classes])


async def _make_record() -> str:
    async with connect(Connection(model="arithmetic-teacher")) as endpoints:
        text = "C = 517. D = C + 8. E = D × 7. Find E."
        record = await solve(text, Scale(candidates=1), endpoints=endpoints, answer="3675")
    return msgspec.json.format(msgspec.json.encode(record), indent=1).decode()


def _list_shapes(shape: type[Any]) -> list[type[Any]]:
    """The dataclass and those of its fields, each once."""
    found, ahead = list[type[Any]](), [shape]
    while ahead:
        kind = ahead.pop(0)
        if dataclasses.is_dataclass(kind) and kind not in found:
            found.append(kind)
            ahead += typing.get_type_hints(kind).values()
        ahead += typing.get_args(kind)
    return found


def write_errors() -> str:
    """The tree of errors, and each with the word that records carry and who is to blame."""
    rows = [
        f"| `{shape.__name__}` | `{shape.kind}` | {shape.blame} | {_cell(inspect.getdoc(shape) or '')} |"
        for shape in _list_errors(errors.ScaleError)
    ]
    table = ["| error | kind | blame | what it says |", "| --- | --- | --- | --- |", *rows]
    return "\n\n".join(["# Errors", _escape(inspect.getdoc(errors) or ""), "\n".join(table)])


def _list_errors(shape: type[errors.ScaleError]) -> Iterator[type[errors.ScaleError]]:
    yield shape
    for each in shape.__subclasses__():
        yield from _list_errors(each)


def _fence(language: str, text: str) -> str:
    return f"```{language}\n{text}\n```"


def _code(text: str) -> str:
    return f"`{text}`" if text else ""


def _cell(text: str) -> str:
    return _escape(" ".join(text.split())).replace("|", "\\|")


def _escape(text: str) -> str:
    return text.replace("<", "&lt;")
