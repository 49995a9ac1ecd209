"""The words of an arithmetic problem: what the numbers count, and the phrases for each operation.

Decides themes, names, phrases and the order of the facts. Every fact names both quantities that it relates, so any
order means the same. Does not know splits or levels, and does no arithmetic.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from scale_reasoning.arithmetic.chains import Dice, Operation, Turn


@dataclass(frozen=True, slots=True, kw_only=True)
class Theme:
    """A theme's phrases. `owners` are what the quantities belong to, at least nine, in a fixed order if `ordered`.

    Holes: `{b}` is the owner of the result, `{a}` of the previous quantity, `{n}` the given number, `{things}`. All
    phrases of an operation mean the same equation between a, b and n. If `plain`, every fact follows the one that it
    uses, and the question is last.
    """

    things: tuple[str, ...]
    owners: tuple[str, ...]
    start: tuple[str, ...]
    facts: Mapping[Operation, tuple[str, ...]]
    questions: tuple[str, ...]
    ordered: bool = False
    plain: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ProblemText:
    """A problem in words: facts and questions by step, and the whole text. `start` is the first fact; `owners` have the
    quantities, the start's and then each step's.
    """

    start: str
    owners: tuple[str, ...]
    facts: tuple[str, ...]
    questions: tuple[str, ...]
    text: str


def write_problem(turns: Sequence[Turn], dice: Dice, themes: Sequence[Theme]) -> ProblemText:
    """Writes a chain in words that the dice choose."""
    theme = dice.one(themes)
    things = dice.one(theme.things)
    owners = _owners(theme, len(turns) + 1, dice)
    asked = dice.one(theme.questions)
    start = fill_phrase(dice.one(theme.start), b=owners[0], n=turns[0].left, things=things)
    facts = tuple(
        fill_phrase(dice.one(theme.facts[turn.operation]), a=a, b=b, n=turn.right, things=things)
        for turn, a, b in zip(turns, owners, owners[1:], strict=False)
    )
    questions = tuple(fill_phrase(asked, b=owner, things=things) for owner in owners[1:])
    told = [start, *facts] if theme.plain else _ordered([start, *facts], dice)
    first = not theme.plain and dice.below(4) == 0
    sentences = [questions[-1], *told] if first else [*told, questions[-1]]
    return ProblemText(start=start, owners=tuple(owners), facts=facts, questions=questions, text=" ".join(sentences))


def _owners(theme: Theme, count: int, dice: Dice) -> list[str]:
    if theme.ordered:
        first = dice.below(len(theme.owners) - count + 1)
        return list(theme.owners[first : first + count])
    return dice.shuffle(theme.owners)[:count]


def _ordered(facts: list[str], dice: Dice) -> list[str]:
    """In the order of the chain in half of all problems, otherwise backwards or mixed."""
    return dice.one([facts, facts, facts[::-1], dice.shuffle(facts)])


def fill_phrase(phrase: str, **holes: str | int) -> str:
    """Fills the holes of a phrase and makes it a sentence."""
    text = phrase.format(**holes)
    return text[0].upper() + text[1:]


PEOPLE = Theme(
    things=("marbles", "stamps", "stickers", "shells", "coins", "cards", "beads", "buttons", "badges", "postcards"),
    owners=(
        *("Ada", "Ben", "Chidi", "Dana", "Emre", "Fatima", "Goran", "Hana", "Ivan", "Joy", "Kofi", "Lena", "Mateo"),
        *("Nour", "Olga", "Priya", "Quinn", "Rosa", "Sven", "Tomoko", "Umar", "Vera", "Wei", "Yara", "Zoltan"),
    ),
    start=("{b} has {n} {things}.", "{b} owns {n} {things}.", "There are {n} {things} in {b}'s collection."),
    facts={
        "add": (
            "{b} has {n} more {things} than {a}.",
            "{a} has {n} fewer {things} than {b}.",
            "{b} has as many {things} as {a} and {n} besides.",
            "{a} would need {n} more {things} to have as many as {b}.",
        ),
        "sub": (
            "{b} has {n} fewer {things} than {a}.",
            "{a} has {n} more {things} than {b}.",
            "If {a} lost {n} {things}, {a} would have as many as {b}.",
            "{b} would need {n} more {things} to have as many as {a}.",
        ),
        "mul": (
            "{b} has {n} times as many {things} as {a}.",
            "For every one of the {things} that {a} has, {b} has {n}.",
            "{b} has as many {things} as {n} people who each have as many as {a}.",
        ),
        "div": (
            "{a} has {n} times as many {things} as {b}.",
            "If {a} shared all their {things} equally among {n} people, each would get as many as {b} has.",
            "{a}'s {things} would make exactly {n} collections the size of {b}'s.",
        ),
    },
    questions=("How many {things} does {b} have?", "What is the number of {things} that {b} has?"),
)

PLACES = Theme(
    things=("books", "jars", "parcels", "boxes", "bottles", "folders", "candles", "tools", "plates", "lamps"),
    owners=tuple(
        f"the {colour} shelf"
        for colour in (
            *("red", "blue", "green", "yellow", "white", "black", "grey", "brown", "orange", "purple", "pink"),
            *("silver", "golden", "striped", "spotted"),
        )
    ),
    start=("{b} holds {n} {things}.", "There are {n} {things} on {b}."),
    facts={
        "add": (
            "{b} holds {n} more {things} than {a}.",
            "{a} holds {n} fewer {things} than {b}.",
            "If {n} {things} were added to {a}, it would hold as many as {b}.",
        ),
        "sub": (
            "{b} holds {n} fewer {things} than {a}.",
            "{a} holds {n} more {things} than {b}.",
            "If {n} {things} were taken off {a}, it would hold as many as {b}.",
        ),
        "mul": (
            "{b} holds {n} times as many {things} as {a}.",
            "The {things} on {b} would make exactly {n} lots the size of what {a} holds.",
        ),
        "div": (
            "{a} holds {n} times as many {things} as {b}.",
            "The {things} on {a}, split into {n} equal lots, make lots the size of what {b} holds.",
        ),
    },
    questions=("How many {things} does {b} hold?", "How many {things} are on {b}?"),
)

MONTHS = Theme(
    things=("loaves", "crates", "tyres", "tickets", "bricks", "pumpkins", "pairs of shoes", "cans of paint"),
    owners=(
        *("January", "February", "March", "April", "May", "June", "July", "August"),
        *("September", "October", "November", "December"),
    ),
    ordered=True,
    start=("A depot has {n} {things} in stock at the end of {b}.", "At the end of {b} a depot stores {n} {things}."),
    facts={
        "add": (
            "During {b}, the month after {a}, the stock grows by {n} {things}.",
            "At the end of {b} the stock is {n} {things} above what it was at the end of {a}.",
            "From the end of {a} to the end of {b}, {n} {things} arrive and none leave.",
        ),
        "sub": (
            "During {b}, the month after {a}, the stock shrinks by {n} {things}.",
            "At the end of {b} the stock is {n} {things} below what it was at the end of {a}.",
            "From the end of {a} to the end of {b}, {n} {things} leave and none arrive.",
        ),
        "mul": (
            "At the end of {b} the stock is {n} times what it was at the end of {a}.",
            "From the end of {a} to the end of {b} the stock grows {n}-fold.",
        ),
        "div": (
            "At the end of {a} the stock is {n} times what it is at the end of {b}.",
            "From the end of {a} to the end of {b} the stock falls to one part in {n} of what it was.",
        ),
    },
    questions=("How many {things} are in stock at the end of {b}?", "What is the stock of {things} at the end of {b}?"),
)

PRICES = Theme(
    things=("dollars", "euros", "pounds", "francs", "crowns"),
    owners=tuple(
        f"the {ware}"
        for ware in (
            *("lamp", "chair", "kettle", "bicycle", "guitar", "tent", "clock", "carpet", "mirror", "bench", "radio"),
            *("drill", "suitcase", "telescope"),
        )
    ),
    start=("{b} costs {n} {things}.", "The price of {b} is {n} {things}."),
    facts={
        "add": (
            "{b} costs {n} {things} more than {a}.",
            "{a} is {n} {things} cheaper than {b}.",
            "Whoever can pay for {a} and has {n} {things} left can just afford {b}.",
        ),
        "sub": (
            "{b} costs {n} {things} less than {a}.",
            "{a} is {n} {things} dearer than {b}.",
            "With a discount of {n} {things}, {a} would cost as much as {b}.",
        ),
        "mul": (
            "{b} costs {n} times as much as {a}.",
            "The money for {b} would buy exactly {n} items at the price of {a}.",
        ),
        "div": (
            "{a} costs {n} times as much as {b}.",
            "If the price of {a} were split into {n} equal parts, each would be the price of {b}.",
        ),
    },
    questions=("How many {things} does {b} cost?", "What is the price of {b} in {things}?"),
)

TRAILS = Theme(
    things=("metres", "yards", "feet", "paces"),
    owners=tuple(
        f"the {name} trail"
        for name in (
            *("oak", "river", "summit", "heron", "quarry", "mill", "valley", "cedar", "lighthouse", "meadow", "fox"),
            *("harbour", "glacier", "orchard"),
        )
    ),
    start=("{b} is {n} {things} long.", "Walking {b} from end to end, one covers {n} {things}."),
    facts={
        "add": (
            "{b} is {n} {things} longer than {a}.",
            "{a} falls {n} {things} short of the length of {b}.",
            "Made {n} {things} longer, {a} would be as long as {b}.",
        ),
        "sub": (
            "{b} is {n} {things} shorter than {a}.",
            "{a} is {n} {things} longer than {b}.",
            "Cut by {n} {things}, {a} would be as long as {b}.",
        ),
        "mul": (
            "{b} is {n} times as long as {a}.",
            "Walking {a} {n} times covers the length of {b}.",
        ),
        "div": (
            "{a} is {n} times as long as {b}.",
            "Cut into {n} equal sections, {a} has sections as long as {b}.",
        ),
    },
    questions=("How many {things} long is {b}?", "What is the length of {b} in {things}?"),
)

LETTERS = Theme(
    things=("",),
    owners=tuple("ABCDEFGHIJKLMNOPQRSTUVWXYZ"),
    ordered=True,
    plain=True,
    start=("{b} = {n}.",),
    facts={
        "add": ("{b} = {a} + {n}.",),
        "sub": ("{b} = {a} - {n}.",),
        "mul": ("{b} = {a} × {n}.",),
        "mod": ("{b} = {a} mod {n}.",),
    },
    questions=("Find {b}.",),
)
"""A theme without a story, for a model that is too small for words."""

STORIES = (PEOPLE, PLACES, MONTHS, PRICES, TRAILS)
THEMES = (*STORIES, LETTERS)
