"""`--max-tokens-total` and `--max-cost` as a user meets them: a run on a real server stops, and a resume goes on."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from tests.cli.test_evaluate import problems, rows_of
from tests.commands import scale
from tests.runs.simulated import content
from tests.servers import reply_to, serving, stream, thinks

PRICES = 'currency = "USD"\n[all]\nmatch = ["qwen3"]\nprompt = 100\ncached = 10\ncompletion = 1000\n'
CALL = (20 * 100 + 30 * 10 + 10 * 1000) / 1e6
"""What a call to the server costs: 50 prompt tokens, 30 of them cached, and 10 new ones."""


async def slow(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
    """Answers after a moment, so that calls are in flight together."""
    await asyncio.sleep(0.01)
    return await stream(request, reply_to(body), thinking=thinks(body))


def test_an_evaluation_stops_at_its_cap_says_what_is_left_and_goes_on_with_more(tmp_path: Path) -> None:
    file, out = problems(tmp_path), str(tmp_path / "run")
    with serving(slow) as server:
        at = ("--base-url", server.base_url, "--model", "Qwen/Qwen3-32B")
        words = ("eval", str(file), "--samples", "2", "--tau", "0.5", *at)
        done = scale(*words, "--out", out, "--in-flight", "4", "--max-tokens-total", "300")
        assert done.returncode == 1, done.stderr
        assert 30 <= len(server.bodies) < 30 + 4
        pending = rows_of(out)[0]["owed"]
        assert pending > 0
        why = f"the run has paid for {10 * len(server.bodies)} new tokens, and its cap is 300 new tokens"
        assert f"{pending} attempts are pending, because {why}: " in done.stderr
        assert f": scale eval --resume {out} --max-tokens-total {20 * len(server.bodies)}" in done.stderr
        calls = len(server.bodies)
        again = scale("eval", "--resume", out, "--max-tokens-total", "300")
        assert again.returncode == 1
        assert len(server.bodies) == calls
        assert scale("eval", "--resume", out, "--max-tokens-total", "100000").returncode == 0
        assert len(server.bodies) == 4 * 2 * 13
        assert scale(*words, "--out", str(tmp_path / "whole")).returncode == 0
    assert content(tmp_path / "run") == content(tmp_path / "whole")
    assert json.loads((tmp_path / "run" / "manifest.json").read_text())["cells"]
    assert "max_tokens_total" not in (tmp_path / "run" / "manifest.json").read_text()


def test_a_sweep_stops_at_its_cap_on_money(tmp_path: Path) -> None:
    file, out, prices = problems(tmp_path), tmp_path / "sweep", tmp_path / "prices.toml"
    prices.write_text(PRICES)
    with serving() as server:
        done = scale(
            "sweep", "tau", "0.1", "0.9", "--dataset", str(file), "--samples", "1", "--out", str(out),
            "--base-url", server.base_url, "--model", "Qwen/Qwen3-32B", "--in-flight", "1",
            "--max-cost", str(10 * CALL), "--prices", str(prices),
        )  # fmt: skip
        assert done.returncode == 1, done.stderr
        assert len(server.bodies) == 10
    assert f"--resume {out} --max-cost {20 * CALL:g} --prices {prices}" in done.stderr
    assert "USD" in done.stderr


def test_a_synthesis_that_stops_at_its_cap_keeps_its_traces_and_names_its_own_resume(tmp_path: Path) -> None:
    file, out = problems(tmp_path), str(tmp_path / "traces")
    with serving() as server:
        at = ("--base-url", server.base_url, "--model", "Qwen/Qwen3-32B", "--in-flight", "1")
        done = scale("synth", "--dataset", str(file), "--samples", "1", "--out", out, *at, "--attempts-in-flight", "1",
                     "--max-tokens-total", "200")  # fmt: skip
        assert done.returncode == 1, done.stderr
        assert len(server.bodies) == 20
        assert f"scale synth --resume {out} --max-tokens-total 400" in done.stderr
        assert "1 trace in" in done.stdout
        assert scale("synth", "--resume", out, "--max-tokens-total", "100000", "--overwrite").returncode == 0
        assert len(server.bodies) == 4 * 13


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("--max-cost", "1"), "--max-cost 1: needs --prices FILE"),
        (("--prices", "1,1,1"), "--prices: a run needs prices only for --max-cost"),
        (("--max-cost", "0", "--prices", "1,1,1"), "--max-cost 0: must be more than 0"),
        (("--max-cost", "nan", "--prices", "1,1,1"), "must be more than 0"),
        (("--max-tokens-total", "0"), "at least 1"),
        (("--max-cost", "1", "--prices", "PRICES"), "no price for other in System 2"),
    ],
)
def test_caps_that_cannot_be_meant_are_refused_before_a_run_begins(
    tmp_path: Path, words: tuple[str, ...], named: str
) -> None:
    file, prices, out = problems(tmp_path), tmp_path / "prices.toml", tmp_path / "run"
    prices.write_text(PRICES)
    words = tuple(str(prices) if word == "PRICES" else word for word in words)
    with serving() as server:
        done = scale("eval", str(file), "--base-url", server.base_url, "--model", "other", "--out", str(out), *words)
        assert server.bodies == []
    assert done.returncode == 2
    assert named in done.stderr
    assert not out.exists()


def test_a_dry_run_asks_no_server_for_the_model_that_its_cap_is_about(tmp_path: Path) -> None:
    words = ("--base-url", "http://127.0.0.1:9/v1", "--max-cost", "1", "--prices", "1,1,1", "--dry-run")
    done = scale("eval", str(problems(tmp_path)), *words)
    assert done.returncode == 0, done.stderr


def test_traces_from_existing_runs_take_no_cap(tmp_path: Path) -> None:
    refused = scale("synth", "--from", str(tmp_path), "--out", str(tmp_path / "t"), "--max-tokens-total", "5")
    assert refused.returncode == 2
    assert "--max-tokens-total: --from makes no calls" in refused.stderr


def test_a_budget_for_each_problem_is_an_allocator_that_caps_its_solutions(tmp_path: Path) -> None:
    file, out = problems(tmp_path, 1), str(tmp_path / "run")
    with serving() as server:
        at = ("--base-url", server.base_url, "--model", "Qwen/Qwen3-32B", "--samples", "1")
        words = ("--route", "within", "--set", "route.tokens=150", "--set", "route.reserve=5", "--tau", "0.2")
        done = scale("eval", str(file), *at, *words, "--set", "route.then=threshold", "--out", out)
        assert done.returncode == 0, done.stderr
        solved = [body["max_tokens"] for body in server.bodies if "response_format" not in body]
    assert solved == [150 - 90 - 5, 150 - 110]
    (row,) = rows_of(out)
    assert (row["knobs"]["route"], row["knobs"]["tokens"]) == ("within", 150)


def test_the_budget_for_each_problem_can_be_swept(tmp_path: Path) -> None:
    file, out = problems(tmp_path, 1), str(tmp_path / "sweep")
    with serving() as server:
        at = ("--base-url", server.base_url, "--model", "Qwen/Qwen3-32B", "--samples", "1", "--out", out)
        words = ("--dataset", str(file), "--route", "within", "--set", "route.reserve=5")
        done = scale("sweep", "route.tokens", "150", "4000", *words, *at)
        assert done.returncode == 0, done.stderr
    assert [row["knobs"]["tokens"] for row in rows_of(out)] == [150, 4000]
