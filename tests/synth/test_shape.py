"""A model's sizes without torch, and a dry run on a machine that has neither torch nor the model."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.commands import scale

from scale_reasoning.errors import ConfigError
from scale_reasoning.synth.shape import compute, read_config

PUBLISHED = {
    "Qwen/Qwen2.5-14B-Instruct": 14.7e9,
    "Qwen/Qwen2.5-32B-Instruct": 32.5e9,
    "Qwen/Qwen2.5-72B-Instruct": 72.7e9,
    "meta-llama/Llama-3.3-70B-Instruct": 70.6e9,
    "smollm2": 134.5e6,
}
"""Parameters as the models' cards have them."""


@pytest.mark.parametrize("model", PUBLISHED)
def test_the_recipes_base_models_have_as_many_parameters_as_published(model: str) -> None:
    assert compute(read_config(model)).parameters == pytest.approx(PUBLISHED[model], rel=0.01)


def test_a_folder_has_its_own_configuration(tmp_path: Path) -> None:
    config = {**read_config("smollm2"), "num_hidden_layers": 2}
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert compute(read_config(str(tmp_path))).layers == 2


@pytest.mark.parametrize(
    ("config", "says"),
    [
        ({"model_type": "mamba"}, "no sizes are known for mamba"),
        ({}, "a model without model_type"),
        ({"model_type": "llama", "vocab_size": 3}, "missing required field"),
        ({**read_config("smollm2"), "num_attention_heads": 0}, ">= 1"),
    ],
)
def test_another_configuration_is_refused(config: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        compute(config)


def test_a_damaged_configuration_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("[]")
    with pytest.raises(ConfigError, match=r"config\.json is no object"):
        read_config(str(tmp_path))


@pytest.mark.parametrize("name", ["no/such-model", "..", "/etc/passwd", "a b"])
def test_a_model_that_is_not_here_is_said_to_be_so(name: str) -> None:
    with pytest.raises(ConfigError, match=r"config\.json"):
        read_config(name)


@pytest.mark.parametrize("name", ["sft-limo-qwen2.5-32b", "sft-limo-llama3.3-70b", "sft-arithmetic-embedded"])
def test_a_dry_run_needs_neither_torch_nor_a_download(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("torch", "transformers", "trl", "peft", "accelerate"):
        monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "no-cache"))
    rows = tmp_path / "train.jsonl"
    turns = [
        {"role": "user", "content": "1 + 1?"},
        {"role": "assistant", "content": "<think>\n1 + 1\n</think>\n\n2" * 9},
    ]
    rows.write_text(json.dumps({"messages": turns}) + "\n" + json.dumps({"messages": turns * 9000}) + "\n")
    done = scale("sft", name, "--rows", str(rows), "--dry-run")
    said = dict(line.split(maxsplit=1) for line in done.stdout.splitlines())
    assert done.returncode == 0
    assert said["rows"].startswith("2 of ")
    assert said["tokens"].startswith("about ")
    assert "about 1 dropped (line 2)" in done.stdout
    assert "GiB per GPU" in said["memory"]
    assert said["unknown"].startswith("tokens are estimated")
