"""What holds for every strategy in the table, and for SCALE in each of its variants."""

import asyncio
import json
import pickle
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from scale_reasoning.engines import endpoints
from scale_reasoning.engines.connection import ModelSpec
from scale_reasoning.engines.policy import Limited, Retrying
from scale_reasoning.engines.scripted import Reply, Scripted
from scale_reasoning.engines.sim import Sim, Speeds, run_virtual
from scale_reasoning.errors import ContextOverflow, Malformed, Overloaded, Rejected, Unreachable
from scale_reasoning.events import Event, Finished, Started
from scale_reasoning.fit import MOST_REQUESTS
from scale_reasoning.journal import MemoryJournal
from scale_reasoning.lm import Strategy
from scale_reasoning.runs.attempt import attempt
from scale_reasoning.runs.like import find_preset
from scale_reasoning.spending import spending
from scale_reasoning.strategies import STRATEGIES, describe, make
from scale_reasoning.strategies.allocators import ALLOCATORS
from scale_reasoning.strategies.allocators.always import Always
from scale_reasoning.strategies.assessors import ASSESSORS
from scale_reasoning.strategies.cascade import Cascade
from scale_reasoning.strategies.cot import CoT
from scale_reasoning.strategies.inftythink import InftyThink
from scale_reasoning.strategies.scale import Scale
from scale_reasoning.strategies.vote import Vote
from scale_reasoning.types import Completion, Engine, Mode, OnDelta, Problem, Record, Request

PROBLEM = Problem(id="p", text="Let $x = 3$. What is $x^2 + x$?", answer="12")
MODEL = "Qwen/Qwen3-32B"

TIGHT = 9
"""A limit under which no System 2 solution of the able engine ends by itself; the simulator's are cut off as well."""


def like(name: str, model: str) -> Strategy:
    """The strategy as the paper has it."""
    return make(name, find_preset("paper", ModelSpec(model=model)).set_options(name, {}))


VARIANTS: dict[str, Strategy] = {
    **{name: make(name, {}) for name in STRATEGIES},
    "cot in system1": CoT(mode=Mode.SYSTEM1),
    "vote over scale": Vote(base=Scale(candidates=3), samples=4),
    "vote over vote": Vote(base=Vote(samples=2), samples=3),
    "scale by titles": make("scale", {"assess.context": "titles"}),
    "scale in system1": Scale(route=Always(mode=Mode.SYSTEM1)),
    "scale in system2": Scale(route=Always()),
    "scale at random": make("scale", {"route": "random", "share": 0.3}),
    "scale with answers": Scale(context="answers"),
    "scale with the question": Scale(last_step="question"),
    "scale with the last in system2": make("scale", {"route": "last-thinks"}),
    "scale by titles with the last in system2": make("scale", {"route": "last-thinks", "assess.context": "titles"}),
    "scale with the model's split": Scale(candidates=2, steps_see="facts", split_by="model"),
    "scale in one message": Scale(candidates=2, messages="one", context="answers"),
    "scale decomposed in system2": Scale(candidates=2, decompose_in=Mode.SYSTEM2),
    "scale like the paper": like("scale", MODEL),
    "scale like the paper, for R1": like("scale", "DeepSeek-R1-Distill-Qwen-32B"),
    "scale with one candidate": Scale(candidates=1, tries=1),
    "scale with one step": Scale(candidates=2, max_steps=1),
    "cot that is forced": CoT(on_limit="force", system2_max_tokens=TIGHT),
    "cot with boxed answers": CoT(answers="boxed"),
    "scale with boxed answers": Scale(answers="boxed"),
    "scale with the whole problem": Scale(candidates=2, whole="candidate"),
    "scale that is forced": Scale(on_limit="force", system2_max_tokens=TIGHT),
    "vote over what is forced": Vote(base=CoT(on_limit="force", system2_max_tokens=TIGHT), samples=3),
    "inftythink that is forced": InftyThink(max_rounds=3, round_max_tokens=TIGHT),
    "inftythink in rounds of any length": InftyThink(max_rounds=4, round_max_tokens=2000, summary_max_tokens=200),
    "vote that stops": Vote(samples=5, stop="certain"),
    "vote that stops by its posterior": Vote(base=Scale(candidates=1), samples=6, stop="beta", level=0.8),
    "cascade": Cascade(then=Scale(candidates=2)),
    "cascade to a longer vote": Cascade(then=Vote(samples=5, stop="certain")),
    "cascade to another vote": Cascade(
        first=Vote(base=CoT(mode=Mode.SYSTEM1), samples=3, stop="certain"), then=Vote(samples=2), accept=0.8
    ),
    "cascade to inftythink": Cascade(then=InftyThink(max_rounds=2, round_max_tokens=TIGHT)),
    "vote over a cascade": Vote(base=Cascade(then=Scale(candidates=1)), samples=2),
    "vote over inftythink": Vote(base=InftyThink(max_rounds=2, round_max_tokens=TIGHT), samples=3),
    **{f"scale, allocator {name}": make("scale", {"route": name}) for name in ALLOCATORS},
    **{f"scale, assessor {name}": make("scale", {"assess": name}) for name in ASSESSORS},
    "scale within few tokens": make("scale", {"route": "within", "route.then": "escalate", "tokens": 60, "reserve": 5}),
    "scale that drafts between two bounds": make("scale", {"route": "escalate", "low": 0.2, "high": 0.7}),
}


QUICK = {
    *STRATEGIES, "scale, allocator escalate", "scale, assessor draft", "scale, assessor expected", "vote over scale",
    "scale by titles", "scale at random", "scale with answers", "scale with the last in system2",
    "scale that is forced", "vote over inftythink", "vote that stops", "cascade to a longer vote",
    "scale like the paper",
}  # fmt: skip
"""One of each kind; `make test-slow` tries the others."""


@pytest.fixture(params=[pytest.param(name, marks=[] if name in QUICK else pytest.mark.slow) for name in VARIANTS])
def strategy(request: pytest.FixtureRequest) -> Strategy:
    return VARIANTS[request.param]


async def tried(strategy: Strategy, engine: Engine, **more: Any) -> Record:
    return await attempt(PROBLEM, strategy, endpoints(engine, MODEL), **more)


def outline_of(request: Request) -> str:
    return f'{{"subproblems": ["What is x^2, by {request.seed % 3}?", "What is x?", "What is their sum?"]}}'


def solution_of(request: Request) -> str | Completion:
    if request.mode is Mode.SYSTEM2 and request.max_tokens == TIGHT:
        return Completion(text="", reasoning="Let me think", finish_reason="length")
    return f"It is \\boxed{{{11 + request.seed % 2}}}."


DIGIT = "Reply with one digit"
RULES: list[tuple[str, Reply]] = [
    ("decomposition", outline_of),
    ("statement", '{"facts": "x is 3.", "question": "What is x^2 + x?"}'),
    ("choice", '{"choice": 2}'),
    ("difficulty", lambda request: f'{{"difficulty": {request.seed % 11 / 10}}}'),
    (DIGIT, lambda request: str(request.seed % 10)),
    ("", solution_of),
]


def able() -> Scripted:
    """An engine that answers every stage as it should, each call in a second."""
    return Scripted(RULES, seconds=1)


class Dying(Scripted):
    """An able engine that raises from its `alive`-th request on."""

    def __init__(self, alive: int, failure: Callable[[], Exception]) -> None:
        super().__init__(RULES, seconds=1)
        self.alive, self.failure = alive, failure

    async def generate(self, request: Request, on_delta: OnDelta | None = None) -> Completion:
        """See Engine."""
        if len(self.requests) >= self.alive:
            raise self.failure()
        return await super().generate(request, on_delta)


# The same seed, the same solution


def replayable(record: Record) -> Record:
    """The record without what a clock and a journal say."""
    calls = tuple(replace(call, seconds=0) for call in record.calls)
    return replace(record, seconds=0, calls=calls)


def test_the_same_seed_gives_the_same_solution_and_requests_at_any_concurrency(strategy: Strategy) -> None:
    records, asked = [], []
    for slots in (64, 1, 7):
        journal = MemoryJournal()
        records.append(run_virtual(tried(strategy, Sim(Speeds(slots=slots)), seed=3, journal=journal)))
        asked.append({filed: replace(reply, seconds=0) for filed, reply in journal.completions.items()})
    assert records[0].calls
    assert replayable(records[0]) == replayable(records[1]) == replayable(records[2])
    assert asked[0] == asked[1] == asked[2]
    assert len(asked[0]) == len(records[0].calls)


def test_failures_of_the_server_that_pass_when_retried_change_nothing(strategy: Strategy) -> None:
    def on(speeds: Speeds) -> Record:
        return run_virtual(tried(strategy, Retrying(Limited(Sim(speeds), in_flight=5), retries=50), seed=3))

    assert replayable(on(Speeds(failures=0.3))) == replayable(on(Speeds()))


def test_another_seed_or_sample_asks_with_other_seeds_at_every_place(strategy: Strategy) -> None:
    def seeds(**more: int) -> set[int]:
        return {call.seed for call in run_virtual(tried(strategy, Sim(), **more)).calls}

    base = seeds()
    assert base.isdisjoint(seeds(seed=1))
    assert base.isdisjoint(seeds(sample=1))


def test_a_second_run_over_the_journal_makes_no_call_and_gives_the_same_record(strategy: Strategy) -> None:
    journal, engine = MemoryJournal(), able()
    first = run_virtual(tried(strategy, engine, journal=journal))
    paid = len(engine.requests)
    again = run_virtual(tried(strategy, engine, journal=journal))
    assert len(engine.requests) == paid == len(first.calls)
    assert again.calls == first.calls
    assert replayable(again) == replayable(first)
    assert again.seconds == 0


@pytest.mark.parametrize("paid", [0, 1, 3, 10, 20])
def test_a_run_that_broke_off_is_finished_by_paying_for_the_rest_only(strategy: Strategy, paid: int) -> None:
    journal, rest = MemoryJournal(), able()
    run_virtual(tried(strategy, Dying(paid, lambda: Unreachable("the line went dead")), journal=journal))
    kept = len(journal.completions)
    assert kept <= paid
    resumed = run_virtual(tried(strategy, rest, journal=journal))
    assert len(rest.requests) == len(resumed.calls) - kept
    assert replayable(resumed) == replayable(run_virtual(tried(strategy, able())))


# Calls: each at a place of its own, and never more than the formula says


def test_every_call_has_a_place_of_its_own_a_beginning_and_an_end(strategy: Strategy) -> None:
    heard: list[Event] = []
    record = run_virtual(tried(strategy, able(), listener=heard.append))
    paths = [call.path for call in record.calls]
    assert len(set(paths)) == len(paths) <= strategy.most_calls()
    assert Counter(event.location.path for event in heard if isinstance(event, Started)) == Counter(paths)
    assert Counter(event.location.path for event in heard if isinstance(event, Finished)) == Counter(paths)
    assert record.failure is None
    assert record.grade is not None


def test_stages_and_modes_sum_to_the_total(strategy: Strategy) -> None:
    for engine in (able(), Scripted([("", "no idea")])):
        record = run_virtual(tried(strategy, engine))
        assert record.usage == spending(record.calls)
        written = sum(call.usage.completion_tokens or 0 for call in record.calls)
        for split in (record.usage.by_stage, record.usage.by_mode):
            assert sum(usage.completion_tokens or 0 for usage in split.values()) == written
        assert record.usage.total.completion_tokens == written


@pytest.mark.parametrize(
    ("strategy", "depth"),
    [(Scale(), 2 + 2 * 3), (make("scale", {"assess.context": "titles"}), 3 + 3)],
    ids=["solutions", "titles"],
)
def test_scale_makes_k_plus_1_plus_2m_calls_one_after_another_only_where_one_needs_the_other(
    strategy: Scale, depth: int
) -> None:
    record = run_virtual(tried(strategy, able()))
    assert len(record.calls) == 8 + 1 + 2 * 3
    assert record.seconds == depth


HTML = """<!DOCTYPE html>
<html><head><title>502 Bad Gateway</title><style>body {margin: 1em}</style></head>
<body><h1>502 Bad Gateway</h1><ol><li>1. Retry</li></ol><hr><center>nginx/1.25.3</center></body></html>"""
CUT_OFF = Completion(text='{"subproblems": ["What is', finish_reason="length")
BAD_REPLIES: dict[str, str | Completion] = {
    "garbage": "!@# lorem ]]}} 17 23 \\frac{",
    "empty text": "",
    "blanks": " \n\t ",
    "a number": "42",
    "null": "null",
    "an open fence": "```json",
    "html": HTML,
    "cut-off text": CUT_OFF,
    "cut-off thoughts": Completion(text="", reasoning="Let me think", finish_reason="length"),
}


@pytest.mark.parametrize("reply", BAD_REPLIES.values(), ids=BAD_REPLIES)
def test_an_engine_that_only_says_nonsense_ends_in_a_labelled_record_within_bounds(
    strategy: Strategy, reply: str | Completion
) -> None:
    engine = Scripted([("", reply)])
    record = run_virtual(tried(strategy, engine))
    assert len(record.calls) == len(engine.requests) <= strategy.most_calls()
    assert record.grade is not None
    assert not record.grade.correct
    if reply == "42" and getattr(strategy, "answers", "any") == "any":  # nonsense, and yet an answer
        assert record.solution is not None
        assert record.solution.form == "stated"
    else:
        assert record.failure is not None
        assert record.failure.blame == "model"


def schemas(engine: Scripted) -> Counter[str]:
    """How often the engine was asked for each form; a text in no form counts under the empty name."""
    return Counter(request.schema.name if request.schema else "" for request in engine.requests)


FORMS = [form for form, _ in RULES if form != DIGIT]


@pytest.mark.parametrize("stage", FORMS)
@pytest.mark.parametrize("reply", ["no idea", CUT_OFF], ids=["garbage", "cut off"])
def test_nonsense_at_one_stage_is_labelled_and_bounded(strategy: Strategy, stage: str, reply: str | Completion) -> None:
    sound, engine = able(), Scripted([(pattern, reply if pattern == stage else good) for pattern, good in RULES])
    wanted = run_virtual(tried(strategy, sound))
    record = run_virtual(tried(strategy, engine))
    assert len(engine.requests) <= strategy.most_calls()
    assert record.solution is not None
    if schemas(sound)[stage]:
        assert schemas(engine)[stage]
        assert record.failure or record.solution.notes
    else:
        assert record.solution == wanted.solution


def test_scale_meets_nonsense_at_every_stage() -> None:
    engine = able()
    run_virtual(tried(Scale(split_by="model", last_step="question"), engine))
    assert sorted(schemas(engine)) == sorted(FORMS)


WORST: list[dict[str, Any]] = [
    {},
    {"on_limit": "force"},
    {"context": "answers"},
    {"assess.context": "titles"},
    {"route": "last-thinks"},
    {"route": "system1", "on_limit": "force"},
    {"route": "last-thinks", "route.then": "system1", "on_limit": "force"},
    {"route": "system2", "on_limit": "force"},
    {"route": "random", "share": 1.0, "on_limit": "force"},
    {"candidates": 1},
    {"max_steps": 1},
    {"max_steps": 2, "route": "last-thinks"},
    {"tries": 1},
    {"whole": "candidate", "candidates": 1},
    {"answers": "boxed"},
    {"answers": "boxed", "on_limit": "force"},
    {"answers": "boxed", "context": "answers"},
    {"split_by": "model", "last_step": "question"},
    {"split_by": "model", "steps_see": "facts", "messages": "one", "candidates": 1},
    {"decompose_in": "system2", "on_limit": "force"},
]


@pytest.mark.parametrize("settings", WORST, ids=str)
def test_the_worst_engine_of_all_gets_as_many_calls_from_scale_as_it_says_and_no_more(settings: dict[str, Any]) -> None:
    scale = make("scale", {"candidates": 4, "max_steps": 5, "tries": 3, **settings})
    assert isinstance(scale, Scale)
    asked: Counter[str] = Counter()

    def late(request: Request) -> str:
        asked["decomposition"] += 1
        steps = [f"What is {request.seed}?", *(f"And {n}?" for n in range(2, scale.max_steps + 1))]
        return json.dumps(steps) if asked["decomposition"] > scale.candidates * (scale.tries - 1) else "no idea"

    def overflowing(request: Request) -> Completion:
        asked["solution"] += 1
        if asked["solution"] == 2:
            raise ContextOverflow("too long", prompt_tokens=10**6)
        is_forced = scale.on_limit == "force" and request.mode is Mode.SYSTEM2
        return Completion(text="no idea", finish_reason="length" if is_forced else "stop")

    cut_off = Completion(text="no idea", finish_reason="length")
    structured = [("decomposition", late), ("choice", "no idea"), ("difficulty", "no idea")]
    engine = Scripted([*structured, ("Answer this|Solve", overflowing), ("", cut_off)])
    heard: list[Event] = []
    record = run_virtual(tried(scale, engine, listener=heard.append))
    overflowed = scale.context == "answers" and scale.max_steps > 1
    assert record.failure is not None
    assert (record.failure.kind == "context_overflow") == overflowed
    # An overflow that nothing can be done about ends the attempt, here at its second step.
    asks = 1 if scale.answers == "any" else 0
    unmade = (scale.max_steps - 2) * (scale.tries + 1 + asks) + asks if overflowed else 0
    assert sum(isinstance(event, Started) for event in heard) == scale.most_calls() - unmade


def test_a_decomposition_that_nobody_can_read_costs_no_more_than_scale_says() -> None:
    scale = Scale(candidates=1, max_steps=1, tries=2, route=Always(mode=Mode.SYSTEM1), on_limit="force")
    engine = Scripted([("decomposition", "no idea"), ("", Completion(text="hm", finish_reason="length"))])
    assert len(run_virtual(tried(scale, engine)).calls) == 2 + 1 + 1 == scale.most_calls()


# Windows


@pytest.mark.parametrize("counts", [True, False], ids=["the server counts", "the server does not count"])
@pytest.mark.parametrize("window", [5, 30, 120, 150, 200, 10_000])
def test_a_window_of_any_size_ends_in_an_answer_or_a_failure_of_the_model(
    strategy: Strategy, window: int, counts: bool
) -> None:
    def fits(request: Request) -> Completion:
        prompt = sum(len(message.content.split()) for message in request.messages)
        if prompt + (request.max_tokens or 0) > window:
            raise ContextOverflow("too long", prompt if counts else None, window)
        reply = next(reply for form, reply in RULES if form in ("", request.schema.name if request.schema else ""))
        said = reply(request) if callable(reply) else reply
        assert isinstance(said, str | Completion)
        return Completion(text=said, finish_reason="stop") if isinstance(said, str) else said

    engine = Scripted([("", fits)])
    record = run_virtual(tried(strategy, engine))
    assert len(record.calls) <= strategy.most_calls()
    assert len(engine.requests) <= MOST_REQUESTS * strategy.most_calls()
    assert record.grade is not None
    if record.failure is not None:
        assert record.failure.blame == "model"
    assert (record.failure is None) or window < 10_000


# The world


FAILURES: dict[str, Callable[[], Exception]] = {
    "unreachable": lambda: Unreachable("no route to host"),
    "overloaded": lambda: Overloaded("429", retry_after=9.0),
    "rejected": lambda: Rejected("401: who are you?", 401),
    "malformed": lambda: Malformed("<html>"),
}


@pytest.mark.parametrize("share", [0.0, 0.3, 0.6, 0.99])
@pytest.mark.parametrize("kind", FAILURES)
def test_a_failure_of_the_world_ends_in_a_record_without_a_grade(strategy: Strategy, kind: str, share: float) -> None:
    alive = int(share * len(run_virtual(tried(strategy, able())).calls))
    engine = Dying(alive, FAILURES[kind])
    heard: list[Event] = []

    async def main() -> Record:
        record = await tried(strategy, engine, listener=heard.append)
        assert engine.in_flight == 0
        return record

    record = run_virtual(main())
    started = [event.location.path for event in heard if isinstance(event, Started)]
    assert sorted(started) == sorted(event.location.path for event in heard if isinstance(event, Finished))
    assert len(record.calls) <= alive
    assert record.failure is not None
    assert (record.failure.kind, record.failure.blame) == (kind, "world")
    assert record.failure.path in set(started) - {call.path for call in record.calls}
    assert record.solution is None
    assert record.grade is None


# Cancelling


def test_cancelling_leaves_no_request_in_flight(strategy: Strategy) -> None:
    async def main(after: float) -> bool:
        engine = able()
        heard: list[Event] = []
        task = asyncio.create_task(tried(strategy, engine, listener=heard.append))
        await asyncio.sleep(after)
        if task.done():
            return False
        assert engine.in_flight > 0
        sent = len(engine.requests)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert engine.in_flight == 0
        await asyncio.sleep(100)
        assert len(engine.requests) == sent
        assert sum(isinstance(e, Started) for e in heard) == sum(isinstance(e, Finished) for e in heard) == sent
        return True

    assert run_virtual(main(0.5))
    for after in (1.5, 2.5, 3.5, 5.5):
        run_virtual(main(after))


# Values


def test_it_pickles_and_is_still_the_same(strategy: Strategy) -> None:
    copy = pickle.loads(pickle.dumps(strategy))
    assert copy == strategy
    assert hash(copy) == hash(strategy)


def settings_of(described: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """A description as name and settings, those of a base as `base.FIELD`."""
    settings: dict[str, Any] = {}
    for key, value in described.items():
        if isinstance(value, dict):
            settings[key], inner = settings_of(value)
            settings |= {f"{key}.{name}": setting for name, setting in inner.items()}
        elif key != "name":
            settings[key] = value
    return described["name"], settings


def test_its_description_makes_it_again(strategy: Strategy) -> None:
    name, settings = settings_of(describe(strategy))
    assert make(name, settings) == strategy
    assert describe(make(name, settings)) == describe(strategy)


def test_its_settings_may_be_given_as_text(strategy: Strategy) -> None:
    name, settings = settings_of(describe(strategy))
    assert make(name, {key: str(value) for key, value in settings.items() if value is not None}) == strategy
