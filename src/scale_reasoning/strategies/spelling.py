"""A strategy and its settings in one word: `NAME:key=value,key=value`, in model names and in flags."""

from __future__ import annotations

from dataclasses import dataclass

from scale_reasoning.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Spelled:
    """A strategy's name, and its settings as written."""

    name: str
    settings: tuple[str, ...] = ()


def split(text: str) -> Spelled:
    """Splits `NAME:key=value,…`; checks neither the name nor the settings."""
    name, _, settings = text.partition(":")
    return Spelled(name, tuple(each for each in settings.split(",") if each))


def pair(setting: str) -> tuple[str, str]:
    """Key (with underscores) and value of `key=value`. Raises ConfigError for anything else."""
    key, equals, value = setting.partition("=")
    if not equals or not key:
        raise ConfigError(f"{setting!r} must be KEY=VALUE")
    return key.replace("-", "_"), value
