"""A key goes to servers that the user has named, and to no other that a manifest or a recipe names."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import sqlite3
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.cli.test_evaluate import problems
from tests.commands import SCALE, scale
from tests.servers import ModelServer, serving

from scale_reasoning.cli.consent import LOOPBACK

KEY = "sk-of-mine-0123456789"


@pytest.fixture
def home(tmp_path: Path) -> dict[str, str]:
    return {"XDG_STATE_HOME": str(tmp_path / "state"), "MY_KEY": KEY}


def elsewhere(server: ModelServer) -> str:
    """The server under an address that is not known to be this machine's."""
    return server.base_url.replace("127.0.0.1", "0.0.0.0")


def keys_sent(server: ModelServer) -> int:
    return sum(KEY in headers.get("Authorization", "") for headers in server.headers)


def half(tmp_path: Path, server: ModelServer, change: Callable[[dict[str, Any]], object]) -> Path:
    """A run of somebody else's with everything left to make."""
    tmp_path.mkdir(exist_ok=True)
    rows = str(problems(tmp_path, 2))
    at = ("--base-url", server.base_url, "--model", "q", "--strategy", "cot")
    folder = tmp_path / "run"
    assert scale("eval", rows, *at, "--samples", "1", "--out", str(folder)).returncode == 0
    with contextlib.closing(sqlite3.connect(folder / "run.sqlite")) as db:
        db.executescript("DELETE FROM attempts; DELETE FROM completions")
    said = json.loads((folder / "manifest.json").read_text())
    change(said["cells"][0]["model"])
    (folder / "manifest.json").write_text(json.dumps(said))
    server.headers.clear()
    return folder


NAMES: dict[str, Callable[[dict[str, Any], str], object]] = {
    "base_url": lambda model, url: model.update(base_url=url, api_key_env="MY_KEY"),
    "more_base_urls": lambda model, url: model.update(more_base_urls=[url], api_key_env="MY_KEY"),
    "system1_base_url": lambda model, url: model.update(system1_base_url=url, api_key_env="MY_KEY"),
    "with a user": lambda model, url: model.update(base_url=url.replace("//", "//127.0.0.1:80@"), api_key_env="MY_KEY"),
    "the default key": lambda model, url: model.update(base_url=url),
}


@pytest.mark.parametrize("how", NAMES)
def test_resuming_sends_no_key_to_a_server_that_only_the_manifest_names(
    how: str, tmp_path: Path, home: dict[str, str]
) -> None:
    if how == "the default key":
        home = {**home, "OPENAI_API_KEY": KEY}
    with serving() as server:
        url = elsewhere(server)
        run = half(tmp_path, server, lambda model: NAMES[how](model, url))
        refused = scale("eval", "--resume", str(run), env=home)
        assert refused.returncode == 2
        assert f"would be sent to {url}" in refused.stderr
        assert "--trust-manifest" in refused.stderr
        assert ("OPENAI_API_KEY" if how == "the default key" else "MY_KEY") in refused.stderr
        assert KEY not in refused.stderr
        assert not server.headers
        assert not (tmp_path / "state").exists()


def test_the_variable_that_a_flag_names_takes_the_place_of_the_manifest_s(tmp_path: Path, home: dict[str, str]) -> None:
    with serving() as server:
        url = elsewhere(server)
        run = half(tmp_path, server, lambda model: model.update(base_url=url, api_key_env="SECRET"))
        more = {**home, "SECRET": "sk-another-service-0123"}
        done = scale("eval", "--resume", str(run), "--api-key-env", "MY_KEY", "--base-url", url, env=more)
        assert done.returncode == 0, done.stderr
        assert keys_sent(server) == len(server.headers) > 0


def test_without_a_key_there_is_nothing_to_ask(tmp_path: Path) -> None:
    with serving() as server:
        run = half(tmp_path, server, lambda model: model.update(base_url=elsewhere(server)))
        done = scale("eval", "--resume", str(run), env={"XDG_STATE_HOME": str(tmp_path / "state")})
        assert done.returncode == 0, done.stderr
        assert not (tmp_path / "state").exists()


def test_this_machine_needs_no_question(tmp_path: Path, home: dict[str, str]) -> None:
    with serving() as server:
        run = half(tmp_path, server, lambda model: model.update(api_key_env="MY_KEY"))
        done = scale("eval", "--resume", str(run), env=home)
        assert done.returncode == 0, done.stderr
        assert keys_sent(server) > 0


@pytest.mark.parametrize("word", ["--trust-manifest", "--base-url", "OPENAI_BASE_URL"])
def test_whoever_says_that_it_is_right_is_asked_no_more(word: str, tmp_path: Path, home: dict[str, str]) -> None:
    with serving() as server:
        url = elsewhere(server)
        run = half(tmp_path, server, lambda model: model.update(base_url=url, api_key_env="MY_KEY"))
        words = [word] if word == "--trust-manifest" else [word, url] if word.startswith("-") else []
        more = {"OPENAI_BASE_URL": url} if word == "OPENAI_BASE_URL" else {}
        done = scale("eval", "--resume", str(run), *words, env={**home, **more})
        assert done.returncode == 0, done.stderr
        assert keys_sent(server) > 0
        again = half(tmp_path / "again", server, lambda model: model.update(base_url=url, api_key_env="MY_KEY"))
        assert scale("eval", "--resume", str(again), env=home).returncode == 0
        remembered = tmp_path / "state" / "scale-reasoning" / "servers.json"
        assert json.loads(remembered.read_text()) == [[url, "MY_KEY"]]
        assert KEY not in remembered.read_text()
        other = half(tmp_path / "other", server, lambda model: model.update(base_url=url, api_key_env="OTHER"))
        refused = scale("eval", "--resume", str(other), env={**home, "OTHER": "sk-other-0123456789"})
        assert refused.returncode == 2
        assert "OTHER" in refused.stderr


def test_an_own_run_resumes_without_a_question(tmp_path: Path, home: dict[str, str]) -> None:
    rows = str(problems(tmp_path, 2))
    with serving() as server:
        at = ("--base-url", elsewhere(server), "--model", "q", "--strategy", "cot", "--api-key-env", "MY_KEY")
        begun = scale("eval", rows, *at, "--samples", "1", "--out", str(tmp_path / "run"), env=home)
        assert begun.returncode == 0, begun.stderr
        (tmp_path / "run").rename(tmp_path / "moved")
        done = scale("eval", "--resume", str(tmp_path / "moved"), env=home)
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("verb", ["eval", "synth"])
def test_a_recipe_that_names_a_server_is_asked_about_too(verb: str, tmp_path: Path, home: dict[str, str]) -> None:
    recipe = tmp_path / "r.toml"
    rows = str(problems(tmp_path, 2))
    with serving() as server:
        recipe.write_text(
            f"samples = 1\ndatasets = [{json.dumps(rows)}]\n[[models]]\nmodel = 'q'\napi_key_env = 'MY_KEY'\n"
            f"base_url = '{elsewhere(server)}'\n[[strategies]]\nname = 'cot'\n"
        )
        refused = scale(verb, str(recipe), "--out", str(tmp_path / "a"), env=home)
        assert refused.returncode == 2
        assert "would be sent" in refused.stderr
        assert not (tmp_path / "a" / "manifest.json").exists()
        assert not server.headers
        assert scale(verb, str(recipe), "--out", str(tmp_path / "b"), "--trust-manifest", env=home).returncode in (0, 1)
        assert keys_sent(server) > 0


@pytest.mark.parametrize(
    ("said", "code"), [(b"y\n", 0), *(pytest.param(said, 2, marks=pytest.mark.slow) for said in (b"n\n", b"\n"))]
)
def test_on_a_terminal_the_question_is_asked(said: bytes, code: int, tmp_path: Path, home: dict[str, str]) -> None:
    with serving() as server:
        url = elsewhere(server)
        run = half(tmp_path, server, lambda model: model.update(base_url=url, api_key_env="MY_KEY"))
        mine, theirs = pty.openpty()
        env = {key: value for key, value in os.environ.items() if not key.startswith("OPENAI_")}
        with subprocess.Popen(
            [*SCALE, "eval", "--resume", str(run)], stdin=theirs, stderr=theirs, stdout=subprocess.DEVNULL,
            env={**env, **home},
        ) as process:  # fmt: skip
            os.close(theirs)
            shown = b""
            while b"[y/N]" not in shown:
                shown += os.read(mine, 1000)
            assert url.encode() in shown
            assert b"MY_KEY" in shown
            assert not server.headers
            os.write(mine, said)
            while True:
                try:
                    if not os.read(mine, 1000):
                        break
                except OSError:
                    break
            os.close(mine)
            assert process.wait(30) == code
        assert (keys_sent(server) > 0) == (code == 0)


def test_what_is_remembered_may_be_anything_and_its_place_may_be_read_only(
    tmp_path: Path, home: dict[str, str]
) -> None:
    file = tmp_path / "state" / "scale-reasoning" / "servers.json"
    file.parent.mkdir(parents=True)
    with serving() as server:
        url = elsewhere(server)
        run = half(tmp_path, server, lambda model: model.update(base_url=url, api_key_env="MY_KEY"))
        for content in (b"", b"{", b"[[1, 2]]", b"[" * 10000, b"\xff"):
            file.write_bytes(content)
            assert scale("eval", "--resume", str(run), env=home).returncode == 2
        file.unlink()
        os.mkfifo(file)
        assert scale("eval", "--resume", str(run), env=home).returncode == 2
        nowhere = {**home, "XDG_STATE_HOME": "/proc/none"}
        assert scale("eval", "--resume", str(run), "--trust-manifest", env=nowhere).returncode == 0


@pytest.mark.parametrize(
    "url",
    ["http://127.999.1.1/v1", "http://127.0.0.256/v1", "http://localhost@other/", "http://127.0.0.1.other/",
     "http://localhost\\@other/", "http://localhost#@other", "http://127.0.0.\u0661/v1", "http://localhost/\n@other"],
)  # fmt: skip
def test_only_an_address_of_this_machine_needs_no_question(url: str) -> None:
    assert LOOPBACK.fullmatch(url) is None


def test_every_spelling_of_this_machine_needs_no_question() -> None:
    for host in ("localhost", "127.0.0.1", "127.0.1.1", "127.255.255.254", "[::1]", "LOCALHOST"):
        assert LOOPBACK.fullmatch(f"http://{host}:8000/v1")
