import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.patience import ends_in_time

from scale_reasoning.answers import MAX_DIGITS, answer_class, final_answer, normalise, rational


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (r"so \boxed{5}.", "5"),
        (r"first \boxed{5}, then \boxed{6}", "6"),
        (r"\fbox{7}", "7"),
        (r"\boxed 42", "42"),
        (r"\boxed{\boxed{3}}", "3"),
        (r"\boxed{\frac{1}{2}}", r"\frac{1}{2}"),
        (r"\boxed{\{1,2\}}", r"\{1,2\}"),
        (r"\boxed{1} and \boxed{2", "1"),
        (r"\boxed{1 and \boxed{2}", "2"),
        (r"} { \boxed{ 8 } }", "8"),
        (r"a line \\\boxed{9}", "9"),
        (r"\\boxed{10}", "10"),
        (r"\boxed{4} but \boxed{}", "4"),
        (r"\boxed{4} but \boxed{ }", "4"),
        (r"\boxed{4} but \boxed{\ }", "4"),
        (r"\boxed{4} but \boxed{\text{ }}", "4"),
        (r"\boxed{4} but \boxed{\quad\,}", "4"),
        (r"\boxed{4} but \boxed{$$}", "4"),
        (r"\boxed{4} but \boxed{?}", "4"),
        (r"\boxed{4} but \boxed{\ldots}", "4"),
        (r"\boxed{4} but \boxed{\_\_\_}", "4"),
        (r"\boxed{4} but \boxed{\underline{\hspace{1cm}}}", "4"),
        (r"\boxed{4} but \fbox{}", "4"),
        (r"\boxed{4} but \boxed{\boxed{}}", "4"),
        (r"\boxed{4} but \boxed{\{\}}", r"\{\}"),
        (r"\boxed{4} but \boxed{\emptyset}", r"\emptyset"),
        (r"\boxed{4} but \boxed{-1}", "-1"),
        (r"\boxed{?}", "?"),
        (r"\boxed{\ }", None),
        (r"\boxed{  }", None),
        ("no box, though {braces}", None),
        ("", None),
    ],
)
def test_the_last_balanced_box_is_the_answer(text: str, answer: str | None):
    assert final_answer(text) == answer


def _says_something(inside: str) -> bool:
    return bool(inside.replace("$", "").strip())  # a box of nothing but marks of a formula is empty


@given(st.text(alphabet=st.characters(exclude_characters="{}\\")).map(str.strip).filter(_says_something))
def test_what_was_boxed_is_found(inside: str):
    assert final_answer(rf"so \boxed{{{inside}}}") == inside


@pytest.mark.parametrize(
    "text",
    [
        r"\boxed{" * 100_000,
        r"\boxed{" * 100_000 + "}" * 100_000,
        r"\boxed{1}" + r"\boxed{" * 100_000,
        "{" * 500_000 + r"\boxed{3}",
        "\\" * 500_000 + "boxed{3}",
        r"\boxed" + " " * 500_000,
    ],
    ids=["open", "nested", "one closed", "braces", "backslashes", "spaces"],
)
def test_finding_the_answer_takes_linear_time(text: str):
    with ends_in_time():
        final_answer(text)


@pytest.mark.parametrize(
    "spellings",
    [
        ["1/2", "0.5", ".50", r"\frac{1}{2}", r"\dfrac12", r"\frac12", r"\frac 12", r"$\tfrac{1}{2}$", "x = 1/2"],
        ["1,234", "1{,}234", "1234", "1234.0", r"1\,234", r"1,\!234", r"\$1,234", "01234", "1234."],
        ["116", "m+n=116", r"116^\circ", r"116^{\circ}", "116°", r"\$116", r"\text{116}", r"\mathbf{116}", r"\(116\)"],
        ["116", r"116 \text{ cm}", r"116\mbox{ inches}^2", "116 degrees", r"\boxed{116}", "{116}", "$116$", "**116**"],
        ["25", "025", "+25", "25.00", r"\frac{50}{2}", "50/2"],
        ["-5", "\u22125", "- 5", "-5.0", "x=-5", r"-\frac{10}{2}"],
        [r"918\frac{1}{2}", "918.5", r"918 \frac12", r"\frac{1837}{2}"],
        [r"-\frac{1}{2}", "-.5", r"\frac{-1}{2}", "-1/2"],
        [r"\text{(C)}", "(C)", "C", r"\textbf{C}"],
        [r"\left( 3, \frac{\pi}{2} \right)", r"(3,\frac{\pi}2)", r"$(3, \dfrac{\pi}{2})$"],
        [r"\sqrt 2", r"\sqrt{2}", r"\sqrt2", r"\sqrt{2} \text{ cm}"],
        ["p - q", "p-q"],
        ["1, 2", "1,2"],
        ["f(x) = x + 1", "x+1"],
        [
            "12",
            "12 km/h",
            "12 m/s",
            "12 m^2",
            "€12",
            "12 USD",
            r"\frac{12}{1}",
            r"\underline{12}",
            "(12)",
            "The answer is 12",
        ],
        ["1/2", "½", "5e-1", r"5\times10^{-1}", r"\frac{1}2"],
        [r"2\sqrt{3}", "2√3", "2sqrt(3)", r"2\sqrt3"],
        ["x^2+1", "x²+1", "x²\uff0b1"],
        [r"(-\infty,3)\cup(3,\infty)", "(\u2212∞, 3) \u222a (3, ∞)", r"\left(-\infty,3\right)\cup(3,+\infty)"],
        ["does not exist", "Does not exist", r"\text{does not exist}", "DNE", "The answer is: does not exist."],
        [r"\frac{\pi}{2}", r"\frac\pi2", r"\dfrac{π}{2}"],
        [r"\binom{5}{2}", r"\binom52", r"\dbinom{5}{2}"],
    ],
    ids=lambda spellings: spellings[0],
)
def test_spellings_of_one_answer_are_one_class(spellings: list[str]):
    assert {spelling: answer_class(spelling) for spelling in spellings} == dict.fromkeys(
        spellings, answer_class(spellings[0])
    )


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("1,5", "15"),
        ("1,5", "1.5"),
        ("1,234,5", "12345"),
        ("1, 234", "1234"),
        ("0,123", "123"),
        (r"1\,5", "15"),
        ("6 and 8", "68"),
        (r"6 \text{ and } 8", "68"),
        (r"10\%", "10"),
        ("10 percent", "10"),
        (r"5 \text{ million}", "5"),
        (r"2\mathrm{e}", "2"),
        (r"5\text{x}", "5"),
        (r"\pm 5", "5"),
        (r"\{5\}", "5"),
        ("115=116", "116"),
        ("x=5,y=116", "116"),
        ("x = 1 and x = -1", "-1"),
        ("x >= 5", "5"),
        (r"x \ne 5", "5"),
        ("5!", "5"),
        ("2^5", "25"),
        ("52_8", "52"),
        ("1/0", "0"),
        ("x^2+y^2=25", "25"),
        ("xy=1", "1"),
        ("6m", "6s"),
        ("6m", "6"),
        ("7 - 5t", "2"),
        ("at most 5", "at least 5"),
        ("odd n", "even n"),
        ("no solution", "one solution"),
        ("1e-07", "1e-08"),
        ("[0,9)", "(0,9)"),
        (r"\begin{pmatrix} 1 \\ 2 \end{pmatrix}", r"\begin{pmatrix} 12 \end{pmatrix}"),
    ],
)
def test_different_answers_are_different_classes(one: str, other: str):
    assert answer_class(one) != answer_class(other)


@given(st.fractions(), st.sampled_from([r"{}", "{}.", "$ {} $", r"\boxed{{{}}}", r"x = {}", r"{} \text{{ cm}}"]))
def test_a_number_is_itself_in_any_notation(number, notation: str):
    assert rational(notation.format(number)) == number
    assert answer_class(notation.format(number)) == str(number)


@given(st.integers(), st.integers(min_value=1, max_value=9))
def test_grouped_digits_are_one_number(whole: int, digit: int):
    assert rational(f"{whole:,}") == whole
    assert rational(f"{whole:,}.{digit}") == rational(f"{whole}.{digit}")


@given(st.text() | st.text(alphabet="\\{}$frac,.123 =^_()textboxd%"))
def test_every_text_has_a_class(text: str):
    assert isinstance(answer_class(text), str)


@pytest.mark.parametrize("answer", ["1/2", "-5", r"\sqrt{2}", "(1,2)", "C", "x+1", "6 and 8", r"\frac{\sqrt3}{3}"])
def test_a_class_names_itself(answer: str):
    assert answer_class(answer_class(answer)) == answer_class(answer)


@pytest.mark.parametrize(
    "piece", ["9", "(", r"\text{", r"\frac", r"\frac{1", "{,}", "a ", "1,234", "^ ", "=", r"\ ", r"\boxed{"]
)
def test_a_long_answer_is_classed_at_once(piece: str):
    with ends_in_time():
        answer_class(piece * 1_000_000)
        answer_class((piece * 2_000)[:2_000])


def test_a_numeral_without_end_is_text():
    digits = "9" * (MAX_DIGITS + 1)
    assert rational(digits) is None
    assert answer_class(digits) == digits
    assert answer_class("1e999999999") == "1e999999999"


def test_normalising_keeps_words_apart():
    assert normalise(r"\text{Evelyn}") == "Evelyn"
    assert normalise(r"73 \text{ or } 74") == "73 or 74"
