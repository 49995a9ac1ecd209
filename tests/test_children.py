"""Nothing outlives the command that started it, and Ctrl-C is one line whenever it comes."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.patience import ends_in_time, until
from tests.speed import mark_slow

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="processes are looked for in /proc")


def named(marker: str) -> list[int]:
    """The processes that have this in their command."""
    found: list[int] = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if marker.encode() in entry.read_bytes() and int(entry.parent.name) != os.getpid():
                found.append(int(entry.parent.name))
    return found


PARENT = """
import signal, sys
from scale_reasoning.children import running
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # nohup has it ignored in all that it starts
with running(sys.argv[1:]) as process:
    print("started", flush=True)
    process.wait()
"""
GRANDCHILDREN = """
import os, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
subprocess.Popen(["sleep", sys.argv[1]], start_new_session=True)
subprocess.Popen([sys.executable, "-c", "import os,time; os.setsid(); time.sleep(99)", sys.argv[1]])
time.sleep(99)
"""


@LINUX
@pytest.mark.parametrize("end", [signal.SIGKILL, *mark_slow(signal.SIGTERM, signal.SIGINT, signal.SIGHUP)])
def test_a_command_and_all_it_started_end_with_the_parent_however_that_ends(end: signal.Signals) -> None:
    marker = f"3600.{os.getpid()}{end.value:02}"
    words = [sys.executable, "-c", PARENT, sys.executable, "-c", GRANDCHILDREN, marker]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == b"started\n"
        until(lambda: len(named(marker)) >= 5)
        parent.send_signal(end)
        parent.wait(20)
        until(lambda: not named(marker))


@LINUX
def test_the_watcher_s_own_death_ends_the_command_too() -> None:
    marker = f"3601.{os.getpid()}"
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, "sleep", marker], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as parent:
        assert parent.stdout is not None
        parent.stdout.readline()
        until(lambda: len(named(marker)) == 3)
        (watch,) = (pid for pid in named(marker) if b"watch.py" in Path(f"/proc/{pid}/cmdline").read_bytes())
        os.kill(watch, signal.SIGKILL)
        assert parent.wait(20) == 0
        until(lambda: not named(marker))


def test_a_command_s_status_is_told() -> None:
    program = "import sys\nfrom scale_reasoning.children import running\n"
    program += "with running([sys.executable, '-c', 'import sys; sys.exit(7)']) as process: sys.exit(process.wait())"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 7


# The fetch of the model


@contextlib.contextmanager
def stalling_index() -> Iterator[str]:
    """A package index that accepts connections and says nothing."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        held: list[socket.socket] = []

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    held.append(listening.accept()[0])

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/simple"
        listening.shutdown(socket.SHUT_RDWR)
        thread.join(5)
        for each in held:
            each.close()


@LINUX
@pytest.mark.skipif(shutil.which("pip") is None and not Path(sys.prefix, "bin", "pip").exists(), reason="no pip here")
@pytest.mark.parametrize("end", mark_slow(signal.SIGINT, signal.SIGKILL, signal.SIGTERM))
@pytest.mark.parametrize("words", [["fetch"], ["solve", "How much is 1 and 1?"]])
def test_a_fetch_that_is_ended_leaves_no_process_and_the_next_start_no_folder(
    words: list[str], end: signal.Signals, tmp_path: Path
) -> None:
    cache = tmp_path / "scale-reasoning"
    env = {**os.environ, "XDG_CACHE_HOME": str(tmp_path), "PIP_RETRIES": "0", "PIP_CONFIG_FILE": os.devnull}
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    env["TMPDIR"] = str(temporary)
    with stalling_index() as index:
        env |= {"PIP_INDEX_URL": index, "PIP_TIMEOUT": "60"}
        command = [sys.executable, "-m", "scale_reasoning", *words]
        with subprocess.Popen(command, env=env, stderr=subprocess.PIPE, stdout=subprocess.PIPE) as process:
            until(lambda: any(b"pip" in Path(f"/proc/{p}/cmdline").read_bytes() for p in named(str(cache))), 30)
            assert list(cache.glob(".fetch-*"))
            time.sleep(0.5)
            with ends_in_time(time.monotonic):
                process.send_signal(end)
                code = process.wait(30)
            assert process.stderr is not None
            said = process.stderr.read().decode()
        until(lambda: not named(str(cache)), 10)
        assert "Traceback" not in said
        assert list(temporary.iterdir()) == []
        if end is signal.SIGINT:
            assert code == 130
            assert "interrupted" in said
            assert not list(cache.glob(".fetch-*"))
    env |= {"PIP_NO_INDEX": "1"}
    assert subprocess.run(command, env=env, capture_output=True, check=False).returncode == 2
    assert not list(cache.glob(".fetch-*"))


# Ctrl-C while the command loads


@pytest.mark.parametrize("delay", [0, 0.1, *mark_slow(0.02, 0.05, 0.2, 0.3, 0.5)])
def test_ctrl_c_is_one_line_from_the_first_moment_on(delay: float, tmp_path: Path) -> None:
    rows = "".join(f'{{"problem": "How much is {n}?", "answer": "1"}}\n' for n in range(20_000))
    (tmp_path / "d.jsonl").write_text(rows)
    program = "import sys; from scale_reasoning.__main__ import main; sys.exit(main())"
    words = ["eval", str(tmp_path / "d.jsonl"), "--dry-run", "--model", "q", "--base-url", "http://127.0.0.1:9/v1"]
    with subprocess.Popen(
        [sys.executable, "-X", "importtime", "-c", program, *words], stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        for line in process.stderr:  # until then Python itself is starting
            if re.search(r"\| +scale_reasoning.__main__$", line):
                process.stderr.readline()  # the first thing that `main` imports: it has begun
                break
        time.sleep(delay)
        process.send_signal(signal.SIGINT)
        said = [line for line in process.stderr if not line.startswith("import time:")]
        assert process.wait(60) == 130
    assert said == ["scale: interrupted\n"]
