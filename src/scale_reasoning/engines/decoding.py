"""Batched decoding by one model in one thread; each output is independent of its neighbours.

A step always runs as many rows as there are slots, used or not, because sums depend on the shape of a batch. Each row
attends over its own keys and values, without padding, and draws random numbers from its own seed. Requests join and
leave between two tokens. Tokens in, tokens out: knows nothing of text.
"""

from __future__ import annotations

import math
import random
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from queue import Empty, SimpleQueue
from typing import Any, Literal, NamedTuple, TypeAlias

from scale_reasoning.errors import ConfigError, EngineError, Overloaded, Unreachable
from scale_reasoning.types import Sampling

Output: TypeAlias = "int | Literal['stop', 'length'] | EngineError"
"""A token, or how the reply ended, which is the last output."""

ATTENTION = "scale_rows"
"""The name under which transformers finds `attend`."""


@dataclass(slots=True, kw_only=True, eq=False)
class Row:
    """One reply that is being decoded: at most `limit` tokens (1 or more) after `prompt`.

    `emit` is called in the decoder's thread. After `cancelled` is set it is called once more at most. With `logprobs`,
    `scores` has the log-probabilities of each token before it is emitted, with that many alternatives.
    """

    prompt: Sequence[int]
    limit: int
    sampling: Sampling
    chance: random.Random
    emit: Callable[[Output], None]
    cancelled: bool = False
    last: int = 0
    count: int = 0
    logprobs: int | None = None
    scores: list[Scores] = field(default_factory=list["Scores"])
    memory: dict[int, Memory] = field(default_factory=dict[int, "Memory"])

    @property
    def position(self) -> int:
        """The position of the last token."""
        return len(self.prompt) + self.count - 1


class Scores(NamedTuple):
    """The log-probability of the token that was drawn, and the likeliest tokens with theirs, best first."""

    logprob: float
    top: tuple[tuple[int, float], ...]


class Memory:
    """The keys and values of a row in one layer, each [1, heads, tokens, size]. Room doubles when it is full."""

    __slots__ = ("_keys", "_tokens", "_values")

    def __init__(self, keys: Any, values: Any) -> None:
        self._keys, self._values, self._tokens = keys, values, keys.shape[2]

    def add(self, keys: Any, values: Any) -> None:
        """Appends those of one token."""
        if self._tokens == self._keys.shape[2]:
            self._keys, self._values = _double(self._keys), _double(self._values)
        self._keys[:, :, self._tokens] = keys[:, :, 0]
        self._values[:, :, self._tokens] = values[:, :, 0]
        self._tokens += 1

    def newest(self, count: int | None) -> tuple[Any, Any]:
        """(keys, values) of the last `count` tokens, or of all."""
        start = max(0, self._tokens - count) if count else 0
        return self._keys[:, :, start : self._tokens], self._values[:, :, start : self._tokens]


def _double(kept: Any) -> Any:
    one, heads, tokens, size = kept.shape
    room = kept.new_empty(one, heads, 2 * tokens, size)
    room[:, :, :tokens] = kept
    return room


class Decoder:
    """Decodes up to `slots` rows together, further rows wait; `stops` are the tokens that end a reply.

    Replaces the model's attention. Raises ConfigError for an architecture that cannot be decoded in this way.
    """

    def __init__(self, model: Any, *, stops: frozenset[int], slots: int) -> None:
        self._torch, self._model, self._stops = import_module("torch"), model, stops
        self._rows: list[Row | None] = [None] * slots
        self._waiting: SimpleQueue[Row | None] = SimpleQueue()
        self._closing = False
        with self._torch.inference_mode():
            self._replace_attention()
        self._thread = threading.Thread(target=self._work, name="decoder", daemon=True)
        self._thread.start()

    def submit(self, row: Row) -> None:
        """Queues a row. Its last output is always how it ended."""
        self._waiting.put(row)

    def close(self) -> None:
        """Ends the thread at the next token; the last output of unfinished rows is Unreachable."""
        self._closing = True
        self._waiting.put(None)
        self._thread.join()

    def _work(self) -> None:
        with self._torch.inference_mode():
            while not self._closing:
                self._admit()
                if any(self._rows):
                    self._step()
        rest = [row for row in self._rows if row] + self._take_waiting()
        for row in rest:
            row.emit(Unreachable("the engine was closed"))

    def _take_waiting(self) -> list[Row]:
        rows = list[Row]()
        while not self._waiting.empty():
            if row := self._waiting.get():
                rows.append(row)
        return rows

    def _admit(self) -> None:
        """Frees the slots of cancelled rows and fills free slots; waits for a row only when there is none to decode."""
        self._rows = [None if row and row.cancelled else row for row in self._rows]
        while None in self._rows:
            try:
                row = self._waiting.get(block=not any(self._rows))
            except Empty:
                return
            if row is None:  # closing
                return
            if not row.cancelled:
                self._begin(row, self._rows.index(None))

    def _begin(self, row: Row, slot: int) -> None:
        """Reads the prompt, alone, because other rows must not change it."""
        try:
            logits = self._forward([row], [row.prompt], range(len(row.prompt)))
            self._rows[slot] = row if self._advance(row, logits[0]) else None
        except Exception as error:  # noqa: BLE001 the thread serves others
            row.emit(_failure(error))

    def _step(self) -> None:
        """One more token for every row."""
        try:
            logits = self._forward(
                self._rows,
                [[row.last if row else 0] for row in self._rows],
                [row.position if row else 0 for row in self._rows],
            )
            for slot, row in enumerate(self._rows):
                if row and not self._advance(row, logits[slot]):
                    self._rows[slot] = None
        except Exception as error:  # noqa: BLE001 the thread serves others
            for row in filter(None, self._rows):
                row.emit(_failure(error))
            self._rows = [None] * len(self._rows)

    def _advance(self, row: Row, logits: Any) -> bool:
        """Draws a row's next token; whether the row continues."""
        token = draw(logits, row.sampling, row.chance.random())
        if token in self._stops:
            row.emit("stop")
            return False
        if row.logprobs is not None:
            row.scores.append(score(logits, token, row.logprobs))
        row.last = token
        row.count += 1
        row.emit(token)
        if row.count < row.limit:
            return True
        row.emit("length")
        return False

    def _forward(self, rows: Sequence[Row | None], tokens: Sequence[Sequence[int]], positions: Sequence[int]) -> Any:
        """Logits after the last token of each row, [rows, vocabulary]."""
        ids = self._torch.tensor(tokens, device=self._model.device)
        position_ids = self._torch.tensor(list(positions), device=self._model.device).view(ids.shape)
        return self._model(ids, position_ids=position_ids, rows=rows, use_cache=False, logits_to_keep=1).logits[:, -1]

    def _replace_attention(self) -> None:
        """Makes the model attend by rows, and checks that it still computes the same."""
        tokens = [token % self._model.config.get_text_config().vocab_size for token in range(5, 17)]
        whole = self._model(self._torch.tensor([tokens], device=self._model.device), use_cache=False).logits[0, -1]
        transformers = import_module("transformers")
        transformers.AttentionInterface.register(ATTENTION, attend)
        self._model.set_attn_implementation(ATTENTION)
        row = Row(prompt=tokens, limit=1, sampling=Sampling(), chance=random.Random(), emit=lambda _: None)
        self._forward([row], [tokens[:-1]], range(len(tokens) - 1))
        rows = [row, *self._rows[1:]]
        logits = self._forward(rows, [tokens[-1:]] + [[0]] * (len(rows) - 1), [row.position] + [0] * (len(rows) - 1))[0]
        if self._torch.nn.functional.cosine_similarity(whole.double(), logits.double(), 0) < 0.99:
            raise ConfigError("its layers keep more than keys and values of attention")


def attend(module: Any, query: Any, key: Any, value: Any, mask: None, *, rows: Sequence[Row | None], **how: Any) -> Any:
    """Attention for transformers: each row attends over its own memory, to which the new keys and values are added.

    Shapes are those of transformers: query [rows, heads, tokens, size] to [rows, tokens, heads, size].
    """
    sdpa = import_module("transformers.integrations.sdpa_attention").sdpa_attention_forward
    out = query.new_zeros(query.shape[0], query.shape[2], query.shape[1], value.shape[3])
    for index, row in enumerate(rows):
        if row is None:
            continue
        of_row = slice(index, index + 1)
        new = key[of_row], value[of_row]
        window: int | None = how.get("sliding_window")
        if memory := row.memory.get(module.layer_idx):
            memory.add(*new)
            seen, band = memory.newest(window), None
        else:
            row.memory[module.layer_idx] = Memory(*new)
            seen, band = new, _band(query, window)
        out[of_row] = sdpa(module, query[of_row], *seen, band, **how)[0]
    return out, None


def _band(query: Any, window: int | None) -> Any:
    """The mask of a prompt longer than a layer's window: each token sees `window` tokens, itself the last."""
    tokens = query.shape[2]
    if window is None or tokens <= window:
        return None
    return query.new_ones(tokens, tokens).tril().triu(1 - window).bool()


def draw(logits: Any, sampling: Sampling, chance: float) -> int:
    """Samples a token: `chance`, from 0 to 1, selects among the tokens that top_k, top_p and min_p leave.

    Temperature 0 selects the likeliest token, None means 1. Each other option, if None or 0, leaves all tokens.
    """
    torch = import_module("torch")
    size = logits.shape[0]
    # Equal logits are common at 16 bits. The lower token comes first, with every sorting algorithm.
    scores = logits.double() - torch.arange(size, device=logits.device) * 1e-13
    if sampling.temperature == 0:
        return int(scores.argmax())
    top_p = sampling.top_p or 1.0
    scores = scores / (1.0 if sampling.temperature is None else sampling.temperature)
    tokens = torch.arange(size, device=logits.device)
    if sampling.top_k and 0 < sampling.top_k < size:
        tokens = scores.topk(sampling.top_k).indices
    weights = scores[tokens].softmax(0)
    # Sorting a whole vocabulary is slow. Tokens below this weight are not needed to reach top_p: all of them together
    # weigh less than 1 - top_p.
    common = weights >= max((1 - top_p) / len(weights), (sampling.min_p or 0.0) * float(weights.max()))
    tokens, weights = tokens[common], weights[common]
    order = weights.argsort(descending=True)
    reached = weights[order].cumsum(0)
    allowed = int((reached - weights[order] < top_p).sum())
    return int(tokens[order][(reached < chance * reached[allowed - 1]).sum()])


def score(logits: Any, token: int, alternatives: int) -> Scores:
    """The log-probabilities at temperature 1, before filters. Tokens that cannot be drawn are no alternatives."""
    scores = logits.double().log_softmax(0)
    best = scores.topk(min(alternatives, len(scores)))
    pairs = zip(best.indices.tolist(), best.values.tolist(), strict=True)
    return Scores(float(scores[token]), tuple((other, each) for other, each in pairs if math.isfinite(each)))


def _failure(error: Exception) -> EngineError:
    if isinstance(error, import_module("torch").OutOfMemoryError):
        return Overloaded(f"the device's memory is full: {error}")
    return EngineError(f"decoding failed: {type(error).__name__}: {error}")
