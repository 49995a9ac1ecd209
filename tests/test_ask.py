"""Asking until a reply parses, a bounded number of times."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scale_reasoning.ask import ask
from scale_reasoning.engines import endpoints
from scale_reasoning.engines.scripted import Scripted
from scale_reasoning.engines.sim import run_virtual
from scale_reasoning.errors import ParseError, Unreachable
from scale_reasoning.lm import LM
from scale_reasoning.replies import NUMBER, parse_number
from scale_reasoning.types import Attempt, Completion, Message, Mode, Request, Stage

QUESTION = (Message("user", "How hard?"),)


def replying(*replies: str | Completion) -> Scripted:
    """An engine that gives the replies in order, the last for ever."""
    engine = Scripted([])

    def reply(_: Request) -> str | Completion:
        return replies[min(len(engine.requests), len(replies)) - 1]

    engine.rules.append(("", reply))
    return engine


def lm_on(engine: Scripted) -> LM:
    return LM(endpoints(engine, "Qwen3-32B"), attempt=Attempt(problem_id="p"))


def difficulty(lm: LM, tries: int = 3) -> float:
    return run_virtual(
        ask(
            lm.at("assess"),
            QUESTION,
            parse_number,
            mode=Mode.SYSTEM1,
            stage=Stage.ASSESS,
            tries=tries,
            max_tokens=50,
            schema=NUMBER,
        )
    )


def test_a_reply_that_parses_is_asked_for_once() -> None:
    engine = replying("0.5")
    assert difficulty(lm_on(engine)) == 0.5
    assert len(engine.requests) == 1


def test_a_reply_that_does_not_parse_is_asked_for_again_at_a_place_of_its_own() -> None:
    engine = replying("hard", "", "0.5")
    lm = lm_on(engine)
    assert difficulty(lm) == 0.5
    assert [call.path for call in lm.calls] == ["assess", "assess/try2", "assess/try3"]
    assert {call.stage for call in lm.calls} == {"assess"}
    assert len({request.seed for request in engine.requests}) == 3
    for request in engine.requests:
        assert (request.messages, request.mode, request.max_tokens) == (QUESTION, Mode.SYSTEM1, 50)
        assert request.schema is NUMBER


def test_every_reply_stands_in_the_error_when_none_parses() -> None:
    with pytest.raises(ParseError, match=r"^no reply of 3 could be read$") as raised:
        difficulty(lm_on(replying("hard", "", "harder")))
    assert raised.value.replies == ("hard", "", "harder")
    assert raised.value.path == "assess"


def test_a_cut_off_reply_is_not_read_even_when_it_would_parse() -> None:
    engine = replying(Completion(text="0.5", finish_reason="length"), "0.7")
    assert difficulty(lm_on(engine)) == 0.7


def test_a_failure_of_the_world_is_not_asked_again() -> None:
    engine = Scripted([("", Unreachable("no route"))])
    with pytest.raises(Unreachable, match="no route"):
        difficulty(lm_on(engine))
    assert len(engine.requests) == 1


def test_an_error_of_the_parser_itself_is_not_taken_for_a_bad_reply() -> None:
    def parse(text: str) -> float:
        return {}[text]

    engine = replying("0.5")
    with pytest.raises(KeyError):
        run_virtual(ask(lm_on(engine).at("x"), QUESTION, parse, mode=Mode.SYSTEM1, tries=3))
    assert len(engine.requests) == 1


@given(st.integers(1, 6), st.integers(0, 6))
@settings(deadline=None)
def test_there_are_never_more_calls_than_tries(tries: int, bad: int) -> None:
    engine = replying(*["hard"] * bad, "0.5")
    if bad < tries:
        assert difficulty(lm_on(engine), tries) == 0.5
    else:
        with pytest.raises(ParseError) as raised:
            difficulty(lm_on(engine), tries)
        assert len(raised.value.replies) == tries
    assert len(engine.requests) == min(tries, bad + 1)
