"""How a table writes a summary's numbers: `unknown` if a server did not report one, `-` if there is none.

The paper's token counts are in the columns of the solve stage, because they count only responses to sub-problems.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeVar

from scale_reasoning.report.formats import NOTHING, UNKNOWN, count, decimal, percent, span
from scale_reasoning.report.metrics import Summary
from scale_reasoning.report.paper import is_from_paper
from scale_reasoning.types import Stage

Key = TypeVar("Key", int, str)


def list_columns(summaries: Sequence[Summary]) -> dict[str, Callable[[Summary], str]]:
    """Lists all columns of the summaries: by heading, the function that writes the number."""
    stages = _collect_keys(s.tok_by_stage for s in summaries)
    modes = _collect_keys(s.tok_by_mode for s in summaries)
    from_paper = ("Tpi solve",) if Stage.SOLVE in stages else ("Tok solve", "Tpi solve")
    return {
        "Acc": write_acc,
        "SE": lambda s: percent(s.acc_se),
        "Tok": write_tok,
        "Tpi": write_tpi,
        "Hard": write_hard,
        "steps": lambda s: decimal(s.steps),
        **{f"pass@{k}": lambda s, k=k: percent(s.pass_at.get(k)) for k in _collect_keys(s.pass_at for s in summaries)},
        **{f"maj@{k}": lambda s, k=k: percent(s.maj_at.get(k)) for k in _collect_keys(s.maj_at for s in summaries)},
        **{f"Tok {x}": lambda s, x=x: _write_part(s, s.tok_by_stage, x) for x in stages},
        **list_solve_columns(summaries, *from_paper),
        **{f"Tok {x}": lambda s, x=x: _write_part(s, s.tok_by_mode, x) for x in modes},
        "prompt": lambda s: _write_count(s, s.prompt_tokens),
        "cached": lambda s: _write_count(s, s.cached_tokens),
        "truncated": lambda s: percent(s.truncated),
        "unparsed": lambda s: percent(s.unparsed),
        "unanswered": lambda s: percent(s.unanswered),
        "stated": lambda s: percent(s.stated),
        "asked": lambda s: percent(s.asked),
        "model s": lambda s: decimal(s.model_seconds),
        **list_cost_column(summaries),
        "planned": lambda s: str(s.planned),
        "completed": lambda s: str(s.completed),
        "scored": lambda s: str(s.scored),
        "pending": lambda s: str(s.pending),
    }


def _collect_keys(maps: Iterable[Mapping[Key, float | None]]) -> list[Key]:
    return list(dict.fromkeys(key for mapping in maps for key in mapping))


def write_acc(summary: Summary) -> str:
    """Writes accuracy in percent, its interval, and the scored of the planned attempts."""
    if summary.acc is None:
        return UNKNOWN if summary.steps is not None else NOTHING
    interval = span(summary.acc_low, summary.acc_high)
    return " ".join(filter(None, (percent(summary.acc), interval, f"({summary.scored}/{summary.planned})")))


def _write_count(summary: Summary, tokens: float | None) -> str:
    """Writes a mean that a server may have left unknown; nothing if no attempt counts yet."""
    unknown = tokens is None and summary.steps is not None and not is_from_paper(summary)
    return UNKNOWN if unknown else count(tokens)


def _write_part(summary: Summary, parts: Mapping[str, float | None], name: str) -> str:
    if is_from_paper(summary):
        return count(summary.tok) if name == Stage.SOLVE else NOTHING
    return _write_count(summary, parts[name]) if name in parts else NOTHING


def list_solve_columns(summaries: Sequence[Summary], *names: str) -> dict[str, Callable[[Summary], str]]:
    """The columns of the paper's token counts, if it has rows here: those of responses to sub-problems."""
    return {name: _SOLVE_COLUMNS[name] for name in names} if any(map(is_from_paper, summaries)) else {}


def _write_tpi_solve(summary: Summary) -> str:
    if is_from_paper(summary):
        return count(summary.tpi)
    if not summary.steps or Stage.SOLVE not in summary.tok_by_stage:
        return NOTHING
    tokens = summary.tok_by_stage[Stage.SOLVE]
    return UNKNOWN if tokens is None else count(tokens / summary.steps)


def _write_tok_solve(summary: Summary) -> str:
    return _write_part(summary, summary.tok_by_stage, Stage.SOLVE)


def write_tok(summary: Summary) -> str:
    """Writes response tokens per attempt, of all stages."""
    return NOTHING if is_from_paper(summary) else _write_count(summary, summary.tok)


def write_thousands(summary: Summary) -> str:
    """Writes thousands of response tokens to sub-problems per attempt, as the paper's Table 3 does."""
    text = _write_tok_solve(summary)
    known = summary.tok if is_from_paper(summary) else summary.tok_by_stage.get(Stage.SOLVE)
    return text if known is None else f"{known / 1000:.1f}"


def write_short_acc(summary: Summary) -> str:
    """Writes accuracy in percent alone."""
    return write_acc(summary) if summary.acc is None else percent(summary.acc)


def write_short_tok(summary: Summary) -> str:
    """Writes thousands of response tokens per attempt, of all stages."""
    if is_from_paper(summary) or summary.tok is None:
        return write_tok(summary)
    return f"{summary.tok / 1000:.{1 if summary.tok >= 1000 else 2}f}"


def write_tpi(summary: Summary) -> str:
    """Writes response tokens per iteration, of all stages."""
    if is_from_paper(summary) or not summary.steps:
        return NOTHING
    return _write_count(summary, summary.tpi)


def write_hard(summary: Summary) -> str:
    """Writes the share of iterations in System 2 in percent."""
    return percent(summary.hard)


def list_cost_column(summaries: Sequence[Summary]) -> dict[str, Callable[[Summary], str]]:
    """The column of costs, if any were asked for."""
    return {"cost": _write_cost} if any(s.cost_unit is not None for s in summaries) else {}


def _write_cost(summary: Summary) -> str:
    if summary.cost is None:
        return UNKNOWN if summary.cost_unit is not None and summary.steps is not None else NOTHING
    return f"{summary.cost:.4g}"


_SOLVE_COLUMNS: Mapping[str, Callable[[Summary], str]] = {"Tok solve": _write_tok_solve, "Tpi solve": _write_tpi_solve}
