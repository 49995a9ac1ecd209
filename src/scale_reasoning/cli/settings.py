"""The user's own defaults of flags, as they are set: scale.toml in this folder, the user's file, SCALE_MODEL.

A folder may come from a stranger, so its file sets only what can neither send a key nor write a file.
"""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from scale_reasoning.engines.catalogue import DEFAULT_MODEL, EMBEDDED_MODELS
from scale_reasoning.errors import ConfigError
from scale_reasoning.files import read_toml, why
from scale_reasoning.strategies import flags as strategy_flags
from scale_reasoning.suggest import suggest

FILE = "scale.toml"
URL, MODEL = "OPENAI_BASE_URL", "SCALE_MODEL"
NOT_DEFAULTS = frozenset(
    {"help", "version", "resume", "dry-run", "from", "take-from", "run", "show", "answer", "shard", "policy", "name"}
    | {"out", "html", "plot", "push", "overwrite", "trust-manifest", "allow-test-split"}
)
"""Flags that say what one command is about, or allow something this once."""
REACH = frozenset(
    {"in-flight", "retries", "connect-timeout", "first-byte-timeout", "silence-timeout", "attempts-in-flight"}
)
"""How a model is reached: it never changes a result."""
URLS = frozenset({"base-url", "system1-base-url"})
NAMED_MODEL = frozenset(
    {"profile", "profiles", "window", "temperature", "top-p", "server", "api-key-env"}
    | {"system1-model", "system1-base-url", "system1-server"}
)
"""What belongs to a named model: another one on the command line sets it aside."""
STRATEGY = frozenset({"strategy", "effort", "like", "set"} | {name.replace("_", "-") for name in strategy_flags()})
IN_A_FOLDER = (
    REACH
    | NAMED_MODEL - {"profiles", "api-key-env"}
    | STRATEGY - {"prompts"}
    | {"model", "base-url", "seed", "samples", "limit", "data-dir", "split", "level", "problem-field", "answer-field"}
    | {"grader", "max-tokens-total", "max-cost", "denominator", "answers", "format", "quiet", "json", "no-browser"}
    | {"compact", "size", "no-title", "no-caption"}
)
"""What the file of a folder may set; no file to read, URLs only of this machine, folders only below this one."""
OCTET = r"(25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])"
LOOPBACK = re.compile(
    rf"https?://(localhost|127(\.{OCTET}){{3}}|\[::1\])(:[0-9]{{1,5}})?(/[\w./~-]*)?", re.IGNORECASE | re.ASCII
)
"""A URL of this machine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """A default of a flag: `key` is its name without dashes, `verb` the only verb it holds for, or None for all."""

    key: str
    value: Any
    set_in: str
    verb: str | None = None


def list_verbs(parser: argparse.ArgumentParser) -> Mapping[str, argparse.ArgumentParser]:
    """The parsers of the verbs."""
    actions = parser._actions  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
    return next(cast("Mapping[str, argparse.ArgumentParser]", each.choices) for each in actions if each.dest == "verb")


def read_settings(verbs: Mapping[str, argparse.ArgumentParser]) -> list[Setting]:
    """The defaults that files and SCALE_MODEL set, the ones that come first last. Raises ConfigError."""
    settings: list[Setting] = []
    for file in list_files():
        for key, value in _read(file).items():
            if key in verbs and isinstance(value, dict):
                settings += [_check(verbs, file, *each, key) for each in cast("dict[str, Any]", value).items()]
            else:
                settings.append(_check(verbs, file, key, value))
    if model := os.environ.get(MODEL):
        settings.append(Setting(key="model", value=model, set_in=MODEL))
    return settings


def default_base_url() -> tuple[str | None, str]:
    """The server where no flag names one, and where that is said: OPENAI_BASE_URL or a file. Raises ConfigError."""
    return _find("base-url", URL)


def default_model() -> str:
    """The model where no flag names one. Raises ConfigError."""
    return _find("model", MODEL)[0] or DEFAULT_MODEL


def _find(key: str, variable: str) -> tuple[str | None, str]:
    """The default of a key that holds for all verbs, and where it is set."""
    if value := os.environ.get(variable):
        return value, variable
    for file in reversed(list_files()):
        if value := _read(file).get(key):
            return str(_allow(file, key, value)), str(file)
    return None, variable


def list_files() -> list[Path]:
    """The user's file and the folder's, which comes first, whether they are there or not."""
    home = os.environ.get("XDG_CONFIG_HOME")
    try:
        own = [(Path(home) if home else Path.home() / ".config") / "scale-reasoning" / FILE]
    except RuntimeError:  # no home folder
        own = []
    return [*own, Path(FILE)]


def _read(file: Path) -> dict[str, Any]:
    try:
        return read_toml(file)
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise ConfigError(f"{file}: {why(error)}") from error


def _check(
    verbs: Mapping[str, argparse.ArgumentParser], file: Path, key: str, value: Any, verb: str | None = None
) -> Setting:
    """The setting in a file. Raises ConfigError for what no flag can be set to."""
    where = f"{file}: {key}" if verb is None else f"{file}: [{verb}] {key}"
    known = {flag for each in ([verb] if verb else verbs) for flag in list_flags(verbs[each])} - NOT_DEFAULTS
    if key in NOT_DEFAULTS:
        raise ConfigError(f"{where}: --{key} is for one command, not a default; take it out")
    if key not in known:
        raise ConfigError(f"{where}: no flag has this name{suggest(key, known)}")
    if key == "base-url" and (verb or isinstance(value, list)):
        raise ConfigError(f"{where}: one URL, above the tables; name further servers with --base-url")
    if isinstance(value, dict) or not isinstance(value, bool | str | int | float | list):
        raise ConfigError(f"{where}: must be a text, a number, true, false or a list of texts")
    takers = [verb] if verb else [name for name, parser in verbs.items() if key in list_flags(parser)]
    if isinstance(value, bool) != all(list_flags(verbs[each])[key].nargs == 0 for each in takers):
        raise ConfigError(f"{where}: must be {'a value' if isinstance(value, bool) else 'true or false'}")
    return Setting(key=key, value=_allow(file, key, value), set_in=str(file), verb=verb)


def _allow(file: Path, key: str, value: Any) -> Any:
    """The value, if the file may set it. Raises ConfigError for the file of a folder that sets more than it may."""
    what = _refuse_in_a_folder(key, value) if file == Path(FILE) else None
    if what is None:
        return value
    raise ConfigError(f"{file}: {key}: {what} in the file of a folder, which may come from anyone; set it in "
                      f"{list_files()[0]}")  # fmt: skip


def _refuse_in_a_folder(key: str, value: Any) -> str | None:
    """What is wrong with a setting in the file of a folder; None for what it may set."""
    texts = [str(each) for each in list_values(value)]
    if key not in IN_A_FOLDER:
        return "this cannot be set"
    if key in URLS and not all(map(LOOPBACK.fullmatch, texts)):
        return "only a server on this machine can be named"
    if key in ("model", "system1-model") and any(
        text.lower().endswith(".gguf") or (text not in EMBEDDED_MODELS and Path(text).exists()) for text in texts
    ):
        return "no file can be named"
    if key in ("strategy", "set") and any("prompts" in text for text in texts):
        return "no prompts file can be named"
    if key == "data-dir" and any(Path(text).is_absolute() or ".." in Path(text).parts for text in texts):
        return "only a folder below this one can be named"
    return None


def list_values(value: Any) -> list[Any]:
    """The values of a setting, which is a list or one value."""
    return cast("list[Any]", value) if isinstance(value, list) else [value]


def list_flags(parser: argparse.ArgumentParser) -> dict[str, argparse.Action]:
    """The long flags of a verb, without dashes."""
    actions = parser._actions  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
    return {flag[2:]: each for each in actions for flag in each.option_strings if flag.startswith("--")}
