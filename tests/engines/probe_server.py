"""A chat server whose abilities can be taken away one by one, for `tests.servers.serving`."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from tests.servers import send, thinks

NAME = "Qwen/Qwen3-32B"
THOUGHT = "The user wants a sum, so I add the two numbers. " * 8


@dataclass(kw_only=True)
class Endpoint:
    """A handler that behaves as a Qwen3 on a good server does, but for what is said otherwise."""

    models: Any = field(default_factory=lambda: [{"id": NAME, "max_model_len": 40960, "owned_by": "sglang"}])
    """The `data` of GET /models, or a status to answer it with."""
    system1: str = "quiet"
    """quiet, apart, tags, marks, hidden (in the token count alone), swallowed (the answer as reasoning), rambling."""
    system2: str = "apart"
    schema: str = "honoured"
    """honoured, ignored, refused."""
    choices: str = "n"
    """n, one, refused."""
    budget: str = "kept"
    """kept, ignored."""
    seed: str = "repeatable"
    """repeatable, ignored (always another text), constant (always one text)."""
    usage: bool = True
    reasoning_counted: bool = True
    reasoning_apart: bool = False
    """Whether reasoning is counted in addition to the completion, as the total shows."""
    cached: int | None = 1216
    pieces: bool = True
    chat: str = "ok"
    """ok, or the fault of every chat: unknown-model, bad-key, bad-switch, overloaded, stall, hang-up."""
    logprobs: bool = True
    """Whether log-probabilities are given where they are asked for."""
    refuses: tuple[str, ...] = ()
    """Keys of a request that are refused, one at a time."""
    key: str = ""
    """Said in every reply, as if the server had read it from the headers."""
    asked: int = 0

    async def __call__(self, request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        self.asked += 1
        if request.path.endswith("/models"):
            if isinstance(self.models, int):
                return web.Response(status=self.models, text="<html>Not Found</html>", content_type="text/html")
            return web.json_response({"object": "list", "data": self.models})
        refusal = await self.refusal(request, body)
        if refusal is not None:
            return refusal
        text, reasoning = self.reply(body)
        if not body.get("stream"):
            message = {"role": "assistant", "content": text, "reasoning_content": reasoning}
            count = body.get("n", 1) if self.choices == "n" else 1
            choices = [{"index": i, "message": message, "finish_reason": "stop"} for i in range(count)]
            return web.json_response({"choices": choices})
        return await self.stream(request, body, text, reasoning)

    async def refusal(self, request: web.Request, body: dict[str, Any]) -> web.StreamResponse | None:
        if self.chat == "stall":
            await asyncio.sleep(3600)
        if self.chat == "hang-up":
            assert request.transport is not None
            request.transport.abort()
            return web.Response()
        faults = {
            "unknown-model": (404, f"The model `{body['model']}` does not exist."),
            "bad-key": (401, "Incorrect API key."),
            "bad-switch": (400, "Unrecognized request argument supplied: chat_template_kwargs"),
            "overloaded": (429, "Slow down."),
        }
        status, said = faults.get(self.chat, (0, ""))
        if refused := next((key for key in self.refuses if key in body), None):
            status, said = 400, f"Unrecognized request argument supplied: {refused}"
        if self.schema == "refused" and "response_format" in body:
            status, said = 400, "response_format is not supported by this model"
        if self.choices == "refused" and body.get("n", 1) > 1:
            status, said = 400, "n must be 1"
        return web.json_response({"error": {"message": said}}, status=status) if status else None

    def reply(self, body: dict[str, Any]) -> tuple[str, str]:
        """(text, reasoning)."""
        if "response_format" in body and self.schema == "honoured":
            return '{"choice": 3}', ""
        words = {
            "repeatable": f"seed {body.get('seed', self.asked)}",
            "ignored": f"call {self.asked}",
            "constant": "blue",
        }[self.seed]
        text = f"The answer to that is 42, I believe {words}. {self.key}"
        how = self.system2 if thinks(body) else self.system1
        budget = body.get("custom_params", {}).get("thinking_budget") if self.budget == "kept" else None
        thought = " ".join(THOUGHT.split()[:budget])
        return {
            "quiet": (text, ""),
            "hidden": ("42", ""),
            "apart": (text, thought),
            "tags": (f"<think>\n{thought}\n</think>\n\n{text}", ""),
            "marks": (f"[THINK]{thought}[/THINK]{text}", ""),
            "swallowed": ("", text),
            "rambling": ("Let me see. " * 20, ""),
        }[how]

    async def stream(self, request: web.Request, body: dict[str, Any], text: str, reasoning: str) -> web.StreamResponse:
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        how = self.system2 if thinks(body) else self.system1
        if reasoning:
            await send(response, {"choices": [{"index": 0, "delta": {"reasoning_content": reasoning}}]})
        for piece in text.split(" ") if self.pieces else [text]:
            said = f"{piece} " if self.pieces else piece
            scored = scores(said, body.get("top_logprobs", 0)) if body.get("logprobs") and self.logprobs else None
            await send(response, {"choices": [{"index": 0, "delta": {"content": said}, "logprobs": scored}]})
        finish = "length" if how == "rambling" else "stop"
        await send(response, {"choices": [{"index": 0, "delta": {}, "finish_reason": finish}]})
        if self.usage and body.get("stream_options", {}).get("include_usage"):
            thought = 60 if how == "hidden" else len(reasoning.split())
            usage: dict[str, Any] = {"prompt_tokens": 1300, "completion_tokens": thought + len(text.split())}
            if self.reasoning_counted and how != "hidden":
                usage["completion_tokens_details"] = {"reasoning_tokens": thought}
            if self.reasoning_apart:
                usage["total_tokens"] = usage["prompt_tokens"] + usage["completion_tokens"]
                usage["completion_tokens"] -= thought
            usage["prompt_tokens_details"] = None if self.cached is None else {"cached_tokens": self.cached}
            await send(response, {"choices": [], "usage": usage})
        await response.write(b"data: [DONE]\n\n")
        return response


def scores(text: str, alternatives: int) -> dict[str, Any]:
    top = [{"token": f"{n}", "logprob": -1.0 - n, "bytes": None} for n in range(alternatives)]
    return {"content": [{"token": text, "logprob": -0.5, "bytes": None, "top_logprobs": top}]}


def many_models(count: int) -> list[dict[str, str]]:
    return [{"id": f"org{i % 50}/model-{i:05d}"} for i in range(count)]
