"""What a synthesis was asked for, as its run remembers it: filters, layout, prompts, other trainers' folders.

Decides which settings a resume may change, and what is said of them in a bundle's manifest.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import msgspec

from scale_reasoning.errors import ConfigError
from scale_reasoning.synth import llamafactory
from scale_reasoning.synth.filters import Choice, Filters
from scale_reasoning.synth.trace import layout, prompt_of, student_prompts
from scale_reasoning.types import JSON, Problem

BUNDLES = ("llamafactory",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """See `Filters` for `target`, `max_tokens`, `choose`. `decontaminate` names lists to keep out, `data_dir` the
    folder that benchmarks' rows are read from. `layout`, `student_prompts` are files, empty for the package's own.
    `bundle` names another trainer whose folder is written too, for `base_model` on so many `gpus`. Raises
    `ConfigError`.
    """

    target: int | None = None
    max_tokens: int = 16_384
    choose: Choice = "fewest"
    decontaminate: tuple[str, ...] = ()
    data_dir: str | None = None
    layout: str = ""
    student_prompts: str = ""
    bundle: str | None = None
    base_model: str | None = None
    gpus: int | None = None
    allow_test_split: bool = False

    def __post_init__(self) -> None:
        Filters(max_tokens=self.max_tokens, choose=self.choose, target=self.target)
        if self.bundle is None and (self.base_model or self.gpus):
            raise ConfigError("--base-model and --gpus say what a --bundle trains, and on what")
        if self.gpus is not None:
            llamafactory.check(self.gpus)
        if self.bundle not in (None, *BUNDLES):
            raise ConfigError(f"--bundle {self.bundle}: must be one of {', '.join(BUNDLES)}")

    def in_full(self) -> Settings:
        """With the defaults of a bundle spelled out, so that a later version's are not taken for these."""
        if self.bundle is None:
            return self
        model, gpus = llamafactory.DEFAULT_MODEL, llamafactory.DEFAULT_GPUS
        return replace(self, base_model=self.base_model or model, gpus=self.gpus or gpus)

    def encoded(self) -> dict[str, JSON]:
        """The settings as a run's manifest remembers them."""
        return msgspec.to_builtins(asdict(self))

    def check_files(self) -> None:
        """Raises `ConfigError` for a layout or prompts that no trace could be written with."""
        words = layout(self.layout)
        words.fill("step", number="1", subproblem="", working="")
        words.fill("trace", steps="", solution="")
        prompt_of(Problem(id="", text=""), student_prompts(self.student_prompts))

    def shown(self) -> dict[str, JSON]:
        """The settings as a bundle's manifest shows them: files by what is in them. Raises `ConfigError`."""
        against = {"against": list(self.decontaminate)}
        filters = {"max_tokens": self.max_tokens, "choose": self.choose, "target": self.target, **against}
        if self.allow_test_split:
            filters["allow_test_split"] = True
        return {
            "layout": layout(self.layout).fingerprint,
            "student_prompts": student_prompts(self.student_prompts).fingerprint,
            "filters": filters,
        }


def decode(value: Mapping[str, JSON], where: Path) -> Settings:
    """What a run remembers. Raises `ConfigError` for what no version wrote."""
    try:
        return msgspec.convert(dict(value), Settings)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{where}: {error}") from error


def of_a_bundle(manifest: Mapping[str, Any], out: Path) -> Settings:
    """What a bundle's manifest tells of its settings, of a run from before runs remembered them.

    It tells a file's fingerprint and not its name: raises `ConfigError` where a file was used.
    """
    shown: Mapping[str, Any] = manifest.get("settings", {})
    for name, own in (("layout", layout()), ("student_prompts", student_prompts())):
        if shown.get(name, own.fingerprint) != own.fingerprint:
            flag = f"--{name.replace('_', '-')}"
            raise ConfigError(f"{out}: its traces were made with {flag} FILE; name that file again: {flag} FILE")
    filters: Mapping[str, Any] = shown.get("filters", {})
    kept = {key: filters[key] for key in ("target", "max_tokens", "choose") if key in filters}
    return decode({**kept, "decontaminate": filters.get("against", [])}, out)


def changes(old: Settings, new: Settings) -> list[str]:
    """What differs, by flag: `--choose first (was fewest)`."""
    return [
        f"--{each.name.replace('_', '-')} {_said(getattr(new, each.name))} (was {_said(getattr(old, each.name))})"
        for each in fields(Settings)
        if getattr(old, each.name) != getattr(new, each.name)
    ]


def _said(value: object) -> str:
    return " ".join(value) or "none" if isinstance(value, tuple) else str(value or "none")  # pyright: ignore[reportUnknownArgumentType]
