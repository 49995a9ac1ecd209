"""The student's file: the model in the box and its adapter, merged once."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import replace
from pathlib import Path
from threading import Event

import gguf
import numpy as np
import pytest
from numpy.typing import NDArray

from scale_reasoning import Connection, Scale, connect, solve
from scale_reasoning.arithmetic.problems import LAPTOP, problem
from scale_reasoning.engines import cached, student
from scale_reasoning.engines.catalogue import SMOLLM2
from scale_reasoning.engines.fetching import Reporter, find
from scale_reasoning.errors import ConfigError
from scale_reasoning.strategies.allocators.threshold import Threshold
from scale_reasoning.types import Mode, Record

ALPHA, RANK = 8.0, 2
NUMBERS = np.random.default_rng(0)


def numbers(*shape: int) -> NDArray[np.float32]:
    return NUMBERS.normal(size=shape).astype(np.float32)


def written(file: Path, tensors: dict[str, NDArray[np.float32]], **facts: float) -> Path:
    writer = gguf.GGUFWriter(str(file), "llama")
    writer.add_array("tokenizer.ggml.tokens", ["a", "b"])
    writer.add_string("tokenizer.chat_template", "{{ messages }}")
    for name, value in facts.items():
        writer.add_float32(name.replace("_", "."), value)
    for name, tensor in tensors.items():
        writer.add_tensor(name, tensor)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return file


def test_a_merged_matrix_is_the_sum_and_all_else_stays(tmp_path: Path) -> None:
    base = {"blk.0.attn_q.weight": numbers(4, 64), "blk.0.ffn_up.weight": numbers(8, 64), "norm": numbers(64)}
    down, up = numbers(RANK, 64), numbers(4, RANK)
    adapter = {"blk.0.attn_q.weight.lora_a": down, "blk.0.attn_q.weight.lora_b": up}
    student.merge(
        written(tmp_path / "base.gguf", base),
        written(tmp_path / "adapter.gguf", adapter, adapter_lora_alpha=ALPHA),
        tmp_path / "merged.gguf",
    )
    reader = gguf.GGUFReader(tmp_path / "merged.gguf")
    merged = {tensor.name: gguf.quants.dequantize(tensor.data, tensor.tensor_type) for tensor in reader.tensors}
    wanted = base | {"blk.0.attn_q.weight": base["blk.0.attn_q.weight"] + ALPHA / RANK * up @ down}
    assert set(merged) == set(wanted)
    for name, weights in wanted.items():
        np.testing.assert_allclose(merged[name], weights, atol=np.abs(weights).max() / 200)
    assert np.abs(merged["blk.0.attn_q.weight"] - base["blk.0.attn_q.weight"]).max() > 1
    assert reader.fields["tokenizer.ggml.tokens"].contents() == ["a", "b"]
    assert reader.fields["tokenizer.chat_template"].contents() == "{{ messages }}"
    assert sorted(file.name for file in tmp_path.iterdir()) == ["adapter.gguf", "base.gguf", "merged.gguf"]


def test_a_missing_library_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gguf", None)
    with pytest.raises(ConfigError, match=r"pip install 'scale-reasoning\[local\]'"):
        student.merge(tmp_path / "a.gguf", tmp_path / "b.gguf", tmp_path / "c.gguf")


def test_without_an_adapter_the_student_is_refused_with_the_way_to_make_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(student, "ADAPTER", tmp_path / "student.gguf")

    async def opened() -> None:
        async with connect(Connection(model="student")):
            pass

    with pytest.raises(ConfigError, match="make student"):
        asyncio.run(opened())


def test_the_shipped_adapter_is_small() -> None:
    assert student.ADAPTER.stat().st_size <= 12e6


def test_a_student_that_is_not_what_was_merged_is_merged_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = tmp_path / "scale-reasoning"
    cache.mkdir()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    name = "blk.0.attn_q.weight"
    base = written(cache / SMOLLM2.file, {name: numbers(4, 64)})
    adapter = {f"{name}.lora_a": numbers(RANK, 64), f"{name}.lora_b": numbers(4, RANK)}
    monkeypatch.setattr(student, "ADAPTER", written(tmp_path / "a.gguf", adapter, adapter_lora_alpha=ALPHA))
    monkeypatch.setattr(student, "SMOLLM2", replace(SMOLLM2, sha256=cached.hash_of(base)))
    said = list[str]()
    file = student.fetch(Reporter(say=said.append))
    assert student.fetch(Reporter(say=said.append)) == file
    whole, merges = file.read_bytes(), 1
    assert len(said) == merges
    for damage in (b"\0" * len(whole), whole[:-4] + b"DAMN", whole[:-1]):
        file.write_bytes(damage)
        assert student.fetch(Reporter(say=said.append)) == file
        assert file.read_bytes() == whole
        merges += 1
        assert len(said) == merges
    (cache / cached.RECORD).unlink()
    student.fetch(Reporter(say=said.append))
    assert len(said) == merges + 1
    stop = Event()
    stop.set()
    file.unlink()
    with pytest.raises(ConfigError, match="interrupted"):
        student.fetch(Reporter(say=said.append, stop=stop))
    assert not file.exists()
    assert not list(cache.glob(".student-*"))


@pytest.mark.slow
@pytest.mark.llama
@pytest.mark.skipif(find(SMOLLM2) is None, reason="the packaged model is not here")
def test_the_student_solves_held_out_problems_and_thinks_about_products_alone() -> None:
    strategy = Scale(candidates=1, max_steps=LAPTOP.steps[1], route=Threshold(tau=0.7))

    async def solved() -> list[Record]:
        async with connect(Connection(model="student")) as endpoints:
            return [
                await solve(problem(index, level=LAPTOP), strategy, endpoints=endpoints) for index in range(900, 904)
            ]

    records = asyncio.run(solved())
    solutions = [record.solution for record in records if record.solution]
    assert sum(record.grade is not None and record.grade.correct for record in records) >= len(records) // 2
    steps = [step for solution in solutions for step in solution.steps]
    assert {step.mode for step in steps if "×" in step.subproblem} == {Mode.SYSTEM2}
    assert {step.mode for step in steps if "mod" in step.subproblem} == {Mode.SYSTEM1}
