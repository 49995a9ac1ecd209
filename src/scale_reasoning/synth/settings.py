"""The options of a synthesis, as its run stores them: filters, layout, prompts, folders for other trainers.

Decides which options a resume may change, and what a bundle's manifest says about them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import msgspec

from scale_reasoning.errors import ConfigError
from scale_reasoning.synth import llamafactory
from scale_reasoning.synth.filters import ALL, WINDOW, Choice, Limits
from scale_reasoning.synth.trace import make_prompt, read_layout, read_student_prompts
from scale_reasoning.types import JSON, Problem

BUNDLES = ("llamafactory",)


@dataclass(frozen=True, slots=True, kw_only=True)
class SynthesisOptions:
    """The options of a synthesis. See `Limits` for `filters`, `target`, `max_tokens` and `choose`.

    `decontaminate` names lists of problems that give no row; `data_dir` is the folder of the benchmarks' rows. `layout`
    and `student_prompts` are files, empty for the package's own. `bundle` names another trainer to write a folder for,
    with `base_model`, its `template` there and the number of `gpus`. Raises `ConfigError`.
    """

    filters: tuple[str, ...] = (ALL,)
    target: int | None = None
    max_tokens: int | None = None
    choose: Choice = "fewest"
    decontaminate: tuple[str, ...] = ()
    data_dir: str | None = None
    layout: str = ""
    student_prompts: str = ""
    bundle: str | None = None
    base_model: str | None = None
    template: str | None = None
    gpus: int | None = None
    allow_test_split: bool = False

    def __post_init__(self) -> None:
        Limits(filters=self.filters, max_tokens=self.max_tokens, choose=self.choose, target=self.target)
        if self.bundle is None and (self.base_model or self.template or self.gpus):
            raise ConfigError("--base-model, --template and --gpus need --bundle")
        if self.gpus is not None:
            llamafactory.check(self.gpus)
        if self.bundle not in (None, *BUNDLES):
            raise ConfigError(f"--bundle {self.bundle}: must be one of {', '.join(BUNDLES)}")

    def fill_defaults(self) -> SynthesisOptions:
        """The options with all defaults of a bundle, so that a later version with other defaults resumes the same."""
        if self.bundle is None:
            return self
        model, gpus = llamafactory.DEFAULT_MODEL, llamafactory.DEFAULT_GPUS
        return replace(self, base_model=self.base_model or model, gpus=self.gpus or gpus)

    def to_json(self) -> dict[str, JSON]:
        """The options as a run's manifest stores them."""
        return msgspec.to_builtins(asdict(self))

    def check_files(self) -> None:
        """Raises `ConfigError` for a layout, prompts or a base model that cannot be used."""
        words = read_layout(self.layout)
        words.fill("step", number="1", subproblem="", working="")
        words.fill("trace", steps="", solution="")
        make_prompt(Problem(id="", text=""), read_student_prompts(self.student_prompts))
        if self.bundle is not None:
            llamafactory.find_template(self.base_model or llamafactory.DEFAULT_MODEL, self.template)

    def describe(self) -> dict[str, JSON]:
        """The options as a bundle's manifest shows them, with fingerprints for files. Raises `ConfigError`."""
        against = {"against": list(self.decontaminate)}
        filters = {"max_tokens": self.max_tokens, "choose": self.choose, "target": self.target, **against}
        if self.allow_test_split:
            filters["allow_test_split"] = True
        if self.filters != (ALL,):
            filters["stages"] = list(self.filters)
        if self.max_tokens is None:
            filters["window"] = WINDOW
        return {
            "layout": read_layout(self.layout).fingerprint,
            "student_prompts": read_student_prompts(self.student_prompts).fingerprint,
            "filters": filters,
        }


def decode(value: Mapping[str, JSON], where: Path) -> SynthesisOptions:
    """The options that a run stores. Raises `ConfigError` for what no version wrote."""
    try:
        return msgspec.convert(dict(value), SynthesisOptions)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{where}: {error}") from error


def read_from_bundle(manifest: Mapping[str, Any], out: Path) -> SynthesisOptions:
    """The options that a bundle's manifest shows, for a run that is too old to store them.

    The manifest has a file's fingerprint but not its name: raises `ConfigError` where a file was used.
    """
    shown: Mapping[str, Any] = manifest.get("settings", {})
    for name, own in (("layout", read_layout()), ("student_prompts", read_student_prompts())):
        if shown.get(name, own.fingerprint) != own.fingerprint:
            flag = f"--{name.replace('_', '-')}"
            raise ConfigError(f"{out}: its traces were made with {flag} FILE; name that file again: {flag} FILE")
    filters: Mapping[str, Any] = shown.get("filters", {})
    kept = {key: filters[key] for key in ("target", "max_tokens", "choose") if key in filters}
    stages = filters.get("stages", [ALL])
    return decode({**kept, "decontaminate": filters.get("against", []), "filters": stages}, out)


def list_changes(old: SynthesisOptions, new: SynthesisOptions) -> list[str]:
    """What differs, by flag: `--choose first (was fewest)`."""
    return [
        f"--{each.name.replace('_', '-')} {_format(getattr(new, each.name))} (was {_format(getattr(old, each.name))})"
        for each in fields(SynthesisOptions)
        if getattr(old, each.name) != getattr(new, each.name)
    ]


def _format(value: object) -> str:
    return " ".join(value) or "none" if isinstance(value, tuple) else str(value or "none")  # pyright: ignore[reportUnknownArgumentType]
