"""The recipes that ship: what each one plans, as text to review, and whether that is what the paper's tables have."""

from __future__ import annotations

import json
import re
import shlex
import tomllib
from pathlib import Path
from typing import Any

import pytest
from tests.commands import scale
from tests.servers import serving

import scale_reasoning
from scale_reasoning.cli import main
from scale_reasoning.datasets import DATASETS
from scale_reasoning.datasets.benchmarks import BENCHMARKS
from scale_reasoning.report import paper
from scale_reasoning.runs.manifest import CellSpec, Manifest
from scale_reasoning.runs.recipe import read as read_recipe
from scale_reasoning.runs.recipes import FOLDER, list_shipped
from scale_reasoning.strategies import shorten
from scale_reasoning.synth import sft

ROOT = Path(__file__).parents[2]
PLANS = Path(__file__).with_name("plans")
RECIPES = list_shipped()
TRAININGS = [name for name in RECIPES if name.startswith("sft-")]
RUNS = [name for name in RECIPES if name not in TRAININGS]
TABLE1 = {
    "table1-qwen3-32b": "Qwen3-32B",
    "table1-qwq": "QwQ",
    "table1-distill-llama-70b": "Distill-Llama-70B",
    "table1-distill-qwen-32b": "Distill-Qwen-32B",
}
OF_THE_PAPER = [*TABLE1, "table2", "table3", "figure2", "ablations"]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Made-up problems in the place of the benchmarks, as many as each has."""
    folder = tmp_path_factory.mktemp("data")
    for name, benchmark in BENCHMARKS.items():
        rows = [
            {"id": f"{name}-{n}", "problem": f"How much is {n} and {n}?", "answer": str(2 * n)}
            for n in range(benchmark.problems)
        ]
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def read(name: str) -> Manifest:
    return read_recipe(RECIPES[name])


def where(name: str, data: Path) -> list[str]:
    """The flag for local problems; arithmetic makes its own."""
    made = all(cell.dataset.name == "arithmetic" for cell in read(name).cells)
    return [] if made else ["--data-dir", str(data)]


def is_row(cell: CellSpec, row: Any) -> bool:
    """Whether a cell is a row of the paper, on its dataset."""
    options = shorten(cell.strategy)
    wanted = {key: value for key, value in row.options.items() if key != "training"}
    same = (cell.dataset.name, cell.strategy["name"]) == (row.dataset, row.strategy)
    return same and all(options.get(key) == value for key, value in wanted.items())


@pytest.mark.parametrize("name", RUNS)
def test_what_a_recipe_plans_is_reviewed_and_needs_no_network(
    name: str, data: Path, tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    done = scale("eval", name, "--dry-run", *where(name, data), folder=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert list(tmp_path.iterdir()) == []
    file = PLANS / f"{name}.txt"
    if pytestconfig.getoption("--update-transcripts"):
        file.write_text(done.stdout)
    assert done.stdout == file.read_text()


def test_every_plan_is_of_a_recipe() -> None:
    assert sorted(file.stem for file in PLANS.glob("*.txt")) == sorted(RUNS)


@pytest.mark.parametrize("name", TABLE1)
def test_table_1_has_the_papers_cells_and_counts_votes_from_the_chains(name: str) -> None:
    manifest = read(name)
    rows = [row for row in paper.read_rows("table1") if row.model == TABLE1[name] and row.strategy != "vote"]
    assert len(manifest.cells) == len(rows) == 9
    assert all(sum(is_row(cell, row) for cell in manifest.cells) == 1 for row in rows)
    assert {shorten(cell.strategy)["tau"] for cell in manifest.cells if cell.strategy["name"] == "scale"} == {0.2}
    assert manifest.samples == 8
    (model,) = {cell.model for cell in manifest.cells}
    assert TABLE1[name] in str(model.model)
    assert model.system1_model == (None if name == "table1-qwen3-32b" else "Qwen/Qwen3-32B")
    assert 'name = "vote"' in RECIPES[name].read_text()


@pytest.mark.parametrize("name", TABLE1)
def test_inftythink_can_reach_the_papers_tokens_per_iteration(name: str) -> None:
    rows = [row for row in paper.read_rows("table1") if (row.model, row.strategy) == (TABLE1[name], "inftythink")]
    largest = max(row.tpi or 0 for row in rows)
    limits = {shorten(cell.strategy)["round_max_tokens"] for cell in read(name).cells if is_inftythink(cell)}
    assert limits == {4096 * int(largest // 4096 + 1)}
    assert f"{largest:,.0f}" in RECIPES[name].read_text()


def is_inftythink(cell: CellSpec) -> bool:
    return cell.strategy["name"] == "inftythink"


@pytest.mark.parametrize("name", ["table2", "figure2"])
def test_the_sweeps_have_the_papers_cells(name: Any) -> None:
    manifest, rows = read(name), paper.read_rows(name)
    assert len(manifest.cells) == len(rows)
    assert all(sum(is_row(cell, row) for cell in manifest.cells) == 1 for row in rows)
    assert {cell.model.model for cell in manifest.cells} == {"Qwen/Qwen3-32B"}
    fixed = {"table2": ("system2_max_tokens", 16384), "figure2": ("tau", 0.2)}[name]
    assert {shorten(cell.strategy)[fixed[0]] for cell in manifest.cells} == {fixed[1]}


def test_table_3_has_every_base_model_and_what_its_recipe_trains() -> None:
    manifest, rows = read("table3"), paper.read_rows("table3")
    assert len(manifest.cells) == len(rows) == 24
    assert {(cell.dataset.name, cell.strategy["name"]) for cell in manifest.cells} == {
        (row.dataset, row.strategy) for row in rows
    }
    names = [str(model) for model in dict.fromkeys(cell.model.model for cell in manifest.cells)]
    trained = {f"scale-{name}": sft.read(RECIPES[name]).model for name in TRAININGS if "limo" in name}
    assert dict(zip(names[1::2], names[::2], strict=True)) == trained
    profiles = {cell.model.model: cell.model.profile for cell in manifest.cells}
    assert profiles == {name: "traces" if name in trained else None for name in names}


@pytest.mark.parametrize("name", OF_THE_PAPER)
def test_the_papers_recipes_sample_as_the_paper_does(name: str) -> None:
    manifest = read(name)
    assert manifest.samples == paper.SAMPLES
    assert {(cell.model.temperature, cell.model.top_p) for cell in manifest.cells} == {(0.6, 0.95)}


def test_all_rows_of_the_ablations_have_the_limit_at_which_the_paper_has_the_share() -> None:
    options = [shorten(cell.strategy) for cell in read("ablations").cells]
    assert {each["system2_max_tokens"] for each in options} == {16384}
    (hard,) = {row.hard for row in paper.read_rows("table2") if row.dataset == "aime24" and row.options["tau"] == 0.5}
    shares = {each["share"] for each in options if each["route"] == "random"}
    assert shares == {round(hard or 0, 2)}


@pytest.mark.parametrize("name", TRAININGS)
def test_a_training_names_its_next_command(name: str) -> None:
    text = RECIPES[name].read_text()
    assert f"scale sft {name}" in text
    assert f"scale-{name}" in text
    assert "limo" not in name or f"scale eval table3 --model scale-{name} " in text


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_begins_with_what_it_is_and_its_commands_can_be_typed(name: str, tmp_path: Path) -> None:
    text = RECIPES[name].read_text()
    assert re.fullmatch(r"# [A-Z].{20,119}\.", text.partition("\n")[0])
    comments = "\n".join(line.removeprefix("#") for line in text.splitlines() if line.startswith("#"))
    lines = re.findall(r"^   (scale .*)", comments.replace("\\\n", " "), re.MULTILINE)
    assert any(f" {name}" in line for line in lines)
    for command in [each for line in lines for each in re.split("[;#]", line) if each.strip().startswith("scale ")]:
        verb, first, *_ = words = shlex.split(command)[1:]
        assert verb not in ("eval", "sft") or first in RECIPES or first in DATASETS
        done = scale(*words[:1], *words[1:], "--help", folder=tmp_path)  # argparse refuses what it does not know
        assert done.returncode == 0
        assert all(word.split("=")[0] in done.stdout for word in words if word.startswith("--"))


def test_a_recipe_is_in_the_package_that_the_wheel_has_whole() -> None:
    wheel = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert wheel["packages"] == ["src/scale_reasoning"]
    assert not {"include", "exclude", "only-include"} & set(wheel)
    assert Path(scale_reasoning.__file__).parent / "recipes" == FOLDER
    assert RUNS
    assert TRAININGS


def test_the_names_of_recipes_are_no_datasets() -> None:
    assert not set(RECIPES) & set(DATASETS)


@pytest.fixture
def served(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The flags of a small run, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    return ["--data-dir", str(data), "--samples", "1", "--limit", "1", "--retries", "0"]


def test_table_3_can_be_one_run_of_eight_models_at_one_address(served: list[str]) -> None:
    with serving() as server:
        assert main(["eval", "table3", *served, "--base-url", server.base_url, "--out", "run"]) == 0
    asked = [body["model"] for body in server.bodies]
    assert {model: asked.count(model) for model in asked} == {cell.model.model: 3 for cell in read("table3").cells}
    assert {(body["temperature"], body["top_p"]) for body in server.bodies} == {(0.6, 0.95)}


def test_table_3_can_be_a_run_for_each_model_in_one_report(served: list[str], capsys: Any) -> None:
    for out, model in (("before", "Qwen/Qwen2.5-14B-Instruct"), ("after", "scale-sft-limo-qwen2.5-14b")):
        with serving() as server:
            at = ["--model", model, "--base-url", server.base_url, "--out", f"table3/{out}"]
            assert main(["eval", "table3", *served, *at]) == 0
        assert [body["model"] for body in server.bodies] == [model] * 3
    capsys.readouterr()
    assert main(["report", "table3/before", "table3/after", "--format", "json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [(row["model"], row["dataset"]) for row in found] == [
        (model, dataset)
        for model in ("Qwen/Qwen2.5-14B-Instruct", "scale-sft-limo-qwen2.5-14b")
        for dataset in ("aime24", "aime25", "amc23")
    ]
