"""Says where a fine-tuned model would be evaluated with another prompt than the one it was trained with."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from scale_reasoning.cli.options import say
from scale_reasoning.engines.connection import find_family
from scale_reasoning.engines.trained import read_trained

if TYPE_CHECKING:
    from scale_reasoning.runs.manifest import CellSpec, Manifest


def tell_other_prompts(manifest: Manifest) -> None:
    """One line for every model whose folder names a prompt that its cot cells do not send."""
    for model in dict.fromkeys(str(cell.model.model) for cell in manifest.cells if _gets_another(cell)):
        file = Path(model) / "prompts.md"
        fix = f"add --prompts {file}" if file.exists() else "leave --prompts out"
        say(f"{model} was trained with another prompt than it gets here: {fix}")


def _gets_another(cell: CellSpec) -> bool:
    learned = read_trained(cell.model.model).prompt_sha256
    if learned is None:
        return False
    return _hash_prompt(cell.make_strategy(), find_family(cell.model).prompts) not in (None, learned)


def _hash_prompt(strategy: object, prompt_set: str) -> str | None:
    """The hash of the prompt of a chain of thought; None for other strategies."""
    from scale_reasoning.prompts import choose_prompts, load_own
    from scale_reasoning.strategies import cot
    from scale_reasoning.synth.prompt import describe_prompt

    if not isinstance(strategy, cot.CoT):
        return None
    return describe_prompt(choose_prompts(strategy.prompts, load_own(cot.__file__, prompt_set))).sha256
