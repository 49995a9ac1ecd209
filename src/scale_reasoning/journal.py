"""Completions already paid for, and their keys.

Decides when two requests are equal. Runs on disk depend on it, so a key never changes. Knows nothing of files.
"""

from __future__ import annotations

import hashlib
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from typing import Any, Protocol, cast

import msgspec

from scale_reasoning.types import JSON, Completion, Message, Request, Sampling, Schema


class Journal(Protocol):
    """Completions already paid for."""

    async def get(self, key: str, request: Request) -> Completion | None:
        """The completion filed under `key(request)`, or None."""
        ...

    async def put(self, key: str, request: Request, completion: Completion) -> None:
        """Files a completion; when this returns it is as durable as the journal makes it."""
        ...


class MemoryJournal:
    """A journal that lives as long as the process."""

    def __init__(self) -> None:
        self.completions: dict[str, Completion] = {}

    async def get(self, key: str, request: Request) -> Completion | None:
        """See Journal."""
        return self.completions.get(key)

    async def put(self, key: str, request: Request, completion: Completion) -> None:
        """See Journal."""
        self.completions[key] = completion


def key(request: Request) -> str:
    """sha256 (hex) of the canonical request.

    A later field counts only if it differs from its default, so that a new field changes no key.
    """
    return hashlib.sha256(msgspec.json.encode(_canonical(request), order="sorted")).hexdigest()


# The fields that the first runs hashed, at their defaults too. A field added to one of these types stays out of here.
_FIRST_FIELDS: dict[type, str] = {
    Request: "model messages mode seed max_tokens sampling schema extras starts_thinking limit_key",
    Message: "role content",
    Sampling: "temperature top_p top_k min_p",
    Schema: "name body",
}


def _canonical(value: object) -> JSON:
    """The value for msgspec to encode; a dataclass without the later fields that are at their defaults."""
    if type(value) is tuple:
        return [_canonical(item) for item in cast("tuple[Any, ...]", value)]
    kind = type(value)
    later = _later(kind)
    if not later and kind is not Request:
        return value  # msgspec encodes it as it stands: most values of a request
    left_out = {name for name, default in later.items() if getattr(value, name) == default}
    return {name: _canonical(getattr(value, name)) for name in _names(kind) if name not in left_out}


@cache
def _names(kind: type) -> tuple[str, ...]:
    return tuple(field.name for field in fields(kind))


@cache
def _later(kind: type) -> dict[str, object]:
    """The fields of a dataclass that the first runs did not have, with their defaults."""
    if not is_dataclass(kind):
        return {}
    first = next((_FIRST_FIELDS[base] for base in kind.__mro__ if base in _FIRST_FIELDS), "").split()
    return {
        field.name: field.default if field.default_factory is MISSING else field.default_factory()
        for field in fields(kind)
        if field.name not in first
    }
