"""Filters of the templates: how a page writes numbers, shares, answers and ranges."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec
from markupsafe import Markup

from scale_reasoning.report.formats import UNKNOWN, percent
from scale_reasoning.types import Assessment, Message
from scale_reasoning.web.viewer.grid import name_kind
from scale_reasoning.web.viewer.mathml import LONGEST, mathml
from scale_reasoning.web.viewer.replay import Exchange
from scale_reasoning.web.viewer.sentences import write_ranges
from scale_reasoning.web.viewer.text import plain, preview
from scale_reasoning.web.viewer.whatif import Range

EXCERPT = 300
"""Characters of a problem in the grid."""
REPEATED = 120
"""Characters from which on a message is not shown again where an earlier call has it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Equal decompositions, by their numbers from 1."""

    name: str
    steps: tuple[str, ...]
    chosen: bool


def answer(text: str) -> Markup:
    """Typesets a final answer, which is LaTeX without delimiters."""
    made = mathml(text)
    shown = text if len(text) <= LONGEST else f"{text[:LONGEST]}…"
    return Markup(made) if made else Markup("<code>{}</code>").format(plain(shown))  # noqa: S704  from a list of elements


def excerpt(text: str) -> Markup:
    """The beginning of a problem, typeset."""
    return preview(text, EXCERPT)


def anchor(path: str) -> str:
    """The anchor of a call on the page of calls."""
    return "call-" + re.sub(r"[^\w-]", "-", path)


def json(value: Any) -> str:
    """Any value as JSON, for an attribute that the script reads."""
    return msgspec.json.encode(value).decode()


def two_decimals(value: float) -> str:
    """A difficulty or a threshold."""
    return f"{value:.2f}"


def share(value: float) -> str:
    """A share of a drawing's width, limited to [0, 1]."""
    return f"{min(max(value, 0.0), 1.0) * 100:.2f}%"


def whole(value: int | None) -> str:
    """A count."""
    return UNKNOWN if value is None else f"{value:,}"


def mean(value: float | None) -> str:
    """A mean count: whole from 100 on."""
    return UNKNOWN if value is None else f"{value:,.0f}" if value >= 100 else f"{value:.1f}"


def find_repeats(exchanges: Sequence[Exchange]) -> list[tuple[Exchange, list[tuple[Message, str]]]]:
    """The messages of each call, each with the path of the earlier call that has the same one; empty for a new or a
    short one.
    """
    first: dict[tuple[str, str], str] = {}
    found: list[tuple[Exchange, list[tuple[Message, str]]]] = []
    for exchange in exchanges:
        keys = [(message, (message.role, message.content)) for message in exchange.request.messages]
        found.append((exchange, [(message, first.get(key, "")) for message, key in keys]))
        new = {key: exchange.call.path for message, key in keys if len(message.content) >= REPEATED}
        first = new | first
    return found


def seconds(value: float) -> str:
    """Seconds to a tenth."""
    return f"{value:,.1f}"


def when(moment: datetime) -> Markup:
    """A time in UTC; the script writes it in the reader's own form."""
    return Markup('<time datetime="{:%Y-%m-%dT%H:%M:%SZ}">{:%Y-%m-%d %H:%M} UTC</time>').format(moment, moment)


def one_decimal(share: float | None) -> str:
    """A share in per cent to a tenth."""
    return UNKNOWN if share is None else f"{share * 100:.1f}"


def total(histogram: Mapping[str, int]) -> int:
    """All counts of a histogram."""
    return sum(histogram.values())


def group_equal(candidates: Sequence[Sequence[str]], selected: int | None) -> list[Group]:
    """Groups equal candidates, in the order of their first."""
    numbers: dict[tuple[str, ...], list[int]] = {}
    for number, candidate in enumerate(candidates, 1):
        numbers.setdefault(tuple(candidate), []).append(number)
    return [
        Group(
            name=f"Candidate{'s' if len(members) > 1 else ''} {', '.join(map(str, members))}",
            steps=steps,
            chosen=selected is not None and selected + 1 in members,
        )
        for steps, members in numbers.items()
    ]


def shows_sources(assessments: Sequence[Assessment]) -> bool:
    """Whether there is more to say than that the model rated the step once."""
    return len(assessments) > 1 or any(each.source != "rated" for each in assessments)


def span(found: Range) -> str:
    """A range of values, with its ends in words: "0.20 up to 0.50" is without 0.50, "above 0.20 to 0.50" with it."""
    low, high = _write_end(found.low), "1" if found.high is None else _write_end(found.high)
    if found.low == found.high:
        return low
    if found.closed == "low":
        return f"{low} {'to' if found.high is None else 'up to'} {high}"
    return f"{'above ' if found.first > found.low else ''}{low} to {high}"


def _write_end(value: float) -> str:
    return f"{value:.2f}" if round(value, 2) == value else f"{value:.4f}"


WORDS: tuple[Callable[..., Any], ...] = (
    answer, anchor, excerpt, find_repeats, group_equal, json, mean, name_kind, one_decimal, percent, seconds, share,
    shows_sources, span, total, two_decimals, when, whole, write_ranges,
)  # fmt: skip
