"""`scale tune` as a user runs it: rounds on a server with planted accuracies, the table, the advice, the policy."""

from __future__ import annotations

import json
import re
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from tests.commands import SCALE, scale
from tests.patience import until
from tests.servers import ModelServer, reply_to, send, serving, stream, thinks

from scale_reasoning.runs.policy_file import read_policy
from scale_reasoning.runs.store import reading

MODEL = "Qwen/Qwen3-32B"
COUNT = 60


def problems(folder: Path, count: int = COUNT) -> Path:
    file = folder / "mine.jsonl"
    rows = [{"id": f"m{n}", "problem": f"Problem {n}: what do pens cost?", "answer": "12"} for n in range(count)]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


async def answer(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
    """System 2 solves two problems of three, System 1 one of six; a limit of 777 tokens solves all."""
    said = body["messages"][-1]["content"]
    number = int(found[1]) if (found := re.search(r"Problem (\d+):", json.dumps(body["messages"]))) else 0
    if "response_format" in body:
        return await stream(request, reply_to(body))
    right = body.get("max_tokens") == 777 or (number % 3 > 0 if thinks(body) else number % 6 == 1)
    text = f"It is \\boxed{{{12 if right else 100 + len(said)}}}."
    return await stream(request, text, thinking=thinks(body))


OWN = """
[[strategies]]
name = "cot"
mode = "system1"

[[strategies]]
name = "cot"
system2_max_tokens = 777

[[strategies]]
name = "scale"
candidates = 1
route = ["system1", "system2"]
assess = ["rated", "draft"]
"""


def own(folder: Path, text: str = OWN) -> str:
    (folder / "own.toml").write_text(text)
    return str(folder / "own.toml")


def at(server: ModelServer) -> tuple[str, ...]:
    return ("--base-url", server.base_url, "--model", MODEL)


def rows_of(out: str) -> dict[int, dict[str, Any]]:
    return {row["row"]: row for row in json.loads(out)["rows"]}


def test_the_planted_best_is_chosen_and_written_as_a_policy_and_losers_cost_little(tmp_path: Path) -> None:
    run, out = tmp_path / "run", tmp_path / "policy.toml"
    with serving(answer) as server:
        done = scale("tune", "--dataset", str(problems(tmp_path)), "--strategies", own(tmp_path), "--no-reuse",
                     "--run", str(run), "--out", str(out), *at(server))  # fmt: skip
        calls = len(server.bodies)
        assert done.returncode == 0, done.stderr
        again = scale("tune", "--resume", str(run), "--format", "json")
        assert again.returncode == 0, again.stderr
        assert len(server.bodies) == calls
    lacking = (
        "left out, because the server gives no log-probabilities: scale (route system1, candidates 1, assess draft)"
    )
    assert lacking in done.stderr
    assert "round 1 of 3: 5 candidates on 16 problems" in done.stderr
    assert done.stdout.splitlines()[-1].startswith("Use cot (system2_max_tokens 777): it is ")
    rows = rows_of(again.stdout)
    assert [row["candidate"] for row in rows.values()][:2] == ["cot", "cot (system2_max_tokens 777)"]
    assert (rows[3]["on"], rows[3]["measured"]["acc"], rows[3]["drop"]) == ("held out", 1.0, None)
    assert rows[2]["drop"]["reason"] == "worse"
    assert rows[2]["measured"]["problems"] == 16
    policy = read_policy(out)
    assert policy.strategy["system2_max_tokens"] == 777
    assert (policy.model, policy.prompts.keys(), policy.servers.keys()) == (MODEL, {"cot"}, {MODEL})
    assert policy.evidence["problems"] == 20
    assert str(policy.evidence["advice"]) in done.stdout


def test_a_dropped_candidate_has_no_pending_attempts_in_the_report(tmp_path: Path) -> None:
    run = tmp_path / "run"
    with serving(answer) as server:
        done = scale("tune", "--dataset", str(problems(tmp_path)), "--strategies", own(tmp_path), "--no-reuse",
                     "--run", str(run), *at(server))  # fmt: skip
        assert done.returncode == 0, done.stderr
    report = scale("report", str(run), "--format", "json")
    assert report.returncode == 0, report.stdout
    assert f"{run}: scale tune made this run and ended rows where they were beaten" in report.stderr
    planned = {row["row"]: (row["planned"], row["completed"], row["owed"]) for row in json.loads(report.stdout)}
    assert planned[2] == (16, 16, 0)
    assert planned[3][0] >= 36
    assert all(each[2] == 0 for each in planned.values())
    certified = scale("calibrate", str(run))
    assert (certified.returncode, "ended rows where they were beaten" in certified.stderr) == (2, True)
    resumed = scale("eval", "--resume", str(run))
    assert resumed.returncode == 2
    assert f"scale tune --resume {run}" in resumed.stderr


@pytest.mark.slow
def test_a_tuning_that_was_killed_decides_as_one_that_was_not(tmp_path: Path) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    with serving(answer) as server:
        words = ("tune", "--dataset", str(problems(tmp_path)), "--strategies", own(tmp_path), *at(server))
        expected = scale(*words, "--run", str(whole), "--format", "json")
        assert expected.returncode == 0, expected.stderr
        before = len(server.bodies)
        started = subprocess.Popen([*SCALE, *words, "--run", str(killed), "--attempts-in-flight", "2"],
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # fmt: skip
        until(lambda: len(server.bodies) > before + 150)
        started.send_signal(signal.SIGKILL)
        started.wait()
        done = scale("tune", "--resume", str(killed), "--format", "json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == json.loads(expected.stdout)
    with reading(whole) as one, reading(killed) as other:
        assert one.done() == other.done()
        assert one.manifest.tuning == other.manifest.tuning


def test_without_system_2_chain_of_thought_is_in_system_1_and_what_needs_it_is_left_out(tmp_path: Path) -> None:
    families = tmp_path / "families.toml"
    families.write_text('[plain]\nmatch = ["plain"]\n[plain.system1]\nmax_tokens = 100\n')
    words = ("tune", "--dataset", str(problems(tmp_path)), "--profiles", str(families), "--model", "plain")
    with serving(answer) as server:
        planned = scale(*words, "--base-url", server.base_url, "--dry-run")
        assert planned.returncode == 0, planned.stderr
        assert "left out, because the model has no System 2: cot; " in planned.stderr
        assert "  cot (mode system1): 60 attempts, at most 2 calls each" in planned.stdout.splitlines()[0]
        only = scale(*words, "--base-url", server.base_url, "--strategies",
                     own(tmp_path, '[[strategies]]\nname = "scale"'))  # fmt: skip
    assert only.returncode == 2
    assert "only one candidate is left, so there is nothing to choose" in only.stderr
    assert server.bodies == []


def test_a_dry_run_prints_candidates_rounds_and_the_most_calls(tmp_path: Path) -> None:
    with serving(answer) as server:
        done = scale("tune", "--dataset", str(problems(tmp_path)), "--dry-run", *at(server))
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == 20 + 3
    assert "  cot: 60 attempts, at most 2 calls each" in lines[0]
    assert "in all 1,200 attempts, at most " in lines[20]
    assert "rounds of 16, 32, 40 problems, then 20 that are held out" in lines[21]
    assert server.paths == []


def test_a_limit_that_nothing_keeps_writes_no_policy(tmp_path: Path) -> None:
    out = tmp_path / "policy.toml"
    with serving(answer) as server:
        done = scale("tune", "--dataset", str(problems(tmp_path, 24)), "--strategy", "cot", "--strategy",
                     "cot:mode=system1", "--tokens", "3", "--run", str(tmp_path / "run"), "--out", str(out),
                     *at(server))  # fmt: skip
    assert done.returncode == 1, done.stderr
    assert "No candidate keeps to 3 tokens per problem: cot spends 10, the fewest." in done.stdout
    assert not out.exists()


def test_the_frontier_is_drawn(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    with serving(answer) as server:
        done = scale("tune", "--dataset", str(problems(tmp_path, 24)), "--strategy", "cot", "--strategy",
                     "cot:mode=system1", "--run", str(tmp_path / "run"), "--plot", str(tmp_path / "it.svg"),
                     *at(server))  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "<svg" in (tmp_path / "it.svg").read_text()


def test_what_is_pending_ends_a_tuning_with_the_command_that_resumes_it(tmp_path: Path) -> None:
    failing = {"m3"}

    async def broken(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        if failing and "Problem 3:" in body["messages"][-1]["content"]:
            return web.json_response({"error": {"message": "down"}}, status=500)
        return await answer(request, body)

    run = tmp_path / "run"
    with serving(broken) as server:
        words = ("tune", "--dataset", str(problems(tmp_path, 12)), "--strategy", "cot", "--strategy",
                 "cot:mode=system1", "--retries", "0")  # fmt: skip
        done = scale(*words, "--run", str(run), "--out", "p.toml", *at(server))
        assert done.returncode == 1, done.stderr
        assert f"scale tune --resume {run} --out p.toml" in done.stderr
        assert done.stdout == ""
        failing.clear()
        assert scale("tune", "--resume", str(run)).returncode == 0


def test_a_limit_of_tokens_needs_a_server_that_reports_them(tmp_path: Path) -> None:
    async def silent(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        for delta, reason in (({"content": "It is \\boxed{12}."}, None), ({}, "stop")):
            await send(response, {"choices": [{"index": 0, "delta": delta, "finish_reason": reason}]})
        await response.write(b"data: [DONE]\n\n")
        return response

    with serving(silent) as server:
        done = scale("tune", "--dataset", str(problems(tmp_path, 40)), "--strategy", "cot", "--strategy",
                     "cot:mode=system1", "--tokens", "50", "--run", str(tmp_path / "run"), *at(server))  # fmt: skip
        assert len(server.bodies) <= 2 * 16
    assert done.returncode == 2, done.stderr
    assert "--tokens 50: the server does not report how many tokens calls take" in done.stderr


def test_a_dataset_that_is_not_there_costs_no_call(tmp_path: Path) -> None:
    with serving() as server:
        done = scale(
            "tune", "--dataset", "none.jsonl", "--model", MODEL, "--base-url", server.base_url, folder=tmp_path
        )
        assert (done.returncode, "none.jsonl: no such file" in done.stderr) == (2, True)
        assert server.bodies == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "what to tune on? --dataset NAME"),
        (["--dataset", "a", "--resume", "b"], "what to tune on? --dataset NAME"),
        (["--dataset", "a", "--samples", "8"], "--samples 8: a tuning makes one attempt per problem"),
        (["--dataset", "a", "--shard", "1/2"], "--shard 1/2: the rounds of a tuning need"),
        (["--dataset", "a", "--effort", "low"], "--effort low: a tuning finds that out"),
        (["--dataset", "a", "--policy", "p.toml"], "--policy p.toml: a tuning finds that out"),
        (["--dataset", "a", "--tokens", "0"], "--tokens 0: must be above 0"),
        (["--dataset", "a", "--hold-out", "1"], "--hold-out 1: must be above 0 and below 1"),
        (["--dataset", "a", "--margin", "-1"], "--margin -1: must be at least 0 and below 100"),
        (["--dataset", "a", "--plot", "it.txt"], "it.txt: must end in .png"),
        (["--resume", "r", "--tokens", "9"], "--tokens: --resume keeps the tuning's settings"),
        (["--resume", "r", "--run", "s"], "--run s: --resume r writes into its own folder"),
        (["--dataset", "a", "--strategies", "f", "--strategy", "cot"], "both name the candidates"),
        (["--dataset", "a", "--strategies", "none.toml"], "candidates in none.toml"),
    ],
)
def test_flags_that_do_not_do_are_named(tmp_path: Path, words: list[str], said: str) -> None:
    done = scale("tune", *words, "--model", MODEL, "--base-url", "http://127.0.0.1:9/v1", "--dry-run", folder=tmp_path)
    assert done.returncode == 2, done.stderr
    assert said in done.stderr
