from __future__ import annotations

import csv
import io
import json
from html.parser import HTMLParser
from typing import Any

import pytest
from tests.report.cells import cell, failed, graded, outcome, pending

from scale_reasoning.prices import Price, make_uniform
from scale_reasoning.report import paper
from scale_reasoning.report.cost import Costing
from scale_reasoning.report.formats import Column, Grid, write_csv, write_html, write_markdown
from scale_reasoning.report.latex import write_latex
from scale_reasoning.report.metrics import Summary, summarise
from scale_reasoning.report.tables import Layout, render
from scale_reasoning.types import Usage

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


def test_table_2_has_the_swept_option_in_order():
    lines = render(sweep(), "md").splitlines()
    assert [line.split("|")[3].strip() for line in lines[:5:1] if "---" not in line] == ["tau", "0.2", "0.5", "0.9"]
    assert "aime24 Hard" in lines[0]
    assert "25.00" in lines[2]


def test_a_control_is_named_without_tau_and_the_threshold_with_it():
    options = {"name": "scale", "tau": 0.5, "random_share": 0.3}
    controls = [{**options, "route": route} for route in ("threshold", "system2", "random")]
    text = render([summarise(graded(ROWS, strategy=options)) for options in [{"name": "cot"}, *controls]], "md")
    names = [line.split("|")[2].strip() for line in text.splitlines()[2:6]]
    assert names == [
        "cot",
        "scale (route threshold, tau 0.5)",
        "scale (route system2)",
        "scale (route random, share 0.3)",
    ]


def test_the_papers_rows_stand_beside_ours():
    ours = [summarise(graded(ROWS, model="Qwen3-32B", strategy={"name": "scale", "tau": tau})) for tau in (0.5, 0.2)]
    text = render([*ours, *paper.find_counterparts(ours)], "md")
    assert "Qwen3-32B (paper)" in text
    assert "78.75 (240/240)" in text
    assert "as printed" in text
    assert "(paper)" not in text.splitlines()[2]
    assert "‡" not in text


def shown(text: str) -> list[list[str]]:
    """The cells of a Markdown table, its heading first."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in (lines[0], *lines[2:])]


def column(text: str, name: str) -> list[str]:
    head, *lines = shown(text)
    return [line[head.index(name)] for line in lines]


@pytest.mark.parametrize("layout", ["auto", "table1", "table2", "cells"])
@pytest.mark.parametrize("form", ["md", "csv"])
def test_rows_are_numbered_in_every_layout(layout: str, form: str):
    found = [
        summarise(graded(ROWS, strategy={"name": "scale", "tau": tau}, dataset=dataset), row=row)
        for row, tau in enumerate((0.9, 0.2, 0.5), 1)
        for dataset in ("aime24", "aime25")
    ]
    text = render(found, form, layout)  # type: ignore[arg-type]
    lines = shown(text) if form == "md" else list(csv.reader(io.StringIO(text)))
    head, *rest = lines
    numbered = [line[head.index("row")] for line in rest]
    wanted = {"auto": ["2", "3", "1"], "table1": ["1", "2", "3"], "table2": ["2", "3", "1"]}
    several = ["1", "1", "2", "2", "3", "3"]
    assert numbered == (several if layout == "cells" or (form, layout) == ("csv", "auto") else wanted[layout])


def test_rows_of_several_runs_are_named_as_compare_takes_them():
    found = [summarise(graded(ROWS, run=run), row=2) for run in ("runs/a", "runs/b")]
    assert column(render(found, "md", "table1"), "row") == ["runs/a:2", "runs/b:2"]
    apart = [
        summarise(graded(ROWS, run="runs/a"), row=1),
        summarise(graded(ROWS, run="runs/b", dataset="aime25"), row=4),
    ]
    assert column(render(apart, "md", "table1"), "row") == ["runs/a:1, runs/b:4"]


def test_cells_on_other_datasets_share_a_line_only_where_their_settings_agree():
    found = [
        summarise(graded(ROWS, strategy={"name": "scale", "tau": tau}, dataset=dataset))
        for tau, dataset in ((0.2, "aime24"), (0.5, "aime25"))
    ]
    assert column(render(found, "md", "table1"), "strategy") == ["scale (tau 0.2)", "scale (tau 0.5)"]


def test_one_dataset_has_no_average_and_several_have_one():
    alone = render([summarise(graded(ROWS, strategy={"name": name})) for name in ("cot", "scale")], "md", "table1")
    assert "average" not in alone
    assert "average Acc" in render(two_strategies(), "md", "table1")


UNCOUNTED = Usage(prompt_tokens=50, completion_tokens=None)


def uncounted(missing: int, of: int, **more: Any) -> Summary:
    outcomes = [
        outcome(f"p{n}", usage=UNCOUNTED, by_stage={"solve": UNCOUNTED}) if n < missing else outcome(f"p{n}")
        for n in range(of)
    ]
    return summarise(cell(outcomes), **more)


def test_what_the_server_did_not_report_says_unknown_and_how_often():
    text = render([uncounted(1, 24)], "md", "cells")
    for name in ("Tok", "Tpi", "Tok solve", "cached"):
        assert column(text, name) == ["unknown"]
    assert column(text, "prompt") == ["50.0"]
    assert "unknown: the server reported no response tokens for 1 of 24 attempts." in text
    assert column(render([uncounted(1, 24)], "md", "table1"), "aime24 Tok") == ["unknown"]
    assert "unknown" not in render([uncounted(0, 24)], "md", "cells")


def test_columns_of_which_nothing_is_known_stay():
    text = render([uncounted(3, 3)], "md", "cells")
    assert column(text, "Tok") == column(text, "cached") == ["unknown"]
    for name in ("Tok", "Tpi", "Hard", "prompt", "cached", "steps", "truncated"):
        assert column(render([summarise(cell([pending()]))], "md", "cells"), name) == ["-"]


def test_a_cost_that_was_asked_for_stays_and_says_unknown():
    costing = Costing(prices=make_uniform(Price(prompt=1, cached=0.1, completion=4), "--prices"))
    names: dict[Layout, str] = {"table1": "aime24 cost", "table2": "aime24 cost", "cells": "cost"}
    for layout, name in names.items():
        assert column(render([uncounted(1, 4, costing=costing)], "md", layout), name) == ["unknown"]
    assert "cost" not in shown(render([uncounted(1, 4)], "md", "cells"))[0]


def test_accuracy_without_gold_answers_is_unknown():
    text = render([summarise(cell([outcome(correct=None, answer="7")]))], "md", "cells")
    assert column(text, "Acc") == ["unknown"]


@pytest.mark.parametrize("layout", ["table1", "table2", "cells"])
def test_the_papers_tokens_stand_under_those_of_the_sub_problems_beside_ours(layout: str):
    ask, all_ = Usage(completion_tokens=70), Usage(completion_tokens=100)
    outcomes = [
        outcome(f"p{n}", usage=all_, by_stage={"decompose": Usage(completion_tokens=30), "solve": ask})
        for n in range(3)
    ]
    ours = summarise(cell(outcomes, model="Qwen/Qwen3-32B"))
    theirs = [row for row in paper.find_counterparts([ours]) if row.strategy == "scale"]
    text = render([ours, *theirs], "md", layout)  # type: ignore[arg-type]
    group = "" if layout == "cells" else "aime24 "
    assert column(text, f"{group}Tok") == ["100", "-"]
    assert column(text, f"{group}Tok solve") == ["70.0", "25581"]
    if layout != "table2":
        assert column(text, f"{group}Tpi") == ["25.0", "-"]
        assert column(text, f"{group}Tpi solve") == ["17.5", "3550"]
    assert "count only the responses to sub-problems" in text
    assert "Tok solve" not in render([ours], "md", "table1")


def test_pass_at_1_is_acc_whatever_the_denominator():
    outcomes = [outcome("p0", j, correct=j > 0) for j in range(4)]
    outcomes += [failed("p1", 0), failed("p1", 1), outcome("p1", 2), outcome("p1", 3, correct=False)]
    for denominator in ("planned", "completed"):
        text = render([summarise(cell(outcomes), denominator=denominator)], "md", "cells")  # type: ignore[arg-type]
        assert column(text, "Acc")[0].split()[0] == column(text, "pass@1")[0] == column(text, "maj@1")[0]
    assert "weighs the remaining attempts equally" in text


def test_one_cell_is_shown_with_every_number():
    head = render([summarise(graded(ROWS))], "md").splitlines()[0]
    for name in (
        "Acc",
        "SE",
        "pass@2",
        "maj@2",
        "Tok solve",
        "Tok system2",
        "cached",
        "unanswered",
        "planned",
        "pending",
    ):
        assert f" {name} " in head
    assert "cost" not in head


@pytest.mark.parametrize("layout", ["table1", "table2", "cells"])
def test_pending_attempts_are_marked_and_told(layout: str):
    found = summarise(cell([outcome("p0"), pending("p1")]))
    text = render([found], "md", layout)  # type: ignore[arg-type]
    assert "†" in text.splitlines()[2]
    assert "(1/2)" in text
    assert "Incomplete: 1 of 2 attempts are pending" in text


def test_left_out_failures_are_marked_and_told():
    found = summarise(cell([outcome("p0"), failed("p1")]), denominator="completed")
    text = render([found], "md", "table1")
    assert "‡" in text.splitlines()[2]
    assert "‡ Denominator completed" in text


def test_the_papers_rows_are_marked_where_attempts_were_left_out():
    rows = [row for row in paper.read_rows("table1") if (row.model, row.strategy) == ("QwQ", "scale")]
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
    rows = json.loads(render([*sweep(), summarise(cell([pending()]))], "json", "table2"))
    needed = {"dataset", "strategy", "model", "acc", "acc_low", "acc_high", "acc_se", "tok", "tpi", "hard"}
    needed |= {"planned", "completed", "scored", "owed"}
    assert all(needed <= row.keys() for row in rows)
    assert rows[0]["acc"] == 0.625
    assert rows[0]["knobs"] == {"tau": 0.5}
    assert rows[0]["pass_at"]["2"] == 0.75
    assert rows[3]["acc"] is None
    assert json.loads(render([], "json")) == []


def test_csv_has_a_column_a_number_and_nothing_for_unknown():
    rows = list(csv.DictReader(io.StringIO(render([*sweep(), summarise(cell([pending()]))], "csv"))))
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
    lines = write_markdown(HOSTILE).splitlines()
    assert len(lines) == 6
    assert r"\<script\>x\</script\>\|\`\$\\[y\](z) [1m \& 50%\_\#{}" in lines[2]


def test_latex_is_escaped_and_has_booktabs_rules():
    text = write_latex(HOSTILE)
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

    Tags().feed(write_html(HOSTILE))
    assert "script" not in seen
    assert "b" not in seen
    assert (seen.count("tr"), seen.count("td"), seen.count("th")) == (4, 4, 3)


def test_csv_starts_no_formula():
    rows = list(csv.reader(io.StringIO(write_csv(HOSTILE))))
    assert rows[2] == ["'=cmd()", "-1"]


@pytest.mark.parametrize("form", ["md", "latex", "html", "csv"])
@pytest.mark.parametrize("layout", ["auto", "table1", "table2", "cells"])
def test_every_layout_is_written_in_every_format(form: str, layout: str):
    for summaries in ([], two_strategies(), sweep()):
        assert render(summaries, form, layout)  # type: ignore[arg-type]
