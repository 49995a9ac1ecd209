"""The checks of `scale doctor`: each asks an engine for one thing, and judges by the replies whether it can do it.

Decides which evidence counts (a token count can show hidden reasoning), what a lack costs and how to fix it. Whether
the engine can be used at all, and the order of the checks, is probe.py's.
"""

from __future__ import annotations

import re
from dataclasses import replace

import msgspec

from scale_reasoning.engines.adapting import Adaptation
from scale_reasoning.engines.changes import Rename
from scale_reasoning.engines.check_logprobs import COST as NO_LOGPROBS
from scale_reasoning.engines.findings import Finding, no, unknown, yes
from scale_reasoning.engines.probed import ProbedEngine
from scale_reasoning.engines.values import as_list, as_table, value_at
from scale_reasoning.errors import Rejected
from scale_reasoning.profiles import ModeProfile
from scale_reasoning.replies import choice_schema
from scale_reasoning.types import MOST_LOGPROBS, Completion, Mode

FEW, SOME, MANY = 8, 64, 512
"""New tokens of a call. The many are for a thought."""

WORDS = "Write ten random words."
SEA = "Describe the sea in one short sentence."
SUMS = ("What is 17 + 25?", "A box holds 6 eggs. How many eggs are in 7 boxes?")
PUZZLE = "How many whole numbers from 1 to 100 can be divided by neither 2 nor 3?"
PREFIX = "The sea is wide, and the sky above it is high. "
PREFIX_TOKENS, PREFIX_WORDS = 1200, 12
"""The shared beginning of two prompts, and the tokens of one sentence of it. Hosted caches begin at 1,024 tokens; for a
small window a tenth of it is enough, because its server may read slowly."""

SPARE_TOKENS = 16
"""Tokens of a reply that its text need not show: its end, a template's marks."""

_MARK = re.compile(r"</?(?:\w+:)?think(?:ing)?>|\[/?THINK\]|<\|channel\|>|◁/?think▷", re.IGNORECASE)
"""How families mark the beginning and the end of a thought."""

OTHER_TEXTS = "a new run gives other texts (the journal still replays what was paid for)"
UNSTRUCTURED = "plain text with repair is used: now and then one more call, or a lost candidate"
THOUGHTLESS = "hard steps are answered without thinking: System 2 is System 1 at its price"

_COSTS = {
    "seed": OTHER_TEXTS,
    "stream_options": "tokens may not be counted: reports and comparisons show unknown then",
    "the system role": "nothing, if the model follows a user turn as it would a system prompt",
    "stream": "a reply must be whole within --first-byte-timeout, and the live view stands still",
    "max_tokens": "longer replies are cut off there",
    "max_completion_tokens": "longer replies are cut off there",
    "response_format": UNSTRUCTURED,
    "logprobs": NO_LOGPROBS,
    "top_logprobs": "an average over fewer alternatives per token",
}
"""What it costs that a server refuses a key."""


async def check_leak(engine: ProbedEngine) -> Finding:
    """Whether System 1 really does not think, by its replies to small sums."""
    if Mode.SYSTEM1 not in engine.endpoints:
        cost = "no easy step can be made cheap: SCALE does not run"
        return no(f"{engine.family.name} has no System 1: it always thinks", cost, engine.family.pair_hint)
    replies = [(await engine.ask(each, SOME)).completion for each in SUMS]
    signs = [sign for reply in replies if (sign := sign_of_thinking(reply))]
    if signs:
        no_text = all(not reply.text.strip() and not reply.cut_off for reply in replies)
        return no(
            f"{signs[0]} ({len(signs)} of {len(replies)} replies)",
            "easy steps pay for thoughts: SCALE's saving is lost, and figures by mode mean nothing",
            "the answer itself comes as reasoning: start the server with the parser of this family, or a newer server"
            if no_text
            else _switch_off(engine.endpoints[Mode.SYSTEM1].profile),
        )
    if all(reply.cut_off for reply in replies):
        return unknown("no marks of reasoning, but every reply to a small sum was cut off: it may think in its text")
    return yes(f"none in {len(replies)} replies")


async def check_reasoning(engine: ProbedEngine) -> Finding:
    """Whether System 2 thinks, by its reply to a sum worth a thought."""
    if Mode.SYSTEM2 not in engine.endpoints:
        return no(f"{engine.family.name} has no System 2: it never thinks", THOUGHTLESS, engine.family.pair_hint)
    profile = engine.endpoints[Mode.SYSTEM2].profile
    try:
        reply = await engine.ask(PUZZLE, MANY, mode=Mode.SYSTEM2)
        engine.thought = reply.completion
    except Rejected as refusal:
        return no(f"refused: {refusal}", "no hard step can be solved", _switch_on(profile))
    if sign := sign_of_thinking(reply.completion):
        return yes(sign)
    if not profile.extras and not profile.starts_thinking:
        return unknown("no reasoning apart from the text: no switch, a sentence in the prompt stands in for one")
    return no("no reasoning, apart or in the text", THOUGHTLESS, _switch_on(profile))


async def check_schema(engine: ProbedEngine) -> Finding:
    """Whether a reply keeps to a schema: one integer, for a request whose natural reply has none."""
    if Mode.SYSTEM1 not in engine.endpoints:
        return unknown("no System 1, whose calls use it")
    # With log-probabilities, as assessors ask; check_logprobs looks at them.
    request = engine.request(SEA, 4 * SOME, schema=choice_schema(of=9), logprobs=MOST_LOGPROBS)
    text = (await engine.send(request)).completion.text.strip()
    if _is_choice(text):
        return yes(f"a request with no number in its answer got {text}")
    refused = next((each for each in engine.adaptations if each.key == "response_format"), None)
    if refused is not None:
        fix = "a server or a model with response_format json_schema, if that matters"
        return no(f"refused: {refused.refusal}", UNSTRUCTURED, fix)
    if not text:
        return unknown("the reply was empty")
    fix = "vLLM, SGLang: a version with structured outputs, not disabled; a proxy may drop response_format"
    return no(f"accepted but ignored: {text}", UNSTRUCTURED, fix)


async def check_choices(engine: ProbedEngine) -> Finding:
    """Whether one request can have two replies."""
    if not engine.takes_raw_requests:
        return unknown("the engine takes no raw request")
    request = engine.request(WORDS, FEW)
    body = {"model": request.model, "messages": request.messages, request.limit_key: request.max_tokens, "n": 2}
    try:
        reply = await engine.fetch("/chat/completions", {**body, **request.extras})
        count = len(as_list(value_at(reply, "choices")))
        found = f"{count} for n = 2"
    except Rejected as refusal:
        count, found = 0, f"refused: {refusal}"
    if count == 2:
        return yes("two choices in one reply")
    return no(found, "nothing: SCALE sends separate requests, each with a seed of its own", "nothing to do")


async def check_seed(engine: ProbedEngine) -> Finding:
    """Whether a seed decides the text, by two replies to one seed and one to another."""
    request = engine.request(WORDS, SOME // 2)
    if request.sampling.temperature is not None:
        request = replace(request, sampling=replace(request.sampling, temperature=1.0))
    replies = [(await engine.send(replace(request, seed=seed))).completion for seed in (1, 1, 2)]
    first, second, other = (reply.reasoning + reply.text for reply in replies)
    if not first and not second:
        return unknown("the replies were empty")
    if first != second:
        fix = "vLLM: VLLM_BATCH_INVARIANT=1 where the card allows it; hosted models promise no better"
        return no("one seed gave two texts", OTHER_TEXTS, fix)
    if first == other:
        cost = "candidates and votes may all be alike: sampling gains nothing"
        fix = "is sampling on? --temperature 1; does a proxy answer from its cache?"
        return no("another seed gave the same text", cost, fix)
    return yes("one seed one text, another seed another")


async def check_cache(engine: ProbedEngine) -> Finding:
    """Whether a prompt's beginning is read from a cache, by the second of two calls that share it."""
    window = engine.endpoint.window
    tokens = PREFIX_TOKENS if window is None else min(PREFIX_TOKENS, window // 10)
    prefix = PREFIX * (tokens // PREFIX_WORDS)
    await engine.ask(prefix + SUMS[0], FEW)
    usage = (await engine.ask(prefix + SUMS[1], FEW)).completion.usage
    if usage.cached_tokens:
        total = "" if usage.prompt_tokens is None else f" of {usage.prompt_tokens:,}"
        return yes(f"{usage.cached_tokens:,}{total} prompt tokens")
    if usage.cached_tokens is None:
        cost = "what prefix caching saves is not visible; it may work all the same"
        return no("not reported", cost, "vLLM: --enable-prompt-tokens-details; SGLang: --enable-cache-report")
    return no(
        "0 tokens of a prompt that shared its beginning",
        "every step reads its whole context again: time and money that grow with each step",
        "vLLM: --enable-prefix-caching; SGLang: no --disable-radix-cache; llama.cpp: no --no-cache-prompt",
    )


async def check_keys(engine: ProbedEngine) -> Finding:
    """Which keys of a request the server refuses, and what was done about each."""
    found = engine.adaptations
    if not found:
        return yes("every key that was sent is taken")
    costs = dict.fromkeys(_cost_of(each) for each in found)
    costs.pop("", None)
    return no(
        "refused: " + "; ".join(each.summary for each in found),
        "; ".join(costs) or "nothing",
        "--profile NAME of another family, --system1-model, or a server that takes the switch"
        if any(each.lost_switch for each in found)
        else "nothing must be done: what is refused is changed in every request, and a run's manifest keeps it",
    )


async def check_usage(engine: ProbedEngine) -> Finding:
    """Which tokens the server counts, by all replies so far."""
    replies = [reply.completion for reply in engine.replies]
    thoughtful = [reply for reply in replies if sign_of_thinking(reply)]
    counts = {
        "prompt": [reply.usage.prompt_tokens for reply in replies],
        "completion": [reply.usage.completion_tokens for reply in replies],
        "reasoning": [reply.usage.reasoning_tokens for reply in thoughtful],
    }
    counted = {name: None not in each for name, each in counts.items() if each}
    found = ", ".join(f"{'' if there else 'no '}{name}" for name, there in counted.items()) + " tokens"
    if not (counted.get("prompt") and counted.get("completion")):
        fix = "the server must follow stream_options.include_usage; a proxy in between may drop it"
        return no(found, "costs are unknown: reports and comparisons show unknown", fix)
    if counted.get("reasoning") is False:
        cost = "thoughts are counted within the completion and not apart"
        fix = "nothing must be done; a recent vLLM or SGLang with --reasoning-parser counts them apart"
        return no(found, cost, fix)
    return yes(found + (", reasoning in addition to the completion: it is added" if engine.reasoning_is_apart else ""))


async def check_streaming(engine: ProbedEngine) -> Finding:
    """Whether replies come in pieces."""
    most = max((reply.pieces for reply in engine.replies), default=0)
    if most > 1:
        return yes(f"{most} pieces in one reply")
    replies = [reply.completion for reply in engine.replies]
    if all((reply.usage.completion_tokens or len(reply.text.split())) <= FEW for reply in replies):
        return unknown("every reply was too short to tell")
    cost = "the live view stands still, and a long thought looks like a dead server"
    fix = "a proxy may buffer (nginx: proxy_buffering off); else raise --first-byte-timeout"
    return no("whole replies at once", cost, fix)


def sign_of_thinking(completion: Completion) -> str:
    """What shows that the model thought before this reply, "" when nothing does."""
    usage, text = completion.usage, completion.text
    if mark := _MARK.search(text):
        return f"{mark.group()} in the text"
    if words := len(completion.reasoning.split()):
        return f"{words:,} words of reasoning"
    if usage.reasoning_tokens:
        return f"{usage.reasoning_tokens:,} reasoning tokens"
    size = len(text.encode())
    if usage.completion_tokens and usage.completion_tokens > size + SPARE_TOKENS:  # no token is less than a byte
        return f"{usage.completion_tokens:,} tokens for a text of {size} bytes: hidden reasoning"
    return "no text at all before the limit: hidden reasoning" if completion.cut_off and not text.strip() else ""


def _switch_off(profile: ModeProfile) -> str:
    """What to do where System 1 thinks."""
    if "chat_template_kwargs" in profile.extras:
        return (
            "the server or its chat template ignores chat_template_kwargs: use the model's own template (vLLM, SGLang; "
            "llama.cpp with --jinja), with no proxy that drops the key; or --system1-model with one that does not think"
        )
    if profile.extras:
        return f"{', '.join(profile.extras)} does not turn it off: --system1-model with one that does not think"
    return "the model thinks by itself: --profile NAME of its family, or --system1-model with one that does not think"


def _switch_on(profile: ModeProfile) -> str:
    """What to do where System 2 does not think."""
    if "chat_template_kwargs" in profile.extras:
        return (
            "the server or its chat template ignores chat_template_kwargs: use the model's own template "
            "(llama.cpp: --jinja), and vLLM's or SGLang's --reasoning-parser (qwen3 for Qwen3)"
        )
    keys = ", ".join(profile.extras)
    why = f"the server ignores {keys} or hides the thought" if keys else "the server may hide the thought"
    return f"{why}; is it the family's own model? --profile NAME"


def _is_choice(text: str) -> bool:
    try:
        body = as_table(msgspec.json.decode(text))
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return False
    return list(body) == ["choice"] and type(body["choice"]) is int


def _cost_of(adaptation: Adaptation) -> str:
    if adaptation.lost_switch:
        return "System 1 and System 2 may be answered alike, at one price"
    if adaptation.lost_budget:
        return "thinking budgets do not bind"
    if isinstance(adaptation.change, Rename):
        return ""
    return _COSTS.get(adaptation.key, "replies are drawn by the server's own sampling")
