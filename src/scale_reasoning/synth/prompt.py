"""The prompt that rows have in common, as a file for `scale eval --strategy cot --prompts`.

A model is evaluated with the prompt that it was trained with: so the prompt is found in the rows themselves.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

from scale_reasoning.errors import ConfigError
from scale_reasoning.prompts import Prompts, choose_prompts, load_own
from scale_reasoning.strategies import cot
from scale_reasoning.synth.rows import TrainingRow
from scale_reasoning.types import Message, Problem

HOLE = "{{problem}}"


@dataclass(frozen=True, slots=True, kw_only=True)
class LearnedPrompt:
    """The messages of all rows' prompts, with `{{problem}}` for the problem: a system prompt, possibly empty, and what
    asks for the solution.
    """

    system: str
    solve: str

    @property
    def sha256(self) -> str:
        """sha256 (hex) of the two texts."""
        return sha256(json.dumps([self.system, self.solve]).encode()).hexdigest()

    def fill(self, problem: str) -> tuple[Message, ...]:
        """The prompt for a problem."""
        asked = Message("user", self.solve.replace(HOLE, problem))
        return (Message("system", self.system), asked) if self.system else (asked,)

    def write(self) -> str:
        """The text of a prompts file."""
        return f"The prompt that the model was trained with.\n\n## system\n{self.system}\n\n## solve\n{self.solve}\n"


def find_prompt(rows: Sequence[TrainingRow]) -> LearnedPrompt | None:
    """The prompt of all rows; None where it is unknown: rows without their problem, or with different prompts."""
    named = [row for row in rows if row.problem]
    if not named or len(named) < len(rows):
        return None
    found = _read_prompt(max(named, key=lambda row: len(row.problem or "")))
    if found is None or any(found.fill(row.problem or "") != row.prompt for row in named):
        return None
    return found


def read_prompt(file: str = "") -> LearnedPrompt:
    """The prompt of the cot strategy with its own prompts, or with a user's file. Raises `ConfigError`."""
    return describe_prompt(choose_prompts(file, load_own(cot.__file__)))


def describe_prompt(prompts: Prompts) -> LearnedPrompt:
    """The prompt of the cot strategy with these prompts."""
    *system, asked = cot.question(Problem(id="", text=HOLE), prompts)
    return LearnedPrompt(system=system[0].content if system else "", solve=asked.content)


def _read_prompt(row: TrainingRow) -> LearnedPrompt | None:
    """The prompt of a row, where it is a problem within a user's message, after a system prompt or none."""
    *system, asked = row.prompt
    if len(system) > 1 or any(message.role != "system" for message in system) or asked.role != "user":
        return None
    solve = asked.content.replace(row.problem or "", HOLE)
    said = system[0].content if system else ""
    return LearnedPrompt(system=said, solve=solve) if solve.count(HOLE) == 1 and HOLE not in said else None


def is_readable(prompt: LearnedPrompt, file: str) -> bool:
    """Whether the file gives the same prompt again: headings and spaces in it may not."""
    try:
        return read_prompt(file) == prompt
    except ConfigError:
        return False
