r"""Compares a gold answer with another as far as that goes without algebra: spelling, numbers, units, words.

Decides what is settled by looking, and which formulas are left for the judge of expressions.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from scale_reasoning.answers.compact import compact, normalise
from scale_reasoning.answers.notation import plain
from scale_reasoning.answers.numbers import is_relation, other_variable, rational_of
from scale_reasoning.answers.units import without_units
from scale_reasoning.answers.wording import FORMULA, Wording, wording
from scale_reasoning.graders.reading import Reading

SENTENCE_CHARS = 300
"""In a longer text, or one of several lines, words are not compared."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """A verdict that needs no algebra, with the reason for a false one."""

    correct: bool
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Open:
    """Readings of both sides whose expressions are to be compared. Of a `relation` the right side is no answer."""

    gold: tuple[Reading, ...]
    answer: tuple[Reading, ...]
    relation: bool = False


def settle(gold: tuple[Reading, ...], answer: tuple[Reading, ...]) -> Settled | tuple[Open, ...]:
    """The verdict, or the pairs that all must be equal."""
    if _other_base(gold[0].text, answer[0].text):
        return Settled(correct=False, reason="another number, or another base")
    pair = without_units(plain(gold[0].text), plain(answer[0].text))
    if pair is None:
        return Settled(correct=False, reason="another unit")
    if (settled := _spelled(*pair)) is not None:
        return settled
    if not _is_sentence(gold[0].text):
        return (Open(gold=gold, answer=answer),)
    wanted = wording(pair[0])
    given = wording(pair[1]) if _is_sentence(answer[0].text) else wording(_last_sentence(answer[0].text))
    if not wanted.is_formula and not (wanted.result and given.is_formula):
        return _worded(wanted, given)
    if _is_sentence(answer[0].text) and given.qualified:
        return _other_words(given)
    ours = Reading(text=wanted.formulas[-1], bare=True)
    return (_open(ours, (*_formula(given, answer[0]), *answer)),)


def _spelled(gold: str, answer: str) -> Settled | None:
    """The verdict on two texts without units that their spelling gives away."""
    wanted, given = compact(gold), compact(answer)
    if wanted and wanted == given:
        return Settled(correct=True)
    if other_variable(wanted, given):
        return Settled(correct=False, reason="another variable has that value")
    number = rational_of(wanted)
    return Settled(correct=True) if number is not None and number == rational_of(given) else None


def _worded(wanted: Wording, given: Wording) -> Settled | tuple[Open, ...]:
    if not given.states(wanted):
        return _other_words(given)
    formulas = given.formulas[len(given.formulas) - len(wanted.formulas) :]
    pairs = [
        _open(Reading(text=ours, bare=True), (Reading(text=theirs, bare=True),))
        for ours, theirs in zip(wanted.formulas, formulas, strict=True)
        if compact(ours) != compact(theirs)
    ]
    return tuple(pairs) or Settled(correct=True)


def _other_words(given: Wording) -> Settled:
    said = " ".join(word or "…" for word in given.words)[:100]
    return Settled(correct=False, reason=f"the words say something else: {said!r}")


def _open(gold: Reading, answer: tuple[Reading, ...]) -> Open:
    return Open(gold=(gold,), answer=answer, relation=is_relation(compact(gold.text)))


def _formula(given: Wording, answer: Reading) -> tuple[Reading, ...]:
    """The answer's formula, where its words end in one."""
    if given.words[-1:] != (FORMULA,) or not _is_sentence(answer.text):
        return ()
    return (Reading(text=given.formulas[-1], bare=True),)


def _is_sentence(text: str) -> bool:
    return len(text) <= SENTENCE_CHARS and "\n" not in text and not re.search(r"[.!?] +[A-Z$\\]", text)


def _last_sentence(text: str) -> str:
    return plain(re.split(r"[.!?]\s+(?=[A-Z$\\])|\n", text.strip())[-1][-SENTENCE_CHARS:])


def _other_base(gold: str, answer: str) -> bool:
    """Whether the answer names a base (`52_8`) and is not the gold numeral: math-verify does not read the base."""
    wanted, given = (_NUMERAL.fullmatch(normalise(text)) for text in (gold, answer))
    if wanted is None or given is None or given["base"] is None:
        return False
    return (wanted["digits"], wanted["base"] or "10") != (given["digits"], given["base"])


_NUMERAL = re.compile(r"(?P<digits>[0-9]+)(?:_\{?(?P<base>[0-9]+)\}?)?")
