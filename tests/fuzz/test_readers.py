"""No text makes a reader hang or raise but what it documents; what was found once is kept."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.fuzz.targets import TARGETS, Target, replied
from tests.fuzz.texts import LARGE, documents, events, large, tangled, texts, values
from tests.speed import limit_examples

from scale_reasoning.engines.think import ThinkSplitter
from scale_reasoning.errors import ConfigError
from scale_reasoning.replies import parse_outline
from scale_reasoning.replies.lenient import escape_latex
from scale_reasoning.runs.recipe import resolve as resolve_recipe

QUIET = {"deadline": None, "suppress_health_check": list(HealthCheck)}
SECONDS = 2.0
"""CPU for one text, however large: all of them take a tenth of it."""


def bounded(target: Target, text: str) -> None:
    start = time.thread_time()
    target(text)
    assert time.thread_time() - start < SECONDS


@pytest.mark.hypothesis
@pytest.mark.parametrize("name", TARGETS)
def test_any_text_is_read_or_refused_as_documented(name: str) -> None:
    @settings(max_examples=limit_examples(80), **QUIET)
    @given(texts)
    def check(text: str) -> None:
        bounded(TARGETS[name], text)

    check()


@pytest.mark.hypothesis
@pytest.mark.parametrize("name", TARGETS)
def test_a_large_text_is_read_in_bounded_time(name: str) -> None:
    @settings(max_examples=limit_examples(8), **QUIET)
    @given(large())
    def check(text: str) -> None:
        bounded(TARGETS[name], text)

    check()


FOUND = {
    "backslashes": "\\" * LARGE + "box",
    "marks on a letter": "a" + "\u0301\u0323" * LARGE,
    "white space without end": " " * LARGE,
    "white space before a thought": " " * 2_000 + "<think>a</think>b",
    "a date out of this world": "429 Mon, 01 Jan 2020 00:00:00 +99999999999999999999",
    "cells that are a number": '{"cells": 5}',
    "cells that are texts": '{"cells": [""]}',
    "a dataset that is a number": '{"cells": [{"dataset": 5}], "datasets": [5], "strategies": [{"name": "cot"}]}',
    "strategies that are texts": '{"datasets": ["a"], "strategies": ["cot"]}',
    "models that are a number": '{"datasets": ["a"], "strategies": [{"name": "cot"}], "models": 5}',
    "samples in words": '{"datasets": ["a"], "strategies": [{"name": "cot"}], "samples": "many"}',
    "events after the last": "data: [DONE]\n\ndata: null\n\n",
    "an approximation of everything": "2." * 1_000 + "\\boxed{" + "2 " * 990 + "}",
    "depth": "[" * LARGE,
    "depth of objects": '{"error":' * LARGE,
}
"""What earlier rounds found, by what it is."""


@pytest.mark.parametrize("found", FOUND)
def test_what_was_found_stays_mended(found: str) -> None:
    for target in TARGETS.values():
        bounded(target, FOUND[found])


def test_a_reply_may_drip_white_space_for_as_long_as_it_likes() -> None:
    split, start = ThinkSplitter(inside=False), time.thread_time()
    for _ in range(100_000):
        split.feed(" ")
    assert time.thread_time() - start < SECONDS


def test_a_recipe_whose_lists_multiply_out_to_too_much_is_refused() -> None:
    lists = {f"option{n}": list(range(10)) for n in range(5)}
    with pytest.raises(ConfigError, match="multiply out"):
        resolve_recipe({"datasets": ["a"], "strategies": [{"name": "cot", **lists}]}, "recipe.toml")


# Properties


@settings(max_examples=limit_examples(150), **QUIET)
@given(documents)
def test_repair_never_breaks_valid_json(document: str) -> None:
    json.loads(escape_latex(document))


@settings(max_examples=limit_examples(150), **QUIET)
@given(values.map(lambda value: json.dumps(value, ensure_ascii=False)).filter(lambda text: "\\" not in text))
def test_repair_leaves_json_without_escapes_as_it_is(document: str) -> None:
    assert escape_latex(document) == document


plain = st.text(st.characters(categories=["L", "Nd", "P", "Sm", "Zs"]), min_size=1).map(lambda text: f"Find {text}a")


@settings(max_examples=limit_examples(120), **QUIET)
@given(
    st.lists(plain, min_size=1, max_size=16), st.booleans(), st.sampled_from(["{}", "```json\n{}\n```", "Here: {} ok"])
)
def test_an_outline_in_json_is_read_as_it_stands(steps: list[str], ascii_only: bool, around: str) -> None:
    document = json.dumps({"subproblems": steps}, ensure_ascii=ascii_only)
    assert parse_outline(around.replace("{}", document), 16) == tuple(steps)


@settings(max_examples=limit_examples(120), **QUIET)
@given(events | tangled, st.data())
def test_a_reply_is_the_same_wherever_its_stream_is_cut(text: str, data: st.DataObject) -> None:
    body = text.encode("utf-8", "surrogatepass")
    cuts = sorted(data.draw(st.lists(st.integers(0, len(body)), max_size=8)))
    pieces = [body[a:b] for a, b in zip([0, *cuts], [*cuts, len(body)], strict=True)]
    assert replied(pieces) == replied([body])
