"""What a recipe would do, before it is done: tokens, steps, memory a GPU. No weights are loaded, nothing is unpacked.

Decides nothing; what cannot be known (a model that cannot be reached) is left unknown, with the reason.
"""

from __future__ import annotations

from dataclasses import dataclass

from scale_reasoning.errors import ConfigError
from scale_reasoning.synth.extra import library
from scale_reasoning.synth.memory import Memory, Shape, estimate, shape_of
from scale_reasoning.synth.rows import Rows
from scale_reasoning.synth.sft import Recipe
from scale_reasoning.synth.tokens import Examples, tokenised
from scale_reasoning.synth.train import packs
from scale_reasoning.synth.weights import loaded, place_if_here


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Of the rows kept: `sequences` that a step is made of (packs, if packed), `longest` tokens of one. `unknown` says
    why a part is None.
    """

    examples: Examples | None
    sequences: int | None
    shape: Shape | None
    memory: Memory | None
    unknown: tuple[str, ...]

    @property
    def prompt_tokens(self) -> int:
        """Tokens that are shown and not learned, in one epoch."""
        return sum(len(each.prompt) for each in self.examples.kept) if self.examples else 0

    @property
    def learned_tokens(self) -> int:
        """Tokens that are learned, in one epoch."""
        return sum(len(each.learned) for each in self.examples.kept) if self.examples else 0

    @property
    def longest(self) -> int:
        """Tokens of the longest row kept."""
        return max((len(each) for each in self.examples.kept), default=0) if self.examples else 0


def plan(recipe: Recipe, rows: Rows) -> Plan:
    """What the recipe would do with the rows. Raises `ConfigError` for unusable rows and a missing extra."""
    library("torch")
    unknown = list[str]()
    examples = sequences = shape = memory = None
    try:
        place = place_if_here(recipe.model)
        config = loaded("AutoConfig", place, recipe.revision)
        tokenizer = loaded("AutoTokenizer", place, recipe.revision)
    except ConfigError as error:
        unknown.append(str(error))
        sequences = None if recipe.packing else len(rows.rows)
    else:
        examples = tokenised(rows.rows, tokenizer, cutoff=recipe.cutoff, over_cutoff=recipe.over_cutoff)
        sequences = packs(examples.kept, recipe.cutoff) if recipe.packing else len(examples.kept)
        shape = _shape(config, unknown)
    if shape and examples:
        longest = recipe.cutoff if recipe.packing else max(map(len, examples.kept))
        memory = estimate(shape, recipe, recipe.device_batch * longest)
    return Plan(examples=examples, sequences=sequences, shape=shape, memory=memory, unknown=tuple(unknown))


def _shape(config: object, unknown: list[str]) -> Shape | None:
    try:
        return shape_of(config)
    except (AttributeError, ValueError, TypeError) as error:  # an architecture without these sizes
        unknown.append(f"memory: no estimate for {type(config).__name__}: {error}")
        return None
