"""Prompts files: what is filled in, and what is refused."""

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scale_reasoning.errors import ConfigError
from scale_reasoning.prompts import HOLE, Prompts, choose_prompts, list_prompt_sets, load, load_own
from scale_reasoning.strategies import cot, scale


def written(folder: Path, text: str, name: str = "mine.md") -> Path:
    file = folder / name
    file.write_text(text, encoding="utf-8")
    return file


def prompts(text: str) -> Prompts:
    return Prompts("own.md", {"ask": text})


def test_a_file_is_read_by_section_and_what_comes_before_the_first_is_commentary(tmp_path: Path) -> None:
    read = load(
        written(tmp_path, "Why it is so.\n# Title\n\n## ask\n\nWhat is {{x}}?\n\n### Hints\nNone.\n## end  \nBye.\n")
    )
    assert read.sections == {"ask": "What is {{x}}?\n\n### Hints\nNone.", "end": "Bye."}


def test_a_heading_of_several_words_belongs_to_the_prompt(tmp_path: Path) -> None:
    read = load(written(tmp_path, "## ask\n## Problem statement\n{{x}}\n"))
    assert read.sections == {"ask": "## Problem statement\n{{x}}"}


def test_line_ends_of_another_system_change_nothing(tmp_path: Path) -> None:
    text = "## ask\nWhat is {{x}}?\n## end\nBye.\n"
    (tmp_path / "crlf.md").write_bytes(text.replace("\n", "\r\n").encode())
    assert load(tmp_path / "crlf.md").sections == load(written(tmp_path, text)).sections


def test_latex_braces_and_dollars_are_no_holes() -> None:
    template = r"Find $\frac{1}{x_{2}}$, ${x}$, {x}, {{ x }}, \boxed{}, {{{x}}} and \boxed{{{x}}}."
    assert prompts(template).fill("ask", x=r"\frac{a}{b}") == (
        r"Find $\frac{1}{x_{2}}$, ${x}$, {x}, {{ x }}, \boxed{}, {\frac{a}{b}} and \boxed{\frac{a}{b}}."
    )


def test_a_hole_inside_a_value_is_not_filled_again() -> None:
    assert prompts("{{x}} {{y}}").fill("ask", x="{{y}}", y="{{x}} {{z}} \\1 \\g<0>") == "{{y}} {{x}} {{z}} \\1 \\g<0>"


@given(st.text(), st.text())
@settings(deadline=None)
def test_values_are_inserted_as_they_are(x: str, y: str) -> None:
    assert prompts("a {{x}} b {{y}} c {{x}}").fill("ask", x=x, y=y) == f"a {x} b {y} c {x}"


def test_a_hole_may_have_any_name() -> None:
    assert prompts("{{self}}, {{section}}").fill("ask", self="a", section="b") == "a, b"


@pytest.mark.parametrize("values", [{}, {"x": "1", "y": "2"}, {"y": "2"}])
def test_a_missing_or_unknown_hole_is_refused_by_name(values: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match=r"own\.md, '## ask': its holes are \['x'\], and must be"):
        prompts("{{x}}").fill("ask", **values)


def test_an_unknown_section_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(ConfigError, match=r"own\.md: no section '## tell' \(found: ask\)"):
        prompts("").fill("tell")


@pytest.mark.parametrize("text", ["", "Only prose.", "# One hash\n### Three\n", "## ask\na\n## tell\nb\n## ask\nc\n"])
def test_a_file_without_sections_or_with_one_twice_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError, match=r"mine\.md: needs '## section' headings, each name once"):
        load(written(tmp_path, text))


def test_a_file_that_cannot_be_read_is_a_config_error_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "binary.md").write_bytes(b"## ask\n\xff\xfe")
    for file in (tmp_path / "none.md", tmp_path, tmp_path / "binary.md"):
        with pytest.raises(ConfigError, match=f"prompts file {file}"):
            load(file)


def test_a_users_file_overrides_the_sections_it_has(tmp_path: Path) -> None:
    own = Prompts("own.md", {"ask": "Ask {{x}}", "end": "Bye."})
    mixed = choose_prompts(str(written(tmp_path, "## end\nFarewell.\n")), own)
    assert mixed.fill("ask", x="it") == "Ask it"
    assert mixed.fill("end") == "Farewell."
    assert choose_prompts("", own) is own


def test_a_users_file_with_a_section_nobody_asks_for_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"unknown sections \['edn'\]; known: ask, end"):
        choose_prompts(str(written(tmp_path, "## edn\nFarewell.\n")), Prompts("own.md", {"ask": "", "end": ""}))


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ("Ask.", r"mine\.md: '## ask' lacks \{\{x\}\}, \{\{y\}\}"),
        ("Ask {{x}}.", r"'## ask' lacks \{\{y\}\}$"),
        ("Ask {{ x }} {{y}}.", r"'## ask' lacks \{\{x\}\}$"),
        ("Ask {{x}} {{y}} {{z}}.", r"'## ask' has \{\{z\}\}, which nothing fills$"),
        ("Ask {{X}} {{y}}.", r"'## ask' lacks \{\{x\}\}; '## ask' has \{\{X\}\}, which nothing fills$"),
        ("{{x}} {{y}}\n## end\n{{x}}", r"mine\.md: '## end' has \{\{x\}\}, which nothing fills$"),
    ],
)
def test_a_users_file_whose_holes_are_not_those_that_are_filled_is_refused(
    tmp_path: Path, section: str, message: str
) -> None:
    own = Prompts("own.md", {"ask": "Ask {{x}} {{y}}", "end": "Bye."})
    with pytest.raises(ConfigError, match=message):
        choose_prompts(str(written(tmp_path, f"## ask\n{section}\n")), own)


SHIPPED = sorted(Path(scale.__file__).parents[1].glob("s*/*.md"))


@pytest.mark.parametrize("file", SHIPPED, ids=lambda file: file.name)
def test_a_hole_that_any_of_our_prompts_has_may_not_be_left_out(tmp_path: Path, file: Path) -> None:
    own = load(file)
    assert choose_prompts(str(file), own).sections == own.sections
    for number, (section, text) in enumerate(own.sections.items()):
        for hole in HOLE.findall(text):
            lacking = written(tmp_path, f"## {section}\n{text.replace(hole, 'other')}\n", f"{number}-{hole}.md")
            with pytest.raises(ConfigError, match=rf"'## {section}' lacks \{{\{{{hole}\}}\}}"):
                choose_prompts(str(lacking), own)


def test_a_device_a_pipe_or_a_large_file_is_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.md")
    for file in (tmp_path / "pipe.md", Path("/dev/zero")):
        with pytest.raises(ConfigError, match=f"prompts file {file}: .*not a regular file"):
            load(file)
    with pytest.raises(ConfigError, match="over 1,048,576 bytes"):
        load(written(tmp_path, "## ask\n" + "a" * 2**20, "large.md"))


def test_the_fingerprint_is_of_all_that_is_asked_and_of_nothing_else(tmp_path: Path) -> None:
    one = load(written(tmp_path, "Comment.\n## a\nA\n## b\nB\n", "1.md"))
    same = load(written(tmp_path, "Another comment.\n\n## b\nB\n\n## a\nA\n", "2.md"))
    assert one.fingerprint == same.fingerprint
    mine = str(written(tmp_path, "## a\nmine\n", "3.md"))
    others = [
        Prompts("own.md", {"a": "A", "b": "C"}),
        choose_prompts(mine, one),
        choose_prompts(mine, Prompts("own.md", {"a": "", "b": "C"})),
    ]
    assert len({prompts.fingerprint for prompts in (one, *others)}) == 4


def test_the_prompts_of_the_strategies_are_found_beside_them() -> None:
    assert "{{problem}}" in load_own(cot.__file__).sections["solve"]
    assert {"system", "problem", "decompose", "select", "assess", "solve"} <= load_own(scale.__file__).sections.keys()


def test_every_prompt_set_has_the_sections_and_holes_of_the_strategies_own() -> None:
    assert list_prompt_sets()
    for name in list_prompt_sets():
        files = sorted(Path(scale.__file__).parent.glob(f"{name}/*.md"))
        assert files, name
        for file in files:
            own, theirs = load(file.parent.parent / file.name).sections, load(file).sections
            for section, text in theirs.items():
                assert set(HOLE.findall(text)) == set(HOLE.findall(own[section])), (name, section)
