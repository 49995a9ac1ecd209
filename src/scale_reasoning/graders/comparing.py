r"""Compares a gold answer with another without algebra: by spelling, numbers, units and words.

Decides which grades need no algebra, and which expressions are left for judging.py.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from scale_reasoning.answers.compact import compact, normalise
from scale_reasoning.answers.notation import plain
from scale_reasoning.answers.numbers import is_relation, other_variable, rational_of
from scale_reasoning.answers.units import without_units
from scale_reasoning.answers.wording import FORMULA, Wording, read_wording
from scale_reasoning.graders.reading import Reading
from scale_reasoning.types import Grade

SENTENCE_CHARS = 300
"""Words are not compared in a longer text or in one of several lines."""
RIGHT = Grade(correct=True, grader="symbolic")


def wrong(reason: str) -> Grade:
    """The grade of a wrong answer."""
    return Grade(correct=False, grader="symbolic", reason=reason)


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Readings of both sides whose expressions must be equal.

    In a `relation` the right side alone is not the answer.
    """

    gold: tuple[Reading, ...]
    answer: tuple[Reading, ...]
    relation: bool = False


def compare(gold: tuple[Reading, ...], answer: tuple[Reading, ...]) -> Grade | tuple[Comparison, ...]:
    """The grade, or all comparisons that must hold."""
    if _is_other_base(gold[0].text, answer[0].text):
        return wrong("another number, or another base")
    pair = without_units(plain(gold[0].text), plain(answer[0].text))
    if pair is None:
        return wrong("another unit")
    if (grade := _compare_spelling(*pair)) is not None:
        return grade
    if not _is_sentence(gold[0].text):
        return (Comparison(gold=gold, answer=answer),)
    wanted = read_wording(pair[0])
    given = read_wording(pair[1]) if _is_sentence(answer[0].text) else read_wording(_last_sentence(answer[0].text))
    if not wanted.is_formula and not (wanted.result and given.is_formula):
        return _compare_words(wanted, given)
    if _is_sentence(answer[0].text) and given.qualified:
        return _grade_other_words(given)
    ours = Reading(text=wanted.formulas[-1], bare=True)
    return (_make_comparison(ours, (*_find_formula(given, answer[0]), *answer)),)


def _compare_spelling(gold: str, answer: str) -> Grade | None:
    """The grade of two texts without units where their spelling is enough; else None."""
    wanted, given = compact(gold), compact(answer)
    if wanted and wanted == given:
        return RIGHT
    if other_variable(wanted, given):
        return wrong("another variable has that value")
    number = rational_of(wanted)
    return RIGHT if number is not None and number == rational_of(given) else None


def _compare_words(wanted: Wording, given: Wording) -> Grade | tuple[Comparison, ...]:
    if not given.states(wanted):
        return _grade_other_words(given)
    formulas = given.formulas[len(given.formulas) - len(wanted.formulas) :]
    pairs = [
        _make_comparison(Reading(text=ours, bare=True), (Reading(text=theirs, bare=True),))
        for ours, theirs in zip(wanted.formulas, formulas, strict=True)
        if compact(ours) != compact(theirs)
    ]
    return tuple(pairs) or RIGHT


def _grade_other_words(given: Wording) -> Grade:
    said = " ".join(word or "…" for word in given.words)[:100]
    return wrong(f"the words say something else: {said!r}")


def _make_comparison(gold: Reading, answer: tuple[Reading, ...]) -> Comparison:
    return Comparison(gold=(gold,), answer=answer, relation=is_relation(compact(gold.text)))


def _find_formula(given: Wording, answer: Reading) -> tuple[Reading, ...]:
    """The answer's formula, where its words end in one."""
    if given.words[-1:] != (FORMULA,) or not _is_sentence(answer.text):
        return ()
    return (Reading(text=given.formulas[-1], bare=True),)


def _is_sentence(text: str) -> bool:
    return len(text) <= SENTENCE_CHARS and "\n" not in text and not re.search(r"[.!?] +[A-Z$\\]", text)


def _last_sentence(text: str) -> str:
    return plain(re.split(r"[.!?]\s+(?=[A-Z$\\])|\n", text.strip())[-1][-SENTENCE_CHARS:])


def _is_other_base(gold: str, answer: str) -> bool:
    """Whether the answer names a base (`52_8`) and is another number: math-verify does not read the base."""
    wanted, given = (_NUMERAL.fullmatch(normalise(text)) for text in (gold, answer))
    if wanted is None or given is None or given["base"] is None:
        return False
    return (wanted["digits"], wanted["base"] or "10") != (given["digits"], given["base"])


_NUMERAL = re.compile(r"(?P<digits>[0-9]+)(?:_\{?(?P<base>[0-9]+)\}?)?")
