"""Which kind of server an address is found to be, by servers that say of themselves what the real ones say."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from tests.cli.test_evaluate import problems
from tests.commands import scale
from tests.servers import ModelServer, serving, stream, thinks

from scale_reasoning.engines import Connection, connect, identify
from scale_reasoning.engines.connection import ModelSpec, derive_system1
from scale_reasoning.engines.identify import Identity, name_server
from scale_reasoning.errors import ConfigError
from scale_reasoning.types import Message, Mode, Request


class Saying:
    """A chat server that says this of itself: JSON by path, a status for a refusal; other paths are not there."""

    identifies = True

    def __init__(self, said: dict[str, Any]) -> None:
        self.said = said

    async def __call__(self, request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        if request.path.endswith("/chat/completions"):
            return await stream(request, "It is \\boxed{12}.", thinking=thinks(body))
        found = self.said.get(request.path, 404)
        if found == "silence":
            await asyncio.sleep(3600)
        if isinstance(found, int):
            return web.json_response({"error": {"message": "Not Found"}}, status=found)
        return web.json_response(found)


def listed(owner: str | None, **more: Any) -> dict[str, Any]:
    entry = {"id": "m", "object": "model", **({} if owner is None else {"owned_by": owner}), **more}
    return {"object": "list", "data": [entry]}


VLLM = {"/v1/models": listed("vllm", max_model_len=4096), "/version": {"version": "0.21.1"}}
SGLANG = {"/v1/models": listed("sglang", max_model_len=4096), "/get_server_info": {"version": "0.5.6"}}
LLAMA = {"/v1/models": listed("llamacpp", meta={"n_ctx": 4096}), "/props": {"build_info": "b11046-abc"}}
OLLAMA = {"/v1/models": listed("library"), "/api/version": {"version": "0.16.2"}}
OTHERS = {**OLLAMA, "/v1/models": listed("unsloth", id="hf.co/unsloth/Qwen3-8B-GGUF:Q4_K_M")}
NIM = {"/v1/models": listed("vllm"), "/v1/version": {"release": "2.1.6"}, "/version": {"version": "0.21"}}

KINDS: dict[str, tuple[dict[str, Any], str]] = {
    "vllm": (VLLM, "vllm"),
    "an early vllm": ({**VLLM, "/version": {"version": "0.18.0"}}, "vllm-0.19"),
    "a vllm of no release": ({**VLLM, "/version": {"version": "dev"}}, "vllm"),
    "a vllm before 1.0 with two digits": ({**VLLM, "/version": {"version": "0.9.2rc1"}}, "vllm-0.19"),
    "sglang": (SGLANG, "sglang"),
    "llama.cpp": (LLAMA, "llama.cpp"),
    "ollama": (OLLAMA, "ollama"),
    "ollama with models from elsewhere": (OTHERS, "ollama"),
    "one that answers as ollama does": ({**OLLAMA, "/v1/models": listed("koboldcpp")}, "generic"),
    "nim": (NIM, "nim"),
    "an early nim": ({**NIM, "/v1/models": listed("system")}, "nim"),
    "a proxy with OpenAI's models": ({"/v1/models": listed("system"), "/version": {"version": "9"}}, "generic"),
    "llama.cpp without an owner": ({**LLAMA, "/v1/models": listed(None)}, "llama.cpp"),
    "ollama without a list": ({**OLLAMA, "/v1/models": 404}, "ollama"),
    "another server": ({"/v1/models": listed("organisation-owner"), "/version": {"version": "9"}}, "generic"),
    "nothing at all": ({}, "generic"),
    "a vllm that does not say its version": ({"/v1/models": listed("vllm")}, "generic"),
    "a list that is none": ({"/v1/models": ["vllm"]}, "generic"),
    "a server that wants a key": ({"/v1/models": 401, "/props": {"build_info": "b1"}}, "generic"),
}


def found(said: dict[str, Any]) -> tuple[Identity, ModelServer]:
    with serving(Saying(said)) as server:
        return asyncio.run(identify.identify(Connection(base_url=server.base_url, model="m"))), server


@pytest.mark.parametrize("case", KINDS)
def test_a_server_is_known_by_what_it_says_of_itself(case: str) -> None:
    said, kind = KINDS[case]
    identity, server = found(said)
    assert identity.name == kind
    assert identity.shown_by
    assert len(server.paths) <= 6


def test_one_request_is_enough_where_the_list_of_models_says_it() -> None:
    identity, server = found(LLAMA)
    assert server.paths == ["/v1/models"]
    assert identity == Identity(name="llama.cpp", shown_by="by its list of models")


def test_the_version_is_told() -> None:
    assert found(VLLM)[0].shown_by == "by its /version, version 0.21.1"


@pytest.mark.slow
def test_a_server_that_falls_silent_is_generic_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(identify, "ASKING_SECONDS", 0.2)
    said: list[str] = []
    with serving(Saying({"/v1/models": "silence"})) as server:
        silent = Connection(base_url=server.base_url, model="m", say=said.append)
        assert asyncio.run(identify.identify(silent)).name == "generic"
    assert ["--server KIND" in line for line in said] == [True]
    assert found({**VLLM, "/version": "silence"})[0].name == "generic"


def test_a_server_that_is_not_there_is_generic() -> None:
    gone = Connection(base_url="http://127.0.0.1:9/v1", model="m")
    assert asyncio.run(identify.identify(gone)).name == "generic"


def test_a_named_kind_and_a_known_host_ask_nothing() -> None:
    with serving(Saying(VLLM)) as server:
        given = Connection(base_url=server.base_url, model="m", server="ollama")
        assert asyncio.run(identify.identify(given)).name == "ollama"
        assert not server.paths
    hosted = Connection(base_url="https://openrouter.ai/api/v1", model="m")
    assert asyncio.run(identify.identify(hosted)) == Identity(name="openrouter", shown_by="by the host of its URL")
    with pytest.raises(ConfigError, match="no kind of server 'vlm'"):
        asyncio.run(identify.identify(Connection(base_url="http://127.0.0.1:9/v1", model="m", server="vlm")))


def test_models_on_this_machine_are_llama_cpps_or_generic() -> None:
    for model, kind in ((None, "llama.cpp"), ("student", "llama.cpp"), ("arithmetic-teacher", "generic")):
        assert asyncio.run(identify.identify(Connection(model=model))).name == kind


def test_a_system_1_on_this_machine_is_not_told_as_the_server_of_system_2() -> None:
    there = Connection(base_url="http://127.0.0.1:9/v1", model="m", server="ollama", system1_model="student")
    assert [identify.find_kind(each) for each in (there, derive_system1(there)) if each] == ["ollama", "llama.cpp"]


def test_a_model_on_servers_of_two_kinds_has_both() -> None:
    specs = [ModelSpec(model="m", base_url="http://127.0.0.1:9/v1", server=kind) for kind in ("vllm", "ollama", "vllm")]
    assert identify.find_kinds(specs) == {"m": "vllm + ollama"}


def test_system_1s_server_has_a_kind_of_its_own() -> None:
    with serving(Saying(OLLAMA)) as slow, serving(Saying(VLLM)) as fast:
        there = Connection(base_url=slow.base_url, model="m", system1_model="n", system1_base_url=fast.base_url)
        named = asyncio.run(name_server(there))
    assert (named.server, named.system1_server) == ("ollama", "vllm")


def sent(server: ModelServer, connection: Connection, mode: Mode) -> dict[str, Any]:
    """What a call in the mode sends, over the engines that `connect` opens."""

    async def call() -> None:
        async with connect(connection) as endpoints:
            endpoint = endpoints[mode]
            extras = endpoint.profile.extras
            asked = Request(model="m", messages=(Message("user", "?"),), mode=mode, seed=1, extras=extras)
            await endpoint.engine.generate(asked)

    asyncio.run(call())
    return server.bodies[-1]


def test_what_is_sent_depends_on_the_server_that_was_found() -> None:
    for said, off in (
        (OLLAMA, {"reasoning_effort": "none"}),
        (VLLM, {"chat_template_kwargs": {"enable_thinking": False}}),
    ):
        with serving(Saying(said)) as server:
            body = sent(server, Connection(base_url=server.base_url, model="qwen3:8b"), Mode.SYSTEM1)
        assert {key: body[key] for key in off} == off
        assert ("chat_template_kwargs" in body) == ("chat_template_kwargs" in off)


def manifest_of(run: Path) -> dict[str, Any]:
    return json.loads((run / "manifest.json").read_text())


def test_a_new_run_stores_the_kind_and_a_resume_keeps_it(tmp_path: Path) -> None:
    run = tmp_path / "run"
    with serving(Saying(OLLAMA)) as server:
        at = ("--base-url", server.base_url, "--model", "qwen3:8b", "--strategy", "cot", "--samples", "1")
        done = scale("eval", str(problems(tmp_path, 2)), "--out", str(run), *at)
    assert done.returncode == 0, done.stderr
    manifest = manifest_of(run)
    assert manifest["cells"][0]["model"]["server"] == "ollama"
    assert manifest["resolved"]["servers"] == {"qwen3:8b": "ollama"}
    with serving(Saying(VLLM)) as other:  # where the run goes on changes nothing of what is sent
        again = scale("eval", "--resume", str(run), "--base-url", other.base_url)
        assert again.returncode == 0, again.stderr
        assert not other.bodies
        refused = scale("eval", "--resume", str(run), "--base-url", other.base_url, "--server", "vllm")
    assert refused.returncode == 2
    assert "--server vllm (the run has ollama)" in refused.stderr


def test_a_run_without_a_kind_in_its_manifest_goes_on_as_generic(tmp_path: Path) -> None:
    run = tmp_path / "run"
    with serving(Saying(OLLAMA)) as server:
        at = ("--base-url", server.base_url, "--model", "qwen3:8b", "--strategy", "cot", "--samples", "1")
        done = scale("eval", str(problems(tmp_path, 2)), "--out", str(run), *at, "--server", "generic")
        assert done.returncode == 0, done.stderr
        paid = len(server.bodies)
        manifest = manifest_of(run)
        for cell in manifest["cells"]:
            assert cell["model"].pop("server") == "generic"
        (run / "manifest.json").write_text(json.dumps(manifest))
        with sqlite3.connect(run / "run.sqlite") as database:
            database.execute("DELETE FROM attempts")
        again = scale("eval", "--resume", str(run), "--base-url", server.base_url, "--server", "generic")
        assert again.returncode == 0, again.stderr
        assert len(server.bodies) == paid  # every call is found under its key


def test_a_kind_that_there_is_not_is_refused_before_anything_is_asked() -> None:
    done = scale("solve", "--base-url", "http://127.0.0.1:9/v1", "--model", "m", "--server", "vlm", "1 + 1?")
    assert done.returncode == 2
    assert "no kind of server 'vlm' (did you mean vllm?); there are: " in done.stderr
