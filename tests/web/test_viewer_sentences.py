"""What-if in words: what changes, what of it is known, and nothing about what was not run."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tests.web.viewed import sweep, viewing

from scale_reasoning.runs.store import reading
from scale_reasoning.web.viewer.sentences import describe_totals, write_table
from scale_reasoning.web.viewer.shelf import Shelf
from scale_reasoning.web.viewer.whatif import Totals


def test_a_value_that_changes_nothing_says_so() -> None:
    row = Totals(ran=60, graded=60, right=30, tokens=6000, iterations=120, hard=40, compared=60, own_right=30,
                 own_tokens=6000, own_iterations=120, own_hard=40)  # fmt: skip
    assert describe_totals(row, 60) == (
        "no attempt changes: all 60 go as they were recorded. Over all 60 attempts: 40 of 120 steps in System 2, "
        "100 response tokens per attempt, 30 of 60 right (Acc 50.0 %)."
    )


def test_what_changes_is_told_apart_from_what_was_not_run() -> None:
    row = Totals(ran=58, graded=58, right=31, tokens=5800, iterations=116, hard=20, compared=58, own_right=30,
                 own_tokens=11600, own_iterations=116, own_hard=40, changed=6, known=4, regraded=4, gained=2,
                 lost=1)  # fmt: skip
    assert describe_totals(row, 60) == (
        "6 of 60 attempts change: the journal has 4, and 2 were not run. Of those in the journal, 2 become right, 1 "
        "become wrong, 1 are graded as before. Over the 58 attempts that are known: 20 of 116 steps in "
        "System 2 instead of 40, 100 response tokens per attempt instead of 200, 31 of 58 right instead of 30 (Acc "
        "53.4 %). They are not a random sample, so this does not estimate the attempts that were not run."
    )


@pytest.mark.parametrize(
    ("row", "told"),
    [
        (Totals(), "Not run: the journal has no complete attempt at this value (0 of 60)."),
        (
            Totals(ran=50, compared=50, changed=10),
            "10 of 60 attempts change, and the journal has none of them: not run.",
        ),
        (Totals(ran=1, compared=1, unmatched=59), "it goes as it was recorded. 59 are left out"),
        (Totals(ran=1, compared=1, unmatched=59), "Over the one attempt that is known: "),
        (Totals(ran=60, compared=60, changed=1, known=1), "1 of 60 attempts changes, and the journal has it."),
        (
            Totals(ran=60, compared=59, unmatched=1),
            "1 are left out: not run yet, or not in the journal as they were recorded.",
        ),
        (Totals(ran=60, compared=60, tokens=None), "response tokens unknown"),
    ],
)
def test_a_sentence_says_what_it_does_not_know(row: Totals, told: str) -> None:
    assert told in describe_totals(row, 60)


def test_numbers_as_recorded_stand_beside_the_same_attempts_only() -> None:
    row = Totals(ran=60, compared=59, unmatched=1, changed=5, known=5, iterations=60, hard=3, tokens=60, own_hard=9)
    assert "instead of" not in describe_totals(row, 60)


def test_a_table_s_changes_are_those_between_the_cells_of_a_sweep(tmp_path: Path) -> None:
    sweep(tmp_path, problems=4, samples=2)
    shelf = Shelf([tmp_path])
    try:
        shelf.cells[0].refresh()
        table = shelf.cells[0].fill_table()
    finally:
        shelf.close()
    with reading(tmp_path) as store:
        own, other = ({(o.problem_id, o.sample): o for o in store.outcomes(cell)} for cell in (0, 1))
    row = table.rows[80]
    changed = [key for key in own if own[key].by_mode != other[key].by_mode or own[key].usage != other[key].usage]
    assert (table.done, row.ran, row.compared, row.unmatched) == (8, 8, 8, 0)
    assert row.changed == row.known == len(changed) > 0
    assert (row.own_hard, row.hard) == (sum(o.hard for o in own.values()), sum(o.hard for o in other.values()))
    assert row.gained - row.lost == row.right - row.own_right
    assert table.rows[20].changed == 0
    assert any(one.changed > one.known for one in table.rows)
    texts = [str(one["text"]) for one in write_table(table)["rows"]]
    assert any("were not run" in text or "not run" in text for text in texts)


def test_an_attempt_s_sentences_say_what_is_recorded_and_what_it_would_be_instead(tmp_path: Path) -> None:
    sweep(tmp_path, problems=1, samples=1)
    with viewing(tmp_path) as viewer:
        page = viewer.get("r0-c0-p0-s0.html").text
    told = re.findall(r"text&#34;:&#34;(.*?)&#34;", page)
    assert sum(text.startswith("As recorded: ") for text in told) == 1
    others = [text for text in told if text.startswith("Exactly, from the journal: ")]
    assert others
    assert all(re.search(r"steps in System 2 instead of \d+", text) for text in others)
