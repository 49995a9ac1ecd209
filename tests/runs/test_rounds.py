"""How a tuning splits problems, and that a goal may need a unit for one of its cells only."""

from __future__ import annotations

import asyncio
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.runs.simulated import problems

from scale_reasoning.errors import ConfigError
from scale_reasoning.runs.manifest import decode, encode
from scale_reasoning.runs.outcome import Outcome
from scale_reasoning.runs.pace import Towards, Unit
from scale_reasoning.runs.rounds import Tuning, plan_rounds, shuffle


@given(count=st.integers(4, 5000), hold_out=st.floats(0.01, 0.99))
def test_rounds_double_and_what_is_left_is_held_out(count: int, hold_out: float) -> None:
    rounds, held_out = plan_rounds(count, hold_out)
    assert rounds[-1] + held_out == count
    assert held_out >= 1
    assert all(after <= 2 * before for before, after in pairwise(rounds))
    Tuning(rounds=rounds, held_out=held_out)


def test_the_usual_rounds() -> None:
    assert plan_rounds(319, 1 / 3) == ((16, 32, 64, 128, 213), 106)
    with pytest.raises(ConfigError, match="3 problems are too few"):
        plan_rounds(3, 1 / 3)


def test_the_order_follows_from_the_seed_alone() -> None:
    some = problems(50)
    assert shuffle(some, 1) == shuffle(some[::-1], 1) != shuffle(some, 2)
    assert {each.id for each in shuffle(some, 1)} == {each.id for each in some}


@pytest.mark.parametrize("fields", [{"rounds": (8, 8)}, {"rounds": ()}, {"held_out": 0}, {"level": 0}, {"margin": 1}])
def test_a_tuning_that_cannot_be_is_refused(fields: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match="tuning, "):
        Tuning(**{"rounds": (8, 16), "held_out": 3, **fields})  # pyright: ignore[reportArgumentType]


def test_a_manifest_keeps_its_tuning_and_refuses_a_key_that_it_does_not_know() -> None:
    from dataclasses import replace

    import msgspec
    from tests.runs.simulated import manifest

    plan = replace(manifest([{"name": "cot"}]), tuning=Tuning(rounds=(16, 20), held_out=10, planned=(16,)))
    table = msgspec.json.decode(encode(plan))
    assert decode(table, "x") == plan
    assert plan.count_needed(0) == 16
    assert manifest([{"name": "cot"}]).count_needed(0) is None
    table["tuning"]["surprise"] = 1
    with pytest.raises(ConfigError, match="surprise"):
        decode(table, "x")


class OneCell:
    """A goal that needs one cell only, which is not the first of the units."""

    def count_outcome(self, cell: int, outcome: Outcome) -> None: ...

    def enough(self) -> bool:
        return False

    def room(self) -> int:
        return 9

    def place(self, cell: int, problem_id: str, sample: int) -> tuple[int, str]:
        return cell, problem_id

    def reached(self, place: object) -> bool:
        return place != (1, "p00001")


def test_a_unit_is_made_if_any_of_its_cells_is_needed() -> None:
    units = [Unit(problem=each, sample=0, cells=(0, 1)) for each in problems(3)]

    async def collect() -> list[tuple[str, list[int]]]:
        source, found = Towards(OneCell(), units), list[tuple[str, list[int]]]()
        while (unit := await source.next()) is not None:
            found.append((unit.problem.id, [cell for cell in unit.cells if source.needs(cell, unit)]))
            await source.ended(unit)
        return found

    assert asyncio.run(collect()) == [("p00001", [1])]
