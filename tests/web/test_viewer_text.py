"""Model text as HTML: what is typeset, what is shown as typed, and that nothing in it can act."""

from __future__ import annotations

import unicodedata
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.patience import ends_in_time
from tests.speed import limit_examples
from tests.web.viewed import HOSTILE

from scale_reasoning.web.viewer.mathml import ATTRIBUTES, ELEMENTS, LONGEST, mathml
from scale_reasoning.web.viewer.text import TYPESET, preview, typeset, typeset_line

HARMLESS = {"p", "br", "strong", "em", "code", "pre", "ul", "ol", "li", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "div",
            "blockquote", "table", "thead", "tbody", "tr", "th", "td", "math", *ELEMENTS}  # fmt: skip
TEXT_ATTRIBUTES = {"class", "start", "alttext"}


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


def tags(markup: str) -> list[tuple[str, dict[str, str | None]]]:
    parser = Tags()
    parser.feed(markup)
    parser.close()
    return parser.tags


def assert_harmless(markup: str) -> None:
    for tag, attributes in tags(markup):
        assert tag in HARMLESS, tag
        assert set(attributes) <= ATTRIBUTES | TEXT_ATTRIBUTES | {"display"}, attributes


@pytest.mark.parametrize(
    "typed", [r"$x^2$", r"\(x^2\)", r"\[x^2\]", "$$x^2$$", r"\begin{align}x^2\end{align}", r"\boxed{x^2}"]
)
def test_every_delimiter_of_formulas_is_typeset(typed: str) -> None:
    assert "<msup><mi>x</mi><mn>2</mn></msup>" in typeset(f"So {typed} it is")


def test_a_displayed_formula_interrupts_a_paragraph_and_is_no_list() -> None:
    made = typeset("Thus:\n\\[\na\n+ b\n= c\n\\]\nand on")
    assert '<math display="block"' in made
    assert "<ul>" not in made
    assert made.count("<p>") == 2


@pytest.mark.parametrize(
    "typed", [r"\frac{1", r"x^", r"\left(", r"\nosuchcommand{x}", r"\newcommand{\x}{\x\x}\x", "{" * 900]
)
def test_what_does_not_parse_is_shown_as_typed(typed: str) -> None:
    assert mathml(typed) is None
    made = typeset(f"So ${typed}$ it is")
    assert "<math" not in made
    assert f'<code class="typed-math">${typed}$</code>' in made


def test_prices_are_no_formulas() -> None:
    assert "<math" not in typeset("It costs $5 and then $6, or $7.")


def test_markup_in_a_formula_is_text_and_links_and_styles_in_it_are_gone() -> None:
    made = mathml(r"\text{<script>alert(1)</script>}")
    assert made is not None
    assert "&lt;script&gt;" in made
    for latex in (r"\href{javascript:alert(1)}{x}", r"\href{elsewhere}{x}", r"\style{color:red}{x}", r"\style{red}{x}"):
        assert [tag for tag, found in tags(mathml(latex) or "") if {"href", "style"} & set(found)] == []


def test_links_images_and_raw_html_are_text() -> None:
    for made in (typeset(HOSTILE), typeset_line(HOSTILE)):
        assert_harmless(made)
        assert "[click](javascript:window.hacked=1)" in made
        assert "\u202e" not in made
        assert "\x1b" not in made


REFERENCES = ("&#x202e;", "&#8238;", "&rlm;", "&#x2066;", "&shy;", "&ZeroWidthSpace;", "&#27;", "&#155;", "&#xe000;")


@pytest.mark.parametrize("reference", REFERENCES)
def test_a_character_reference_is_no_way_around_the_characters_that_are_taken_out(reference: str) -> None:
    spelled = f"a{reference}b"
    texts = [spelled, f"```{reference}\nx\n```", f"| {spelled} |\n|---|", f"# {spelled}", rf"$\text{{{spelled}}}$"]
    for text in [*texts, rf"$\mbox{{{spelled}}}$"]:
        for made in (typeset(text), typeset_line(text)):
            assert [c for c in made if c != "\n" and unicodedata.category(c).startswith("C")] == [], text
    assert mathml(r"\unicode{x202e}") != mathml(r"\unicode{x41}")
    assert "\u202e" not in (mathml(r"\unicode{x202e}") or "")


def test_no_formula_grows_without_bound() -> None:
    ends = "".join(rf"\begin{{{name}}}\end{{{name}}}" for name in "aa")
    for latex in (
        r"\sideset{}{}" * 14 + "x",
        r"\sideset{_a}{^b}" * 14 + r"\sum",
        rf"\newenvironment{{a}}{{xx}}{{}}\newenvironment{{b}}{{{ends}}}{{}}\begin{{b}}\end{{b}}",
        r"\renewenvironment{a}[1]{#1#1}{}" + r"\begin{a}{" * 12 + "x" + r"}\end{a}" * 12,
        r"\DeclareMathOperator{\a}{\a\a}\a",
        "\\new\u200bcommand{\\a}{xx}\\a",
        "\\side\u200bset{}{}" * 14 + "x",
    ):
        assert mathml(latex) is None, latex
    assert mathml(r"\sideset{_a^b}{'}\sum x + \sideset{}{'}\prod y") is not None


@given(st.text(alphabet=st.sampled_from("a1 $\\()[]{}<>&\"'*_`#|-+!\n^~frctexbgin"), max_size=120))
@settings(max_examples=limit_examples(300), deadline=None)
def test_no_text_makes_an_element_that_is_not_harmless(text: str) -> None:
    assert_harmless(typeset(text))
    assert_harmless(typeset_line(text))


def test_a_table_s_alignment_is_no_style_attribute() -> None:
    made = typeset("| a | b |\n|:--|--:|\n| 1 | 2 |")
    assert "<td" in made
    assert '<td class="right">2</td>' in made
    assert "style=" not in made


@pytest.mark.slow
def test_long_texts_and_long_formulas_are_shown_as_typed_and_at_once() -> None:
    assert "<math" not in typeset("$x$ " * TYPESET)
    assert mathml("x+" * LONGEST + "x") is None
    for piece in ("\\(", "$", "\\[\n", "\\begin{a}\n", "[", "*a_", "\\boxed{", ">", "- ", "`", "|a"):
        with ends_in_time():
            typeset(piece * (TYPESET // len(piece)))


@pytest.mark.parametrize("formula", [r"$x + y$", r"\(x + y\)", r"\[x + y\]", r"$$x + y$$"])
def test_a_preview_is_cut_between_words_and_never_in_a_formula(formula: str) -> None:
    text = f"Let {formula} be\nthe sum of many terms."
    for most in range(2, len(text) + 1):
        made = str(preview(text, most))
        assert "$" not in made, most
        assert "\\" not in made.partition("alttext")[0], most
        assert made.endswith("…") == (most < len(text)), most
        assert made.count("<math") == made.count("</math>") == (most >= 4 + len(formula)), most
    assert 'display="inline"' in preview(text, 200)
    assert str(preview(text, 6)) == "Let…"
    assert str(preview(text, len(text) - 1)).endswith("sum of many…")


def test_a_preview_that_begins_with_a_long_formula_has_all_of_it() -> None:
    made = str(preview("$a + b + c + d$ is a sum.", 5))
    assert made.count("<mi>") == 4
    assert made.endswith("</math>…")


def test_a_preview_without_a_space_is_cut_where_it_must_be() -> None:
    assert str(preview("x" * 1000, 10)) == "x" * 10 + "…"
    assert str(preview("", 10)) == ""


@given(st.text(alphabet="a $\\([{}])*_\n<&", max_size=200), st.integers(1, 60))
@settings(max_examples=limit_examples(200))
def test_no_text_makes_a_preview_that_does_anything(text: str, most: int) -> None:
    assert_harmless(str(preview(text, most)))
