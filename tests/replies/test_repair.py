"""Which faults of JSON are repaired, under which name, and which are refused."""

import json
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scale_reasoning.replies import read_choice, read_number, read_outline
from scale_reasoning.replies.repair import MAX_DEPTH, MAX_TOKENS, MAX_TRIES, Repair

TWO = ("Find a.", "Find b.")


@pytest.mark.parametrize(
    ("text", "repair"),
    [
        ('{"subproblems": ["Find a.", "Find b.",]}', "trailing comma"),
        ('{"subproblems": ["Find a.", "Find b."],}', "trailing comma"),
        ("{'subproblems': ['Find a.', 'Find b.']}", "single quotes"),
        ("[\"Find a.\", 'Find b.']", "single quotes"),
        ('{"subproblems": ["Find a.", "Find b."], "checked": True, "left": None}', "Python literals"),
        ('{subproblems: ["Find a.", "Find b."]}', "key without quotes"),
        ('{1: "Find a.", 2: "Find b."}', "key without quotes"),
        ('{"subproblems": ["Find a.", // the first\n "Find b."]}', "comment"),
        ('{"subproblems": ["Find a.", # the first\n "Find b."]}', "comment"),
        ('{"subproblems": ["Find a.", "Find b." // the last\n]}', "comment"),
        ('{/* as asked */ "subproblems": ["Find a.", "Find b."]}', "comment"),
        ('{"subproblems": ["Find a.", "Find b."]', "missing bracket"),
        ('{"subproblems": ["Find a.", "Find b."', "missing bracket"),
        ('{"subproblems": ["Find a.", "Find b."}', "missing bracket"),
        ('```json\n{"subproblems": ["Find a.", "Find b."]\n```\nThat is all.', "missing bracket"),
        ('{"subproblems": ["Find a.", "Find b."]\n\nThat is all.', "missing bracket"),
        ('[{"question": "Find a."}, {"question": "Find b."]', "missing bracket"),
        ("{“subproblems”: [“Find a.”, “Find b.”]}", "typographic quotes"),
        ("{‘subproblems’: [‘Find a.’, „Find b.“]}", "typographic quotes"),  # noqa: RUF001
        ('{"subproblems": ["Find a."\n "Find b."]}', "missing comma"),
        ('{"subproblems": ["Find a.", "Find b."]}{"subproblems": ["Find a.", "Find b."]}', "doubled object"),
        ('["Find a.", "Find b."]\n["Find a.", "Find b."]', "doubled object"),
        ('{"subproblems: ["Find a.", "Find b."]}', "taken from broken JSON"),
        ('{"subproblems": ["Find a.", "Find b."], "notes": oops}', "taken from broken JSON"),
    ],
)
def test_a_common_fault_is_repaired_and_named(text: str, repair: str) -> None:
    read = read_outline(text, 16)
    assert (read.value, read.repairs) == (TWO, (repair,))


@pytest.mark.parametrize(
    ("text", "steps", "repairs"),
    [
        ('["Find\na.", "Find\r\n  b."]', ("Find\na.", "Find\r\n  b."), {"line break in a string"}),
        ('["Find\ta.", "b",]', ("Find\ta.", "b"), {"control character in a string", "trailing comma"}),
        ('["Find "a" now.", "Find b."]', ('Find "a" now.', "Find b."), {"quotes not escaped"}),
        (r"""['Find f\'(x).', 'Find "b".']""", ("Find f'(x).", 'Find "b".'), {"single quotes"}),
        ("""["Find f'(x).", 'Find b.']""", ("Find f'(x).", "Find b."), {"single quotes"}),
        ("['Find f'(x).', 'Find {f'} at f''(0) = [f'].']", ("Find f'(x).", "Find {f'} at f''(0) = [f']."),
         {"single quotes"}),
        (r"""["Find f\'(x).", "b"]""", ("Find f'(x).", "b"), {"backslash before an apostrophe"}),
        ("{'step1': 'Find {f'}.', 'step2': 'Find f', then g'.'}", ("Find {f'}.", "Find f', then g'."),
         {"single quotes"}),
        ("['Find [f'] now.', 'So [g'] ]']", ("Find [f'] now.", "So [g'] ]"), {"single quotes"}),
        ("[‘Don’t guess.’, ‘Find b.’]", ("Don’t guess.", "Find b."), {"typographic quotes"}),  # noqa: RUF001
        (r"['Find $\frac{1}{2} \times \theta$.', 'So $\{x\}$.',]",
         (r"Find $\frac{1}{2} \times \theta$.", r"So $\{x\}$."),
         {"single quotes", "trailing comma", "backslashes not escaped"}),
        (r"""["Find $\frac12$.",]""", (r"Find $\frac12$.",), {"trailing comma", "backslashes not escaped"}),
        (r"""["Find $\\frac12$\nnow.",]""", ("Find $\\frac12$\nnow.",), {"trailing comma"}),
        ('["Find [0, 1).", "Find (a, b].",]', ("Find [0, 1).", "Find (a, b]."), {"trailing comma"}),
        ("['Find [0, 1)', 'Find (a, b]']", ("Find [0, 1)", "Find (a, b]"), {"single quotes"}),
        ('["Use {, }, [ and ]: all, of, them.", "b",]', ("Use {, }, [ and ]: all, of, them.", "b"), {"trailing comma"}),
        ('["See https://a.org # 1", "b" /* c */]', ("See https://a.org # 1", "b"), {"comment"}),
    ],
)  # fmt: skip
def test_a_strings_text_survives_the_repair(text: str, steps: tuple[str, ...], repairs: set[str]) -> None:
    read = read_outline(text, 16)
    assert (read.value, set(read.repairs)) == (steps, repairs)


@pytest.mark.parametrize(
    "text",
    [
        '["Find a." "Find b."]',
        '["Find a.", Find b.]',
        '["Find a.", oops], "notes": ["Find b."]',
        '["Find a.", "Find b',
        '["Find a.",',
        '{"subproblems": ["Find a.",\n```',
        '["Find a.", "Find "b", "Find c."]',
        '{"subproblems" ["Find a."]}',
        '["Find a.",, "Find b."]',
        '["Find a.", ...]',
        '["Find a.", "Find b."}',
        '{"subproblems": [Find a, Find b], "notes": ["Find c."]}',
        '{"subproblems": [{"question": "Find a" oops}, {"question": "Find b", "list": ["x", "y"]}]}',
    ],
)
def test_a_fault_that_leaves_a_doubt_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no list"):
        read_outline(text, 16)


@pytest.mark.parametrize(
    ("text", "repair"),
    [
        ('{"choice": 2,}', "trailing comma"),
        ("{'choice': 2}", "single quotes"),
        ("{'choice': '2'}", "single quotes"),
        ("{choice: 2}", "key without quotes"),
        ('{"choice": 2', "missing bracket"),
        ('{"choice": 2 // the shortest\n}', "comment"),
        ("{“choice”: 2}", "typographic quotes"),
        ('{"choice": 2}{"choice": 2}', "doubled object"),
        ('{"reason": "1 is\nlong", "choice": 2}', "line break in a string"),
    ],
)
def test_a_choice_is_repaired_alike(text: str, repair: str) -> None:
    read = read_choice(text, 3)
    assert (read.value, read.repairs) == (2, (repair,))


def test_what_only_looks_like_an_object_is_no_choice() -> None:
    with pytest.raises(ValueError, match="no single choice"):
        read_choice("For {x: 1} I would choose 2.", 3)
    assert read_choice("{choice: 2}, for {x: 1} holds", 3).value == 2


@pytest.mark.parametrize(
    ("text", "repairs"),
    [
        ("{'difficulty': 0.7}", ("single quotes",)),
        ('{"difficulty": .7}', ("number without its 0",)),
        ('{"difficulty": 0.7,}', ("trailing comma",)),
        ('{"difficulty": 0.7}', ()),
        ("It is 0.7.", ()),
    ],
)
def test_a_difficulty_is_repaired_alike(text: str, repairs: tuple[str, ...]) -> None:
    read = read_number(text)
    assert (read.value, read.repairs) == (0.7, repairs)


def test_json_without_a_fault_takes_no_repair() -> None:
    for text in (
        '{"subproblems": ["Find a.", "Find b."]}',
        'Here: ["Find a.", "Find b."] as asked.',
        "1. Find a.\n2. Find b.",
    ):
        assert read_outline(text, 16).repairs == ()
    assert read_outline(r'["Find \frac12."]', 16).repairs == ("backslashes not escaped",)
    assert read_outline(r'\frac12 ["Find a.", "Find b."] \frac12', 16).repairs == ()


texts = st.text(st.characters(categories=["L", "Nd", "Zs", "Sm"], include_characters="(){}[].,:;'$^_+-=/"), min_size=1)
broken: list[Callable[[list[str]], str]] = [
    lambda steps: json.dumps(steps)[:-1] + ",]",
    lambda steps: json.dumps({"subproblems": steps})[:-1],
    lambda steps: json.dumps({"subproblems": steps}).replace('"subproblems"', "subproblems"),
    lambda steps: "{'subproblems': " + json.dumps(steps) + "}",
    lambda steps: json.dumps({"subproblems": steps, "checked": True})[:-5] + "True}",
]


@given(st.lists(texts.map(lambda text: f"Find {text}a"), min_size=1, max_size=8), st.sampled_from(broken))
@settings(deadline=None)
def test_a_fault_around_strings_never_changes_them(steps: list[str], fault: Callable[[list[str]], str]) -> None:
    read = read_outline(fault(steps), 8)
    assert read.value == tuple(steps)
    assert read.repairs


@given(st.lists(st.text(st.characters(exclude_categories=["Cs", "Cc"])), min_size=1, max_size=8))
@settings(deadline=None)
def test_a_python_list_is_read_back_or_refused(strings: list[str]) -> None:
    text = repr(strings)
    try:
        value, end, _ = Repair(text).read(0)
    except ValueError:
        return
    if "\\" not in text and "'" not in "".join(strings):
        assert (value, end) == (strings, len(text))


@pytest.mark.parametrize(
    "piece", ["[", '{"a":', '["a",', "['a',", "['a", '["a"b', "{'}", "['}]", "[“", "{a:", "[1,", '["a" //', "/*"]
)
def test_the_work_on_a_hostile_text_is_bounded(piece: str) -> None:
    repair = Repair(piece * 50_000)
    for start in range(0, 1000, len(piece)):
        with pytest.raises(ValueError, match=" at "):
            repair.read(start)
    assert repair.tries == 0
    assert repair.tokens >= -MAX_TRIES
    assert MAX_TOKENS <= 20_000


def test_nesting_is_read_to_a_depth() -> None:
    def nested(depth: int) -> str:
        return "[" * depth + "'a'" + "]" * depth

    assert Repair(nested(MAX_DEPTH)).read(0)[1] == len(nested(MAX_DEPTH))
    with pytest.raises(ValueError, match="too deep"):
        Repair(nested(MAX_DEPTH + 1)).read(0)
