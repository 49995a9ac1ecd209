"""The published traces, from a folder and from a Hub on loopback: rows of our own in the columns of the dataset."""

from __future__ import annotations

import http.server
import json
import os
import subprocess
import sys
import threading
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from tests.commands import SCALE, scale

from scale_reasoning.datasets import dualthinking
from scale_reasoning.errors import ConfigError

COMMIT = "0123456789abcdef0123456789abcdef01234567"
REPO = f"/datasets/{dualthinking.PLACE.repo}"


def row(number: int = 1, *, sample: int = 0, answer: str = "6", found: str = "6", **more: Any) -> dict[str, Any]:
    """A row: the first step was solved without a thought, the second with one."""
    return {
        "id": number,
        "problem": f"Ann has {number} pens and buys 2, then {number} more. How many is that?",
        "condition": "Ann has pens.",
        "question": "How many?",
        "answer": answer,
        "sampling_id": sample,
        "final_answer": found,
        "is_correct": answer == found,
        "cot_name": "dual_thinking",
        "model_name": "qwq",
        "steps": {"step1": "Count the first pens.", "step2": "How many?"},
        "steps_scores": {"step1": 0.1, "step2": 0.9},
        "steps_detail": {"step1": "", "step2": "Let me add them."},
        "steps_content": {"step1": "There are 4. \\boxed{4}", "step2": f"There are \\boxed{{{found}}}."},
        "steps_summary": {"step1": "4", "step2": found},
        **more,
    }


def put(folder: Path, *rows: dict[str, Any], name: str = "dualthinking.jsonl") -> Path:
    file = folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(json.dumps(each) + "\n" for each in rows))
    return folder


def lines(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()]


def test_the_traces_are_written_through_the_funnel_without_a_call(tmp_path: Path) -> None:
    data = put(tmp_path / "data", row(1), row(1, sample=1), row(2, found="5"), row(3))
    done = scale("synth", "--dataset", "dualthinking", "--data-dir", str(data), "--filters", "answer", "--out",
                 str(tmp_path / "out"))  # fmt: skip
    assert done.returncode == 0, done.stderr
    first, second = lines(tmp_path / "out" / "train.jsonl")
    assert (first["problem"], second["problem"]) == (row(1)["problem"], row(3)["problem"])
    assert first["completion"][0]["content"] == (
        "<think>\n### Step 1: Count the first pens.\n\nThere are 4. \\boxed{4}\n\n"
        "### Step 2: How many?\n\nLet me add them.\n</think>\n\nThere are \\boxed{6}."
    )
    assert [(step["mode"], step["difficulty"]) for step in first["steps"]] == [("system1", 0.1), ("system2", 0.9)]
    assert (first["model"], first["tokens"], first["found"]) == ("qwq", None, "6")
    assert [each["stage"] for each in lines(tmp_path / "out" / "dropped.jsonl")] == ["answer", "one a problem"]
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert manifest["origins"][0]["seed"] is None
    assert manifest["origins"][0]["datasets"]["dualthinking"]["rows"] == 3
    card = (tmp_path / "out" / "README.md").read_text()
    assert "license: mit" in card
    assert "- scale with qwq, unknown seed\n" in card


def test_answers_are_graded_here_and_not_as_the_row_says(tmp_path: Path) -> None:
    data = put(tmp_path / "data", row(1, found="5", is_correct=True), row(2, answer="6.0", is_correct=False))
    words = ("synth", "--dataset", "dualthinking", "--data-dir", str(data), "--out", str(tmp_path / "out"))
    assert scale(*words, "--filters", "answer").returncode == 0
    assert [each["answer"] for each in lines(tmp_path / "out" / "train.jsonl")] == ["6.0"]


def test_a_target_and_a_limit_hold_and_a_dry_run_writes_nothing(tmp_path: Path) -> None:
    data = put(tmp_path / "data", *map(row, range(1, 6)))
    words = ("synth", "--dataset", "dualthinking", "--data-dir", str(data), "--filters", "answer")
    dry = scale(*words, "--target", "2", "--out", str(tmp_path / "a"), "--dry-run")
    assert "2 traces would be kept" in dry.stdout
    assert not (tmp_path / "a").exists()
    assert scale(*words, "--limit", "3", "--out", str(tmp_path / "b")).returncode == 0
    assert len(lines(tmp_path / "b" / "train.jsonl")) == 3


def test_files_of_json_are_read_by_name_but_not_those_for_evaluation(tmp_path: Path) -> None:
    folder = tmp_path / "dualthinking"
    put(folder, row(1), name="train/limo/a.jsonl")
    (folder / "train" / "limo_v2").mkdir()
    (folder / "train" / "limo_v2" / "b.json").write_text(json.dumps([row(2), row(3)]))
    (folder / "train" / "limo_v2" / "c.json").write_text(json.dumps(row(4)))
    put(folder, {"id": 1}, name="eval/aime.jsonl")
    rows = list(dualthinking.read(data_dir=tmp_path).rows)
    assert [each.fields["id"] for each in rows] == [1, 2, 3, 4]
    part = list(dualthinking.read(data_dir=tmp_path, part="limo_v2").rows)
    assert [each.fields["id"] for each in part] == [2, 3, 4]
    with pytest.raises(ConfigError, match=r"no file of JSON with 'x' in its path; .*--split; its files: eval/aime"):
        list(dualthinking.read(data_dir=tmp_path, part="x").rows)


def test_a_table_that_fills_missing_steps_with_null_has_the_steps_that_there_are(tmp_path: Path) -> None:
    filled = {
        key: {**value, "step3": None}
        for key, value in row().items()
        if key in ("steps", "steps_scores", "steps_detail", "steps_content")
    }
    data = put(tmp_path / "data", row(1, **filled))
    words = ("synth", "--dataset", "dualthinking", "--data-dir", str(data), "--out", str(tmp_path / "out"))
    assert scale(*words).returncode == 0
    assert len(lines(tmp_path / "out" / "train.jsonl")[0]["steps"]) == 2


def test_a_row_with_an_unsolved_step_is_dropped_and_no_trace(tmp_path: Path) -> None:
    data = put(tmp_path / "data", row(1, steps_content={"step1": "4", "step2": None}), row(2))
    words = ("synth", "--dataset", "dualthinking", "--data-dir", str(data), "--out", str(tmp_path / "out"))
    assert scale(*words).returncode == 0
    (dropped,) = lines(tmp_path / "out" / "dropped.jsonl")
    assert (dropped["stage"], dropped["reason"]) == ("answered", "it has no solution")


@pytest.mark.parametrize(
    ("bad", "told"),
    [
        ({"steps": "1. Add."}, "line 1: steps must be an object, not str"),
        ({"steps": {"first": "Add."}}, "steps has the key 'first'; it must be step1, step2, ..."),
        ({"problem": ""}, "'problem' is empty"),
    ],
)
def test_a_row_of_another_shape_is_refused_with_its_place(tmp_path: Path, bad: dict[str, Any], told: str) -> None:
    data = put(tmp_path, row(**bad))
    done = scale("synth", "--dataset", "dualthinking", "--data-dir", str(data), "--out", str(tmp_path / "out"))
    assert done.returncode == 2
    assert told in done.stderr


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    put(tmp_path, {"problem": "?", "answer": "1"})
    with pytest.raises(ConfigError, match=r"line 1: no steps among its fields \('problem', 'answer'\)"):
        list(dualthinking.read(data_dir=tmp_path).rows)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--dataset", "dualthinking", "--model", "q"], "--model: --dataset dualthinking decides this"),
        (["--dataset", "dualthinking", "--samples", "2"], "--samples: --dataset dualthinking decides this"),
        (
            ["--dataset", "dualthinking", "--base-url", "http://x/v1"],
            "--base-url: --dataset dualthinking makes no calls",
        ),
        (["--dataset", "dualthinking", "limo"], "name it alone"),
        (["--dataset", "limo", "--revision", "abc"], "--dataset OWNER/NAME@REVISION"),
    ],
)
def test_flags_that_have_no_meaning_for_published_traces_are_refused(words: list[str], told: str) -> None:
    refused = scale("synth", *words, "--out", "nowhere")
    assert refused.returncode == 2
    assert told in refused.stderr


class Hub(http.server.ThreadingHTTPServer):
    """A Hub on loopback with one dataset of two files. `asked` are the paths that were asked for."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.url, self.asked = f"http://127.0.0.1:{self.server_port}", list[str]()
        self.files = {
            "train/limo.jsonl": json.dumps(row(1)).encode() + b"\n",
            "eval/aime24.jsonl": b"{}\n",
            "README.md": b"# Traces\n",
        }


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Hub

    def do_HEAD(self) -> None:
        self.answer(body=False)

    def do_GET(self) -> None:
        self.answer(body=True)

    def answer(self, *, body: bool) -> None:
        path = self.path.partition("?")[0]
        self.server.asked.append(path)
        files = self.server.files
        name = path.removeprefix(f"{REPO}/resolve/{COMMIT}/")
        if path.startswith(f"/api{REPO}/tree/"):
            listed = [{"type": "file", "oid": "0" * 40, "path": each, "size": len(files[each])} for each in files]
            self.reply(json.dumps(listed).encode(), {"content-type": "application/json"}, body=body)
        elif path.startswith(f"/api{REPO}"):
            info = {"id": dualthinking.PLACE.repo, "sha": COMMIT, "siblings": [{"rfilename": each} for each in files]}
            self.reply(json.dumps(info).encode(), {"content-type": "application/json"}, body=body)
        elif name in files:
            self.reply(files[name], {"etag": f'"{name}"', "x-repo-commit": COMMIT}, body=body)
        else:
            self.send_error(404)

    def reply(self, content: bytes, headers: dict[str, str], *, body: bool) -> None:
        self.send_response(200)
        for key, value in {**headers, "content-length": str(len(content))}.items():
            self.send_header(key, value)
        self.end_headers()
        if body:
            self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def hub() -> Generator[Hub]:
    hub = Hub()
    thread = threading.Thread(target=hub.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield hub
    hub.shutdown()
    hub.server_close()
    thread.join()


def in_a_process(hub: Hub, home: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own, because the Hub's library reads its address when it is imported."""
    env = {
        **os.environ,
        "HF_ENDPOINT": hub.url,
        "HF_HOME": str(home),
        "HF_HUB_DISABLE_XET": "1",
        "NO_PROXY": "127.0.0.1",
    }
    env.pop("HF_HUB_OFFLINE", None)
    assert SCALE[0] == sys.executable
    return subprocess.run([*SCALE, *words], capture_output=True, text=True, env=env, check=False)


def test_on_the_hub_the_commit_that_was_read_is_recorded_and_evaluation_files_are_left(
    hub: Hub, tmp_path: Path
) -> None:
    pytest.importorskip("huggingface_hub")
    out = tmp_path / "out"
    done = in_a_process(hub, tmp_path / "hf", "synth", "--dataset", "dualthinking", "--out", str(out))
    assert done.returncode == 0, done.stderr
    manifest = json.loads((out / "manifest.json").read_text())
    source = manifest["origins"][0]["datasets"]["dualthinking"]
    assert (source["revision"], source["origin"]) == (COMMIT, f"hub:{dualthinking.PLACE.repo}")
    assert len(lines(out / "train.jsonl")) == 1
    assert not [path for path in hub.asked if "/resolve/" in path and "eval" in path]


def test_a_commit_that_is_named_is_the_one_that_is_read(hub: Hub, tmp_path: Path) -> None:
    pytest.importorskip("huggingface_hub")
    words = ("synth", "--dataset", "dualthinking", "--out", str(tmp_path / "out"), "--revision")
    assert in_a_process(hub, tmp_path / "hf", *words, COMMIT).returncode == 0
    refused = in_a_process(hub, tmp_path / "hf", *words, "f" * 40, "--overwrite")
    assert refused.returncode == 2
    assert f"{dualthinking.PLACE.repo}@{'f' * 40} (train) cannot be read from the Hub" in refused.stderr
