"""Refuses the problems that a model was not trained for, before the first call.

Decides whether a problem is of a model's language. Which family has a language is said in profiles.toml.
"""

from __future__ import annotations

from collections.abc import Iterable

from scale_reasoning.arithmetic.reading import EXAMPLE, is_in_letters
from scale_reasoning.endpoint import Endpoints
from scale_reasoning.engines.catalogue import DEFAULT_MODEL
from scale_reasoning.engines.connection import ModelSpec, derive_system1, find_family
from scale_reasoning.errors import ConfigError
from scale_reasoning.printable import one_line
from scale_reasoning.profiles import Language
from scale_reasoning.types import Problem


def require_language(endpoints: Endpoints, problem: Problem) -> None:
    """Raises ConfigError if a model of the endpoints was trained for other problems only."""
    for endpoint in endpoints.values():
        _require(endpoint.profile.language, endpoint.model, (problem,))


def require_language_of(spec: ModelSpec, problems: Iterable[Problem]) -> None:
    """The same for models that are not open yet, so that none is fetched or loaded in vain."""
    for each in filter(None, (spec, derive_system1(spec))):
        _require(find_family(each).language, each.model or DEFAULT_MODEL, problems)


def _require(language: Language, model: str, problems: Iterable[Problem]) -> None:
    other = next((problem for problem in problems if not is_in_letters(problem.text)), None) if language else None
    if other is not None:
        raise ConfigError(
            f"{model} was trained only for chains of arithmetic in letters with numbers of three digits, such as "
            f"{EXAMPLE!r}, which this is not: {one_line(other.text, 100)!r}; name a general model, for example --model "
            f"{DEFAULT_MODEL}, or of the dataset arithmetic --level laptop"
        )
