"""`scale solve` as a user runs it: a process of its own, a real server, what comes out and the exit code."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from tests.commands import SCALE, scale
from tests.patience import ends_in_time, until
from tests.servers import reply_to, serving, stream

from scale_reasoning.cli import _parser
from scale_reasoning.cli.solve import shield_minus

PROBLEM = "A shop sells pens at 3 for 2 dollars. How many dollars do 18 pens cost?"
KEY = "sk-secret-0123456789"


def solve_json(*words: str, **more: Any) -> tuple[dict[str, Any], int]:
    done = scale("solve", "--json", *words, **more)
    assert "Traceback" not in done.stderr
    assert done.stdout.count("\n") == 1, done.stderr
    return json.loads(done.stdout), done.returncode


def test_scale_makes_k_plus_1_plus_2m_calls_after_it_asked_what_the_server_is() -> None:
    with serving() as server:
        record, code = solve_json("--base-url", server.base_url, "--model", "Qwen/Qwen3-32B", PROBLEM)
        assert code == 0
        assert server.paths[0] == "/v1/models"
        assert server.paths[1:] == ["/v1/chat/completions"] * (8 + 1 + 2 * 2)
    assert record["solution"]["answer"] == "12"
    assert len(record["solution"]["candidates"]) == 8
    assert record["solution"]["selected"] == 1
    assert [s["difficulty"] for s in record["solution"]["steps"]] == [0.2, 0.9]
    assert [s["mode"] for s in record["solution"]["steps"]] == ["system1", "system2"]
    assert [s["reasoning"] for s in record["solution"]["steps"]] == ["", "Let me think."]
    assert record["failure"] is None
    assert record["grade"] is None


def test_the_qwen3_switch_is_sent_as_true_and_as_false_and_a_seed_always() -> None:
    with serving() as server:
        solve_json("--base-url", server.base_url, "--model", "Qwen/Qwen3-32B", PROBLEM)
        sent = [body["chat_template_kwargs"]["enable_thinking"] for body in server.bodies]
        assert sent.count(True) == 1
        assert sent.count(False) == 12
        assert all(isinstance(body["seed"], int) and body["stream"] is True for body in server.bodies)
        assert all({"temperature", "top_p", "max_tokens"} <= set(body) for body in server.bodies)


def test_stages_and_modes_sum_to_the_total() -> None:
    with serving() as server:
        record, _ = solve_json("--base-url", server.base_url, "--model", "Qwen/Qwen3-32B", PROBLEM)
    usage = record["usage"]
    assert usage["total"] == {
        "prompt_tokens": 13 * 50, "completion_tokens": 130, "reasoning_tokens": 4, "cached_tokens": 13 * 30
    }  # fmt: skip
    for split in ("by_stage", "by_mode"):
        for kind, total in usage["total"].items():
            assert sum(part[kind] for part in usage[split].values()) == total
    assert set(usage["by_stage"]) == {"decompose", "select", "assess", "solve"}
    assert set(usage["by_mode"]) == {"system1", "system2"}


def test_the_same_seed_sends_the_same_requests_whatever_the_concurrency() -> None:
    sent = []
    for in_flight in ("1", "64"):
        with serving() as server:
            solve_json("--base-url", server.base_url, "--model", "q", "--seed", "7", "--in-flight", in_flight, PROBLEM)
            sent.append(sorted(json.dumps(body, sort_keys=True) for body in server.bodies))
    assert sent[0] == sent[1]


def test_another_seed_sends_other_seeds() -> None:
    seeds = []
    for seed in ("1", "2"):
        with serving() as server:
            solve_json("--base-url", server.base_url, "--model", "q", "--seed", seed, PROBLEM)
            seeds.append({body["seed"] for body in server.bodies})
    assert not seeds[0] & seeds[1]


@pytest.mark.parametrize(("gold", "code", "correct"), [("12", 0, True), ("13", 1, False), ("\\frac{24}{2}", 0, True)])
def test_a_gold_answer_grades_the_solution_and_decides_the_exit_code(gold: str, code: int, correct: bool) -> None:
    with serving() as server:
        record, exit_code = solve_json("--base-url", server.base_url, "--model", "q", "--answer", gold, PROBLEM)
    assert record["grade"]["correct"] is correct
    assert exit_code == code


@pytest.mark.parametrize("strategy", ["cot", "vote"])
def test_the_baselines_run_too(strategy: str) -> None:
    with serving() as server:
        record, code = solve_json("--base-url", server.base_url, "--model", "q", "--strategy", strategy, PROBLEM)
        assert len(server.bodies) == {"cot": 1, "vote": 8}[strategy]
    assert (code, record["solution"]["answer"]) == (0, "12")


def test_the_problem_may_come_from_standard_input_and_the_answer_alone_goes_to_stdout() -> None:
    with serving() as server:
        done = scale("solve", "--base-url", server.base_url, "--model", "q", "-", stdin=PROBLEM)
    assert (done.returncode, done.stdout) == (0, "12\n")
    assert "step 2/2" in done.stderr
    assert "difficulty 0.90" in done.stderr
    assert "System 2" in done.stderr
    assert "cost" in done.stderr


def test_the_trace_of_a_hostile_model_carries_no_escape_sequence() -> None:
    async def hostile(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        text = (
            reply_to(body) if "response_format" in body else "\x1b[2J\x1b]0;owned\x07[bold]x[/bold] \\boxed{1\x1b[31m2}"
        )
        return await stream(request, text)

    with serving(hostile) as server:
        done = scale("solve", "--base-url", server.base_url, "--model", "q", PROBLEM)
    assert "\x1b" not in done.stdout + done.stderr
    assert "[bold]x[/bold]" in done.stderr


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("--tau", "1.5"), "tau"),
        (("--tau", "x"), "tau"),
        (("--tau", "nan"), "tau"),
        (("--set", "treshold=0.3"), "treshold"),
        (("--set", "tau"), "KEY=VALUE"),
        (("--effort", "high", "--tau", "0.2"), "--effort"),
        (("--candidates", "0"), "candidates"),
        (("--strategy", "magic"), "magic"),
        (("--strategy", "cot", "--tau", "0.2"), "tau"),
        (("--route", "coin"), "route"),
        (("--profile", "nobody"), "nobody"),
        (("--grader", "integer"), "--answer"),
        (("--api-key-env", "NO_SUCH_VARIABLE"), "NO_SUCH_VARIABLE"),
        (("--temperature", "-1"), "temperature"),
        (("--base-url", "ftp://x"), "ftp://x"),
        (("--model", "somewhere-else", "--base-url", ""), "--base-url"),
        (("--model", "./missing.gguf", "--base-url", ""), "missing.gguf"),
        (("--prompts", "missing.md"), "missing.md"),
    ],
)
def test_what_the_user_got_wrong_is_named_and_exits_2(words: tuple[str, ...], named: str) -> None:
    done = scale("solve", "--base-url", "http://127.0.0.1:9/v1", "--model", "q", *words, PROBLEM)
    assert done.returncode == 2
    assert named in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("words", "section", "hole"),
    [
        (("--strategy", "scale"), "assess", "{{subproblem}}"),
        (("--strategy", "cot"), "solve", "{{x}}"),
        (("--strategy", "inftythink"), "working", "{{notes}}"),
        (("--strategy", "vote", "--set", "base=scale"), "version", "{{numbers}}"),
    ],
)
def test_a_prompts_file_with_another_hole_is_refused_before_a_call(
    tmp_path: Path, words: tuple[str, ...], section: str, hole: str
) -> None:
    file = tmp_path / "mine.md"
    file.write_text(f"## {section}\nAnswer {hole}.\n")
    with serving() as server:
        done = scale("solve", "--base-url", server.base_url, "--model", "q", *words, "--prompts", str(file), PROBLEM)
        assert server.bodies == []
    assert done.returncode == 2
    assert f"prompts file {file}: '## {section}'" in done.stderr
    assert f"has {hole}, which nothing fills" in done.stderr


def test_a_server_that_is_not_there_exits_3_with_one_record() -> None:
    record, code = solve_json("--base-url", "http://127.0.0.1:9/v1", "--model", "q", "--retries", "0", PROBLEM)
    assert code == 3
    assert record["failure"]["kind"] == "unreachable"
    assert record["failure"]["blame"] == "world"
    assert record["solution"] is None


@pytest.mark.parametrize("status", [429, 500])
def test_a_server_that_always_fails_is_retried_within_bounds_then_exits_3(status: int) -> None:
    async def failing(_: web.Request, __: dict[str, Any]) -> web.StreamResponse:
        return web.json_response({"error": {"message": "no"}}, status=status, headers={"retry-after": "0"})

    with serving(failing) as server:
        record, code = solve_json("--base-url", server.base_url, "--model", "q", "--strategy", "cot", PROBLEM)
        assert len(server.bodies) == 5
    assert (code, record["failure"]["kind"]) == (3, "overloaded")


@pytest.mark.parametrize("text", ["", "blah blah", "<html><body>502 Bad Gateway</body></html>", "{{{{", "\\boxed{"])
def test_a_model_that_answers_garbage_ends_in_a_labelled_record_within_bounded_calls(text: str) -> None:
    async def garbage(request: web.Request, _: dict[str, Any]) -> web.StreamResponse:
        return await stream(request, text)

    with serving(garbage) as server:
        record, code = solve_json("--base-url", server.base_url, "--model", "q", PROBLEM)
        assert len(server.bodies) == 3 * 8 + 2
    assert code == 1
    assert record["failure"]["blame"] == "model"
    assert any("no decomposition could be read" in note for note in record["solution"]["notes"])
    assert record["solution"]["steps"][0]["mode"] == "system2"


def test_a_model_that_is_always_cut_off_is_labelled_truncated() -> None:
    async def cut(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        return await stream(request, reply_to(body)[:5], finish_reason="length")

    with serving(cut) as server:
        record, code = solve_json("--base-url", server.base_url, "--model", "q", PROBLEM)
    assert (code, record["failure"]["kind"]) == (1, "truncated")


def test_an_html_page_instead_of_an_api_is_said_to_be_one() -> None:
    async def page(_: web.Request, __: dict[str, Any]) -> web.StreamResponse:
        return web.Response(text="<html>hello</html>", content_type="text/html")

    with serving(page) as server:
        record, code = solve_json("--base-url", server.base_url, "--model", "q", "--retries", "1", PROBLEM)
    assert (code, record["failure"]["kind"]) == (3, "malformed")
    assert "text/html" in record["failure"]["message"]


def test_a_schema_refused_with_a_400_falls_back_to_plain_text() -> None:
    async def without_schemas(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        if "response_format" in body:
            return web.json_response({"error": {"message": "response_format is not supported"}}, status=400)
        said = body["messages"][-1]["content"]
        if "Rate how" in said:
            return await stream(request, "I would say 0.3")
        if "JSON only" in said:
            return await stream(request, "1. count $\\frac{1}{2}$\n2. add")
        return await stream(request, "\\boxed{12}")

    with serving(without_schemas) as server:
        record, code = solve_json("--base-url", server.base_url, "--model", "q", PROBLEM)
    assert code == 0
    assert record["solution"]["candidates"][0] == ["count $\\frac{1}{2}$", "add"]


def test_the_key_is_sent_and_appears_nowhere_else() -> None:
    async def echo(request: web.Request, _: dict[str, Any]) -> web.StreamResponse:
        said = request.headers.get("authorization", "")
        return web.json_response({"error": {"message": f"bad key: {said}"}}, status=401)

    with serving(echo) as server:
        done = scale(
            "solve", "--json", "--base-url", server.base_url, "--model", "q", PROBLEM, env={"OPENAI_API_KEY": KEY}
        )
        assert server.headers[0]["Authorization"] == f"Bearer {KEY}"
    assert done.returncode == 2
    assert KEY not in done.stdout + done.stderr
    assert "401" in done.stdout


def test_the_base_url_and_another_key_are_read_from_the_environment() -> None:
    with serving() as server:
        done = scale("solve", "--model", "q", "--api-key-env", "MY_KEY", PROBLEM,
                     env={"OPENAI_BASE_URL": server.base_url, "MY_KEY": KEY})  # fmt: skip
        assert server.headers[0]["Authorization"] == f"Bearer {KEY}"
    assert done.returncode == 0


def test_system_1_may_be_another_model_on_another_server() -> None:
    with serving() as thinker, serving() as fast:
        record, code = solve_json("--base-url", thinker.base_url, "--model", "QwQ-32B", "--system1-model",
                                  "Qwen/Qwen3-32B", "--system1-base-url", fast.base_url, PROBLEM)  # fmt: skip
        assert [body["model"] for body in thinker.bodies] == ["QwQ-32B"]
        assert {body["model"] for body in fast.bodies} == {"Qwen/Qwen3-32B"}
        assert all(body["chat_template_kwargs"] == {"enable_thinking": False} for body in fast.bodies)
    assert (code, record["model"]) == (0, "QwQ-32B + Qwen/Qwen3-32B")


def test_a_model_without_system_1_says_how_to_pair_it() -> None:
    with serving() as server:
        done = scale("solve", "--base-url", server.base_url, "--model", "QwQ-32B", PROBLEM)
    assert done.returncode == 2
    assert "--system1-model" in done.stderr


def test_a_cookie_of_a_server_is_not_sent_back() -> None:
    async def baker(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        chunk = {"choices": [{"index": 0, "delta": {"content": reply_to(body)}, "finish_reason": "stop"}]}
        content = f"data: {json.dumps(chunk)}\n\ndata: [DONE]\n\n"
        headers = {"content-type": "text/event-stream", "set-cookie": "session=another's; Path=/"}
        return web.Response(text=content, headers=headers)

    with serving(baker) as server:
        at = ["--base-url", server.base_url.replace("127.0.0.1", "localhost"), "--model", "q"]  # IPs have no cookies
        assert scale("solve", *at, PROBLEM).returncode == 0
    assert len(server.bodies) > 3
    assert not any("Cookie" in headers for headers in server.headers)


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_and_sigterm_end_at_once_with_no_request_left_running_and_no_traceback(end: signal.Signals) -> None:
    async def slow(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        import asyncio

        await asyncio.sleep(60)
        return await stream(request, reply_to(body))

    with serving(slow) as server:
        process = subprocess.Popen(
            [*SCALE, "solve", "--base-url", server.base_url, "--model", "q", PROBLEM],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        until(lambda: server.open == 8)
        process.send_signal(end)
        with ends_in_time(time.monotonic):
            out, err = process.communicate(timeout=10)
        until(lambda: server.open == 0)
    assert process.returncode == 130
    assert out == ""
    assert "Traceback" not in err


def test_help_lists_every_flag_and_needs_no_model() -> None:
    done = scale("solve", "--help")
    assert done.returncode == 0
    for flag in ("--tau", "--effort", "--set", "--base-url", "--system1-model", "--api-key-env", "--json", "--answer"):
        assert re.search(rf"(^|\s){flag}\b", done.stdout)


@pytest.mark.slow
def test_on_a_terminal_the_reply_is_shown_while_it_is_written_and_nothing_is_left_behind() -> None:
    async def slow(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        import asyncio

        await asyncio.sleep(0.15)
        return await stream(request, reply_to(body), thinking=True)

    with serving(slow) as server:
        words = [*SCALE, "solve", "--base-url", server.base_url, "--model", "q", PROBLEM]
        ours, theirs = pty.openpty()
        process = subprocess.Popen(
            words, stdin=theirs, stdout=theirs, stderr=theirs, env={**os.environ, "TERM": "xterm"}
        )
        os.close(theirs)
        shown = b""
        with contextlib.suppress(OSError):  # how a pseudo-terminal says that the other end is gone
            while piece := os.read(ours, 65536):
                shown += piece
        os.close(ours)
        assert process.wait(30) == 0
    text = shown.decode()
    assert "decomposing, 8 at once" in text
    assert "solving" in text
    assert "Traceback" not in text
    assert text.rstrip().endswith("12")
    assert text.count("\x1b[?25l") == text.count("\x1b[?25h")  # the cursor is hidden and shown again


@pytest.mark.parametrize("gold", ["-1/2", "-\\frac{1}{2}", "-x", "-0.5", "-2", "-x^2 + 1", "--1", "-h", "-\u221a2"])
@pytest.mark.parametrize("spelled", [("--answer", "{}"), ("--answer={}",)])
def test_a_gold_answer_may_begin_with_a_minus(gold: str, spelled: tuple[str, ...]) -> None:
    words = [word.replace("{}", gold) for word in spelled]
    for line in (["-1/2 + x = 0, x = ?", *words], [*words, "What is x?"]):
        args = _parser().parse_args(shield_minus(["solve", *line]))
        assert (args.answer, " ".join(args.problem).strip()) == (gold, next(word for word in line if word not in words))


@pytest.mark.parametrize("problem", ["-x+2=5", "-1/2+x=0", "-2", "--5=?", "-\\frac12=?", "-x", "-(x+1)=2"])
def test_a_problem_may_begin_with_a_minus(problem: str) -> None:
    lines = [["solve", problem, "--json"], ["solve", "--json", problem], ["solve", "--answer", "-1/3", "--", problem]]
    for line in lines[2 if len(problem) == 2 and problem[1].isalpha() else 0 :]:
        assert " ".join(_parser().parse_args(shield_minus(line)).problem).strip() == problem


def test_options_stay_options_and_an_answer_that_is_missing_is_missed(capsys: pytest.CaptureFixture[str]) -> None:
    args = _parser().parse_args(shield_minus(["solve", "--tau", "-1", "--seed", "-3", "p", "--set", "tau=-1"]))
    assert (args.tau, args.seed, args.settings) == ("-1", -3, ["tau=-1"])
    for line, message in (
        (["p", "--answer", "--json"], "--answer: expected one argument"),
        (["-q"], "unrecognized arguments: -q"),
    ):
        with pytest.raises(SystemExit):
            _parser().parse_args(shield_minus(["solve", *line]))
        assert message in capsys.readouterr().err


def test_a_negative_answer_is_graded_in_a_process_of_its_own() -> None:
    with serving() as server:
        words = ("--base-url", server.base_url, "--model", "m", "--strategy", "cot", "-x=-12")
        record, code = solve_json("--answer", "-1/2", *words)
    assert record["grade"] == {"correct": False, "grader": "symbolic", "reason": record["grade"]["reason"]}
    assert record["solution"]["steps"][0]["subproblem"] == "-x=-12"
    assert code == 1
