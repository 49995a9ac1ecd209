from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.synth.made import record, step

from scale_reasoning.synth.filters import CHOICES, Limits, make_filters
from scale_reasoning.synth.funnel import Candidate, run
from scale_reasoning.types import Failure, Grade, Problem, Solution

TEXTS = [
    "<think>\nTwo and two make four.\n</think>\n\n\\boxed{4}",
    "<think>\n" + "Let me see. " * 200 + "\n</think>\n\n\\boxed{4}",
    "<think>\nOne.</think> <think>Two.\n</think>\n\n\\boxed{4}",
    "\\boxed{4}<|im_end|>",
    "",
]
FAILURES = [
    Failure(kind="unreachable", blame="world", message="a reset"),
    Failure(kind="parse", blame="model", message="no list"),
]


@st.composite
def candidates(draw: st.DrawFn) -> Candidate:
    number = draw(st.integers(0, 5))
    text = f"Ann has {number % 3} pens and buys {number // 4} more at the shop. How many pens has she in the end?"
    problem = Problem(id=f"p{number}", text=text, answer=draw(st.sampled_from(["4", "4", None])))
    solution = draw(st.sampled_from([Solution(answer="4"), Solution(answer=None), None]))
    if solution is not None:
        ends = st.sampled_from(["stop", "stop", "length"])
        solution = replace(solution, steps=(step(finish_reason=draw(ends)),))
    made = record(
        (),
        problem=problem,
        sample=draw(st.integers(0, 3)),
        solution=solution,
        grade=draw(st.sampled_from([Grade(correct=True, grader="g"), Grade(correct=False, grader="g"), None])),
        failure=draw(st.sampled_from([None, None, None, *FAILURES])),
    )
    tokens = draw(st.one_of(st.none(), st.integers(0, 300)))
    dataset = draw(st.sampled_from(["one", "two"]))
    return Candidate(dataset=dataset, problem=problem, record=made, text=draw(st.sampled_from(TEXTS)), tokens=tokens)


@given(
    came=st.lists(candidates(), max_size=30),
    choose=st.sampled_from(CHOICES),
    target=st.one_of(st.none(), st.integers(1, 4)),
)
@settings(deadline=None)
def test_what_came_is_what_was_kept_and_what_was_dropped(came: list[Candidate], choose: str, target: int | None):
    asked = make_filters(Limits(max_tokens=200, choose=choose, target=target))  # type: ignore[arg-type]
    funnel = run(came, asked)
    assert [count.stage for count in funnel.counts] == list(asked)
    left = len(came)
    dropped = Counter(drop.stage for drop in funnel.dropped)
    for count in funnel.counts:
        assert (count.came, count.dropped) == (left, dropped[count.stage])
        left = count.kept
    assert left == len(funnel.kept)
    accounted = [id(one) for one in funnel.kept] + [id(drop.candidate) for drop in funnel.dropped]
    assert sorted(accounted) == sorted(map(id, came))
    assert all(drop.reason.strip() for drop in funnel.dropped)


@given(st.lists(candidates(), max_size=20))
@settings(deadline=None)
def test_what_is_kept_keeps_its_order_and_would_be_kept_again(came: list[Candidate]):
    kept = run(came, make_filters(Limits())).kept
    places = [next(at for at, one in enumerate(came) if one is row) for row in kept]
    assert places == sorted(places)
    assert run(kept, make_filters(Limits())).kept == kept


def test_a_stage_that_does_not_answer_for_every_candidate_is_an_error():
    problem = Problem(id="p", text="?", answer="4")
    one = Candidate(dataset="d", problem=problem, record=record([step()], problem=problem), text="x", tokens=1)
    with pytest.raises(ValueError, match="zip"):
        run([one, one], {"short": lambda rows: [None]})
