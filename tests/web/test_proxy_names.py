"""What a model's name asks for, and which options a client may turn."""

from __future__ import annotations

import pytest

from scale_reasoning.profiles import EFFORTS
from scale_reasoning.strategies.allocators.escalate import Escalate
from scale_reasoning.strategies.allocators.last import LastThinks
from scale_reasoning.strategies.allocators.threshold import Threshold
from scale_reasoning.strategies.allocators.within import Within
from scale_reasoning.strategies.assessors.agreement import Agreement
from scale_reasoning.strategies.cot import CoT
from scale_reasoning.strategies.inftythink import InftyThink
from scale_reasoning.strategies.scale import Scale
from scale_reasoning.strategies.vote import Vote
from scale_reasoning.web.proxy.names import Name, cap_tokens, parse, strategy_of
from scale_reasoning.web.proxy.refusals import Refusal


def deep(levels: int) -> dict[str, object]:
    """Allocators over one another."""
    return {"name": "last-thinks", **({"then": deep(levels - 1)} if levels else {})}


SERVED = "org/model@2"


@pytest.mark.parametrize(
    ("written", "name"),
    [
        (SERVED, Name(SERVED)),
        ("other", Name("other")),
        ("other@home", Name("other@home")),
        (f"{SERVED}@scale", Name(SERVED, "scale")),
        (f"{SERVED}@vote:samples=4,base=scale", Name(SERVED, "vote", ("samples=4", "base=scale"))),
        (f"{SERVED}@cot:", Name(SERVED, "cot")),
        (f"{SERVED}@scale:content=all,tau=0.3", Name(SERVED, "scale", ("tau=0.3",), ("all",))),
        (f"{SERVED}@cot:content=", Name(SERVED, "cot", (), ("",))),
    ],
)
def test_a_name_is_the_model_itself_or_a_strategy_over_the_served_one(written: str, name: Name) -> None:
    assert parse(written, SERVED) == name


@pytest.mark.parametrize("written", [f"{SERVED}@scal", f"{SERVED}@", "other@scale", "other@vote:samples=2"])
def test_a_strategy_that_is_not_there_is_not_found_and_never_passed_through(written: str) -> None:
    with pytest.raises(Refusal) as refused:
        parse(written, SERVED)
    assert (refused.value.status, refused.value.code, refused.value.param) == (404, "model_not_found", "model")


def test_the_strategy_of_a_policy_has_a_name_where_the_server_has_a_policy() -> None:
    assert parse(f"{SERVED}@tuned", SERVED, tuned=True) == Name(SERVED, "tuned")
    assert strategy_of(Name(SERVED, "tuned"), {}, tuned=Vote(samples=2)) == Vote(samples=2)
    with pytest.raises(Refusal, match="no policy") as refused:
        parse(f"{SERVED}@tuned", SERVED)
    assert (refused.value.status, refused.value.code) == (404, "model_not_found")


@pytest.mark.parametrize(
    ("options", "settings", "effort", "param"),
    [(("samples=2",), {}, None, "model"), ((), {"tau": 0.2}, None, "scale"), ((), {}, "low", "reasoning_effort")],
)
def test_a_policy_is_a_whole_strategy(
    options: tuple[str, ...], settings: dict[str, object], effort: str | None, param: str
) -> None:
    with pytest.raises(Refusal, match="takes no options") as refused:
        strategy_of(Name(SERVED, "tuned", options), settings, effort, tuned=CoT())
    assert (refused.value.status, refused.value.param) == (400, param)


def test_options_come_from_the_name_and_from_the_body_and_read_as_on_the_command_line() -> None:
    made = strategy_of(
        Name("m", "scale", ("tau=0.3", "system2-max-tokens=99")), {"candidates": 2, "route": "last-thinks"}
    )
    assert made == Scale(route=LastThinks(then=Threshold(tau=0.3)), system2_max_tokens=99, candidates=2)


ESCALATE = Scale(route=Escalate(accept=0.5))


@pytest.mark.parametrize(
    ("options", "settings", "made"),
    [
        (("route=escalate", "accept=0.5"), {}, ESCALATE),
        (("accept=0.5", "route=escalate"), {}, ESCALATE),
        (("route=escalate",), {"accept": 0.5}, ESCALATE),
        ((), {"route": {"name": "escalate", "accept": 0.5}}, ESCALATE),
        ((), {"route": {"tau": 0.2}}, Scale(route=Threshold(tau=0.2))),
        (("assess=agreement",), {}, Scale(assess=Agreement())),
        ((), {"assess": {"name": "agreement", "drafts": 2}}, Scale(assess=Agreement(drafts=2))),
        ((), {"route": {"name": "within", "tokens": 900, "then": {"name": "escalate", "accept": 0.5}}},
         Scale(route=Within(tokens=900, then=Escalate(accept=0.5)))),
    ],
)  # fmt: skip
def test_an_allocator_is_a_name_with_options_beside_it_or_a_table(
    options: tuple[str, ...], settings: dict[str, object], made: Scale
) -> None:
    assert strategy_of(Name("m", "scale", options), settings) == made


def test_a_table_may_be_the_strategy_under_another() -> None:
    made = strategy_of(Name("m", "vote"), {"samples": 2, "base": {"name": "scale", "route": {"name": "escalate"}}})
    assert made == Vote(samples=2, base=Scale(route=Escalate()))


def test_an_option_of_the_strategy_under_another_is_reached_by_base() -> None:
    made = strategy_of(Name("m", "vote", ("samples=2", "base=scale", "base.tau=0.2")), {})
    assert made == Vote(samples=2, base=Scale(route=Threshold(tau=0.2)))


def test_reasoning_effort_sets_tau_of_scale() -> None:
    assert strategy_of(Name("m", "scale"), {}, "high") == Scale(route=Threshold(tau=0.2))
    by_family = {"high": {"route": "escalate", "accept": 0.5}}
    assert strategy_of(Name("m", "scale"), {}, "high", by_family) == Scale(route=Escalate(accept=0.5))


@pytest.mark.parametrize(
    ("options", "settings"), [(("effort=high",), {}), ((), {"effort": "high"}), (("effort=high", "candidates=8"), {})]
)
def test_effort_is_an_option_too(options: tuple[str, ...], settings: dict[str, object]) -> None:
    candidates = 8 if len(options) > 1 else None
    made = Scale(route=Threshold(tau=0.2), candidates=candidates)
    assert strategy_of(Name("m", "scale", options), settings) == made
    by_family = {"high": {"route": "escalate", "accept": 0.5}}
    made = Scale(route=Escalate(accept=0.5), candidates=candidates)
    assert strategy_of(Name("m", "scale", options), settings, None, by_family) == made


@pytest.mark.parametrize(
    ("name", "settings", "effort", "param"),
    [
        (Name("m", "scale", ("effort=xhigh",)), {}, None, "model"),
        (Name("m", "scale", ("effort=",)), {}, None, "model"),
        (Name("m", "scale", ("effort",)), {}, None, "model"),
        (Name("m", "cot", ("effort=high",)), {}, None, "model"),
        (Name("m", "scale"), {"effort": 3}, None, "scale.effort"),
        (Name("m", "scale"), {"effort": ["high"]}, None, "scale.effort"),
        (Name("m", "scale", ("effort=high", "tau=0.2")), {}, None, "model"),
        (Name("m", "scale", ("effort=high", "effort=low")), {}, None, "model"),
        (Name("m", "scale", ("effort=high",)), {"effort": "high"}, None, "scale.effort"),
        (Name("m", "scale", ("effort=high",)), {}, "high", "reasoning_effort"),
        (Name("m", "scale", ("tau=2",)), {}, None, "model"),
        (Name("m", "scale", ("tau",)), {}, None, "model"),
        (Name("m", "scale", ("treshold=1",)), {}, None, "model"),
        (Name("m", "scale", ("tau=0.1", "tau=0.2")), {}, None, "model"),
        (Name("m", "scale", ("tau=0.1",)), {"tau": 0.1}, None, "scale.tau"),
        (Name("m", "scale"), {"tau": "high"}, None, "scale"),
        (Name("m", "scale"), {"tau": None}, None, "scale.tau"),
        (Name("m", "scale"), {"tau": 0.1}, "low", "reasoning_effort"),
        (Name("m", "scale"), {}, "xhigh", "reasoning_effort"),
        (Name("m", "cot"), {}, "high", "reasoning_effort"),
        (Name("m", "scale"), {"candidates": 65}, None, "scale"),
        (Name("m", "scale", ("candidates=65",)), {}, None, "model"),
        (Name("m", "vote"), {"samples": 10**9}, None, "scale"),
        (Name("m", "vote"), {"base": "scale", "base.candidates": 65}, None, "scale"),
        (Name("m", "vote"), {"base": "vote"}, None, "scale.base"),
        (Name("m", "vote"), {"base": {"name": "vote"}}, None, "scale.base"),
        (Name("m", "scale"), {"prompts": "/etc/passwd"}, None, "scale.prompts"),
        (Name("m", "vote"), {"base": {"name": "scale", "prompts": "/etc/passwd"}}, None, "scale.base.prompts"),
        (Name("m", "vote"), {"base": {"name": "scale", "route": {"name": "escalate", "drafts": 17}}}, None, "scale"),
        (Name("m", "scale", ("route=escalate", "drafts=17")), {}, None, "model"),
        (Name("m", "scale"), {"route": {"name": "escalate", "drafts": 17}}, None, "scale"),
        (Name("m", "scale"), {"assess": {"name": "agreement", "drafts": 17}}, None, "scale"),
        (
            Name("m", "scale"),
            {"assess": {"name": "calibrated", "of": {"name": "agreement", "drafts": 17}}},
            None,
            "scale",
        ),
        (Name("m", "scale"), {"route": {"name": {"name": "escalate"}}}, None, "scale.route"),
        (Name("m", "scale"), {"route": {"name": "escalate"}, "route.accept": 2}, None, "scale"),
        (Name("m", "scale", ("accept=0.5",)), {"route": {"name": "escalate", "accept": 0.5}}, None, "scale"),
        (Name("m", "scale"), {"candidates": {"name": "many"}}, None, "scale"),
        (Name("m", "scale"), {"candidates": {"most": 4}}, None, "scale"),
        (Name("m", "scale"), {"route": deep(9)}, None, "scale"),
        (Name("m", "vote", ("base.prompts=/etc/passwd",)), {}, None, "model"),
    ],
)
def test_an_option_is_refused_by_name(name: Name, settings: dict[str, object], effort: str | None, param: str) -> None:
    with pytest.raises(Refusal) as refused:
        strategy_of(name, settings, effort)
    assert (refused.value.status, refused.value.param) == (400, param)


BY_FAMILY = {"high": {"route": "escalate", "accept": 0.5}}


@pytest.mark.parametrize(
    ("options", "settings", "effort", "efforts", "told"),
    [
        (("effort=high", "tau=0.2"), {}, None, EFFORTS, "model: effort and tau both set tau; give one of them"),
        (("tau=0.2",), {"effort": "high"}, None, EFFORTS,
         "scale.effort: effort and tau both set tau; give one of them"),
        (("route.tau=0.2",), {}, "low", EFFORTS,
         "reasoning_effort: reasoning_effort and route.tau both set tau; give one of them"),
        (("effort=high",), {}, "high", EFFORTS,
         "reasoning_effort: reasoning_effort and effort both set tau; give one of them"),
        (("effort=high", "effort=low"), {}, None, EFFORTS, "model: effort is set twice"),
        (("effort=high", "route=threshold"), {}, None, BY_FAMILY,
         "model: effort and route both set route; give one of them"),
        (("effort=high", "accept=0.4"), {}, None, BY_FAMILY,
         "model: effort and accept both set accept; give one of them"),
        (("effort=high", "route.accept=0.4"), {}, None, BY_FAMILY,
         "model: effort and route.accept both set accept; give one of them"),
        (("effort=high", "route=escalate"), {}, None, EFFORTS,
         "model: effort sets tau, which the other options leave no place for"),
        (("tau=0.1", "tau=0.2"), {}, None, EFFORTS, "model: tau is set twice"),
        (("tau=0.1",), {"route": {"tau": 0.2}}, None, EFFORTS,
         "scale.route.tau: route.tau and tau both set route.tau; give one of them"),
    ],
)  # fmt: skip
def test_what_is_set_twice_is_told_in_the_clients_own_words(
    options: tuple[str, ...],
    settings: dict[str, object],
    effort: str | None,
    efforts: dict[str, dict[str, object]],
    told: str,
) -> None:
    with pytest.raises(Refusal) as refused:
        strategy_of(Name("m", "scale", options), settings, effort, efforts)
    assert refused.value.message == told


def test_a_limit_of_tokens_holds_for_every_solution_and_lowers_limits_only() -> None:
    assert cap_tokens(CoT(), 100) == CoT(system1_max_tokens=100, system2_max_tokens=100)
    assert cap_tokens(Scale(system2_max_tokens=50), 100) == Scale(system1_max_tokens=100, system2_max_tokens=50)
    assert cap_tokens(Vote(samples=2), 7) == Vote(samples=2, base=CoT(system1_max_tokens=7, system2_max_tokens=7))
    assert cap_tokens(InftyThink(), 3000) == InftyThink(round_max_tokens=3000, summary_max_tokens=2048)
