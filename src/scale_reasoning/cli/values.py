"""How argparse reads the values of flags: each raises ArgumentTypeError, which says what a value must be."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from scale_reasoning.engines.limit import InFlight
from scale_reasoning.runs.manifest import MOST_NAME


def read_number(least: int) -> Callable[[str], int]:
    """Reads a whole number from `least` on."""

    def read(text: str) -> int:
        if not text.isdecimal() or int(text) < least:
            raise argparse.ArgumentTypeError(f"{text!r}: must be a whole number, at least {least}")
        return int(text)

    return read


def read_name(text: str) -> str:
    """Reads a run's name, with single spaces."""
    name = " ".join(text.split())
    if not name or len(name) > MOST_NAME or not name.isprintable():
        raise argparse.ArgumentTypeError(f"{text[:MOST_NAME]!r}: must be 1 to {MOST_NAME} printable characters")
    return name


def read_in_flight(text: str) -> InFlight:
    """Reads a number of requests, or auto."""
    return "auto" if text == "auto" else read_number(1)(text)


def read_seconds(text: str) -> float:
    """Reads a time."""
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < 1e6:
        raise argparse.ArgumentTypeError(f"{text!r}: must be a positive number of seconds")
    return seconds
