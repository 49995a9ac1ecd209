"""What differs between two rows: what makes another measurement of them, and nothing else."""

from __future__ import annotations

from typing import Any

from tests.report.cells import graded

from scale_reasoning.engines.connection import ModelSpec
from scale_reasoning.report.apart import find_apart
from scale_reasoning.runs.cells import model_of
from scale_reasoning.runs.manifest import CellSpec, DatasetSpec, Manifest
from scale_reasoning.runs.outcome import Cell
from scale_reasoning.runs.shard import Shard

COT: dict[str, Any] = {"name": "cot"}
TAU: dict[str, Any] = {"name": "scale", "route": {"name": "threshold", "tau": 0.2}}


def made(
    strategy: dict[str, Any] = TAU, *, dataset: dict[str, Any] | None = None, **more: Any
) -> tuple[Cell, Manifest]:
    """A cell with the manifest of its run; `more` are keys of the model or of the manifest."""
    keys = {key: more.pop(key) for key in ("samples", "seed", "grader", "shard", "resolved") if key in more}
    spec = ModelSpec(model=more.pop("model", "m"), **more)
    cell = CellSpec(dataset=DatasetSpec(name="aime24", **(dataset or {})), model=spec, strategy=strategy)
    manifest = Manifest(cells=(cell,), **{"samples": 2, **keys}).normalise()
    name = model_of(spec)
    return graded([[True] * manifest.samples], model=name, strategy=manifest.cells[0].strategy), manifest


def apart(one: tuple[Cell, Manifest], other: tuple[Cell, Manifest]) -> dict[str, tuple[Any, Any]]:
    found = find_apart(one[0], other[0], one[1], other[1])
    return {each.what: (each.a, each.b) for each in found}


def test_equal_rows_differ_in_nothing_wherever_their_servers_are() -> None:
    one, other = (made(base_url=f"http://127.0.0.1:{port}/v1", server="vllm") for port in (1, 2))
    assert apart(one, other) == {}


def test_models_options_and_settings_that_differ_are_named() -> None:
    other = {"name": "scale", "route": {"name": "threshold", "tau": 0.5}, "candidates": 2}
    found = apart(made(temperature=0.6, seed=0), made(other, model="n", temperature=0.2, seed=7, dataset={"count": 30}))
    assert found == {
        "model": ("m", "n"),
        "temperature": (0.6, 0.2),
        "seed": (0, 7),
        "limit": (None, 30),
        "tau": (0.2, 0.5),
        "candidates": (None, 2),
    }


def test_of_other_strategies_only_what_is_unusual_is_named() -> None:
    assert apart(made(COT), made()) == {"strategy": ("cot", "scale"), "route": (None, "threshold"), "tau": (None, 0.2)}


def test_attempts_are_told_from_the_chains_of_a_vote() -> None:
    assert apart(made({"name": "vote"}, samples=8), made({"name": "vote"}, samples=1)) == {
        "attempts per problem": (8, 1)
    }
    found = apart(made(COT, samples=8), made({"name": "vote", "samples": 4}, samples=1))
    assert found == {"attempts per problem": (8, 1), "strategy": ("cot", "vote"), "samples": (None, 4)}


def test_the_part_of_a_run_is_named() -> None:
    assert apart(made(), made(shard=Shard(number=2, of=3))) == {"shard": (None, "2/3")}


def test_other_prompts_of_one_strategy_are_named_by_their_fingerprints() -> None:
    one, other = (made(resolved={"prompts": {"scale": mark * 16}}) for mark in ("abcd", "1234"))
    assert apart(one, other) == {"text of the scale prompts": ("abcdabcd", "12341234")}
    assert "text of the scale prompts" not in apart(made(COT, resolved={"prompts": {"cot": "x" * 16}}), other)


def test_other_prompts_of_what_votes_are_named_too() -> None:
    one, other = (made({"name": "vote"}, resolved={"prompts": {"cot": mark * 16}}) for mark in ("abcd", "1234"))
    assert apart(one, other) == {"text of the cot prompts": ("abcdabcd", "12341234")}


def test_another_package_dataset_or_server_is_named() -> None:
    one, other = (
        made(
            resolved={
                "package": package,
                "commit": commit,
                "datasets": {"aime24": {"revision": revision, "sha256": "e" * 64}},
                "servers": {"m": kind},
                "adaptations": adaptations,
            }
        )
        for package, commit, revision, kind, adaptations in (
            ("1.0", None, "a" * 40, "vllm", {}),
            ("1.1", "c" * 40, "b" * 40, "ollama", {"m": ["without seed"]}),
        )
    )
    assert apart(one, other) == {
        "package version": ("1.0", "1.1"),
        "package commit": (None, "cccccccc"),
        "dataset revision": ("aaaaaaaa", "bbbbbbbb"),
        "server": ("vllm", "ollama"),
        "changes of requests": (None, ["without seed"]),
    }


def test_another_profile_of_the_same_name_is_named_by_what_differs_in_it() -> None:
    one, other = (
        made(resolved={"profiles": {"m": {"name": "x", "match": [key], "window": 9, "system1": mode, "system2": {}}}})
        for key, mode in (("a", None), ("b", {"suffix": "/no_think"}))
    )
    assert apart(one, other) == {"profile x: system1": (False, True)}
    both = made(resolved={"profiles": {"m": {"name": "x", "system1": {"suffix": "/fast", "new": 1}}}})
    assert apart(other, both) == {"profile x: system1 suffix": ("/no_think", "/fast")}


def test_another_profile_of_system1s_own_model_is_named() -> None:
    one, other = (
        made(system1_model="n", resolved={"profiles": {"m": {"name": "x"}, "n": {"name": name}}}) for name in "yz"
    )
    assert apart(one, other) == {"system1_profile": ("y", "z")}


def test_what_only_one_run_records_is_no_difference() -> None:
    assert apart(made(), made(resolved={"package": "1.1", "servers": {"m": "vllm"}})) == {}
