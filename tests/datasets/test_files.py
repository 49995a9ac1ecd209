import json
import math
from decimal import Decimal
from pathlib import Path
from struct import pack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scale_reasoning.datasets import files, load
from scale_reasoning.datasets.dataset import hash_texts
from scale_reasoning.datasets.numbers import shorten_floats
from scale_reasoning.datasets.rows import SourceRow, make_problems
from scale_reasoning.errors import ConfigError

GOOD = '{"problem": "1+1?", "answer": "2"}\n'


def written(folder: Path, content: str | bytes, name: str = "my.jsonl") -> str:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return str(path)


def test_jsonl_rows_become_problems_with_their_own_ids(tmp_path: Path):
    path = written(
        tmp_path, '\ufeff{"id": 7, "question": " a\u2028b ", "gold": 3.0}\r\n\n{"id": "x", "question": "c", "gold": 2}'
    )
    dataset = load(path)
    assert [(row.id, row.text, row.answer) for row in dataset.problems] == [("7", "a\u2028b", "3"), ("x", "c", "2")]
    assert dataset.name == "my"
    assert dataset.source["origin"] == path


def test_csv_rows_become_problems(tmp_path: Path):
    path = written(tmp_path, 'Prompt,Final_Answer,level\n"two\nlines, quoted",7,easy\n\nb,"1,000",\n', "my.csv")
    assert [(row.text, row.answer) for row in load(path).problems] == [("two\nlines, quoted", "7"), ("b", "1,000")]


def test_parquet_rows_become_problems(tmp_path: Path):
    arrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    path = tmp_path / "my.parquet"
    parquet.write_table(arrow.table({"text": ["a", "b"], "answer": [1, 2]}), path)
    assert [(row.text, row.answer) for row in load(str(path)).problems] == [("a", "1"), ("b", "2")]
    with pytest.raises(ConfigError, match=r"my\.parquet, row 1: no field 'gold'; found 'text', 'answer'"):
        load(str(path), answer_field="gold")
    path.write_bytes(b"PAR1 not really")
    with pytest.raises(ConfigError, match="not Parquet"):
        load(str(path))


def test_parquet_without_its_library_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(__import__("sys").modules, "pyarrow.parquet", None)
    with pytest.raises(ConfigError, match=r"pip install 'scale-reasoning\[data\]'"):
        load(written(tmp_path, b"", "my.parquet"))


def test_a_row_without_an_id_is_named_by_its_text(tmp_path: Path):
    first = load(written(tmp_path, GOOD)).problems[0].id
    spaced = (
        load(written(tmp_path, '{"problem": "other", "answer": 1}\n{"problem": " 1+1? ", "answer": 2}')).problems[1].id
    )
    assert first == spaced
    assert len(first) == 16


def test_named_fields_are_read_and_the_usual_ones_are_not(tmp_path: Path):
    path = written(tmp_path, '{"problem": "no", "q": "yes", "answer": "no", "a": "1"}')
    (problem,) = load(path, problem_field="q", answer_field="a").problems
    assert (problem.text, problem.answer) == ("yes", "1")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "has no rows"),
        ("\n \n", "has no rows"),
        (GOOD + "{oops", r"line 2: not JSON"),
        (GOOD + "[1]", r"line 2: a row must be a JSON object, not \[1\]"),
        (GOOD + '{"problem": "?", "answer": NaN}', "line 2: not JSON .NaN is not a number"),
        (GOOD + '{"problem": "?", "answer": ' + "[" * 100_000, "line 2: not JSON"),
        (GOOD + '{"problem": "?", "answer": ' + "9" * 5000 + "}", "line 2: not JSON"),
        (GOOD + '{"problem": "?"}', "line 2: no field 'answer'; found 'problem'"),
        (GOOD + '{"problem": "?", "answer": null}', "line 2: 'answer' is missing"),
        (GOOD + '{"problem": "?", "answer": " "}', "line 2: 'answer' is empty"),
        (GOOD + '{"problem": "", "answer": "1"}', "line 2: 'problem' is empty"),
        (GOOD + '{"problem": "?", "answer": true}', "line 2: 'answer' is True"),
        (GOOD + '{"problem": "?", "answer": 1e999}', "line 2: 'answer' is inf"),
        (GOOD + '{"problem": "?", "answer": ["1"]}', r"line 2: 'answer' is \['1'\] \(list\)"),
        (GOOD + '{"problem": "\\ud800", "answer": "1"}', "line 2: 'problem' holds half a character"),
        (GOOD + '{"problem": "?", "answer": "\\udc00"}', "line 2: 'answer' holds half a character"),
        (GOOD + GOOD, r"line 2: the problem, without an id, is that of .*my\.jsonl, line 1 again"),
        ('{"id": 1, "text": "a", "gold": 1}\n{"id": "1", "text": "b", "gold": 1}', "line 2: the id '1' is that of"),
        ('{"problem": "?", "note": "1"}', "line 1: no answer among its fields .'problem', 'note'.; .*--answer-field"),
        ("{}", r"line 1: no problem among its fields \(none\)"),
        (GOOD.encode() + b'{"problem": "\xff"}', r"line 2: not UTF-8 \(byte 0xff\)"),
    ],
)
def test_a_bad_jsonl_file_is_refused_by_line(tmp_path: Path, content: str | bytes, message: str):
    with pytest.raises(ConfigError, match=message):
        load(written(tmp_path, content))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("problem,answer\n", "has no rows"),
        ("problem,answer\na,1,2\n", "line 2: 3 cells under 2 column names"),
        ("problem,answer\na,1\n\nb\n", "line 4: no field 'answer'; found 'problem'"),
        ("problem,answer,problem\n", "line 1: two columns have the same name"),
        ('problem,answer\n"a"b,1\n', "line 2: not CSV"),
        ('problem,answer\n"a,1\n', "line 2: not CSV"),
        (b"problem,answer\n\xe9,1\n", "line 2: not UTF-8"),
    ],
)
def test_a_bad_csv_file_is_refused_by_line(tmp_path: Path, content: str | bytes, message: str):
    with pytest.raises(ConfigError, match=message):
        load(written(tmp_path, content, "my.csv"))


def test_other_files_folders_and_big_files_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(ConfigError, match=r"must end in \.jsonl or \.csv or \.parquet"):
        load(written(tmp_path, GOOD, "my.txt"))
    (tmp_path / "folder.jsonl").mkdir()
    with pytest.raises(ConfigError, match="not a file"):
        load(str(tmp_path / "folder.jsonl"))
    with pytest.raises(ConfigError, match="must end in"):
        load(str(tmp_path))
    monkeypatch.setattr(files, "MAX_BYTES", 10)
    with pytest.raises(ConfigError, match="it has 35 bytes; the limit is 10"):
        load(written(tmp_path, GOOD))


def test_a_file_has_no_splits_and_no_levels(tmp_path: Path):
    with pytest.raises(ConfigError, match="has no option split; it takes problem_field, answer_field"):
        load(written(tmp_path, GOOD), split="test")


TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1).filter(str.strip)


@given(st.lists(st.tuples(TEXTS, TEXTS), min_size=1, unique_by=lambda row: " ".join(row[0].split())))
def test_any_text_survives_jsonl(rows: list[tuple[str, str]]):
    lines = [json.dumps({"id": f"n{i}", "problem": a, "answer": b}) for i, (a, b) in enumerate(rows)]
    fields = [json.loads(line) for line in lines]
    problems = make_problems([SourceRow(where="here", fields=row) for row in fields], "here")
    assert [(row.text, row.answer) for row in problems] == [(a.strip(), b.strip()) for a, b in rows]


@pytest.mark.parametrize(
    ("written_as", "answer"),
    [
        ("0.00001", "0.00001"),
        ("1.50", "1.50"),
        ("1E3", "1E3"),
        ("1e-05", "1e-05"),
        ("-0", "-0"),
        ("-2.5", "-2.5"),
        ("0.1000000000000000055511151231257827", "0.1000000000000000055511151231257827"),
        ("123456789012345678901234567890", "123456789012345678901234567890"),
        ("12345678901234567890.5", "12345678901234567890.5"),
        ("3.00", "3.00"),
        ("27.0", "27"),
        ("-27.0", "-27"),
        ('"27.0"', "27.0"),
    ],
)
def test_a_number_in_jsonl_keeps_its_spelling(tmp_path: Path, written_as: str, answer: str):
    path = written(tmp_path, f'{{"id": 20000000000000000001, "problem": "?", "answer": {written_as}}}')
    assert [(row.id, row.answer) for row in load(path).problems] == [("20000000000000000001", answer)]


def test_numbers_in_parquet_are_spelled_in_plain_decimals(tmp_path: Path):
    arrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    numbers = [
        (arrow.float64(), 1e-05, "0.00001"),
        (arrow.float64(), 0.1, "0.1"),
        (arrow.float64(), 1e22, "1" + "0" * 22),
        (arrow.float64(), 27.0, "27"),
        (arrow.float32(), 0.1, "0.1"),
        (arrow.float32(), 1e-05, "0.00001"),
        (arrow.float32(), 3.4028234663852886e38, "340282350000000000000000000000000000000"),
        (arrow.decimal128(10, 2), Decimal("1.50"), "1.50"),
        (arrow.int64(), 2**62, str(2**62)),
    ]
    for kind, value, answer in numbers:
        path = tmp_path / "my.parquet"
        parquet.write_table(arrow.table({"text": ["a"], "answer": arrow.array([value], kind)}), path)
        assert load(str(path)).problems[0].answer == answer
    for value in (math.nan, math.inf):
        parquet.write_table(arrow.table({"text": ["a"], "answer": arrow.array([value], arrow.float32())}), path)
        with pytest.raises(ConfigError, match=r"row 1: 'answer' is (nan|inf)"):
            load(str(path))


@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_a_short_float_is_spelled_as_a_number_that_is_stored_as_it(value: float):
    near = shorten_floats({"answer": value}, {"answer": "f"})["answer"]
    assert pack("f", near) == pack("f", value)
    assert len(repr(near)) <= len(repr(value))


BROKEN = [
    (r"\frac{1}{2}", r"U\+000C\) at character 1, before 'rac': \\frac was .* one backslash; write \\\\frac"),
    (r"x \times 3", r"U\+0009\) at character 3, before 'imes': \\times"),
    (r"\theta", r"U\+0009\) at character 1, before 'heta': \\theta"),
    (r"\text{cm}", r"before 'ext': \\text"),
    (r"$\tan x$", r"before 'an': \\tan"),
    (r"x\to 0", r"before 'o': \\to"),
    (r"\beta", r"U\+0008\) at character 1, before 'eta': \\beta"),
    (r"\binom52", r"before 'inom': \\binom"),
    (r"a \neq b", r"U\+000A\) at character 3, before 'eq': \\neq"),
    (r"$\nu$", r"before 'u': \\nu"),
    (r"(\rho)", r"U\+000D\) at character 2, before 'ho': \\rho"),
    (r"\right)", r"before 'ight': \\right"),
    (r"\u0007lpha", r"U\+0007\) at character 1, before 'lpha': \\alpha"),
    (r"\u000bec{x}", r"before 'ec': \\vec"),
    (r"a\u0000b", r"U\+0000\) at character 2: remove it"),
    (r"a\u001b[31mb", r"U\+001B"),
    (r"a\u007f", r"U\+007F"),
    (r"5 \u0096 3", r"U\+0096\) at character 3: the text was most likely read in the wrong encoding"),
    (r"a\u0085b", r"U\+0085"),
]  # fmt: skip
"""Text as JSON spells it, and what the error says."""


@pytest.mark.parametrize(("text", "message"), BROKEN)
@pytest.mark.parametrize("field", ["id", "problem", "answer"])
def test_a_control_character_is_refused_with_line_field_and_cause(tmp_path: Path, field: str, text: str, message: str):
    row = json.dumps({"id": "1", "problem": "?", "answer": "2", field: "TEXT"}).replace("TEXT", text)
    with pytest.raises(ConfigError, match=rf"my\.jsonl, line 2: '{field}' holds a control character .*{message}"):
        load(written(tmp_path, '{"id": "0", "problem": "a", "answer": "b"}\n' + row))


def test_csv_and_parquet_are_checked_alike(tmp_path: Path):
    with pytest.raises(ConfigError, match=r"my\.csv, line 2: 'answer' holds a control character .*write \\\\frac"):
        load(written(tmp_path, "problem,answer\n?,\frac12\n", "my.csv"))
    arrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    path = tmp_path / "my.parquet"
    parquet.write_table(arrow.table({"text": ["a", "\x1bb"], "answer": ["1", "2"]}), path)
    with pytest.raises(ConfigError, match=r"my\.parquet, row 2: 'text' holds a control character \(U\+001B\)"):
        load(str(path))


@pytest.mark.parametrize(
    "text",
    ["a\tb", "a\n\nb", "a\r\nb", "\tan apple", "a\nu = 1", "a\no", "a\u2028b\u200bc", "a\rfloor", r"\frac12", "a\n e"],
)
def test_tabs_and_line_breaks_are_text(tmp_path: Path, text: str):
    path = written(tmp_path, json.dumps({"problem": f"p{text}q", "answer": "1", "note": "\x00"}))
    assert load(path).problems[0].text == f"p{text}q"


def test_the_text_hash_sees_wording_and_neither_order_nor_spacing():
    assert hash_texts(["a  b", "c"]) == hash_texts(["c\n", "a b"])
    assert hash_texts(["a b", "c"]) != hash_texts(["a b", "d"])
    assert hash_texts(["e\u0301"]) == hash_texts(["\u00e9"])
