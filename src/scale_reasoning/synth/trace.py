"""An attempt as one piece of reasoning, and the prompt it answers: what a model is to learn.

The words around the steps are trace.md's. The prompt is what CoT sends, so that a model is trained on exactly what it
will be evaluated with. Decides nothing about which attempts are worth learning from.
"""

from __future__ import annotations

from pathlib import Path

from scale_reasoning.prompts import Prompts, beside, chosen
from scale_reasoning.strategies import cot
from scale_reasoning.synth.funnel import Candidate
from scale_reasoning.types import Message, Problem, Record, Solution, Step


def layout(file: str = "") -> Prompts:
    """The layout of a trace: trace.md, with the sections of a user's file instead where it has them."""
    return chosen(file, beside(__file__))


LIMO = str(Path(__file__).with_name("limo.md"))
"""The prompts file that asks as LIMO and the paper's fine-tuning do: the instruction as a system prompt."""


def student_prompts(file: str = "") -> Prompts:
    """The prompts of the model that learns: CoT's, or a user's file for `scale eval --strategy cot --prompts`."""
    return chosen(file, beside(cot.__file__))


def prompt_of(problem: Problem, prompts: Prompts) -> tuple[Message, ...]:
    """What the student is asked."""
    return cot.question(problem, prompts)


def candidate(dataset: str, problem: Problem, record: Record, words: Prompts) -> Candidate:
    """The attempt with its trace; the text is empty where there is no solution."""
    chain = None if record.solution is None else _chain(record.solution)
    if chain is None or not chain.steps:
        return Candidate(dataset=dataset, problem=problem, record=record, text="", tokens=None)
    text = _stepwise(chain.steps, words) if record.strategy["name"] == "scale" else _plain(chain.steps, words)
    return Candidate(dataset=dataset, problem=problem, record=record, text=text, tokens=_tokens(chain.steps))


def chain_of(record: Record) -> tuple[Step, ...]:
    """The steps that a record's trace is made of."""
    chain = None if record.solution is None else _chain(record.solution)
    return () if chain is None else chain.steps


def _chain(solution: Solution) -> Solution | None:
    """The solution itself, or the one of voting's chains whose answer won."""
    if not solution.chains:
        return solution
    return None if solution.selected is None else solution.chains[solution.selected]


def _stepwise(steps: tuple[Step, ...], words: Prompts) -> str:
    *before, last = steps
    parts = [
        words.fill("step", number=str(number), subproblem=step.subproblem, working=_written(step))
        for number, step in enumerate(before, 1)
    ]
    if thought := last.reasoning.strip():
        titled = words.fill("step", number=str(len(steps)), subproblem=last.subproblem, working=thought)
        parts.append(titled if before else thought)
    return words.fill("trace", steps="\n\n".join(parts), solution=last.text.strip())


def _plain(steps: tuple[Step, ...], words: Prompts) -> str:
    """The rounds or the one chain of a baseline, which have no sub-problems to name."""
    *before, last = steps
    parts = [*map(_written, before), last.reasoning.strip()]
    return words.fill("trace", steps="\n\n".join(filter(None, parts)), solution=last.text.strip())


def _written(step: Step) -> str:
    return "\n\n".join(filter(None, (step.reasoning.strip(), step.text.strip())))


def _tokens(steps: tuple[Step, ...]) -> int | None:
    counts = [step.usage.completion_tokens for step in steps]
    return None if None in counts else sum(count for count in counts if count is not None)
