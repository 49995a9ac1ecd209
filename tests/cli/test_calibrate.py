"""`scale calibrate` on a run, and the policy that it writes, as a user runs them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cli.test_evaluate import problems
from tests.commands import scale
from tests.servers import ModelServer, serving
from tests.web.proxies import command

from scale_reasoning.runs.policy_file import read_policy

MODEL = "Qwen/Qwen3-32B"
COUNT = 46
"""One problem more than a loss of 5 % takes at a confidence of 90 %."""


@pytest.fixture(scope="module")
def server() -> Iterator[ModelServer]:
    with serving() as server:
        yield server


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, server: ModelServer) -> Path:
    """A run in which every row is right on every problem."""
    folder = tmp_path_factory.mktemp("calibrated")
    done = scale("eval", str(problems(folder, COUNT)), "--samples", "1", "--out", str(folder / "run"),
                 "--strategy", "cot", "--strategy", "scale:route=system2,candidates=1",
                 "--strategy", "scale:tau=0.4,candidates=1", "--strategy", "scale:tau=0.2,candidates=1",
                 "--base-url", server.base_url, "--model", MODEL)  # fmt: skip
    assert done.returncode == 0, done.stderr
    return folder / "run"


def test_the_cheapest_value_that_keeps_the_promise_is_written_as_a_policy(run: Path, tmp_path: Path) -> None:
    out = tmp_path / "policy.toml"
    done = scale("calibrate", str(run), "--out", str(out))
    assert done.returncode == 0, done.stderr
    rows = [line.split("|")[1:7] for line in done.stdout.splitlines()[2:4]]
    assert [(row[0].strip(), row[1].strip(), row[4].strip()) for row in rows] == [
        ("4", "0.2", "yes"),
        ("3", "0.4", "yes"),
    ]
    assert "tau 0.4 loses at most 5% of problems like these, with 90% confidence" in done.stdout
    policy = read_policy(out)
    assert policy.strategy["route"] == {"name": "threshold", "tau": 0.4}
    assert (policy.model, policy.prompts.keys(), policy.evidence["problems"]) == (MODEL, {"scale"}, COUNT)
    assert policy.servers == {MODEL: "generic"}
    again = scale("calibrate", str(run), "--out", str(out))
    assert (again.returncode, "exists already" in again.stderr) == (2, True)


def test_what_cannot_be_certified_is_said_with_the_problems_it_would_take(run: Path, tmp_path: Path) -> None:
    done = scale("calibrate", str(run), "--loss", "0.01", "--out", str(tmp_path / "none.toml"))
    assert done.returncode == 1
    assert "Cannot certify: the safest value, 0.2, is not shown to lose less than 1% of problems" in done.stdout
    assert "about 230 problems" in done.stdout
    assert not (tmp_path / "none.toml").exists()
    assert "a loss of 0.25% or more" in scale("calibrate", str(run), "--loss", "0.0025").stdout
    found = json.loads(scale("calibrate", str(run), "--loss", "0.01", "--format", "json").stdout)
    assert (found["chosen"], found["needed"], len(found["tested"])) == (None, 230, 1)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["{run}:3", "{run}:4"], "0 rows are all System 2, and one is needed"),
        (["{run}:1", "{run}:2"], "no row has an allocator with a number"),
        (["{run}", "--loss", "2"], "--loss 2: must be above 0 and below 1"),
    ],
)
def test_rows_and_shares_that_do_not_do_are_named(run: Path, words: list[str], said: str) -> None:
    done = scale("calibrate", *(word.format(run=run) for word in words))
    assert done.returncode == 2
    assert said in done.stderr


def test_a_policy_is_used_for_its_model_only(run: Path, tmp_path: Path, server: ModelServer) -> None:
    out, at = tmp_path / "policy.toml", ("--base-url", server.base_url)
    assert scale("calibrate", str(run), "--out", str(out)).returncode == 0
    solved = scale("solve", "What do 6 pens cost?", "--policy", str(out), "--json", *at, "--model", MODEL)
    assert solved.returncode == 0, solved.stderr
    assert json.loads(solved.stdout)["strategy"]["route"] == {"name": "threshold", "tau": 0.4}
    other = scale("solve", "What do 6 pens cost?", "--policy", str(out), *at, "--model", "Qwen/Qwen3-8B")
    assert other.returncode == 2
    assert f"it was chosen for {MODEL}, not for Qwen/Qwen3-8B" in other.stderr
    both = scale("solve", "What do 6 pens cost?", "--policy", str(out), "--tau", "0.3", *at, "--model", MODEL)
    assert (both.returncode, "--policy and --tau: a policy is a whole strategy" in both.stderr) == (2, True)
    new = tmp_path / "new"
    words = ("eval", str(problems(tmp_path, 2)), "--samples", "1", "--out", str(new), "--policy", str(out))
    evaluated = scale(*words, *at, "--model", MODEL)
    assert evaluated.returncode == 0, evaluated.stderr
    assert "what it promises is not known to hold on" in evaluated.stderr
    (cell,) = json.loads((new / "manifest.json").read_text())["cells"]
    assert cell["strategy"]["route"] == {"name": "threshold", "tau": 0.4}


def test_a_policy_warns_of_another_kind_of_server_and_one_that_names_none_does_not(
    run: Path, tmp_path: Path, server: ModelServer
) -> None:
    out, at = tmp_path / "policy.toml", ("--base-url", server.base_url, "--model", MODEL)
    warning = "what it promises is not known to hold on one of the kind vllm"
    assert scale("calibrate", str(run), "--out", str(out)).returncode == 0
    words = ("solve", "What do 6 pens cost?", "--policy", str(out), *at)
    alike, other = scale(*words), scale(*words, "--server", "vllm")
    assert (alike.returncode, "promises" in alike.stderr) == (0, False)
    assert (other.returncode, other.stderr.count(warning)) == (0, 1)
    evaluated = scale("eval", str(problems(tmp_path, 2)), "--samples", "1", "--out", str(tmp_path / "new"),
                      "--policy", str(out), *at, "--server", "vllm")  # fmt: skip
    assert (evaluated.returncode, evaluated.stderr.count(warning)) == (0, 1)
    old = tmp_path / "old.toml"
    old.write_text(out.read_text().replace(f'[servers]\n"{MODEL}" = "generic"\n', ""))
    assert "servers" not in old.read_text()
    said = scale("solve", "What do 6 pens cost?", "--policy", str(old), *at, "--server", "vllm")
    assert (said.returncode, "promises" in said.stderr) == (0, False)


def test_a_policy_is_refused_for_another_model_that_only_its_server_names(run: Path, tmp_path: Path) -> None:
    out = tmp_path / "policy.toml"
    assert scale("calibrate", str(run), "--out", str(out)).returncode == 0
    with serving(models=["Qwen/Qwen3-8B"], lists=True) as other:
        done = scale("solve", "What do 6 pens cost?", "--policy", str(out), "--base-url", other.base_url)
        assert not other.bodies
    assert (done.returncode, f"it was chosen for {MODEL}, not for Qwen/Qwen3-8B" in done.stderr) == (2, True)


def test_a_policy_is_served_as_a_model_of_its_own(run: Path, tmp_path: Path, server: ModelServer) -> None:
    out, at = tmp_path / "policy.toml", ("--base-url", server.base_url)
    assert scale("calibrate", str(run), "--out", str(out)).returncode == 0
    with command(*at, "--model", MODEL, "--policy", str(out)) as proxy:
        answer = proxy.ask(f"{MODEL}@tuned", scale={"record": True})
    assert answer.json["scale"]["strategy"]["route"] == {"name": "threshold", "tau": 0.4}
    other = scale("serve", "--port", "0", *at, "--model", "Qwen/Qwen3-8B", "--policy", str(out))
    assert (other.returncode, f"it was chosen for {MODEL}" in other.stderr) == (2, True)


def test_a_policy_that_is_none_is_refused(tmp_path: Path) -> None:
    for text, said in (
        ("strategy = 3", "policy"),
        ('model = "m"\ndataset = "d"\n[prompts]\n[strategy]\nname = "magic"', "no strategy 'magic'"),
        ("surprise = 1", "surprise"),
    ):
        file = tmp_path / "policy.toml"
        file.write_text(text)
        done = scale(
            "solve", "What do 6 pens cost?", "--policy", str(file), "--model", MODEL, "--base-url", "http://x/v1"
        )
        assert done.returncode == 2
        assert said in done.stderr
