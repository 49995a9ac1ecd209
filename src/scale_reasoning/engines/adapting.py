"""What a server refuses in requests: changed in every later request, said once, and kept for the run's manifest.

When a refusal names something that was sent, one change after the other is tried (objections.py). Changes are kept per
model and mode, once the server has answered a request with them. They change what is sent, never a journal key.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from scale_reasoning.engines.changes import Body, Bound, Change, Drop, Fold, Simplify, apply_changes, describe_change
from scale_reasoning.engines.objections import LIMITS, find_changes
from scale_reasoning.errors import EngineError, Overloaded, Rejected
from scale_reasoning.profiles import profile_for
from scale_reasoning.servers import SWITCHES, list_budget_keys
from scale_reasoning.types import Mode, Request

MOST_CHANGES = 12
"""Changes that one request tries at most: each of its keys, once or twice."""

ADAPTABLE = (None, 400, 403, 404, 406, 415, 422, 500, 501)
"""Statuses of refusals that may be about what was sent; None is an error in a 200, 403 may only be about PERMITTED."""

PERMITTED = ("logprobs", "top_logprobs")
"""Keys that a key of the service may lack the permission for, as OpenAI says of reasoning models."""

_LOST_SWITCH = (
    ", and a sentence in the prompt asks for System 1 or System 2 instead. Whether that works, `scale doctor` tells; "
    "--profile NAME says another family, --system1-model another model for System 1"
)
_LOST_BUDGET = ", so thinking budgets do not bind; with --server generic a second call enforces them"
_BUSY = re.compile(r"memory|overload|capacity|busy|rate.?limit|loading|unavailable|time.?out|quota|died|dead", re.I)
_UNKNOWN_KEY = re.compile(
    r"un(?:supported|recogni[sz]ed|expected keyword)|unknown (?:param|arg|field|key)|extra inputs|n[o']t support", re.I
)
_GRAMMAR = re.compile(r"grammar|schema|guided|structured|json|regex|outlines|guidance|enforcer|automat", re.I)


@dataclass(frozen=True, slots=True, kw_only=True)
class Adaptation:
    """One thing that a server refuses, and the change that answers it. `refusal` is the server's message."""

    change: Change
    refusal: str

    @property
    def key(self) -> str:
        """The key of a request that is refused, or the system role."""
        return self.change.key

    @property
    def lost_switch(self) -> bool:
        """Whether nothing but a sentence in the prompt is left to switch between the modes."""
        return isinstance(self.change, Drop) and bool(self.change.instead)

    @property
    def lost_budget(self) -> bool:
        """Whether the server takes no thinking budget, although its kind has a key for it."""
        return isinstance(self.change, Drop) and not self.lost_switch and self.key in list_budget_keys()

    @property
    def summary(self) -> str:
        """What is refused, and what is sent instead."""
        in_schema = isinstance(self.change, Simplify) and f"{', '.join(sorted(self.change.keywords))} in a schema"
        return f"{in_schema or self.key}: {describe_change(self.change)}"

    def describe(self, where: str) -> str:
        """The same as a sentence about the server `where`."""
        lost = _LOST_SWITCH if self.lost_switch else _LOST_BUDGET if self.lost_budget else ""
        return f"{where} refuses {self.summary}{lost}"


class Adaptations:
    """All that one server is known to refuse. `where` names it; `say` is called with each new adaptation's sentence."""

    def __init__(self, where: str, say: Callable[[str], None]) -> None:
        self.where, self._say = where, say
        self.blameless_schemas: set[str] = set()
        """Models that refuse without a reason even when no schema is sent."""
        self._changes: dict[tuple[str, Mode], tuple[Change, ...]] = {}
        self._found: dict[str, dict[str, Adaptation]] = {}

    @property
    def found(self) -> Mapping[str, Sequence[Adaptation]]:
        """The adaptations so far, by model."""
        return {model: tuple(found.values()) for model, found in self._found.items()}

    def changes_for(self, model: str, mode: Mode) -> tuple[Change, ...]:
        """What to change in every request of this model and mode."""
        return self._changes.get((model, mode), ())

    def keep(self, request: Request, changes: tuple[Change, ...], refusals: Mapping[str, str]) -> None:
        """Keeps the changes with which the server answered a request; `refusals` are its messages by key."""
        before = self.changes_for(request.model, request.mode)
        if changes == before:
            return
        dropped = {change.key for change in before if isinstance(change, Drop)}  # by a concurrent request
        new = tuple(change for change in changes if change.key not in dropped and not _is_for_one_prompt(change))
        own = {change.key for change in new}
        self._changes[request.model, request.mode] = (*(each for each in before if each.key not in own), *new)
        found = self._found.setdefault(request.model, {})
        for change in new:
            adaptation = Adaptation(change=change, refusal=refusals.get(change.key, ""))
            sentence = adaptation.describe(self.where)
            if change not in before and sentence not in found:
                found[sentence] = adaptation
                self._say(sentence)


@runtime_checkable
class Adaptable(Protocol):
    """An engine that changes its requests for a strict server."""

    @property
    def adaptations(self) -> Adaptations:
        """What the server is known to refuse."""
        ...

    def adapt(self, body: Body, mode: Mode) -> Body:
        """A body without what the server is known to refuse."""
        ...


class Trial:
    """One request until the server answers it or no change is left to try."""

    def __init__(self, adaptations: Adaptations, request: Request) -> None:
        self._adaptations, self._request = adaptations, request
        self._changes = adaptations.changes_for(request.model, request.mode)
        self._tried: set[Change] = set(self._changes)
        self._refusals: dict[str, str] = {}
        self._refusal = ""
        self._left = MOST_CHANGES
        self._repeated = self._blames_schema = False

    def adapt(self, body: Body) -> Body:
        """The body with the changes that are known or being tried."""
        return apply_changes(body, self._changes)

    def keep_changes(self) -> None:
        """Keeps the changes for later requests, because the server answered this one."""
        self._adaptations.keep(self._request, self._changes, self._refusals)

    def find_change(self, error: EngineError, sent: Body) -> bool:
        """Looks for a change that answers a refusal. True: send the request again; False: the refusal is final."""
        if not isinstance(error, Rejected | Overloaded) or error.status not in ADAPTABLE or not self._left:
            return False
        self._left -= 1
        self._refusal = str(error)
        text = error.said or self._refusal
        changes = find_changes(text, sent)
        if error.status == 500 and not _UNKNOWN_KEY.search(text):  # a chat template or a grammar compiler broke
            changes = [change for change in changes if isinstance(change, Fold | Simplify)]
        if error.status == 403:
            changes = [change for change in changes if change.key in PERMITTED]
            if not changes:
                return False
        change = next((each for each in changes if each not in self._tried and each.apply(sent) != sent), None)
        if change is not None:
            self._try(change)
            return True
        if self._blames_schema:
            self._adaptations.blameless_schemas.add(self._request.model)
        return not changes and "response_format" in sent and self._try_without_schema(error.status, text)

    def _try_without_schema(self, status: int | None, text: str) -> bool:
        """Leaves the schema out where its compiler broke, or where nothing else explains a refusal.

        A 500 without a reason may be a passing failure, so the same request is sent once more before that.
        """
        is_named, model = _GRAMMAR.search(text) is not None, self._request.model
        blameless = model in self._adaptations.blameless_schemas
        if not is_named and (status in (None, 404) or blameless or _BUSY.search(text)):
            return False
        if status == 500 and not is_named and not self._repeated:
            self._repeated = True
            return True
        self._blames_schema = True
        self._try(Drop("response_format"))
        return True

    def _try(self, change: Change) -> None:
        self._tried.add(change)
        if isinstance(change, Drop) and self._is_last_switch(change.key):
            instruct = profile_for("", name="instruct").mode(self._request.mode)
            change = Drop(change.key, instruct.sentence if instruct else "")
        if isinstance(change, Simplify):
            earlier = (each.keywords for each in self._changes if isinstance(each, Simplify))
            change = Simplify(change.keywords.union(*earlier))
        # A later change of a key replaces the earlier one.
        self._changes = (*(each for each in self._changes if each.key != change.key), change)
        self._tried.add(change)
        self._refusals[change.key] = self._refusal

    def _is_last_switch(self, key: str) -> bool:
        dropped = {change.key for change in self._changes if isinstance(change, Drop)}
        return [each for each in self._request.extras if each in SWITCHES and each not in dropped] == [key]


def _is_for_one_prompt(change: Change) -> bool:
    """Whether a limit of new tokens is what one prompt left of a window; a model's own limit is a round number."""
    most = change.most if isinstance(change, Bound) and change.key in LIMITS else None
    return most is not None and int(most) % 64 not in (0, 63) and int(most) % 100 != 0
