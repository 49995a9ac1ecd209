"""Keeps Claude's budget of a thought below the limit of new tokens, because a request in which it is not is refused."""

from __future__ import annotations

from collections.abc import Callable

from scale_reasoning.engines.changes import Body
from scale_reasoning.engines.values import as_table, value_at

LEAST_BUDGET = 1024
"""Tokens: the smallest budget of a thought that Anthropic takes."""

LIMITS = ("max_tokens", "max_completion_tokens")


class ThoughtRoom:
    """Fits the budgets that one server is sent. `where` names it; `say` gets one line for each way of fitting, once.

    least: a budget below it counts as too small even where there is room for it.
    """

    def __init__(self, where: str, say: Callable[[str], None], *, least: int = 0) -> None:
        self._where, self._say, self._least, self._said = where, say, least, set[str]()

    def fit(self, body: Body) -> Body:
        """The body with a budget that leaves a quarter of the new tokens to the answer where it would leave none.

        Without the thought where it would get less than the smallest budget.
        """
        budget = value_at(body, "thinking", "budget_tokens")
        most = next((body[key] for key in LIMITS if key in body), None)
        if not isinstance(budget, int) or not isinstance(most, int):
            return body
        if self._least <= budget < most:
            return body
        fitted = min(budget, most * 3 // 4)
        if fitted < LEAST_BUDGET:
            self._say_once(
                f"{self._where}: there is no thinking where it would get under {LEAST_BUDGET:,} tokens, the "
                "least that the service takes; raise the limit of new tokens or the budget"
            )
            return {key: value for key, value in body.items() if key != "thinking"}
        self._say_once(
            f"{self._where}: where a budget of thinking is not below the limit of new tokens, it is three quarters of "
            "that limit"
        )
        return {**body, "thinking": {**as_table(body["thinking"]), "budget_tokens": fitted}}

    def _say_once(self, line: str) -> None:
        if line not in self._said:
            self._said.add(line)
            self._say(line)
