"""What differs between two rows: what makes another measurement of them, and nothing else."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tests.report.cells import graded

from scale_reasoning.engines.connection import ModelSpec
from scale_reasoning.report.apart import find_apart
from scale_reasoning.runs.manifest import CellSpec, DatasetSpec, Manifest
from scale_reasoning.runs.outcome import Cell

COT: dict[str, Any] = {"name": "cot"}
TAU: dict[str, Any] = {"name": "scale", "route": {"name": "threshold", "tau": 0.2}}


def made(
    strategy: dict[str, Any] = TAU, *, dataset: dict[str, Any] | None = None, **more: Any
) -> tuple[Cell, Manifest]:
    """A cell with the manifest of its run; `more` are keys of the model or of the manifest."""
    keys = {key: more.pop(key) for key in ("seed", "grader", "resolved") if key in more}
    spec = ModelSpec(model=more.pop("model", "m"), **more)
    cell = CellSpec(dataset=DatasetSpec(name="aime24", **(dataset or {})), model=spec, strategy=strategy)
    manifest = replace(Manifest(cells=(cell,), samples=2, **keys).normalise())
    return graded([[True, False]], model=spec.model, strategy=manifest.cells[0].strategy), manifest


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


def test_other_prompts_of_one_strategy_are_named_by_their_fingerprints() -> None:
    one, other = (made(resolved={"prompts": {"scale": mark * 16}}) for mark in ("abcd", "1234"))
    assert apart(one, other) == {"text of the prompts": ("abcdabcd", "12341234")}
    assert "text of the prompts" not in apart(made(COT, resolved={"prompts": {"cot": "x" * 16}}), other)
