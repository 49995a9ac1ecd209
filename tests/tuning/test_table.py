"""A finished tuning as rows and as text."""

from __future__ import annotations

import json

from tests.runs.simulated import manifest
from tests.tuning.made import names, outcomes, take

from scale_reasoning.runs.manifest import Manifest
from scale_reasoning.runs.rounds import Tuning
from scale_reasoning.tuning.drops import decide
from scale_reasoning.tuning.table import Tuned, render, tabulate

ROUNDS = Tuning(rounds=(16, 32), held_out=8)
CELLS = [{"name": "cot"}, {"name": "cot", "mode": "system1"}, {"name": "vote", "stop": "certain"}]


def tuned() -> Tuned:
    """Chain of thought is beaten after 16 problems, System 1 after 32; the vote is always right."""
    made = outcomes(("-" * 9 + "r" * 7 + "-" * 24, 100), ("r" * 12 + "----" + "-" * 10 + "r" * 14, 30), ("r" * 40, 800))
    plan = _plan()
    cut = [{**take(made, 16, 16, 16)[0], **{name: made[0][name] for name in names(40)[32:]}},
           *take(made[1:], 32, 40)]  # fmt: skip
    standing = decide(cut, names(40), ROUNDS)
    assert standing.needs == {}
    return tabulate(cut, names(40), plan, standing)


def _plan() -> Manifest:
    from dataclasses import replace

    return replace(manifest(CELLS, samples=1), tuning=ROUNDS)


def test_finalists_are_measured_on_what_was_held_out_and_others_on_all_that_they_had() -> None:
    rows = {row.row: row for row in tuned().rows}
    assert list(rows) == [1, 3, 2]
    assert [(row.on, row.measured.problems, row.measured.acc) for row in rows.values()] == [
        ("held out", 8, 0.0),
        ("held out", 8, 1.0),
        ("tuned on", 32, 18 / 32),
    ]
    assert rows[3].evidence is not None
    assert (rows[3].evidence.problems, rows[3].evidence.wins, rows[3].evidence.losses) == (24, 17, 0)
    assert rows[3].evidence.shown


def test_drops_name_rows() -> None:
    drops = {row.row: row.drop for row in tuned().rows}
    assert drops[1] is not None
    assert drops[2] is not None
    assert (drops[1].round, drops[1].by, drops[2].round, drops[2].by) == (1, 3, 2, 3)
    assert drops[3] is None


def test_the_text_ends_with_the_advice() -> None:
    text = render(tuned(), "md")
    lines = text.splitlines()
    assert lines[0].split("|")[2].strip() == "candidate"
    assert "round 1: worse than row 3: 9 to 0" in lines[2]
    assert lines[3].split("|")[9].strip() == "chosen"
    assert lines[-1].startswith("Use vote (stop certain): it is 100.0 points ahead of chain of thought (+")
    read = json.loads(render(tuned(), "json"))
    assert (read["chosen"], read["advice"]) == (3, lines[-1])
    assert (read["tuned_on"], read["held_out"]) == (32, 8)


def test_a_limit_that_nothing_keeps_names_the_fewest_tokens_of_all_rows_also_of_those_that_were_dropped() -> None:
    from dataclasses import replace

    limited = replace(ROUNDS, tokens=20)
    made = take(outcomes(("r" * 40, 100), ("r" * 16, 30), ("r" * 16, 800)), 40, 16, 16)
    made[0] = {name: each for number, (name, each) in enumerate(made[0].items()) if number < 16 or number >= 32}
    standing = decide(made, names(40), limited)
    assert {drop.reason for drop in standing.drops.values()} == {"tokens"}
    assert standing.needs == {}
    found = tabulate(made, names(40), replace(_plan(), tuning=limited), standing)
    assert found.chosen is None
    assert found.advice == "No candidate keeps to 20 tokens per problem: cot (mode system1) spends 30, the fewest."
