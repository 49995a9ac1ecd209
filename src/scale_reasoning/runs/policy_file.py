"""policy.toml: a strategy that was chosen on data, with the model, its kind of server, the prompts and the data.

A policy is refused for another model or other prompts, because nothing is known about them; for another kind of server
there is a warning. Does not know how it was chosen: `evidence` is shown, never obeyed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

import msgspec

from scale_reasoning.errors import ConfigError, refuse_unknown_keys
from scale_reasoning.files import read_toml, why, write_file
from scale_reasoning.lm import Strategy
from scale_reasoning.strategies import make_described, prompts_of
from scale_reasoning.types import JSON

HEAD = "# A strategy that was chosen on data. Use it with --policy, in scale solve, serve, eval and synth.\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """A strategy as `describe` shows it, and what it was chosen for.

    prompts: sha256 of the prompts that it sends, by name. servers: the kind of server of each model, empty in policies
    from before there were kinds. text_sha256: of the problems' texts, None where unknown. evidence: how it was chosen,
    and what was found.
    """

    strategy: Mapping[str, JSON]
    model: str
    prompts: Mapping[str, str]
    dataset: str
    servers: Mapping[str, str] = field(default_factory=dict[str, str])
    text_sha256: str | None = None
    evidence: Mapping[str, JSON] = field(default_factory=dict[str, JSON])

    def make_strategy(self) -> Strategy:
        """The strategy. Raises ConfigError."""
        return make_described(self.strategy)

    def require_model(self, file: Path, model: str, prompts: Mapping[str, str]) -> None:
        """Raises ConfigError for another model than the policy's, or other prompts."""
        if model != self.model:
            raise ConfigError(f"--policy {file}: it was chosen for {self.model}, not for {model}: choose one for that "
                              "model, or name a strategy")  # fmt: skip
        if changed := [name for name, digest in self.prompts.items() if prompts.get(name) != digest]:
            raise ConfigError(f"--policy {file}: the prompts of {', '.join(changed)} have changed since it was chosen: "
                              "choose again")  # fmt: skip

    def compare_servers(self, file: Path, servers: Mapping[str, str]) -> list[str]:
        """One line for each model that is on another kind of server than it was; `servers` are the kinds by model."""
        return [
            f"--policy {file}: it was chosen for {model} on a server of the kind {self.servers[model]}; what it "
            f"promises is not known to hold on one of the kind {kind}"
            for model, kind in servers.items()
            if self.servers.get(model, kind) != kind
        ]


def make_policy(
    strategy: Mapping[str, JSON], model: str, dataset: str, resolved: Mapping[str, JSON], evidence: Mapping[str, JSON]
) -> Policy:
    """The policy of a strategy that was chosen on a run. `resolved` is what the run's names meant (see Manifest)."""
    data: Mapping[str, JSON] = resolved.get("datasets", {}).get(dataset, {})
    today = datetime.now(UTC).date().isoformat()
    return Policy(
        strategy=strategy,
        model=model,
        prompts=_select_prompts(strategy, resolved.get("prompts", {})),
        dataset=dataset,
        servers={name: kind for name, kind in resolved.get("servers", {}).items() if name in model.split(" + ")},
        text_sha256=data.get("text_sha256"),
        evidence={**evidence, "date": today, "package": resolved.get("package")},
    )


def _select_prompts(strategy: Mapping[str, JSON], prompts: Mapping[str, str]) -> dict[str, str]:
    """Of a run's prompts, those that this strategy sends; a prompt set's are named after it (`terse/scale`)."""
    sent = prompts_of(make_described(strategy))
    return {name: digest for name, digest in prompts.items() if name.rpartition("/")[2] in sent}


def write_policy(file: Path, policy: Policy) -> None:
    """Writes a policy. Raises ConfigError if there is a file already."""
    import tomli_w

    if file.exists():
        raise ConfigError(f"--out {file}: it exists already; name another file, or remove it")
    content = cast("dict[str, JSON]", _without_none(msgspec.to_builtins(policy)))
    write_file(file, (HEAD + tomli_w.dumps(content)).encode())


def read_policy(file: Path) -> Policy:
    """Reads a policy. Raises ConfigError if it is none, or its strategy cannot be made."""
    try:
        table = read_toml(file)
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigError(f"policy {file}: {why(error)}") from error
    refuse_unknown_keys(f"policy {file}", table, {each.name for each in fields(Policy)})
    try:
        policy = msgspec.convert(table, Policy)
    except msgspec.ValidationError as error:
        raise ConfigError(f"policy {file}: {error}") from error
    try:
        policy.make_strategy()
    except ConfigError as error:
        raise ConfigError(f"policy {file}: {error}") from error
    return policy


def _without_none(value: JSON) -> JSON:
    """The value for TOML, which has no null: options that are None are left out, and are None again when it is read."""
    if isinstance(value, Mapping):
        table = cast("Mapping[str, JSON]", value)
        return {key: _without_none(each) for key, each in table.items() if each is not None}
    if isinstance(value, list | tuple):
        return [_without_none(each) for each in cast("list[JSON]", value)]
    return value
