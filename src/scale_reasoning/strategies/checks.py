"""Checks of options that several strategies share; each error names the option, its value and what is allowed."""

from __future__ import annotations

from scale_reasoning.errors import ConfigError


def positive(strategy: object, *names: str) -> None:
    """Raises ConfigError unless each named field is None or at least 1."""
    for name in names:
        value = getattr(strategy, name)
        if value is not None and value < 1:
            raise ConfigError(f"{name} = {value}: must be at least 1")


def share(strategy: object, *names: str) -> None:
    """Raises ConfigError unless each named field is in [0, 1]."""
    for name in names:
        value = getattr(strategy, name)
        if not 0 <= value <= 1:
            raise ConfigError(f"{name} = {value}: must be from 0 to 1")


def one_of(strategy: object, **choices: tuple[str, ...]) -> None:
    """Raises ConfigError unless each named field is one of its choices."""
    for name, allowed in choices.items():
        value = getattr(strategy, name)
        if value not in allowed:
            raise ConfigError(f"{name} = {value!r}: must be one of {', '.join(allowed)}")


def at_most(strategy: object, **bounds: str) -> None:
    """Raises ConfigError unless each named field is None or at most the field that bounds it."""
    for name, bound in bounds.items():
        value, most = getattr(strategy, name), getattr(strategy, bound)
        if value is not None and value > most:
            raise ConfigError(f"{name} = {value}: must be at most {bound} = {most}")
