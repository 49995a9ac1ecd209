"""Many replies decoded together by one model, in one thread, so that none can tell the others are there.

A step always runs as many rows as there are slots, used or not, for sums depend on the shape of a batch; each row
attends over keys and values of its own, without padding; each draws with chances of its own seed. Requests join and
leave between two tokens. Refuses to know text: tokens in, tokens out.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from queue import Empty, SimpleQueue
from typing import Any, Literal, TypeAlias

from scale_reasoning.errors import ConfigError, EngineError, Overloaded, Unreachable
from scale_reasoning.types import Sampling

Told: TypeAlias = "int | Literal['stop', 'length'] | EngineError"
"""A token; or how the reply ended, said once."""

ATTENTION = "scale_rows"
"""The name under which transformers finds `attend`."""


@dataclass(slots=True, kw_only=True, eq=False)
class Row:
    """One reply being decoded: at most `limit` tokens (1 or more) after `prompt`. `tell` is called in the decoder's
    thread; whoever sets `cancelled` is told no more than the token that is being made.
    """

    prompt: Sequence[int]
    limit: int
    sampling: Sampling
    chance: random.Random
    tell: Callable[[Told], None]
    cancelled: bool = False
    last: int = 0
    made: int = 0
    memory: dict[int, Memory] = field(default_factory=dict[int, "Memory"])

    @property
    def position(self) -> int:
        """Where the last token stands."""
        return len(self.prompt) + self.made - 1


class Memory:
    """The keys and values that a row has in one layer, each [1, heads, tokens, size]. Room doubles when it runs out."""

    __slots__ = ("_keys", "_tokens", "_values")

    def __init__(self, keys: Any, values: Any) -> None:
        self._keys, self._values, self._tokens = keys, values, keys.shape[2]

    def add(self, keys: Any, values: Any) -> None:
        """Appends one token's."""
        if self._tokens == self._keys.shape[2]:
            self._keys, self._values = _doubled(self._keys), _doubled(self._values)
        self._keys[:, :, self._tokens] = keys[:, :, 0]
        self._values[:, :, self._tokens] = values[:, :, 0]
        self._tokens += 1

    def newest(self, count: int | None) -> tuple[Any, Any]:
        """(keys, values) of the last `count` tokens, or of all."""
        start = max(0, self._tokens - count) if count else 0
        return self._keys[:, :, start : self._tokens], self._values[:, :, start : self._tokens]


def _doubled(kept: Any) -> Any:
    one, heads, tokens, size = kept.shape
    room = kept.new_empty(one, heads, 2 * tokens, size)
    room[:, :, :tokens] = kept
    return room


class Decoder:
    """Decodes up to `slots` rows together, further ones wait their turn; `stops` are the tokens that end a reply.

    Changes the model's attention for good. Raises ConfigError for an architecture that this way of decoding does
    not serve.
    """

    def __init__(self, model: Any, *, stops: frozenset[int], slots: int) -> None:
        self._torch, self._model, self._stops = import_module("torch"), model, stops
        self._rows: list[Row | None] = [None] * slots
        self._waiting: SimpleQueue[Row | None] = SimpleQueue()
        self._closing = False
        with self._torch.inference_mode():
            self._take_over()
        self._thread = threading.Thread(target=self._work, name="decoder", daemon=True)
        self._thread.start()

    def submit(self, row: Row) -> None:
        """Queues a row; it is told how it ended, whatever happens."""
        self._waiting.put(row)

    def close(self) -> None:
        """Ends the thread at the next token; rows under way are told Unreachable."""
        self._closing = True
        self._waiting.put(None)
        self._thread.join()

    def _work(self) -> None:
        with self._torch.inference_mode():
            while not self._closing:
                self._admit()
                if any(self._rows):
                    self._step()
        rest = [row for row in self._rows if row] + self._left()
        for row in rest:
            row.tell(Unreachable("the engine was closed"))

    def _left(self) -> list[Row]:
        rows = list[Row]()
        while not self._waiting.empty():
            if row := self._waiting.get():
                rows.append(row)
        return rows

    def _admit(self) -> None:
        """Frees the slots of cancelled rows, fills free ones; waits for a row only where there is none to decode."""
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
        """Reads the prompt, alone: what is beside it must not change it."""
        try:
            logits = self._forward([row], [row.prompt], range(len(row.prompt)))
            self._rows[slot] = row if self._advance(row, logits[0]) else None
        except Exception as error:  # noqa: BLE001 the thread serves others
            row.tell(_failure(error))

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
                row.tell(_failure(error))
            self._rows = [None] * len(self._rows)

    def _advance(self, row: Row, logits: Any) -> bool:
        """Draws a row's next token; whether the row goes on."""
        token = draw(logits, row.sampling, row.chance.random())
        if token in self._stops:
            row.tell("stop")
            return False
        row.last = token
        row.made += 1
        row.tell(token)
        if row.made < row.limit:
            return True
        row.tell("length")
        return False

    def _forward(self, rows: Sequence[Row | None], tokens: Sequence[Sequence[int]], positions: Sequence[int]) -> Any:
        """Logits after the last token of each row, [rows, vocabulary]."""
        ids = self._torch.tensor(tokens, device=self._model.device)
        places = self._torch.tensor(list(positions), device=self._model.device).view(ids.shape)
        return self._model(ids, position_ids=places, rows=rows, use_cache=False, logits_to_keep=1).logits[:, -1]

    def _take_over(self) -> None:
        """Gives the model an attention by rows, and sees that it still computes what it did before."""
        tokens = [token % self._model.config.get_text_config().vocab_size for token in range(5, 17)]
        whole = self._model(self._torch.tensor([tokens], device=self._model.device), use_cache=False).logits[0, -1]
        transformers = import_module("transformers")
        transformers.AttentionInterface.register(ATTENTION, attend)
        self._model.set_attn_implementation(ATTENTION)
        row = Row(prompt=tokens, limit=1, sampling=Sampling(), chance=random.Random(), tell=lambda _: None)
        self._forward([row], [tokens[:-1]], range(len(tokens) - 1))
        rows = [row, *self._rows[1:]]
        logits = self._forward(rows, [tokens[-1:]] + [[0]] * (len(rows) - 1), [row.position] + [0] * (len(rows) - 1))[0]
        if self._torch.nn.functional.cosine_similarity(whole.double(), logits.double(), 0) < 0.99:
            raise ConfigError("its layers keep more than keys and values of attention")


def attend(module: Any, query: Any, key: Any, value: Any, mask: None, *, rows: Sequence[Row | None], **how: Any) -> Any:
    """Attention for transformers: each row over its own memory, which takes the new keys and values.

    Shapes as there: query [rows, heads, tokens, size] to [rows, tokens, heads, size].
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
    """The token that `chance`, from 0 to 1, falls on among those that top_k, top_p and min_p leave, likeliest first.

    Temperature 0 is the likeliest token; None is 1. What else is None or 0 leaves all.
    """
    torch = import_module("torch")
    size = logits.shape[0]
    # Equal logits are common at 16 bits: the lower token goes first, whatever algorithm sorts.
    scores = logits.double() - torch.arange(size, device=logits.device) * 1e-13
    if sampling.temperature == 0:
        return int(scores.argmax())
    top_p = sampling.top_p or 1.0
    scores = scores / (1.0 if sampling.temperature is None else sampling.temperature)
    tokens = torch.arange(size, device=logits.device)
    if sampling.top_k and 0 < sampling.top_k < size:
        tokens = scores.topk(sampling.top_k).indices
    weights = scores[tokens].softmax(0)
    # Sorting a whole vocabulary is slow. Tokens below this are never needed to reach top_p: all together weigh less
    # than what it leaves.
    common = weights >= max((1 - top_p) / len(weights), (sampling.min_p or 0.0) * float(weights.max()))
    tokens, weights = tokens[common], weights[common]
    order = weights.argsort(descending=True)
    reached = weights[order].cumsum(0)
    allowed = int((reached - weights[order] < top_p).sum())
    return int(tokens[order][(reached < chance * reached[allowed - 1]).sum()])


def _failure(error: Exception) -> EngineError:
    if isinstance(error, import_module("torch").OutOfMemoryError):
        return Overloaded(f"the device's memory is full: {error}")
    return EngineError(f"decoding failed: {type(error).__name__}: {error}")
