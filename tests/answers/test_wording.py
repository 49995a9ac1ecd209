import pytest

from scale_reasoning.answers.wording import FORMULA, drop_lead, read_wording


@pytest.mark.parametrize(
    ("text", "words", "formulas"),
    [
        ("odd n", ("odd", FORMULA), ("n",)),
        (r"\text{odd } n", ("odd", FORMULA), ("n",)),
        ("n is prime", (FORMULA, "is", "prime"), ("n",)),
        ("a is odd", (FORMULA, "is", "odd"), ("a",)),
        ("a triangle", ("triangle",), ()),
        ("Isosceles Triangles", ("isoscele", "triangle"), ()),
        ("doesn't exist", ("doe", "not", "exist"), ()),
        ("increasing on (0,1)", ("increasing", "on", FORMULA), ("(0,1)",)),
        ("The answer is 5.", (FORMULA,), ("5",)),
        ("at most 5", ("at", "most", FORMULA), ("5",)),
        ("6 and 8", (FORMULA,), ("6 and 8",)),
        ("xy = 1", (FORMULA,), ("xy = 1",)),
        (r"\cot x", (FORMULA,), (r"\cot x",)),
        (r"\begin{pmatrix} 1 \\ 2 \end{pmatrix}", (FORMULA,), (r"\begin{pmatrix} 1 \\ 2 \end{pmatrix}",)),
    ],
)
def test_words_are_told_from_formulas(text: str, words: tuple[str, ...], formulas: tuple[str, ...]):
    said = read_wording(text)
    assert (said.words, said.formulas) == (words, formulas)


@pytest.mark.parametrize("text", ["at least 5", "not 5", "about 5", "5 or more", "odd n", "no more than 5", "up to 5"])
def test_some_words_change_what_a_formula_says(text: str):
    assert read_wording(text).qualified
    assert read_wording(text).result is None


@pytest.mark.parametrize("text", ["5", "The number of ways is 5", "we have 5", "x is small, so y is 5"])
def test_other_words_lead_to_the_result(text: str):
    assert read_wording(text).result == "5"


def test_a_text_of_nothing_but_a_lead_in_is_kept():
    assert drop_lead("the answer") == "the answer"
