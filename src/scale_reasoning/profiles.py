"""Model families: how to switch each one to System 1 and System 2, its sampling and its window.

A family is a table in profiles.toml or profiles_plain.toml, matched on the model's name; a user's file of the same
shape comes first.
The result is keys of a request body; servers are not known here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias, cast

import msgspec

from scale_reasoning.errors import ConfigError, refuse_unknown_keys
from scale_reasoning.files import read_toml, why
from scale_reasoning.prompts import list_prompt_sets
from scale_reasoning.suggest import describe_unknown
from scale_reasoning.types import JSON, THINK, Marks, Mode, Sampling

Count: TypeAlias = Annotated[int, msgspec.Meta(ge=1)]

Few: TypeAlias = Annotated[int, msgspec.Meta(ge=1, le=8)]

Seen: TypeAlias = Literal["problem", "facts"]
"""What SCALE's steps see of a problem: all of it, or its facts without its question."""

Mark: TypeAlias = Annotated[str, msgspec.Meta(min_length=1, max_length=100)]

Language: TypeAlias = Literal["", "letters"]
"""The only problems that a family solves: chains of arithmetic in letters; "" where it solves any."""

Effort: TypeAlias = Literal["low", "medium", "high"]

Word: TypeAlias = Literal["minimal", "low", "medium", "high", "xhigh", "max"]
"""A word of effort that a model takes."""

Thinking: TypeAlias = Literal["", "off", "on", "always", "none", "minimal", "low", "medium", "high", "xhigh", "max"]
"""How a mode thinks: see ModeProfile."""

EFFORTS: Mapping[str, Mapping[str, JSON]] = {"low": {"tau": 0.8}, "medium": {"tau": 0.5}, "high": {"tau": 0.2}}
"""What a word of effort sets of SCALE: from the last step alone to three of four steps in System 2 (paper, Table 2)."""

FINAL = "<|channel|>final"
"""Where gpt-oss ends its thought and begins the message for the user."""

KNOWN_MARKS: tuple[Marks, ...] = (
    THINK,
    ("<thinking>", "</thinking>"),
    ("<thought>", "</thought>"),  # Gemini
    ("<reasoning>", "</reasoning>"),
    ("[THINK]", "[/THINK]"),  # Magistral, Ministral
    ("<mm:think>", "</mm:think>"),  # MiniMax
    ("<seed:think>", "</seed:think>"),  # Seed-OSS
    ("<longcat_think>", "</longcat_think>"),  # LongCat
    ("\u25c1think\u25b7", "\u25c1/think\u25b7"),  # Kimi
    ("<|START_THINKING|>", "<|END_THINKING|>"),  # Command A
    ("<|begin_of_thought|>", "<|end_of_thought|>"),  # Sky-T1, OpenThinker
    ("<|inner_prefix|>", "<|inner_suffix|>"),  # Apertus
    ("<|channel>thought", "<channel|>"),  # Gemma 4
    ("<|channel|>analysis<|message|>", FINAL),  # gpt-oss
    ("<|start|>assistant<|channel|>analysis<|message|>", FINAL),
)
"""The marks by which families open and close a thought in their text."""

BRIEF = "Reply with one line like a + b = \\boxed{c} or a * b = \\boxed{c}, and nothing else."
THOROUGH = "Work it out step by step."
"""The sentences that stand in for a switch, in System 1 and System 2: they say how much to write of a solution."""

NO_PAIR = "name a model for it: --model for System 2, --system1-model for System 1"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModeProfile:
    """How one mode of a family is asked for.

    `extras` are body keys (the switch). `suffix` are words at the end of every request (a switch in the prompt; earlier
    turns lack it), `sentence` words at the end of every turn that asks for a solution: how much to write (by default,
    BRIEF and THOROUGH in a family that has both modes and no switch). `max_tokens` is the cap on new tokens,
    `limit_key` the body's name for it, `starts_thinking` whether the chat template opens the thought itself. `thinking`
    says what `extras` do, for servers that are told otherwise (servers.py): off, on, always (nothing is sent), or a
    word of effort; "" where the mode does not think or nothing is known. `system_suffix` are words at the end of the
    system prompt (a switch there). See Profile for the other fields.
    """

    sampling: Sampling = field(default_factory=Sampling)
    extras: Mapping[str, JSON] = field(default_factory=dict[str, JSON])
    suffix: str = ""
    sentence: str = ""
    max_tokens: Count | None = None
    starts_thinking: bool = False
    limit_key: str = "max_tokens"
    pair_hint: str = NO_PAIR
    prompts: str = ""
    candidates: Few | None = None
    steps_see: Seen | None = None
    think: tuple[Mark, Mark] = THINK
    language: Language = ""
    thinking: Thinking = ""
    system_suffix: str = ""
    thinking_efforts: tuple[Word, ...] = ()
    effort_key: Mapping[str, JSON] = field(default_factory=dict[str, JSON])
    takes_budget: bool = True

    @property
    def thinks(self) -> bool:
        """Whether the model is known to think before it answers."""
        return self.starts_thinking or self.thinking not in ("", "off", "none")


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """One model family. A mode that is None must come from another model. `prompts` names a folder of prompts files
    next to the strategies' own, for a family that was trained on other words. `candidates` is how many decompositions
    are worth their tokens, `steps_see` what steps should see of a problem; None where the strategy decides. `think` are
    the marks that open and close a thought in the family's text, where they are not `<think>` and `</think>`.
    `language` is that of the only problems which the family solves (see Language); others are refused before the first
    call. `efforts` are the options of SCALE that a word of effort stands for, where they are not the usual ones.
    `thinking_efforts` are the words of effort that the model itself takes, `effort_key` the body keys that tell it one
    ("$effort" stands for the word; `reasoning_effort` by default), `takes_budget` whether it takes a budget of thinking
    tokens where its server has a key for one.
    """

    name: str
    match: tuple[str, ...] = ()
    window: Count | None = None
    pair_hint: str = NO_PAIR
    prompts: str = ""
    candidates: Few | None = None
    steps_see: Seen | None = None
    think: tuple[Mark, Mark] = THINK
    language: Language = ""
    thinking_efforts: tuple[Word, ...] = ()
    effort_key: Mapping[str, JSON] = field(default_factory=dict[str, JSON])
    takes_budget: bool = True
    efforts: Mapping[Effort, Mapping[str, JSON]] = field(default_factory=dict[Effort, Mapping[str, JSON]])
    system1: ModeProfile | None = None
    system2: ModeProfile | None = None

    def effort(self, word: str) -> Mapping[str, JSON]:
        """The options of SCALE that a word of effort stands for."""
        return cast("Mapping[str, Mapping[str, JSON]]", self.efforts).get(word, EFFORTS[word])

    def mode(self, mode: Mode) -> ModeProfile | None:
        """The profile of a mode, None if the family does not have the mode."""
        return self.system1 if mode is Mode.SYSTEM1 else self.system2


def profile_for(model: str, *, name: str | None = None, file: Path | None = None) -> Profile:
    """The profile called `name`, else the first whose pattern matches the model's name, users' `file` first.

    Patterns are regular expressions searched in the lower-cased name without its organisation; for the path of a
    checkpoint (`.../final`, `.../checkpoint-120`) the folder above is used. Raises ConfigError for an unknown
    `name` or an invalid file.
    """
    families = (*(_read(file) if file else ()), *list_families())
    if name is not None:
        for family in families:
            if family.name == name:
                return family
        raise ConfigError(describe_unknown("profile", name, (family.name for family in families)))
    bare = telling_name(model)
    return next(f for f in families if any(re.search(pattern, bare) for pattern in f.match))


def telling_name(model: str) -> str:
    """The part of a model's name that patterns are searched in: lower-cased, without its organisation, not too long."""
    telling = [part for part in model.lower().split("/") if part and not _CHECKPOINT.fullmatch(part)]
    return (telling[-1] if telling else model.lower())[-LONGEST_NAME:]


def list_families() -> tuple[Profile, ...]:
    """The project's own families, in the order in which they are tried."""
    folder = Path(__file__).parent
    return tuple(family for name in FILES for family in _read(folder / name))


FILES = ("profiles.toml", "profiles_plain.toml")
"""Families that think or can, then those that never do and the fallback."""
LONGEST_NAME = 100
"""Characters of a model's name that patterns are searched in, from its end."""
MOST_REPEATS, MOST_CHOICES = 3, 6
"""In a pattern: a search then takes well under a second, whoever wrote the file."""
_REPEATS = re.compile(r"[*+?{](?<!\(\?)")
_HARD = re.compile(r"\)[*+{]|\\[1-9]|\(\?P=")
_CHECKPOINT = re.compile(r"final|checkpoint-\d+")


def _ends_soon(pattern: str) -> bool:
    repeats = len(_REPEATS.findall(pattern))
    return repeats <= MOST_REPEATS and repeats + pattern.count("|") <= MOST_CHOICES and not _HARD.search(pattern)


@cache
def _read(file: Path) -> tuple[Profile, ...]:
    try:
        tables = read_toml(file)
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigError(f"profiles file {file}: {why(error)}") from error
    return tuple(_profile(file, name, table) for name, table in tables.items())


def _profile(file: Path, name: str, table: JSON) -> Profile:
    where = f"profiles file {file.name}, [{name}]"
    if not isinstance(table, dict):
        raise ConfigError(f"{where}: must be a table")
    said = dict(cast("dict[str, Any]", table))
    shared = {key: said[key] for key in _SHARED_KEYS & said.keys()}
    refuse_unknown_keys(where, said, _FAMILY_KEYS)
    bodies = [cast("dict[str, Any]", said[mode.value]) for mode in Mode if isinstance(said.get(mode.value), dict)]
    switched = len(bodies) < len(Mode) or any(not _SWITCHES.isdisjoint(body) for body in bodies)
    for mode in Mode:
        if isinstance(body := said.get(mode.value), dict):
            rest = dict(cast("dict[str, Any]", body))
            refuse_unknown_keys(f"{where}.{mode.value}", rest, _MODE_KEYS)
            sampling = {key: rest.pop(key) for key in _SAMPLING_KEYS if key in rest}
            sentence = {} if switched else {"sentence": BRIEF if mode is Mode.SYSTEM1 else THOROUGH}
            said[mode.value] = {**sentence, **rest, "sampling": sampling, **shared}
    if not any(mode.value in said for mode in Mode):
        raise ConfigError(f"{where}: needs system1, system2 or both")
    try:
        profile = msgspec.convert({**said, "name": name}, Profile)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{where}: {error}") from error
    if profile.prompts and profile.prompts not in list_prompt_sets():
        raise ConfigError(f"{where}: {describe_unknown('prompt set', profile.prompts, list_prompt_sets())}")
    check_patterns(where, profile.match)
    return profile


def check_patterns(where: str, patterns: Iterable[str]) -> None:
    """Raises ConfigError for what is no regular expression, and for one whose search may take too long."""
    for pattern in patterns:
        if not _ends_soon(pattern):
            raise ConfigError(
                f"{where}: match = {pattern!r:.80}: may take too long: at most {MOST_REPEATS} of * + ? {{, "
                f"none of * + {{ after a group, at most {MOST_CHOICES} of these and | together"
            )
        try:
            re.compile(pattern)
        except (re.error, OverflowError, RecursionError) as error:
            raise ConfigError(f"{where}: match = {pattern!r:.80}: {error}") from error


_SWITCHES = {"extras", "suffix", "starts_thinking", "thinking", "system_suffix"}
_SAMPLING_KEYS = {field.name for field in fields(Sampling)}
_SHARED_KEYS = {
    "pair_hint", "prompts", "candidates", "steps_see", "think", "language", "thinking_efforts", "effort_key",
    "takes_budget",
}  # fmt: skip
_MODE_KEYS = {field.name for field in fields(ModeProfile)} - {"sampling", *_SHARED_KEYS} | _SAMPLING_KEYS
_FAMILY_KEYS = {field.name for field in fields(Profile)} - {"name"}
