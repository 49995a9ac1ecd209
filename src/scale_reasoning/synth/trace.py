"""Turns an attempt into one text to train on, and the prompt for it.

trace.md has the words around the steps. The prompt is the cot strategy's, so that a model is trained with the prompt
that it is evaluated with. Does not decide which attempts are used.
"""

from __future__ import annotations

from pathlib import Path

from scale_reasoning.prompts import Prompts, choose_prompts, load_own
from scale_reasoning.strategies import cot
from scale_reasoning.synth.funnel import Candidate
from scale_reasoning.types import Message, Problem, Record, Step


def read_layout(file: str = "") -> Prompts:
    """The layout of a trace: trace.md, with sections of a user's file in place of its own."""
    return choose_prompts(file, load_own(__file__))


LIMO = "limo"
"""The name of the prompts in limo.md: LIMO's wording, whose instruction is a system prompt."""


def read_student_prompts(file: str = "") -> Prompts:
    """The prompts of the model to train: cot's, `LIMO`, or a file for `scale eval --strategy cot --prompts`."""
    return choose_prompts(str(name_prompts_file(file)), load_own(cot.__file__))


def name_prompts_file(file: str = "") -> Path:
    """The file of these prompts."""
    if file == LIMO:
        return Path(__file__).with_name("limo.md")
    return Path(file) if file else Path(cot.__file__).with_suffix(".md")


def make_prompt(problem: Problem, prompts: Prompts) -> tuple[Message, ...]:
    """The prompt of a row."""
    return cot.question(problem, prompts)


def make_candidate(dataset: str, problem: Problem, record: Record, words: Prompts) -> Candidate:
    """The attempt with its trace; the text is empty where there is no solution."""
    text, tokens = "", None
    if steps := read_steps(record):
        text = _write_steps(steps, words) if record.strategy["name"] == "scale" else _write_rounds(steps, words)
        tokens = _count_tokens(steps)
    return Candidate(dataset=dataset, problem=problem, record=record, text=text, tokens=tokens)


def read_steps(record: Record) -> tuple[Step, ...]:
    """The steps of a record's trace: of its solution, or of the chain that won a vote. Empty without a solution."""
    solution = record.solution
    if solution is not None and solution.chains:
        solution = None if solution.selected is None else solution.chains[solution.selected]
    return () if solution is None else solution.steps


def _write_steps(steps: tuple[Step, ...], words: Prompts) -> str:
    *before, last = steps
    parts = [
        words.fill("step", number=str(number), subproblem=step.subproblem, working=_write_step(step))
        for number, step in enumerate(before, 1)
    ]
    if thought := last.reasoning.strip():
        titled = words.fill("step", number=str(len(steps)), subproblem=last.subproblem, working=thought)
        parts.append(titled if before else thought)
    return words.fill("trace", steps="\n\n".join(parts), solution=last.text.strip())


def _write_rounds(steps: tuple[Step, ...], words: Prompts) -> str:
    """The trace of a strategy without sub-problems: its rounds, or its one chain."""
    *before, last = steps
    parts = [*map(_write_step, before), last.reasoning.strip()]
    return words.fill("trace", steps="\n\n".join(filter(None, parts)), solution=last.text.strip())


def _write_step(step: Step) -> str:
    return "\n\n".join(filter(None, (step.reasoning.strip(), step.full_text.strip())))


def _count_tokens(steps: tuple[Step, ...]) -> int | None:
    """The new tokens of the solutions. What was tried and not taken is not in the trace."""
    counts = [step.own_tokens for step in steps]
    return None if None in counts else sum(count for count in counts if count is not None)
