"""What a recipe would do: tokens, steps, memory per GPU. Loads no weights.

What cannot be known, for example because the model cannot be reached, stays None with a reason.
"""

from __future__ import annotations

from dataclasses import dataclass

from scale_reasoning.errors import ConfigError
from scale_reasoning.synth.extra import library
from scale_reasoning.synth.memory import Memory, Shape, estimate, measure
from scale_reasoning.synth.rows import TrainingRows
from scale_reasoning.synth.sft import Recipe
from scale_reasoning.synth.tokens import Examples, tokenise
from scale_reasoning.synth.train import count_packs
from scale_reasoning.synth.weights import find_local_weights, load_pretrained


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a recipe would do.

    `sequences` are the kept rows, or the packs of rows. `unknown` says why a part is None.
    """

    examples: Examples | None
    sequences: int | None
    shape: Shape | None
    memory: Memory | None
    unknown: tuple[str, ...]

    @property
    def prompt_tokens(self) -> int:
        """Prompt tokens in one epoch: not learned."""
        return sum(len(each.prompt) for each in self.examples.kept) if self.examples else 0

    @property
    def learned_tokens(self) -> int:
        """Learned tokens in one epoch."""
        return sum(len(each.learned) for each in self.examples.kept) if self.examples else 0

    @property
    def longest(self) -> int:
        """Tokens of the longest kept row."""
        return max((len(each) for each in self.examples.kept), default=0) if self.examples else 0


def plan(recipe: Recipe, rows: TrainingRows) -> Plan:
    """Computes what the recipe would do with the rows. Raises `ConfigError` for unusable rows and a missing extra."""
    library("torch")
    unknown = list[str]()
    examples = sequences = shape = memory = None
    try:
        place = find_local_weights(recipe.model)
        config = load_pretrained("AutoConfig", place, recipe.revision)
        tokenizer = load_pretrained("AutoTokenizer", place, recipe.revision)
    except ConfigError as error:
        unknown.append(str(error))
        sequences = None if recipe.packing else len(rows.rows)
    else:
        examples = tokenise(rows.rows, tokenizer, cutoff=recipe.cutoff)
        sequences = count_packs(examples.kept, recipe.cutoff) if recipe.packing else len(examples.kept)
        shape = _shape(config, unknown)
    if shape and examples:
        longest = recipe.cutoff if recipe.packing else max(map(len, examples.kept))
        memory = estimate(shape, recipe, recipe.device_batch * longest)
    return Plan(examples=examples, sequences=sequences, shape=shape, memory=memory, unknown=tuple(unknown))


def _shape(config: object, unknown: list[str]) -> Shape | None:
    try:
        return measure(config)
    except (AttributeError, ValueError, TypeError) as error:  # an architecture without these sizes
        unknown.append(f"memory: no estimate for {type(config).__name__}: {error}")
        return None
