"""Presets: options of strategies and fields of a model, set where nothing else is said (strategies/presets.toml)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TypeVar, cast

from scale_reasoning.engines.connection import ModelSpec, find_family
from scale_reasoning.errors import ConfigError
from scale_reasoning.strategies import STRATEGIES, find_option
from scale_reasoning.strategies.presets import read_presets
from scale_reasoning.suggest import describe_unknown
from scale_reasoning.types import JSON

Spec = TypeVar("Spec", bound=ModelSpec)
Settings = Mapping[str, JSON]


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """One preset for the models of one family: fields of a model, and options of strategies by name."""

    model: Settings
    strategies: Mapping[str, Settings]

    def set_model(self, spec: Spec) -> Spec:
        """The model with the preset's values in the fields that say nothing."""
        unset = {key: value for key, value in self.model.items() if getattr(spec, key) is None}
        return replace(spec, **unset)

    def set_options(self, name: str, settings: Settings) -> dict[str, JSON]:
        """The settings of the strategy called `name` with the preset's for all options that they do not set.

        A part that they choose keeps its own options; of it the preset sets only what it also has without a part.
        """
        merged = dict(settings)
        for key, value in self.strategies.get(name, {}).items():
            path = find_option(name, merged, key)
            if path is not None and not _is_set(name, merged, path):
                merged[key] = value
        return merged


def list_presets() -> tuple[str, ...]:
    """The names of the presets."""
    return tuple(read_presets())


def find_preset(name: str, spec: ModelSpec) -> Preset:
    """The preset called `name` for the model's family. Raises ConfigError for an unknown name."""
    table = read_presets().get(name)
    if table is None:
        raise ConfigError(f"like: {describe_unknown('preset', name, list_presets())}")
    family = table["families"].get(find_family(spec).name, {})
    return Preset(
        model={**table["model"], **{key: value for key, value in family.items() if key not in STRATEGIES}},
        strategies={each: {**table.get(each, {}), **family.get(each, {})} for each in STRATEGIES},
    )


def _is_set(name: str, settings: Settings, path: str) -> bool:
    """Whether settings set the option at `path`: under any name that it has, or in the table of a part."""
    value: JSON = settings
    for key in path.split("."):
        if not isinstance(value, Mapping) or key not in value:
            return any(find_option(name, settings, other) == path for other in settings)
        value = cast("Settings", value)[key]
    return True
