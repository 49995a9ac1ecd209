"""What importing costs, and what the package offers."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import scale_reasoning

ROOT = Path(__file__).parent.parent


def test_importing_loads_nothing_heavy() -> None:
    heavy = ("torch", "numpy", "sympy", "math_verify", "rich", "aiohttp", "xllamacpp", "multiprocessing")
    program = f"import sys, scale_reasoning, scale_reasoning.cli; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_public_name_is_there_and_they_are_few() -> None:
    assert all(hasattr(scale_reasoning, name) for name in scale_reasoning.__all__)
    assert len(scale_reasoning.__all__) == len(set(scale_reasoning.__all__)) <= 30


def test_the_version_is_the_distributions() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "scale_reasoning", "--version"], capture_output=True, text=True, check=True
    )
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert done.stdout == f"scale {version}\n"


@pytest.mark.parametrize("program", ["own_engine.py"])
def test_the_examples_that_need_no_model_run(program: str) -> None:
    done = subprocess.run([sys.executable, ROOT / "examples" / program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "answer: 42\n", "")


@pytest.mark.slow
@pytest.mark.llama
@pytest.mark.parametrize("program", ["ten_lines.py", "own_strategy.py"])
def test_the_examples_run_on_the_model_in_the_box(program: str) -> None:
    done = subprocess.run([sys.executable, ROOT / "examples" / program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "answer:" in done.stdout
