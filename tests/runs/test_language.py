"""A model that was trained for one language of problems refuses others before any call."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from tests.commands import scale
from tests.servers import serving
from tests.web.proxies import MODEL, both

from scale_reasoning import CoT, endpoints, solve
from scale_reasoning.arithmetic.reading import EXAMPLE
from scale_reasoning.engines.catalogue import DEFAULT_MODEL
from scale_reasoning.engines.connection import ModelSpec, find_family
from scale_reasoning.engines.scripted import Scripted
from scale_reasoning.errors import ConfigError
from scale_reasoning.journal import MemoryJournal
from scale_reasoning.runs.attempt import problem_of
from scale_reasoning.web.viewer.replay import StoredAttempt, make_endpoints, replay

OTHER = "Three pens and a ruler cost 11 dollars. The ruler costs 2 dollars. What do 8 pens cost, in dollars?"


@pytest.mark.parametrize(
    "words",
    [
        ["solve", OTHER],
        ["eval", "arithmetic", "--limit", "3"],
        ["eval", "arithmetic", "--limit", "3", "--dry-run"],
        ["sweep", "tau", "0.2", "0.5", "--dataset", "arithmetic", "--limit", "3"],
        ["synth", "--dataset", "arithmetic", "--limit", "3", "--out", "traces"],
    ],
)
def test_the_student_refuses_before_it_is_fetched_and_names_the_default_model(tmp_path: Path, words: list[str]) -> None:
    done = scale(*words, "--model", "student", env={"XDG_CACHE_HOME": str(tmp_path)}, folder=tmp_path)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert done.stderr.startswith("scale: error: student was trained only for chains of arithmetic in letters")
    assert done.stderr.endswith(f"--model {DEFAULT_MODEL}, or of the dataset arithmetic --level laptop\n")
    assert list(tmp_path.iterdir()) == []


def test_it_refuses_as_system_1_of_another_model_too() -> None:
    with serving() as server:
        at = ["--base-url", server.base_url, "--model", "q", "--system1-model", "student"]
        assert "student was trained only" in scale("solve", *at, OTHER).stderr
        assert server.paths == []


def test_a_model_of_the_same_name_on_a_server_is_another_model() -> None:
    for name in ("Student", "their/student"):
        assert find_family(ModelSpec(model=name, base_url="http://127.0.0.1:9/v1")).language == ""
    assert find_family(ModelSpec(model="student")).name == "student"


def test_from_python_the_strategy_is_not_even_begun() -> None:
    engine = Scripted([("", r"\boxed{4}")])
    with pytest.raises(ConfigError, match="chains of arithmetic in letters"):
        asyncio.run(solve(OTHER, CoT(), endpoints=endpoints(engine, "student")))
    assert engine.requests == []
    record = asyncio.run(solve(EXAMPLE, CoT(), endpoints=endpoints(engine, "student")))
    assert record.solution is not None


@pytest.mark.parametrize("stream", [False, True])
def test_a_client_of_the_proxy_gets_a_400_and_the_server_no_call(*, stream: bool) -> None:
    with both(profile="student") as (proxy, server):
        server.bodies.clear()
        answer = proxy.ask(stream=stream, messages=[{"role": "user", "content": OTHER}])
        assert (answer.status, server.bodies) == (400, [])
        error = answer.json["error"]
        assert (error["type"], error["code"], error["param"]) == ("invalid_request_error", "config", "model")
        assert f"--model {DEFAULT_MODEL}" in error["message"]
        assert proxy.ask(f"{MODEL}@cot", messages=[{"role": "user", "content": EXAMPLE}]).status == 200


def test_what_was_run_before_is_shown_all_the_same() -> None:
    stored = StoredAttempt(
        problem=problem_of(OTHER),
        strategy=CoT(),
        endpoints=make_endpoints(ModelSpec(model="student")),
        journal=MemoryJournal(),
        sample=0,
        seed=0,
    )
    assert asyncio.run(replay(stored)).missing == "solve"
