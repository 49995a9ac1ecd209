"""What can be changed in a request's body so that a strict server accepts it: one small class per kind of change.

Pure. `apply` returns the changed body, or the same object where there is nothing to change.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias, cast

from scale_reasoning.engines.values import as_list, as_table
from scale_reasoning.types import JSON, Message

Body: TypeAlias = dict[str, JSON]
"""A request's body before it is encoded; `messages` holds `Message`s."""


DEPENDENT = {"logprobs": "top_logprobs"}
"""Keys without which another key is an error."""


@dataclass(frozen=True, slots=True)
class Drop:
    """Leaves a key out, and the one that depends on it. `instead`, if not "", is a sentence after the last message that
    does the work of the key; not where the reply has a schema, because the sentence says how much to write of a
    solution.
    """

    key: str
    instead: str = ""

    def apply(self, body: Body) -> Body:
        """The body without the key."""
        if self.key not in body:
            return body
        rest = {key: value for key, value in body.items() if key not in (self.key, DEPENDENT.get(self.key))}
        if not self.instead or "response_format" in body:
            return rest
        *earlier, last = cast("Sequence[Message]", body["messages"])
        return {**rest, "messages": (*earlier, Message(last.role, f"{last.content}\n\n{self.instead}"))}


@dataclass(frozen=True, slots=True)
class Bound:
    """Keeps a number between two bounds; None is no bound."""

    key: str
    least: float | None
    most: float | None

    def apply(self, body: Body) -> Body:
        """The body with the number within the bounds; an integer stays one."""
        value = body.get(self.key)
        if not isinstance(value, int | float):
            return body
        bounded = value if self.least is None else max(value, self.least)
        bounded = bounded if self.most is None else min(bounded, self.most)
        if bounded == value:
            return body
        return {**body, self.key: int(bounded) if isinstance(value, int) else bounded}


@dataclass(frozen=True, slots=True)
class Put:
    """Sends another value; where `was` is given, only in place of that value."""

    key: str
    value: str | float
    was: str | None = None

    def apply(self, body: Body) -> Body:
        """The body with the other value."""
        if self.key not in body or body[self.key] == self.value or self.was not in (None, body[self.key]):
            return body
        return {**body, self.key: self.value}


@dataclass(frozen=True, slots=True)
class Rename:
    """Sends a value under another key."""

    key: str
    to: str

    def apply(self, body: Body) -> Body:
        """The body with the other key."""
        return {self.to if key == self.key else key: value for key, value in body.items()}


@dataclass(frozen=True, slots=True)
class Simplify:
    """Leaves these keywords out of every part of the schema."""

    keywords: frozenset[str]
    key: str = "response_format"

    def apply(self, body: Body) -> Body:
        """The body with a simpler schema."""
        form = body.get(self.key)
        return body if form is None else {**body, self.key: self._simplify(form)}

    def _simplify(self, value: JSON) -> JSON:
        if isinstance(value, list):
            return [self._simplify(item) for item in as_list(value)]
        if isinstance(value, dict):
            return {key: self._simplify(inner) for key, inner in as_table(value).items() if key not in self.keywords}
        return value


@dataclass(frozen=True, slots=True)
class Fold:
    """Puts the system text before the first user turn, and consecutive turns of one role into one."""

    key: str = "the system role"

    def apply(self, body: Body) -> Body:
        """The body without system messages."""
        messages = cast("Sequence[Message]", body["messages"])
        turns: list[Message] = []
        for message in messages:
            role = "user" if message.role == "system" else message.role
            if turns and turns[-1].role == role:
                turns[-1] = Message(role, f"{turns[-1].content}\n\n{message.content}")
            else:
                turns.append(Message(role, message.content))
        return body if tuple(turns) == tuple(messages) else {**body, "messages": tuple(turns)}


Change: TypeAlias = Drop | Bound | Put | Rename | Simplify | Fold


def describe_change(change: Change) -> str:
    """What is sent instead, as the end of a sentence that begins with "the server refuses seed: "."""
    match change:
        case Drop():
            return "it is left out"
        case Bound():
            bounds = {"at least": change.least, "at most": change.most}
            numbers = [f"{word} {bound:,.10g}" for word, bound in bounds.items() if bound is not None]
            return f"{' and '.join(numbers)} is sent"
        case Put():
            return f"{change.value} is sent" + (f" for {change.was}" if change.was is not None else "")
        case Rename():
            return f"it is sent as {change.to}"
        case Simplify():
            return f"schemas go without {', '.join(sorted(change.keywords))}"
        case Fold():
            return "the system text is put into the first user turn"


def apply_changes(body: Body, changes: Sequence[Change]) -> Body:
    """The body after all changes, in their order."""
    for change in changes:
        body = change.apply(body)
    return body
