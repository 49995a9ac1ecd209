"""Shards of a run, and runs that are merged: together they are the run that was not taken apart."""

from __future__ import annotations

import contextlib
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from tests.cli.test_evaluate import problems as file_of_problems
from tests.cli.test_evaluate import rows_of
from tests.commands import scale
from tests.runs.simulated import Broken, Fuse, Sim, again, content, fresh, manifest
from tests.servers import serving

from scale_reasoning.engines.scripted import Scripted
from scale_reasoning.errors import ConfigError, StoreError, Unreachable
from scale_reasoning.runs.cells import cells_of
from scale_reasoning.runs.folder import read_manifest, write_manifest
from scale_reasoning.runs.manifest import Manifest, decode, list_differences
from scale_reasoning.runs.merge import merge
from scale_reasoning.runs.shard import Shard, read
from scale_reasoning.runs.store import reading
from scale_reasoning.types import Problem

COT = {"name": "cot"}
SWEEP = [{"name": "scale", "candidates": 2, "tau": tau} for tau in (0.3, 0.7)]


def share(plan: Manifest, text: str) -> Manifest:
    return replace(plan, shard=read(text))


def units(samples: int, problems: int, shard: Shard) -> list[tuple[str, int]]:
    listed = [Problem(id=f"p{n}", text="") for n in range(problems)]
    plan = replace(manifest([COT], samples=samples), shard=shard)
    return [(problem.id, sample) for problem, sample in plan.list_units("d", listed)]


@pytest.mark.parametrize("of", [1, 2, 3, 5, 7, 300])
def test_every_sample_of_every_problem_is_in_one_shard(of: int) -> None:
    found = Counter(unit for n in range(1, of + 1) for unit in units(8, 30, Shard(number=n, of=of)))
    assert len(found) == 240
    assert set(found.values()) == {1}


def test_where_a_sample_goes_is_settled_for_ever_by_the_names_alone() -> None:
    numbers = [
        next(n for n in range(1, 6) if Shard(number=n, of=5).has(dataset, problem, sample))
        for dataset, problem, sample in [("aime24", "p1", 0), ("aime24", "p1", 1), ("aime24", "p2", 0), ("d", "p1", 0)]
    ]
    assert numbers == [4, 5, 4, 2]


def test_five_shards_of_240_attempts_are_of_a_size_and_have_their_part_of_each_problem() -> None:
    shards = [units(8, 30, Shard(number=n, of=5)) for n in range(1, 6)]
    assert all(44 <= len(shard) <= 52 for shard in shards)
    assert all(set(Counter(problem for problem, _ in shard).values()) <= {1, 2} for shard in shards)
    assert all(len({problem for problem, _ in shard}) == 30 for shard in shards)


@pytest.mark.parametrize("text", ["", "2", "0/5", "6/5", "1/0", "-1/5", "1/5/5", "a/b", "2/5 ", "1/99999999"])
def test_what_is_no_shard_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="shard"):
        read(text)


def test_a_shard_stands_in_the_manifest_and_makes_it_another_run() -> None:
    plan = manifest([COT])
    assert list_differences(share(plan, "1/2"), share(plan, "2/2")) == ["shard: was 1/2, is 2/2"]
    with pytest.raises(ConfigError, match="unknown key 'off'"):
        decode({"cells": [], "shard": {"number": 1, "off": 2}}, "here")


def test_a_shard_plans_and_counts_its_own_attempts(tmp_path: Path) -> None:
    plan = manifest(SWEEP, samples=3)
    planned = 0
    for text in ("1/4", "2/4", "3/4", "4/4"):
        fresh(tmp_path / text, share(plan, text), 5, Sim())
        with reading(tmp_path / text) as store:
            planned += store.planned
            assert len(store.done()) == store.planned
        assert all(cell.planned == len(cell.outcomes) for cell in cells_of(tmp_path / text))
    assert planned == 5 * 3 * 2


def test_shards_merged_are_the_run_that_was_not_sharded(tmp_path: Path) -> None:
    plan = manifest(SWEEP, samples=3)
    whole, apart = Sim(), Sim()
    fresh(tmp_path / "whole", plan, 7, whole)
    for n in (1, 2, 3):
        fresh(tmp_path / f"{n}", share(plan, f"{n}/3"), 7, apart)
    assert apart.requests == whole.requests  # what a sweep's cells share is on one machine
    merge(tmp_path / "merged", [tmp_path / "3", tmp_path / "1", tmp_path / "2"])
    assert content(tmp_path / "merged") == content(tmp_path / "whole")
    assert read_manifest(tmp_path / "merged") == read_manifest(tmp_path / "whole")
    engine = Sim()
    again(tmp_path / "merged", engine)
    assert engine.requests == 0


def test_a_shard_of_an_earlier_version_has_the_defaults_of_the_options_that_it_lacks(tmp_path: Path) -> None:
    plan = manifest([COT], samples=2).normalise()
    for n in (1, 2):
        fresh(tmp_path / f"{n}", share(plan, f"{n}/2"), 4, Sim())
    earlier = read_manifest(tmp_path / "1")
    (cell,) = earlier.cells
    strategy = {key: value for key, value in cell.strategy.items() if key != "thinking_budget"}
    assert strategy != cell.strategy
    write_manifest(tmp_path / "1", replace(earlier, cells=(replace(cell, strategy=strategy),)))
    merge(tmp_path / "merged", [tmp_path / "1", tmp_path / "2"])
    assert read_manifest(tmp_path / "merged").cells == plan.cells
    other = replace(cell, strategy={**strategy, "mode": "system1"})
    write_manifest(tmp_path / "1", replace(earlier, cells=(other,)))
    with pytest.raises(ConfigError, match="not parts of one run"):
        merge(tmp_path / "other", [tmp_path / "1", tmp_path / "2"])


def test_the_attempts_of_a_missing_shard_are_pending_and_made_by_going_on(tmp_path: Path) -> None:
    plan = manifest([COT], samples=4)
    fresh(tmp_path / "whole", plan, 6, Sim())
    for n in (1, 3):
        fresh(tmp_path / f"{n}", share(plan, f"{n}/3"), 6, Sim())
    merge(tmp_path / "merged", [tmp_path / "1", tmp_path / "3"])
    with reading(tmp_path / "merged") as store:
        pending = store.planned - len(store.done())
    engine = Sim()
    again(tmp_path / "merged", engine)
    assert 0 < pending == engine.requests
    assert content(tmp_path / "merged") == content(tmp_path / "whole")


def test_what_is_in_two_runs_alike_is_kept_once(tmp_path: Path) -> None:
    plan = manifest(SWEEP)
    fresh(tmp_path / "whole", plan, 4, Sim())
    fresh(tmp_path / "slow", plan, 4, Sim(), in_flight=1)  # other times
    with contextlib.suppress(Broken):
        fresh(tmp_path / "cut", plan, 4, Fuse(Sim(), 20))
    merge(tmp_path / "merged", [tmp_path / "cut", tmp_path / "slow", tmp_path / "whole"])
    assert content(tmp_path / "merged") == content(tmp_path / "whole")


def test_an_attempt_that_one_run_owes_is_taken_from_the_other(tmp_path: Path) -> None:
    plan = manifest([COT])
    fresh(tmp_path / "made", plan, 3, Sim())
    fresh(tmp_path / "pending", plan, 3, Scripted([("", Unreachable("no route"))]))
    for n, order in enumerate((("made", "pending"), ("pending", "made"))):
        merge(tmp_path / f"{n}", [tmp_path / name for name in order])
        assert not any(outcome.pending for outcome in cells_of(tmp_path / f"{n}")[0].outcomes)
    merge(tmp_path / "both", [tmp_path / "pending", tmp_path / "pending"])
    assert all(outcome.pending for outcome in cells_of(tmp_path / "both")[0].outcomes)


def test_an_attempt_with_two_results_is_refused_by_name_and_nothing_is_written(tmp_path: Path) -> None:
    plan = manifest([COT])
    fresh(tmp_path / "a", plan, 2, Scripted([("", r"\boxed{1}")]))
    fresh(tmp_path / "b", plan, 2, Scripted([("", r"\boxed{2}")]))
    with pytest.raises(ConfigError, match=r"b: cell 1, problem p00000, sample 0 differs"):
        merge(tmp_path / "merged", [tmp_path / "a", tmp_path / "b"])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]


def test_a_call_with_two_replies_is_refused_by_name(tmp_path: Path) -> None:
    plan = manifest([{"name": "vote", "samples": 2}], samples=1)
    for name, engine in (("a", Scripted([("", r"\boxed{1}")])), ("b", Scripted([("", r"\boxed{2}")]))):
        with contextlib.suppress(Broken):
            fresh(tmp_path / name, plan, 1, Fuse(engine, 1), in_flight=1)
    with pytest.raises(ConfigError, match=r"b: the reply to call [0-9a-f]{12} differs"):
        merge(tmp_path / "merged", [tmp_path / "a", tmp_path / "b"])


def test_runs_that_are_not_one_are_refused_with_what_differs(tmp_path: Path) -> None:
    plan = manifest([COT])
    fresh(tmp_path / "a", share(plan, "1/2"), 2, Sim())
    fresh(tmp_path / "seed", replace(plan, seed=1), 2, Sim())
    fresh(tmp_path / "strategy", manifest([{**COT, "mode": "system1"}]), 2, Sim())
    fresh(tmp_path / "more", plan, 3, Sim())
    for other, told in (
        ("seed", "seed: was 0, is 1"),
        ("strategy", "cell 1, strategy: was"),
        ("more", "problems in d"),
    ):
        with pytest.raises(ConfigError, match=f"{other} .*{told}"):
            merge(tmp_path / "merged", [tmp_path / "a", tmp_path / other])
    with pytest.raises(ConfigError, match="nowhere is not a run"):
        merge(tmp_path / "merged", [tmp_path / "a", tmp_path / "nowhere"])
    with pytest.raises(StoreError, match="is not empty"):
        merge(tmp_path / "more", [tmp_path / "a"])


def test_machines_may_have_their_servers_in_different_places(tmp_path: Path) -> None:
    plan = manifest([COT])
    for n in (1, 2):
        fresh(tmp_path / f"{n}", share(plan, f"{n}/2"), 2, Sim())
        there = replace(plan.cells[0].model, base_url=f"http://machine{n}/v1", api_key_env=f"KEY{n}")
        write_manifest(tmp_path / f"{n}", replace(share(plan, f"{n}/2"), cells=(replace(plan.cells[0], model=there),)))
    merge(tmp_path / "merged", [tmp_path / "1", tmp_path / "2"])
    assert read_manifest(tmp_path / "merged").cells[0].model.base_url == "http://machine1/v1"


def test_machines_may_have_servers_of_kinds_that_are_told_alike_and_of_no_others(tmp_path: Path) -> None:
    plan = manifest([COT])
    for n, kind in enumerate((None, "vllm", "ollama"), 1):
        fresh(tmp_path / f"{n}", share(plan, f"{n}/3"), 3, Sim())
        there = replace(plan.cells[0].model, base_url="http://machine/v1", server=kind)
        write_manifest(tmp_path / f"{n}", replace(share(plan, f"{n}/3"), cells=(replace(plan.cells[0], model=there),)))
    merge(tmp_path / "merged", [tmp_path / "1", tmp_path / "2"])
    with pytest.raises(ConfigError, match=r"cell 1, model: .*ollama"):
        merge(tmp_path / "other", [tmp_path / "1", tmp_path / "3"])


def test_kinds_that_are_told_alike_but_for_a_thinking_budget_are_kept_apart_where_there_is_one(tmp_path: Path) -> None:
    plan = manifest([{**COT, "thinking_budget": 99}])
    for n, kind in enumerate((None, "vllm"), 1):
        fresh(tmp_path / f"{n}", share(plan, f"{n}/2"), 3, Sim())
        there = replace(plan.cells[0].model, base_url="http://machine/v1", server=kind)
        write_manifest(tmp_path / f"{n}", replace(share(plan, f"{n}/2"), cells=(replace(plan.cells[0], model=there),)))
    with pytest.raises(ConfigError, match=r"cell 1, model: .*vllm"):
        merge(tmp_path / "merged", [tmp_path / "1", tmp_path / "2"])


def test_shards_are_made_merged_and_gone_on_with_by_the_command(tmp_path: Path) -> None:
    file, out = file_of_problems(tmp_path), tmp_path / "merged"
    with serving() as server:
        at = ("--base-url", server.base_url, "--model", "Qwen/Qwen3-32B", "--strategy", "cot", "--samples", "3")
        dry = scale("eval", str(file), "--shard", "2/3", "--dry-run", *at)
        assert "in all 4 attempts" in dry.stdout
        for n in (1, 2):
            done = scale("eval", str(file), "--shard", f"{n}/3", "--out", str(tmp_path / f"{n}"), *at)
            assert done.returncode == 0, done.stderr
        (row,) = rows_of(str(tmp_path / "2"))
        assert (row["planned"], row["completed"], row["owed"]) == (4, 4, 0)
        refused = scale("eval", "--resume", str(tmp_path / "1"), "--shard", "2/3")
        assert refused.returncode == 2
        assert "--shard 2/3" in refused.stderr
        merged = scale("merge", str(out), str(tmp_path / "1"), str(tmp_path / "2"))
        assert merged.returncode == 0, merged.stderr
        assert "8 of 12 attempts, from 2 runs" in merged.stdout
        assert f"4 attempts are pending: scale eval --resume {out}" in merged.stderr
        assert scale("eval", "--resume", str(out)).returncode == 0
        assert len(server.bodies) == 12
    (row,) = rows_of(str(out))
    assert (row["planned"], row["completed"], row["owed"], row["acc"]) == (12, 12, 0, 1.0)
