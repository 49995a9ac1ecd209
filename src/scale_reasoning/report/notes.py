"""The notes below a table of summaries: what its columns and marks mean, and why numbers are unknown."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from scale_reasoning.report.chain_votes import ROW, is_counted
from scale_reasoning.report.cost import FLOP
from scale_reasoning.report.formats import UNKNOWN
from scale_reasoning.report.metrics import Summary, flatten
from scale_reasoning.report.paper import is_from_paper

PENDING = "†"
"""Marks a row with pending attempts."""
LEFT_OUT = "‡"
"""Marks a row without its failed attempts."""
PAPERS_TOKENS = (
    "The paper's Tok and Tpi count only the responses to sub-problems: they are under Tok solve and Tpi solve, with "
    "ours of that stage, and not comparable with Tok and Tpi, which are of all stages."
)


VOTE = f"vote ({ROW})"
"""What tables call a counted vote."""
SHORT_LEGEND = (
    "Acc in %; Tok (k): thousands of response tokens per attempt; row N is FOLDER:N in other commands. Without "
    "--compact there are intervals and counts."
)


def write_legend(columns: Collection[str]) -> str:
    """What the columns of a table mean, those of these names."""
    parts = ["Acc in % with its 95 % interval (over problems) and (scored/planned) attempts"]
    if tokens := [name for name in ("Tok", "Tpi") if name in columns]:
        per = ", ".join({"Tok": "per attempt", "Tpi": "per iteration"}[name] for name in tokens)
        parts.append(f"{', '.join(tokens)}: response tokens {per}")
    if "Hard" in columns:
        parts.append("Hard: % of iterations in System 2")
    return "; ".join([*parts, "row N is FOLDER:N in other commands."])


def write_notes(summaries: Sequence[Summary], *, solve_only: bool = False, vote: str = VOTE) -> list[str]:
    """What the marks and the unknown numbers of a table mean. `solve_only`: the table has the tokens of responses to
    sub-problems in one column, the paper's and ours. `vote`: what a counted vote is called.
    """
    notes: list[str] = []
    pending = [summary for summary in summaries if summary.pending]
    if pending:
        missing, planned = sum(summary.pending for summary in pending), sum(summary.planned for summary in pending)
        notes.append(
            f"{PENDING} Incomplete: {missing} of {planned} attempts are pending (not run yet, or ended by an "
            "infrastructure error) and not scored. Resume the run."
        )
    if any(map(leaves_out, summaries)):
        notes.append(
            f"{LEFT_OUT} Denominator completed: attempts that failed are left out, as in the paper, and every mean "
            "weighs the remaining attempts equally."
        )
    if counted := [summary for summary in summaries if is_counted(summary)]:
        sizes = ", ".join(dict.fromkeys(str(summary.options["samples"]) for summary in counted))
        row = "cot" if vote == VOTE else "CoT"
        notes.append(
            f"{vote}: majority of {sizes} chains of the {row} row per vote, without further calls; tokens are the "
            "sum over the chains. A tie goes to the answer that came first, a chain without an answer abstains."
        )
    if any(map(is_from_paper, summaries)):
        printed = "(paper): as printed, without intervals; scored is what the percentage implies."
        notes.append(printed if solve_only else f"{printed} {PAPERS_TOKENS}")
    return [*notes, *_note_budgets(summaries), *_note_uncounted(summaries), *_note_cost(summaries)]


def _note_budgets(summaries: Sequence[Summary]) -> list[str]:
    """How thinking budgets were enforced, with the budgets."""
    found: dict[str, dict[str, None]] = {}
    for summary in summaries:
        if (enforcer := summary.label.get("budget_by")) is not None:
            budget = flatten(summary.options).get("thinking_budget")
            found.setdefault(str(enforcer), {})[str(budget or "by level")] = None
    return [f"thinking budgets ({', '.join(budgets)}): enforced by {enforcer}" for enforcer, budgets in found.items()]


def _note_cost(summaries: Sequence[Summary]) -> list[str]:
    """Says what costs are of, and why some are unknown."""
    units = list(dict.fromkeys(s.cost_unit for s in summaries if s.cost_unit is not None))
    if not units:
        return []
    how = (
        "2 x active parameters x response tokens, as the models' names say"
        if units == [FLOP]
        else "at the prices given"
    )
    unit = f"{' and '.join(units)} per attempt".strip()
    unknown = (f"cost {UNKNOWN}: {note}." for note in dict.fromkeys(s.cost_note for s in summaries if s.cost_note))
    return [f"cost: {unit}, {how}.", *unknown]


def _note_uncounted(summaries: Sequence[Summary]) -> list[str]:
    """Says why response tokens are unknown."""
    mine = [summary for summary in summaries if summary.uncounted]
    missing, completed = sum(summary.uncounted for summary in mine), sum(summary.completed for summary in mine)
    return [f"{UNKNOWN}: the server reported no response tokens for {missing} of {completed} attempts."] * bool(missing)


def note_unreported(summaries: Sequence[Summary]) -> list[str]:
    """Says why prompt tokens are unknown."""
    mine = [summary for summary in summaries if not is_from_paper(summary) and summary.steps is not None]
    if all(summary.prompt_tokens is not None and summary.cached_tokens is not None for summary in mine):
        return []
    return [f"prompt, cached, cost: {UNKNOWN} where the server did not report them for every attempt."]


def note_runs(summaries: Sequence[Summary]) -> list[str]:
    """The names of runs and when they were begun, if the summaries are of several runs and one has a name."""
    runs = {summary.run: summary for summary in summaries if not is_from_paper(summary)}
    if len(runs) < 2 or not any(summary.run_name for summary in runs.values()):
        return []
    return [
        f"{run}: {', begun '.join(filter(None, (summary.run_name, (summary.run_created or '')[:10])))}."
        for run, summary in runs.items()
        if summary.run_name
    ]


def leaves_out(summary: Summary) -> bool:
    """Whether failed attempts are left out; for the paper's rows, only if the percentage implies it."""
    return summary.denominator == "completed" and (not is_from_paper(summary) or summary.scored < summary.planned)
