"""The values that all modules share: problem, request, completion, usage, step, solution, record.

Decides their names and units. Imports the standard library only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal, Protocol, TypeAlias

JSON: TypeAlias = Any
"""A decoded JSON value: the one place where types end."""

Role: TypeAlias = Literal["system", "user", "assistant"]
Blame: TypeAlias = Literal["user", "world", "model"]

Marks: TypeAlias = tuple[str, str]
"""The marks that open and close the reasoning in a model's text."""

THINK: Marks = ("<think>", "</think>")
"""The marks of most families."""


class Mode(StrEnum):
    """How a call is made (paper, eq 4)."""

    SYSTEM1 = "system1"
    """Fast, non-thinking."""
    SYSTEM2 = "system2"
    """Slow, thinking."""


class Stage(StrEnum):
    """The part of a method that a call belongs to; tokens are counted per stage."""

    DECOMPOSE = "decompose"
    SELECT = "select"
    ASSESS = "assess"
    SUMMARISE = "summarise"
    SOLVE = "solve"


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """A problem as text; in a benchmark it has a gold answer."""

    id: str
    text: str
    answer: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One strategy on one problem, once; `sample` counts from 0."""

    problem_id: str
    sample: int = 0


BudgetBy: TypeAlias = Literal["", "server", "second call"]
"""What enforced a thinking budget: the server, or a second call that asked for the answer; "" where there was none."""

Form: TypeAlias = Literal["boxed", "stated", "asked"]
"""Where an answer was read: in a box, in what the text calls its answer, or in the reply to a second question."""


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation."""

    role: Role
    content: str


@dataclass(frozen=True, slots=True)
class SolveMessage(Message):
    """A turn that asks for a solution in a mode. It is sent as a Message that ends in the sentence of the mode's family
    (see endpoint.py).
    """

    mode: Mode


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """How tokens are drawn. None means that the parameter is not sent (some hosted models refuse it)."""

    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    min_p: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Schema:
    """A JSON schema the reply is asked to follow (`response_format: json_schema`, strict)."""

    name: str
    body: Mapping[str, JSON]


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """All that a server needs for one completion; equal requests may share one completion.

    `max_tokens` counts new tokens, reasoning included, and is sent as `limit_key`; None leaves the limit to the server.
    `logprobs` asks for the log-probabilities of the text's tokens, with that many alternatives each (0 to 20).
    `extras` is sent as further top-level keys of the body (a model family's mode switch). `starts_thinking` says that
    the chat template opens the thought itself, so a reply begins inside it; `think` are the family's marks of one.
    """

    model: str
    messages: tuple[Message, ...]
    mode: Mode
    seed: int
    max_tokens: int | None = None
    sampling: Sampling = field(default_factory=Sampling)
    schema: Schema | None = None
    extras: Mapping[str, JSON] = field(default_factory=dict[str, JSON])
    starts_thinking: bool = False
    limit_key: str = "max_tokens"
    think: Marks = THINK
    logprobs: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Token counts. None is unknown, never zero; `reasoning_tokens` are part of `completion_tokens`,
    `cached_tokens` part of `prompt_tokens`.
    """

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    reasoning_tokens: int | None = None
    cached_tokens: int | None = None

    def __add__(self, other: Usage) -> Usage:
        """Sums by field; unknown plus anything is unknown."""
        return Usage(
            prompt_tokens=_plus(self.prompt_tokens, other.prompt_tokens),
            completion_tokens=_plus(self.completion_tokens, other.completion_tokens),
            reasoning_tokens=_plus(self.reasoning_tokens, other.reasoning_tokens),
            cached_tokens=_plus(self.cached_tokens, other.cached_tokens),
        )


def _plus(a: int | None, b: int | None) -> int | None:
    return None if a is None or b is None else a + b


NO_USAGE = Usage(prompt_tokens=0, completion_tokens=0, reasoning_tokens=0, cached_tokens=0)
"""The usage of no calls at all: known to be zero."""


MOST_LOGPROBS = 20
"""Alternatives per token that a request can ask for: the protocol's limit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A token of a reply with the natural logarithm of its probability: a server's as the server counts it, on this
    machine at temperature 1 before filters. `top` are the likeliest tokens in its place with theirs, best first.
    """

    text: str
    logprob: float
    top: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Completion:
    """What a model replied. `text` never holds reasoning; `finish_reason` is the server's, "length" when cut off;
    `model` is the name the server gave itself, if any. `seconds` is how long it took to get, once that is known.
    `logprobs` are the tokens of the text, without reasoning and marks (see engines/logprobs.py); None if not given.
    """

    text: str
    reasoning: str = ""
    finish_reason: str | None = None
    usage: Usage = field(default_factory=Usage)
    model: str | None = None
    seconds: float | None = None
    logprobs: tuple[Token, ...] | None = None

    @property
    def cut_off(self) -> bool:
        """Whether the token limit ended it."""
        return self.finish_reason == "length"

    def count_thought(self) -> int:
        """Tokens of the thought; where the server does not count them its words, which are hardly ever more."""
        counted = self.usage.reasoning_tokens
        return len(self.reasoning.split()) if counted is None else counted


@dataclass(frozen=True, slots=True, kw_only=True)
class Delta:
    """A piece of a completion while it is made; the pieces since the last `restarted` one concatenate to it.

    `restarted` says that what came before is void and the reply begins again: the connection broke, or what was taken
    for reasoning was text.
    """

    text: str = ""
    reasoning: str = ""
    restarted: bool = False


OnDelta: TypeAlias = Callable[[Delta], None]


class Engine(Protocol):
    """One model server, one method; streaming is a listener, not a second method."""

    async def generate(self, request: Request, on_delta: OnDelta | None = None) -> Completion:
        """Answers one request. Raises an `EngineError` when the server does not.

        Cancelling the task must leave no generation running on the server.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessment:
    """A difficulty in [0, 1] and the assessor that found it. `fallback` says why it is not what that assessor computes;
    empty if it is. `calls` and new `tokens` (None: unknown) are what it needs, drafts that others need too included.
    """

    assessor: str
    difficulty: float
    fallback: str = ""
    calls: int = 0
    tokens: int | None = None

    @property
    def source(self) -> str:
        """The assessor, and the fallback if it is one."""
        return f"{self.assessor}: {self.fallback}" if self.fallback else self.assessor

    @property
    def unusual_source(self) -> str:
        """The source if it is not the rating that the model says, which goes without saying; else empty."""
        return "" if self.source == "rated" else self.source


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """A solution that was made and not taken, and why. `answer` is its result, `confidence` the model's own in it."""

    mode: Mode
    text: str
    finish_reason: str | None
    usage: Usage
    answer: str | None
    confidence: float | None
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One sub-problem, solved (paper, eqs 3-6). `difficulty` is None where it was not assessed. `asked` is the reply to
    a second question, for the result alone; empty if the text has a result. `usage` is that of both calls and of the
    `trials`. `reason` says why this solution was taken, where the allocator gave one. `trials` are drafts in the order
    of their numbers; `draft` is the number of the one that this solution is, from 1, None if it is no draft.
    `budget_by` says what enforced its thinking budget.
    """

    subproblem: str
    difficulty: float | None
    mode: Mode
    text: str
    reasoning: str
    finish_reason: str | None
    usage: Usage
    asked: str = ""
    reason: str = ""
    assessments: tuple[Assessment, ...] = ()
    trials: tuple[Trial, ...] = ()
    draft: int | None = None
    budget_by: BudgetBy = ""

    @property
    def own_tokens(self) -> int | None:
        """New tokens of the solution alone, without those of the trials; None if any is unknown."""
        tokens = self.usage.completion_tokens
        for trial in self.trials:
            tried = trial.usage.completion_tokens
            tokens = None if tokens is None or tried is None else tokens - tried
        return tokens

    @property
    def full_text(self) -> str:
        """The text, and the reply to the second question after it."""
        return f"{self.text}\n\n{self.asked}" if self.asked and self.text.strip() else self.text or self.asked


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """Votes for one equivalence class of answers, named by the answer that came first."""

    answer: str
    votes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Solution:
    """What a strategy made of a problem.

    `answer` is None when the last solution has no final answer, `form` says where it was read (of a vote: in the
    chosen chain; None in records from before there were forms). `selected` is the index of the chosen one of
    `candidates` (decompositions), or of `chains` for voting. `notes` label every departure from the method. `unparsed`
    says that a structured reply (a decomposition, a choice, a rating) could not be read; None if unknown. `tie_from` is
    the index of the first chain that decides a tie of the vote.
    """

    answer: str | None
    steps: tuple[Step, ...] = ()
    candidates: tuple[tuple[str, ...], ...] = ()
    selected: int | None = None
    chains: tuple[Solution, ...] = ()
    votes: tuple[Tally, ...] = ()
    notes: tuple[str, ...] = ()
    unparsed: bool | None = None
    form: Form | None = None
    tie_from: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Grade:
    """Whether an answer is right; `reason` says why where that is not obvious."""

    correct: bool
    grader: str
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One model call of an attempt. `path` is unique in the attempt. `seconds` is wall-clock time when it was paid
    for, queueing and retries included; a call that the journal had keeps them.
    """

    path: str
    stage: Stage
    mode: Mode
    seed: int
    usage: Usage
    finish_reason: str | None
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Spending:
    """Usage of an attempt; stages sum to the total, modes sum to the total."""

    total: Usage
    by_stage: Mapping[str, Usage]
    by_mode: Mapping[str, Usage]


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why an attempt has no answer: `kind` is a closed word (see errors.py), `blame` says who caused it.

    Infrastructure errors leave the attempt pending and are never scored; model errors are scored wrong.
    """

    kind: str
    blame: Blame
    message: str
    path: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """Everything about one attempt. `solution` is None when the strategy could not finish; `grade` is None when
    there is no gold answer, or after an infrastructure error.
    """

    attempt: Attempt
    strategy: Mapping[str, JSON]
    model: str
    solution: Solution | None
    grade: Grade | None
    calls: tuple[Call, ...]
    usage: Spending
    failure: Failure | None
    seconds: float
