"""An option is described once: adding a strategy is one file and one row, and everything else follows."""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal, cast

import pytest
from tests.servers import serving

from scale_reasoning.cli import main
from scale_reasoning.errors import ConfigError
from scale_reasoning.lm import LM
from scale_reasoning.strategies import STRATEGIES, flags, make
from scale_reasoning.strategies.options import check_options, count, option, options_of, token_limit
from scale_reasoning.strategies.scale import Scale
from scale_reasoning.types import Message, Mode, Problem, Solution, Step
from scale_reasoning.web.proxy.names import cap_tokens, parse, strategy_of
from scale_reasoning.web.proxy.refusals import Refusal

Capture = pytest.CaptureFixture[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Again:
    """Asks `times` times and keeps the last answer."""

    times: int = count(2, "how often the question is asked", flag=True, client_most=5)
    tone: Literal["plain", "polite"] = option("plain", "how it is asked")
    share: float = option(0.5, "a share", low=0, high=1)
    reply_tokens: int | None = token_limit(None, "new tokens of a reply")

    def __post_init__(self) -> None:
        check_options(self)

    def most_calls(self) -> int:
        return self.times

    async def solve(self, problem: Problem, lm: LM) -> Solution:
        for number in range(1, self.times + 1):
            messages = (Message("user", f"{problem.text} ({self.tone})"),)
            completion = await lm.at(f"time{number}").chat(messages, mode=Mode.SYSTEM2, final=True)
        step = Step(
            subproblem=problem.text, difficulty=None, mode=Mode.SYSTEM2, text=completion.text,
            reasoning=completion.reasoning, finish_reason=completion.finish_reason, usage=completion.usage,
        )  # fmt: skip
        return Solution(answer="12", steps=(step,))


@pytest.fixture(autouse=True)
def row(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The one row, and a working directory."""
    monkeypatch.setitem(STRATEGIES, "again", Again)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    Path("mine.jsonl").write_text('{"id": "a", "problem": "How much is 6 and 6?", "answer": "12"}\n')


def test_the_flag_and_its_help_are_there(capsys: Capture) -> None:
    assert flags()["times"].strategies == ("again",)
    with pytest.raises(SystemExit):
        main(["solve", "--help"])
    assert "how often the question is asked (again; default 2)" in " ".join(capsys.readouterr().out.split())


def test_flags_set_and_names_reach_its_options(capsys: Capture) -> None:
    with serving() as server:
        at = ["--base-url", server.base_url, "--model", "q", "How much is 6 and 6?"]
        assert main(["solve", "--strategy", "again", "--times", "3", "--set", "tone=polite", "--json", *at]) == 0
        record = json.loads(capsys.readouterr().out)
        assert (record["strategy"]["times"], record["strategy"]["tone"], len(record["calls"])) == (3, "polite", 3)
        assert main(["eval", "mine.jsonl", "--strategy", "again:times=4", "--out", "run", *at[:-1]]) == 0
    assert main(["report", "run", "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["knobs"]["times"] == 4


def test_the_dry_run_prints_its_bound(capsys: Capture) -> None:
    assert main(["eval", "mine.jsonl", "--strategy", "again:times=4", "--model", "q", "--base-url", "http://x/v1",
                 "--dry-run"]) == 0  # fmt: skip
    assert "at most 4 calls each" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"times": 0}, "times = 0: must be at least 1"),
        ({"share": 1.5}, "share = 1.5: must be from 0 to 1"),
        (
            {"NEEDS_BOTH_MODES": 1},
            "strategy again has no option 'NEEDS_BOTH_MODES'; it has: times, tone, share, reply_tokens",
        ),
        (
            {"time": 3},
            "strategy again has no option 'time' (did you mean times?); it has: times, tone, share, reply_tokens",
        ),
    ],
)
def test_a_wrong_value_is_named_with_what_is_allowed(settings: dict[str, int | float], message: str) -> None:
    with pytest.raises(ConfigError) as error:
        make("again", settings)
    assert str(error.value) == message
    with pytest.raises(ConfigError, match="tone = 'rude': must be one of plain, polite"):
        Again(tone="rude")  # type: ignore[arg-type]


def test_the_proxy_serves_it_within_its_bounds() -> None:
    assert strategy_of(parse("q@again:times=5", "q"), {"tone": "polite"}) == Again(times=5, tone="polite")
    with pytest.raises(Refusal, match="times = 6: at most 5 here"):
        strategy_of(parse("q@again:times=6", "q"), {})
    assert cap_tokens(Again(), 7) == Again(reply_tokens=7)
    with pytest.raises(Refusal, match="on @scale, @cascade only"):
        strategy_of(parse("q@again", "q"), {}, "high")


def test_every_option_of_every_strategy_is_described() -> None:
    for name, shape in STRATEGIES.items():
        described = set(options_of(shape))
        assert described == {each.name for each in fields(shape)}, name
        assert all(each.help and not each.help.endswith(".") for each in options_of(shape).values())


def test_an_option_that_may_be_left_to_the_family_still_has_its_choices() -> None:
    assert options_of(Scale)["steps_see"].choices == ("problem", "facts")
    with pytest.raises(ConfigError, match="steps_see = 'all': must be one of problem, facts"):
        Scale(steps_see=cast("Any", "all"))
    with pytest.raises(ConfigError, match="answers = 'strict': must be one of any, boxed"):
        make("cot", {"answers": "strict"})
