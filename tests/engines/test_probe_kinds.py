"""What the doctor says of Ollama, LM Studio, OpenRouter and OpenAI: the quickstart has it, of stand-ins on loopback.

Each stand-in answers as the service's documentation says, or as its users report; none is the service.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from tests.engines.probe_server import Endpoint
from tests.servers import serving

from scale_reasoning.engines import Connection
from scale_reasoning.engines.check_budget import BUDGET
from scale_reasoning.engines.probe import LEAK, Finding, probe

REASONS = "System 2 reasons"


@dataclass(kw_only=True)
class Hosted(Endpoint):
    """A server whose switch is not the common one, and that gives one choice and no log-probabilities.

    `says` is what it says of itself, by path; `forbids` are keys that it refuses.
    """

    identifies = True
    says: dict[str, Any] = field(default_factory=dict)
    forbids: tuple[str, ...] = ()
    choices: str = "one"
    logprobs: bool = False
    cached: int | None = None
    seen: list[dict[str, Any]] = field(default_factory=list)

    async def __call__(self, request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        if request.path in self.says:
            return web.json_response(self.says[request.path])
        if request.path.endswith("/models"):
            return await super().__call__(request, body)
        if request.method == "GET":
            return web.json_response({"error": {"message": "Not Found"}}, status=404)
        self.seen.append(body)
        if refused := next((key for key in self.forbids if key in body), None):
            return web.json_response({"error": {"message": f"Unsupported parameter: {refused}"}}, status=400)
        thinking = self.thinks(body)
        return await super().__call__(request, {**body, "chat_template_kwargs": {"enable_thinking": thinking}})

    def thinks(self, body: dict[str, Any]) -> bool:
        raise NotImplementedError


class Ollama(Hosted):
    def thinks(self, body: dict[str, Any]) -> bool:
        return body.get("reasoning_effort", "medium") != "none"


class LMStudio(Hosted):
    """It ignores what it does not know, the switch of hybrid models too."""

    def thinks(self, body: dict[str, Any]) -> bool:
        return "2507" not in body["model"] or "thinking" in body["model"]


class OpenRouter(Hosted):
    def thinks(self, body: dict[str, Any]) -> bool:
        reasoning = body.get("reasoning", {})
        return bool(reasoning.get("enabled") or reasoning.get("effort") or reasoning.get("max_tokens"))


class OpenAIService(Hosted):
    """It tells no thought, only how many tokens it had."""

    def thinks(self, body: dict[str, Any]) -> bool:
        return body.get("reasoning_effort", "none") != "none"


def listed(*names: str, owner: str) -> list[dict[str, str]]:
    return [{"id": name, "object": "model", "owned_by": owner} for name in names]


def ask(endpoint: Hosted, model: str, **more: Any) -> dict[str, Finding]:
    with serving(endpoint) as server:
        findings = asyncio.run(probe(Connection(base_url=server.base_url, model=model, **more)))
    return {finding.name: finding for finding in findings}


def verdicts(findings: dict[str, Finding], *names: str) -> list[str]:
    return [findings[name].verdict for name in names]


def test_of_ollama() -> None:
    endpoint = Ollama(models=listed("qwen3:8b", owner="library"), says={"/api/version": {"version": "0.16.2"}})
    findings = ask(endpoint, "qwen3:8b")
    assert findings["server"].found.startswith("ollama, by its list of models")
    assert verdicts(findings, LEAK, REASONS, "schema honoured", "seed repeatable", "request keys") == ["yes"] * 5
    assert BUDGET not in findings
    assert verdicts(findings, "n", "cached tokens", "logprobs") == ["no"] * 3
    switches = {body.get("reasoning_effort") for body in endpoint.seen}
    assert {"none", "high"} <= switches
    assert not [body for body in endpoint.seen if {"chat_template_kwargs", "top_k", "min_p"} & set(body)]


def test_of_lm_studio_with_a_hybrid_model_whose_system_1_thinks() -> None:
    findings = ask(LMStudio(models=listed("qwen/qwen3-8b", owner="organization_owner")), "qwen/qwen3-8b")
    assert findings["server"].found.startswith("generic")
    assert verdicts(findings, LEAK, REASONS) == ["no", "yes"]
    assert "--system1-model" in findings[LEAK].fix


def test_of_lm_studio_with_a_pair_of_models() -> None:
    thinking, instruct = "qwen/qwen3-4b-thinking-2507", "qwen/qwen3-4b-2507"
    endpoint = LMStudio(models=listed(thinking, instruct, owner="organization_owner"))
    findings = ask(endpoint, thinking, system1_model=instruct)
    leaks = [finding for name, finding in findings.items() if name.startswith(LEAK)]
    assert [finding.verdict for finding in leaks] == ["yes"], findings
    assert {body["model"] for body in endpoint.seen if "messages" in body} == {thinking, instruct}


def test_of_openrouter() -> None:
    endpoint = OpenRouter(models=listed("qwen/qwen3-32b", owner="x"))
    findings = ask(endpoint, "qwen/qwen3-32b", server="openrouter")
    assert findings["server"].found.startswith("openrouter")
    assert findings[BUDGET].verdict == "no"
    assert verdicts(findings, LEAK, REASONS, "request keys", "usage") == ["yes"] * 4
    assert {"enabled": False} in [body.get("reasoning") for body in endpoint.seen]
    assert not [body for body in endpoint.seen if "chat_template_kwargs" in body]


def test_of_openai() -> None:
    refused = ("chat_template_kwargs", "top_k", "min_p", "max_tokens")
    endpoint = OpenAIService(models=listed("gpt-5.2", owner="system"), system2="hidden", choices="n", cached=1024,
                             forbids=refused)  # fmt: skip
    findings = ask(endpoint, "gpt-5.2", server="openai")
    assert findings["server"].found.startswith("openai")
    assert BUDGET not in findings
    assert verdicts(findings, LEAK, REASONS, "request keys", "n", "cached tokens") == ["yes"] * 5
    assert {"none", "high"} <= {body.get("reasoning_effort") for body in endpoint.seen}
