"""Runs of unknown origin in the viewer: a broken one breaks no other page, and nothing that it names is waited for."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import socket
import sqlite3
import time
import urllib.parse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.commands import scale
from tests.patience import ends_in_time
from tests.speed import mark_slow
from tests.web.viewed import HOSTILE, hostile, sweep, viewing

from scale_reasoning.cli import main
from scale_reasoning.errors import ConfigError, StoreError
from scale_reasoning.profiles import profile_for
from scale_reasoning.web.viewer.mathml import mathml
from scale_reasoning.web.viewer.server import HEADERS
from scale_reasoning.web.viewer.shelf import Shelf
from scale_reasoning.web.viewer.words import answer


def told(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Changes the manifest of a run."""
    file = folder / "manifest.json"
    said = json.loads(file.read_text())
    change(said)
    file.write_text(json.dumps(said))


def in_database(folder: Path, script: str) -> None:
    with contextlib.closing(sqlite3.connect(folder / "run.sqlite")) as db:
        db.executescript(script)


def deep(levels: int) -> dict[str, Any]:
    made: dict[str, Any] = {"name": "cot"}
    for _ in range(levels):
        made = {"name": "vote", "base": made}
    return made


BROKEN: dict[str, Callable[[Path], object]] = {
    "no manifest": lambda run: (run / "manifest.json").write_text("{"),
    "manifest is a link": lambda run: (
        (run / "manifest.json").rename(run / "m"), (run / "manifest.json").symlink_to(run / "m")
    ),
    "no database": lambda run: (run / "run.sqlite").unlink(),
    "another database": lambda run: (run / "run.sqlite").write_bytes(b"x" * 9000),
    "a view": lambda run: in_database(run, "DROP TABLE problems; CREATE VIEW problems AS SELECT 1"),
    "a null": lambda run: in_database(run, "UPDATE problems SET text = NULL"),
    "a blob": lambda run: in_database(run, "UPDATE problems SET id = x'ff'"),
    "an outcome of another type": lambda run: in_database(run, "UPDATE attempts SET outcome = 7"),
    "an outcome that is no JSON": lambda run: in_database(run, "UPDATE attempts SET outcome = x'7b'"),
    "an attempt at another problem": lambda run: in_database(
        run, "UPDATE attempts SET outcome = CAST(replace(CAST(outcome AS TEXT), 'p0000', 'q0000') AS BLOB)"
    ),
    "samples beyond number": lambda run: told(run, lambda said: said.update(samples=10**9)),
    "no strategy": lambda run: told(run, lambda said: said["cells"][0].update(strategy={"name": "none"})),
    "strategies without end": lambda run: told(run, lambda said: said["cells"][0].update(strategy=deep(200))),
    "another format": lambda run: told(run, lambda said: said.update(format=9)),
    "too many cells": lambda run: told(run, lambda said: said.update(cells=said["cells"] * 6000)),
}  # fmt: skip


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    sweep(tmp_path / "runs" / "good", problems=1, samples=1)
    return tmp_path / "runs"


def broken(runs: Path, how: str) -> Path:
    """A run broken in this way beside a good one."""
    run = shutil.copytree(runs / "good", runs / "bad")
    BROKEN[how](run)
    return run


@pytest.mark.parametrize("how", BROKEN)
def test_a_broken_run_is_shown_as_broken_among_the_others(how: str, runs: Path) -> None:
    bad = broken(runs, how)
    if how == "manifest is a link":
        assert main(["report", str(bad)]) == 1
    with viewing(runs) as viewer:
        home = viewer.get()
        assert home.status == 200
        assert "cannot be read:" in home.text
        assert "good" in home.text
        good = re.findall(r'href="(r\d+-c0\.html)">good<', home.text)
        assert viewer.get(good[0]).status == 200
        for page in re.findall(r'href="(r\d+-c\d+\.html)">bad<', home.text)[:2]:
            assert set(HEADERS) <= set(viewer.get(page).headers)


@pytest.mark.parametrize("how", ["a null", *mark_slow(*(how for how in BROKEN if how != "a null"))])
def test_an_export_shows_a_broken_run_as_broken_among_the_others(how: str, runs: Path, tmp_path: Path) -> None:
    broken(runs, how)
    assert main(["view", str(runs), "--html", str(tmp_path / "pages")]) == 0
    assert "cannot be read:" in (tmp_path / "pages" / "index.html").read_text()


def test_where_no_run_can_be_read_the_reason_is_told(runs: Path) -> None:
    BROKEN["a null"](runs / "good")
    with pytest.raises(StoreError, match="damaged"):
        Shelf([runs])
    done = scale("view", str(runs), "--no-browser")
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)


def test_a_record_that_cannot_be_read_is_an_error_page_with_the_security_headers(runs: Path, tmp_path: Path) -> None:
    in_database(runs / "good", "UPDATE attempts SET record = x'7b7bff'")
    with viewing(runs) as viewer:
        page = viewer.get("r0-c0-p0-s0.html")
        assert (page.status, set(HEADERS) <= set(page.headers)) == (500, True)
        assert "damaged" in page.text
        assert viewer.get().status == 200
        assert viewer.get("r0-c0.html", over=5).status == 500
    done = scale("view", str(runs), "--html", str(tmp_path / "pages"))
    assert done.returncode == 0, done.stderr
    assert "damaged" in (tmp_path / "pages" / "r0-c0-p0-s0.html").read_text()


def test_an_error_of_the_viewer_s_own_has_the_security_headers_too(
    runs: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(*_: object) -> str:
        raise OverflowError("a secret of the run")

    with viewing(runs) as viewer:
        monkeypatch.setattr("scale_reasoning.web.viewer.pages.Pages.make_run", fails)
        page = viewer.get("r0-c0.html")
        assert (page.status, set(HEADERS) <= set(page.headers)) == (500, True)
        assert "OverflowError" in page.text
        assert "secret" not in page.text
        assert viewer.get().status == 200


# What a manifest names


def strange_files(tmp_path: Path) -> dict[str, Path]:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("/dev/zero")
    with (tmp_path / "big").open("wb") as file:
        file.truncate(5 << 20)
    files = {name: tmp_path / name for name in ("pipe", "link", "big")}
    return {**files, "device": Path("/dev/zero"), "folder": tmp_path, "nothing": tmp_path / "none", "nul": Path("a\0b")}


@pytest.mark.parametrize("key", ["profiles", "prompts", "model"])
def test_a_device_or_a_pipe_that_a_manifest_names_is_not_read(key: str, runs: Path, tmp_path: Path) -> None:
    for name, file in strange_files(tmp_path).items():
        run = shutil.copytree(runs / "good", tmp_path / "strange" / name)
        if key == "model" and name == "nul":
            continue
        if key == "model":
            (tmp_path / f"model-{name}").mkdir()
            (tmp_path / f"model-{name}" / "config.json").symlink_to(file)
            told(run, lambda said, n=name: said["cells"][0]["model"].update(model=str(tmp_path / f"model-{n}")))
        else:
            place = "model" if key == "profiles" else "strategy"
            told(run, lambda said, f=file, p=place: said["cells"][0][p].update({key: str(f)}))
        with ends_in_time(time.monotonic), viewing(run) as viewer:
            for page in ("", "r0-c0.html", "r0-c0-p0-s0.html", "r0-c0-p0-s0-calls.html", "r0-c0-whatif.json"):
                answered = viewer.get(page)
                assert set(HEADERS) <= set(answered.headers)
                assert answered.status == 200, (name, page, answered.text[-300:])


EVIL = ("(a+)+$", "(a|a)*b", "(a|a)" * 30, "a?" * 30 + "a" * 30, "a*a*a*a*a*b", "(?:a{1,9}){1,9}b", r"(a)\1*b", "(a*)*")


@pytest.mark.parametrize("pattern", EVIL)
def test_a_pattern_that_may_never_end_is_refused(pattern: str, tmp_path: Path) -> None:
    file = tmp_path / "profiles.toml"
    file.write_text(f"[mine]\nmatch = [{json.dumps(pattern)}]\n[mine.system1]\n")
    with pytest.raises(ConfigError, match="may take too long"):
        profile_for("a" * 90 + "!", file=file)


def test_patterns_as_people_write_them_are_read(tmp_path: Path) -> None:
    for pattern in ("qwen3.*-thinking", "^gpt-5(?!-chat)", r"deepseek-(chat|v3\.[1-9]|v[4-9])", "^o[1-9]", "a*b*c*$"):
        file = tmp_path / f"{len(pattern)}.toml"
        file.write_text(f"[mine]\nmatch = [{json.dumps(pattern)}]\n[mine.system1]\n")
        with ends_in_time(time.monotonic):
            profile_for("a" * 9000, file=file)


@pytest.mark.parametrize(
    "strategy",
    [{"name": "vote", "samples": 10**9}, {"name": "scale", "candidates": 10**9},
     {"name": "vote", "samples": 10**6, "base": {"name": "vote", "samples": 10**6}}],
)  # fmt: skip
def test_calls_beyond_number_are_not_looked_up(strategy: dict[str, Any], runs: Path) -> None:
    told(runs / "good", lambda said: [cell.update(strategy=strategy) for cell in said["cells"]])
    with ends_in_time(time.monotonic), viewing(runs) as viewer:
        for page in ("", "r0-c0.html", "r0-c0-p0-s0.html"):
            assert viewer.get(page).status == 200
        assert "are looked up" in viewer.get("r0-c0-p0-s0-calls.html").text


# Marks that reorder what is read


def test_no_page_has_a_control_character_or_a_reordering_mark(tmp_path: Path) -> None:
    folder = hostile(tmp_path / "run\u202eoops\x1b[31m")
    spoilt = "\u202e\u2066\x1b[31m\x9b\x07\u200b"
    told(folder, lambda said: said["cells"][0]["model"].update(model=f"sim{spoilt}"))
    with viewing(folder) as viewer:
        for page in ("", "r0-c0.html", "r0-c0-p0-s0.html", "r0-c0-p0-s0-calls.html", "r0-c0-whatif.json", "none.html"):
            text = viewer.get(page).text
            assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2060-\u2069]", text), page
        searched = viewer.get("r0-c0.html", words=f"nowhere{spoilt}").text
    assert spoilt[0] not in searched
    assert "\u202e" in HOSTILE


def test_formulas_and_answers_are_without_them_too() -> None:
    for text in ("x\u202e + 1", "\u2066 42 \u2069", "1\x1b2", r"\text{a\u202eb}"):
        made = mathml(text) or ""
        assert not re.search("[\x1b\u202a-\u202e\u2066-\u2069]", made)
        assert not re.search("[\x1b\u202a-\u202e\u2066-\u2069]", answer(text))


def test_an_answer_of_a_hundred_megabytes_is_shown_by_its_beginning() -> None:
    assert len(answer("9" * 10**8)) < 10_000


def test_the_terminal_is_told_no_escape_sequence(runs: Path) -> None:
    told(runs / "good", lambda said: said["cells"][0].update(strategy={"name": "\x1b[31mred\u202e"}))
    for words in (("report", str(runs / "good")), ("view", str(runs)), ("export", str(runs / "good"))):
        done = scale(*words)
        assert "\x1b" not in done.stderr + done.stdout
        assert "\u202e" not in done.stderr + done.stdout
    file = runs / "good" / "manifest.json"
    file.write_text(file.read_text().replace('"d"', '"d\\u001b[31m\\u202e"'))
    in_database(runs / "good", "UPDATE problems SET dataset = 'd' || char(27) || '[31m' || char(8238)")
    told(runs / "good", lambda said: said["cells"][0].update(strategy={"name": "scale"}))
    for form in ("md", "latex", "html", "csv"):
        done = scale("report", str(runs / "good"), "--format", form)
        assert done.returncode in (0, 1), done.stderr
        assert "\x1b" not in done.stdout + done.stderr
        assert "\u202e" not in done.stdout + done.stderr


@pytest.mark.parametrize("pattern", ["a{99999999999}", "(" * 5000, "[", "(?P<x"])
def test_a_pattern_that_cannot_be_compiled_is_an_error_of_the_profiles_file(pattern: str, tmp_path: Path) -> None:
    (file := tmp_path / "profiles.toml").write_text(f"[odd]\nmatch = ['{pattern}']\n[odd.system1]\n[odd.system2]\n")
    with pytest.raises(ConfigError, match=r"profiles\.toml"):
        profile_for("q", file=file)


def test_what_is_not_http_leaves_no_line_on_the_terminal(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with viewing(sweep(tmp_path / "run", problems=1, samples=1)) as viewer:
        place = urllib.parse.urlsplit(viewer.url)
        for sent in (b"\x00\xff\x1b[31m" * 100 + b"\r\n\r\n", b"GET / HTTP/1.1\r\nX: " + b"a" * 100_000 + b"\r\n\r\n"):
            with socket.create_connection((place.hostname or "", place.port or 0), 5) as connection:
                connection.sendall(sent)
                assert b" 400 " in connection.recv(100)
        assert viewer.get().status == 200
    assert capfd.readouterr().err == ""
