"""How a table writes a summary's numbers: `unknown` is one that a server did not report, `-` is none at all.

Decides where the paper's token counts stand: under the sub-problems' responses, which is all that they count.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeVar

from scale_reasoning.report.formats import NOTHING, UNKNOWN, count, decimal, percent, span
from scale_reasoning.report.metrics import Summary
from scale_reasoning.report.paper import from_paper
from scale_reasoning.types import Stage

Key = TypeVar("Key", int, str)


def every_number(summaries: Sequence[Summary]) -> dict[str, Callable[[Summary], str]]:
    """The numbers of a summary by their headings."""
    stages = _keys(s.tok_by_stage for s in summaries)
    printed = ("Tpi solve",) if Stage.SOLVE in stages else ("Tok solve", "Tpi solve")
    return {
        "Acc": acc,
        "SE": lambda s: percent(s.acc_se),
        "Tok": tok,
        "Tpi": tpi,
        "Hard": hard,
        "steps": lambda s: decimal(s.steps),
        **{f"pass@{k}": lambda s, k=k: percent(s.pass_at.get(k)) for k in _keys(s.pass_at for s in summaries)},
        **{f"maj@{k}": lambda s, k=k: percent(s.maj_at.get(k)) for k in _keys(s.maj_at for s in summaries)},
        **{f"Tok {x}": lambda s, x=x: _part(s, s.tok_by_stage, x) for x in stages},
        **solving(summaries, *printed),
        **{f"Tok {x}": lambda s, x=x: _part(s, s.tok_by_mode, x) for x in _keys(s.tok_by_mode for s in summaries)},
        "prompt": lambda s: _counted(s, s.prompt_tokens),
        "cached": lambda s: _counted(s, s.cached_tokens),
        "truncated": lambda s: percent(s.truncated),
        "unparsed": lambda s: percent(s.unparsed),
        "unanswered": lambda s: percent(s.unanswered),
        "model s": lambda s: decimal(s.model_seconds),
        **({"cost": _cost} if any(s.prices for s in summaries) else {}),
        "planned": lambda s: str(s.planned),
        "completed": lambda s: str(s.completed),
        "scored": lambda s: str(s.scored),
        "pending": lambda s: str(s.pending),
    }


def _keys(maps: Iterable[Mapping[Key, float | None]]) -> list[Key]:
    return list(dict.fromkeys(key for mapping in maps for key in mapping))


def acc(summary: Summary) -> str:
    """Accuracy in percent, its interval, and the attempts scored of those planned."""
    if summary.acc is None:
        return UNKNOWN if summary.steps is not None else NOTHING
    interval = span(summary.acc_low, summary.acc_high)
    return " ".join(filter(None, (percent(summary.acc), interval, f"({summary.scored}/{summary.planned})")))


def _counted(summary: Summary, tokens: float | None) -> str:
    """A mean that a server may have left unknown; nothing where no attempt counts yet."""
    unknown = tokens is None and summary.steps is not None and not from_paper(summary)
    return UNKNOWN if unknown else count(tokens)


def _part(summary: Summary, parts: Mapping[str, float | None], name: str) -> str:
    if from_paper(summary):
        return count(summary.tok) if name == Stage.SOLVE else NOTHING
    return _counted(summary, parts[name]) if name in parts else NOTHING


def solving(summaries: Sequence[Summary], *names: str) -> dict[str, Callable[[Summary], str]]:
    """The columns in which the paper's token counts stand, where it has rows: those of the sub-problems' responses."""
    return {name: _SOLVING[name] for name in names} if any(map(from_paper, summaries)) else {}


def _tpi_solve(summary: Summary) -> str:
    if from_paper(summary):
        return count(summary.tpi)
    if not summary.steps or Stage.SOLVE not in summary.tok_by_stage:
        return NOTHING
    tokens = summary.tok_by_stage[Stage.SOLVE]
    return UNKNOWN if tokens is None else count(tokens / summary.steps)


def _tok_solve(summary: Summary) -> str:
    return _part(summary, summary.tok_by_stage, Stage.SOLVE)


def tok(summary: Summary) -> str:
    """Response tokens per attempt, of all stages."""
    return NOTHING if from_paper(summary) else _counted(summary, summary.tok)


def tpi(summary: Summary) -> str:
    """Response tokens per iteration, of all stages."""
    if from_paper(summary) or not summary.steps:
        return NOTHING
    return _counted(summary, summary.tpi)


def hard(summary: Summary) -> str:
    """Iterations in System 2 in percent."""
    return percent(summary.hard)


def _cost(summary: Summary) -> str:
    if summary.cost is None:
        return UNKNOWN if summary.prices and summary.steps is not None else NOTHING
    return f"{summary.cost:.4g}"


_SOLVING: Mapping[str, Callable[[Summary], str]] = {"Tok solve": _tok_solve, "Tpi solve": _tpi_solve}
