"""A run is prepared with the same families that its engines will use."""

import asyncio
from itertools import product

import msgspec
import pytest
from tests.speed import mark_slow

from scale_reasoning.engines import connect
from scale_reasoning.engines.connection import Access, Connection, ModelSpec
from scale_reasoning.profiles import Profile
from scale_reasoning.runs.manifest import CellSpec, DatasetSpec, Manifest
from scale_reasoning.runs.prepare import prepare
from scale_reasoning.strategies import describe
from scale_reasoning.strategies.cot import CoT
from scale_reasoning.types import Mode

HERE, THERE = "http://127.0.0.1:1/v1", "http://127.0.0.1:2/v1"
ON_SERVERS = [
    ModelSpec(model=model, base_url=HERE, system1_model=system1, system1_base_url=url, profile=profile)
    for model, system1, url, profile in product(
        ("Qwen3-32B", "house-model"),
        (None, "Qwen3-32B", "Qwen3-4B"),
        (None, THERE),
        (None, "qwen3", "gpt-oss"),
    )
]


WITH_THE_STUDENT = [
    ModelSpec(model=model, base_url=HERE, system1_model="student", system1_base_url=url, profile=profile)
    for model, url, profile in product(("Qwen3-32B", "house-model"), (None, THERE), (None, "qwen3", "gpt-oss"))
]
"""Each starts the model in the box."""


@pytest.mark.parametrize("spec", [*ON_SERVERS, *mark_slow(*WITH_THE_STUDENT)], ids=str)
def test_a_run_records_the_families_that_its_engines_speak_to(spec: ModelSpec) -> None:
    async def resolved() -> tuple[dict[str, Profile], dict[Mode, object]]:
        dataset = DatasetSpec(name="arithmetic", count=1, level="laptop")  # the student solves no other
        cell = CellSpec(dataset=dataset, model=spec, strategy=describe(CoT()))
        manifest, _ = await prepare(Manifest(cells=(cell,)))
        async with connect(Connection.join(spec, Access())) as endpoints:
            used = {mode: (endpoint.model, endpoint.profile) for mode, endpoint in endpoints.items()}
        profiles = msgspec.convert(manifest.resolved["profiles"], dict[str, Profile])
        return profiles, used  # type: ignore[return-value]

    profiles, used = asyncio.run(resolved())
    assert set(profiles) == {spec.model, spec.system1_model or spec.model}
    for mode, (model, profile) in used.items():  # type: ignore[misc]
        assert profiles[model].mode(mode) == profile


def test_the_same_model_on_another_server_keeps_its_profile() -> None:
    spec = ModelSpec(model="house-model", base_url=HERE, system1_base_url=THERE, profile="qwen3")

    async def extras() -> list[object]:
        async with connect(Connection.join(spec, Access())) as endpoints:
            return [endpoints[mode].profile.extras for mode in Mode]

    assert asyncio.run(extras()) == [{"chat_template_kwargs": {"enable_thinking": on}} for on in (False, True)]
