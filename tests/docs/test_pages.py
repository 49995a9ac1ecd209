"""What the pages promise: their commands are commands, and what was made by a program is what it makes."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from docs.trace_svg import draw, list_lines

from scale_reasoning.cli import _parser
from scale_reasoning.cli.solve import shield_minus
from scale_reasoning.strategies import STRATEGIES
from scale_reasoning.types import Record
from scale_reasoning.web.proxy.names import Name, takes_effort

ROOT = Path(__file__).parents[2]
PAGES = (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md")))
PARSER = _parser()
FENCE = re.compile(r"^```sh\n(.*?)^```", re.DOTALL | re.MULTILINE)


def list_commands(page: Path) -> Iterator[list[str]]:
    """The words of every `scale ...` in the shell blocks of a page, without what a shell takes for itself."""
    for block in FENCE.findall(page.read_text(encoding="utf-8")):
        for line in block.replace("\\\n", " ").splitlines():
            lexer = shlex.shlex(line, posix=True, punctuation_chars="();<>|&")
            lexer.whitespace_split = True
            yield from _split(list(lexer))


def _split(words: list[str]) -> Iterator[list[str]]:
    """The commands of a line: what stands between the shell's operators, if it begins with `scale`."""
    command = list[str]()
    skipping = False
    for word in (*words, ";"):
        if word in {"<", ">", "2>"}:
            skipping = True
        elif skipping:
            skipping = False
        elif set(word) <= set(";|&"):
            if command[:1] == ["scale"]:
                yield command[1:]
            command = []
        else:
            command.append(word)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_of_a_page_can_be_parsed(page: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words in list_commands(page):
        further = [word for word in words if word != "…"]  # it stands for a value, or for further flags
        parses = any(_parses(each) for each in (words, further) if each)
        assert parses or not further, f"scale {shlex.join(words)}: {capsys.readouterr().err}"


def _parses(words: list[str]) -> bool:
    try:
        _, extra = PARSER.parse_known_args(shield_minus(words) if words[0] == "solve" else words)
    except SystemExit as ended:  # --help and --version end so too
        return ended.code == 0
    return not extra


def test_commands_are_found_whatever_the_shell_does_with_them(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        '```sh\nscale solve "a b" < in > out  # x ; scale no\nls | scale grade \\\n  runs/a ; scale list models\n```\n'
    )
    assert list(list_commands(page)) == [["solve", "a b"], ["grade", "runs/a"], ["list", "models"]]


def test_the_page_of_the_proxy_has_every_strategy_and_those_that_take_an_effort() -> None:
    page = (ROOT / "docs" / "serving.md").read_text(encoding="utf-8")
    names = next(line for line in page.splitlines() if "that strategy over the served model" in line)
    assert set(re.findall(r"MODEL@(\w+)", names)) == set(STRATEGIES)
    takers = {name for name in STRATEGIES if takes_effort(Name("MODEL", name))}
    for start in ("| `reasoning_effort` | On ", "a `reasoning_effort` on other strategies than "):
        told = page.partition(start)[2]
        assert set(re.findall(r"@(\w+)", re.split("[:,]", told)[0])) == takers


def test_the_notebook_is_stored_without_what_it_printed() -> None:
    notebook = json.loads((ROOT / "examples" / "first_hour.ipynb").read_text(encoding="utf-8"))
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert cells
    assert all((cell["outputs"], cell["execution_count"]) == ([], None) for cell in cells)


def test_the_picture_of_a_solve_is_what_its_script_makes_of_the_record() -> None:
    record = msgspec.json.decode((ROOT / "docs" / "images" / "trace.json").read_bytes(), type=Record)
    drawn = draw(list_lines(record))
    assert drawn == (ROOT / "docs" / "images" / "trace.svg").read_text(encoding="utf-8")
    assert "http" not in drawn.replace("http://www.w3.org/2000/svg", "")
