from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from tests.synth.made import PROBLEM, record, step

from scale_reasoning.errors import ConfigError
from scale_reasoning.synth.filters import ALL, STAGES, WINDOW, Limits, count_row_tokens, make_checks, make_filters
from scale_reasoning.synth.funnel import Candidate, run
from scale_reasoning.types import Call, Failure, Grade, Mode, Problem, Solution, Stage, Usage

TRACE = "<think>\nTwo and two make four.\n</think>\n\nShe has \\boxed{4} pens."


def candidate(
    *, problem: Problem = PROBLEM, text: str = TRACE, tokens: int | None = 50, dataset: str = "pens", **more: Any
) -> Candidate:
    steps = more.pop("steps", [step()])
    made = record(steps, problem=problem, **more)
    return Candidate(dataset=dataset, problem=problem, record=made, text=text, tokens=tokens)


def call(path: str, finish_reason: str, stage: Stage = Stage.SOLVE) -> Call:
    return Call(
        path=path, stage=stage, mode=Mode.SYSTEM2, seed=1, usage=Usage(), finish_reason=finish_reason, seconds=1.0
    )


def with_calls(one: Candidate, *calls: Call) -> Candidate:
    return replace(one, record=replace(one.record, calls=calls))


def drops(*came: Candidate, **settings: Any) -> list[tuple[str, str]]:
    """Stage and reason of everything that is dropped."""
    return [(drop.stage, drop.reason) for drop in run(came, make_filters(Limits(**settings))).dropped]


def test_an_honest_attempt_passes_every_stage():
    assert drops(candidate()) == []


WORLD = Failure(kind="unreachable", blame="world", message="the connection was reset")
MODEL = Failure(kind="truncated", blame="model", message="the last solution was cut off by the token limit")
WRONG = Grade(correct=False, grader="integer", reason="5 is not 4")


@pytest.mark.parametrize(
    ("one", "stage", "told"),
    [
        (candidate(failure=WORLD), "answered", "it failed (unreachable): the connection was reset"),
        (candidate(failure=MODEL), "answered", "it failed (truncated): the last solution was cut off"),
        (candidate(solution=None, text=""), "answered", "it has no solution"),
        (candidate(text=" \n"), "answered", "it has no solution"),
        (candidate(solution=Solution(answer=None)), "answered", "its solution has no final answer"),
        (
            candidate(problem=replace(PROBLEM, answer=None)),
            "correct",
            "its problem has no gold answer to compare with",
        ),
        (candidate(grade=None), "correct", "its answer was not graded"),
        (candidate(grade=WRONG), "correct", "its answer is 4, the gold answer is 4 (5 is not 4)"),
        (candidate(steps=[step(), step(finish_reason="length")]), "complete", "step 2 of 2 was cut off"),
        (
            candidate(text=TRACE.replace("Two", "So, wait. " * 60)),
            "repetition",
            "the 2 words 'So, wait' repeat 60",
        ),
        (candidate(text=f"<think>\n{TRACE}"), "tags", "its trace has 3 thinking tags: <think> <think> </think>"),
        (candidate(text=TRACE + "</think>"), "tags", "its trace has 3 thinking tags"),
        (candidate(text="So </think> and <think> four."), "tags", "its trace has 2 thinking tags"),
        (
            candidate(text=f"First <think>{TRACE.removeprefix('<think>')}"),
            "tags",
            "its trace has 2 thinking tags",
        ),
        (
            candidate(problem=replace(PROBLEM, text="Is <think> a tag?")),
            "tags",
            "its problem has a thinking tag",
        ),
        (candidate(tokens=32_760), "length", "32,760 tokens, with its prompt at most 32,768 fit the training window"),
    ],
)
def test_a_bad_attempt_is_dropped_where_it_should_be_with_its_reason(one: Candidate, stage: str, told: str):
    ((dropped, reason),) = drops(one)
    assert dropped == stage
    assert reason.startswith(told)


@pytest.mark.parametrize(
    "token",
    [
        *(
            "<|im_end|>",
            "<|eot_id|>",
            "<|endoftext|>",
            "<|start_header_id|>",
            "<\uff5cend\u2581of\u2581sentence\uff5c>",
        ),
        *("<s>", "</s>", "[INST]", "[/INST]", "<<SYS>>", "<start_of_turn>", "<bos>", "<|IM_START|>"),
    ],
)
def test_a_chat_templates_control_token_is_caught_in_trace_and_problem(token: str):
    ((stage, reason),) = drops(candidate(text=TRACE.replace("four", f"four{token}")))
    assert (stage, reason) == ("tags", f"its trace has the control token {token}")
    ((stage, reason),) = drops(candidate(problem=replace(PROBLEM, text=f"{PROBLEM.text} {token}")))
    assert (stage, reason) == ("tags", f"its problem has the control token {token}")


@pytest.mark.parametrize(
    "notation",
    ["0<|x|<1 and |y|>2", "a < s > b", "[INSTEAD]", r"\langle s \rangle", "x<y, z>w", "<|x|>"],
)
def test_mathematics_in_brackets_and_bars_is_no_control_token(notation: str):
    assert drops(candidate(text=TRACE.replace("four", notation))) == []


def test_a_layout_without_tags_is_as_good():
    assert drops(candidate(text="Two and two make four, so \\boxed{4}.")) == []


def test_a_step_that_was_forced_to_an_answer_was_cut_off_all_the_same():
    forced = with_calls(candidate(), call("step1/solve", "length"), call("step1/solve/force", "stop"))
    assert drops(forced) == [("complete", "the call step1/solve was cut off by its token limit")]


def test_a_candidate_decomposition_that_was_cut_off_is_in_no_trace():
    assert drops(with_calls(candidate(), call("decompose/2", "length", Stage.DECOMPOSE))) == []


def test_of_a_vote_only_the_chain_that_is_learnt_must_be_complete():
    chains = (Solution(answer="5", steps=(step(finish_reason="length"),)), Solution(answer="4", steps=(step(),)))
    voted = candidate(solution=Solution(answer="4", chains=chains, selected=1))
    assert drops(with_calls(voted, call("chain1/solve", "length"), call("chain2/solve", "stop"))) == []
    assert drops(with_calls(voted, call("chain2/solve", "length"))) != []
    assert drops(with_calls(voted, call("then/chain2/step1/solve", "length"))) != []
    assert drops(with_calls(voted, call("first/chain1/solve", "length"), call("chain12/solve", "length"))) == []
    assert drops(with_calls(voted, call("chain1/chain2/solve", "length"))) == []


def test_a_selected_decomposition_is_no_chain():
    scale = candidate(solution=Solution(answer="4", steps=(step(),), selected=3))
    assert drops(with_calls(scale, call("step1/solve", "length"))) != []


def test_a_length_the_server_did_not_count_is_estimated_and_said_to_be():
    text = f"<think>\n{' '.join(map(str, range(100)))}\n</think>\n\n\\boxed{{4}}"
    ((stage, reason),) = drops(candidate(text=text, tokens=None), max_tokens=50)
    assert stage == "length"
    tokens = f"about {round(len(text) / 3):,} tokens"
    assert reason == f"{tokens} (an estimate: {len(text)} characters, 3 per token), at most 50 are allowed"
    assert drops(candidate(text=text, tokens=None), max_tokens=150) == []


def samples(*tokens: int | None) -> list[Candidate]:
    return [candidate(tokens=count, sample=number) for number, count in enumerate(tokens)]


def kept_samples(came: Sequence[Candidate], **settings: Any) -> list[int]:
    return [one.record.attempt.sample for one in run(came, make_filters(Limits(**settings))).kept]


@pytest.mark.parametrize(("choose", "kept"), [("fewest", [1]), ("most", [0]), ("first", [0]), ("all", [0, 1, 2, 3])])
def test_the_sample_that_is_chosen_stays_and_of_equals_the_earlier_one(choose: str, kept: list[int]):
    assert kept_samples(samples(90, 30, 30, 90), choose=choose) == kept
    assert kept_samples(samples(90, 30, 30, 90)[::-1], choose=choose) == kept[::-1]


def test_a_sample_that_is_not_chosen_says_which_was():
    ((stage, reason),) = drops(*samples(90, 30))
    assert stage == "one a problem"
    assert reason == "sample 1 of its problem is kept (fewest): 30 tokens, this one has 90 tokens"


def test_problems_of_one_id_in_two_datasets_are_two():
    other = replace(PROBLEM, text="Ben has 17 cows and sells 13 of them. How many cows has he?")
    assert drops(candidate(), candidate(problem=other, dataset="cows")) == []


def test_only_attempts_that_passed_so_far_are_chosen_from():
    bad = candidate(tokens=10, sample=0, grade=WRONG)
    assert kept_samples([bad, candidate(tokens=20, sample=1)]) == [1]


def different(count: int) -> list[Candidate]:
    return [
        candidate(problem=Problem(id=f"p{n}", text=f"Ann has {n} pens and buys {2 * n} more. How many?", answer="4"))
        for n in range(count)
    ]


def test_the_target_keeps_the_first_and_drops_the_surplus():
    funnel = run(different(5), make_filters(Limits(target=3)))
    assert [one.problem.id for one in funnel.kept] == ["p0", "p1", "p2"]
    assert {drop.reason for drop in funnel.dropped} == {"beyond the target of 3"}
    assert list(make_filters(Limits(target=3)))[-1] == "target"
    assert "target" not in make_filters(Limits())


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"choose": "best"}, "choose: 'best' is none of fewest, most, first, all"),
        ({"max_tokens": 0}, "max_tokens: must be at least 1, not 0"),
        ({"target": -1}, "target: must be at least 1, not -1"),
        ({"filters": ("answer", "tag")}, f"filters: 'tag' is none of all, answer, {', '.join(STAGES)}"),
        ({"filters": ("all", "tags")}, "filters: name all alone, or the stages that are on"),
        ({"filters": ()}, "filters: name all alone, or the stages that are on"),
    ],
)
def test_a_setting_out_of_range_is_refused_by_its_name(settings: dict[str, Any], told: str):
    with pytest.raises(ConfigError, match=told):
        Limits(**settings)


PAPER = {"filters": ("answer",)}
UNTIDY = [
    candidate(solution=Solution(answer="4", form="stated", steps=(step(),))),
    candidate(steps=[step(), step(finish_reason="length")]),
    candidate(text=TRACE.replace("Two", "So, wait. " * 60)),
    candidate(text=f"{TRACE}<|im_end|>"),
    candidate(tokens=99_999),
]
"""A right answer each, and what a stage beside the answer's drops."""


@pytest.mark.parametrize("one", UNTIDY)
def test_as_in_the_paper_only_the_answer_decides(one: Candidate):
    assert drops(one) != []
    assert drops(one, **PAPER) == []


@pytest.mark.parametrize(
    ("one", "told"),
    [
        (candidate(grade=WRONG), "its answer is 4, the gold answer is 4 (5 is not 4)"),
        (candidate(grade=None), "its answer was not graded"),
        (candidate(problem=replace(PROBLEM, answer=None)), "its problem has no gold answer to compare with"),
        (candidate(solution=None, text=""), "it has no solution"),
    ],
)
def test_the_answer_is_a_stage_whatever_else_is_on(one: Candidate, told: str):
    for filters in (("answer",), ("tags",), ("answer", "length")):
        assert drops(one, filters=filters) == [("answer", told)]


def test_as_in_the_paper_problems_that_are_alike_or_a_benchmarks_stay():
    alike = candidate(problem=replace(PROBLEM, id="p2"))
    assert [stage for stage, _ in drops(candidate(), alike)] == ["duplicates"]
    assert drops(candidate(), alike, **PAPER) == []
    assert drops(candidate(), alike, filters=("duplicates",)) != []


def test_one_trace_per_problem_and_the_target_are_choices_of_their_own():
    assert kept_samples(samples(90, 30, 20), **PAPER) == [2]
    assert kept_samples(samples(90, 30, 20), choose="all", **PAPER) == [0, 1, 2]
    assert kept_samples(samples(90, 30, 20), choose="all", target=2, **PAPER) == [0, 1]


def test_the_stages_that_are_on_come_in_the_order_of_all():
    assert list(make_filters(Limits())) == [*STAGES[:6], "one a problem", *STAGES[6:]]
    assert list(make_filters(Limits(filters=("length", "correct", "tags"), target=1))) == [
        *("answer", "correct", "tags", "length", "one a problem", "target")
    ]


def test_what_a_stage_that_is_off_would_drop_is_marked_and_kept():
    came = [replace(one, problem=replace(PROBLEM, id=f"p{n}")) for n, one in enumerate(UNTIDY)]
    limits = Limits(**PAPER, choose="all")
    funnel = run(came, make_filters(limits), make_checks(limits))
    assert len(funnel.kept) == len(came)
    marked = [(one.candidate.problem.id, one.stage) for one in funnel.marked if one.stage != "duplicates"]
    assert marked == list(zip([f"p{n}" for n in range(5)], ("answered", *STAGES[2:6]), strict=True))
    assert not make_checks(Limits(filters=(ALL,)))


def test_a_row_that_fits_the_window_with_its_prompt_stays():
    room = WINDOW - count_row_tokens(candidate(tokens=0))
    assert drops(candidate(tokens=room)) == []
    assert [stage for stage, _ in drops(candidate(tokens=room + 1))] == ["length"]
    assert [stage for stage, _ in drops(candidate(tokens=51), max_tokens=50)] == ["length"]
