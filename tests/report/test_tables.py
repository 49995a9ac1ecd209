from __future__ import annotations

import csv
import io
import json
from html.parser import HTMLParser

import pytest
from tests.report.cells import cell, failed, graded, outcome, owed

from scale_reasoning.report import paper
from scale_reasoning.report.formats import Column, Grid, comma_separated, latex, markdown, page
from scale_reasoning.report.metrics import Summary, summarise
from scale_reasoning.report.tables import render

ROWS = [[True, True], [True, False], [True, True], [False, False]]


def two_strategies() -> list[Summary]:
    return [
        summarise(graded(ROWS, strategy={"name": name}, dataset=dataset))
        for name in ("cot", "scale")
        for dataset in ("aime24", "aime25")
    ]


def sweep() -> list[Summary]:
    return [summarise(graded(ROWS, strategy={"name": "scale", "tau": tau})) for tau in (0.5, 0.2, 0.9)]


def test_table_1_has_strategies_by_datasets_and_the_average():
    lines = render(two_strategies(), "md").splitlines()
    heads = [head.strip() for head in lines[0].strip("|").split("|")]
    assert heads[:5] == ["model", "strategy", "aime24 Acc", "aime24 Tpi", "aime24 Tok"]
    assert heads[-1] == "average Acc"
    cells = [text.strip() for text in lines[2].strip("|").split("|")]
    assert cells[:2] == ["m", "cot"]
    assert cells[2].startswith("62.50 [")
    assert cells[2].endswith("] (8/8)")
    assert cells[3:5] == ["25.0", "100"]
    assert cells[-1].startswith("62.50 [")
    assert cells[-1].endswith("(16/16)")
    assert len(lines) == 6  # a legend after an empty line


def test_table_2_has_the_swept_knob_in_order():
    lines = render(sweep(), "md").splitlines()
    assert [line.split("|")[3].strip() for line in lines[:5:1] if "---" not in line] == ["tau", "0.2", "0.5", "0.9"]
    assert "aime24 Hard" in lines[0]
    assert "25.00" in lines[2]


def test_a_control_is_named_without_tau_and_the_threshold_with_it():
    knobs = {"name": "scale", "tau": 0.5, "random_share": 0.3}
    controls = [{**knobs, "route": route} for route in ("threshold", "system2", "random")]
    text = render([summarise(graded(ROWS, strategy=knobs)) for knobs in [{"name": "cot"}, *controls]], "md")
    names = [line.split("|")[2].strip() for line in text.splitlines()[2:6]]
    assert names == [
        "cot",
        "scale (route threshold, tau 0.5)",
        "scale (route system2)",
        r"scale (random\_share 0.3, route random)",
    ]


def test_the_papers_rows_stand_beside_ours():
    ours = [summarise(graded(ROWS, model="Qwen3-32B", strategy={"name": "scale", "tau": tau})) for tau in (0.5, 0.2)]
    text = render([*ours, *paper.beside(ours)], "md")
    assert "Qwen3-32B (paper)" in text
    assert "78.75 (240/240)" in text
    assert "as printed" in text
    assert "(paper)" not in text.splitlines()[2]
    assert "‡" not in text


def test_one_cell_is_shown_with_every_number():
    head = render([summarise(graded(ROWS))], "md").splitlines()[0]
    for name in ("Acc", "SE", "pass@2", "maj@2", "Tok solve", "Tok system2", "cached", "unanswered", "planned", "owed"):
        assert f" {name} " in head
    assert "cost" not in head


@pytest.mark.parametrize("layout", ["table1", "table2", "cells"])
def test_owed_attempts_are_marked_and_told(layout: str):
    found = summarise(cell([outcome("p0"), owed("p1")]))
    text = render([found], "md", layout)  # type: ignore[arg-type]
    assert "†" in text.splitlines()[2]
    assert "(1/2)" in text
    assert "Incomplete: 1 of 2 attempts are owed" in text


def test_left_out_failures_are_marked_and_told():
    found = summarise(cell([outcome("p0"), failed("p1")]), denominator="completed")
    text = render([found], "md", "table1")
    assert "‡" in text.splitlines()[2]
    assert "‡ Denominator completed" in text


def test_the_papers_rows_are_marked_where_attempts_were_left_out():
    rows = [row for row in paper.rows("table1") if (row.model, row.strategy) == ("QwQ", "scale")]
    line = render(rows, "md", "table1").splitlines()[2]
    assert "scale ‡" in line
    assert "79.40 (233/240)" in line


def test_two_runs_of_one_strategy_keep_rows_of_their_own():
    runs = [summarise(graded(ROWS, run=run)) for run in ("runs/a", "runs/b")]
    lines = render(runs, "md", "table1").splitlines()
    assert [line.split("|")[1].strip() for line in lines[:4] if "---" not in line] == ["run", "runs/a", "runs/b"]


def test_no_interval_is_without_width():
    for rows in ([[True], [True]], [[False] * 8] * 30, [[True, False]] * 6):
        found = summarise(graded(rows))
        assert found.acc_low is not None
        assert found.acc_high is not None
        assert found.acc_low < found.acc_high


def test_json_is_a_list_of_rows_with_shares():
    rows = json.loads(render([*sweep(), summarise(cell([owed()]))], "json", "table2"))
    needed = {"dataset", "strategy", "model", "acc", "acc_low", "acc_high", "acc_se", "tok", "tpi", "hard"}
    needed |= {"planned", "completed", "scored", "owed"}
    assert all(needed <= row.keys() for row in rows)
    assert rows[0]["acc"] == 0.625
    assert rows[0]["knobs"] == {"tau": 0.5}
    assert rows[0]["pass_at"]["2"] == 0.75
    assert rows[3]["acc"] is None
    assert json.loads(render([], "json")) == []


def test_csv_has_a_column_a_number_and_nothing_for_unknown():
    rows = list(csv.DictReader(io.StringIO(render([*sweep(), summarise(cell([owed()]))], "csv"))))
    assert rows[0]["acc"] == "0.625"
    assert rows[0]["knobs.tau"] == "0.5"
    assert rows[3]["acc"] == ""
    assert "tau" in render(sweep(), "csv", "table2").splitlines()[0]


HOSTILE = Grid(
    columns=[Column(name="a|b", group="g_1"), Column(name="n", group="g_1", number=True)],
    rows=[["<script>x</script>|`$\\[y](z) \x1b[1m\n\u202e& 50%_#{}", "1"], ["=cmd()", "-1"]],
    notes=["<b> & note_1"],
)


def test_markdown_is_escaped():
    lines = markdown(HOSTILE).splitlines()
    assert len(lines) == 6
    assert r"\<script\>x\</script\>\|\`\$\\[y\](z) [1m \& 50%\_\#{}" in lines[2]


def test_latex_is_escaped_and_has_booktabs_rules():
    text = latex(HOSTILE)
    assert r"\multicolumn{2}{c}{g\_1}" in text
    assert r"\cmidrule(lr){1-2}" in text
    assert r"\textless{}script\textgreater{}x" in text
    assert r"\textbackslash{}[y](z) [1m \& 50\%\_\#\{\} & 1 \\" in text
    assert text.count(r"\toprule") == text.count(r"\bottomrule") == 1
    assert "\x1b" not in text


def test_html_is_escaped_and_well_formed():
    seen: list[str] = []

    class Tags(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            seen.append(tag)

    Tags().feed(page(HOSTILE))
    assert "script" not in seen
    assert "b" not in seen
    assert (seen.count("tr"), seen.count("td"), seen.count("th")) == (4, 4, 3)


def test_csv_starts_no_formula():
    rows = list(csv.reader(io.StringIO(comma_separated(HOSTILE))))
    assert rows[2] == ["'=cmd()", "-1"]


@pytest.mark.parametrize("form", ["md", "latex", "html", "csv"])
@pytest.mark.parametrize("layout", ["auto", "table1", "table2", "cells"])
def test_every_layout_is_written_in_every_format(form: str, layout: str):
    for summaries in ([], two_strategies(), sweep()):
        assert render(summaries, form, layout)  # type: ignore[arg-type]
