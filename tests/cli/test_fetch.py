"""`scale fetch NAME` and `scale list models`, and how a name of the catalogue becomes a model."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.commands import scale

from scale_reasoning.cli import _parser
from scale_reasoning.engines.catalogue import CATALOGUE, DEFAULT_MODEL, EMBEDDED_MODELS, SMOLLM2
from scale_reasoning.engines.connection import ModelSpec, find_family
from scale_reasoning.engines.table import choose_engine, name_llama


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    folder = tmp_path / "scale-reasoning"
    folder.mkdir()
    return folder


def test_every_model_is_listed_and_what_is_not_here_is_said(cache: Path) -> None:
    done = scale("list", "models", env={"XDG_CACHE_HOME": str(cache.parent)})
    assert done.returncode == 0
    head, *rows = (line.split() for line in done.stdout.splitlines())
    assert head[:3] == ["model", "here", "MB"]
    assert [row[:2] for row in rows] == [[name, "no"] for name in EMBEDDED_MODELS]
    assert [row[0] for row in rows if "default;" in row] == [DEFAULT_MODEL]


def test_a_file_with_other_bytes_is_not_the_model(cache: Path) -> None:
    (cache / SMOLLM2.file).write_bytes(b"GGUF")
    done = scale("list", "models", env={"XDG_CACHE_HOME": str(cache.parent)})
    assert "smollm2 no" in " ".join(done.stdout.split())


def test_a_name_that_is_not_in_the_catalogue_is_an_error_that_names_those_that_are() -> None:
    done = scale("fetch", "qwen9")
    assert (done.returncode, done.stdout) == (2, "")
    assert f"no model 'qwen9' can be fetched; there are {', '.join(EMBEDDED_MODELS)}\n" in done.stderr


def test_without_a_name_the_default_model_of_the_catalogue_is_meant() -> None:
    assert DEFAULT_MODEL in CATALOGUE
    assert _parser().parse_args(["fetch"]).model == DEFAULT_MODEL
    assert (choose_engine(ModelSpec()), name_llama(ModelSpec())) == ("llama", DEFAULT_MODEL)
    for page in ("README.md", "docs/quickstart.md", "docs/engines.md", "CHANGELOG.md"):
        assert DEFAULT_MODEL in (Path(__file__).parents[2] / page).read_text(), f"{page} names another default"
    assert find_family(ModelSpec()) == find_family(ModelSpec(model=DEFAULT_MODEL))


@pytest.mark.parametrize("name", CATALOGUE)
def test_a_name_of_the_catalogue_is_a_model_here_and_keeps_its_name(name: str) -> None:
    spec = ModelSpec(model=name)
    assert choose_engine(spec) == "llama"
    assert name_llama(spec) == name


def test_a_server_may_have_a_model_of_the_same_name() -> None:
    assert choose_engine(ModelSpec(model="qwen3-4b", base_url="http://127.0.0.1:8000/v1")) == "openai"


def test_a_file_is_named_without_its_ending() -> None:
    assert name_llama(ModelSpec(model="/models/qwen2.5-coder-1.5b.gguf")) == "qwen2.5-coder-1.5b"
