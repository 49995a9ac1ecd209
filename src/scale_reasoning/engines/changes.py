"""What can be changed in a request's body so that a strict server takes it, one small class per kind of change.

Pure. `applied` changes a body, `told` says it in a sentence's second half, after "the server refuses seed: ".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias, cast

from scale_reasoning.types import JSON, Message

Body: TypeAlias = dict[str, JSON]
"""A request's body before it is encoded; `messages` holds `Message`s."""


@dataclass(frozen=True, slots=True)
class Drop:
    """Leaves a key out. `instead` is a sentence after the last message that does the key's work, "" for none."""

    key: str
    instead: str = ""

    def applied(self, body: Body) -> Body:
        """See Change."""
        if self.key not in body:
            return body
        rest = {key: value for key, value in body.items() if key != self.key}
        if not self.instead:
            return rest
        *earlier, last = cast("Sequence[Message]", body["messages"])
        return {**rest, "messages": (*earlier, Message(last.role, f"{last.content}\n\n{self.instead}"))}

    def told(self) -> str:
        """See Change."""
        if not self.instead:
            return "it is left out"
        return (
            "it is left out, and a sentence in the prompt asks for System 1 or System 2 instead. Whether that works, "
            "`scale doctor` tells; --profile NAME says another family, --system1-model another model for System 1"
        )


@dataclass(frozen=True, slots=True)
class Bound:
    """Keeps a number between two bounds; None is no bound."""

    key: str
    least: float | None
    most: float | None

    def applied(self, body: Body) -> Body:
        """See Change."""
        value = body.get(self.key)
        if not isinstance(value, int | float):
            return body
        for bound, keep in ((self.least, max), (self.most, min)):
            if bound is not None:
                value = keep(value, bound)
        whole = isinstance(body[self.key], int)
        return body if value == body[self.key] else {**body, self.key: int(value) if whole else value}

    def told(self) -> str:
        """See Change."""
        bounds = {"at least": self.least, "at most": self.most}
        return " and ".join(f"{word} {bound:,.10g}" for word, bound in bounds.items() if bound is not None) + " is sent"


@dataclass(frozen=True, slots=True)
class Put:
    """Sends another value; only in place of `was`, where that is given."""

    key: str
    value: str | float
    was: str | None = None

    def applied(self, body: Body) -> Body:
        """See Change."""
        if self.key not in body or body[self.key] == self.value or self.was not in (None, body[self.key]):
            return body
        return {**body, self.key: self.value}

    def told(self) -> str:
        """See Change."""
        return f"{self.value} is sent" + (f" for {self.was}" if self.was is not None else "")


@dataclass(frozen=True, slots=True)
class Rename:
    """Sends a value by another key."""

    key: str
    to: str

    def applied(self, body: Body) -> Body:
        """See Change."""
        return {self.to if key == self.key else key: value for key, value in body.items()}

    def told(self) -> str:
        """See Change."""
        return f"it is sent as {self.to}"


@dataclass(frozen=True, slots=True)
class Simplify:
    """Leaves these keywords out of every part of the schema."""

    parts: frozenset[str]
    key: str = "response_format"

    def applied(self, body: Body) -> Body:
        """See Change."""
        form = body.get(self.key)
        return body if form is None else {**body, self.key: self._without(form)}

    def _without(self, value: JSON) -> JSON:
        if isinstance(value, list):
            return [self._without(item) for item in cast("list[JSON]", value)]
        if not isinstance(value, dict):
            return value
        table = cast("dict[str, JSON]", value)
        return {key: self._without(inner) for key, inner in table.items() if key not in self.parts}

    def told(self) -> str:
        """See Change."""
        return f"schemas go without {', '.join(sorted(self.parts))}"


@dataclass(frozen=True, slots=True)
class Fold:
    """Puts the system text before the first user's, and turns of one role into one."""

    key: str = "the system role"

    def applied(self, body: Body) -> Body:
        """See Change."""
        messages = cast("Sequence[Message]", body["messages"])
        turns: list[Message] = []
        for message in messages:
            role = "user" if message.role == "system" else message.role
            if turns and turns[-1].role == role:
                turns[-1] = Message(role, f"{turns[-1].content}\n\n{message.content}")
            else:
                turns.append(Message(role, message.content))
        return body if tuple(turns) == tuple(messages) else {**body, "messages": tuple(turns)}

    def told(self) -> str:
        """See Change."""
        return "the system text is put into the first user turn"


Change: TypeAlias = Drop | Bound | Put | Rename | Simplify | Fold
"""One change. `applied(body)` is the changed body, or the same object where there is nothing to change."""
