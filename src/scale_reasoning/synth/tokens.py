"""Turns rows into token ids, of which only the completion is learned, exactly as written.

Chat templates rewrite assistant turns: some delete the thought, some open it. So the template formats only the prompt,
as a server does before it generates. The completion is tokenise unchanged and ends with the token that ends a turn. It
is decoded again and compared.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from scale_reasoning.errors import ConfigError
from scale_reasoning.synth.rows import TrainingRow
from scale_reasoning.types import THINK

IGNORED = -100
"""The label of a token that is not learned."""
OPENS, CLOSES = THINK
_PROBE = "scale end of turn"


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """A row as token ids: the prompt, and what is learned."""

    line: int
    prompt: Sequence[int]
    learned: Sequence[int]

    def __len__(self) -> int:
        return len(self.prompt) + len(self.learned)

    @property
    def input_ids(self) -> list[int]:
        """Prompt and completion."""
        return [*self.prompt, *self.learned]

    @property
    def labels(self) -> list[int]:
        """The same with IGNORED for the prompt."""
        return [IGNORED] * len(self.prompt) + list(self.learned)


@dataclass(frozen=True, slots=True, kw_only=True)
class Examples:
    """The examples, and the lines of the rows over the cut-off, which are `dropped`."""

    kept: tuple[Example, ...]
    dropped: tuple[int, ...] = ()


def tokenise(rows: Sequence[TrainingRow], tokenizer: Any, *, cutoff: int) -> Examples:
    """Every row as token ids. Rows of more than `cutoff` tokens are dropped, because a trace that is cut has no answer.

    Raises `ConfigError` for a row that the model's tokens cannot represent, and where no row is left.
    """
    end = end_of_turn(tokenizer)
    examples = [_make_example(row, tokenizer, end) for row in rows]
    kept = tuple(example for example in examples if len(example) <= cutoff)
    if not kept:
        raise ConfigError(f"cutoff = {cutoff}: all {len(rows)} rows are longer")
    return Examples(kept=kept, dropped=tuple(each.line for each in examples if len(each) > cutoff))


def end_of_turn(tokenizer: Any) -> str:
    """The special token that the template puts after an assistant's turn, else the tokenizer's end of text."""
    if not tokenizer.chat_template:
        raise ConfigError("the model has no chat template: choose an instruct model")
    turns = [{"role": "user", "content": "1 + 1?"}, {"role": "assistant", "content": _PROBE}]
    after = str(tokenizer.apply_chat_template(turns, tokenize=False)).rpartition(_PROBE)[2].lstrip()
    ends = [token for token in _list_special_tokens(tokenizer).values() if after.startswith(token)]
    if not ends and tokenizer.eos_token is None:
        raise ConfigError("the chat template ends a turn with no special token, and the tokenizer has no eos_token")
    return max(ends, key=len) if ends else str(tokenizer.eos_token)


def _make_example(row: TrainingRow, tokenizer: Any, end: str) -> Example:
    turns = [{"role": message.role, "content": message.content} for message in row.prompt]
    try:
        prompt = str(tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True))
    except Exception as error:  # jinja's errors, and any that a template raises
        raise ConfigError(f"line {row.line}: the model's chat template refuses its prompt: {error}") from error
    text = _drop_opening(row, prompt)
    learned = _encode(tokenizer, text)
    special = _list_special_tokens(tokenizer)
    if inside := sorted({special[each] for each in learned if each in special}):
        raise ConfigError(f"line {row.line}: its completion has {inside[0]!r}, a special token of this model")
    learned.append(int(tokenizer.convert_tokens_to_ids(end)))
    said = tokenizer.decode(learned, skip_special_tokens=False, clean_up_tokenization_spaces=False)
    if said != text + end:
        at = next((i for i, (a, b) in enumerate(zip(said, text + end, strict=False)) if a != b), len(text))
        raise ConfigError(
            f"line {row.line}: this tokenizer changes the completion: {said[at : at + 20]!r} instead of "
            f"{(text + end)[at : at + 20]!r} at character {at}"
        )
    return Example(line=row.line, prompt=_encode(tokenizer, prompt), learned=learned)


def _drop_opening(row: TrainingRow, prompt: str) -> str:
    """The completion without the opening mark of the thought, where the template has written it already."""
    bare = prompt.rstrip()
    if bare.endswith(CLOSES) and row.completion.lstrip().startswith(OPENS):
        raise ConfigError(
            f"line {row.line}: the model's chat template ends with a closed thought ({prompt[-20:]!r}), and the "
            "completion begins with another: choose a model whose template opens no thought"
        )
    if not bare.endswith(OPENS):
        return row.completion
    opening = prompt[len(bare) - len(OPENS) :]
    if not row.completion.startswith(opening):
        raise ConfigError(
            f"line {row.line}: the model's chat template opens the thought with {opening!r}, and the completion "
            f"begins with {row.completion[:20]!r}: write the rows that way, or choose a model whose template opens none"
        )
    return row.completion.removeprefix(opening)


def _encode(tokenizer: Any, text: str) -> list[int]:
    return [int(each) for each in tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]]


def _list_special_tokens(tokenizer: Any) -> dict[int, str]:
    added = {int(key): str(token) for key, token in tokenizer.added_tokens_decoder.items() if token.special}
    return {**dict(zip(tokenizer.all_special_ids, tokenizer.all_special_tokens, strict=True)), **added}
