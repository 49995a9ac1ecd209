"""A server's list of models: the one that is meant where none was named, and what is said where several could be."""

from __future__ import annotations

import asyncio
import random
import socket
from typing import Any

import pytest
from aiohttp import web
from tests.patience import ends_in_time
from tests.servers import ModelServer, serving

from scale_reasoning.engines import Connection, connect
from scale_reasoning.engines.listing import check_model, only_model, similar_names
from scale_reasoning.engines.probe import probe
from scale_reasoning.errors import ConfigError
from scale_reasoning.types import Mode


def listing(models: Any, status: int = 200) -> Any:
    """A server with these models; it answers chats as tests.servers' does."""
    server = ModelServer()

    async def handle(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        if request.path.endswith("/models"):
            return web.json_response(models, status=status)
        return await server.answer(request, body)

    return handle


def named(models: Any, status: int = 200) -> str:
    with serving(listing(models, status)) as server:
        return asyncio.run(only_model(Connection(base_url=server.base_url)))


@pytest.mark.parametrize(
    "models",
    [
        {"object": "list", "data": [{"id": "org/one"}]},
        {"data": [{"id": "models/org/one"}]},
        [{"id": "org/one"}],
        {"data": [{"id": "org/one", "aliases": ["one", "first"]}]},
    ],
)
def test_the_only_model_of_a_server_needs_no_name(models: Any) -> None:
    assert named(models) == "org/one"


@pytest.mark.parametrize(
    ("models", "status", "said"),
    [
        ({"data": [{"id": "a"}, {"id": "b"}]}, 200, "the server has 2: a, b$"),
        ({"data": [{"id": f"m{n}"} for n in range(99)]}, 200, "the server has 99: m0, m1, .*, m9, …$"),
        ({"data": []}, 200, "the server lists none$"),
        ({"detail": "Not Found"}, 404, "list of models could not be read: .* 404"),
        ("nonsense", 200, "the server lists none$"),
    ],
)
def test_where_the_server_does_not_tell_which_model_is_meant_the_user_is_asked(
    models: Any, status: int, said: str
) -> None:
    with pytest.raises(ConfigError, match=r"which model\? --model NAME; .*" + said):
        named(models, status)


def test_a_server_that_is_not_there_is_named_beside_the_missing_model() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        url = f"http://127.0.0.1:{free.getsockname()[1]}/v1"
    with pytest.raises(ConfigError, match=r"which model\?.* cannot be reached"):
        asyncio.run(only_model(Connection(base_url=url)))


def test_connecting_without_a_model_takes_the_only_one_and_says_so() -> None:
    said: list[str] = []

    async def run(base_url: str) -> tuple[str, int | None]:
        async with connect(Connection(base_url=base_url, say=said.append)) as endpoints:
            return endpoints[Mode.SYSTEM1].model, endpoints[Mode.SYSTEM1].window

    with serving(listing({"data": [{"id": "Qwen/Qwen3-32B"}]})) as server:
        assert asyncio.run(run(server.base_url)) == ("Qwen/Qwen3-32B", 40960)
        assert said == [f"{server.base_url} has one model: Qwen/Qwen3-32B"]


def test_the_doctor_examines_the_only_model_unnamed() -> None:
    with serving(listing({"data": [{"id": "Qwen/Qwen3-32B"}]})) as server:
        findings = asyncio.run(probe(Connection(base_url=server.base_url)))
        assert {body["model"] for body in server.bodies} == {"Qwen/Qwen3-32B"}
    assert findings[1].found == "Qwen/Qwen3-32B, one of 1"


@pytest.mark.slow
def test_a_name_is_compared_with_a_hostile_list_in_a_fraction_of_a_second() -> None:
    letters = random.Random(0)
    for asked in ("Qwen/Qwen3-8B", "abcdefghij" * 20):
        names = ["".join(letters.sample(asked, len(asked))) + str(number) for number in range(20_000)]
        with ends_in_time():
            similar_names(asked, names)
            check_model(asked, dict.fromkeys(names))


def test_the_nearest_name_is_told_whatever_the_case_of_its_letters() -> None:
    names = ["a", "Qwen/Qwen3-8B-Base", *map(str, range(5000))]
    assert similar_names("qwen/qwen3-8b", names) == ["Qwen/Qwen3-8B-Base"]
