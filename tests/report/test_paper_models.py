from __future__ import annotations

import pytest

from scale_reasoning.report.paper import read_rows
from scale_reasoning.report.paper_models import NAMES, find_model, find_trained_base, has_papers_system1

HUB = {
    "Qwen/Qwen3-32B": "Qwen3-32B",
    "Qwen/QwQ-32B": "QwQ",
    "deepseek-ai/DeepSeek-R1-Distill-Llama-70B": "Distill-Llama-70B",
    "deepseek-ai/DeepSeek-R1-Distill-Qwen-32B": "Distill-Qwen-32B",
    "Qwen/Qwen2.5-14B-Instruct": "Qwen2.5-14B-Instruct",
    "Qwen/Qwen2.5-32B-Instruct": "Qwen2.5-32B-Instruct",
    "Qwen/Qwen2.5-72B-Instruct": "Qwen2.5-72B-Instruct",
    "meta-llama/Llama-3.3-70B-Instruct": "Llama3.3-70B-Instruct",
}
OTHERS = {
    "qwen3:32b": "Qwen3-32B",
    "qwq": "QwQ",
    "qwq:32b-q4_K_M": "QwQ",
    "deepseek-r1:70b": "Distill-Llama-70B",
    "qwen2.5:72b-instruct-q8_0": "Qwen2.5-72B-Instruct",
    "/models/Qwen3-32B": "Qwen3-32B",
    "/models/Qwen3-32B/": "Qwen3-32B",
    "models/Qwen3-32B-Q4_K_M.gguf": "Qwen3-32B",
    "models/Qwen3-32B-UD-Q4_K_XL-00001-of-00002.gguf": "Qwen3-32B",
    "/cache/models--Qwen--Qwen3-32B/snapshots/9216db5781bf21249d130ec9da846c4624c16137": "Qwen3-32B",
    "unsloth/Qwen3-32B-unsloth-bnb-4bit": "Qwen3-32B",
    "RedHatAI/Llama-3.3-70B-Instruct-quantized.w8a8": "Llama3.3-70B-Instruct",
    "RedHatAI/Llama-3.3-70B-Instruct-FP8-dynamic": "Llama3.3-70B-Instruct",
    "someone/Meta-Llama-3.3-70B-Instruct-AWQ-INT4": "Llama3.3-70B-Instruct",
    "Qwen/Qwen2.5-72B-Instruct-GPTQ-Int4": "Qwen2.5-72B-Instruct",
    "Qwen/QwQ-32B + Qwen/Qwen3-32B": "QwQ",
}
"""Names of copies, by servers, files and folders."""
NOT_THE_PAPERS = [
    "Qwen/Qwen3-8B", "Qwen/Qwen3-32B-Base", "Qwen3.3-2B", "Qwen/Qwen3-30B-A3B", "Qwen/QwQ-32B-Preview",
    "Qwen/Qwen2.5-32B", "Qwen/Qwen2.5-Coder-32B-Instruct", "Qwen/Qwen2.5-Math-72B-Instruct", "Qwen/Qwen2.5-7B-Instruct",
    "deepseek-ai/DeepSeek-R1-Distill-Qwen-14B", "deepseek-ai/DeepSeek-R1", "meta-llama/Llama-3.1-70B-Instruct",
    "meta-llama/Llama-3.3-70B", "huihui/Qwen3-32B-abliterated", "runs/Qwen3-32B/mine", "Qwen3-32B-traces",
    "scale-sft-limo-qwen2.5-32b", "student", "", "/", "q4_k_m.gguf", "x" * 10_000,
]  # fmt: skip


def test_every_model_of_the_paper_has_names():
    assert {row.model for table in ("table1", "table2", "figure2", "table3") for row in read_rows(table)} == set(NAMES)


@pytest.mark.parametrize("end", ["", "-AWQ", "-FP8", "-GPTQ-Int8", "-GGUF", "-4bit", "-bf16"])
def test_each_name_of_a_model_and_of_its_copies_means_that_model_alone(end: str):
    for name, model in HUB.items():
        assert find_model(name + end) == model
        assert find_model(model + end) == model


def test_no_name_of_one_model_of_the_paper_means_another():
    meant = [(name, find_model(other)) for name, others in NAMES.items() for other in others]
    assert all(name == found for name, found in meant)
    assert len({other for others in NAMES.values() for other in others}) == len(meant)


@pytest.mark.parametrize(("name", "model"), OTHERS.items())
def test_servers_files_and_folders_name_the_model_that_they_hold(name: str, model: str):
    assert find_model(name) == model


@pytest.mark.parametrize("name", NOT_THE_PAPERS)
def test_a_similar_name_is_another_model(name: str):
    assert find_model(name) is None


@pytest.mark.parametrize(
    ("name", "base"),
    [
        ("scale-sft-limo-qwen2.5-32b", "Qwen2.5-32B-Instruct"),
        ("runs/scale-sft-limo-llama3.3-70b/final", "Llama3.3-70B-Instruct"),
        ("scale-sft-limo-qwen2.5-72b-lora", "Qwen2.5-72B-Instruct"),
        ("scale-sft-Qwen2.5-14B-Instruct", "Qwen2.5-14B-Instruct"),
        ("me/Qwen2.5-72B-Instruct-traces", "Qwen2.5-72B-Instruct"),
        ("me/Llama-3.3-70B-Instruct-scale-sft-AWQ", "Llama3.3-70B-Instruct"),
        ("Qwen/Qwen2.5-32B-Instruct", "Qwen2.5-32B-Instruct"),
        ("scale-sft-32b", None),
        ("scale-sft-qwen2.5-32b", None),
        ("Qwen2.5-Coder-32B-Instruct-traces", None),
    ],
)
def test_a_fine_tuned_models_name_may_say_its_base(name: str, base: str | None):
    assert find_trained_base(name) == base


def test_system_1_is_the_papers_if_it_is_qwen3():
    assert has_papers_system1("Qwen/Qwen3-32B")
    assert has_papers_system1("Qwen/QwQ-32B + Qwen/Qwen3-32B-FP8")
    assert not has_papers_system1("Qwen/Qwen3-32B + Qwen/Qwen3-8B")
    assert not has_papers_system1("Qwen/QwQ-32B")
