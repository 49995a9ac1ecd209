"""The pages that ship: listed, printed, and named by messages."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from tests.commands import scale

from scale_reasoning.cli.docs import list_pages, read_title

ROOT = Path(__file__).parents[2]


def test_every_page_ships_with_the_package() -> None:
    table = tomllib.loads((ROOT / "pyproject.toml").read_text())
    included = table["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    pages = {f"docs/{file.name}" for file in (ROOT / "docs").glob("*.md")}
    assert included == {page: f"scale_reasoning/{page}" for page in pages}


def test_the_list_has_every_page_with_its_title() -> None:
    done = scale("docs")
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert [line.split()[0] for line in lines] == list(list_pages())
    assert all(read_title(file) for file in list_pages().values())


@pytest.mark.parametrize("name", ["engines", "engines.md", "docs/engines.md"])
def test_a_page_is_printed_as_it_is(name: str) -> None:
    assert scale("docs", name).stdout == (ROOT / "docs" / "engines.md").read_text()


@pytest.mark.parametrize("name", ["engine", "../README", "/etc/passwd"])
def test_a_page_that_is_none_is_refused(name: str) -> None:
    done = scale("docs", name)
    assert done.returncode == 2
    assert f"no page '{name}'" in done.stderr


def test_every_page_that_the_code_names_is_there() -> None:
    files = [*(ROOT / "src").rglob("*.py"), *(ROOT / "src").rglob("*.toml")]
    named = {name for file in files for name in re.findall(r"docs/([a-z-]+)\.md", file.read_text())}
    assert named <= {"log", *list_pages()}
