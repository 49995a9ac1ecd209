"""The paper's assessor: one number that the model says (eq 3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from scale_reasoning.replies import NUMBER, read_number
from scale_reasoning.strategies.allocation import HARDEST
from scale_reasoning.strategies.options import check_options, option
from scale_reasoning.strategies.subproblem import Subproblem
from scale_reasoning.types import Assessment, Stage


@dataclass(frozen=True, slots=True, kw_only=True)
class Rated:
    """The model says a number from 0 to 1, after the earlier solutions or from the texts of the sub-problems alone."""

    context: Literal["solutions", "titles"] = option(
        "solutions", "what the assessor sees of earlier steps; titles are assessed all at once"
    )

    def __post_init__(self) -> None:
        check_options(self)

    def is_ahead(self) -> bool:
        """See Assessor."""
        return self.context == "titles"

    def most_calls(self, tries: int) -> int:
        """See Assessor."""
        return tries

    def most_drafts(self) -> int:
        """See Assessor."""
        return 0

    async def assess(self, subproblem: Subproblem) -> Assessment:
        """See Assessor."""
        context, number = subproblem.context, subproblem.number
        rating = await subproblem.structured.ask(
            subproblem.lm.at("assess"),
            Stage.ASSESS,
            context.assess_by_titles(subproblem.outline, number)
            if self.is_ahead()
            else context.assess(number, subproblem.text),
            read_number,
            NUMBER,
            tries=subproblem.rules.tries,
        )
        if rating is not None:
            return Assessment(assessor="rated", difficulty=rating)
        subproblem.note_unparsed(f"no difficulty could be read: it counts as {HARDEST}")
        return Assessment(assessor="rated", difficulty=HARDEST, fallback="no rating could be read")
