"""Everything that reads text of a model, a server or a user, each as a function of one text that must not fail.

A target swallows the errors that its reader documents and asserts what its result promises. The tests feed them by
hypothesis, fuzz/run.py by atheris.
"""

from __future__ import annotations

import asyncio
import json
import tomllib
from collections.abc import Callable, Iterable
from contextlib import suppress
from fractions import Fraction
from pathlib import Path

import msgspec

from scale_reasoning.answers import answer_class, final_answer, normalise, rational
from scale_reasoning.arithmetic.reading import find_question_owner, truth_in
from scale_reasoning.datasets.dataset import normalise_text
from scale_reasoning.datasets.files import _csv_rows, _json_rows
from scale_reasoning.datasets.rows import SourceRow, make_problems
from scale_reasoning.engines.listing import check_model, check_window, read_list
from scale_reasoning.engines.refusals import error_for, stream_error
from scale_reasoning.engines.reply import Reply
from scale_reasoning.engines.think import ThinkSplitter
from scale_reasoning.errors import ConfigError, EngineError
from scale_reasoning.graders.integer import Integer, parse_integer
from scale_reasoning.graders.reading import drop_reasoning, read, to_latex
from scale_reasoning.replies import parse_choice, parse_number, parse_outline
from scale_reasoning.runs.manifest import decode
from scale_reasoning.runs.recipe import resolve as resolve_recipe
from scale_reasoning.strategies.question import question_of
from scale_reasoning.synth.repetition import find_repetition
from scale_reasoning.synth.rows import _parse_row
from scale_reasoning.synth.words import split_words, split_words_and_signs
from scale_reasoning.types import Problem, Solution

Target = Callable[[str], None]
HERE = Path("x")


def outline(text: str) -> None:
    with suppress(ValueError):
        steps = parse_outline(text, 16)
        assert 1 <= len(steps) <= 16
        assert all(steps)
        assert "\n".join(steps).encode()


def choice(text: str) -> None:
    with suppress(ValueError):
        assert 1 <= parse_choice(text, 8) <= 8


def number(text: str) -> None:
    with suppress(ValueError):
        assert 0 <= parse_number(text) <= 1


def answers(text: str) -> None:
    answer = final_answer(text)
    assert answer is None or answer == answer.strip() != ""
    for each in (text, answer or ""):
        assert isinstance(normalise(each), str)
        assert isinstance(rational(each), Fraction | None)
        assert isinstance(answer_class(each), str)


def grading(text: str) -> None:
    assert isinstance(parse_integer(text), int | None)
    grade = asyncio.run(Integer().grade(Problem(id="p", text="?", answer="116"), Solution(answer=text)))
    assert grade.correct or parse_integer(text) != 116 or len(text) > 2000
    for boxes in ("last", "listed"):
        for reading in read(drop_reasoning(text), boxes)[:2]:
            assert len(reading.text) <= len(text) * 4 + 1000
            assert isinstance(to_latex(reading.text[:2000]), str)


def thought(text: str) -> None:
    """Pieces cut anywhere say what the whole says."""
    whole = _parted([text], inside=False)
    assert _parted(text[at : at + 7] for at in range(0, len(text), 7)) == whole
    assert sum(map(len, whole)) <= len(text)
    _parted([text], inside=True)


def _parted(pieces: Iterable[str], *, inside: bool = False) -> tuple[str, str]:
    split = ThinkSplitter(inside=inside)
    for piece in pieces:
        split.feed(piece)
    split.end()
    return split.split(cut_off=False)


def stream(text: str) -> None:
    """A body of events is a completion or an EngineError, wherever it is cut."""
    body = text.encode("utf-8", "surrogatepass")
    pieces = [body[at : at + 5] for at in range(0, len(body), 5)] if len(body) < 10_000 else [body[:9], body[9:]]
    assert replied(pieces) == replied([body])


def replied(pieces: Iterable[bytes]) -> str:
    reply = Reply(None, inside=False, where="HOST", secrets=("sk-secret",))
    try:
        for piece in pieces:
            reply.feed(piece)
            if reply.done:
                break
        return repr(reply.completion(content_type="text/event-stream"))
    except EngineError as error:
        _is_one_line(error)
        return repr(error)


def refusal(text: str) -> None:
    status, _, rest = text.partition(" ")
    code = 300 + int(status) % 300 if status.isascii() and status.isdecimal() and len(status) < 9 else 429
    content = rest.encode("utf-8", "surrogatepass")
    _is_one_line(
        error_for(code, content, where="HOST", retry_after=rest[:200], location=rest[:200], secrets=("sk-secret",))
    )
    with suppress(ValueError, msgspec.MsgspecError, RecursionError):
        _is_one_line(stream_error(msgspec.json.decode(content), where="HOST", secrets=()))


def _is_one_line(error: EngineError) -> None:
    assert str(error).isprintable()
    assert len(str(error)) < 1000
    assert "sk-secret" not in str(error)


def models(text: str) -> None:
    with suppress(ValueError, RecursionError):
        names = read_list(json.loads(text))
        assert len(check_model("some-model", names).found) < 1000
        for entry in list((names or {}).values())[:3]:
            check_window(4096, entry, own=None, flag="--window {}")


def manifest(text: str) -> None:
    with suppress(ValueError, RecursionError):
        value = json.loads(text)
        with suppress(ConfigError):
            decode(value, "manifest.json").normalise()
        if isinstance(value, dict):
            with suppress(ConfigError):
                resolve_recipe(value, "recipe.toml").normalise()


def recipes(text: str) -> None:
    with suppress(ValueError, RecursionError):
        table = tomllib.loads(text)
        with suppress(ConfigError):
            resolve_recipe(table, "recipe.toml").normalise()


def rows(text: str) -> None:
    for reader in (_json_rows, _csv_rows):
        with suppress(ConfigError):
            problems = make_problems(_first(reader(HERE, text)), "x.jsonl")
            assert all(problem.text.strip() and problem.id for problem in problems)
            assert all(f"{problem.id}{problem.text}{problem.answer}".encode() for problem in problems)


def _first(found: Iterable[SourceRow]) -> Iterable[SourceRow]:
    return (row for row, _ in zip(found, range(1000), strict=False))


def conversations(text: str) -> None:
    with suppress(ConfigError):
        row = _parse_row("rows, line 1", 1, text.encode("utf-8", "surrogatepass"))
        assert row.completion.strip()
        assert row.prompt[-1].role == "user"


def traces(text: str) -> None:
    assert isinstance(find_repetition(text), str | None)
    assert set(split_words(text)) <= set(split_words_and_signs(text))
    assert isinstance(normalise_text(text), str)


def arithmetic(text: str) -> None:
    truth_in(text)
    find_question_owner(text)
    assert question_of(text).strip() or not text.strip()


TARGETS: dict[str, Target] = {
    target.__name__: target
    for target in (
        outline, choice, number, answers, grading, thought, stream, refusal, models, manifest, recipes, rows, traces,
        arithmetic, conversations,
    )
}  # fmt: skip
