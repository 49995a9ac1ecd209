"""What the command line says of itself: wrong words in two lines, help with examples, and `scale` alone in a screen."""

from __future__ import annotations

import argparse
import sys
import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar, NoReturn

from scale_reasoning.cli.defaults import explain
from scale_reasoning.cli.settings import default_base_url, default_model
from scale_reasoning.suggest import suggest

EXTRAS = {
    "local": ("xllamacpp", "models on this machine"),
    "view": ("jinja2", "the viewer"),
    "plots": ("matplotlib", "plots"),
    "data": ("datasets", "datasets of the Hub"),
    "sft": ("trl", "fine-tuning"),
    "ray": ("ray", "runs on Ray"),
}
"""The extras of the distribution: a module that each brings, and what it is for."""


MOST_FLAGS = 5
"""A verb with more is shown as `[options]` in the first line of its help."""


class Parser(argparse.ArgumentParser):
    """A parser whose errors are two lines (what is wrong, and where the help is), and whose help begins with one.

    set_by: the flags that nobody has typed, and where each is set.
    """

    set_by: ClassVar[Mapping[str, str]] = {}

    def error(self, message: str) -> NoReturn:
        """See ArgumentParser."""
        message = explain(message, self.set_by)
        self.exit(2, f"{self.prog}: error: {message}\nSee {self.prog} --help.\n")

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is not None and value not in action.choices:
            near = suggest(str(value), known := [str(each) for each in action.choices])
            raise argparse.ArgumentError(action, f"not {value!r}{near} but one of {', '.join(known)}")

    def format_help(self) -> str:
        """See ArgumentParser."""
        if sum(bool(action.option_strings) for action in self._actions) > MOST_FLAGS:
            formatter = self._get_formatter()
            formatter.add_usage(None, self._get_positional_actions(), [], prefix="")
            words = formatter.format_help().split()[len(self.prog.split()) :]
            self.usage = " ".join(["%(prog)s [options]", *words])
        return super().format_help()


class Formatter(argparse.HelpFormatter):
    """Wraps text, but no indented line."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        lines = text.splitlines()
        return "\n".join(
            each if each.startswith(" ") else super(Formatter, self)._fill_text(each, width, indent) for each in lines
        )


def finish(command: argparse.ArgumentParser, verb: str, sentence: str) -> None:
    """Gives a verb's help its sentence, if it has no description, and its examples."""
    said = list_examples()[verb]
    command.formatter_class = Formatter
    command.description = command.description or f"{sentence[:1].upper()}{sentence[1:]}."
    examples = "\n".join(f"  {line}" for line in said["try"])
    command.epilog = f"examples:\n{examples}\n\nMore: scale docs {said['page'].removesuffix('.md')}"


@cache
def list_examples() -> Mapping[str, Mapping[str, Any]]:
    """The commands to try and the page of each verb: examples.toml."""
    return tomllib.loads(Path(__file__).with_name("examples.toml").read_text(encoding="utf-8"))


def refuse_extra(parser: argparse.ArgumentParser, extra: list[str]) -> NoReturn:
    """Refuses words that a parser does not know, with the nearest flag that it has."""
    word = extra[0].partition("=")[0]
    known = [flag for action in parser._actions for flag in action.option_strings]  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
    parser.error(f"unknown: {' '.join(extra)}{suggest(word, known)}")


def greet() -> int:
    """Says what the command is, three commands to try, and what is set up here."""
    from scale_reasoning.engines import fetching
    from scale_reasoning.engines.catalogue import CATALOGUE

    model, (url, set_in) = default_model(), default_base_url()
    here = ""
    if (row := CATALOGUE.get(model)) is not None:
        here = " is here" if fetching.find(row) else f" is fetched at its first use, {row.size / 1e6:,.0f} MB"
    server = f"that of {set_in}" if url else "none; set OPENAI_BASE_URL or --base-url"
    has = {name for name, (module, _) in EXTRAS.items() if find_spec(module) is not None}
    lacks = [f"{name} ({use})" for name, (_, use) in EXTRAS.items() if name not in has]
    lines = [
        "SCALE spends a language model's effort where a problem needs it: it breaks the problem into steps, rates each",
        "step's difficulty, and thinks only about the hard ones. It compares that with other ways to spend as much.",
        "",
        "  scale example                       solve a word problem, the trace live",
        '  scale solve "What is 17 * 23?"      solve yours; --base-url URL --model NAME for a server\'s model',
        "  scale doctor                        what the model's two modes are worth, and what its server can do",
        "",
        f"Model    {model}{here}; others: scale list models",
        f"Server   {server}",
        f"Extras   {', '.join(sorted(has)) or 'none'}{'; not installed: ' + ', '.join(lacks) if lacks else ''}",
        "",
        "All commands: scale --help",
    ]
    sys.stdout.write("\n".join(lines) + "\n")
    return 0
