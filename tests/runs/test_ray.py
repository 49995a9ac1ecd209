"""Runs on a real Ray of this machine: equal to those without, whoever is killed on the way."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from tests.cli.test_evaluate import problems
from tests.commands import SCALE, scale
from tests.patience import until
from tests.runs.simulated import content
from tests.servers import ModelServer, reply_to, serving, stream, thinks

from scale_reasoning.runs.folder import read_manifest
from scale_reasoning.runs.store import reading

pytestmark = pytest.mark.ray
pytest.importorskip("ray")

KEY = "sk-secret-0123456789"
HOW = ("--samples", "2", "--strategy", "scale", "--candidates", "2", "--tau", "0.5", "--model", "Qwen/Qwen3-32B")
RAY = ("--ray", "local", "--ray-workers", "2")


class Slow:
    """Answers after a while, and keeps when each call began and, once it was answered, ended."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.calls: dict[str, list[list[float]]] = {}

    async def __call__(self, request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        if "messages" not in body:  # it asks which models there are
            return web.json_response({}, status=404)
        times = [time.monotonic()]
        self.calls.setdefault(json.dumps(body, sort_keys=True), []).append(times)
        await asyncio.sleep(self.seconds)
        response = await stream(request, reply_to(body), thinking=thinks(body))
        times.append(time.monotonic())
        return response

    def made(self) -> int:
        return sum(map(len, self.calls.values()))

    def twice(self, killed: list[float], *, after: float = 0.0) -> int:
        """Calls made again: each in flight, or its reply on the way, when something was killed, or begun `after` it."""
        again = [calls for calls in self.calls.values() if len(calls) > 1]
        for calls in again:
            for began, *ended in calls[:-1]:
                assert any(began <= then + after and (not ended or then - 2.0 < ended[0]) for then in killed)
        return sum(len(calls) - 1 for calls in again)


@pytest.fixture
def ray_files(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where Ray keeps its logs and sockets: somewhere short."""
    with tempfile.TemporaryDirectory(prefix="ray", ignore_cleanup_errors=True) as place:
        monkeypatch.setenv("RAY_TMPDIR", place)
        yield Path(place)


def start(*words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*SCALE, "eval", *words], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "SOME_KEY": KEY},
    )  # fmt: skip


def finished(process: subprocess.Popen[str], code: int = 0) -> str:
    _, told = process.communicate(timeout=180)
    assert "Traceback" not in told
    assert process.returncode == code, told
    return told


def under(pid: int) -> dict[int, str]:
    """The processes that this one started, and theirs: id and command line."""
    parents: dict[int, int] = {}
    names: dict[int, str] = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            names[int(entry.name)] = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
        except (OSError, ValueError):  # it ended meanwhile
            continue
    found = {pid}
    while True:
        more = {child for child, parent in parents.items() if parent in found} - found
        if not more:
            return {each: names[each] for each in found - {pid}}
        found |= more


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def pending(folder: Path) -> int:
    with reading(folder) as store:
        return store.planned - len(store.done())


def plain(folder: Path, server: ModelServer, file: Path) -> Path:
    """The same run without Ray."""
    done = scale("eval", str(file), *HOW, "--out", str(folder), "--base-url", server.base_url)
    assert done.returncode == 0, done.stderr
    return folder


def test_a_run_on_ray_equals_one_without_and_tells_nobody_the_key(tmp_path: Path, ray_files: Path) -> None:
    file = problems(tmp_path)
    with serving() as server:
        at = ("--base-url", server.base_url, "--api-key-env", "SOME_KEY")
        told = finished(start(str(file), *HOW, *at, *RAY, "--out", str(tmp_path / "ray")))
        assert "8/8 attempts, 0 failed, 0 to try again, acc 100.0%" in told
        calls = len(server.bodies)
        assert {headers["Authorization"] for headers in server.headers} == {f"Bearer {KEY}"}
        whole = plain(tmp_path / "plain", server, file)
        assert calls == len(server.bodies) - calls
    assert content(tmp_path / "ray") == content(whole)
    assert read_manifest(tmp_path / "ray").cells[0].strategy == read_manifest(whole).cells[0].strategy
    logs = [path for path in ray_files.rglob("*") if path.is_file()]
    assert logs
    kept = [*logs, *(tmp_path / "ray").iterdir()]
    assert not [path for path in kept if KEY.encode() in path.read_bytes()]
    assert KEY not in told


def test_a_killed_worker_costs_its_calls_in_flight_alone(tmp_path: Path, ray_files: Path) -> None:
    file, slow = problems(tmp_path, 20), Slow(0.2)
    with serving(slow) as server:
        process = start(
            str(file), *HOW, *RAY, "--base-url", server.base_url, "--in-flight", "12", "--out", str(tmp_path / "ray")
        )
        until(lambda: slow.made() > 60, 120)
        workers = [pid for pid, name in under(process.pid).items() if name.startswith("ray::Worker")]
        assert len(workers) == 2
        os.kill(workers[0], signal.SIGKILL)
        killed = time.monotonic()
        told = finished(process)
        assert "40/40 attempts, 0 failed, 0 to try again" in told
        assert 0 < slow.twice([killed]) <= 12
        whole = plain(tmp_path / "plain", server, file)
    assert pending(tmp_path / "ray") == 0
    assert content(tmp_path / "ray") == content(whole)


def test_a_killed_driver_is_gone_on_with_on_ray_and_without(tmp_path: Path, ray_files: Path) -> None:
    file, out, slow, killed = problems(tmp_path, 12), tmp_path / "ray", Slow(0.2), list[float]()
    with serving(slow) as server:
        words = (str(file), *HOW, "--base-url", server.base_url, "--out", str(out))
        for sitting in (words, ("--resume", str(out))):
            made = slow.made()
            process = start(*sitting, *RAY, "--in-flight", "12")
            until(lambda made=made: slow.made() > made + 40, 120)
            others = under(process.pid)
            process.kill()
            killed.append(time.monotonic())
            process.communicate()
            workers = [pid for pid, name in others.items() if name.startswith("ray::Worker")]
            until(lambda workers=workers: not any(map(alive, workers)), 120)
            for pid in filter(alive, others):  # Ray's own agents take a minute to see it
                os.kill(pid, signal.SIGKILL)
        assert pending(out) > 0
        done = scale("eval", "--resume", str(out), "--in-flight", "12")
        assert done.returncode == 0, done.stderr
        assert (
            slow.twice(killed, after=5.0) > 0
        )  # a worker lives on for a moment, and asks what was waiting for a place
        whole = plain(tmp_path / "plain", server, file)
    assert pending(out) == 0
    assert content(out) == content(whole)


def test_a_server_that_refuses_ends_the_run_as_it_does_without_ray(tmp_path: Path, ray_files: Path) -> None:
    async def refuse(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        return web.json_response({"error": {"message": "no such model"}}, status=404)

    with serving(refuse) as server:
        told = finished(start(str(problems(tmp_path)), *HOW, *RAY, "--base-url", server.base_url), 2)
    assert "the server refuses: " in told
    assert "no such model" in told


@pytest.mark.parametrize("words", [("--model", "smollm2"), ("--model", "mine.gguf")])
def test_a_model_that_every_worker_would_load_is_refused_at_once(tmp_path: Path, words: tuple[str, str]) -> None:
    done = scale("eval", str(problems(tmp_path)), *words, "--out", str(tmp_path / "run"), *RAY)
    assert done.returncode == 2
    assert f"--ray: every worker would load {words[1]}" in done.stderr


@pytest.mark.usefixtures("ray_files")
def test_the_cap_of_a_run_holds_for_its_workers(tmp_path: Path) -> None:
    slow = Slow(0.05)
    with serving(slow) as server:
        words = (str(problems(tmp_path, 6)), *HOW, *RAY, "--base-url", server.base_url, "--in-flight", "4")
        told = finished(start(*words, "--out", str(tmp_path / "ray"), "--max-tokens-total", "300"), code=1)
        made = slow.made()
        assert 30 <= made < 34
        assert f"paid for {10 * made} new tokens, and its cap is 300" in told
