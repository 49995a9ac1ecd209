"""`scale eval`, `sweep`, `grade`, `export` as a user runs them: processes of their own, a real server, real files."""

from __future__ import annotations

import json
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from tests.commands import SCALE, scale
from tests.patience import until
from tests.runs.simulated import content
from tests.servers import Handler, reply_to, serving, stream

from scale_reasoning.cli import main


def problems(folder: Path, count: int = 4) -> Path:
    file = folder / "mine.jsonl"
    rows = [
        {"id": f"m{n}", "problem": f"Pens at 3 for 2 dollars: what do {n} pens cost?", "answer": "12"}
        for n in range(count)
    ]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


def rows_of(*words: str) -> list[dict[str, Any]]:
    done = scale("report", *words, "--format", "json")
    assert "Traceback" not in done.stderr
    return json.loads(done.stdout)


def test_an_evaluation_runs_resumes_reports_and_exports(tmp_path: Path) -> None:
    file, out = problems(tmp_path), str(tmp_path / "run")
    with serving() as server:
        at = ("--base-url", server.base_url, "--model", "Qwen/Qwen3-32B")
        done = scale("eval", str(file), "--samples", "2", "--tau", "0.5", "--out", out, *at)
        assert done.returncode == 0, done.stderr
        assert len(server.bodies) == 4 * 2 * 13
        again = scale("eval", "--resume", out)
        assert again.returncode == 0, again.stderr
        assert len(server.bodies) == 4 * 2 * 13
    (row,) = rows_of(out)
    assert row["acc"] == 1.0
    assert (row["planned"], row["completed"], row["scored"], row["owed"]) == (8, 8, 8, 0)
    assert row["hard"] == 0.5
    assert row["tok"] == 130
    assert {"dataset", "strategy", "model", "acc", "acc_low", "acc_high", "acc_se", "tok", "tpi"} <= set(row)
    exported = tmp_path / "records.jsonl"
    assert scale("export", out, "--format", "jsonl", "--out", str(exported)).returncode == 0
    records = [json.loads(line) for line in exported.read_text().splitlines()]
    assert len(records) == 8
    assert records[0]["solution"]["answer"] == "12"
    assert scale("grade", out).stdout.strip().endswith("8 records graded again, 0 grades changed")


def test_what_a_server_refuses_is_said_once_and_kept_in_the_manifest(tmp_path: Path) -> None:
    async def strict(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        if "top_k" in body:
            refusal = {"error": {"message": "Unknown parameter: 'top_k'.", "param": "top_k"}}
            return web.json_response(refusal, status=400)
        return await stream(request, reply_to(body))

    file, out = problems(tmp_path, 2), tmp_path / "run"
    with serving(strict) as server:
        at = ("--base-url", server.base_url, "--model", "Qwen/Qwen3-32B", "--samples", "1")
        done = scale("eval", str(file), "--out", str(out), *at)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("refuses top_k: it is left out") == 1
    (told,) = json.loads((out / "manifest.json").read_text())["resolved"]["adaptations"]["Qwen/Qwen3-32B"]
    assert told.endswith("refuses top_k: it is left out")


def test_a_manifest_is_a_valid_input_and_gives_the_same_requests(tmp_path: Path) -> None:
    file = problems(tmp_path, 2)
    with serving() as server:
        at = ("--base-url", server.base_url, "--model", "q")
        scale("eval", str(file), "--samples", "1", "--seed", "5", "--out", str(tmp_path / "a"), *at)
        scale("eval", str(tmp_path / "a" / "manifest.json"), "--out", str(tmp_path / "b"))
        half = len(server.bodies) // 2
        first, second = (sorted(map(str, part)) for part in (server.bodies[:half], server.bodies[half:]))
        assert first == second
    assert content(tmp_path / "a") == content(tmp_path / "b")


def test_a_sweep_has_a_row_a_value_and_shares_calls(tmp_path: Path) -> None:
    file, out = problems(tmp_path, 2), str(tmp_path / "sweep")
    with serving() as server:
        done = scale("sweep", "tau", "0.1", "0.5", "0.95", "--dataset", str(file), "--samples", "1", "--out", out,
                     "--base-url", server.base_url, "--model", "Qwen/Qwen3-32B")  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert len(server.bodies) < 3 * 2 * 13
    rows = rows_of(out)
    assert [row["hard"] for row in rows] == [1.0, 0.5, 0.0]


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM])
def test_a_run_that_is_told_to_end_says_how_to_resume(tmp_path: Path, end: signal.Signals) -> None:
    async def slow(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        import asyncio

        await asyncio.sleep(60)
        return await stream(request, reply_to(body))

    out = tmp_path / "out"
    with serving(slow) as server:
        process = subprocess.Popen([*SCALE, "eval", str(problems(tmp_path, 2)), "--samples", "1", "--model", "q",
                                    "--base-url", server.base_url, "--out", out],
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)  # fmt: skip
        until(lambda: len(server.bodies) > 0)
        process.send_signal(end)
        _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert f"to resume: scale eval --resume {out}" in err
    assert err.count("interrupted") == 1
    assert "Traceback" not in err


@pytest.mark.slow
def test_killed_at_any_moment_a_run_resumes_to_what_it_would_have_been(tmp_path: Path) -> None:
    async def slow(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        import asyncio

        await asyncio.sleep(0.02)
        return await stream(request, reply_to(body))

    file = problems(tmp_path, 6)
    with serving(slow) as server:
        words = [*SCALE, "eval", str(file), "--samples", "2", "--base-url", server.base_url, "--model", "q",
                 "--in-flight", "4", "--out"]  # fmt: skip
        assert subprocess.run([*words, tmp_path / "whole"], capture_output=True, check=False).returncode == 0
        whole = asked = len(server.bodies)
        process = subprocess.Popen([*words, tmp_path / "cut"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for more in (10, 30, 20):
            asked += more
            until(lambda asked=asked: len(server.bodies) >= asked)
            process.send_signal(signal.SIGKILL)
            process.wait()
            process = subprocess.Popen([*SCALE, "eval", "--resume", tmp_path / "cut", "--in-flight", "4"],
                                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # fmt: skip
        assert process.wait(60) == 0
        assert len(server.bodies) - whole <= whole + 3 * 4
    assert content(tmp_path / "cut") == content(tmp_path / "whole")


def answers_once() -> Handler:
    """A server that answers the first request and is of no use after that."""
    left = [1]

    async def answer(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        left[0] -= 1
        if left[0] < 0:
            return web.json_response({"error": "gone"}, status=503)
        return await stream(request, reply_to(body))

    return answer


def test_a_server_that_goes_away_leaves_attempts_pending_and_says_how_to_go_on(tmp_path: Path) -> None:
    file, out = problems(tmp_path), str(tmp_path / "run")
    with serving(answers_once()) as server:
        at = ("--base-url", server.base_url, "--server", "generic", "--model", "q", "--retries", "0")
        done = scale("eval", str(file), "--samples", "1", "--out", out, "--strategy", "cot", *at)
    assert done.returncode == 1
    assert "3 attempts are pending: scale eval --resume" in done.stderr
    assert scale("eval", "--resume", out, "--retries", "0").returncode == 1
    report = scale("report", out)
    assert report.returncode == 1
    assert "pending" in report.stdout


def test_a_dry_run_prints_attempts_calls_and_tokens_and_makes_no_folder(tmp_path: Path) -> None:
    done = scale("eval", str(problems(tmp_path)), "--dry-run", "--out", str(tmp_path / "run"), "--model", "q")
    assert done.returncode == 0
    assert "32 attempts" in done.stdout
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("nowhere.jsonl",), "nowhere"),
        ((), "recipe"),
        (("--resume", "nowhere"), "nowhere"),
        (("mine.jsonl", "--samples", "0"), "samples"),
        (("mine.jsonl", "--answer-field", "golden"), "golden"),
        (("mine.jsonl", "--set", "treshold=1"), "treshold"),
    ],
)
def test_what_the_user_got_wrong_is_named_before_a_token_is_spent(
    tmp_path: Path, words: tuple[str, ...], named: str
) -> None:
    problems(tmp_path)
    done = scale("eval", *words, folder=tmp_path)
    assert done.returncode in (1, 2)
    assert named in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("--model", "nowhere.gguf"), "nowhere.gguf"),
        (("--model", "own.gguf", "--ray", "local"), "every worker would load"),
    ],
)
def test_a_run_that_could_not_begin_leaves_nothing_behind(tmp_path: Path, words: tuple[str, ...], named: str) -> None:
    file, out, mine = problems(tmp_path), tmp_path / "run", tmp_path / "mine"
    mine.mkdir()
    (mine / "notes.txt").write_text("kept")
    for folder in (out, mine):
        done = scale("eval", str(file), "--out", str(folder), *words)
        assert done.returncode == 2
        assert named in done.stderr
    assert not out.exists()
    assert [left.name for left in mine.iterdir()] == ["notes.txt"]


def test_a_changed_dataset_is_refused_on_resume(tmp_path: Path) -> None:
    file, out = problems(tmp_path, 1), str(tmp_path / "run")
    with serving() as server:
        scale("eval", str(file), "--samples", "1", "--out", out, "--base-url", server.base_url, "--model", "q")
        problems(tmp_path, 2)
        done = scale("eval", "--resume", out)
    assert done.returncode == 2
    assert "changed" in done.stderr


def test_two_rows_of_one_run_can_be_compared(tmp_path: Path) -> None:
    file, out = problems(tmp_path, 3), str(tmp_path / "sweep")
    with serving() as server:
        scale("sweep", "tau", "0.1", "0.95", "--dataset", str(file), "--samples", "1", "--out", out,
              "--base-url", server.base_url, "--model", "Qwen/Qwen3-32B")  # fmt: skip
    done = scale("compare", f"{out}:1", f"{out}:2")
    assert done.returncode == 0
    assert "scale tau 0.1" in done.stdout
    assert "scale tau 0.95" in done.stdout
    assert scale("compare", f"{out}:1", f"{out}:3").returncode == 2


def test_flags_that_a_recipe_or_a_run_settles_are_refused_and_others_override(tmp_path: Path) -> None:
    recipe = tmp_path / "r.toml"
    recipe.write_text(
        f'datasets = ["{problems(tmp_path, 1)}"]\nsamples = 2\n[[models]]\nmodel = "q"\n[[strategies]]\nname = "cot"\n'
    )
    assert "--tau" in scale("eval", str(recipe), "--tau", "0.2").stderr
    assert "--strategy" in scale("eval", str(recipe), "--strategy", "cot").stderr
    dry = scale("eval", str(recipe), "--samples", "5", "--dry-run", "--base-url", "http://127.0.0.1:9/v1")
    assert "5 attempts" in dry.stdout


OTHERS = (
    ("--seed", "3"), ("--samples", "2"), ("--limit", "2"), ("--model", "other"), ("--tau", "0.9"), ("--effort", "low"),
    ("--set", "candidates=2"), ("--strategy", "cot"), ("--strategy", "scale:tau=0.9"), ("--no-reuse",),
    ("--window", "9000"), ("--shard", "1/2"), ("--grader", "integer"), ("--out", "elsewhere"), ("--split", "train"),
)  # fmt: skip


def test_a_resume_takes_the_settings_that_the_run_has_and_refuses_others(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = str(tmp_path / "run")
    at = ("--model", "arithmetic-teacher", "--samples", "1", "--limit", "1", "--seed", "5", "--tau", "0.3")
    assert main(["eval", "arithmetic", *at, "--out", out]) == 0
    assert main(["eval", "--resume", out, *at, "--strategy", "scale:tau=0.30", "--out", out]) == 0
    for words in OTHERS:
        capsys.readouterr()
        assert main(["eval", "--resume", out, *words]) == 2
        assert words[0] in capsys.readouterr().err


def test_a_run_whose_dataset_is_gone_resumes_with_its_own_copy(tmp_path: Path) -> None:
    file, out = problems(tmp_path, 2), str(tmp_path / "run")
    words = ("--samples", "1", "--out", out, "--model", "q", "--strategy", "cot", "--retries", "0")
    with serving(answers_once()) as server:
        at = ("--base-url", server.base_url, "--server", "generic")
        assert scale("eval", str(file), *words, *at).returncode == 1
    file.unlink()
    with serving() as server:
        done = scale("eval", "--resume", out, "--base-url", server.base_url)
    assert done.returncode == 0
    assert "using the problems that the run has" in done.stderr
    assert rows_of(out)[0]["completed"] == 2


@pytest.mark.parametrize("number", ["0", "-1", "many"])
def test_no_attempts_in_flight_are_refused_before_a_run_begins(tmp_path: Path, number: str) -> None:
    done = scale("eval", "arithmetic", f"--attempts-in-flight={number}", "--out", str(tmp_path / "run"))
    assert (done.returncode, (tmp_path / "run").exists()) == (2, False)
    assert "at least 1" in done.stderr


def test_a_prompts_file_without_a_hole_is_refused_before_a_call_and_leaves_no_run(tmp_path: Path) -> None:
    prompts, recipe, out = tmp_path / "mine.md", tmp_path / "recipe.toml", tmp_path / "run"
    prompts.write_text("## decompose\nSplit it.\n\n## subproblem\nNow this: {{number}}\n")
    named = f'name = "vote"\nbase = "scale"\n"base.prompts" = "{prompts}"\n'
    recipe.write_text(f'datasets = ["{problems(tmp_path)}"]\n[[strategies]]\n{named}')
    with serving() as server:
        at = ("--base-url", server.base_url, "--model", "q", "--out", str(out))
        for words in ((str(problems(tmp_path)), "--prompts", str(prompts)), (str(recipe),)):
            done = scale("eval", *words, *at)
            assert done.returncode == 2, done.stderr
            assert "'## subproblem' lacks {{subproblem}}" in done.stderr
        assert server.bodies == []
    assert not out.exists()


def test_a_new_run_takes_the_completions_that_others_have_paid_for(tmp_path: Path) -> None:
    file, old, new = problems(tmp_path, 2), tmp_path / "old", tmp_path / "new"
    with serving() as server:
        at = ("--base-url", server.base_url, "--model", "Qwen/Qwen3-32B", "--samples", "1")
        assert (
            scale("eval", str(file), *at, "--strategy", "cot", "--strategy", "scale", "--out", str(old)).returncode == 0
        )
        paid = len(server.bodies)
        words = ("eval", str(file), *at, "--strategy", "scale:tau=0.9", "--strategy", "vote:samples=2")
        done = scale(*words, "--out", str(new), "--take-from", str(old))
        assert done.returncode == 0, done.stderr
        shared = len(server.bodies) - paid
        told = " ".join(done.stderr.split())
        assert f"{paid + shared} calls paid for ({paid} of them by other runs), " in told
        alone = scale(*words, "--out", str(tmp_path / "alone"))
        assert alone.returncode == 0
        assert 0 < shared < len(server.bodies) - paid - shared
    refused = scale("eval", "--resume", str(new), "--take-from", str(old))
    assert refused.returncode == 2
    assert "--take-from: only a new run can start with completions of others" in refused.stderr
    missing = scale(*words, "--out", str(tmp_path / "other"), "--take-from", str(tmp_path / "none"))
    assert missing.returncode == 2
    assert "is not a run" in missing.stderr
    assert not (tmp_path / "other").exists()
