"""A manifest keeps its keys, and no key of an API gets into one."""

import pickle

import pytest

from scale_reasoning.engines.connection import Access, Connection, ModelSpec
from scale_reasoning.runs.manifest import CellSpec, DatasetSpec, Manifest, encode

SPEC = ModelSpec(
    model="m",
    base_url="http://h/v1",
    more_base_urls=("http://i/v1",),
    system1_model="s",
    api_key_env="KEY",
    profiles="own.toml",
    window=9,
    temperature=0.5,
)
MODEL = b"""   "model": {
    "model": "m",
    "base_url": "http://h/v1",
    "more_base_urls": [
     "http://i/v1"
    ],
    "system1_model": "s",
    "system1_base_url": null,
    "api_key_env": "KEY",
    "profile": null,
    "profiles": "own.toml",
    "window": 9,
    "temperature": 0.5,
    "top_p": null
   },
"""


def cell(model: ModelSpec) -> CellSpec:
    return CellSpec(dataset=DatasetSpec(name="d"), model=model, strategy={"name": "cot"})


def test_the_model_of_a_cell_is_written_with_the_keys_it_always_had() -> None:
    assert MODEL in encode(Manifest(cells=(cell(SPEC),)))


def test_a_connection_is_refused_in_a_cell_because_it_may_hold_a_key() -> None:
    connection = Connection.join(SPEC, Access(api_key="secret"))
    with pytest.raises(TypeError, match="ModelSpec"):
        cell(connection)
    assert "secret" not in repr(connection)


def test_models_and_connections_can_be_pickled() -> None:
    connection = Connection.join(SPEC, Access(api_key="secret", retries=1, say=print))
    assert pickle.loads(pickle.dumps((SPEC, connection))) == (SPEC, connection)
