"""Solves an arithmetic problem from its text alone: the inverse of wording.py.

Decides what belongs to the grammar: every sentence must be one of its phrases, and the facts must be one path from the
first number to the quantity in the question. Other texts give None; nothing is guessed. Does not know ids, splits or
levels.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Literal, TypeAlias

from scale_reasoning.arithmetic.chains import MAX_DIGITS, MAX_STEPS, Operation, Turn, result_of
from scale_reasoning.arithmetic.problems import LAPTOP, Link, Truth
from scale_reasoning.arithmetic.wording import LETTERS, THEMES, Theme, fill_phrase

MOST_SENTENCES = MAX_STEPS + 2
"""A start, one fact per step, a question."""
LONGEST_SENTENCE = 200
"""Characters; far more than any phrase has."""
EXAMPLE = "C = 517. D = C + 8. E = D × 7. Find E."
"""A problem in letters."""

_SENTENCE_END = re.compile(r"(?<=[.?])\s+")
_HOLE = re.compile(r"\{(\w+)\}")
_POWER_OF_TEN = re.compile("10+")
_Role: TypeAlias = Literal["start", "question"] | Operation


@lru_cache(maxsize=256)
def truth_in(text: str) -> Truth | None:
    """The solution of an arithmetic problem's text; None if it is not of the grammar, or its facts do not determine it.

    Facts are used in the direction from the first number to the question: "Ada has 3 more cards than Ben" adds if Ben's
    number is known, and subtracts if Ada's is.
    """
    spoken = _spoken(text)
    start, question = _only(spoken, "start"), _only(spoken, "question")
    if start is None or question is None or len({readings[0].theme for readings in spoken}) != 1:
        return None
    if {readings[0].things for readings in spoken} - {None} != {question.things} - {None}:
        return None
    path = list(_path(start, [reading for readings in spoken for reading in readings]))
    if not path or len(path) != len(spoken) - 2 or path[-1][0].owner != question.owner:
        return None
    links = tuple(
        Link(
            turn=turn,
            fact=fact.sentence,
            question=fill_phrase(question.phrase, b=fact.owner, things=question.things or ""),
        )
        for fact, turn in path
    )
    return Truth(start=start.sentence, owners=(start.owner, *(fact.owner for fact, _ in path)), links=links)


def is_in_letters(text: str) -> bool:
    """Whether a text is a chain of arithmetic in letters, such as `EXAMPLE`: its facts determine its answer, and its
    steps are those of the level `laptop`.
    """
    truth = truth_in(text)
    return (
        truth is not None
        and set(truth.owners) <= set(LETTERS.owners)
        and all(any(move.allows(link.turn) for move in LAPTOP.moves) for link in truth.links)
    )


def find_question_owner(text: str) -> str | None:
    """The owner of the quantity that a problem or sub-problem asks for; None if it is not of the grammar."""
    question = _only(_spoken(text), "question")
    return question.owner if question else None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reading:
    """One way to read a sentence: `owner` has the quantity that it gives or asks for, `before` the one that it uses."""

    sentence: str
    theme: int
    role: _Role
    phrase: str
    owner: str
    before: str | None
    number: int
    things: str | None


def _spoken(text: str) -> Sequence[tuple[_Reading, ...]]:
    """All readings of every sentence; () if a sentence has none, or there are too many."""
    sentences = _SENTENCE_END.split(text.strip(), maxsplit=MOST_SENTENCES)
    if len(sentences) > MOST_SENTENCES:
        return ()
    spoken = [_readings(sentence) for sentence in sentences if len(sentence) <= LONGEST_SENTENCE]
    return spoken if len(spoken) == len(sentences) and all(spoken) else ()


@lru_cache(maxsize=4096)
def _readings(sentence: str) -> tuple[_Reading, ...]:
    found = ((phrase, phrase.pattern.fullmatch(sentence)) for phrase in _phrases())
    return tuple(_reading(sentence, phrase, match.groupdict()) for phrase, match in found if match)


def _reading(sentence: str, phrase: _Phrase, holes: dict[str, str]) -> _Reading:
    names = {owner.lower(): owner for owner in THEMES[phrase.theme].owners}
    return _Reading(
        sentence=sentence,
        theme=phrase.theme,
        role=phrase.role,
        phrase=phrase.text,
        owner=names[holes["b"].lower()],
        before=names[holes["a"].lower()] if "a" in holes else None,
        number=int(holes.get("n", 0)),
        things=holes["things"].lower() if "things" in holes else None,
    )


def _only(spoken: Sequence[tuple[_Reading, ...]], role: _Role) -> _Reading | None:
    """The sentence with this role, None unless there is exactly one."""
    found = [readings[0] for readings in spoken if readings[0].role == role]
    return found[0] if len(found) == 1 else None


def _path(start: _Reading, readings: Sequence[_Reading]) -> Iterator[tuple[_Reading, Turn]]:
    """The facts on the path from the start, each with its operation, as long as exactly one continues it."""
    owner, value, seen = start.owner, start.number, {start.owner}
    while True:
        onward = [reading for reading in readings if reading.before == owner and reading.owner not in seen]
        turn = _turn(onward[0], value) if len(onward) == 1 else None
        if turn is None:
            return
        yield onward[0], turn
        owner, value = onward[0].owner, turn.result
        seen.add(owner)


def _turn(fact: _Reading, left: int) -> Turn | None:
    """The operation on the previous result, None if its result is not a positive whole number."""
    if fact.role == "start" or fact.role == "question" or (fact.role == "div" and left % fact.number):
        return None
    if fact.role == "mod" and not _POWER_OF_TEN.fullmatch(str(fact.number)):
        return None
    result = result_of(fact.role, left, fact.number)
    return Turn(operation=fact.role, left=left, right=fact.number, result=result) if result > 0 else None


# wording.py's phrases as patterns


@dataclass(frozen=True, slots=True, kw_only=True)
class _Phrase:
    """A phrase of wording.py, and a pattern that matches it."""

    theme: int
    role: _Role
    text: str
    pattern: re.Pattern[str]


@cache
def _phrases() -> tuple[_Phrase, ...]:
    return tuple(
        _Phrase(theme=index, role=role, text=text, pattern=_pattern(theme, text))
        for index, theme in enumerate(THEMES)
        for role, texts in _phrases_by_role(theme).items()
        for text in texts
    )


def _phrases_by_role(theme: Theme) -> dict[_Role, tuple[str, ...]]:
    return {"start": theme.start, "question": theme.questions, **theme.facts}


def _pattern(theme: Theme, text: str) -> re.Pattern[str]:
    """The phrase as a pattern: literal words, and a group of alternatives per hole, without ambiguity."""
    owner, things = (_any_of(names) for names in (theme.owners, theme.things))
    holes = {"a": owner, "b": owner, "things": things, "n": rf"[1-9][0-9]{{0,{MAX_DIGITS - 1}}}"}
    pattern, seen = "", set[str]()
    for index, part in enumerate(_HOLE.split(text)):
        if index % 2 == 0:
            pattern += re.escape(part)
        else:
            pattern += f"(?P={part})" if part in seen else f"(?P<{part}>{holes[part]})"
            seen.add(part)
    return re.compile(pattern, re.IGNORECASE | re.ASCII)


def _any_of(names: Sequence[str]) -> str:
    return "|".join(map(re.escape, names))
