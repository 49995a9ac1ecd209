"""The user's own defaults of flags: where they hold, where they are set aside, and what a folder's file may not set."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.commands import scale
from tests.servers import serving

from scale_reasoning.cli import _parser
from scale_reasoning.cli.defaults import extend
from scale_reasoning.cli.settings import IN_A_FOLDER, NOT_DEFAULTS, list_flags, list_verbs

VERBS = list_verbs(_parser())
OWN_FILE_ONLY = {
    # servers, keys, and who may reach this machine
    "api-key-env", "ray", "ray-workers", "host", "port", "api-keys-file", "max-body-bytes", "max-calls",
    "max-concurrent", "max-connections", "max-messages", "token-budget", "drain-seconds", "keep-alive-seconds",
    "no-access-log", "allow-origin", "lenient", "content",
    # files that are read
    "profiles", "prompts", "prices", "student-prompts", "strategies", "decontaminate", "rows", "truth", "tuned",
    # settings of one kind of work
    "assessor", "assessors", "base-model", "bundle", "choose", "confidence", "dataset", "drafts", "filters", "gpus",
    "hold-out", "layout", "lora", "loss", "losses", "machines", "margin", "max-tokens", "metric", "no-reuse", "quick",
    "revision", "table", "target", "template", "tokens", "with-paper", "x",
}  # fmt: skip


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's file, in a home of the test, whose folder is the current one."""
    file = tmp_path / "home" / "scale-reasoning" / "scale.toml"
    file.parent.mkdir(parents=True)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    return file


def extended(*words: str) -> list[str]:
    """The words that defaults add to a command line."""
    found, _ = extend(words, VERBS)
    return found[1 : len(found) - len(words) + 1]


def test_a_default_holds_where_the_command_line_says_nothing(own: Path) -> None:
    own.write_text('model = "m"\ntau = 0.3\nin-flight = 8\n')
    assert extended("solve", "1 + 1") == ["--model=m", "--tau=0.3", "--in-flight=8"]
    assert extended("solve", "--tau", "0.1", "--model=n") == ["--in-flight=8"]
    assert extended("solve", "--in", "3", "x") == ["--model=m", "--tau=0.3"]
    assert extended("sweep", "--seed", "1", "tau", "0.1") == ["--model=m", "--in-flight=8"]
    assert extended("report", "runs/a") == []


def test_the_folder_comes_before_the_user_and_the_variable_before_both(
    own: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own.write_text('model = "m"\nsamples = 4\n')
    Path("scale.toml").write_text('model = "n"\n[eval]\nsamples = 1\n')
    assert extended("eval", "x.jsonl") == ["--model=n", "--samples=1"]
    monkeypatch.setenv("SCALE_MODEL", "student")
    assert extended("eval", "x.jsonl") == ["--model=student", "--samples=1"]
    assert extended("sweep", "tau", "0.1") == ["--model=student", "--samples=4"]


ALL = ["--model=m", "--window=4096", "--tau=0.3", "--retries=2", "--data-dir=d"]


@pytest.mark.parametrize(
    ("words", "held"),
    [
        (["eval", "--resume", "runs/a"], ["--retries=2"]),
        (["eval", "table2"], ["--retries=2", "--data-dir=d"]),
        (["eval", "mine.toml"], ["--retries=2", "--data-dir=d"]),
        (["solve", "--policy", "p.toml", "x"], ["--retries=2"]),
        (["draft", "runs/a"], ["--retries=2"]),
        (["solve", "--strategy", "cot", "x"], ["--model=m", "--window=4096", "--retries=2"]),
        (["solve", "--model", "n", "x"], ["--tau=0.3", "--retries=2"]),
        (["sweep", "tau", "0.1"], ["--model=m", "--window=4096", "--retries=2", "--data-dir=d"]),
        (["tune", "--dataset", "x"], ["--model=m", "--window=4096", "--retries=2", "--data-dir=d"]),
        (["sft", "rows"], []),
        (["eval", "arithmetic", "--level", "laptop"], ALL),
        (["eval", "arithmetic", "--profiles=mine.toml", "--level=laptop"], ALL),
        (["eval", "--dataset-is-no-flag", "x.jsonl"], ALL),
        (["solve", "What", "does", "pyproject.toml", "say?"], ALL[:-1]),
        (["eval", "--", "table2"], ["--retries=2", "--data-dir=d"]),
        (["eval", "--tau", "0.3", "table2"], ["--retries=2", "--data-dir=d"]),
        (["config"], []),
    ],
)
def test_what_is_stored_or_named_sets_defaults_aside(own: Path, words: Sequence[str], held: list[str]) -> None:
    own.write_text('model = "m"\nwindow = 4096\ntau = 0.3\nretries = 2\ndata-dir = "d"\n')
    assert extended(*words) == held


def test_a_model_of_this_machine_is_set_aside_by_a_server(own: Path) -> None:
    own.write_text('model = "student"\n')
    assert extended("solve", "--base-url", "http://127.0.0.1:1/v1", "x") == []
    assert extended("solve", "x") == ["--model=student"]


def test_effort_is_set_aside_by_any_option_of_a_strategy(own: Path) -> None:
    own.write_text('effort = "low"\n')
    assert extended("solve", "--tau", "0.5", "x") == []
    assert extended("solve", "x") == ["--effort=low"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("samles = 3", "scale.toml: samles: no flag has this name (did you mean samples"),
        ("[eval]\ntau = { a = 1 }", "[eval] tau: must be a text, a number"),
        ("[report]\ntau = 0.3", "[report] tau: no flag has this name"),
        ("tau = true", "tau: must be a value"),
        ("quiet = 1", "quiet: must be true or false"),
        ("out = 'x'", "--out is for one command, not a default"),
        ("tau", "scale.toml: Expected '='"),
        ("[eval]\nbase-url = 'http://h/v1'", "[eval] base-url: one URL, above the tables"),
        ("base-url = ['http://h/v1', 'http://i/v1']", "base-url: one URL, above the tables"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused(own: Path, text: str, says: str) -> None:
    own.write_text(text)
    done = scale("solve", "1 + 1")
    assert done.returncode == 2
    assert says in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    "text",
    [
        'base-url = "http://example.com/v1"',
        'system1-base-url = "http://127.0.0.1.example.com/v1"',
        'api-key-env = "SECRET"',
        'prompts = "theirs.md"',
        "[serve]\nhost = '0.0.0.0'",
        'model = "evil.gguf"',
        'model = "."',
        'strategy = "scale:prompts=theirs.md"',
        'set = ["prompts=theirs.md"]',
        'data-dir = "/data"',
        'data-dir = "../data"',
    ],
)
def test_the_file_of_a_folder_names_no_server_and_no_key(own: Path, text: str) -> None:
    Path("scale.toml").write_text(text)
    done = scale("doctor", "--quick", "--model", "m")
    assert done.returncode == 2
    assert "in the file of a folder, which may come from anyone" in done.stderr


def test_a_folder_called_like_a_model_of_the_catalogue_is_no_file_that_is_named(own: Path) -> None:
    Path("student").mkdir()
    Path("scale.toml").write_text('model = "student"\n')
    assert extended("solve", "x") == ["--model=student"]


def test_every_flag_is_known_to_be_harmless_in_a_folder_or_not() -> None:
    flags = {flag for parser in VERBS.values() for flag in list_flags(parser)}
    assert flags >= IN_A_FOLDER
    assert flags - NOT_DEFAULTS - IN_A_FOLDER == OWN_FILE_ONLY | {"system1-server"} - IN_A_FOLDER


def test_a_default_that_is_wrong_is_blamed_on_its_file(own: Path) -> None:
    own.write_text('tau = 3\nwindow = "many"\n')
    done = scale("solve", "--model", "m", "1 + 1")
    assert f"(--tau is set in {own})" in done.stderr
    done = scale("solve", "1 + 1")
    assert f"(--window is set in {own})" in done.stderr


def test_a_problem_is_solved_on_the_server_of_a_folder(own: Path) -> None:
    with serving() as server:
        Path("scale.toml").write_text(f'base-url = "{server.base_url}"\nmodel = "m"\nstrategy = "cot"\nquiet = true\n')
        done = scale("solve", "--json", "1 + 1")
    record: dict[str, Any] = json.loads(done.stdout)
    assert record["solution"] is not None
    assert [call["path"] for call in record["calls"]] == ["solve"]


def test_config_shows_what_holds_and_where_it_is_set(own: Path) -> None:
    own.write_text('base-url = "http://me:word@example.com/v1"\ntau = 0.3\n[eval]\nsamples = 2\n')
    Path("scale.toml").write_text("tau = 0.5\n")
    done = scale("config", env={"SCALE_MODEL": "student"})
    rows = [line.split() for line in done.stdout.splitlines() if line]
    assert ["tau", "0.5", "scale.toml"] in rows
    assert ["model", "student", "SCALE_MODEL"] in rows
    assert ["base-url", "example.com/v1", str(own)] in rows
    assert ["eval:", "samples", "2", str(own)] in rows
    assert "word" not in done.stdout


def test_scale_alone_greets_with_the_defaults(own: Path) -> None:
    own.write_text('model = "Qwen/Qwen3-32B"\nbase-url = "http://example.com/v1"\n')
    done = scale()
    assert "Model    Qwen/Qwen3-32B; others" in done.stdout
    assert f"Server   that of {own}" in done.stdout
