"""Which list of a reply's JSON is its decomposition, and what an item of it asks."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scale_reasoning.replies import parse_outline
from scale_reasoning.replies.outlines import item_text
from scale_reasoning.types import JSON

TWO = ("Find a.", "Find b.")
LIST = '["Find a.", "Find b."]'


@pytest.mark.parametrize(
    "text",
    [
        f'{{"conditions": ["x > 0", "y > 0"], "subproblems": {LIST}}}',
        f'{{"subproblems": {LIST}, "conditions": ["x > 0", "y > 0"]}}',
        f'{{"notes": ["first", "second"], "plan": {{"subproblems": {LIST}}}}}',
        f'{{"steps": ["think", "write"], "sub_problems": {LIST}}}',
        f'{{"steps": ["think", "write"], "Sub-Questions": {LIST}}}',
        f'{{"notes": ["first", "second"], "steps": {LIST}}}',
        f'{{"analysis": {{"facts": ["x > 0"]}}, "result": {{"subquestions": {LIST}}}}}',
        f'{{"known": ["x > 0"], "list": {LIST}}}',
        f'{{"ordered_subproblems": {LIST}, "tags": ["algebra"]}}',
        f'{{"solution_steps": {LIST}, "given": ["x > 0"]}}',
        f'[{{"notes": ["first"]}}, {{"subproblems": {LIST}}}]',
        f'Conditions: ["x > 0", "y > 0"].\n{{"subproblems": {LIST}}}',
        f'{{"conditions": ["x > 0", "y > 0"]}}\n{{"subproblems": {LIST}}}',
        f'1. First I list what is given.\n2. Then I answer.\n{{"subproblems": {LIST}}}',
        f'["x > 0", oops]\n{{"subproblems": {LIST}}}',
        f'{{"subproblems": ["...", oops]}} is the form.\n{{"subproblems": {LIST}}}',
        f'{{"subproblems": []}}\n{{"subproblems": {LIST}}}',
        '{"steps": [{"question": "Find a.", "subquestions": ["x", "y"]}, {"question": "Find b.", "subquestions": []}]}',
        '[{"question": "Find a.", "subquestions": ["x", "y"]}, {"question": "Find b.", "subquestions": ["z"]}]',
        '{"step1": {"question": "Find a.", "steps": ["x"]}, "step2": {"question": "Find b.", "steps": ["y"]}}',
        '{"subproblems": {"1": "Find a.", "2": "Find b."}, "conditions": ["x > 0"]}',
        '{"conditions": ["x > 0"], "subproblems": "1. Find a.\\n2. Find b."}',
        '{"notes": ["x"], "q1": "Find a.", "q2": "Find b."}',
        f'{{"plan": ["think", "write"], "decomposition": ["x"], "steps": {LIST}}}',
        f'{{"subproblem_titles": ["a", "b"], "subproblems": {LIST}}}',
        f'{{"subproblems": {LIST}}}\n{{"subproblems": ["Find a."]}}',
        json.dumps(f'{{"subproblems": {LIST}}}'),
        '{"question": "Find a.", "answer": "12"}\n{"question": "Find b.", "answer": "13"}',
        '1. {"question": "Find a.", "answer": "12"}\n2. {"question": "Find b.", "answer": "13"}',
        '{"step1": "Find a."}\n{"step2": "Find b."}',
        '{"subproblem_1": "Find a.", "answer_1": "12 is the answer", "subproblem_2": "Find b."}',
    ],
)
def test_the_named_list_is_taken_wherever_it_stands(text: str) -> None:
    assert parse_outline(text, 16) == TWO


@pytest.mark.parametrize(
    "text",
    [
        '{"conditions": ["x > 0", "y > 0"]}',
        '{"given": {"facts": ["x > 0"]}, "answer": 12}',
        '{"subproblems": [], "notes": ["first", "second"]}',
        '{"subproblems": null, "notes": ["first", "second"]}',
        '{"subproblems": ["Find a." oops], "notes": ["first", "second"]}',
        '{"subproblem_answers": ["12", "13"]}',
        '{"list": ["Find a."], "other": ["Find b."]}',
        '{"subproblems": ["Find a."]} or rather {"subproblems": ["Find b."]}',
        '["Find a."] or ["Find b."]',
        '1. {"answer": "12"}\n2. {"answer": "13"}',
        '1. {"question": "Find a.", "answer": "12"}',
    ],
)
def test_a_list_of_something_else_is_never_the_decomposition(text: str) -> None:
    with pytest.raises(ValueError, match="no list"):
        parse_outline(text, 16)


LONG = "a much longer text than the question itself, with all of its working"


@pytest.mark.parametrize(
    "item",
    [
        {"question": "Find a.", "answer": LONG},
        {"answer": LONG, "solution": LONG, "result": LONG, "explanation": LONG, "question": "Find a."},
        {"id": "sub-problem-number-one-of-two", "problem": "Find a."},
        {"subproblem": "Find a.", "solution": LONG},
        {"sub_problem": "Find a.", "expected_answer": LONG},
        {"Sub-Question": "Find a.", "Final Answer": LONG},
        {"task": "Find a.", "rationale": LONG},
        {"step": "Find a.", "reasoning": LONG},
        {"step": 1, "text": "Find a."},
        {"step": "1", "description": "Find a."},
        {"step": "Step 1", "description": "Find a."},
        {"title": "Set up", "description": "Find a."},
        {"title": "Find a.", "answer": LONG},
        {"goal": "Find a.", "method": LONG},
        {"question_text": "Find a.", "question_type": "a computation with fractions", "question_id": "q-000001"},
        {"problem_statement": "Find a.", "difficulty": "hard, as far as can be seen"},
        {"subproblem": {"text": "Find a.", "answer": LONG}},
        {"step1": "Find a.", "answer1": LONG},
        {"what": "Find a.", "reason": LONG},
        {"what": "Find a.", "context": LONG, "purpose": LONG},
        {"Q": "Find a.", "A": LONG},
        {"prompt": "Find a.", "completion": LONG},
        {"what": "Find a.", "depends_on": ["1", "2"], "hint": LONG},
        {"question": "Step 1: Find a."},
        {"question": "**Find a.**"},
        {"question": "Find a.", "solution": {"question": LONG}},
        "**Step 1:** Find a.",
        "Question 1: Find a.",
        "(1) Find a.",
        "Sub-problem 1 - Find a.",
    ],
)
def test_an_item_yields_what_it_asks(item: JSON) -> None:
    assert parse_outline(json.dumps({"subproblems": [item]}), 16) == ("Find a.",)


@pytest.mark.parametrize(
    "item",
    [
        {"answer": "12"},
        {"id": "sub-problem-1", "solution": LONG},
        {"what": "Find a.", "with": "the law of cosines"},
        {"question": "", "answer": "12"},
        {"question": None, "result": "12"},
        {"question": "Step 1", "answer": "12"},
        {},
        [],
        ["Find a."],
        7,
        None,
    ],
)
def test_an_item_that_does_not_say_what_it_asks_is_refused(item: JSON) -> None:
    with pytest.raises(ValueError, match="no list"):
        parse_outline(json.dumps({"subproblems": ["Find b.", item]}), 16)


@given(
    st.sampled_from(["question", "subproblem", "task", "text", "description", "step", "title"]),
    st.dictionaries(
        st.sampled_from(["answer", "solution", "result", "explanation", "id", "final_answer", "reasoning", "hints"]),
        st.text(min_size=1),
    ),
    st.randoms(),
)
@settings(deadline=None)
def test_no_answer_is_ever_taken_for_the_question(key: str, rest: dict[str, str], random: object) -> None:
    pairs = [(key, "Find a?"), *rest.items()]
    random.shuffle(pairs)  # type: ignore[attr-defined]
    assert item_text(dict(pairs)) == "Find a?"


@pytest.mark.parametrize("key", ["details", "detail", "body", "formulation"])
def test_a_title_does_not_stand_for_the_text_below_it(key: str) -> None:
    assert item_text({"title": "Set up", key: "What is x if 2x = 4?"}) == "What is x if 2x = 4?"
