"""Replies as servers send them, by what is odd about each: the bytes of a body, and what they should be read as.

To add one, give `DIALECTS` a row. What should fail says which error, and a part of its message.
"""
# ruff: noqa: E501  a row is a line

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from scale_reasoning.errors import ContextOverflow, EngineError, Malformed, Overloaded, Rejected
from scale_reasoning.types import THINK, Completion, Marks, Usage

DONE = "data: [DONE]\n\n"
FOUR = "It is \\boxed{4}."


@dataclass(frozen=True)
class Dialect:
    """A body of this type, asked for with these marks of a thought; `inside` says that the template opens it."""

    body: bytes
    expected: Completion | tuple[type[EngineError], str]
    kind: str = "text/event-stream"
    think: Marks = THINK
    inside: bool = False


def sse(*items: Any, end: str = "\n\n") -> bytes:
    return "".join(item if isinstance(item, str) else f"data: {json.dumps(item)}{end}" for item in items).encode()


def chunk(delta: Any, finish: Any = None, **more: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": finish}], **more}


def content(*pieces: Any, finish: Any = "stop") -> list[Any]:
    return [*(chunk({"content": piece}) for piece in pieces), chunk({}, finish)]


def using(*usages: Any) -> bytes:
    return sse(*content("It is ", "\\boxed{4}."), *({"choices": [], "usage": usage} for usage in usages), DONE)


def ended(finish: Any, text: str = FOUR) -> bytes:
    return sse(chunk({"content": text}), chunk({}, finish), DONE)


def whole(message: Any, finish: Any = "stop", **more: Any) -> bytes:
    return json.dumps({"choices": [{"index": 0, "message": message, "finish_reason": finish}], **more}).encode()


def said(text: str = FOUR, reasoning: str = "", finish: str | None = "stop", **usage: int) -> Completion:
    return Completion(text=text, reasoning=reasoning, finish_reason=finish, usage=Usage(**usage))


def replace_first(body: bytes, old: str, new: str) -> bytes:
    assert old.encode() in body
    return body.replace(old.encode(), new.encode(), 1)


PLAIN = sse(*content("It is ", "\\boxed{4}."), DONE)
CHUNKS = content("It is ", "\\boxed{4}.")
THOUGHT = [{"type": "thinking", "thinking": [{"type": "text", "text": "Two and two."}]}]
HARMONY = (
    "<|channel|>analysis<|message|>Two and two.<|end|><|start|>assistant<|channel|>final<|message|>It is \\boxed{4}."
)
FILTER = (Overloaded, "content filter")
GAVE_UP = (Overloaded, "gave up in mid-reply")
CUT = said("", "Perhaps \\boxed{7}", "length")


def odd(**fields: Any) -> bytes:
    """A plain stream whose chunks have these fields."""
    return sse(*({**each, **fields} for each in CHUNKS), DONE)


def odd_choice(**fields: Any) -> bytes:
    """A plain stream whose choices have these fields; those in the deltas' place are left out."""
    choices = [{**each["choices"][0], **fields} for each in CHUNKS]
    return sse(*({"choices": [choice]} for choice in choices), DONE)


FRAMING = {
    "bom": b"\xef\xbb\xbf" + PLAIN,
    "bom before json": b"\xef\xbb\xbf" + whole({"content": FOUR}),
    "blank lines first": b"\n\n\r\n" + PLAIN,
    "crlf": PLAIN.replace(b"\n", b"\r\n"),
    "cr": PLAIN.replace(b"\n", b"\r"),
    "no space after data": PLAIN.replace(b"data: ", b"data:"),
    "openrouter comments": b": OPENROUTER PROCESSING\n\n"
    + PLAIN.replace(b"data", b": OPENROUTER PROCESSING\n\ndata", 1),
    "ping events": b"event: ping\ndata: ping\n\n" + PLAIN + b"event: ping\ndata: {}\n\n",
    "anthropic ping": b'event: ping\ndata: {"type": "ping"}\n\n' + PLAIN,
    "unknown event types": PLAIN.replace(b"data: {", b"event: chat.delta\nid: 7\ndata: {"),
    "unknown objects": sse({"type": "progress", "done": 0.5}, *CHUNKS, {"object": "metrics"}, DONE),
    "empty data": b"data:\n\ndata: \n\n" + PLAIN,
    "null data": b"data: null\n\n" + PLAIN,
    "done with spaces": sse(*CHUNKS, "data: [DONE] \n\n"),
    "done in quotes": sse(*CHUNKS, 'data: "[DONE]"\n\n'),
    "no done": sse(*CHUNKS),
    "no last blank line": sse(*CHUNKS)[:-2],
    "single line ends": sse(*CHUNKS, "data: [DONE]\n", end="\n"),
    "data twice": PLAIN.replace(b"data: ", b"data: data: "),
    "chunks in lists": sse([CHUNKS[0]], CHUNKS[1:], DONE),
    "lines of json": "\n".join(json.dumps(each) for each in CHUNKS).encode(),
    "whole body": whole({"role": "assistant", "content": FOUR}),
    "whole body, indented": json.dumps(json.loads(whole({"content": FOUR})), indent=2).encode(),
    "whole body in a list": b"[" + whole({"content": FOUR}) + b"]",
}
"""All of these say the same, under whichever content type."""

FIELDS = {
    "index null": odd_choice(index=None),
    "index a string": odd_choice(index="0"),
    "index a float": odd_choice(index=0.0),
    "index words": odd_choice(index="first"),
    "index missing": sse(*({"choices": [{"delta": c["choices"][0]["delta"], "finish_reason": c["choices"][0]["finish_reason"]}]} for c in CHUNKS), DONE),
    "index counts tokens": sse(*({"choices": [{**c["choices"][0], "index": n}]} for n, c in enumerate(CHUNKS)), DONE),
    "index counts tokens from one": sse(*({"choices": [{**c["choices"][0], "index": n}]} for n, c in enumerate(CHUNKS, 1)), DONE),
    "id a number": odd(id=7),
    "id null": odd(id=None, created=None, object=None, system_fingerprint=None),
    "created a string": odd(created="yesterday"),
    "model a list": odd(model=["a"]),
    "model null": odd(model=None),
    "error null": odd(error=None),
    "error empty": odd(error={}),
    "error of nulls": odd(error={"code": None, "message": ""}),
    "error empty text": odd(error=""),
    "error false": odd(error=False),
    "usage null": odd(usage=None),
    "usage a list": odd(usage=[]),
    "usage a number": odd(usage=3),
    "usage words": odd(usage="none"),
    "usage with halves of a character": odd(usage={"note": "\ud83d"}),
    "timings infinite": replace_first(odd(timings={"predicted_per_second": 0}), "0}", "Infinity}"),
    "timings not a number": replace_first(odd(timings={"predicted_per_second": 0}), "0}", "NaN}"),
    "logprobs minus infinity": replace_first(odd_choice(logprobs={"content": [0]}), "[0]", "[-Infinity]"),
    "logprobs a string": odd_choice(logprobs="none"),
    "a number too long": replace_first(odd(seed=1), '"seed": 1', '"seed": 1' + "0" * 5000),
    "a number out of range": replace_first(odd(seed=1), '"seed": 1', '"seed": 1e999'),
    "duplicate keys": replace_first(odd(created=1), '"created": 1', '"created": 1, "created": "x", "usage": null, "usage": 1'),
    "broken bytes in a name": replace_first(odd(id="x"), '"x"', '"?"').replace(b'"?"', b'"\xff"'),
    "choices missing": sse({"id": "x", "model": None}, *CHUNKS, DONE),
    "choices null": sse({"choices": None}, *CHUNKS, DONE),
    "choices empty": sse({"choices": []}, *CHUNKS, DONE),
    "a choice null": sse({"choices": [None]}, *CHUNKS, DONE),
    "azure": sse({"choices": [], "created": 0, "id": "", "model": "", "object": "", "prompt_filter_results": [{"prompt_index": 0, "content_filter_results": {"hate": {"filtered": False, "severity": "safe"}}}]}, *({"choices": [{**c["choices"][0], "content_filter_results": {}, "content_filter_offsets": {"check_offset": 44}}]} for c in CHUNKS), DONE),
    "delta null": sse({"choices": [{"index": 0, "delta": None}]}, *CHUNKS, {"choices": [{"index": 0, "delta": None}]}, DONE),
    "delta missing": sse({"choices": [{"index": 0}]}, *CHUNKS, DONE),
    "delta a list": sse({"choices": [{"index": 0, "delta": []}]}, *CHUNKS, DONE),
    "role alone": sse(chunk({"role": "assistant"}), *CHUNKS, DONE),
    "role empty": sse(*(chunk({"role": "", **c["choices"][0]["delta"]}, c["choices"][0]["finish_reason"]) for c in CHUNKS), DONE),
    "role null": sse(chunk({"role": None, "content": None, "tool_calls": None, "function_call": None, "refusal": None, "audio": None}), *CHUNKS, DONE),
    "tool calls empty": sse(chunk({"tool_calls": []}), *CHUNKS, DONE),
    "reasoning empty": sse(chunk({"reasoning": "", "reasoning_content": None, "reasoning_details": []}), *CHUNKS, DONE),
    "reasoning a number": sse(chunk({"reasoning": 0, "content": ""}), *CHUNKS, DONE),
    "finish reason empty": sse(*({"choices": [{**c["choices"][0], "finish_reason": c["choices"][0]["finish_reason"] or ""}]} for c in CHUNKS), DONE),
    "finish reason before the last chunk": sse(*CHUNKS, {"choices": [{"index": 0, "delta": {}, "finish_reason": None}]}, DONE),
    "finish reason false": sse(*({"choices": [{**c["choices"][0], "finish_reason": c["choices"][0]["finish_reason"] or False}]} for c in CHUNKS), DONE),
    "finish reason an object": sse(*CHUNKS[:-1], chunk({}, {"type": "stop", "matched": 151645}), DONE),
    "message in place of delta": sse(*({"choices": [{"message": c["choices"][0]["delta"], "finish_reason": c["choices"][0]["finish_reason"]}]} for c in CHUNKS), DONE),
    "messages that each hold the whole": sse({"choices": [{"message": {"content": "It is "}}]}, {"choices": [{"message": {"content": FOUR}, "finish_reason": "stop"}]}, DONE),
    "message again at the end": sse(*CHUNKS[:-1], {"object": "chat.completion", "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": FOUR}}]}, DONE),
    "text in place of delta": sse(*({"choices": [{"index": 0, "text": c["choices"][0]["delta"].get("content"), "finish_reason": c["choices"][0]["finish_reason"]}]} for c in CHUNKS), DONE),
    "text of a whole body": json.dumps({"object": "text_completion", "choices": [{"text": FOUR, "index": 0, "logprobs": None, "finish_reason": "stop"}]}).encode(),
    "deltas that each hold the whole": sse(chunk({"content": "It"}), chunk({"content": "It is \\boxed"}), chunk({"content": FOUR}), chunk({}, "stop"), DONE),
    "delta and message (perplexity)": sse(*({"choices": [{**c["choices"][0], "message": {"role": "assistant", "content": FOUR[: 6 + 9 * n]}}]} for n, c in enumerate(CHUNKS)), DONE),
    "delta and text (together)": sse(*({"choices": [{**c["choices"][0], "text": c["choices"][0]["delta"].get("content", "")}]} for c in CHUNKS), DONE),
    "minimax says all is well": sse(*({**c, "base_resp": {"status_code": 0, "status_msg": ""}, "input_sensitive": False} for c in CHUNKS), {"base_resp": {"status_code": 0, "status_msg": "success"}}, DONE),
    "content as one part": sse(*(chunk({"content": [{"type": "text", "text": p}]}) for p in ("It is ", "\\boxed{4}.")), chunk({}, "stop"), DONE),
    "content as one object": sse(*(chunk({"content": {"type": "text", "text": p}}) for p in ("It is ", "\\boxed{4}.")), chunk({}, "stop"), DONE),
    "content as texts": whole({"content": ["It is ", "\\boxed{4}."]}),
    "content with other parts": whole({"content": [{"type": "reference", "reference_ids": [1]}, {"type": "text", "text": FOUR}, {"type": "image_url", "image_url": {}}, None]}),
    "content as output": whole({"content": [{"type": "output_text", "text": FOUR, "annotations": []}]}),
    "content without types": whole({"content": [{"text": FOUR}]}),
    "refusal null": whole({"content": FOUR, "refusal": None}),
}  # fmt: skip
"""All of these say the same, without a count of tokens."""

THOUGHTS = {
    "reasoning": sse(chunk({"reasoning": "Two and "}), chunk({"reasoning": "two."}), *CHUNKS, DONE),
    "reasoning_content": sse(chunk({"reasoning_content": "Two and two.", "content": None}), *CHUNKS, DONE),
    "reasoning twice": sse(chunk({"reasoning_content": "Two and two.", "reasoning": "Two and two."}), *CHUNKS, DONE),
    "reasoning_text": sse(chunk({"reasoning_text": "Two and two."}), *CHUNKS, DONE),
    "thinking": sse(chunk({"thinking": "Two and two."}), *CHUNKS, DONE),
    "openrouter": sse(chunk({"role": "assistant", "content": "", "reasoning": "Two and two.", "reasoning_details": [{"type": "reasoning.text", "text": "Two and two.", "format": "unknown", "index": 0}]}), *CHUNKS, DONE),
    "openrouter, details alone": sse(chunk({"content": "", "reasoning": None, "reasoning_details": [{"type": "reasoning.summary", "summary": "Two and "}, {"type": "reasoning.text", "text": "two."}, {"type": "reasoning.encrypted", "data": "a83f"}]}), *CHUNKS, DONE),
    "minimax, details that each hold the whole": sse(*(chunk({"reasoning_details": [{"type": "reasoning.text", "text": t}]}) for t in ("Two", "Two and", "Two and two.")), *CHUNKS, DONE).replace(b"Two and two.", b"Two and two.    "),
    "litellm": sse(chunk({"reasoning_content": "Two and two.", "thinking_blocks": [{"type": "thinking", "thinking": "Two and two.", "signature": None}], "provider_specific_fields": {}}), *CHUNKS, DONE),
    "litellm, blocks alone": sse(chunk({"thinking_blocks": [{"type": "thinking", "thinking": "Two and two."}, {"type": "redacted_thinking", "data": "x"}]}), *CHUNKS, DONE),
    "thought and text in one chunk": sse(chunk({"reasoning_details": [{"text": "Two and two."}], "content": FOUR}), chunk({}, "stop"), DONE),
    "mistral": sse(chunk({"content": THOUGHT}), chunk({"content": [{"type": "thinking", "thinking": [], "closed": True}, {"type": "text", "text": "It is "}]}), chunk({"content": "\\boxed{4}."}), chunk({"content": ""}, "stop"), DONE),
    "mistral, whole": whole({"content": [*THOUGHT, {"type": "text", "text": FOUR}]}),
    "anthropic's parts": whole({"content": [{"type": "thinking", "thinking": "Two and two.", "signature": "x"}, {"type": "redacted_thinking", "data": "x"}, {"type": "text", "text": FOUR}]}),
    "reasoning part": whole({"content": [{"type": "reasoning", "text": "Two and two."}, {"type": "text", "text": FOUR}]}),
    "reasoning part, other key": whole({"content": [{"type": "reasoning", "reasoning": "Two and two."}, {"type": "text", "text": FOUR}]}),
    "reasoning part with a summary": whole({"content": [{"type": "reasoning", "summary": [{"type": "summary_text", "text": "Two and two."}]}, {"type": "text", "text": FOUR}]}),
    "bedrock": whole({"content": [{"type": "reasoning_content", "reasoning_content": "x", "reasoning_text": {"text": "Two and two."}}, {"type": "text", "text": FOUR}]}),
    "whole, both": whole({"content": FOUR, "thinking": "Two and two."}),
    **{f"{opening} in the text": sse(*content(opening[:3], opening[3:], "Two and ", "two.", close[:-2], close[-2:], "\n\nIt is ", "\\boxed{4}."), DONE) for opening, close in (
        ("<think>", "</think>"), ("<thinking>", "</thinking>"), ("<thought>", "</thought>"), ("[THINK]", "[/THINK]"),
        ("<mm:think>", "</mm:think>"), ("<seed:think>", "</seed:think>"), ("\u25c1think\u25b7", "\u25c1/think\u25b7"),
        ("<|channel>thought", "<channel|>"), ("<|START_THINKING|>", "<|END_THINKING|>"), ("<longcat_think>", "</longcat_think>"),
    )},
    **{f"{close} alone": sse(*content("Two and ", "two.", close, "\n\nIt is ", "\\boxed{4}."), DONE) for close in (
        "</think>", "</thinking>", "[/THINK]", "</mm:think>", "</seed:think>", "\u25c1/think\u25b7",
    )},
    "gpt-oss, raw": sse(*content(HARMONY), DONE),
    "gpt-oss, raw, from the start": sse(*content("<|start|>assistant", HARMONY, "<|return|>"), DONE),
    "gpt-oss, without special tokens": sse(*content("analysis", "Two and two.assistant", "finalIt is ", "\\boxed{4}."), DONE),
    "gpt-oss, raw, for a schema": sse(*content(HARMONY.replace("final", "final <|constrain|>json")), DONE),
}  # fmt: skip
"""All of these thought "Two and two." before they said the same."""

_COUNTED = {"prompt_tokens": 10, "completion_tokens": 20}

COUNTS: dict[str, tuple[bytes, dict[str, int]]] = {
    "plain": (using({**_COUNTED, "total_tokens": 30}), _COUNTED),
    "floats": (using({"prompt_tokens": 10.0, "completion_tokens": 20.0, "total_tokens": 30.0}), _COUNTED),
    "strings": (using({"prompt_tokens": "10", "completion_tokens": "20.0"}), _COUNTED),
    "other names": (using({"input_tokens": 10, "output_tokens": 20, "input_tokens_details": {"cached_tokens": 3}, "output_tokens_details": {"reasoning_tokens": 15}}), {**_COUNTED, "cached_tokens": 3, "reasoning_tokens": 15}),
    "nulls": (using({"prompt_tokens": None, "completion_tokens": None, "total_tokens": None}), {}),
    "negative": (using({"prompt_tokens": 10, "completion_tokens": -1}), {"prompt_tokens": 10}),
    "halves": (using({"prompt_tokens": 10, "completion_tokens": 2.5}), {"prompt_tokens": 10}),
    "words": (using({"prompt_tokens": "ten", "completion_tokens": True}), {}),
    "lists": (using({"prompt_tokens": [10], "completion_tokens": {"n": 20}}), {}),
    "absurd": (using({"prompt_tokens": 10, "completion_tokens": 10**15}), {"prompt_tokens": 10}),
    "zeros": (using({"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}), {}),
    "only a total": (using({"total_tokens": 30}), {}),
    "no completion, but a total": (using({"prompt_tokens": 10, "total_tokens": 30}), _COUNTED),
    "details a list": (using({**_COUNTED, "completion_tokens_details": [], "prompt_tokens_details": "none"}), _COUNTED),
    "details null": (using({**_COUNTED, "completion_tokens_details": {"reasoning_tokens": None}}), _COUNTED),
    "details as they should be": (using({**_COUNTED, "total_tokens": 30, "completion_tokens_details": {"reasoning_tokens": 15}, "prompt_tokens_details": {"cached_tokens": 3}}), {**_COUNTED, "reasoning_tokens": 15, "cached_tokens": 3}),
    "reasoning apart (xai)": (using({**_COUNTED, "total_tokens": 1030, "completion_tokens_details": {"reasoning_tokens": 1000}}), {"prompt_tokens": 10, "completion_tokens": 1020, "reasoning_tokens": 1000}),
    "reasoning apart, without a total": (using({**_COUNTED, "completion_tokens_details": {"reasoning_tokens": 1000}}), {"prompt_tokens": 10, "completion_tokens": 1020, "reasoning_tokens": 1000}),
    "reasoning apart, and not told (gemini)": (using({**_COUNTED, "total_tokens": 1030}), {"prompt_tokens": 10, "completion_tokens": 1020}),
    "reasoning apart, all of it": (using({"prompt_tokens": 21, "completion_tokens": 0, "total_tokens": 81, "completion_tokens_details": {"reasoning_tokens": 60}}), {"prompt_tokens": 21, "completion_tokens": 60, "reasoning_tokens": 60}),
    "reasoning within, says the total": (using({**_COUNTED, "total_tokens": 30, "reasoning_tokens": 20}), {**_COUNTED, "reasoning_tokens": 20}),
    "a total that has the cache": (using({**_COUNTED, "total_tokens": 130, "prompt_tokens_details": {"cached_tokens": 100}}), {**_COUNTED, "cached_tokens": 100}),
    "cumulative": (using({"prompt_tokens": 10, "completion_tokens": 1}, {"prompt_tokens": 10, "completion_tokens": 9}, {**_COUNTED, "total_tokens": 30}), _COUNTED),
    "zeros first (minimax)": (using({"total_tokens": 0, "total_characters": 0}, {**_COUNTED, "total_tokens": 30}), _COUNTED),
    "zeros last": (using({**_COUNTED, "total_tokens": 30}, {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}), _COUNTED),
    "no completion last": (using({**_COUNTED, "total_tokens": 30}, {"prompt_tokens": 10, "completion_tokens": 0, "total_tokens": 10}), _COUNTED),
    "null last": (using({**_COUNTED, "total_tokens": 30}, None, {}), _COUNTED),
    "prompt first, completion last": (using({"prompt_tokens": 10}, {"completion_tokens": 20}), _COUNTED),
    "groq": (sse({**CHUNKS[0], "x_groq": {"id": "req_1"}}, *CHUNKS[1:-1], {**CHUNKS[-1], "x_groq": {"id": "req_1", "usage": {**_COUNTED, "queue_time": 0.1}}}, DONE), _COUNTED),
    "moonshot": (sse(*CHUNKS[:-1], {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop", "usage": {**_COUNTED, "cached_tokens": 3}}]}, DONE), {**_COUNTED, "cached_tokens": 3}),
    "deepseek": (using({**_COUNTED, "prompt_cache_hit_tokens": 3, "prompt_cache_miss_tokens": 7}), {**_COUNTED, "cached_tokens": 3}),
    "minimax": (sse(*({**c, "usage": {"total_tokens": 0}} for c in CHUNKS[:-1]), {"choices": [{"finish_reason": "stop", "message": {"content": FOUR}}], "usage": {**_COUNTED, "total_tokens": 30}}, DONE), _COUNTED),
}  # fmt: skip
"""Bodies that say the same, and what they count."""

STOPS = (
    "stop",
    "STOP",
    "end_turn",
    "eos",
    "eos_token",
    "stop_sequence",
    "COMPLETE",
    "FinishReason.STOP",
    "FINISH_REASON_STOP",
)
LENGTHS = (
    "length",
    "LENGTH",
    "model_length",
    "MAX_TOKENS",
    "max_tokens",
    "max_output_tokens",
    "token_limit",
    "FinishReason.MAX_TOKENS",
    "model_context_window_exceeded",
)
GIVEN_UP = (
    "abort",
    "error",
    "ERROR",
    "insufficient_system_resource",
    "cancelled",
    "canceled",
    "load",
    "unload",
    "network_error",
    "timeout",
    {"type": "abort", "message": "out of memory"},
)
FILTERED = (
    "content_filter",
    "CONTENT-FILTER",
    "sensitive",
    "SAFETY",
    "RECITATION",
    "PROHIBITED_CONTENT",
    "content_filter: PROHIBITED_CONTENT",
    "refusal",
)
OTHERS = ("tool_calls", "repetition", "Because.")

ODDITIES: dict[str, Dialect] = {
    "halves of a character in two chunks": Dialect(sse(*content("a \ud83d", "\ude00 b"), DONE), said("a \U0001f600 b")),
    "halves of a character in a thought": Dialect(sse(chunk({"reasoning": "\ud83d"}), chunk({"reasoning": "\ude00"}), *CHUNKS, DONE), said(reasoning="\U0001f600")),
    "half a character and no more": Dialect(sse(*content("a\ud83d"), DONE), said("a\ufffd")),
    "half a character, then text": Dialect(sse(*content("a\ud83d", "b", "\ude00c"), DONE), said("a\ufffdb\ufffdc")),
    "halves of a character in one body": Dialect(whole({"content": "\ud83d x \ude00"}), said("\ufffd x \ufffd")),
    "broken bytes in the text": Dialect(sse(*content("a?"), DONE).replace(b"a?", b"a\xff"), said("a\ufffd")),
    "refusal": Dialect(whole({"content": None, "refusal": "I cannot."}), said("I cannot.")),
    "refusal in a stream": Dialect(sse(chunk({"refusal": "I "}), chunk({"refusal": "cannot."}), chunk({}, "stop"), DONE), said("I cannot.")),
    "refusal as a part": Dialect(whole({"content": [{"type": "refusal", "refusal": "I cannot."}]}), said("I cannot.")),
    "tool calls": Dialect(sse(chunk({"tool_calls": [{"index": 0, "function": {"name": "f", "arguments": "{}"}}]}), chunk({}, "tool_calls"), DONE), said("", finish="tool_calls")),
    "no reply": Dialect(sse(chunk({"content": ""}), chunk({}, "stop", usage={"prompt_tokens": 10, "completion_tokens": 0}), DONE), said("", prompt_tokens=10, completion_tokens=0)),
    "a mark that is talked about": Dialect(sse(*content("The mark [THINK] opens."), DONE), said("The mark [THINK] opens.")),
    "a thought of its own marks": Dialect(sse(*content("((Two", " and two.)", ")It is ", "\\boxed{4}."), DONE), said(reasoning="Two and two."), think=("((", "))")),
    "a thought of its own marks, opened by the template": Dialect(sse(*content("Two and two.))", FOUR), DONE), said(reasoning="Two and two."), think=("((", "))"), inside=True),
    "other marks than the family's": Dialect(sse(*content("<think>Two and two.</think>", FOUR), DONE), said(reasoning="Two and two."), think=("((", "))")),
    **{f"{opening} cut off": Dialect(sse(*content(opening, "Perhaps ", "\\boxed{7}", finish="length"), DONE), CUT) for opening in (
        "<think>", "<thinking>", "<reasoning>", "[THINK]", "<mm:think>", "\u25c1think\u25b7", "<seed:think>",
        "<|channel|>analysis<|message|>", "<|channel>thought", "\n\n<think>",
    )},
    "a thought after a word, cut off": Dialect(sse(*content("Hm.\n<think>", "\\boxed{7}", finish="MAX_TOKENS"), DONE), said("Hm.\n", "<think>\\boxed{7}", "length")),
    "gpt-oss, raw, cut off before its answer": Dialect(sse(*content("<|channel|>analysis<|message|>Perhaps \\boxed{7}", "<|end|><|start|>assistant", finish="length"), DONE), CUT),
    "gpt-oss, without special tokens, cut off": Dialect(sse(*content("analysis", "Perhaps ", "\\boxed{7}", finish="length"), DONE), CUT),
    "a text that begins with the word analysis": Dialect(sse(*content("analysis", " shows ", "\\boxed{4}", finish="length"), DONE), said("analysis shows \\boxed{4}", finish="length")),
    "a text that begins like a stripped thought": Dialect(sse(*content("analysisOf", " \\boxed{4}"), DONE), said("analysisOf \\boxed{4}")),
    "gpt-oss, raw, without a thought": Dialect(sse(*content("<|channel|>final<|message|>", FOUR, "<|return|>"), DONE), said()),
    "html": Dialect(b"<html><body>Welcome</body></html>", (Malformed, "no chat completion"), kind="text/html"),
    "no json": Dialect(sse(*CHUNKS[:1], "data: oops\n\n", DONE), (Malformed, "not a chat completion")),
    "json cut short": Dialect(whole({"content": FOUR})[:-9], (Malformed, "not a chat completion")),
    "lines of json cut short": Dialect(sse(*CHUNKS[:2]).replace(b"data: ", b"").replace(b"\n\n", b"\n"), (Malformed, "before it was complete"), kind="application/x-ndjson"),
    "text a number": Dialect(sse(chunk({"content": 4}), chunk({}, "stop"), DONE), (Malformed, "content")),
    "text a part that is a number": Dialect(whole({"content": [4]}), (Malformed, "content")),
    "text of a part a number": Dialect(whole({"content": [{"type": "text", "text": 4}]}), (Malformed, "content")),
    "choices a string": Dialect(sse({"choices": "none"}, DONE), (Malformed, "choices")),
    "a choice a string": Dialect(sse({"choices": ["none"]}, DONE), (Malformed, "choices")),
    "delta a string": Dialect(sse({"choices": [{"delta": "It is"}]}, DONE), (Malformed, "delta")),
    "nothing but blank lines": Dialect(b"\n\n\n", (Malformed, "no chat completion")),
    "stopped half way": Dialect(sse(*CHUNKS[:2]), (Malformed, "before it was complete")),
    "an error in a chunk (openrouter)": Dialect(sse(CHUNKS[0], {**chunk({"content": ""}, "error"), "error": {"code": 502, "message": "Provider disconnected"}}, DONE), (Overloaded, "Provider disconnected")),
    "an error in a choice": Dialect(sse(CHUNKS[0], {"choices": [{"index": 0, "delta": {}, "finish_reason": "error", "error": {"code": 502, "message": "Provider disconnected"}}]}, DONE), (Overloaded, "Provider disconnected")),
    "an error in words": Dialect(sse(CHUNKS[0], {"error": "out of memory"}, DONE), (Overloaded, "out of memory")),
    "an error in a list (gemini)": Dialect(b'[{"error": {"code": 503, "message": "The model is overloaded."}}]', (Overloaded, "The model is overloaded"), kind="application/json"),
    "an error object (vllm)": Dialect(sse({"object": "error", "message": "bad adapter", "type": "BadRequestError", "code": 400}, DONE), (Rejected, "bad adapter")),
    "an error of a window": Dialect(sse({"object": "error", "message": "maximum context length is 4096 tokens", "code": 400}, DONE), (ContextOverflow, "4096")),
    "a detail": Dialect(b'{"detail": "Internal Server Error"}', (Overloaded, "Internal Server Error")),
    "an error by code (dashscope)": Dialect(b'{"code": "Throttling", "message": "Requests rate limit exceeded", "request_id": "x"}', (Overloaded, "rate limit")),
    "an error without a message": Dialect(sse({"type": "error", "status": 500}), (Overloaded, "500")),
    "an error of minimax": Dialect(b'{"choices": null, "base_resp": {"status_code": 1002, "status_msg": "rate limit"}}', (Overloaded, "rate limit")),
    "an error field (llama.cpp)": Dialect(b'error: {"code": 500, "message": "out of slots", "type": "server_error"}\n\n', (Overloaded, "out of slots")),
    "an error of groq": Dialect(sse(CHUNKS[0], {"choices": [], "x_groq": {"error": "over capacity"}}), (Overloaded, "over capacity")),
    "an error with half a character": Dialect(sse({"error": {"message": "\ud83d broken"}}), (Overloaded, "broken")),
    "given up, then stop": Dialect(sse(*content(FOUR, finish="abort"), chunk({}, "stop"), DONE), GAVE_UP),
}  # fmt: skip

DIALECTS: dict[str, Dialect] = {
    **{f"framing: {name}": Dialect(body, said()) for name, body in FRAMING.items()},
    **{f"framing as {kind}: {name}": Dialect(FRAMING[name], said(), kind=kind) for kind in ("text/plain", "application/octet-stream", "application/json", "application/x-ndjson") for name in ("crlf", "whole body", "lines of json")},
    **{f"field: {name}": Dialect(body, said()) for name, body in FIELDS.items()},
    **{f"thought: {name}": Dialect(body, said(reasoning="Two and two.")) for name, body in THOUGHTS.items()},
    **{f"counts: {name}": Dialect(body, said(**counts)) for name, (body, counts) in COUNTS.items()},
    **{f"finish: {reason}": Dialect(ended(reason), said()) for reason in STOPS},
    **{f"finish: {reason}": Dialect(ended(reason), said(finish="length")) for reason in LENGTHS},
    **{f"finish: {reason}": Dialect(ended(reason, "Half an ans"), GAVE_UP) for reason in GIVEN_UP},
    **{f"finish: {reason}": Dialect(ended(reason, "Half an ans"), FILTER) for reason in FILTERED},
    **{f"finish: {reason}": Dialect(ended(reason), said(finish=reason)) for reason in OTHERS},
    **ODDITIES,
}  # fmt: skip
DIALECTS["thought: minimax, details that each hold the whole"] = Dialect(
    DIALECTS["thought: minimax, details that each hold the whole"].body, said(reasoning="Two and two.    ")
)
