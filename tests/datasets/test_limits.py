"""How much of a data file is read, and what is said of one that is larger."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from tests.commands import scale
from tests.patience import ends_in_time

from scale_reasoning.datasets import files, load, parquet, rows
from scale_reasoning.datasets.dataset import DatasetOptions
from scale_reasoning.errors import ConfigError
from scale_reasoning.runs.recipe import read as read_manifest

MIB = 2**20


def written(folder: Path, columns: dict[str, Any], **options: Any) -> Path:
    arrow: Any = pytest.importorskip("pyarrow")
    import pyarrow.parquet as writer

    file = folder / "d.parquet"
    writer.write_table(arrow.table(columns), file, **options)
    return file


def test_a_small_parquet_file_that_decodes_to_much_is_refused_before_that(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = ["0" * MIB + str(n) for n in range(12)]
    file = written(tmp_path, {"problem": texts, "answer": ["1"] * 12}, compression="zstd", use_dictionary=False)
    assert file.stat().st_size < MIB
    monkeypatch.setattr(files, "MAX_BYTES", 10 * MIB)
    with pytest.raises(ConfigError, match=r"bytes once decoded; the limit is 10,485,760"):
        load(str(file))


@pytest.mark.parametrize("typed", [True, False])
def test_a_text_that_is_stored_once_and_used_often_counts_as_often(typed: bool, tmp_path: Path) -> None:
    arrow: Any = pytest.importorskip("pyarrow")
    once = arrow.DictionaryArray.from_arrays(arrow.array([0] * 10_000, arrow.int32()), ["x" * 100_000])
    file = written(tmp_path, {"problem": once, "answer": ["1"] * 10_000}, store_schema=typed)
    assert file.stat().st_size < MIB
    with pytest.raises(ConfigError, match=r"1,000,010,000 bytes once decoded; the limit is 268,435,456"):
        load(str(file))


@pytest.mark.slow
def test_columns_that_no_problem_is_made_of_are_not_read(tmp_path: Path) -> None:
    arrow: Any = pytest.importorskip("pyarrow")
    text = "x" * MIB
    nested = {
        "list": arrow.array([[text] * 9] * 60),
        "struct": arrow.array([{"text": text}] * 60),
        "map": arrow.array([[("key", text)]] * 60, arrow.map_(arrow.string(), arrow.string())),
        "struct.text": arrow.array(["flat, with the path of a nested part"] * 60),
        "fixed": arrow.array([text.encode()] * 60, arrow.binary(MIB)),
    }
    columns = {"problem": [f"p{n}" for n in range(60)], "answer": ["1"] * 60}
    file = written(tmp_path, {**columns, **nested}, compression="zstd")
    assert file.stat().st_size < MIB
    import pyarrow.parquet as reader

    metadata = reader.read_metadata(file)
    table = parquet.read_table(
        file, reader, 2 * sum(metadata.row_group(n).total_byte_size for n in range(metadata.num_row_groups))
    )
    assert table.column_names == ["problem", "answer"]


@pytest.mark.parametrize("kind", ["int64", "string", "float64", "bool_"])
def test_columns_of_nothing_count_as_what_they_take(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arrow: Any = pytest.importorskip("pyarrow")
    rows = 100_000
    empty = {f"c{n}": arrow.nulls(rows, getattr(arrow, kind)()) for n in range(40)}
    file = written(tmp_path, {"problem": ["p"] * rows, "answer": ["1"] * rows, **empty}, compression="zstd")
    monkeypatch.setattr(files, "MAX_BYTES", 4 * MIB)
    import pyarrow.parquet as reader

    monkeypatch.setattr(reader, "ParquetFile", None)
    with pytest.raises(ConfigError, match="bytes once decoded"):
        load(str(file))


def test_a_date_outside_python_s_range_does_not_stop_the_reading(tmp_path: Path) -> None:
    arrow: Any = pytest.importorskip("pyarrow")
    dates = {
        "date": arrow.array([2**31 - 1], arrow.date32()),
        "time": arrow.array([2**62], arrow.timestamp("us")),
        "duration": arrow.array([2**63 - 1], arrow.duration("ms")),
    }
    (problem,) = load(str(written(tmp_path, {"problem": ["p"], "answer": ["1"], **dates}))).problems
    assert problem.answer == "1"


def test_a_column_name_that_occurs_twice_in_parquet_is_refused(tmp_path: Path) -> None:
    arrow: Any = pytest.importorskip("pyarrow")
    import pyarrow.parquet as writer

    file = tmp_path / "d.parquet"
    table = arrow.table([arrow.array([value]) for value in ("p", "q", "1")], names=["problem", "problem", "answer"])
    writer.write_table(table, file)
    with pytest.raises(ConfigError, match="a column name occurs twice: 'problem'"):
        load(str(file))


def test_parquet_that_takes_more_memory_than_there_is_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arrow: Any = pytest.importorskip("pyarrow")
    file = written(tmp_path, {"problem": ["p"], "answer": ["1"]})

    def fail(*_: object) -> None:
        raise arrow.ArrowMemoryError("malloc of size 8388608 failed")

    monkeypatch.setattr(files, "read_table", fail)
    with pytest.raises(ConfigError, match="not enough memory to read it"):
        load(str(file))


def test_too_many_rows_are_refused_by_what_the_file_says_of_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parquet, "MOST_ROWS", 3)
    file = written(tmp_path, {"problem": list("abcd"), "answer": list("1234")})
    with pytest.raises(ConfigError, match="4 rows; the limit is 3"):
        load(str(file))


def test_a_parquet_file_within_the_limits_is_read_as_before(tmp_path: Path) -> None:
    file = written(tmp_path, {"problem": ["How much?", "How many?", None][:2], "answer": ["1", "2"], "n": [1.5, None]})
    assert [(each.text, each.answer) for each in load(str(file)).problems] == [("How much?", "1"), ("How many?", "2")]


@pytest.mark.parametrize("suffix", ["jsonl", "csv"])
def test_the_limit_is_in_the_message(suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / f"d.{suffix}"
    objects = [json.dumps({"problem": f"p{n}", "answer": str(n)}) for n in range(4)]
    file.write_text("\n".join(objects if suffix == "jsonl" else ["problem,answer", *(f"p{n},{n}" for n in range(4))]))
    monkeypatch.setattr(rows, "MOST_ROWS", 3)
    with pytest.raises(ConfigError, match="over 3 rows"):
        load(str(file))
    monkeypatch.setattr(rows, "MOST_ROWS", 4)
    assert len(load(str(file)).problems) == 4
    monkeypatch.setattr(rows, "MOST_CHARACTERS", 1)
    with pytest.raises(ConfigError, match="2 characters; the limit is 1"):
        load(str(file))
    monkeypatch.setattr(files, "MAX_BYTES", 9)
    with pytest.raises(ConfigError, match="the limit is 9"):
        load(str(file))


@pytest.mark.slow
def test_a_gold_answer_of_many_megabytes_is_never_printed_whole(tmp_path: Path) -> None:
    file = tmp_path / "d.jsonl"
    for answer in ("9" * 30 * MIB, "x " * 400_000, "[" * 900_000):
        file.write_text(json.dumps({"problem": "How much?", "answer": answer}))
        done = scale("eval", str(file), "--dry-run", "--model", "q", "--base-url", "http://127.0.0.1:9/v1")
        assert len(done.stderr + done.stdout) < 6000
        assert "Traceback" not in done.stderr


@pytest.mark.parametrize("name", ["d.jsonl", "d.csv", "d.parquet", "r.toml", "manifest.json"])
def test_a_pipe_or_a_device_is_no_data_file(name: str, tmp_path: Path) -> None:
    for kind in ("pipe", "device"):
        folder = tmp_path / kind
        folder.mkdir()
        if kind == "pipe":
            os.mkfifo(folder / name)
        else:
            (folder / name).symlink_to("/dev/zero")
        done = scale("eval", str(folder / name), "--dry-run", "--model", "q", "--base-url", "http://127.0.0.1:9/v1")
        assert done.returncode == 2
        assert len(done.stderr.splitlines()) == 1


def test_a_recipe_beyond_the_limit_is_refused_with_the_limit(tmp_path: Path) -> None:
    file = tmp_path / "r.toml"
    file.write_text("# " + "x" * (2 * MIB))
    done = scale("eval", str(file))
    assert (done.returncode, "over 1,048,576 bytes" in done.stderr) == (2, True)


def test_a_line_of_jsonl_is_bounded_and_empty_lines_cost_nothing(tmp_path: Path) -> None:
    file = tmp_path / "d.jsonl"
    file.write_text('{"problem": "1 + 1?", "answer": "2", "more": [' + "1," * 5_000_000 + "1]}")
    with pytest.raises(ConfigError, match="line 1: 10,000,049 characters; the limit is 8,388,608"):
        files.load(file, DatasetOptions())
    file.write_text("\n" * 30_000_000 + " \n" * 5_000_000 + '{"problem": "1 + 1?"}')
    with ends_in_time(), pytest.raises(ConfigError, match="line 35000001"):
        files.load(file, DatasetOptions())


@pytest.mark.parametrize(
    "text", ["a" + ".a" * 20_000 + " = 1", "[" + ".".join("a" * 20_000) + "]", '"a"' + ' . "="' * 20_000 + " = 1",
             "1" + ".1" * 20_000 + " = 1", "x = 1\n" * 200_000],
)  # fmt: skip
def test_a_recipe_whose_keys_have_parts_without_end_is_refused_at_once(text: str, tmp_path: Path) -> None:
    (file := tmp_path / "recipe.toml").write_text(text)
    with ends_in_time(), pytest.raises(ConfigError, match=r"dots outside numbers|over 1,048,576 bytes"):
        read_manifest(file)


def test_a_recipe_may_sweep_many_numbers_in_one_line(tmp_path: Path) -> None:
    taus = ", ".join(f"{number / 1000}" for number in range(300))
    (file := tmp_path / "recipe.toml").write_text(
        f'datasets = ["arithmetic"]\nstrategies = [{{name = "scale", tau = [{taus}]}}]'
    )
    assert len(read_manifest(file).cells) == 300
