"""Which model (`ModelSpec`), how it is reached now (`Access`), and both in one value (`Connection`).

A manifest holds `ModelSpec`s, so nothing secret and nothing of this machine's moment stands in one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from scale_reasoning.engines.catalogue import DEFAULT_MODEL, STUDENT
from scale_reasoning.engines.limit import InFlight
from scale_reasoning.engines.trained import read_trained
from scale_reasoning.profiles import Profile, profile_for

if TYPE_CHECKING:
    from scale_reasoning.engines.http import Timeouts


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSpec:
    """Which model; None where nothing is said.

    model: a name on the server (not needed where the server has one model only), a model of `scale list models` (None
    without a base URL is the default one) or the path of a GGUF file or, without a base URL, of a checkpoint folder.
    base_url: the server of an OpenAI-compatible API.
    more_base_urls: further servers of the same model. system1_model, system1_base_url: the model and server of System 1
    where they are others. api_key_env: the environment variable with the API key, which only the `scale` command reads.
    profile: a family of profiles.toml instead of the one that matches the name; profiles: a file of the user's own
    families. window: tokens, prompt and reply together. temperature, top_p: instead of the profile's. server,
    system1_server: kinds of servers.toml; None where the URL's host or the server itself is to show it, and in a stored
    manifest for a generic server.
    """

    model: str | None = None
    base_url: str | None = None
    more_base_urls: tuple[str, ...] = ()
    system1_model: str | None = None
    system1_base_url: str | None = None
    api_key_env: str | None = None
    profile: str | None = None
    profiles: str | None = None
    window: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    server: str | None = None
    system1_server: str | None = None


@dataclass(frozen=True, kw_only=True)
class Access:
    """How a model is reached now. It never stands in a manifest.

    api_key: sent as the server's protocol has it. in_flight: requests that a server gets at a time. retries: of a
    failed request. say: gets one line for each thing that the user should know. alias: the name that replies of a model
    which llama.cpp runs here have; by default its file's name without the ending, which says what was fetched.
    """

    api_key: str | None = field(default=None, repr=False)
    in_flight: InFlight = 64
    retries: int = 4
    timeouts: Timeouts | None = None
    say: Callable[[str], None] = lambda _: None
    alias: str | None = None


@dataclass(frozen=True, kw_only=True)
class Connection(ModelSpec, Access):
    """A model and how it is reached: what `connect` opens. The fields are those of `ModelSpec` and of `Access`."""

    @classmethod
    def join(cls, model: ModelSpec, access: Access) -> Connection:
        """The two as one value."""
        return cls(**asdict(model), **vars(access))  # only one of two bases can have slots


Spec = TypeVar("Spec", bound=ModelSpec)


def derive_system1(spec: Spec) -> Spec | None:
    """The spec of System 1 where its model or server is another; another model has a family and window of its own."""
    if spec.system1_model is None and spec.system1_base_url is None:
        return None
    moved = replace(
        spec,
        base_url=spec.system1_base_url or spec.base_url,
        more_base_urls=() if spec.system1_base_url else spec.more_base_urls,
        server=spec.system1_server or (None if spec.system1_base_url else spec.server),
    )
    if spec.system1_model in (None, spec.model):
        return moved
    return replace(moved, model=spec.system1_model, profile=None, window=None)


def find_family(spec: ModelSpec) -> Profile:
    """The family of a model: the one that is named, else that which a fine-tuned model's own folder names, else by the
    model's name. Raises ConfigError for an unknown profile or a faulty profiles file.
    """
    file = Path(spec.profiles) if spec.profiles else None
    named = spec.profile or (STUDENT if spec.model == STUDENT else read_trained(spec.model).profile)
    return profile_for(spec.model or DEFAULT_MODEL, name=named, file=file)
