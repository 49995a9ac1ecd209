"""Flags that contradict each other are refused with one line before anything is loaded or asked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from tests.servers import ModelServer, reply_to, serving, stream

from scale_reasoning.cli import main

Capture = pytest.CaptureFixture[str]
URL = "http://127.0.0.1:9/v1"
SOLVE, EVAL, SYNTH = ["solve", "1+1?"], ["eval", "arithmetic"], ["synth", "--dataset", "arithmetic", "--out", "out"]


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    monkeypatch.chdir(tmp_path)
    Path("own.gguf").write_bytes(b"GGUF")
    Path("run").mkdir()
    Path("local.toml").write_text(
        'datasets = ["arithmetic"]\n[[models]]\nmodel = "arithmetic-teacher"\n[[strategies]]\nname = "cot"\n'
    )


CONTRADICTIONS = [
    *(
        (verb, ["--model", model, "--base-url", URL], "--base-url")
        for verb in (SOLVE, EVAL, SYNTH, ["doctor"], ["serve"], ["sweep", "tau", "0.5", "--dataset", "arithmetic"])
        for model in ("own.gguf", "gone.gguf", "student", "smollm2", "arithmetic-teacher")
    ),
    (["eval", "local.toml"], ["--base-url", URL], "--base-url"),
    (["synth", "local.toml", "--out", "out"], ["--base-url", URL], "--base-url"),
    (SOLVE, ["--model", "q", "--base-url", URL, "--system1-base-url", URL], "--system1-model"),
    (SOLVE, ["--system1-base-url", URL], "--system1-model"),
    (EVAL, ["--model", "q", "--base-url", URL, "--system1-base-url", URL], "--system1-model"),
    (["eval", "local.toml"], ["--system1-base-url", URL], "--system1-model"),
    (["doctor"], ["--model", "q", "--base-url", URL, "--system1-base-url", URL], "--system1-model"),
    *((verb, ["--server", "ollama"], "--server ollama: no server") for verb in (SOLVE, EVAL, ["serve"], ["doctor"])),
    (SOLVE, ["--model", "student", "--server", "vllm"], "--server vllm: no server"),
    (SOLVE, ["--model", "student", "--base-url", URL], "another name that the server lists (with --profile"),
    (EVAL, ["--model", "q", "--base-url", URL, "--system1-server", "vllm"], "--system1-server vllm: no model"),
    *(
        (SOLVE, ["--model", "q", "--base-url", URL, "--system1-model", model, "--system1-base-url", URL], model)
        for model in ("own.gguf", "gone.gguf", "student", "arithmetic-teacher")
    ),
    (SOLVE, ["--strategy", "cot", "--strategy", "vote"], "--strategy vote"),
    (SYNTH, ["--strategy", "cot", "--strategy", "vote"], "--strategy vote"),
    (["sweep", "tau", "0.5", "--dataset", "arithmetic"], ["--strategy", "scale", "--strategy", "vote"], "--strategy"),
    (["sweep", "tau", "0.5", "--dataset", "arithmetic"], ["--tau", "0.5"], "--tau"),
    (EVAL, ["--strategy", "cot", "--strategy", "cot"], "--strategy cot"),
    (EVAL, ["--tau", "0.5", "--effort", "low"], "--effort"),
    (EVAL, ["--tau", "0.5", "--set", "tau=0.2"], "--tau"),
    (EVAL, ["--strategy", "scale:tau=0.5", "--tau", "0.2"], "--tau"),
    (EVAL, ["--strategy", "scale:tau=0.5,tau=0.2"], "tau is set twice"),
    (EVAL, ["--shard", "1/2", "--ray", "local"], "--shard"),
    (["sweep", "tau", "0.5", "--dataset", "arithmetic"], ["--shard", "1/2", "--ray", "local"], "--shard"),
    (SYNTH, ["--shard", "1/2", "--ray", "local"], "--shard"),
    (EVAL, ["--ray-workers", "2"], "--ray-workers"),
    (EVAL, ["--resume", "run"], "--resume"),
    (["synth", "--from", "run", "--out", "out"], ["--base-url", URL], "--base-url"),
    (["synth", "--from", "run", "--out", "out"], ["--ray", "local"], "--ray"),
    (["synth", "--from", "run", "--out", "out"], ["--model", "q"], "--model"),
    (["synth", "--from", "run", "--out", "out"], ["--samples", "3"], "--samples"),
    (["synth", "--from", "run", "--resume", "run"], [], "--from and --resume"),
    (SYNTH, ["--gpus", "2"], "--gpus"),
    (SYNTH, ["--base-model", "m"], "--base-model"),
    (["eval", "local.toml"], ["--tau", "0.2"], "--tau"),
    (["eval", "local.toml"], ["--strategy", "cot"], "--strategy"),
    (["eval", "local.toml"], ["--split", "train"], "--split"),
    (SOLVE, ["--grader", "integer"], "--answer"),
]


@pytest.mark.parametrize(("verb", "words", "named"), CONTRADICTIONS)
def test_flags_that_contradict_each_other_are_refused(
    capsys: Capture, verb: list[str], words: list[str], named: str
) -> None:
    before = sorted(map(str, Path().rglob("*")))
    assert main([*verb, *words]) == 2
    said = capsys.readouterr().err
    assert said.startswith("scale: error: ")
    assert said.count("\n") == 1
    assert named in said
    assert sorted(map(str, Path().rglob("*"))) == before


class Serving:
    """A server that lists some names and answers every chat."""

    def __init__(self, *names: str) -> None:
        self.names = names

    async def __call__(self, request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        if request.path.endswith("/models"):
            return web.json_response({"data": [{"id": name} for name in self.names]})
        return await stream(request, reply_to(body))


def solved(server: ModelServer, *words: str) -> set[str]:
    assert main(["solve", "--quiet", "--strategy", "cot", "1+1?", *words]) == 0
    return {body["model"] for body in server.bodies}


@pytest.mark.parametrize(
    "name", ["Qwen3-8B-Q4_K_M.gguf", "models/x.gguf", "/weights/x.gguf", "org/model-GGUF:Q4", "Student", "./m", "a@b"]
)
def test_a_name_on_the_server_that_looks_odd_passes(name: str) -> None:
    with serving(Serving(name, "other")) as server:
        assert solved(server, "--model", name, "--base-url", server.base_url) == {name}


def test_a_server_whose_only_model_is_a_gguf_is_used_without_a_name(capsys: Capture) -> None:
    with serving(Serving("/weights/x.gguf")) as server:
        at = ["--samples", "1", "--limit", "1", "--strategy", "cot"]
        assert main(["eval", "arithmetic", "--base-url", server.base_url, *at, "--out", "new"]) == 0
        assert {body["model"] for body in server.bodies} == {"/weights/x.gguf"}
        assert main(["eval", "--resume", "new", "--base-url", server.base_url]) == 0


def test_a_model_that_runs_here_wins_over_the_environment_and_says_so(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving() as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
        assert main(["eval", "arithmetic", "--limit", "1", "--samples", "1", "--model", "arithmetic-teacher",
                     "--out", "new"]) == 0  # fmt: skip
        assert "OPENAI_BASE_URL is not used for arithmetic-teacher" in capsys.readouterr().err
        assert main(["solve", "--model", "gone.gguf", "1+1?"]) == 2
        assert "gone.gguf" in capsys.readouterr().err
        assert main(["eval", "--resume", "new"]) == 0
        assert main(["eval", "local.toml", "--samples", "1", "--limit", "1", "--out", "other"]) == 0
        assert not server.bodies
    for folder in ("new", "other"):
        assert json.loads(Path(folder, "manifest.json").read_text())["cells"][0]["model"]["base_url"] is None


def test_a_model_here_may_be_paired_with_one_on_a_server() -> None:
    with serving() as server:
        words = ["eval", "arithmetic", "--limit", "1", "--samples", "1", "--model", "arithmetic-teacher"]
        assert main([*words, "--system1-model", "q", "--system1-base-url", server.base_url, "--out", "new"]) == 0
        words = ["solve", "--quiet", "What is 3 x 4?", "--model", "q", "--base-url", server.base_url]
        assert main([*words, "--system1-model", "q", "--system1-base-url", server.base_url]) == 0


def test_a_flag_for_servers_goes_to_those_of_a_recipe_that_need_one() -> None:
    Path("mixed.toml").write_text(
        'datasets = ["arithmetic"]\nsamples = 1\ncount = 1\n'
        '[[models]]\nmodel = "arithmetic-teacher"\n[[models]]\nmodel = "q"\n[[strategies]]\nname = "cot"\n'
    )
    with serving() as server:
        assert main(["eval", "mixed.toml", "--base-url", server.base_url, "--out", "new"]) == 0
        assert {body["model"] for body in server.bodies} == {"q"}
        assert main(["eval", "--resume", "new", "--base-url", server.base_url]) == 0
    models = [cell["model"] for cell in json.loads(Path("new/manifest.json").read_text())["cells"]]
    assert [model["base_url"] for model in models] == [None, server.base_url]


def test_a_flag_for_system_1s_server_goes_to_a_recipe_that_names_its_model() -> None:
    Path("pair.toml").write_text(
        'datasets = ["arithmetic"]\nsamples = 1\ncount = 1\n'
        '[[models]]\nmodel = "q"\nsystem1_model = "fast"\n[[strategies]]\nname = "scale"\n'
    )
    with serving() as one, serving() as two:
        at = ["--base-url", one.base_url, "--system1-base-url", two.base_url]
        assert main(["eval", "pair.toml", *at, "--out", "new"]) == 0
        assert main(["eval", "--resume", "new", *at]) == 0
        assert {body["model"] for body in two.bodies} == {"fast"}


# Several strategies


def cells(folder: str) -> list[dict[str, Any]]:
    return [cell["strategy"] for cell in json.loads(Path(folder, "manifest.json").read_text())["cells"]]


def test_every_strategy_is_a_cell_and_flags_go_to_those_that_have_the_option(capsys: Capture) -> None:
    at = ["--model", "arithmetic-teacher", "--samples", "1", "--limit", "1", "--out", "new"]
    assert main(["eval", "arithmetic", *at, "--strategy", "cot", "--strategy", "scale:tau=0.2,candidates=2",
                 "--strategy", "vote:base=scale,samples=2,base.candidates=3", "--set", "assess.context=titles",
                 "--system2-max-tokens", "900"]) == 0  # fmt: skip
    cot, scale, vote = cells("new")
    assert (cot["name"], cot["system2_max_tokens"]) == ("cot", 900)
    assert (scale["route"]["tau"], scale["candidates"], scale["assess"]["context"]) == (0.2, 2, "titles")
    assert (vote["samples"], vote["base"]["candidates"], vote["base"]["assess"]["context"]) == (2, 3, "titles")
    assert vote["base"]["system2_max_tokens"] == scale["system2_max_tokens"] == 900
    assert main(["eval", "--resume", "new", "--strategy", "vote", "--strategy", "scale", "--strategy", "cot"]) == 0
    capsys.readouterr()
    assert main(["eval", "--resume", "new", "--strategy", "vote"]) == 2


def test_a_flag_that_no_strategy_has_is_an_error(capsys: Capture) -> None:
    words = ["eval", "arithmetic", "--dry-run", "--strategy", "cot", "--strategy", "vote"]
    assert main([*words, "--tau", "0.2"]) == 2
    assert "--tau: none of the strategies has it (cot, vote)" in capsys.readouterr().err
    assert main([*words, "--set", "treshold=1"]) == 2
    assert "--set treshold" in capsys.readouterr().err
    assert main([*words, "--strategy", "magic"]) == 2
    assert "no strategy 'magic'" in capsys.readouterr().err
    assert main([*words, "--strategy", "scale:tau"]) == 2
    assert "'tau' must be KEY=VALUE" in capsys.readouterr().err


def test_a_strategy_is_spelled_alike_in_solve_synth_and_sweep() -> None:
    at = ["--model", "arithmetic-teacher", "--samples", "1", "--limit", "1"]
    assert main(["synth", "--dataset", "arithmetic", *at, "--strategy", "scale:tau=0.9", "--out", "t"]) == 0
    assert cells("t/run")[0]["route"]["tau"] == 0.9
    assert main(["sweep", "tau", "0.1", "0.2", "--dataset", "arithmetic", *at, "--strategy", "scale:candidates=2",
                 "--out", "s"]) == 0  # fmt: skip
    assert [(cell["route"]["tau"], cell["candidates"]) for cell in cells("s")] == [(0.1, 2), (0.2, 2)]
