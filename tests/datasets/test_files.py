import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scale_reasoning.datasets import files, load
from scale_reasoning.datasets.dataset import texts_sha256
from scale_reasoning.datasets.rows import Row, problems_of
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
        (GOOD + "[1]", r"line 2: a row is a JSON object, not \[1\]"),
        (GOOD + '{"problem": "?", "answer": NaN}', "line 2: not JSON .NaN is no number"),
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
        ("problem,answer,problem\n", "line 1: a column's name comes twice"),
        ('problem,answer\n"a"b,1\n', "line 2: not CSV"),
        ('problem,answer\n"a,1\n', "line 2: not CSV"),
        (b"problem,answer\n\xe9,1\n", "line 2: not UTF-8"),
    ],
)
def test_a_bad_csv_file_is_refused_by_line(tmp_path: Path, content: str | bytes, message: str):
    with pytest.raises(ConfigError, match=message):
        load(written(tmp_path, content, "my.csv"))


def test_other_files_folders_and_big_files_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(ConfigError, match=r"ends in \.jsonl, \.csv, \.parquet"):
        load(written(tmp_path, GOOD, "my.txt"))
    (tmp_path / "folder.jsonl").mkdir()
    with pytest.raises(ConfigError, match="not a file"):
        load(str(tmp_path / "folder.jsonl"))
    with pytest.raises(ConfigError, match="ends in"):
        load(str(tmp_path))
    monkeypatch.setattr(files, "MAX_BYTES", 10)
    with pytest.raises(ConfigError, match="35 bytes; at most 10 are read"):
        load(written(tmp_path, GOOD))


def test_a_file_has_no_splits_and_no_levels(tmp_path: Path):
    with pytest.raises(ConfigError, match="has no option split; it takes problem_field, answer_field"):
        load(written(tmp_path, GOOD), split="test")


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(str.strip)


@given(st.lists(st.tuples(TEXTS, TEXTS), min_size=1, unique_by=lambda row: " ".join(row[0].split())))
def test_any_text_survives_jsonl(rows: list[tuple[str, str]]):
    lines = [json.dumps({"id": f"n{i}", "problem": a, "answer": b}) for i, (a, b) in enumerate(rows)]
    fields = [json.loads(line) for line in lines]
    problems = problems_of([Row(where="here", fields=row) for row in fields], "here")
    assert [(row.text, row.answer) for row in problems] == [(a.strip(), b.strip()) for a, b in rows]


def test_the_text_hash_sees_wording_and_neither_order_nor_spacing():
    assert texts_sha256(["a  b", "c"]) == texts_sha256(["c\n", "a b"])
    assert texts_sha256(["a b", "c"]) != texts_sha256(["a b", "d"])
    assert texts_sha256(["e\u0301"]) == texts_sha256(["\u00e9"])
