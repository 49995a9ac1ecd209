"""What a recipe would do: tokens, steps, memory per GPU. Downloads nothing, loads no weights and needs no torch.

Where the model's tokenizer is not on this machine, tokens are estimated from characters. What cannot be known stays
None with a reason.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from math import ceil

from scale_reasoning.errors import ConfigError
from scale_reasoning.synth.filters import CHARACTERS_PER_TOKEN
from scale_reasoning.synth.memory import Memory, estimate, measure
from scale_reasoning.synth.rows import TrainingRow, TrainingRows
from scale_reasoning.synth.sft import Recipe
from scale_reasoning.synth.shape import Shape, compute, read_config
from scale_reasoning.synth.tokens import tokenise
from scale_reasoning.synth.train import count_packs
from scale_reasoning.synth.weights import EMBEDDED, find_local_weights, load_pretrained


@dataclass(frozen=True, slots=True, kw_only=True)
class Length:
    """The tokens of a row, and its line."""

    line: int
    prompt: int
    learned: int

    @property
    def total(self) -> int:
        """Prompt and completion."""
        return self.prompt + self.learned


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a recipe would do.

    `kept` are the rows up to the cutoff, `dropped` the lines of the others; `exact` says whether tokens were counted,
    not estimated. `sequences` are the kept rows, or the packs of rows. `unknown` says why a part is None or estimated.
    """

    kept: tuple[Length, ...]
    dropped: tuple[int, ...]
    exact: bool
    sequences: int | None
    shape: Shape | None
    memory: Memory | None
    unknown: tuple[str, ...]

    @property
    def prompt_tokens(self) -> int:
        """Prompt tokens in one epoch: not learned."""
        return sum(each.prompt for each in self.kept)

    @property
    def learned_tokens(self) -> int:
        """Learned tokens in one epoch."""
        return sum(each.learned for each in self.kept)

    @property
    def longest(self) -> int:
        """Tokens of the longest kept row."""
        return max((each.total for each in self.kept), default=0)


def plan(recipe: Recipe, rows: TrainingRows) -> Plan:
    """Computes what the recipe would do with the rows. Raises `ConfigError` for unusable rows."""
    unknown = list[str]()
    sequences = shape = memory = None
    try:
        tokenizer = load_pretrained("AutoTokenizer", find_local_weights(recipe.model), recipe.revision, here_only=True)
    except ConfigError as error:
        unknown.append(f"tokens are estimated, {CHARACTERS_PER_TOKEN:g} characters each: {error}")
        lengths, exact = [_estimate_length(each) for each in rows.rows], False
        kept = tuple(each for each in lengths if each.total <= recipe.cutoff)
        dropped = tuple(each.line for each in lengths if each.total > recipe.cutoff)
        sequences = None if recipe.packing else len(kept)
    else:
        examples, exact = tokenise(rows.rows, tokenizer, cutoff=recipe.cutoff), True
        kept = tuple(Length(line=each.line, prompt=len(each.prompt), learned=len(each.learned))
                     for each in examples.kept)  # fmt: skip
        dropped = examples.dropped
        sequences = count_packs(examples.kept, recipe.cutoff) if recipe.packing else len(kept)
    try:
        shape = _find_shape(recipe)
    except ConfigError as error:
        unknown.append(f"memory: {error}")
    if shape and kept:
        longest = recipe.cutoff if recipe.packing else max(each.total for each in kept)
        memory = estimate(shape, recipe, recipe.device_batch * longest)
    return Plan(
        kept=kept, dropped=dropped, exact=exact, sequences=sequences, shape=shape, memory=memory, unknown=tuple(unknown)
    )


def _estimate_length(row: TrainingRow) -> Length:
    prompt = sum(len(each.content) for each in row.prompt)
    return Length(
        line=row.line,
        prompt=ceil(prompt / CHARACTERS_PER_TOKEN),
        learned=ceil(len(row.completion) / CHARACTERS_PER_TOKEN),
    )


def _find_shape(recipe: Recipe) -> Shape:
    """The model's sizes. Raises ConfigError where they cannot be known on this machine."""
    embedded = recipe.model.lower() in EMBEDDED
    config = read_config("smollm2" if embedded else recipe.model, recipe.revision)
    try:
        return compute(config)
    except ConfigError as unsized:
        if find_spec("torch") is None or find_spec("transformers") is None:
            raise
        loaded = load_pretrained("AutoConfig", recipe.model, recipe.revision, here_only=True)
        try:
            return measure(loaded)
        except (AttributeError, ValueError, TypeError) as error:  # an architecture without these sizes
            raise ConfigError(f"{unsized}, and {type(loaded).__name__} has none: {error}") from error
