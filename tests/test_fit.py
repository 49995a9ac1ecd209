"""Requests that are refused as too long, against servers that truly count and tell what they counted in many ways."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.speed import limit_examples

from scale_reasoning.endpoint import Endpoint
from scale_reasoning.engines.scripted import Scripted
from scale_reasoning.engines.sim import run_virtual
from scale_reasoning.errors import ContextOverflow, ScaleError
from scale_reasoning.fit import MIN_NEW_TOKENS, MOST_REQUESTS
from scale_reasoning.lm import LM
from scale_reasoning.profiles import ModeProfile
from scale_reasoning.types import Attempt, Message, Mode, Request

Told = Callable[[int, int, int], ContextOverflow]
"""What a server with this window says of a prompt with so many tokens and a reply of so many."""

WORDINGS: dict[str, Told] = {
    "its count": lambda window, prompt, _: ContextOverflow("long", prompt, window),
    "a lower bound": lambda window, prompt, reply: ContextOverflow(
        "long", None, window, min(prompt, window - reply + 1)
    ),
    "a lower bound as a count": lambda window, prompt, reply: ContextOverflow(
        "long", min(prompt, window - reply + 1), window
    ),
    "the window alone": lambda window, prompt, reply: ContextOverflow("long", None, window),
    "nothing": lambda window, prompt, reply: ContextOverflow("long"),
}


def outcome(told: Told, *, window: int, prompt: int, text: str, asked: int = 2048) -> tuple[str, list[int | None]]:
    """Who is to blame ("" when there was a reply), and the new tokens that were asked for."""

    def reply(request: Request) -> str:
        most = request.max_tokens or 0
        if prompt + most > window:
            raise told(window, prompt, most)
        return "42"

    engine = Scripted([("", reply)])
    endpoint = Endpoint(engine=engine, model="m", profile=ModeProfile(), window=window)
    lm = LM(dict.fromkeys(Mode, endpoint), attempt=Attempt(problem_id="p"))
    try:
        run_virtual(lm.chat((Message("user", text),), mode=Mode.SYSTEM2, max_tokens=asked))
        blamed = ""
    except ScaleError as error:
        blamed = error.blame
    return blamed, [request.max_tokens for request in engine.requests]


@pytest.mark.parametrize("wording", WORDINGS)
@given(
    window=st.sampled_from([2048, 4096, 16384, 40960]), share=st.floats(0.0, 0.85), density=st.floats(2.0, 4.5),
    asked=st.integers(64, 50_000),
)  # fmt: skip
@settings(deadline=None, max_examples=limit_examples(60))
def test_a_prompt_that_leaves_room_is_answered_in_three_requests_whatever_the_server_tells(
    wording: str, window: int, share: float, density: float, asked: int
) -> None:
    prompt = int(share * window)
    text = "x" * int(prompt * density)
    blamed, sent = outcome(WORDINGS[wording], window=window, prompt=prompt + 8, text=text, asked=asked)
    assert blamed == ""
    assert len(sent) <= MOST_REQUESTS
    assert all((most or 0) >= MIN_NEW_TOKENS for most in sent)


@pytest.mark.parametrize("wording", WORDINGS)
@given(window=st.sampled_from([2048, 4096, 16384]), beyond=st.floats(1.02, 3.0), density=st.floats(2.0, 4.0))
@settings(deadline=None, max_examples=limit_examples(40))
def test_a_prompt_that_does_not_fit_is_the_models_doing(
    wording: str, window: int, beyond: float, density: float
) -> None:
    prompt = int(beyond * window)
    blamed, sent = outcome(WORDINGS[wording], window=window, prompt=prompt, text="x" * int(prompt * density))
    assert len(sent) <= MOST_REQUESTS
    if wording == "nothing":
        assert blamed in ("model", "world")  # the window is a guess then
    else:
        assert blamed == "model"


@pytest.mark.parametrize("wording", ["a lower bound", "a lower bound as a count", "the window alone", "nothing"])
@given(window=st.sampled_from([4096, 16384, 40960]), asked=st.integers(64, 4000))
@settings(deadline=None, max_examples=limit_examples(20))
def test_a_short_prompt_that_a_server_calls_too_long_is_never_the_models_fault(
    wording: str, window: int, asked: int
) -> None:
    blamed, sent = outcome(WORDINGS[wording], window=window, prompt=window + 500, text="What is 6 x 7?", asked=asked)
    assert blamed == "world"
    assert len(sent) <= MOST_REQUESTS


def refused(error: ContextOverflow, *, text: str, most: int = 0) -> tuple[str, list[int | None]]:
    """As `outcome`, of a server that says this of every request for more than `most` new tokens."""

    def reply(request: Request) -> str:
        if (request.max_tokens or 0) > most:
            raise error
        return "42"

    engine = Scripted([("", reply)])
    endpoint = Endpoint(engine=engine, model="m", profile=ModeProfile(), window=None)
    lm = LM(dict.fromkeys(Mode, endpoint), attempt=Attempt(problem_id="p"))
    try:
        run_virtual(lm.chat((Message("user", text),), mode=Mode.SYSTEM2, max_tokens=32_768))
        blamed = ""
    except ScaleError as failure:
        blamed = failure.blame
    return blamed, [request.max_tokens for request in engine.requests]


def test_a_short_prompt_is_asked_again_with_less_where_the_server_says_nothing_of_its_window() -> None:
    blamed, sent = refused(ContextOverflow("long"), text="What is 6 x 7?", most=20_000)
    assert (blamed, sent) == ("", [32_768, 16_384])


def test_a_short_prompt_that_every_request_is_refused_for_is_the_servers_fault() -> None:
    blamed, sent = refused(ContextOverflow("long"), text="What is 6 x 7?")
    assert blamed == "world"
    assert len(sent) == MOST_REQUESTS


def test_a_long_prompt_without_a_known_window_is_taken_at_the_servers_word() -> None:
    assert refused(ContextOverflow("long"), text="x" * 20_000) == ("model", [32_768])


def test_a_count_that_holds_the_reply_as_well_is_read_as_such() -> None:
    said = ContextOverflow("long", 32_768 + 300, 8192)
    assert refused(said, text="What is 6 x 7?", most=8192 - 300) == ("", [32_768, 8192 - 300])
