"""The filters that decide which attempts become training rows, with their order and limits.

A filter gives the reason for each drop as a sentence. `answer` is always on, alone or as the stages `answered` and
`correct`; the others can be switched off. Loops, duplicates and contamination have files of their own.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Literal, TypeAlias, get_args

from scale_reasoning.errors import ConfigError
from scale_reasoning.synth import contamination, duplicates, repetition
from scale_reasoning.synth.contamination import Lists
from scale_reasoning.synth.funnel import Candidate, Filter
from scale_reasoning.synth.trace import read_steps
from scale_reasoning.types import THINK, Problem, Solution, Stage

Choice: TypeAlias = Literal["fewest", "most", "first", "all"]
CHOICES: tuple[Choice, ...] = get_args(Choice)

ALL, ANSWER = "all", "answer"
STAGES = ("answered", "correct", "complete", "repetition", "tags", "length", "duplicates", "contamination")
"""The stages of `all` that can be chosen one by one; `choose` and `target` have stages of their own."""

WINDOW = 32_768
"""Tokens of a row, prompt included, that the recipes for Table 3 train on (`cutoff`)."""
TEMPLATE_TOKENS = 64
"""Tokens left for a chat template and for the instruction that follows the problem."""

CHARACTERS_PER_TOKEN = 3.0
"""Characters per token where a server did not count. SmolLM2's tokens have 2.6 in formulae, 3.0 in contest problems and
3.9 in prose.
"""
LONGEST_SHOWN = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The limits of a training row.

    `filters` are the stages that are on: `all`, or `answer` with any of STAGES. `max_tokens` is of the response; None
    means that prompt and response fit `WINDOW`. `choose` says which of a problem's samples is kept: that with the
    fewest or most tokens, the first, or all. `target` is the largest number of rows, None for no limit. `against` has
    more lists of problems, by name, that no row may come from. `allowed` names the benchmarks that rows may come from.
    Raises `ConfigError` for a value out of range.
    """

    filters: tuple[str, ...] = (ALL,)
    max_tokens: int | None = None
    choose: Choice = "fewest"
    target: int | None = None
    against: Lists = field(default_factory=dict[str, Sequence[Problem]])
    allowed: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        if unknown := [name for name in self.filters if name not in (ALL, ANSWER, *STAGES)]:
            raise ConfigError(f"filters: {unknown[0]!r} is none of {', '.join((ALL, ANSWER, *STAGES))}")
        if not self.filters or (ALL in self.filters and len(self.filters) > 1):
            raise ConfigError(f"filters: name {ALL} alone, or the stages that are on")
        if self.choose not in CHOICES:
            raise ConfigError(f"choose: {self.choose!r} is none of {', '.join(CHOICES)}")
        for name, value in (("max_tokens", self.max_tokens), ("target", self.target)):
            if value is not None and value < 1:
                raise ConfigError(f"{name}: must be at least 1, not {value}")

    def has(self, stage: str) -> bool:
        """Whether a stage of STAGES is on."""
        return ALL in self.filters or stage in self.filters


def make_filters(limits: Limits) -> Mapping[str, Filter]:
    """The filters that are on, in order: of single attempts, of a problem's attempts, of problems."""
    stages, chosen = _make_stages(limits), limits.filters
    alone = {} if ALL in chosen else {ANSWER: _each(drop_other_answer)}
    single = {name: stages[name] for name in stages if limits.has(name)}
    last = {name: single.pop(name) for name in ("duplicates", "contamination") if name in single}
    target = {} if limits.target is None else {"target": partial(keep_first, target=limits.target)}
    return {**alone, **single, "one a problem": partial(keep_one_per_problem, choose=limits.choose), **last, **target}


def make_checks(limits: Limits) -> Mapping[str, Filter]:
    """The stages that are off, to tell which of the kept traces they would drop."""
    return {name: stage for name, stage in _make_stages(limits).items() if not limits.has(name) and name != "correct"}


def _make_stages(limits: Limits) -> Mapping[str, Filter]:
    return {
        "answered": _each(drop_unanswered),
        "correct": _each(drop_wrong),
        "complete": _each(drop_cut_off),
        "repetition": _each(lambda candidate: repetition.find_repetition(candidate.text)),
        "tags": _each(drop_tagged),
        "length": _each(partial(drop_long, max_tokens=limits.max_tokens)),
        "duplicates": duplicates.drop_duplicates,
        "contamination": contamination.make_filter(limits.against, limits.allowed),
    }


def _each(reason: Callable[[Candidate], str | None]) -> Filter:
    return lambda candidates: [reason(candidate) for candidate in candidates]


def drop_other_answer(candidate: Candidate) -> str | None:
    """Drops an attempt without a trace or with another answer than the gold answer, as the paper does; nothing else."""
    if not candidate.text.strip():
        return "it has no solution"
    return drop_wrong(candidate)


def drop_unanswered(candidate: Candidate) -> str | None:
    """Drops an attempt with a failure, or without a boxed answer: a row should teach the box."""
    record = candidate.record
    if record.failure is not None:
        return f"it failed ({record.failure.kind}): {record.failure.message}"
    if record.solution is None or not candidate.text.strip():
        return "it has no solution"
    if record.solution.answer is None:
        return "its solution has no final answer"
    return "its answer is not boxed" if record.solution.form in ("stated", "asked") else None


def drop_wrong(candidate: Candidate) -> str | None:
    """Drops an attempt whose answer was not graded right."""
    gold, record = candidate.problem.answer, candidate.record
    if gold is None:
        return "its problem has no gold answer to compare with"
    if record.grade is None:
        return "its answer was not graded"
    if record.grade.correct:
        return None
    answer = record.solution.answer if record.solution else None
    why = f" ({record.grade.reason})" if record.grade.reason else ""
    return f"its answer is {_shorten(answer)}, the gold answer is {_shorten(gold)}{why}"


def drop_cut_off(candidate: Candidate) -> str | None:
    """Drops an attempt with a step that the token limit cut off, also where a forced answer hides it."""
    solution = candidate.record.solution
    for call in candidate.record.calls:
        if call.finish_reason == "length" and call.stage is Stage.SOLVE and _is_learnt(call.path, solution):
            return f"the call {call.path} was cut off by its token limit"
    steps = read_steps(candidate.record)
    short = [number for number, step in enumerate(steps, 1) if step.finish_reason == "length"]
    return f"step {short[0]} of {len(steps)} was cut off by its token limit" if short else None


def _is_learnt(path: str, solution: Solution | None) -> bool:
    """Whether the call belongs to the chain that won a vote: the trace has its calls alone. True where no chain won."""
    if solution is None or not solution.chains or solution.selected is None:
        return True
    chain = re.search(r"(?:^|/)chain(\d+)/", path)  # the outer one
    # The last chain of a cascade has the paths of its strategy alone.
    return int(chain[1] if chain else len(solution.chains)) == solution.selected + 1


_THINK = re.compile("|".join((*THINK, "<thinking>", "</thinking>")), re.IGNORECASE)
_CONTROL = re.compile(
    r"<[|\uff5c][a-z][\w\u2581 .:-]{2,40}[|\uff5c]>|</?s>|<<?/?SYS>>?|\[/?(?:INST|TOOL_CALLS|AVAILABLE_TOOLS)\]"
    r"|<(?:start|end)_of_turn>|<(?:bos|eos|pad|unk|mask)>",
    re.IGNORECASE,
)


def drop_tagged(candidate: Candidate) -> str | None:
    """Drops a trace with thinking tags other than one thought at its start, and any text with control tokens."""
    for what, text in (("its trace", candidate.text), ("its problem", candidate.problem.text)):
        if control := _CONTROL.search(text):
            return f"{what} has the control token {control.group()}"
    tags = _THINK.findall(candidate.text)
    outer = tags == list(THINK) and candidate.text.lstrip().startswith(THINK[0])
    if _THINK.search(candidate.problem.text):
        return "its problem has a thinking tag"
    return None if outer or not tags else f"its trace has {len(tags)} thinking tags: {' '.join(tags[:6])}"


def drop_long(candidate: Candidate, max_tokens: int | None) -> str | None:
    """Drops a response of more than `max_tokens`; without it, one that does not fit WINDOW with its prompt."""
    if max_tokens is not None:
        fits, most = count_tokens(candidate) <= max_tokens, f"at most {max_tokens:,} are allowed"
    else:
        fits = count_row_tokens(candidate) <= WINDOW
        most = f"with its prompt at most {WINDOW:,} fit the training window"
    return None if fits else f"{_describe_length(candidate)}, {most}"


def count_row_tokens(candidate: Candidate) -> int:
    """Tokens of a row: the response, and the prompt as estimated from its characters."""
    return count_tokens(candidate) + round(len(candidate.problem.text) / CHARACTERS_PER_TOKEN) + TEMPLATE_TOKENS


def count_tokens(candidate: Candidate) -> int:
    """Response tokens as the server counted them, else estimated from the trace's characters."""
    if candidate.tokens is not None:
        return candidate.tokens
    return round(len(candidate.text) / CHARACTERS_PER_TOKEN)


def _describe_length(candidate: Candidate) -> str:
    if candidate.tokens is not None:
        return f"{candidate.tokens:,} tokens"
    return (
        f"about {count_tokens(candidate):,} tokens (an estimate: {len(candidate.text):,} characters, "
        f"{CHARACTERS_PER_TOKEN:g} per token)"
    )


def keep_one_per_problem(candidates: Sequence[Candidate], choose: Choice) -> list[str | None]:
    """Keeps one of each problem's attempts, or all. Of equal ones the earlier sample is kept."""
    if choose == "all":
        return [None] * len(candidates)
    rank = _RANKS[choose]
    groups: defaultdict[tuple[str, str], list[Candidate]] = defaultdict(list)
    for candidate in candidates:
        groups[candidate.key].append(candidate)
    best = {key: min(group, key=rank) for key, group in groups.items()}
    return [
        None if candidate is best[candidate.key] else _explain_choice(candidate, best[candidate.key], choose)
        for candidate in candidates
    ]


_RANKS: Mapping[Choice, Callable[[Candidate], tuple[int, int]]] = {
    "fewest": lambda candidate: (count_tokens(candidate), candidate.record.attempt.sample),
    "most": lambda candidate: (-count_tokens(candidate), candidate.record.attempt.sample),
    "first": lambda candidate: (candidate.record.attempt.sample, 0),
}


def _explain_choice(candidate: Candidate, kept: Candidate, choose: Choice) -> str:
    return (
        f"sample {kept.record.attempt.sample} of its problem is kept ({choose}): {_describe_length(kept)}, "
        f"this one has {_describe_length(candidate)}"
    )


def keep_first(candidates: Sequence[Candidate], target: int) -> list[str | None]:
    """Keeps the first `target` candidates."""
    surplus = max(0, len(candidates) - target)
    return [None] * (len(candidates) - surplus) + [f"beyond the target of {target:,}"] * surplus


def _shorten(answer: str | None) -> str:
    if answer is None:
        return "none"
    return answer if len(answer) <= LONGEST_SHOWN else f"{answer[:LONGEST_SHOWN]}..."
