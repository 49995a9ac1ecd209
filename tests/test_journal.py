"""What a completion is filed under: keys that runs on disk depend on."""

import json
import random
from dataclasses import dataclass, field, replace

from hypothesis import given, settings
from hypothesis import strategies as st

from scale_reasoning.journal import key
from scale_reasoning.types import Message, Mode, Request, Sampling, Schema

ASKED = (Message("system", "Be brief."), Message("user", "What is 6 times 7?"))
PLAIN = Request(model="m", messages=(Message("user", "What is 1 + 1?"),), mode=Mode.SYSTEM1, seed=1)
FULL = Request(
    model="Qwen/Qwen3-32B",
    messages=(Message("system", "Be brief."), Message("user", "What is √4?"), Message("assistant", "2")),
    mode=Mode.SYSTEM2,
    seed=2**31 - 1,
    max_tokens=32768,
    sampling=Sampling(temperature=0.6, top_p=0.95, top_k=20, min_p=0.0),
    schema=Schema(name="difficulty", body={"type": "object", "properties": {"difficulty": {"type": "number"}}}),
    extras={"chat_template_kwargs": {"enable_thinking": True}},
    starts_thinking=True,
    limit_key="max_completion_tokens",
)


def test_keys_are_those_that_runs_on_disk_were_filed_under() -> None:
    # Never change these two: every completion that anybody paid for would be lost to its run.
    assert key(PLAIN) == "71d95e88287e4c315f077bee549d1164f29698158db250677b7a972321df8b15"
    assert key(FULL) == "10f5f6e9b4ae5e381c4a4b199bff3e149cde3d1dc160edf8f987398fbd71bae3"


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    tokens: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class LaterSampling(Sampling):
    presence_penalty: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LaterRequest(Request):
    drafts: int = 0
    budget: Budget = field(default_factory=Budget)


def later(request: Request, **more: object) -> LaterRequest:
    """The request as a version with further fields would make it."""
    given = {name: getattr(request, name) for name in Request.__dataclass_fields__}
    sampling = {name: getattr(request.sampling, name) for name in Sampling.__dataclass_fields__}
    return LaterRequest(**{**given, "sampling": LaterSampling(**sampling), **more})  # type: ignore[arg-type]


def test_a_field_that_a_later_version_adds_leaves_keys_as_they_are_until_it_is_used() -> None:
    assert key(later(PLAIN)) == key(PLAIN)
    assert key(later(FULL)) == key(FULL)
    used = (
        later(FULL, drafts=5),
        later(FULL, budget=Budget(tokens=32)),
        later(FULL, sampling=LaterSampling(presence_penalty=1.5)),
    )
    assert len({key(FULL), *map(key, used)}) == len(used) + 1


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)


def shuffled(value: object, chance: random.Random) -> object:
    """The same JSON value with every object's keys in another order."""
    if isinstance(value, dict):
        items = [(name, shuffled(inner, chance)) for name, inner in value.items()]
        chance.shuffle(items)
        return dict(items)
    return [shuffled(inner, chance) for inner in value] if isinstance(value, list) else value


@given(st.dictionaries(st.text(), json_values, max_size=4), st.randoms(use_true_random=False))
@settings(deadline=None)
def test_a_key_does_not_depend_on_the_order_of_an_objects_keys(
    extras: dict[str, object], chance: random.Random
) -> None:
    def of(extras: object) -> str:
        body = json.loads(json.dumps(extras))
        schema = Schema(name="s", body=body)
        return key(Request(model="m", messages=ASKED, mode=Mode.SYSTEM1, seed=1, extras=body, schema=schema))

    assert of(extras) == of(shuffled(extras, chance))
    assert len(of(extras)) == 64


def test_a_key_depends_on_every_part_of_the_request() -> None:
    request = Request(model="m", messages=ASKED, mode=Mode.SYSTEM1, seed=1)
    others = (
        replace(request, model="n"),
        replace(request, messages=ASKED[1:]),
        replace(request, messages=(ASKED[0], Message("assistant", ASKED[1].content))),
        replace(request, mode=Mode.SYSTEM2),
        replace(request, seed=2),
        replace(request, max_tokens=1),
        replace(request, sampling=Sampling(temperature=0.0)),
        replace(request, sampling=Sampling(top_k=0)),
        replace(request, schema=Schema(name="s", body={})),
        replace(request, extras={"chat_template_kwargs": {"enable_thinking": False}}),
        replace(request, starts_thinking=True),
        replace(request, limit_key="max_completion_tokens"),
        replace(request, think=("((", "))")),
        replace(request, logprobs=0),
        replace(request, logprobs=20),
    )
    assert len({key(request), *map(key, others)}) == len(others) + 1
    assert key(request) == key(replace(request))
