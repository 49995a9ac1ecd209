"""What a dry run says: calls as each strategy bounds them, tokens only where a length is known."""

import pytest

from scale_reasoning.cli.estimate import estimate
from scale_reasoning.cli.lengths import find_length
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


def tokens(*words: str, **settings: JSON) -> int | None:
    found = find_length(cell(*words, **settings))
    return None if found is None else found.tokens


def test_tokens_are_the_datasets_own_length_for_the_model_that_is_run() -> None:
    assert tokens("cot") == 5789
    assert tokens("cot", "aime24") == 7409
    assert tokens("cot", "amc23", "QwQ-32B") == 6161
    assert tokens("scale", "amc23", "deepseek-ai/DeepSeek-R1-Distill-Qwen-32B") == 16804
    assert tokens("cot", "amc23", "house-model") == 5789
    assert tokens("vote", samples=4) == 4 * 5789
    assert tokens("vote", samples=2, base="scale") == 2 * 12556


def test_tokens_are_those_of_the_threshold_where_the_paper_has_it_at_the_same_limit() -> None:
    assert tokens("scale", "aime24", tau=0.7, system2_max_tokens=16384) == 12200
    assert tokens("scale", "aime24", tau=0.7) == 25581
    assert tokens("scale", "aime24", tau=0.75, system2_max_tokens=16384) == 25581
    assert tokens("scale", "amc23", tau=0.7, system2_max_tokens=16384) == 12556
    assert tokens("scale", "aime24", "house-model", tau=0.7, system2_max_tokens=16384) == 12200
    assert tokens("scale", "aime24", "QwQ-32B", tau=0.7, system2_max_tokens=16384) == 29812


def test_tokens_of_a_base_model_and_of_its_fine_tuned_one_are_their_own() -> None:
    assert tokens("cot", "aime24", "meta-llama/Llama-3.3-70B-Instruct") == 1200
    assert tokens("cot", "aime24", "scale-sft-limo-llama3.3-70b") == 15700
    assert tokens("cot", "aime24", "runs/scale-sft-limo-qwen2.5-14b") == 24400
    assert tokens("scale", "aime24", "Qwen/Qwen2.5-14B-Instruct") == 25581


def test_the_sum_names_the_tables_and_models_that_its_lengths_are_of() -> None:
    *_, total = said(cell("cot"), cell("cot", model="QwQ-32B"), cell("cot", model="Qwen/Qwen2.5-14B-Instruct"))
    assert total.endswith("at the lengths of the paper's Table 1 (Qwen3-32B, QwQ) and Table 3 (Qwen2.5-14B-Instruct)")


def test_a_run_of_several_models_names_them() -> None:
    one, other, _ = said(cell("cot"), cell("cot", model="QwQ-32B"))
    assert (one.split("  ")[0], other.split("  ")[0]) == ("Qwen/Qwen3-32B", "QwQ-32B")


def test_a_length_that_the_paper_does_not_have_is_unknown() -> None:
    assert find_length(cell("cot", "gsm8k")) is None
    line, total = said(cell("cot", "gsm8k"))
    assert line.endswith("tokens unknown")
    assert total.endswith("tokens unknown")
    *_, total = said(cell("cot"), cell("scale", "gsm8k"))
    assert "about 115,780 tokens at the lengths of the paper's Table 1 (Qwen3-32B), without scale" in total
    assert total.endswith("on gsm8k, whose length is unknown")
