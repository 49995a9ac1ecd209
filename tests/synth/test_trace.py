"""A trace reads as one piece of reasoning, and its prompt is what CoT will send."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest
from tests.synth.made import PROBLEM, record, step

from scale_reasoning.engines import endpoints
from scale_reasoning.engines.scripted import Scripted
from scale_reasoning.engines.think import ThinkSplitter
from scale_reasoning.errors import ConfigError
from scale_reasoning.runs.attempt import solve
from scale_reasoning.strategies import make
from scale_reasoning.synth.bundle import make_row
from scale_reasoning.synth.trace import (
    LIMO,
    make_candidate,
    make_prompt,
    name_prompts_file,
    read_layout,
    read_student_prompts,
)
from scale_reasoning.types import Message, Mode, Solution, Tally, Trial, Usage

EASY = step("How many does she buy?", text=r"She buys 2. \boxed{2}")
HARD = step("How many has she then?", text=r"She has \boxed{4}.", reasoning="2 and 2 are 4.")


def text_of(*steps: object, **more: object) -> str:
    return make_candidate("d", PROBLEM, record(steps, problem=PROBLEM, **more), read_layout()).text  # type: ignore[arg-type]


def test_steps_come_in_order_with_their_working_and_the_last_solution_after_the_thought() -> None:
    assert text_of(EASY, HARD) == (
        "<think>\n"
        "### Step 1: How many does she buy?\n\nShe buys 2. \\boxed{2}\n\n"
        "### Step 2: How many has she then?\n\n2 and 2 are 4.\n"
        "</think>\n\n"
        "She has \\boxed{4}."
    )


def test_the_reasoning_of_an_earlier_hard_step_is_learnt_with_its_solution() -> None:
    text = text_of(HARD, EASY)
    assert "### Step 1: How many has she then?\n\n2 and 2 are 4.\n\nShe has \\boxed{4}.\n</think>" in text
    assert text.endswith("</think>\n\nShe buys 2. \\boxed{2}")


def test_a_single_step_is_its_reasoning_alone() -> None:
    assert text_of(HARD) == "<think>\n2 and 2 are 4.\n</think>\n\nShe has \\boxed{4}."


def test_a_baselines_rounds_are_joined_without_headings() -> None:
    rounds = (
        step("round 1", text="So far 2.", reasoning="Half."),
        step("round 2", text=r"\boxed{4}", reasoning="More."),
    )
    assert text_of(*rounds, name="inftythink") == "<think>\nHalf.\n\nSo far 2.\n\nMore.\n</think>\n\n\\boxed{4}"


def test_a_votes_trace_is_the_chain_that_won() -> None:
    chains = (Solution(answer="5", steps=(EASY,)), Solution(answer="4", steps=(HARD,)))
    votes = (Tally(answer="4", votes=1),)
    voted = Solution(answer="4", chains=chains, votes=votes, selected=1)
    assert text_of(name="vote", solution=voted) == "<think>\n2 and 2 are 4.\n</think>\n\nShe has \\boxed{4}."


def test_a_server_without_a_reasoning_parser_reads_a_trace_as_thought_and_answer() -> None:
    splitter = ThinkSplitter(inside=False)
    splitter.feed(text_of(EASY, HARD))
    splitter.end()
    text, reasoning = splitter.split(cut_off=False)
    assert text == "She has \\boxed{4}."
    assert reasoning.rstrip().endswith("2 and 2 are 4.")


def test_tokens_are_the_steps_and_unknown_when_one_is() -> None:
    known = make_candidate("d", PROBLEM, record((EASY, HARD), problem=PROBLEM), read_layout())
    assert known.tokens == 10
    unknown = make_candidate("d", PROBLEM, record((EASY, step(usage=Usage())), problem=PROBLEM), read_layout())
    assert unknown.tokens is None


def test_an_attempt_without_a_solution_has_no_text() -> None:
    assert text_of(solution=None) == ""


def test_a_users_layout_replaces_a_section_and_an_unknown_one_is_refused(tmp_path: Path) -> None:
    mine = tmp_path / "mine.md"
    mine.write_text("## step\n({{number}}) {{subproblem}} {{working}}\n")
    made = make_candidate("d", PROBLEM, record((EASY, HARD), problem=PROBLEM), read_layout(str(mine))).text
    assert "(2) How many has she then? 2 and 2 are 4." in made
    wrong = tmp_path / "wrong.md"
    wrong.write_text("## setp\nx\n")
    with pytest.raises(ConfigError, match="setp"):
        read_layout(str(wrong))


def test_the_prompt_of_a_row_is_what_cot_sends() -> None:
    for file in ("", LIMO):
        engine = Scripted([("", r"\boxed{4}")])
        asyncio.run(
            solve(
                PROBLEM,
                make("cot", {"prompts": str(name_prompts_file(file))}),
                endpoints=endpoints(engine, "q", profile="qwen3"),
            )
        )
        (request,) = engine.requests
        assert request.mode is Mode.SYSTEM2
        assert request.messages == make_prompt(PROBLEM, read_student_prompts(file))


def test_limos_instruction_is_a_system_prompt() -> None:
    system, user = make_prompt(PROBLEM, read_student_prompts(LIMO))
    assert system == Message("system", r"Please reason step by step, and put your final answer within \boxed{}.")
    assert user == Message("user", PROBLEM.text)


def test_what_was_tried_and_not_taken_is_in_no_trace_and_not_in_its_tokens() -> None:
    tried = Trial(mode=Mode.SYSTEM1, text="TRIED", finish_reason="stop", usage=EASY.usage, answer="5", confidence=0.5,
                  why="2 drafts disagree")  # fmt: skip
    spent = Usage(prompt_tokens=30, completion_tokens=15, reasoning_tokens=0, cached_tokens=0)
    drafted = replace(HARD, trials=(tried, tried), usage=spent, reason="2 drafts disagree")
    made = make_candidate("d", PROBLEM, record((EASY, drafted), problem=PROBLEM), read_layout())
    assert made.text == text_of(EASY, HARD)
    assert made.tokens == 10
    assert make_row(made, read_student_prompts())["steps"][1]["tokens"] == 5
    unknown = replace(drafted, trials=(replace(tried, usage=Usage()),))
    assert make_candidate("d", PROBLEM, record((unknown,), problem=PROBLEM), read_layout()).tokens is None
