"""`scale doctor` says what the two modes are worth, after its checks; `--quick` leaves that out."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from aiohttp import web
from tests.commands import scale
from tests.engines.probe_server import Endpoint
from tests.servers import ModelServer, serving

from scale_reasoning.runs.advice import BOXED, CHEAPER, EASY, HARD, MEASURED, RATED
from scale_reasoning.runs.modes import QUESTIONS

NAME = "Qwen2.5-7B-Instruct"
ROWS = [MEASURED, CHEAPER, EASY, HARD, BOXED, RATED]


class Pupil(Endpoint):
    """Right in System 2, at length; in System 1 right on easy questions, and without a box on the others."""

    def reply(self, body: dict[str, Any]) -> tuple[str, str]:
        said = body["messages"][-1]["content"]
        question = next((each for each in QUESTIONS if each.text in said), None)
        schema = body.get("response_format", {}).get("json_schema", {}).get("name")
        if question is None or schema == "choice":
            return super().reply(body)
        if schema == "difficulty":
            return json.dumps({"difficulty": 0.7 if question.several else 0.1}), ""
        if said.endswith("Work it out step by step."):
            return "so " * 90 + f"it is \\boxed{{{question.answer}}}", ""
        return ("It is 3.", "") if question.several else (f"That makes \\boxed{{{question.answer}}}", "")


def doctor(server: ModelServer, *words: str) -> tuple[str, int]:
    done = scale("doctor", "--base-url", server.base_url, "--model", NAME, *words, env={"COLUMNS": "160"})
    return done.stdout + done.stderr, done.returncode


def pupil(**changes: Any) -> Pupil:
    return Pupil(models=[{"id": NAME, "max_model_len": 32768}], system2="quiet", **changes)


def test_the_modes_are_rows_of_the_table_and_change_no_exit_code() -> None:
    with serving(pupil()) as server:
        out, code = doctor(server)
    assert code == 0
    for name, verdict, found in (
        (MEASURED, "yes", "10 small questions in each mode"),
        (CHEAPER, "yes", "less than a tenth of the tokens: 3 against 93 tokens for one operation, 3 against 93"),
        (EASY, "yes", r"right on the easy ones \(5 of 5\) for less than a tenth of the tokens \(3 against 93\)"),
        (HARD, "yes", "right on 5 of 5 questions of several operations, System 1 on 0 of 5"),
        (BOXED, "no", "the box is lost in 5 of 10 System 1 replies"),
        (RATED, "yes", "0.10 to 0.70; several operations are rated above one in 25 of 25 pairs"),
    ):
        assert re.search(rf"^{name} +{verdict} +{found}", out, re.MULTILINE), out
    assert re.search(rf"^no  {BOXED}$", out, re.MULTILINE)


def test_the_rows_are_in_the_json_and_quick_leaves_them_out() -> None:
    with serving(pupil()) as server:
        full, _ = doctor(server, "--json")
        asked = len(server.bodies)
        quick, _ = doctor(server, "--json", "--quick")
        assert len(server.bodies) == asked + (asked - 30)
    names = [[finding["name"] for finding in json.loads(out)] for out in (full, quick)]
    assert names[0] == names[1] + ROWS


@pytest.mark.parametrize("changes", [{"chat": "bad-key"}, {"chat": "unknown-model", "models": [{"id": "other"}]}])
def test_an_endpoint_that_cannot_be_used_is_not_asked(changes: dict[str, Any]) -> None:
    with serving(Pupil(**changes)) as server:
        out, code = doctor(server)
    assert code in (2, 3)
    assert MEASURED not in out


def test_a_model_with_one_mode_is_not_asked() -> None:
    with serving(Endpoint(models=[{"id": "QwQ-32B"}], system1="apart")) as server:
        done = scale("doctor", "--base-url", server.base_url, "--model", "QwQ-32B")
    assert done.returncode == 1
    assert MEASURED not in done.stdout


def test_a_server_that_dies_at_the_questions_leaves_the_findings_so_far() -> None:
    class Dying(Pupil):
        async def refusal(self, request: web.Request, body: dict[str, Any]) -> web.StreamResponse | None:
            if "Solve this problem" in body["messages"][-1]["content"]:
                return web.json_response({"error": {"message": "out of memory"}}, status=400)
            return await super().refusal(request, body)

    with serving(Dying(models=[{"id": NAME}], system2="quiet")) as server:
        out, code = doctor(server)
    assert code == 0
    assert re.search(
        rf"^{MEASURED} +unknown +0 of 10 questions in \d+ s; 10 failed: .*out of memory", out, re.MULTILINE
    )
    assert CHEAPER not in out
