"""What of a model's text is read as an outline, a choice, a number, and what is refused."""

import contextlib
import json

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from tests.patience import ends_in_time
from tests.speed import mark_slow

from scale_reasoning.replies import (
    MAX_CHARACTERS,
    NUMBER,
    choice_schema,
    outline_schema,
    parse_choice,
    parse_number,
    parse_outline,
)
from scale_reasoning.replies.outlines import MAX_DEPTH

TWO = ("Find a.", "Find b.")


@pytest.mark.parametrize(
    "text",
    [
        '{"subproblems": ["Find a.", "Find b."]}',
        '["Find a.", "Find b."]',
        '\n  {"steps": ["Find a.", "Find b."]}\n',
        'Sure, here it is: {"subproblems": ["Find a.", "Find b."]} I hope that it helps!',
        'Let $x \\in [0, 1]$ and {y}.\n["Find a.", "Find b."]',
        '```json\n{"subproblems": ["Find a.", "Find b."]}\n```',
        '```\n["Find a.", "Find b."]\n```\nDone.',
        '{"step1": "Find a.", "step2": "Find b."}',
        '{"step2": "Find b.", "step1": "Find a."}',
        '{"Step 1": "Find a.", "Step 2": "Find b."}',
        '{"1": "Find a.", "2": "Find b."}',
        '{"sub-problem 1": "Find a.", "sub_problem": 7, "subproblem 2": "Find b."}',
        '{"decomposition": {"step1": "Find a.", "step2": "Find b."}}',
        '{"subproblems": {"step1": {"id": 1, "question": "Find a."}, "step2": {"id": 2, "question": "Find b."}}}',
        '[{"step": 1, "question": "Find a."}, {"step": 2, "question": "Find b."}]',
        '{"n": 2, "subproblems": [{"id": "1", "text": "Find a."}, {"id": "2", "text": "Find b."}]}',
        '["Step 1: Find a.", "Step 2: Find b."]',
        '["1. Find a.", "2) Find b."]',
        '["  Find a. ", "\\tFind b.\\n"]',
        "1. Find a.\n2. Find b.",
        "1) Find a.\n2) Find b.",
        "Step 1: Find a.\nStep 2: Find b.",
        "**Step 1:** Find a.\n**Step 2:** Find b.",
        "### Step 1: Find a.\n\n### Step 2: Find b.",
        "**1.** Find a.\n**2.** Find b.",
        "1. **Find a.**\n2. **Find b.**",
        "Sub-problem 1: Find a.\nSubproblem 2: Find b.",
        "I would go like this:\n\n  1. Find\n     a.\n  2. Find b.\n\nThat is all.",
    ],
)
def test_an_outline_is_read_in_every_form_that_models_write(text: str) -> None:
    assert parse_outline(text, 16) == TWO


def test_step10_comes_after_step9() -> None:
    steps = {f"step{n}": f"Find {n}." for n in (10, 2, 1, 11, 3, 9, 4, 8, 5, 7, 6)}
    assert parse_outline(json.dumps(steps), 16) == tuple(f"Find {n}." for n in range(1, 12))


@pytest.mark.parametrize(
    "latex",
    [
        r"\frac{1}{2}",
        r"2 \times 3",
        r"\theta",
        r"a \neq b",
        r"\beta",
        r"\left( x \right)",
        r"\bigl( x \bigr)",
        r"\bigcup A",
        r"\binom{n}{k}",
        r"\boxed{5}",
        r"\nabla f",
        r"\text{cm}",
        r"\tan x",
        r"\to",
        r"\rangle",
        r"\sqrt{2}",
        r"\underline{x}",
        r"\therefore",
        r"\textcolor{red}{x}",
        r"\bigotimes",
        r"\frown",
        r"\rtimes",
        r"\tag{1}",
        r"\nparallel",
        r"\{1, 2\}",
        r"\$5",
    ],
)
@pytest.mark.parametrize("around", ["{}", "Here it is: {} as asked.", "```json\n{}\n```"])
def test_latex_whose_backslashes_were_not_escaped_is_read_as_meant(latex: str, around: str) -> None:
    written = around.replace("{}", f'{{"subproblems": ["Find {latex}.", "So {latex}"]}}')
    assert parse_outline(written, 16) == (f"Find {latex}.", f"So {latex}")


def test_json_escapes_that_are_no_latex_keep_their_meaning() -> None:
    assert parse_outline(r'["Find \"a\".\nThen \\frac{1}{2}, caf\u00e9 \/ b."]', 16) == (
        'Find "a".\nThen \\frac{1}{2}, café / b.',
    )


def test_an_outline_after_a_long_derivation_in_latex_is_found() -> None:
    assert parse_outline(r"\frac{a}{b} " * 200 + '{"subproblems": ["Find a.", "Find b."]}', 16) == TWO


@pytest.mark.parametrize(
    "text",
    [
        "",
        "   \n",
        "I cannot break this down.",
        "The first thing is to find a, the second to find b.",
        "1.5 litres of water are mixed with 2 of milk.",
        "1:30 pm is when the train leaves.",
        "2. Find b.\n3. Find c.",
        "1.\n2.",
        "[]",
        "{}",
        '{"subproblems": []}',
        "[1, 2]",
        "[true, null]",
        '["Find a.", 2]',
        '["Find a.", ""]',
        '["Find a.", "  "]',
        '[["Find a."], ["Find b."]]',
        '[["Find a.", ["Find b."]]]',
        '{"first": ["Find a."], "second": ["Find b."]}',
        '{"answer": "12"}',
        '"Find a."',
        "null",
        "<html><body><h1>502 Bad Gateway</h1><p>nginx/1.25.3</p></body></html>",
    ],
)
def test_what_is_no_list_of_sub_problems_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no list"):
        parse_outline(text, 16)


@pytest.mark.parametrize("text", [json.dumps(["Find it."] * 5), "\n".join(f"{n}. Find it." for n in range(1, 6))])
def test_an_outline_that_is_longer_than_allowed_is_refused(text: str) -> None:
    assert len(parse_outline(text, 5)) == 5
    with pytest.raises(ValueError, match="5 sub-problems, at most 4"):
        parse_outline(text, 4)


@pytest.mark.parametrize("text", [r'["Find \ud83d."]', r'{"step1": "Find \udc00"}', "1. Find \udc00."])
def test_half_a_surrogate_pair_is_refused_for_it_could_not_be_sent_on(text: str) -> None:
    with pytest.raises(ValueError, match="surrogates not allowed"):
        parse_outline(text, 16)
    assert parse_outline(r'["Find \ud83d\ude00."]', 16) == ("Find \U0001f600.",)


def test_a_reply_too_long_to_be_one_is_not_read() -> None:
    padding = " " * MAX_CHARACTERS
    for parse in (lambda text: parse_outline(text, 16), lambda text: parse_choice(text, 3), parse_number):
        with pytest.raises(ValueError, match="characters"):
            parse("1" + padding)


def test_sub_problems_nested_too_deep_are_refused() -> None:
    def nested(depth: int) -> str:
        return '{"a": ' * depth + '["Find a.", "Find b."]' + "}" * depth

    assert parse_outline(nested(MAX_DEPTH - 1), 16) == TWO
    for depth in (MAX_DEPTH, 300, 600, 5000):
        with pytest.raises(ValueError, match="no list"):
            parse_outline(nested(depth), 16)


@pytest.mark.parametrize(
    "text",
    [
        '{"choice": 2}',
        '{"choice": "2"}',
        '{"choice": " 2 "}',
        '{"choice": "Version 2"}',
        '{"answer": 2}',
        '{"reason": "1 is long", "choice": 2}',
        'I compared all 3. {"choice": 2}',
        '```json\n{"choice": 2}\n```',
        '{"choice": 2}\n{"choice": 2}',
        "2",
        "2.",
        "**2**",
        "(2)",
        "#2",
        r"\boxed{2}",
        "Version 2 is the best, so I choose 2.",
        "Version-2",
        "- 2",
        "[2]",
    ],
)
def test_a_choice_is_read_in_every_form_that_models_write(text: str) -> None:
    assert parse_choice(text, 3) == 2


@pytest.mark.parametrize(
    "text",
    [
        "",
        "neither",
        "two",
        "0",
        "4",
        "-2",
        "\u22122",
        "1.5",
        "v2",
        "2nd",
        "x1",
        "1 or 2",
        "1, 2",
        "1-2",
        "1,000",
        "2000",
        "1e0",
        '{"choice": 0}',
        '{"choice": 4}',
        '{"choice": -1}',
        '{"choice": 1.5}',
        '{"choice": true}',
        '{"choice": null}',
        '{"choice": NaN}',
        '{"choice": Infinity}',
        '{"choice": [1, 2]}',
        '{"choice": 1} or rather {"choice": 2}',
        '{"choice": ' + "1" * 500 + "}",
        "true",
        "<html><h1>Not found</h1></html>",
    ],
)
def test_no_choice_several_or_one_out_of_range_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no single choice from 1 to 3"):
        parse_choice(text, 3)


@pytest.mark.parametrize(
    ("text", "difficulty"),
    [
        ('{"difficulty": 0.7}', 0.7),
        ('{"difficulty": 7e-1}', 0.7),
        ('{"difficulty": "0.7"}', 0.7),
        ('{"difficulty": "70%"}', 0.7),
        ('{"difficulty": "about 0.7"}', 0.7),
        ('{"difficulty": "0.7/1"}', 0.7),
        ("Difficulty: 0.7/1.0", 0.7),
        ("I rate it 0.7 out of 1.", 0.7),
        ("On a scale from 0 to 1: 0.7", 0.7),
        ('{"score": 0.7}', 0.7),
        ('{"reason": "0.9 is too much", "difficulty": 0.7}', 0.7),
        ('It lies in [0, 1], so I say {"difficulty": 0.7}.', 0.7),
        ('```json\n{"difficulty": 0.7}\n```', 0.7),
        ('{"difficulty": 0}', 0.0),
        ('{"difficulty": 1}', 1.0),
        ("0.7", 0.7),
        (".7", 0.7),
        ("0.70", 0.7),
        ("1", 1.0),
        ("0", 0.0),
        ("Difficulty: **0.7**.", 0.7),
        ("70%", 0.7),
        ("It is about 70 % hard.", 0.7),
        ("0.7, that is 70%", 0.7),
        (r"\boxed{0.7}", 0.7),
        ("step1 rates at 0.7", 0.7),
    ],
)
def test_a_difficulty_is_read_in_every_form_that_models_write(text: str, difficulty: float) -> None:
    assert parse_number(text) == difficulty


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hard",
        "-0.7",
        "\u22120.7",
        "1.7",
        "7",
        "170%",
        "7/10",
        "0,7",
        "0.3-0.7",
        "0.3 to 0.7",
        "between 30% and 70%",
        "5e-1 I say",
        "x0",
        "0.7.1",
        "NaN",
        "Infinity",
        "true",
        '{"difficulty": 1.7}',
        '{"difficulty": -0.7}',
        '{"difficulty": "-0.7"}',
        '{"difficulty": true}',
        '{"difficulty": false}',
        '{"difficulty": null}',
        '{"difficulty": NaN}',
        '{"difficulty": "nan"}',
        '{"difficulty": Infinity}',
        '{"difficulty": -Infinity}',
        '{"difficulty": 1e999}',
        '{"difficulty": ' + "1" * 500 + "}",
        '{"difficulty": ' + "1" * 5000 + "}",
        '{"difficulty": 0.3} no, {"difficulty": 0.7}',
        "<html><h1>Not found</h1></html>",
    ],
)
def test_no_difficulty_several_or_one_out_of_range_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no single number from 0 to 1"):
        parse_number(text)


def test_the_schemas_are_strict_and_name_what_the_parsers_read() -> None:
    for schema, field in ((outline_schema(7), "subproblems"), (choice_schema(3), "choice"), (NUMBER, "difficulty")):
        assert schema.body["additionalProperties"] is False
        assert schema.body["required"] == [field] == list(schema.body["properties"])
    assert outline_schema(7).body["properties"]["subproblems"]["maxItems"] == 7
    assert choice_schema(3).body["properties"]["choice"] == {"type": "integer", "enum": [1, 2, 3]}


# A label before the text is the list's, not the text's; a control character before letters may be a LaTeX command's.
steps = st.lists(
    st.text(min_size=1).filter(lambda s: s.strip() and not s.strip()[0].isdigit() and not set(s) & set("\b\f\n\r\t")),
    min_size=1,
    max_size=8,
)


@given(steps, st.sampled_from(["{}", "It is {} then", "```json\n{}\n```"]), st.booleans())
@settings(deadline=None)
def test_valid_json_is_read_back_unchanged_up_to_stripping(strings: list[str], around: str, ascii_only: bool) -> None:
    text = around.replace("{}", json.dumps(strings, ensure_ascii=ascii_only))
    assert parse_outline(text, 8) == tuple(string.strip() for string in strings)


@given(st.lists(st.text(alphabet='ab\\"{}[]$ \n\t/uxf', min_size=1).filter(str.strip), min_size=1, max_size=4))
@settings(deadline=None)
def test_valid_json_full_of_backslashes_brackets_and_quotes_is_read_back(strings: list[str]) -> None:
    assume(not any(f"{c}{letter}" in s for s in strings for c in "\n\t" for letter in "abuxf"))
    assert parse_outline(json.dumps(strings), 4) == tuple(string.strip() for string in strings)


@given(st.integers(1, 999))
@settings(deadline=None)
def test_every_choice_written_as_json_is_read_back(choice: int) -> None:
    assert parse_choice(json.dumps({"choice": choice}), 999) == choice


@given(st.floats(0, 1))
@settings(deadline=None)
def test_every_difficulty_written_as_json_is_read_back(difficulty: float) -> None:
    assert parse_number(json.dumps({"difficulty": difficulty})) == difficulty


jsonish = st.text(alphabet='[]{}",:\\/.-+*#%0123456789eE \n\tabfnrtuSstepNI`_²٣', max_size=200)
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
).map(json.dumps)


@given(st.text() | jsonish | anything)
@settings(deadline=None)
def test_any_text_is_read_within_bounds_or_refused_with_a_value_error(text: str) -> None:
    with contextlib.suppress(ValueError):
        assert 1 <= len(parse_outline(text, 5)) <= 5
    with contextlib.suppress(ValueError):
        assert parse_choice(text, 5) in range(1, 6)
    with contextlib.suppress(ValueError):
        assert 0.0 <= parse_number(text) <= 1.0


PIECES = [
    "[", "{", '{"a":', '["a",', '["a', "\\", "\\frac", '"', "7", "1.", "1 ", "1. a\n", "1. \n  a\n", " ", "\n", "*",
    "* ", "-", "%", "0%", "{ ", "[ ", '{ "', "Step ", "**1", "\\u", "\u22121", "1-", '{"choice": 1}',
    "'", "['", "['a',", "'}", "['}", "\u201c", "[\u201ca", "{a:", "{1:", '["a" ', '["a"b', '"//', "/*", "[/*",
    '["a"\n', "### Step 1: a\n", "1. a\n\nb\n", "Step 1", "**", "1. **a", "breakdown", '{"steps":["a"]},', "[{},",
]  # fmt: skip


@pytest.mark.parametrize("size", [MAX_CHARACTERS, *mark_slow(1_000_000)])
@pytest.mark.parametrize("piece", [*PIECES[::5], *mark_slow(*(piece for n, piece in enumerate(PIECES) if n % 5))])
def test_hostile_megabytes_are_done_with_at_once(piece: str, size: int) -> None:
    text = (piece * (size // len(piece) + 1))[:size]
    with ends_in_time():
        for parse in (lambda text: parse_outline(text, 16), lambda text: parse_choice(text, 3), parse_number):
            with contextlib.suppress(ValueError):
                parse(text)
