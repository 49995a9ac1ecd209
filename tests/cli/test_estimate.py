"""What a dry run says: calls as each strategy bounds them, tokens only where a length is known."""

import pytest

from scale_reasoning.cli.estimate import estimate, estimate_tokens
from scale_reasoning.engines.connection import ModelSpec
from scale_reasoning.runs.manifest import CellSpec, DatasetSpec, Manifest
from scale_reasoning.strategies import describe, make
from scale_reasoning.types import JSON, Problem


def cell(name: str, dataset: str = "amc23", model: str = "Qwen/Qwen3-32B", **settings: JSON) -> CellSpec:
    spec = ModelSpec(model=model, base_url="http://h/v1")
    return CellSpec(dataset=DatasetSpec(name=dataset), model=spec, strategy=describe(make(name, settings)))


def said(*cells: CellSpec) -> list[str]:
    problems = {each.dataset.name: [Problem(id=str(n), text="?", answer="1") for n in range(10)] for each in cells}
    return estimate(Manifest(cells=cells, samples=2), problems).splitlines()


@pytest.mark.parametrize(
    ("name", "settings", "most"),
    [
        ("cot", {}, 2),
        ("cot", {"answers": "boxed"}, 1),
        ("cot", {"answers": "boxed", "on_limit": "force"}, 2),
        ("inftythink", {}, 22),
        ("vote", {"samples": 8, "base": "scale", "base.route": "system2"}, 8 * (3 * 8 + 3 + 2 * 16 + 1)),
        ("scale", {}, 3 * 8 + 3 + 16 * 3 + 2 * 16 + 4),
        ("scale", {"route": "random", "answers": "boxed"}, 3 * 8 + 3 + 16 + 1),
    ],
)
def test_calls_are_what_the_strategy_can_make_at_most(name: str, settings: dict[str, JSON], most: int) -> None:
    line, total = said(cell(name, **settings))
    assert (f"at most {most} calls each" if most > 1 else "1 call each") in line
    assert f"in all 20 attempts, at most {20 * most:,} calls" in total


def test_tokens_are_the_datasets_own_length_for_the_model_that_is_run() -> None:
    assert estimate_tokens(cell("cot")) == 5789
    assert estimate_tokens(cell("cot", "aime24")) == 7409
    assert estimate_tokens(cell("cot", model="QwQ-32B")) == 6161
    assert estimate_tokens(cell("scale", model="deepseek-ai/DeepSeek-R1-Distill-Qwen-32B")) == 16804
    assert estimate_tokens(cell("cot", model="house-model")) == 5789
    assert estimate_tokens(cell("vote", samples=4)) == 4 * 5789
    assert estimate_tokens(cell("vote", samples=2, base="scale")) == 2 * 12556


def test_a_length_that_the_paper_does_not_have_is_unknown() -> None:
    assert estimate_tokens(cell("cot", "gsm8k")) is None
    line, total = said(cell("cot", "gsm8k"))
    assert line.endswith("tokens unknown")
    assert total.endswith("tokens unknown")
    *_, total = said(cell("cot"), cell("scale", "gsm8k"))
    assert "about 115,780 tokens at the paper's lengths, without scale" in total
    assert total.endswith("on gsm8k, whose length is unknown")
