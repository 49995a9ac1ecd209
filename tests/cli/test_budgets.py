"""Thinking budgets as a user asks for them: what is sent, what is said at the start, what records and reports say."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cli.test_evaluate import problems
from tests.cli.test_solve import PROBLEM
from tests.commands import scale
from tests.servers import ModelServer, serving

SAID = "no server enforces the thinking budget of Qwen3-8B (kind of server ollama: no key for it)"


def at(server: ModelServer, kind: str) -> tuple[str, ...]:
    return ("--base-url", server.base_url, "--model", "Qwen3-8B", "--server", kind, "--thinking-budget", "99")


def test_a_budget_that_no_server_enforces_is_said_once_at_the_start_of_a_run(tmp_path: Path) -> None:
    with serving() as server:
        words = ("--strategy", "cot", "--samples", "2", *at(server, "ollama"))
        done = scale("eval", str(problems(tmp_path, 2)), "--out", str(tmp_path / "run"), *words)
        assert done.returncode == 0, done.stderr
        assert {body["max_tokens"] for body in server.bodies} == {99}
    assert done.stderr.count(SAID) == 1
    report = scale("report", str(tmp_path / "run"))
    assert "thinking budgets (99): enforced by second call" in report.stdout


def test_a_budget_that_the_server_enforces_is_sent_and_recorded() -> None:
    with serving() as server:
        done = scale("solve", "--json", "--strategy", "cot", *at(server, "sglang"), PROBLEM)
        (body,) = server.bodies
    assert body["custom_params"] == {"thinking_budget": 99}
    assert "no server enforces" not in done.stderr
    assert json.loads(done.stdout)["solution"]["steps"][0]["budget_by"] == "server"


def test_solve_says_it_too() -> None:
    with serving() as server:
        done = scale("solve", "--strategy", "cot", *at(server, "ollama"), PROBLEM)
    assert SAID in done.stderr


def test_a_limit_above_the_familys_is_said_at_the_start(tmp_path: Path) -> None:
    said = "system2 of Qwen3-8B writes at most 32,768 new tokens, the limit of its family, not 40,000"
    with serving() as server:
        model = ("--strategy", "vote", "--base-url", server.base_url, "--model", "Qwen3-8B", "--window", "100000")
        solved = scale("solve", "--system2-max-tokens", "40000", *model, PROBLEM)
        assert {body["max_tokens"] for body in server.bodies} == {32768}
        words = ("--samples", "1", "--out", str(tmp_path / "run"))
        done = scale("eval", str(problems(tmp_path, 2)), "--set", "base.system2_max_tokens=40000", *words, *model)
        within = scale("solve", "--system2-max-tokens", "32768", *model, PROBLEM)
    assert done.returncode == 0, done.stderr
    assert solved.stderr.count(said) == done.stderr.count(said) == 1
    assert "the limit of its family" not in within.stderr


def test_budgets_are_swept_as_any_option_is(tmp_path: Path) -> None:
    with serving() as server:
        words = ("--dataset", str(problems(tmp_path, 2)), "--strategy", "cot", "--samples", "1", "--server", "sglang",
                 "--base-url", server.base_url, "--model", "Qwen3-8B", "--out", str(tmp_path / "run"))  # fmt: skip
        done = scale("sweep", "thinking-budget", "64", "128", *words)
        assert done.returncode == 0, done.stderr
        assert sorted(body["custom_params"]["thinking_budget"] for body in server.bodies) == [64, 64, 128, 128]
