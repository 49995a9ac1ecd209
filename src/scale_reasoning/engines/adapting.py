"""What a server was found to refuse in requests: changed from then on, said aloud once, and kept for the manifest.

A refusal that names something sent is answered with one change at a time (objections.py). Changes are kept, per model
and mode, once a request with them was answered; a refused key changes what is sent, never what a journal files.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from scale_reasoning.engines.changes import Body, Bound, Change, Drop, Fold, Simplify
from scale_reasoning.engines.objections import LIMITS, objections
from scale_reasoning.errors import EngineError, Overloaded, Rejected
from scale_reasoning.profiles import profile_for
from scale_reasoning.types import JSON, Mode, Request

MOST_CHANGES = 12
"""Changes that one request tries at most: each of its keys, once or twice."""

ADAPTABLE = (None, 400, 404, 406, 415, 422, 500, 501)
"""Statuses whose refusal may be about what was sent; None is an error in a 200."""

SWITCHES = {
    "chat_template_kwargs", "thinking", "reasoning", "reasoning_effort", "enable_thinking", "thinking_budget",
    "output_config", "think",
}  # fmt: skip
"""Keys by which System 1 and System 2 are told apart."""

_BUSY = re.compile(r"memory|overload|capacity|busy|rate.?limit|loading|unavailable|time.?out|quota|died|dead", re.I)
_UNKNOWN_KEY = re.compile(
    r"un(?:supported|recogni[sz]ed|expected keyword)|unknown (?:param|arg|field|key)|extra inputs|n[o']t support", re.I
)
_GRAMMAR = re.compile(r"grammar|schema|guided|structured|json|regex|outlines|guidance|enforcer|automat", re.I)


@dataclass(frozen=True, slots=True, kw_only=True)
class Adaptation:
    """One thing that a server refuses, and what is done about it, as a sentence. `key` is a request's key, `words` are
    those in which it was refused.
    """

    key: str
    told: str
    words: str
    lost_switch: bool = False


class Adapting:
    """What one server was found to refuse. `where` names it; `say` hears each finding once."""

    def __init__(self, where: str, say: Callable[[str], None]) -> None:
        self.where, self._say = where, say
        self.blameless_schemas: set[str] = set()
        """Models whose refusals without a reason went on without a schema."""
        self._kept: dict[tuple[str, Mode], tuple[Change, ...]] = {}
        self._found: dict[str, dict[str, Adaptation]] = {}

    @property
    def found(self) -> Mapping[str, Sequence[Adaptation]]:
        """By model, what was found so far."""
        return {model: tuple(found.values()) for model, found in self._found.items()}

    def kept(self, model: str, mode: Mode) -> tuple[Change, ...]:
        """What to change in every request of this model and mode."""
        return self._kept.get((model, mode), ())

    def keep(self, request: Request, changes: tuple[Change, ...], words: Mapping[str, str]) -> None:
        """Keeps what made the server answer; `words` are the refusals by key."""
        before = self.kept(request.model, request.mode)
        if changes == before:
            return
        dropped = {change.key for change in before if isinstance(change, Drop)}  # by a request beside this one
        new = tuple(change for change in changes if change.key not in dropped and not _of_one_prompt(change))
        own = {change.key for change in new}
        self._kept[request.model, request.mode] = (*(each for each in before if each.key not in own), *new)
        for change in new:
            if change not in before:
                self._tell(request.model, change, words.get(change.key, ""))

    def _tell(self, model: str, change: Change, words: str) -> None:
        refused = ", ".join(sorted(change.parts)) + " in a schema" if isinstance(change, Simplify) else change.key
        told = f"{self.where} refuses {refused}: {change.told()}"
        found = self._found.setdefault(model, {})
        if told not in found:
            lost = isinstance(change, Drop) and bool(change.instead)
            found[told] = Adaptation(key=change.key, told=told, words=words, lost_switch=lost)
            self._say(told)


@runtime_checkable
class Adaptable(Protocol):
    """An engine that changes its requests for a strict server."""

    @property
    def adapting(self) -> Adapting:
        """What the server was found to refuse."""
        ...

    def adapted(self, body: Body, mode: Mode) -> Body:
        """A body without what the server is known to refuse."""
        ...


class Trial:
    """One request on its way through refusals: `body` changes what is sent, `refused` looks for a change to try."""

    def __init__(self, adapting: Adapting, request: Request) -> None:
        self._adapting, self._request = adapting, request
        self._changes = adapting.kept(request.model, request.mode)
        self._tried: set[Change] = set(self._changes)
        self._words: dict[str, str] = {}
        self._left = MOST_CHANGES
        self._again = self._blames_schema = False
        self._last = ""

    def body(self, body: Body) -> Body:
        """The body with everything changed that is known to be refused."""
        return changed(body, self._changes)

    def refused(self, error: EngineError, sent: Body) -> bool:
        """Whether to send the request again, changed; False where the refusal stands."""
        if not isinstance(error, Rejected | Overloaded) or error.status not in ADAPTABLE or not self._left:
            return False
        self._left -= 1
        self._last = str(error)
        said = error.said or str(error)
        offered = objections(said, sent)
        if error.status == 500 and not _UNKNOWN_KEY.search(said):  # by its template, its grammar compiler, or by itself
            offered = [change for change in offered if isinstance(change, Fold | Simplify)]
        change = next((each for each in offered if each not in self._tried and each.applied(sent) != sent), None)
        if change is not None:
            return self._try(change)
        if self._blames_schema:
            self._adapting.blameless_schemas.add(self._request.model)
        return not offered and "response_format" in sent and self._without_schema(error.status, said)

    def answered(self) -> None:
        """The request was answered: what was changed was refused indeed."""
        self._adapting.keep(self._request, self._changes, self._words)

    def _without_schema(self, status: int | None, said: str) -> bool:
        """Whether to leave the schema out: where its compiler broke, or where nothing else explains a refusal.

        A failure without a reason may pass by itself, so the same is asked once more before the schema is blamed.
        """
        model, named = self._request.model, _GRAMMAR.search(said) is not None
        if not named and (status in (None, 404) or model in self._adapting.blameless_schemas or _BUSY.search(said)):
            return False
        if status == 500 and not named and not self._again:
            self._again = True
            return True
        self._blames_schema = True
        return self._try(Drop("response_format"))

    def _try(self, change: Change) -> bool:
        self._tried.add(change)
        if isinstance(change, Drop) and self._is_last_switch(change.key):
            family = profile_for("", name="instruct").mode(self._request.mode)
            change = Drop(change.key, family.suffix if family else "")
        if isinstance(change, Simplify):
            earlier = (each.parts for each in self._changes if isinstance(each, Simplify))
            change = Simplify(change.parts.union(*earlier))
        # A later change of a key takes the earlier one's place.
        self._changes = (*(each for each in self._changes if each.key != change.key), change)
        self._tried.add(change)
        self._words[change.key] = self._last
        return True

    def _is_last_switch(self, key: str) -> bool:
        gone = {change.key for change in self._changes if isinstance(change, Drop)}
        switches = [each for each in self._request.extras if each in SWITCHES and each not in gone]
        return switches == [key]


def _of_one_prompt(change: Change) -> bool:
    """Whether a cap on new tokens is what one prompt left of a window; a model's own cap is a round number."""
    most = change.most if isinstance(change, Bound) and change.key in LIMITS else None
    return most is not None and int(most) % 64 not in (0, 63) and int(most) % 100 != 0


def changed(body: Body, changes: Sequence[Change]) -> dict[str, JSON]:
    """The body after all changes, in their order."""
    for change in changes:
        body = change.applied(body)
    return body
