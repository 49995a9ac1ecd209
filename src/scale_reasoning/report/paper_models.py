"""Which model of the paper a name means: its own names alone, because a similar name is another model.

`QwQ-32B-Preview` is not QwQ, and `Qwen2.5-32B` is not Qwen2.5-32B-Instruct. Quantised copies keep their model's name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

NAMES: Mapping[str, tuple[str, ...]] = {
    "Qwen3-32B": ("qwen3-32b",),
    "QwQ": ("qwq-32b", "qwq"),
    "Distill-Llama-70B": ("deepseek-r1-distill-llama-70b", "distill-llama-70b", "deepseek-r1-70b"),
    "Distill-Qwen-32B": ("deepseek-r1-distill-qwen-32b", "distill-qwen-32b", "deepseek-r1-32b"),
    "Qwen2.5-14B-Instruct": ("qwen2.5-14b-instruct",),
    "Qwen2.5-32B-Instruct": ("qwen2.5-32b-instruct",),
    "Qwen2.5-72B-Instruct": ("qwen2.5-72b-instruct",),
    "Llama3.3-70B-Instruct": ("llama-3.3-70b-instruct", "llama3.3-70b-instruct", "meta-llama-3.3-70b-instruct"),
}  # fmt: skip
"""The paper's names of its models, and the names that the models have elsewhere, in lower case with hyphens."""
SYSTEM1 = "Qwen3-32B"
"""System 1 of every model of Table 1 that always thinks."""
TRAINED: Mapping[str, str] = {
    "scale-sft-limo-qwen2.5-14b": "Qwen2.5-14B-Instruct",
    "scale-sft-limo-qwen2.5-32b": "Qwen2.5-32B-Instruct",
    "scale-sft-limo-qwen2.5-72b": "Qwen2.5-72B-Instruct",
    "scale-sft-limo-llama3.3-70b": "Llama3.3-70B-Instruct",
}
"""The folders that `scale sft` makes of the recipes for Table 3, and their base models."""
LONGEST = 400
"""Characters of a name that are looked at, from its end."""
_PLACE = re.compile(r"final|checkpoint-\d+|snapshots|[0-9a-f]{40}")
_COPY = re.compile(
    r"[-.](?:\d{5}-of-\d{5}|gguf|awq|gptq|bnb|unsloth|mlx|nvfp4|mxfp4|fp8|fp16|bf16|int[48]|[48]-?bit|w\d{1,2}a\d{1,2}"
    r"|i?q\d(?:-[a-z0-9]{1,3}){0,3}|ud|quantized|dynamic|turbo|latest)$"
)
_TRAINED = re.compile(r"^scale-sft-(?:limo-)?|-(?:scale-sft|sft|scale|limo|traces|lora)$")


def find_model(name: str) -> str | None:
    """The paper's name of the model that a name, the path of its folder or of its GGUF file means; None for others.

    Of `SYSTEM 2 + SYSTEM 1`, as reports name two models, System 2's counts.
    """
    return _MODELS.get(_strip(_tell(name), _COPY))


def find_trained_base(name: str) -> str | None:
    """The paper's name of the base model that a fine-tuned model's name says; None if it does not say one.

    It is said by the folders of `TRAINED`, and by a model of the paper after `scale-sft-` or before `-traces`, `-sft`
    or `-lora`.
    """
    told = _tell(name)
    bare = _strip(_strip(told, _COPY), _TRAINED)
    return TRAINED.get(_strip(told, re.compile("-lora$"))) or _MODELS.get(_strip(bare, _COPY))


def has_papers_system1(name: str) -> bool:
    """Whether System 1 is the paper's: Qwen3-32B, whatever System 2 is."""
    system1 = name.partition(" + ")[2]
    return find_model(system1 or name) == SYSTEM1


def _tell(name: str) -> str:
    """The part of a name that says the model, in lower case with hyphens."""
    path = name.partition(" + ")[0].lower()[-LONGEST:]
    parts = [part for part in re.split(r"[/\\]+", path) if part and not _PLACE.fullmatch(part)]
    return re.sub(r"[-_:\s]+", "-", parts[-1].rpartition("--")[2]).strip("-") if parts else ""


def _strip(name: str, what: re.Pattern[str]) -> str:
    while (shorter := what.sub("", name)) != name:
        name = shorter
    return name


_MODELS = {other: name for name, others in NAMES.items() for other in (name.lower(), *others)}
