"""A run folder is left where a call has succeeded, and only there; what to do next is always said."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from tests.servers import reply_to, serving, stream

from scale_reasoning.cli import main

Capture = pytest.CaptureFixture[str]
DEAD = "http://127.0.0.1:9/v1"


@pytest.fixture
def words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    monkeypatch.chdir(tmp_path)
    rows = [{"id": f"m{n}", "problem": f"How much is {n} and {n}?", "answer": "12"} for n in range(4)]
    (tmp_path / "mine.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return ["--samples", "1", "--strategy", "cot", "--retries", "0"]


class Server:
    """A server with some models, one of which answers so many times."""

    def __init__(self, *names: str, status: int = 404, times: int = 0) -> None:
        self.names, self.status, self.left = names, status, times

    async def __call__(self, request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        if request.path.endswith("/models"):
            return web.json_response({"object": "list", "data": [{"id": name} for name in self.names]})
        if not request.path.endswith("/chat/completions"):
            raise web.HTTPNotFound
        self.left -= 1
        if self.left < 0:
            return web.json_response({"error": {"message": "not today"}}, status=self.status)
        return await stream(request, reply_to(body))


def verbs(out: str) -> list[list[str]]:
    return [
        ["eval", "mine.jsonl", "--out", out],
        ["synth", "--dataset", "mine.jsonl", "--out", out, "--target", "2"],
    ]


@pytest.mark.parametrize("status", [404, 401, 400])
def test_a_refusal_leaves_no_run_and_lists_what_the_server_has(words: list[str], capsys: Capture, status: int) -> None:
    with serving(Server("qwen3-32b", "llama-70b", status=status)) as server:
        for verb in verbs("deep/run"):
            assert main([*verb, "--model", "qwen-3-32b", "--base-url", server.base_url, *words]) == 2
            said = capsys.readouterr().err
            assert "not today" in said
            assert "qwen-3-32b is not among 2; close: qwen3-32b" in said
            assert "--model qwen3-32b" in said
            assert "--resume" not in said
            assert not Path("deep").exists()


def test_a_dead_server_leaves_no_run(words: list[str], capsys: Capture) -> None:
    for verb in verbs("run"):
        assert main([*verb, "--model", "q", "--base-url", DEAD, *words]) == 3
        said = capsys.readouterr().err
        assert "127.0.0.1" in said
        assert "no call succeeded and no run was kept" in said
        assert "--resume" not in said
        assert not Path("run").exists()


def test_a_folder_of_the_users_stays_with_what_is_in_it(words: list[str]) -> None:
    Path("mine").mkdir()
    Path("empty").mkdir()
    Path("mine/notes.txt").write_text("kept")
    for out in ("mine", "empty"):
        for verb in verbs(out):
            assert main([*verb, "--model", "q", "--base-url", DEAD, *words]) == 3
    assert [each.name for each in Path("mine").iterdir()] == ["notes.txt"]
    assert list(Path("empty").iterdir()) == []


def test_what_was_paid_for_stays_and_is_resumed(words: list[str], capsys: Capture) -> None:
    handler = Server("q", status=403, times=2)
    with serving(handler) as server:
        at = ["--model", "q", "--base-url", server.base_url, "--in-flight", "1"]
        for verb in (["eval", "mine.jsonl", "--out", "run"], ["synth", "--dataset", "mine.jsonl", "--out", "traces"]):
            handler.left = 1
            assert main([*verb, *at, *words]) == 2
            assert f"scale {verb[0]} --resume {verb[-1]}" in capsys.readouterr().err
            handler.left = 100
            assert main([verb[0], "--resume", verb[-1]]) == 0


def test_a_server_that_dies_later_leaves_attempts_to_resume(words: list[str], capsys: Capture) -> None:
    with serving(Server("q", status=503, times=1)) as server:
        assert main(["eval", "mine.jsonl", "--out", "run", "--model", "q", "--base-url", server.base_url, *words]) == 1
    assert "scale eval --resume run" in capsys.readouterr().err
    assert main(["eval", "--resume", "run", "--retries", "0"]) == 1
    assert main(["report", "run"]) == 1


def test_a_server_with_one_model_needs_no_name_and_the_manifest_has_it(words: list[str], capsys: Capture) -> None:
    with serving(Server("Qwen/Qwen3-8B", times=100)) as server:
        assert main(["eval", "mine.jsonl", "--out", "run", "--base-url", server.base_url, *words]) == 0
        assert main(["synth", "--dataset", "mine.jsonl", "--out", "t", "--base-url", server.base_url, *words]) == 0
        assert main(["eval", "--resume", "run"]) == 0
    for folder in ("run", "t/run"):
        manifest = json.loads(Path(folder, "manifest.json").read_text())
        assert manifest["cells"][0]["model"]["model"] == "Qwen/Qwen3-8B"
        assert list(manifest["resolved"]["profiles"]) == ["Qwen/Qwen3-8B"]


def test_a_server_with_several_models_names_them_before_anything_is_made(words: list[str], capsys: Capture) -> None:
    with serving(Server("a", "b")) as server:
        assert main(["eval", "mine.jsonl", "--out", "run", "--base-url", server.base_url, *words]) == 2
        assert "the server has 2: a, b" in capsys.readouterr().err
    assert not Path("run").exists()


def test_a_folder_with_a_run_is_refused_before_anything_is_loaded(words: list[str], capsys: Capture) -> None:
    teacher = ["--model", "arithmetic-teacher", "--limit", "1", *words]
    assert main(["eval", "arithmetic", "--out", "run", *teacher]) == 0
    before = Path("run/manifest.json").read_bytes()
    for verb in (
        ["eval", "nowhere.jsonl"],
        ["sweep", "system2-max-tokens", "5", "--dataset", "nowhere.jsonl"],
        ["synth", "--dataset", "nowhere.jsonl"],
    ):
        assert main([*verb, "--out", "run", *teacher]) == 2
        said = capsys.readouterr().err
        assert "run" in said
        assert "nowhere" not in said
    assert Path("run/manifest.json").read_bytes() == before
