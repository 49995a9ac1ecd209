"""Every request that the recipes of the paper's tables send, as text to review: keys, limits, sampling and messages.

Each recipe is run as a user runs it, on one problem with one sample, against servers on loopback.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from tests.commands import scale
from tests.servers import reply_to, serving, stream, thinks

RECIPES = (
    "table1-qwen3-32b",
    "table1-qwq",
    "table1-distill-qwen-32b",
    "table1-distill-llama-70b",
    "table2",
    "figure2",
    "table3",
    "ablations",
)
PAIRED = ("table1-qwq", "table1-distill-qwen-32b", "table1-distill-llama-70b")
"""Recipes whose System 1 is another model's."""
NOT_SHOWN = ("model", "messages", "response_format", "seed", "stream", "stream_options")
COUNTS = {"aime24": 30, "aime25": 30, "amc23": 40}
TEXT = "Pens cost 2 dollars for 3. What do 18 pens cost?"


def answer(body: dict[str, Any]) -> str:
    schema = body.get("response_format", {}).get("json_schema", {}).get("name")
    if schema == "statement":
        return json.dumps({"facts": "Pens cost 2 dollars for 3.", "question": "What do 18 pens cost?"})
    return reply_to({**body, "seed": body["seed"] % 2})  # candidates that are alike are shown once


async def reply(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
    if not body:
        return web.json_response({"error": {"message": "no such path"}}, status=404)
    return await stream(request, answer(body), thinking=thinks(body))


def tell(title: str, bodies: list[dict[str, Any]]) -> list[str]:
    """The bodies, each once: how often one is sent depends on which cells share it."""
    told = sorted({tell_one(body) for body in bodies})
    return [f"##### {title}\n", *(f"=== {text}\n" for text in told)] if told else []


def tell_one(body: dict[str, Any]) -> str:
    schema = body.get("response_format", {}).get("json_schema", {}).get("name", "no schema")
    keys = {key: value for key, value in body.items() if key not in NOT_SHOWN}
    said = (f"--- {message['role']}\n{message['content']}\n" for message in body["messages"])
    return f"{body['model']}, {schema}\n{json.dumps(keys, sort_keys=True)}\n{''.join(said)}"


@pytest.mark.slow
@pytest.mark.parametrize("recipe", RECIPES)
def test_a_recipe_sends_the_reviewed_requests(recipe: str, tmp_path: Path, pytestconfig: pytest.Config) -> None:
    for name, count in COUNTS.items():
        rows = ({"id": f"p{n:02}", "problem": f"{TEXT}{' ' * n}", "answer": "12"} for n in range(count))
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    told: list[str] = []
    with serving(reply) as first, serving(reply) as second:
        where = ["--base-url", first.base_url, "--data-dir", str(tmp_path), "--out", str(tmp_path / "run")]
        where += ["--system1-base-url", second.base_url] if recipe in PAIRED else []
        done = scale("eval", recipe, "--limit", "1", "--samples", "1", "--no-reuse", *where)
        assert done.returncode == 0, done.stderr
        told += tell("server of the model", first.bodies)
        told += tell("server of System 1", second.bodies)
    file = Path(__file__).with_name(f"recipe-{recipe}.txt")
    if pytestconfig.getoption("--update-transcripts"):
        file.write_text("".join(told))
    assert "".join(told) == file.read_text()
