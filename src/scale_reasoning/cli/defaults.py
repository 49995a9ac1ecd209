"""Which of the user's defaults hold for a command line.

A default holds where neither the command line nor a stored run, recipe or policy says anything.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Collection, Mapping, Sequence, Set
from math import inf

from scale_reasoning.cli.settings import (
    MODEL,
    NAMED_MODEL,
    NOT_DEFAULTS,
    REACH,
    STRATEGY,
    Setting,
    list_flags,
    list_values,
    read_settings,
)
from scale_reasoning.runs.recipes import find_shipped

STORED = frozenset({"resume", "policy", "from"})
"""Flags that name something stored, which decides what the command does."""
TAKE_RECIPES = frozenset({"eval", "synth", "sft"})
"""Verbs whose first word may be a recipe or a manifest."""


def extend(words: Sequence[str], verbs: Mapping[str, argparse.ArgumentParser]) -> tuple[list[str], dict[str, str]]:
    """A command line with the defaults that hold for it as flags after its verb, and where each flag is set.

    Raises ConfigError for a file that cannot be used.
    """
    if not words or words[0] not in verbs or words[0] == "config":
        return list(words), {}
    verb, given = words[0], list(words[1:])
    flags = list_flags(verbs[verb])
    held = {
        each.key: each
        for each in sorted(read_settings(verbs), key=lambda each: each.verb is not None)
        if each.verb in (None, verb) and each.key in flags and each.key != "base-url"
    }
    typed, others = _read_words(given, flags)
    keys = [key for key in held if _holds(held[key], verb, flags, typed, others)]
    inserted = [word for key in keys for word in _spell(held[key])]
    return [verb, *inserted, *given], {f"--{key}": held[key].set_in for key in keys}


def explain(message: str, set_by: Mapping[str, str]) -> str:
    """An error's message; where it names flags that nobody has typed, with where they are set."""
    found = {
        flag: set_in
        for flag, set_in in set_by.items()
        if any(each in message for each in (f"{flag} ", f"{flag}:", f"{flag[2:].replace('-', '_')} = "))
    }
    return message + "".join(f" ({flag} is set in {set_in})" for flag, set_in in found.items())


def _holds(setting: Setting, verb: str, flags: Collection[str], typed: Set[str], others: Sequence[str]) -> bool:
    """Whether a default holds for a command line: `flags` are the verb's, `typed` and `others` its words."""
    key = setting.key
    if key in NOT_DEFAULTS or key in typed:
        return False
    first = others[0] if others and verb in TAKE_RECIPES else ""
    recipe = find_shipped(first) is not None or first.endswith((".toml", "manifest.json"))
    if verb == "draft" or recipe or typed & STORED:
        return key in REACH or (key == "data-dir" and "resume" not in typed)
    if key == "model":
        return "base-url" in flags and not ("base-url" in typed and _runs_here(str(setting.value)))
    if key in NAMED_MODEL:
        return not (typed & {"model", "base-url"} or os.environ.get(MODEL))
    if key in STRATEGY:
        swept = verb == "sweep" and others[:1] == [key]
        options = STRATEGY - {"strategy", "like", "set"} if key == "effort" else frozenset[str]()
        return verb != "tune" and not swept and not typed & {"strategy", "effort", "like", *options}
    return True


def _read_words(given: Sequence[str], flags: Mapping[str, argparse.Action]) -> tuple[set[str], list[str]]:
    """The flags that a command line has, in full and without dashes, and the words that are neither flags nor values.

    A name in short stands for every flag that begins so: argparse refuses it if there are several.
    """
    typed: set[str] = set()
    others: list[str] = []
    values = 0.0  # how many more values the last flag takes
    for word in given:
        if word == "--":
            values = 0
        elif word.startswith("--"):
            name, equals, _ = word[2:].partition("=")
            named = [name] if name in flags else [each for each in flags if each.startswith(name)]
            typed.update(named)
            takes = 0 if equals or not named else flags[named[0]].nargs
            values = inf if takes in ("+", "*") else 1 if takes in (None, "?") else int(takes)
        elif values:
            values -= 1
        else:
            others.append(word)
    return typed, others


def _runs_here(model: str) -> bool:
    from scale_reasoning.cli.reach import runs_here

    return runs_here(model)


def _spell(setting: Setting) -> list[str]:
    if isinstance(setting.value, bool):
        return [f"--{setting.key}"] if setting.value else []
    return [f"--{setting.key}={each}" for each in list_values(setting.value)]
