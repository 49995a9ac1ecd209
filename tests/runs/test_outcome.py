"""What an evaluation keeps of an attempt: read from fields, not from the words of a note."""

from dataclasses import dataclass, replace

from scale_reasoning.engines import endpoints
from scale_reasoning.engines.scripted import Scripted
from scale_reasoning.engines.sim import run_virtual
from scale_reasoning.errors import ParseError
from scale_reasoning.lm import LM, Strategy
from scale_reasoning.runs.attempt import attempt
from scale_reasoning.runs.outcome import outcome_of
from scale_reasoning.strategies.scale import Scale
from scale_reasoning.strategies.vote import Vote
from scale_reasoning.types import Problem, Record, Solution

PROBLEM = Problem(id="p", text="What is 6 times 7?", answer="42")
GOOD = [
    ("decomposition", '{"subproblems": ["What is 6 times 7?"]}'),
    ("difficulty", '{"difficulty": 0.1}'),
    ("", r"\boxed{42}"),
]
UNRATED = [GOOD[0], ("difficulty", "hard to say"), GOOD[2]]


def record_of(strategy: Strategy, script: list[tuple[str, str]]) -> Record:
    return run_virtual(attempt(PROBLEM, strategy, endpoints(Scripted(script), "Qwen3-32B")))  # type: ignore[arg-type]


@dataclass(frozen=True)
class Noting:
    """A strategy whose note speaks of what may be read, though everything was."""

    async def solve(self, problem: Problem, lm: LM) -> Solution:
        return Solution(answer="42", notes=("the remainder cannot be read off the quotient",), unparsed=False)


@dataclass(frozen=True)
class Unread:
    """A strategy that gives up on a reply."""

    async def solve(self, problem: Problem, lm: LM) -> Solution:
        raise ParseError("no reply made sense", ("?",))


def test_an_attempt_is_unparsed_when_a_structured_reply_could_not_be_read() -> None:
    for unread, script in ((False, GOOD), (True, UNRATED)):
        for method in (Scale(candidates=1), Vote(base=Scale(candidates=1), samples=2)):
            record = record_of(method, script)
            assert record.solution is not None
            assert (record.solution.unparsed, outcome_of(record).unparsed) == (unread, unread)


def test_a_chain_that_gave_up_on_a_reply_makes_its_vote_unparsed() -> None:
    for strategy in (Unread(), Vote(base=Unread(), samples=2)):
        assert outcome_of(record_of(strategy, GOOD)).unparsed


def test_the_words_of_a_note_do_not_make_an_attempt_unparsed() -> None:
    assert not outcome_of(record_of(Noting(), GOOD)).unparsed


def test_a_record_kept_before_the_field_is_read_by_its_notes() -> None:
    record = record_of(Scale(candidates=1), UNRATED)
    assert record.solution is not None
    old = replace(record, solution=replace(record.solution, unparsed=None))
    assert outcome_of(old).unparsed


def test_a_failure_names_the_place_of_the_call_that_failed() -> None:
    @dataclass(frozen=True)
    class Failing:
        async def solve(self, problem: Problem, lm: LM) -> Solution:
            error = ParseError("at last, nothing could be read", ())
            error.add_note("at a guess, the model was asked too much")
            error.path = "step2/assess"
            raise error

    failure = record_of(Failing(), GOOD).failure
    assert failure is not None
    assert failure.path == "step2/assess"
    assert failure.message == "at last, nothing could be read; at a guess, the model was asked too much"
