"""The `scale` command: one module per group of verbs; the only place that prints.

Exit codes: 0 done, 1 not solved or failed, 2 usage or configuration, 3 the engine could not be reached, 130 Ctrl-C.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence

from scale_reasoning.cli import (
    calibrate,
    compare,
    completion,
    config,
    defaults,
    docs,
    doctor,
    draft,
    evaluate,
    example,
    fetch,
    listing,
    plot,
    records,
    report,
    reproduce,
    serve,
    settings,
    sft,
    solve,
    synth,
    tune,
    usage,
    view,
)
from scale_reasoning.errors import ConfigError, EngineError, ScaleError
from scale_reasoning.printable import printable

INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code. An error is one line on stderr, never a traceback."""
    words = list(sys.argv[1:] if argv is None else argv)
    set_by: dict[str, str] = {}
    try:
        if not words:
            return usage.greet()
        args, set_by = _parse(solve.shield_minus(words) if words[:1] == ["solve"] else words)
        return args.run(args)
    except BrokenPipeError:
        sys.stderr.close()  # the reader is gone, so nothing more can be printed
        return 1
    except (ScaleError, OSError) as error:
        print(f"scale: error: {shorten(defaults.explain(str(error), set_by))}", file=sys.stderr)
        return choose_exit_code(error)
    except KeyboardInterrupt:
        print("scale: interrupted", file=sys.stderr)
        return INTERRUPTED


MOST_WORD, MOST_LINE = 400, 4000
"""Characters of a word (for example a path) and of a whole error message."""


def shorten(text: str) -> str:
    """A message that may be printed: without terminal codes, and not too long to read."""
    text = re.sub(rf"(\S{{{MOST_WORD}}})\S+", r"\1…", printable(text[: 10 * MOST_LINE]))
    return text if len(text) <= MOST_LINE else f"{text[:MOST_LINE]}…"


def choose_exit_code(error: ScaleError | OSError) -> int:
    """2 for user errors (an OSError is a path that cannot be used), 3 for a server that cannot be reached, else 1."""
    if isinstance(error, ConfigError | OSError):
        return 2
    return 3 if isinstance(error, EngineError) and error.blame == "world" else 1


def _parse(words: Sequence[str]) -> tuple[argparse.Namespace, dict[str, str]]:
    """The command line with the user's defaults, and where each flag that nobody has typed is set. ConfigError."""
    parser = _parser()
    extended, set_by = defaults.extend(words, settings.list_verbs(parser))
    usage.Parser.set_by = set_by
    args, extra = parser.parse_known_args(extended)
    if extra:
        usage.refuse_extra(args.parser, extra)
    return args, set_by


def _parser() -> argparse.ArgumentParser:
    parser = usage.Parser(
        prog="scale", description="Test-time scaling for mathematical reasoning: effort where it counts."
    )
    parser.add_argument("--version", action="version", version=_version())
    commands = parser.add_subparsers(dest="verb", metavar="COMMAND", required=True)
    for group in (
        solve,
        example,
        serve,
        evaluate,
        draft,
        calibrate,
        tune,
        synth,
        sft,
        report,
        compare,
        reproduce,
        plot,
        records,
        view,
        doctor,
        fetch,
        listing,
        config,
        docs,
        completion,
    ):
        group.add(commands)
    sentences = {each.dest: each.help or "" for each in commands._get_subactions()}  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
    for verb, command in commands.choices.items():
        command.set_defaults(parser=command, root=parser)
        usage.finish(command, verb, sentences[verb])
    return parser


def _version() -> str:
    from importlib.metadata import version

    return f"scale {version('scale-reasoning')}"
