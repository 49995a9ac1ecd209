"""Finds the sub-problems in a JSON value of a model: which of its lists, and which text of an item.

A list under a name for sub-problems is preferred, wherever it is. Of an item the question is used, never an answer. An
ambiguous value has no sub-problems.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import cast

from scale_reasoning.replies.lenient import JsonValue
from scale_reasoning.replies.numbered import numbered_steps, remove_label
from scale_reasoning.types import JSON

MAX_DEPTH = 8
"""The depth down to which sub-problems are searched for."""
EMPTY = 100
"""The rank of a name without sub-problems under it, after all others."""
MAX_NODES = 2_000
"""The number of values that are searched for a named list."""

_SUBPROBLEMS = re.compile(r"sub(?:problem|question|task|goal|step)s?")
_STEPS = (
    "steps", "outline", "plan", "questions", "tasks", "problems", "parts", "stages", "goals", "decomposition",
    "breakdown",
)  # fmt: skip
"""Names of a list of sub-problems, after names that contain "sub-problem" or similar words."""
_OTHERS = re.compile(
    r"(?:condition|note|given|assumption|known|fact|constraint|hint|variable|definition|remark|observation|formula"
    r"|requirement|reference|concept|topic|skill|tag|keyword|tool|resource|prerequisite|theorem|warning|comment)s?$"
    r"|answer|solution|result|explanation|reason|rationale|thought|analysis|depend"
)
"""Words in the name of a list of something else."""
_STEP_KEY = re.compile(r"(?:(?:sub)?(?:problem|question|task|goal|step)|part|stage|s|q)?(\d{1,3})")
_QUESTION_KEYS = (
    "subproblem", "subquestion", "subtask", "subgoal", "question", "problem", "task", "description", "statement",
    "text", "content", "step", "goal", "objective", "instruction", "action", "query", "prompt", "details", "detail",
    "body", "formulation", "title", "name", "q",
)  # fmt: skip
"""Keys of an item's question, in the order of preference."""
_KEY_PARTS = ("question", "problem", "task", "description", "statement", "instruction", "goal", "step")
_OTHER_KEYS = re.compile(
    r"^a$|(?:context|background|purpose|completion|why|id|number|index|type|kind|status|level|mode|value|output|method"
    r"|approach|strategy|check)s?$|difficult|expect"
    rf"|{_OTHERS.pattern}"
)
_ONLY_A_LABEL = re.compile(r"\W*(?:[A-Za-z]{1,20}[- ]?)?\d{1,3}\W*")


def outline_in(found: Sequence[JsonValue]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The sub-problems in the JSON of a reply, and their repairs; () if there are none, or they are ambiguous."""
    named = [(each, rank, steps) for each in found for rank, steps in _find_best_named(each)]
    whole = [each for each in found if not (each.part or each.key)]
    if named:
        best = min(rank for _, rank, _ in named)
        lists = [(each, steps) for each, rank, steps in named if rank == best]
    else:
        lists = [(each, steps) for each in whole if (steps := steps_in(each.value))]
        lists = _one_by_one(whole) if len(lists) != 1 and all(isinstance(each.value, dict) for each in whole) else lists
    longest, steps = max(lists, key=lambda one: len(one[1]), default=(None, ()))
    if longest is None or any(others != steps[: len(others)] for _, others in lists):
        return (), ()
    doubled = ("doubled object",) if len(lists) > 1 else ()
    return steps, (*longest.repairs, *doubled)


def _one_by_one(found: Sequence[JsonValue]) -> list[tuple[JsonValue, tuple[str, ...]]]:
    """The list that several objects form together, if each is one item or one numbered sub-problem."""
    tables = [dict(_items(each.value)) for each in found]
    together = {key: inner for table in tables for key, inner in table.items()}
    if len(together) == sum(map(len, tables)) and all(_numbered_values(table) for table in tables):
        steps = steps_in(together)
    else:
        asked = [item_text(table) if any(_plain(key) in _QUESTION_KEYS for key in table) else "" for table in tables]
        steps = tuple(asked) if len(asked) > 1 and all(asked) else ()
    repairs = tuple(dict.fromkeys(repair for each in found for repair in each.repairs))
    return [(JsonValue(value=None, repairs=repairs), steps)] if steps else []


def _find_best_named(found: JsonValue) -> list[tuple[int, tuple[str, ...]]]:
    """The sub-problems under the best name, with its rank; () if there are none under it."""
    value: JSON = found.value if found.key is None else {found.key: found.value}
    ranked = sorted(_named_values(value), key=lambda named: named[:2])
    filled = ((rank, steps) for rank, _, under in ranked if (steps := steps_in(under)))
    return [next(filled, (EMPTY, ()))] if ranked else []


def _named_values(value: JSON) -> Iterator[tuple[int, int, JSON]]:
    """(rank, depth, value) of every value under a name for sub-problems; rank 0 is the best name."""
    level, nodes = [value], 0
    for depth in range(MAX_DEPTH):
        below: list[JSON] = []
        for each in level:
            nodes += 1
            if nodes > MAX_NODES:
                return
            if _is_list_of_items(each):
                continue
            if isinstance(each, list):
                below.extend(cast("list[JSON]", each))
            for key, inner in _items(each):
                rank = _rank(key)
                if rank is None or not isinstance(inner, list | dict | str):
                    below.append(inner)
                elif not isinstance(inner, str) or numbered_steps(inner):
                    yield rank, depth, inner
        level = below


def _is_list_of_items(value: JSON) -> bool:
    """Whether a value without a name is several sub-problems, so that a list in one of them belongs to it."""
    if not isinstance(value, list) and not _numbered_values(dict(_items(value))):
        return False
    return len(steps_in(value)) > 1


def _items(value: JSON) -> list[tuple[str, JSON]]:
    return list(cast("dict[str, JSON]", value).items()) if isinstance(value, dict) else []


def _plain(key: str) -> str:
    """A key without case, spaces, hyphens and underscores."""
    return re.sub(r"[\W_]+", "", key.lower())


def _rank(key: str) -> int | None:
    """How well a key names a list of sub-problems, 0 is best; None if it names something else."""
    plain = _plain(key)
    if _STEP_KEY.fullmatch(plain):
        return None
    if says := _SUBPROBLEMS.search(plain):
        further = plain[says.end() :]
        other = _OTHERS.search(further) and not further.startswith(("with", "and"))
        return None if other else int(says[0] != plain)
    if plain in _STEPS:
        return 2 + _STEPS.index(plain)
    return EMPTY - 1 if plain.endswith(_STEPS) else None


def steps_in(value: JSON, depth: int = MAX_DEPTH) -> tuple[str, ...]:
    """The sub-problems in a JSON value, () unless it has exactly one list of them."""
    if depth == 0:
        return ()
    if isinstance(value, str):
        return numbered_steps(value) if depth == MAX_DEPTH else ()
    if isinstance(value, list):
        texts = [item_text(item) for item in cast("list[JSON]", value)]
        return tuple(texts) if texts and all(texts) else ()
    pairs = _items(value)
    if numbered := _numbered_values(dict(pairs)):
        return steps_in([numbered[number] for number in sorted(numbered)], depth - 1)
    lists = [steps for key, inner in pairs if not _OTHERS.search(_plain(key)) and (steps := steps_in(inner, depth - 1))]
    return lists[0] if len(lists) == 1 else ()


def _numbered_values(table: Mapping[str, JSON]) -> dict[int, JSON]:
    """The values under numbered keys: `{"step1": …, "step2": …}`."""
    return {int(match[1]): inner for key, inner in table.items() if (match := _STEP_KEY.fullmatch(_plain(key)))}


def item_text(item: JSON, depth: int = 3) -> str:
    """The question of one item, "" if it has none.

    A string is the question itself. Of an object it is that under the first of `_QUESTION_KEYS`, or else under a key
    that contains one of them, or else the only text besides ids, answers, explanations and the like.
    """
    if isinstance(item, str):
        return remove_label(item)
    if not isinstance(item, Mapping) or depth == 0:
        return ""
    table = {_plain(key): inner for key, inner in _items(item)}
    texts = {
        key: text
        for key, inner in table.items()
        if (key in _QUESTION_KEYS or not _OTHER_KEYS.search(key))
        and (text := item_text(inner, depth - 1))
        and not _ONLY_A_LABEL.fullmatch(text)
    }
    for name in _QUESTION_KEYS:
        if name in texts:
            return texts[name]
    for name in _KEY_PARTS:
        for key, text in texts.items():
            if name in key:
                return text
    return next(iter(texts.values())) if len(texts) == 1 else ""
