"""What a strategy holds: places, seeds, the journal, the record of what was spent, modes and windows."""

import asyncio
import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.speed import limit_examples

from scale_reasoning.endpoint import Endpoint
from scale_reasoning.engines import endpoints
from scale_reasoning.engines.scripted import Scripted
from scale_reasoning.engines.sim import run_virtual
from scale_reasoning.errors import ConfigError, ContextOverflow, Unreachable, WindowRefusal
from scale_reasoning.events import Event, Finished, Location, Started, Streamed
from scale_reasoning.fit import HOPEFUL, MIN_NEW_TOKENS, SPARE, prompt_tokens
from scale_reasoning.journal import MemoryJournal
from scale_reasoning.lm import LM
from scale_reasoning.profiles import ModeProfile
from scale_reasoning.spending import spending
from scale_reasoning.together import together
from scale_reasoning.types import (
    NO_USAGE,
    Attempt,
    Call,
    Completion,
    Message,
    Mode,
    Request,
    Sampling,
    Schema,
    Stage,
    Usage,
)

ASKED = (Message("system", "Be brief."), Message("user", "What is 6 times 7?"))
ANSWER = Scripted([("", "It is 42.")])


def lm_on(engine: Scripted, model: str = "Qwen3-32B", window: int | None = None, **more: object) -> LM:
    attempt = Attempt(problem_id="p")
    return LM(endpoints(engine, model, window=window), attempt=attempt, **more)  # type: ignore[arg-type]


def lm_with(engine: Scripted, profile: ModeProfile, window: int | None = None) -> LM:
    endpoint = Endpoint(engine=engine, model="m", profile=profile, window=window)
    return LM(dict.fromkeys(Mode, endpoint), attempt=Attempt(problem_id="p"))


def chat(lm: LM, max_tokens: int | None = None, mode: Mode = Mode.SYSTEM2) -> Completion:
    return run_virtual(lm.chat(ASKED, mode=mode, max_tokens=max_tokens))


def answering(text: str = "42") -> Scripted:
    return Scripted([("", text)])


# Places


def test_a_place_is_named_from_the_top() -> None:
    lm = lm_on(ANSWER)
    assert (lm.path, lm.at("step3").path, lm.at("step3").at("assess").path) == ("", "step3", "step3/assess")


def test_two_calls_at_one_place_raise() -> None:
    lm = lm_on(ANSWER)
    chat(lm.at("step1").at("solve"))
    with pytest.raises(RuntimeError, match="two calls at one path: 'step1/solve'"):
        chat(lm.at("step1").at("solve"))
    chat(lm.at("step1"))


def test_two_calls_at_one_place_raise_even_at_once_and_only_one_is_sent() -> None:
    engine = Scripted([("", "42")], seconds=1)
    lm = lm_on(engine)
    with pytest.raises(RuntimeError, match="two calls at one path"):
        run_virtual(together(lm.at("x").chat(ASKED, mode=Mode.SYSTEM1) for _ in range(2)))
    assert len(engine.requests) == 1
    assert engine.in_flight == 0


def test_a_failed_call_has_used_its_place_up() -> None:
    lm = lm_on(Scripted([("", Unreachable("no route"))]))
    with pytest.raises(Unreachable) as raised:
        chat(lm.at("x"))
    assert raised.value.path == "x"
    assert not hasattr(raised.value, "__notes__")
    with pytest.raises(RuntimeError, match="two calls"):
        chat(lm.at("x"))


@pytest.mark.parametrize("stage", list(Stage))
def test_a_call_is_accounted_to_the_stage_it_was_made_for_whatever_its_place_is_called(stage: Stage) -> None:
    heard: list[Event] = []
    lm = lm_on(answering(), listener=heard.append)
    run_virtual(lm.chain(2).at("asess").chat(ASKED, mode=Mode.SYSTEM1, stage=stage))
    assert [call.stage for call in lm.calls] == [stage]
    assert {event.location for event in heard} == {Location(path="chain2/asess", stage=stage, chain=2)}


def test_a_vote_within_a_vote_keeps_the_outer_chains_number() -> None:
    location = lm_on(answering()).chain(3).at("x").chain(1).location(final=True)
    assert location == Location(path="chain3/x/chain1", chain=3, final=True)


# Seeds

paths = st.text(alphabet="abstep/0123456789", min_size=1, max_size=12)


def seed_at(path: str, seed: int = 0, problem: str = "p", sample: int = 0) -> int:
    return LM({}, attempt=Attempt(problem_id=problem, sample=sample), seed=seed).at(path).derived_seed()


@given(st.sets(paths, max_size=20), st.integers(), st.text(), st.integers(0, 10**6))
@settings(deadline=None)
def test_seeds_have_31_bits_and_are_distinct_by_place(names: set[str], seed: int, problem: str, sample: int) -> None:
    seeds = {seed_at(name, seed, problem, sample) for name in names}
    assert len(seeds) == len(names)
    assert all(0 <= seed < 2**31 for seed in seeds)


def test_the_seeds_of_a_large_run_hardly_ever_meet() -> None:
    places = [f"chain{c}/step{s}/{what}" for c in range(8) for s in range(16) for what in ("assess", "solve")]
    seeds = {seed_at(place, problem=f"p{n}") for n in range(40) for place in places}
    assert len(seeds) > 40 * len(places) - 3  # of 10240 draws from 2**31, one pair is alike in 40 such runs


def test_a_seed_depends_on_run_problem_sample_and_place() -> None:
    base = seed_at("step1/solve")
    others = {
        seed_at("step1/solve", seed=1),
        seed_at("step1/solve", problem="q"),
        seed_at("step1/solve", sample=1),
        seed_at("step1/assess"),
    }
    assert len(others | {base}) == 5


def test_seeds_are_the_same_in_every_process_and_version() -> None:
    assert [seed_at(path) for path in ("", "step1/solve", "decompose/1")] == [944620237, 2100523044, 856663786]


@given(st.lists(st.sampled_from(["a", "b/c", "step1/solve", "step2/solve", "select"]), unique=True, min_size=1))
@settings(deadline=None)
def test_a_seed_depends_on_nothing_else(order: list[str]) -> None:
    engine = answering()
    for model, mode, limit in (("Qwen3-32B", Mode.SYSTEM1, None), ("gpt-5", Mode.SYSTEM2, 7)):
        lm = lm_on(engine, model, seed=5)
        for path in order:
            run_virtual(lm.at(path).chat(ASKED[1:], mode=mode, max_tokens=limit))
        assert {call.path: call.seed for call in lm.calls} == {path: seed_at(path, seed=5) for path in order}
    assert [request.seed for request in engine.requests] == [seed_at(path, seed=5) for path in order] * 2


@given(paths, st.integers())
@settings(deadline=None)
def test_a_draw_belongs_to_its_place_and_lies_between_0_and_1(path: str, seed: int) -> None:
    lm = LM({}, attempt=Attempt(problem_id="p"), seed=seed).at(path)
    assert 0 <= lm.draw() < 1
    assert lm.draw() == lm.draw()


# The journal


def test_a_call_in_the_journal_costs_no_engine_call_and_keeps_its_seconds() -> None:
    engine, journal = answering(), MemoryJournal()
    first, second = (lm_on(engine, journal=journal) for _ in range(2))
    assert chat(first.at("x")) == chat(second.at("x"))
    assert len(engine.requests) == 1
    assert first.calls == second.calls


def test_another_seed_or_message_or_mode_is_another_call() -> None:
    engine, journal = answering(), MemoryJournal()
    for seed, mode in ((0, Mode.SYSTEM1), (1, Mode.SYSTEM1), (0, Mode.SYSTEM2)):
        chat(lm_on(engine, seed=seed, journal=journal).at("x"), mode=mode)
    run_virtual(lm_on(engine, journal=journal).at("x").chat(ASKED[1:], mode=Mode.SYSTEM1))
    assert len(engine.requests) == len(journal.completions) == 4


def test_a_failed_call_is_not_in_the_journal() -> None:
    journal = MemoryJournal()
    with pytest.raises(Unreachable):
        chat(lm_on(Scripted([("", Unreachable("no route"))]), journal=journal).at("x"))
    assert not journal.completions
    assert chat(lm_on(answering(), journal=journal).at("x")).text == "42"


def test_a_refitted_call_is_found_in_the_journal_by_what_was_first_asked() -> None:
    def refuse_long(request: Request) -> str:
        if (request.max_tokens or 0) > 400:
            raise ContextOverflow("too long", prompt_tokens=600, window=1000)
        return "42"

    engine, journal = Scripted([("", refuse_long)]), MemoryJournal()
    chat(lm_on(engine, journal=journal).at("x"), max_tokens=900)
    chat(lm_on(engine, journal=journal).at("x"), max_tokens=900)
    assert [request.max_tokens for request in engine.requests] == [900, 400]


# Modes, limits, windows


def test_a_mode_without_an_endpoint_is_a_config_error_that_says_what_to_do() -> None:
    engine = answering()
    with pytest.raises(ConfigError, match=r"Qwen/QwQ-32B has no System 1: it always thinks; .*--system1-model"):
        chat(lm_on(engine, "Qwen/QwQ-32B").at("x"), mode=Mode.SYSTEM1)
    with pytest.raises(ConfigError, match=r"no System 2: name a model for it: --model"):
        chat(LM({}, attempt=Attempt(problem_id="p")).at("x"))
    assert not engine.requests


def test_each_mode_goes_to_its_own_endpoint() -> None:
    fast, slow = answering("fast"), answering("slow")
    both = {**endpoints(fast, "Qwen3-32B"), **endpoints(slow, "QwQ-32B")}
    lm = LM(both, attempt=Attempt(problem_id="p"))
    assert [chat(lm.at(mode), mode=mode).text for mode in Mode] == ["fast", "slow"]
    assert (fast.requests[0].model, slow.requests[0].model) == ("Qwen3-32B", "QwQ-32B")


def test_the_profile_is_sent_as_it_stands() -> None:
    engine = answering()
    profile = ModeProfile(
        sampling=Sampling(temperature=0.3, top_k=5),
        extras={"a": {"b": False}},
        starts_thinking=True,
        limit_key="cap",
        think=("((", "))"),
    )
    schema = Schema(name="s", body={"type": "object"})
    run_virtual(lm_with(engine, profile).at("x").chat(ASKED, mode=Mode.SYSTEM1, schema=schema))
    (request,) = engine.requests
    assert request == Request(
        model="m",
        messages=ASKED,
        mode=Mode.SYSTEM1,
        seed=seed_at("x"),
        sampling=Sampling(temperature=0.3, top_k=5),
        schema=schema,
        extras={"a": {"b": False}},
        starts_thinking=True,
        limit_key="cap",
        think=("((", "))"),
    )


def test_a_suffix_is_appended_to_the_last_message_only() -> None:
    engine = answering()
    messages = (*ASKED, Message("assistant", "42."), Message("user", "Sure?"))
    run_virtual(lm_with(engine, ModeProfile(suffix="Be quick.")).at("x").chat(messages, mode=Mode.SYSTEM1))
    assert engine.requests[0].messages == (*messages[:3], Message("user", "Sure?\n\nBe quick."))


limits = st.none() | st.integers(1, 5000)


@given(limits, limits, st.none() | st.integers(100, 5000), st.integers(0, 8000))
@settings(deadline=None)
def test_max_tokens_is_the_least_of_asked_profile_and_room(
    asked: int | None, cap: int | None, window: int | None, length: int
) -> None:
    engine = answering()
    messages = (Message("user", "x" * length),)
    lm = lm_with(engine, ModeProfile(max_tokens=cap), window)
    run_virtual(lm.chat(messages, mode=Mode.SYSTEM1, max_tokens=asked))
    room = None if window is None else max(window - prompt_tokens(messages, HOPEFUL), MIN_NEW_TOKENS)
    assert engine.requests[0].max_tokens == min((n for n in (asked, cap, room) if n is not None), default=None)


def test_a_prompt_is_estimated_from_its_bytes() -> None:
    assert prompt_tokens((Message("user", "x" * 40), Message("user", "\u4e2d" * 40)), 4) == 10 + 8 + 30 + 8


def overflowing(*errors: ContextOverflow) -> Scripted:
    """An engine that raises the errors in order, then answers."""
    engine = Scripted([])

    def reply(_: Request) -> str:
        if len(engine.requests) <= len(errors):
            raise errors[len(engine.requests) - 1]
        return "42"

    engine.rules.append(("", reply))
    return engine


def test_an_overflow_with_the_servers_own_count_is_refitted_once() -> None:
    engine = overflowing(ContextOverflow("too long", prompt_tokens=700, window=1000))
    assert chat(lm_with(engine, ModeProfile(max_tokens=900)).at("x")).text == "42"
    assert [request.max_tokens for request in engine.requests] == [900, 300]
    assert engine.requests[1] == replace(engine.requests[0], max_tokens=300)


def test_a_count_that_does_not_fit_either_is_given_some_room_and_then_blamed_on_the_server() -> None:
    errors = [ContextOverflow("too long", prompt_tokens=700, window=1000) for _ in range(3)]
    engine = overflowing(*errors)
    lm = lm_with(engine, ModeProfile(max_tokens=900))
    with pytest.raises(WindowRefusal, match=r"^too long; but by its text the prompt has .* the server is to blame"):
        chat(lm.at("x"))
    assert [request.max_tokens for request in engine.requests] == [900, 300, 300 - SPARE]
    assert lm.calls == ()


def test_an_overflow_with_no_count_is_refitted_by_the_cautious_estimate_of_a_known_window() -> None:
    engine = overflowing(ContextOverflow("too long"))
    lm = lm_with(engine, ModeProfile(), window=1000)
    messages = (Message("user", "7" * 1000),)
    run_virtual(lm.chat(messages, mode=Mode.SYSTEM1))
    assert [request.max_tokens for request in engine.requests] == [1000 - 250 - 8, 1000 - 500 - 8]


@pytest.mark.parametrize(
    ("error", "window"),
    [
        (ContextOverflow("prompt fills it", prompt_tokens=1000, window=1000), 1000),
        (ContextOverflow("nearly", prompt_tokens=1001 - MIN_NEW_TOKENS, window=1000), 1000),
    ],
)
def test_an_overflow_that_a_shorter_reply_cannot_fix_is_raised_at_once(
    error: ContextOverflow, window: int | None
) -> None:
    engine = overflowing(error)
    with pytest.raises(ContextOverflow) as raised:
        chat(lm_with(engine, ModeProfile(), window).at("x"), max_tokens=900)
    assert raised.value is error
    assert len(engine.requests) == 1


def test_a_server_whose_own_count_leaves_room_is_to_blame_for_its_refusal() -> None:
    engine = overflowing(ContextOverflow("there is room already", prompt_tokens=100, window=1000))
    with pytest.raises(WindowRefusal) as raised:
        chat(lm_with(engine, ModeProfile()).at("x"), max_tokens=900)
    assert raised.value.blame == "world"
    assert len(engine.requests) == 1


# What was spent

counts = st.none() | st.integers(0, 10**6)
usages = st.builds(Usage, prompt_tokens=counts, completion_tokens=counts, reasoning_tokens=counts, cached_tokens=counts)


def call(stage: Stage, mode: Mode, usage: Usage) -> Call:
    return Call(
        path=stage,
        stage=stage,
        mode=mode,
        seed=0,
        usage=usage,
        finish_reason="stop",
        seconds=0.0,
    )


calls = st.lists(st.builds(call, st.sampled_from([*Stage]), st.sampled_from(Mode), usages), max_size=8).map(tuple)


@given(calls)
@settings(deadline=None)
def test_stages_and_modes_sum_to_the_total_and_unknown_stays_unknown(calls: tuple[Call, ...]) -> None:
    spent = spending(calls)
    assert [stage for stage in spent.by_stage if stage != "summarise"] == ["decompose", "select", "assess", "solve"]
    assert list(spent.by_mode) == ["system1", "system2"]
    assert sum(spent.by_stage.values(), NO_USAGE) == spent.total
    assert sum(spent.by_mode.values(), NO_USAGE) == spent.total
    for field in ("prompt_tokens", "completion_tokens", "reasoning_tokens", "cached_tokens"):
        counted = [getattr(call.usage, field) for call in calls]
        assert getattr(spent.total, field) == (None if None in counted else sum(counted))


def test_no_calls_cost_nothing() -> None:
    assert spending(()).total == NO_USAGE
    assert lm_on(ANSWER).spent() == dict.fromkeys(Mode, NO_USAGE)


def test_an_attempt_knows_what_each_mode_has_spent_so_far() -> None:
    lm = lm_on(Scripted([("", Completion(text="42", usage=Usage(prompt_tokens=5, completion_tokens=2)))]))
    for path, mode in (("a", Mode.SYSTEM1), ("b", Mode.SYSTEM1), ("c", Mode.SYSTEM2)):
        chat(lm.at(path), mode=mode)
    assert lm.spent() == {
        Mode.SYSTEM1: Usage(prompt_tokens=10, completion_tokens=4),
        Mode.SYSTEM2: Usage(prompt_tokens=5, completion_tokens=2),
    }


@given(st.randoms(use_true_random=False))
@settings(deadline=None, max_examples=limit_examples(20))
def test_calls_are_sorted_naturally_whatever_the_order_they_ended_in(chance: random.Random) -> None:
    ordered = ["decompose/1", "decompose/2", "decompose/10", "select", "step1/assess", "step1/assess/try2",
               "step1/solve", "step2/solve", "step10/assess", "step10/solve", "step\u00b2"]  # fmt: skip
    lm = lm_on(answering())
    shuffled = ordered.copy()
    chance.shuffle(shuffled)
    for path in shuffled:
        chat(lm.at(path))
    assert [call.path for call in lm.calls] == ordered


# Events


def test_a_listener_hears_the_start_the_pieces_and_the_end_of_a_call_in_order() -> None:
    heard: list[Event] = []
    engine = Scripted([("", Completion(text="It is 42.", reasoning="6 by 7.", finish_reason="stop"))], seconds=2)
    lm = lm_on(engine, listener=heard.append)
    completion = chat(lm.at("x"))
    (call,) = lm.calls
    assert heard[0] == Started(location=Location(path="x"), mode=Mode.SYSTEM2)
    assert heard[-1] == Finished(
        location=Location(path="x"), request=engine.requests[0], call=call, completion=completion
    )
    pieces = [event for event in heard[1:-1] if isinstance(event, Streamed)]
    assert len(pieces) == len(heard) - 2 == 4
    assert {event.location.path for event in pieces} == {"x"}
    assert "".join(event.delta.reasoning for event in pieces) == completion.reasoning
    assert "".join(event.delta.text for event in pieces) == completion.text
    assert call.seconds == 2


def test_a_listener_hears_of_a_replayed_call_without_pieces() -> None:
    heard: list[Event] = []
    journal = MemoryJournal()
    chat(lm_on(answering(), journal=journal).at("x"))
    chat(lm_on(answering(), journal=journal, listener=heard.append).at("x"))
    assert [type(event) for event in heard] == [Started, Finished]


def test_a_listener_hears_of_the_end_of_a_failed_and_of_a_cancelled_call() -> None:
    def events_of(engine: Scripted) -> list[Event]:
        ended = Finished(location=Location(path="x"), request=engine.requests[0], call=None, completion=None)
        return [Started(location=Location(path="x"), mode=Mode.SYSTEM2), ended]

    heard: list[Event] = []
    engine = Scripted([("", Unreachable("no route"))])
    with pytest.raises(Unreachable):
        chat(lm_on(engine, listener=heard.append).at("x"))
    assert heard == events_of(engine)

    async def cancelled() -> None:
        task = asyncio.create_task(lm.at("x").chat(ASKED, mode=Mode.SYSTEM2))
        await asyncio.sleep(1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    heard.clear()
    engine = Scripted([("", "42")], seconds=9)
    lm = lm_on(engine, listener=heard.append)
    run_virtual(cancelled())
    assert heard == events_of(engine)
    assert engine.in_flight == 0
    assert lm.calls == ()


def test_without_a_listener_nothing_is_streamed() -> None:
    class Silent(Scripted):
        async def generate(self, request: Request, on_delta: object = None) -> Completion:
            assert on_delta is None
            return await super().generate(request)

    assert chat(lm_on(Silent([("", "42")])).at("x")).text == "42"
