"""Where attempts are lost, on runs made by hand whose counts are known."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from tests.report.cells import cell, failed, graded, outcome, pending

from scale_reasoning.report.compare import compare
from scale_reasoning.report.losses import FORM, Changed, Loss, find_losses
from scale_reasoning.report.losses_table import build_losses_grid, render_losses
from scale_reasoning.report.metrics import Cell
from scale_reasoning.report.roles import Role, find_role
from scale_reasoning.types import Usage

COT: Mapping[str, Any] = {"name": "cot"}
SYSTEM2: Mapping[str, Any] = {"name": "scale", "route": {"name": "always", "mode": "system2"}}
SYSTEM1: Mapping[str, Any] = {"name": "scale", "route": {"name": "always", "mode": "system1"}}
TAU: Mapping[str, Any] = {"name": "scale", "route": {"name": "threshold", "tau": 0.2}}


def numbered(*cells: Cell) -> list[tuple[int, Cell]]:
    return list(enumerate(cells, 1))


def found(cells: Sequence[Cell], by: str) -> list[Loss]:
    return [loss for loss in find_losses(numbered(*cells)).losses if loss.by == by]


def four(**more: Any) -> list[Cell]:
    """Of four problems, decomposition loses p0000 and wins p0003, and routing loses p0002."""
    return [
        graded([[True], [True], [True], [False]], strategy=COT, **more),
        graded([[False], [True], [True], [True]], strategy=SYSTEM2, **more),
        graded([[False], [True], [False], [False]], strategy=SYSTEM1, **more),
        graded([[False], [True], [False], [True]], strategy=TAU, **more),
    ]


def test_problems_are_lost_and_won_by_decomposition_and_by_routing():
    (decomposition,) = found(four(), "decomposition")
    assert (decomposition.lost, decomposition.won, decomposition.net) == (1, 1, 0)
    assert decomposition.lost_on == (Changed(id="p0000", samples=(0,)),)
    assert decomposition.won_on == (Changed(id="p0003", samples=(0,)),)
    (routing,) = found(four(), "routing")
    assert (routing.lost, routing.won, routing.net) == (1, 0, -0.25)
    assert [each.id for each in routing.lost_on] == ["p0002"]
    (alone,) = found(four(), "System 1 alone")
    assert [each.id for each in alone.lost_on] == ["p0002", "p0003"]
    assert (routing.a, routing.b) == ("all System 2 (row 2)", "tau 0.2 (row 4)")
    assert not find_losses(numbered(*four())).missing


def test_every_count_has_an_interval_and_the_net_one_is_that_of_compare():
    cells = four()
    (routing,) = found(cells, "routing")
    assert routing.lost_share == 0.25
    assert routing.lost_low is not None
    assert routing.lost_high is not None
    assert routing.lost_low < 0.25 < routing.lost_high
    assert routing.won_high is not None
    assert routing.won_high > 0
    paired = compare(cells[1], cells[3])
    assert (routing.net, routing.net_low, routing.net_high) == (paired.difference, paired.low, paired.high)
    assert routing.p_value == paired.p_value


def test_several_samples_are_compared_one_by_one_and_weigh_by_their_problem():
    cot = graded([[True, True, False, True], [True] * 4], strategy=COT)
    system2 = graded([[False, True, True, False], [True] * 4], strategy=SYSTEM2)
    (loss,) = found([cot, system2], "decomposition")
    assert (loss.lost, loss.won, loss.counted, loss.problems) == (2, 1, 8, 2)
    assert loss.lost_on == (Changed(id="p0000", samples=(0, 3)),)
    assert loss.won_on == (Changed(id="p0000", samples=(2,)),)
    assert (loss.lost_share, loss.won_share, loss.net) == (0.25, 0.125, -0.125)


def test_other_numbers_of_samples_are_compared_as_far_as_both_have_them():
    cot = graded([[True, True, True], [True, True, True]], strategy=COT)
    system2 = graded([[False], [True]], strategy=SYSTEM2)
    (loss,) = found([cot, system2], "decomposition")
    assert (loss.lost, loss.counted, loss.planned, loss.pending) == (1, 2, 2, 0)


def test_pending_attempts_are_left_out_and_counted():
    cot = cell([outcome("a"), outcome("b"), pending("c")], strategy=COT)
    system2 = cell([outcome("a", correct=False), pending("b")], strategy=SYSTEM2, problems=3)
    losses = find_losses(numbered(cot, system2))
    loss = losses.losses[0]
    assert (loss.lost, loss.counted, loss.planned, loss.pending) == (1, 1, 3, 2)
    assert losses.pending
    notes = render_losses(losses, "md")
    assert "decomposition (all System 2 (row 2)): 2 of 3 pairs of attempts are pending" in notes
    assert "1/3" in notes


def test_attempts_without_a_grade_are_left_out_and_counted():
    cot = cell([outcome("a"), outcome("b", correct=None, answer="1")], strategy=COT)
    system2 = cell([outcome("a"), outcome("b")], strategy=SYSTEM2)
    (loss,) = found([cot, system2], "decomposition")
    assert (loss.counted, loss.ungraded, loss.pending) == (1, 1, 0)


def test_no_losses_are_a_table_of_zeros_with_room_for_what_was_not_seen():
    alike = [graded([[True]] * 10, strategy=each) for each in (COT, SYSTEM2, SYSTEM1, TAU)]
    losses = find_losses(numbered(*alike))
    assert [(loss.lost, loss.lost_on, loss.net) for loss in losses.losses if loss.by != FORM] == [(0, (), 0)] * 3
    assert losses.losses[0].lost_high == pytest.approx(1 - 0.025 ** (1 / 10))
    text = render_losses(losses, "md")
    assert "lost by decomposition" not in text
    assert "0.00 [0.0, 30.8]" in text


def test_an_answer_that_was_not_found_is_lost_by_its_form_unless_the_attempt_was_cut_off():
    cot = cell([failed("a", kind="unanswered"), failed("b", kind="truncated"), failed("c"), outcome("d")], strategy=COT)
    (loss,) = found([cot], FORM)
    assert (loss.lost, loss.counted) == (1, 4)
    assert loss.lost_on == (Changed(id="a", samples=(0,)),)
    assert (loss.a, loss.net) == (None, None)


def test_right_answers_found_without_a_box_are_won_by_their_form():
    forms = ("boxed", "stated", "asked")
    cot = cell([outcome(form, forms=(form,)) for form in forms] +
               [outcome("wrong", correct=False, forms=("stated",)), failed("none")], strategy=COT)  # fmt: skip
    (loss,) = found([cot], FORM)
    assert (loss.won, [each.id for each in loss.won_on]) == (2, ["stated", "asked"])


def test_records_from_before_forms_leave_them_unknown():
    for forms in ((), (None,)):
        losses = find_losses(numbered(cell([outcome("a", forms=forms), outcome("b", forms=("boxed",))], strategy=COT)))
        assert losses.losses[0].won is None
        assert "won is unknown where the run does not have the forms" in render_losses(losses, "md")


def test_the_cost_of_system_1_alone_is_its_tokens_over_those_of_system_2():
    def spend(tokens: int, strategy: Mapping[str, Any]) -> Cell:
        usage = Usage(prompt_tokens=1, completion_tokens=tokens, reasoning_tokens=0, cached_tokens=0)
        return cell([outcome(name, usage=usage) for name in "abc"], strategy=strategy)

    (alone,) = found([spend(800, SYSTEM2), spend(200, SYSTEM1)], "System 1 alone")
    assert (alone.token_ratio, alone.token_low, alone.token_high) == (0.25, 0.25, 0.25)
    unknown = cell([outcome("a", usage=Usage())], strategy=SYSTEM1)
    losses = find_losses(numbered(cell([outcome("a")], strategy=SYSTEM2), unknown))
    assert losses.losses[0].token_ratio is None
    assert "the server reported no tokens for 1 attempts" in render_losses(losses, "md")


def test_missing_rows_are_named_with_the_command_that_adds_them():
    strategy = {**TAU, "system2_max_tokens": 4096, "candidates": 4, "assess": {"name": "rated", "context": "titles"}}
    only = graded([[True]], strategy=strategy, dataset="my data.jsonl")
    losses = find_losses(numbered(only))
    (note,) = losses.missing
    assert note == (
        "my data.jsonl, m: no chain of thought row, no all System 2 row, no all System 1 row among the rows read from "
        "runs/a. To add: scale eval 'my data.jsonl' "
        "--strategy cot:system2-max-tokens=4096 --strategy scale:route=system2,system2-max-tokens="
        "4096,candidates=4 --strategy scale:route=system1,system2-max-tokens=4096,candidates=4 --samples 1 --out "
        "FOLDER, with the run's other flags (model, --limit, --seed); then name FOLDER here too."
    )
    assert [loss.by for loss in losses.losses] == [FORM]


def test_rows_with_other_options_are_not_compared_and_it_is_said():
    cells = [
        graded([[True]], strategy={**SYSTEM2, "candidates": 8}),
        graded([[False]], strategy={**TAU, "candidates": 1}),
    ]
    losses = find_losses(numbered(*cells))
    assert [loss.by for loss in losses.losses] == [FORM, FORM]
    assert "no all System 2 row has the options of tau 0.2 (row 2)" in losses.missing[-1]
    assert "--strategy scale:route=system2,candidates=1 " in losses.missing[-1]


def test_limits_must_agree_between_chain_of_thought_and_system_2_alone():
    cells = [graded([[True]], strategy={**COT, "system2_max_tokens": 1024}),
             graded([[False]], strategy={**SYSTEM2, "system2_max_tokens": 2048})]  # fmt: skip
    losses = find_losses(numbered(*cells))
    assert "--strategy cot:system2-max-tokens=2048 " in losses.missing[-1]
    agreeing = find_losses(numbered(*cells, graded([[True]], strategy={**COT, "system2_max_tokens": 2048})))
    assert [(loss.by, loss.row_a) for loss in agreeing.losses if loss.row_a] == [("decomposition", 3)]


def test_every_threshold_is_compared_and_two_rows_that_would_do_are_said():
    other = {**TAU, "route": {"name": "threshold", "tau": 0.8}}
    both = [graded([[True]], strategy=SYSTEM2), graded([[True]], strategy=other), graded([[False]], strategy=TAU)]
    assert [loss.b for loss in found(both, "routing")] == ["tau 0.8 (row 2)", "tau 0.2 (row 3)"]
    twice = find_losses(numbered(*both[:2], graded([[True]], strategy=SYSTEM2)))
    assert not any(loss.by == "routing" for loss in twice.losses)
    assert "several rows could be compared with tau 0.8 (row 2): all System 2 (row 1), all System 2" in twice.missing[1]


def test_two_datasets_and_two_models_are_told_apart():
    cells = [*four(), *four(dataset="math500"), *four(model="other")]
    routed = found(cells, "routing")
    assert [(loss.dataset, loss.model) for loss in routed] == [("aime24", "m"), ("math500", "m"), ("aime24", "other")]


def test_rows_of_the_same_run_are_preferred_and_runs_are_named():
    cells = [*four(), *four(run="runs/b")]
    routed = find_losses([(row % 4 + 1, each) for row, each in enumerate(cells)]).losses
    assert [(loss.a, loss.b) for loss in routed if loss.by == "routing"] == [
        ("all System 2 (runs/a:2)", "tau 0.2 (runs/a:4)"),
        ("all System 2 (runs/b:2)", "tau 0.2 (runs/b:4)"),
    ]


def test_votes_other_routes_and_chain_of_thought_in_system_1_have_no_role():
    assert find_role({"name": "vote", "base": COT}) is None
    assert find_role({"name": "scale", "route": {"name": "random", "share": 0.5}}) is None
    assert find_role({"name": "cot", "mode": "system1"}) is None
    assert find_role({"name": "scale", "tau": 0.5}) is Role.THRESHOLD
    assert not find_losses(numbered(graded([[True]], strategy={"name": "vote"}))).losses


def test_a_terminal_gets_the_first_problems_and_a_file_all():
    cells = [graded([[True]] * 15, strategy=COT), graded([[False]] * 15, strategy=SYSTEM2)]
    losses = find_losses(numbered(*cells))
    title = "aime24, m: lost by decomposition, chain of thought (row 1) to all System 2 (row 2): "
    short = next(note for note in build_losses_grid(losses, most=12).notes if note.startswith(title))
    assert short.endswith("p0010, p0011 and 3 more")
    whole = next(note for note in build_losses_grid(losses).notes if note.startswith(title))
    assert whole.removeprefix(title).split(", ") == [f"p{n:04}" for n in range(15)]


def test_json_and_csv_have_every_problem():
    losses = find_losses(numbered(*four()))
    loaded = json.loads(render_losses(losses, "json"))
    assert loaded["losses"][1]["lost_on"] == [{"id": "p0002", "samples": [0]}]
    assert loaded["missing"] == []
    rows = list(csv.DictReader(io.StringIO(render_losses(losses, "csv"))))
    assert len(rows) == 7
    assert json.loads(rows[1]["lost_on"]) == [{"id": "p0002", "samples": [0]}]
    assert (rows[1]["by"], rows[1]["net"]) == ("routing", "-0.25")
    assert render_losses(losses, "latex").startswith(r"\begin{table*}")
    assert "<table>" in render_losses(losses, "html")
