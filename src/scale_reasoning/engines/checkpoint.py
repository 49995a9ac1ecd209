"""A checkpoint folder, run in this process by transformers: without a server, on a GPU if there is one.

Decides how a folder is loaded and how its chat template makes a prompt of a request, and turns tokens into text. Never
runs code that comes with a checkpoint. Tokens are made by decoding.py.
"""

from __future__ import annotations

import asyncio
import random
import re
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Literal, Self

from scale_reasoning.engines.decoding import Decoder, Output, Row
from scale_reasoning.engines.scored import ScoredTokens
from scale_reasoning.engines.think import ThinkSplitter, find_open_thought
from scale_reasoning.errors import ConfigError, ContextOverflow, EngineError, Rejected
from scale_reasoning.profiles import KNOWN_MARKS
from scale_reasoning.types import Completion, Delta, Marks, OnDelta, Request, Usage

SLOTS_CPU, SLOTS_GPU = 8, 32
"""Replies that are decoded together."""

LONGEST_MARK = 100
"""Characters of a mark of a thought."""

ATTENTIONS = {"full_attention", "sliding_attention"}
"""The kinds of layers whose memory is keys and values per token."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """A request as tokens; `thought` are the marks of the thought that the prompt opens, if any."""

    tokens: tuple[int, ...]
    thought: Marks | None


class Checkpoint:
    """A loaded checkpoint: `async with await Checkpoint.load(folder) as engine`.

    `name` is its name in records; `window` is tokens, None where the model's configuration has none.
    """

    @classmethod
    async def load(cls, folder: Path, *, window: int | None = None, slots: int | None = None) -> Checkpoint:
        """Loads the folder, in 32 bits on the processor or bfloat16 on the GPUs.

        `slots` replies are decoded together (default 8, or 32 on a GPU), further requests wait. Raises ConfigError
        when the folder cannot be loaded or served.
        """
        return await asyncio.to_thread(_load, folder, window, slots)

    def __init__(self, name: str, tokenizer: Any, decoder: Decoder, window: int | None) -> None:
        """Use `load`."""
        self.name, self.window = name, window
        self._tokenizer, self._decoder = tokenizer, decoder

    async def generate(self, request: Request, on_delta: OnDelta | None = None) -> Completion:
        """See Engine. The schema is not enforced.

        Raises ContextOverflow when the prompt fills the window, Rejected when the chat template refuses the messages,
        Unreachable when the engine is closed meanwhile.
        """
        prompt = await asyncio.to_thread(self._read, request)
        count = len(prompt.tokens)
        room = None if self.window is None else self.window - count
        if room is not None and room < 1:
            message = f"the prompt has {count} tokens and {self.name} a window of {self.window}"
            raise ContextOverflow(message, prompt_tokens=count, window=self.window)
        limits = [limit for limit in (request.max_tokens, room) if limit is not None]
        if not limits:
            raise ConfigError(f"{self.name}: the configuration names no window, so a reply has no limit: give --window")
        outputs: asyncio.Queue[Output] = asyncio.Queue()
        loop = asyncio.get_running_loop()

        def emit(output: Output) -> None:
            with suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(outputs.put_nowait, output)

        row = Row(
            prompt=prompt.tokens,
            limit=min(limits),
            sampling=request.sampling,
            chance=random.Random(request.seed),
            emit=emit,
            logprobs=request.logprobs,
        )
        inside, think = request.starts_thinking or prompt.thought is not None, prompt.thought or request.think
        reply = _Reply(self._tokenizer, on_delta, inside=inside, think=think, row=row)
        self._decoder.submit(row)
        try:
            while isinstance(output := await outputs.get(), int):
                reply.add(output)
        finally:
            row.cancelled = True
        if isinstance(output, EngineError):
            raise output
        return reply.end(output, prompt_tokens=count, model=self.name)

    def _read(self, request: Request) -> Prompt:
        turns = [{"role": message.role, "content": message.content} for message in request.messages]
        options = {**request.extras.get("chat_template_kwargs", {}), "tokenize": False, "add_generation_prompt": True}
        try:
            text: str = self._tokenizer.apply_chat_template(turns, **options)
        except Exception as error:  # a template can raise anything
            raise Rejected(f"{self.name}: the chat template refuses the messages: {error}", 400) from error
        ids = self._tokenizer.backend_tokenizer.encode(text, add_special_tokens=False).ids
        return Prompt(tokens=tuple(ids), thought=find_open_thought(text, request.think))

    async def close(self) -> None:
        """Ends the model's thread at the next token."""
        await asyncio.to_thread(self._decoder.close)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


class _Reply:
    """A completion while its tokens arrive."""

    def __init__(
        self,
        tokenizer: Any,
        on_delta: OnDelta | None,
        *,
        inside: bool,
        think: Marks,
        row: Row | None = None,
    ) -> None:
        self._backend = tokenizer.backend_tokenizer
        self._scored = ScoredTokens(self._backend, row) if row is not None and row.logprobs is not None else None
        # Holds back bytes until they make a character.
        self._stream = import_module("tokenizers.decoders").DecodeStream(skip_special_tokens=True)
        self._splitter, self._on_delta = ThinkSplitter(inside=inside, think=think), on_delta
        self._marks = {mark for marks in (think, *KNOWN_MARKS) for mark in marks}
        self._tail, self._tokens, self._closed_after = "", 0, 0

    def add(self, token: int) -> None:
        self._tokens += 1
        piece: str | None = self._stream.step(self._backend, token)
        if piece is None:
            name: str | None = self._backend.id_to_token(token)
            # In some vocabularies marks are special tokens, which the decoder ignores.
            piece = name if name in self._marks else None
        if self._scored is not None:
            self._scored.add(token, piece)
        if piece is None:
            return
        self._emit(self._splitter.feed(piece))
        for close in self._splitter.closes:
            if close in (self._tail + piece)[-len(piece) - len(close) + 1 :]:
                self._closed_after = self._tokens
        self._tail = (self._tail + piece)[-LONGEST_MARK:]

    def end(self, how: Literal["stop", "length"], *, prompt_tokens: int, model: str) -> Completion:
        self._emit(self._splitter.end())
        parts = text, reasoning = self._splitter.split(cut_off=how == "length")
        if parts != self._splitter.emitted:
            self._emit(Delta(restarted=True))
            self._emit(Delta(text=text, reasoning=reasoning))
        usage = Usage(
            prompt_tokens=prompt_tokens,
            completion_tokens=self._tokens + (how == "stop"),  # servers count the token that ends it
            reasoning_tokens=(self._closed_after or self._tokens) if reasoning else 0,
        )
        logprobs = None if self._scored is None else self._scored.select(text)
        return Completion(
            text=text, reasoning=reasoning, finish_reason=how, usage=usage, model=model, logprobs=logprobs
        )

    def _emit(self, delta: Delta | None) -> None:
        if delta is not None and self._on_delta is not None:
            self._on_delta(delta)


def name_of(folder: Path) -> str:
    """The name in records: the folder's, with its parent's where the folder's name alone says nothing."""
    path = folder.resolve()
    return f"{path.parent.name}/{path.name}" if re.fullmatch(r"checkpoint-\d+|final", path.name) else path.name


def _load(folder: Path, window: int | None, slots: int | None) -> Checkpoint:
    torch, transformers = _library("torch"), _library("transformers")
    on_gpu = bool(torch.cuda.is_available())
    slots = (SLOTS_GPU if on_gpu else SLOTS_CPU) if slots is None else slots
    for name, number in (("slots", slots), ("window", window)):
        if number is not None and number < 1:
            raise ConfigError(f"{name}: {number} is less than 1")
    transformers.utils.logging.disable_progress_bar()
    local = {"local_files_only": True, "trust_remote_code": False}
    try:
        tokenizer: Any = transformers.AutoTokenizer.from_pretrained(folder, **local)
        model, found = transformers.AutoModelForCausalLM.from_pretrained(
            folder,
            **local,
            dtype=torch.bfloat16 if on_gpu else torch.float32,
            device_map="auto" if on_gpu else None,
            attn_implementation="sdpa",
            output_loading_info=True,
        )
        _check(folder, tokenizer, model, found["missing_keys"])
        decoder = Decoder(model.eval(), stops=_stops(model, tokenizer), slots=slots)
    except Exception as error:  # the libraries' own errors, and the system's
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise ConfigError(f"model {folder}: transformers cannot serve it: {reason}") from error
    tokenizer.backend_tokenizer.no_truncation()  # trainers save theirs
    tokenizer.backend_tokenizer.no_padding()
    trained = getattr(model.config.get_text_config(), "max_position_embeddings", None)
    known = [size for size in (window, trained) if size]
    return Checkpoint(name_of(folder), tokenizer, decoder, min(known, default=None))


def _check(folder: Path, tokenizer: Any, model: Any, missing: set[str]) -> None:
    """Raises ConfigError for a folder that loads, but would reply nonsense."""
    if missing:
        raise ConfigError(f"weights are missing: {', '.join(sorted(missing)[:3])}")
    if not tokenizer.chat_template:
        raise ConfigError(f"its tokenizer has no chat template: put chat_template.jinja into {folder}")
    if not hasattr(tokenizer, "backend_tokenizer"):
        raise ConfigError("its tokenizer has no fast version (tokenizer.json)")
    strange = set(getattr(model.config.get_text_config(), "layer_types", None) or ()) - ATTENTIONS
    if strange:
        raise ConfigError(f"layers of kind {', '.join(sorted(strange))}; serve it with vLLM and give --base-url")


def _stops(model: Any, tokenizer: Any) -> frozenset[int]:
    """The tokens that end a reply: the generation configuration's and the tokenizer's."""
    said: int | list[int] | None = model.generation_config.eos_token_id
    listed = said if isinstance(said, list) else [said]
    return frozenset(token for token in (*listed, tokenizer.eos_token_id) if token is not None)


def _library(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError:
        raise ConfigError(
            f"a checkpoint folder needs {name}: pip install 'scale-reasoning[sft]'; or serve it and give --base-url"
        ) from None
