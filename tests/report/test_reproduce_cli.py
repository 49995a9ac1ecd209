"""`scale reproduce`, and the tables of `scale report` that go with it, on runs made by hand."""

from __future__ import annotations

import csv
import io
import json
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest
from tests.commands import scale
from tests.report.made_runs import COT, QWEN3, QWQ, SCALE, Made, spread_right, write_run

from scale_reasoning.engines.connection import ModelSpec

SERVER = "http://127.0.0.1:1/v1"
DISTILLS = [
    ModelSpec(model=f"deepseek-ai/DeepSeek-R1-Distill-{name}", system1_model="Qwen/Qwen3-32B", base_url=SERVER)
    for name in ("Llama-70B", "Qwen-32B")
]
BASE, TUNED = (ModelSpec(model=name, base_url=SERVER) for name in ("Qwen/Qwen2.5-32B-Instruct", "scale-sft-32b"))
TRACES = {"profiles": {"scale-sft-32b": {"name": "traces"}}}


def table(text: str) -> list[dict[str, str]]:
    """A Markdown table's rows by its headings."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    head, *rows = ([cell.strip() for cell in line.strip("|").split("|")] for line in (lines[0], *lines[2:]))
    return [dict(zip(head, row, strict=True)) for row in rows]


@pytest.fixture(scope="module")
def four(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """A run of each model of Table 1, on one dataset; the last one is not finished."""
    root, folders = tmp_path_factory.mktemp("four"), list[str]()
    for number, model in enumerate((QWEN3, QWQ, *DISTILLS)):
        cells = [
            Made(strategy=COT, model=model, right=spread_right(176), tokens=7400, spread=800),
            Made(strategy=SCALE, model=model, right=spread_right(190), steps=7, pending=5 * (number == 3)),
        ]
        folders.append(str(write_run(root / f"run{number}", cells)))
    return folders


def test_four_runs_make_one_table_and_an_unfinished_one_exits_1(four: list[str]):
    done = scale("reproduce", *four)
    assert done.returncode == 1
    rows = [row for row in table(done.stdout) if row["measure"] == "Acc"]
    assert [row["row"] for row in rows if row["cell"] == "cot"] == [f"{folder}:1" for folder in four]
    assert [row["paper"] for row in rows if row["cell"] == "cot"] == ["73.33", "75.00", "70.00", "72.50"]
    assert [row["paper"] for row in rows if row["cell"] == "vote (chains of cot)"] == [
        "76.67",
        "76.67",
        "76.67",
        "80.00",
    ]
    (pending,) = [row for row in rows if row["pending"] != "0"]
    assert (pending["planned"], pending["completed"], pending["failed"], pending["pending"]) == ("240", "235", "0", "5")
    assert pending["verdict"] == "cannot tell: 5 of 240 attempts are pending"
    assert "Table 1 of the paper" in done.stdout
    assert "inftythink on aime24 (QwQ)" in done.stdout
    assert scale("reproduce", *four[:3]).returncode == 0


def test_one_run_as_json_and_csv_has_the_same_numbers(four: list[str]):
    read = json.loads(scale("reproduce", four[0], "--format", "json").stdout)
    rows = list(csv.DictReader(io.StringIO(scale("reproduce", four[0], "--format", "csv").stdout)))
    assert [line["measure"] for line in read["lines"]] == [row["measure"] for row in rows]
    first = read["lines"][0]
    assert (first["paper"], first["ours"], first["verdict"]) == (0.7333, pytest.approx(176 / 240), "compatible")
    assert float(rows[0]["gap"]) == pytest.approx(176 / 240 - 0.7333)


def test_a_plot_is_drawn_in_the_verdicts_colours_and_never_replaces_a_file(four: list[str], tmp_path: Path):
    pytest.importorskip("matplotlib")
    file = tmp_path / "table1.svg"
    done = scale("reproduce", *four[:3], "--plot", str(file))
    assert done.returncode == 0, done.stderr
    text = file.read_text(encoding="utf-8")
    assert ET.fromstring(text).tag.endswith("svg")
    for colour in ("#009e73", "#0072b2", "#777777"):
        assert colour in text
    assert "File exists" in scale("reproduce", four[0], "--plot", str(file)).stderr


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--margin", "0"], "--margin 0"),
        (["--table", "table3"], "no cell of these runs is one of the paper's"),
        (["--plot", "table.txt"], "must end in"),
        (["--tuned", "nothing=Qwen/Qwen2.5-32B-Instruct"], "the runs have no model nothing"),
        (["--tuned", "x"], "must be MODEL=BASE"),
    ],
)
def test_wrong_flags_are_refused_with_what_to_do(four: list[str], words: list[str], told: str):
    done = scale("reproduce", four[0], *words)
    assert (done.returncode, done.stdout) == (2, "")
    assert told in done.stderr


def test_table_1_has_the_majority_vote_of_chains_of_thought_once(tmp_path: Path):
    right = spread_right(176)
    run = str(write_run(tmp_path / "a", [Made(strategy=COT, right=right), Made(strategy=SCALE, right=right)]))
    rows = table(scale("report", run, "--layout", "table1", "--with-paper").stdout)
    mine = [row for row in rows if "paper" not in row["model"]]
    assert [(row["row"], row["strategy"]) for row in mine] == [
        ("1", "cot"),
        ("", "vote (chains of cot)"),
        ("2", "scale"),
    ]
    assert mine[1]["aime24 Acc"].split()[0] == f"{22 / 30:.2%}".rstrip("%")
    assert (mine[1]["aime24 Tok"], mine[1]["aime24 Acc"].split()[-1]) == ("8000", "(30/30)")
    assert "vote" not in scale("report", run).stdout
    paid = str(
        write_run(tmp_path / "b", [Made(strategy=COT, right=right), Made(strategy={"name": "vote"}, right=right)])
    )
    assert "chains of cot" not in scale("report", paid, "--layout", "table1").stdout


@pytest.fixture
def before_and_after(tmp_path: Path) -> list[str]:
    before = [Made(strategy=COT, model=BASE, right=spread_right(43), tokens=900)]
    after = [Made(strategy=COT, model=TUNED, right=spread_right(128), tokens=22_000, spread=9000)]
    return [
        str(write_run(tmp_path / "before", before)), str(write_run(tmp_path / "after", after, resolved=TRACES))
    ]  # fmt: skip


def test_table_3_has_models_before_and_after_fine_tuning_with_the_papers(before_and_after: list[str]):
    words = ["--tuned", "scale-sft-32b=Qwen/Qwen2.5-32B-Instruct"]
    done = scale("report", *before_and_after, "--layout", "table3", "--with-paper", *words)
    assert done.returncode == 0
    assert "scale-sft-32b: Qwen/Qwen2.5-32B-Instruct fine-tuned (--tuned)." in done.stderr
    rows = [
        (row["model"], row["training"], row["aime24 Acc"].split()[0], row["aime24 Tok k"]) for row in table(done.stdout)
    ]
    assert rows == [
        ("Qwen/Qwen2.5-32B-Instruct", "none", "17.92", "0.9"),
        ("Qwen2.5-32B-Instruct (paper)", "none", "17.92", "0.9"),
        ("scale-sft-32b", "sft of Qwen/Qwen2.5-32B-Instruct", "53.33", "22.0"),
        ("Qwen2.5-32B-Instruct (paper)", "sft", "53.33", "22.0"),
    ]
    verdicts = [
        (row["cell"], row["measure"], row["verdict"])
        for row in table(scale("reproduce", *before_and_after, *words).stdout)
    ]
    assert verdicts == [
        ("cot, training none", "Acc", "compatible"),
        ("cot, training none", "Tok", "compatible"),
        ("cot, training sft", "Acc", "compatible"),
        ("cot, training sft", "Tok", "compatible"),
    ]


def test_a_fine_tuned_model_of_an_unknown_base_is_named_and_not_guessed(before_and_after: list[str]):
    done = scale("reproduce", *before_and_after, "--format", "json")
    assert "its base model is unknown, so it has no counterpart: give --tuned scale-sft-32b=BASE" in done.stderr
    lines: list[dict[str, Any]] = json.loads(done.stdout)["lines"]
    assert [line["paper"] for line in lines if line["model"] == "scale-sft-32b"] == [None]


def test_a_checkpoints_own_file_says_its_base_model(tmp_path: Path):
    from scale_reasoning.synth.folder import Job, write
    from scale_reasoning.synth.sft import Recipe

    checkpoint = tmp_path / "model"
    recipe = Recipe(model="Qwen/Qwen2.5-32B-Instruct", rows="train.jsonl")
    write(checkpoint, Job(recipe=recipe, rows_sha256="0" * 64, place="x"))
    after = Made(strategy=COT, model=ModelSpec(model=str(checkpoint)), right=spread_right(128), tokens=22_000)
    done = scale("reproduce", str(write_run(tmp_path / "run", [after])))
    assert "Qwen/Qwen2.5-32B-Instruct fine-tuned (its sft.json)" in done.stderr
    assert [row["paper"] for row in table(done.stdout)] == ["53.33", "22000"]


def test_tuned_belongs_to_table_3(before_and_after: list[str]):
    done = scale("report", before_and_after[0], "--tuned", "scale-sft-32b=x")
    assert (done.returncode, "--layout table3" in done.stderr) == (2, True)
