"""What calls cost: usage in total, by stage and by mode."""

from __future__ import annotations

from scale_reasoning.types import NO_USAGE, Call, Mode, Spending, Stage


def spending(calls: tuple[Call, ...]) -> Spending:
    """The usage of calls, whole and split; each split sums to the total."""
    total, by_stage, by_mode = (
        NO_USAGE,
        dict.fromkeys(map(str, Stage), NO_USAGE),
        dict.fromkeys(map(str, Mode), NO_USAGE),
    )
    for call in calls:
        total += call.usage
        by_stage[call.stage] += call.usage
        by_mode[call.mode] += call.usage
    if all(call.stage is not Stage.SUMMARISE for call in calls):
        del by_stage[Stage.SUMMARISE]
    return Spending(total=total, by_stage=by_stage, by_mode=by_mode)
