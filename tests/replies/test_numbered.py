"""What of a numbered list in prose belongs to which sub-problem."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scale_reasoning.replies import parse_outline
from scale_reasoning.replies.numbered import numbered_steps

BODIES = ("Set up\nLet $x$ be the width.\nWrite the area in $x$.", "Solve\nSolve for $x$.")


@pytest.mark.parametrize(
    "text",
    [
        "### Step 1: Set up\nLet $x$ be the width.\nWrite the area in $x$.\n### Step 2: Solve\nSolve for $x$.",
        "### Step 1: Set up\n\nLet $x$ be the width.\nWrite the area in $x$.\n\n### Step 2: Solve\n\nSolve for $x$.\n",
        ("## Plan\n\n### Step 1: Set up\nLet $x$ be the width.\nWrite the area in $x$.\n\n### Step 2: Solve\n"
         "Solve for $x$.\n\nThis decomposition leads to the final answer."),
        ("**Step 1:** Set up\nLet $x$ be the width.\nWrite the area in $x$.\n\n**Step 2:** Solve\nSolve for $x$.\n\n"
         "I hope this helps!"),
        ("**Step 1: Set up**\n\nLet $x$ be the width.\n"
         "\nWrite the area in $x$.\n\n**Step 2: Solve**\n\nSolve for $x$.\n"),
        "Step 1 - Set up\nLet $x$ be the width.\nWrite the area in $x$.\nStep 2 - Solve\nSolve for $x$.",
        ("Step 1 \u2013 Set up\nLet $x$ be the width.\nWrite the area in $x$.\nStep 2 \u2013 Solve\nSolve for $x$.\n\n"
         "These two steps settle the problem."),
        ("#### Sub-problem 1: Set up\nLet $x$ be the width.\nWrite the area in $x$.\n---\n#### Sub-problem 2: Solve\n"
         "Solve for $x$.\n---\n**Final answer:** 12"),
        ("### Step 1 of 2: Set up\nLet $x$ be the width.\nWrite the area in $x$.\n### Step 2 of 2: Solve\n"
         "Solve for $x$.\n## Summary\nWe are done."),
        "### 1. Set up\nLet $x$ be the width.\nWrite the area in $x$.\n### 2. Solve\nSolve for $x$.",
        ("- **Step 1:** Set up\n  Let $x$ be the width.\n"
         "  Write the area in $x$.\n- **Step 2:** Solve\n  Solve for $x$."),
    ],
)  # fmt: skip
def test_a_heading_keeps_the_lines_under_it(text: str) -> None:
    assert parse_outline(text, 16) == BODIES


@pytest.mark.parametrize(
    "text",
    [
        "1) Set up:\n   - define x\n   - define y\n2) Solve:\n   - use both",
        "1) Set up:\n- define x\n- define y\n2) Solve:\n- use both\n\nThis is the whole plan.",
        "1) Set up:\n\n    - define x\n    - define y\n\n2) Solve:\n\n    - use both\n\nI hope this helps.",
        "1. **Set up:**\n   - define x\n   - define y\n2. **Solve:**\n   - use both\n\nEach step uses the one before.",
        "Step 1. Set up:\n  - define x\n  - define y\n\nStep 2. Solve:\n  - use both",
    ],
)
def test_bullets_stay_with_their_item(text: str) -> None:
    assert parse_outline(text, 16) == ("Set up:\n- define x\n- define y", "Solve:\n- use both")


@pytest.mark.parametrize(
    "text",
    [
        "1. Find a.\n2. Find b.\n\nThis decomposition leads to the answer.",
        "1. Find a.\n2. Find b.\nEach sub-problem builds on the one before.",
        "1. Find a.\n2. Find b.\nThat is all.",
        ("The problem asks for b.\nIt has two parts.\n"
         "\n1. Find a.\n2. Find b.\n\nSolving these in order gives b.\n\nGood luck."),
        "1. Find a.\n\n2. Find b.\n\nThe first gives what the second needs.",
        "### Step 1\nFind a.\n\n### Step 2\nFind b.\n\nThis gives the answer.",
        "Step 1\nFind a.\nStep 2\nFind b.",
        "Step #1: Find a.\nStep #2: Find b.",
        "(1) Find a.\n(2) Find b.",
        "Step 1 (easy): Find a.\nStep 2 (hard): Find b.",
        "Subproblem_1: Find a.\nSubproblem_2: Find b.",
        "0. Find a.\n1. Find b.",
        "Step 0: Find a.\nStep 1: Find b.",
        "1. Find\n   a.\n2. Find\nb.\n",
        "Question 1: Find a.\nQuestion 2: Find b.",
        ("### Sub-problem 1: Find a.\n**Answer:** 12, after a while\n"
         "### Sub-problem 2: Find b.\nSolution: add 1.\nb is 13."),
        "1. Find a.\n   Answer: 12\n2. Find b.\n   Answer: 13",
        "```\n1. Find a.\n2. Find b.\n```\nAs asked.",
        "We know:\n1. x > 0\n2. y > 0\n\nSub-problems:\n1. Find a.\n2. Find b.",
        "Given:\n1. x > 0\n2. y > 0\n\nSo:\n1. Find a.\n2. Find b.",
        "In the first step we list facts:\n1. x > 0\n2. y > 0\n\nSub-problems:\n1. Find a.\n2. Find b.",
        "**Known facts:**\n1. x > 0\n\n**Steps to the solution:**\n1. Find a.\n2. Find b.",
        "The conditions given in the problem are:\n1. x > 0\n\nNow the work:\n1. Find a.\n2. Find b.",
        "To get the answer, do this:\n1. Find a.\n2. Find b.",
        "Note that the problem has two parts.\n1. Find a.\n2. Find b.",
        "## Solution\nStep 1: Find a.\nStep 2: Find b.",
        "  1. Find a.\n\n  2. Find b.\n\n  This is all of it.",
        "Steps:\n1. Find a.\n2. Find b.\n\nNotes:\n1. x > 0\n2. y > 0",
        "1. x > 0\n2. y > 0\n\nStep 1: Find a.\nStep 2: Find b.",
        "Step 1: Find a.\nStep 2: Find b.\n\n## Solution\nStep 1: We get 12.\nStep 2: We get 13.",
        "Sub-problem 1: Find a.\nSub-problem 2: Find b.\n\nStep 1: We get 12.\nStep 2: We get 13.\nStep 3: Done.",
    ],
)  # fmt: skip
def test_what_stands_around_the_list_belongs_to_no_item(text: str) -> None:
    assert parse_outline(text, 16) == ("Find a.", "Find b.")


def test_a_list_inside_an_item_is_not_the_list() -> None:
    assert parse_outline("1. Find a\n   1. square it\n   2. add it\n2. Find b", 16) == (
        "Find a\n1. square it\n2. add it",
        "Find b",
    )
    assert parse_outline("### Step 1: Find a\n1. square it\n2. add it\n### Step 2: Find b\n1. halve it", 16) == (
        "Find a\n1. square it\n2. add it",
        "Find b\n1. halve it",
    )


@pytest.mark.parametrize(
    "heading", ["Conditions:", "**Given:**", "## Notes", "We know:", "Final answers:", "Assumptions"]
)
def test_a_list_under_the_name_of_something_else_is_refused(heading: str) -> None:
    with pytest.raises(ValueError, match="no list"):
        parse_outline(f"{heading}\n1. x > 0\n2. y > 0", 16)


def test_decimal_numbers_stay_lines_of_their_own() -> None:
    assert parse_outline("1. Find a\n   1.1 square it\n   1.2 add it\n2. Find b", 16) == (
        "Find a\n1.1 square it\n1.2 add it",
        "Find b",
    )


def test_several_lists_without_a_name_are_refused() -> None:
    with pytest.raises(ValueError, match="no list"):
        parse_outline("First:\n1. Find a.\n2. Find b.\n\nOr else:\n1. Find c.\n2. Find d.", 16)


def test_powers_and_stars_are_not_taken_for_bold_text() -> None:
    assert parse_outline("1. Find 2**3 + 4**5.\n2. Find a^*.\n3. **Find** b.", 16) == (
        "Find 2**3 + 4**5.",
        "Find a^*.",
        "Find b.",
    )
    assert parse_outline("1. Find (x + 1)**2 + (y)**2.\n2. *Find* b_1.", 16) == (
        "Find (x + 1)**2 + (y)**2.",
        "*Find* b_1.",
    )


lines = st.sampled_from(
    [
        "1. a",
        "2. b",
        "  1. c",
        "### Step 1: d",
        "Step 2 - e",
        "- f",
        "",
        "prose",
        "This ends it.",
        "---",
        "**Answer:** 1",
    ]
)


@given(st.lists(lines, max_size=30))
@settings(deadline=None)
def test_every_item_has_a_text_of_its_own_lines(chosen: list[str]) -> None:
    steps = numbered_steps("\n".join(chosen))
    assert all(step.strip() == step != "" for step in steps)
    assert sum(map(len, steps)) <= sum(map(len, chosen)) + len(chosen)


@pytest.mark.parametrize("count", [1_000, 2_000])
def test_no_line_is_read_more_often_in_a_longer_list(count: int) -> None:
    """Items that begin again, nest or wrap: each line ends up in one item at most."""
    for unit in ("1. a\n", "1. a\n  1. b\n", "1. a\nb\n", "Step 1: a\n- b\n", "\n1. a\n\nb\n"):
        assert sum(map(len, numbered_steps(unit * count))) <= len(unit) * count


def test_questions_are_numbered_by_their_letter_too() -> None:
    assert numbered_steps("Q1: What is a?\nQ2: What is b?") == ("What is a?", "What is b?")
    assert numbered_steps("**Q1.** What is a?\nA1: 7\n**Q2.** What is b?\nA2: 8") == ("What is a?", "What is b?")
