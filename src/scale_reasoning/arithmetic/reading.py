"""From the words of an arithmetic problem back to its truth: the inverse of wording.py, from the text alone.

Decides what is of the grammar: every sentence must be one of its phrases, and the facts one path from the number given
to the quantity asked for. What is not is None, never guessed at. Knows nothing of ids, splits or levels.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Literal, TypeAlias

from scale_reasoning.arithmetic.chains import MAX_DIGITS, MAX_STEPS, Operation, Turn, result_of
from scale_reasoning.arithmetic.problems import Link, Truth
from scale_reasoning.arithmetic.wording import THEMES, Theme, said

MOST_SENTENCES = MAX_STEPS + 2
"""A start, a fact a step, a question."""
LONGEST_SENTENCE = 200
"""Characters; no phrase comes near it."""

_SENTENCE_END = re.compile(r"(?<=[.?])\s+")
_HOLE = re.compile(r"\{(\w+)\}")
_POWER_OF_TEN = re.compile("10+")
_Role: TypeAlias = Literal["start", "question"] | Operation


@lru_cache(maxsize=256)
def truth_in(text: str) -> Truth | None:
    """The truth of an arithmetic problem's text; None when it is not of the grammar or its facts do not settle it.

    Facts are taken in the direction that leads from the first number to the question: "Ada has 3 more cards than Ben"
    adds where Ben's number is known and subtracts where Ada's is.
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
        Link(turn=turn, fact=fact.sentence, question=said(question.phrase, b=fact.owner, things=question.things or ""))
        for fact, turn in path
    )
    return Truth(start=start.sentence, owners=(start.owner, *(fact.owner for fact, _ in path)), links=links)


def asked_in(text: str) -> str | None:
    """Whose quantity a problem or sub-problem asks for: sentences of the grammar, one a question; else None."""
    question = _only(_spoken(text), "question")
    return question.owner if question else None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reading:
    """One way to read a sentence: `owner` has the quantity it gives or asks for, `before` the one that it works on."""

    sentence: str
    theme: int
    role: _Role
    phrase: str
    owner: str
    before: str | None
    number: int
    things: str | None


def _spoken(text: str) -> Sequence[tuple[_Reading, ...]]:
    """Every sentence in all its readings; () when one has none, or there are too many."""
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
    """The one sentence of this role."""
    found = [readings[0] for readings in spoken if readings[0].role == role]
    return found[0] if len(found) == 1 else None


def _path(start: _Reading, readings: Sequence[_Reading]) -> Iterator[tuple[_Reading, Turn]]:
    """The facts on the way from the start, each with its operation; it ends where not exactly one leads on."""
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
    """The operation on what came before; None where its result is not a whole positive number."""
    if fact.role == "start" or fact.role == "question" or (fact.role == "div" and left % fact.number):
        return None
    if fact.role == "mod" and not _POWER_OF_TEN.fullmatch(str(fact.number)):
        return None
    result = result_of(fact.role, left, fact.number)
    return Turn(operation=fact.role, left=left, right=fact.number, result=result) if result > 0 else None


# wording.py's phrases as patterns


@dataclass(frozen=True, slots=True, kw_only=True)
class _Phrase:
    """A phrase of wording.py and the pattern of what it says."""

    theme: int
    role: _Role
    text: str
    pattern: re.Pattern[str]


@cache
def _phrases() -> tuple[_Phrase, ...]:
    return tuple(
        _Phrase(theme=index, role=role, text=text, pattern=_pattern(theme, text))
        for index, theme in enumerate(THEMES)
        for role, texts in _said_by(theme).items()
        for text in texts
    )


def _said_by(theme: Theme) -> dict[_Role, tuple[str, ...]]:
    return {"start": theme.start, "question": theme.questions, **theme.facts}


def _pattern(theme: Theme, text: str) -> re.Pattern[str]:
    """Literal words, and a hole a group of alternatives: nothing in it can be matched in two ways."""
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
