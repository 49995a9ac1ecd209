"""Tables in LaTeX: what papers need, and that a real LaTeX sets them without an error or an overfull line."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.report.cells import cell, graded, outcome, pending

from scale_reasoning.report.chain_votes import count_votes, mark_counted
from scale_reasoning.report.compare import compare
from scale_reasoning.report.compare_table import build_grid
from scale_reasoning.report.formats import Column, Grid
from scale_reasoning.report.latex import escape, write_latex
from scale_reasoning.report.metrics import Summary, summarise
from scale_reasoning.report.paper import select_rows
from scale_reasoning.report.tables import render
from scale_reasoning.types import Usage

QWEN = "Qwen/Qwen3-32B"
COT: dict[str, Any] = {"name": "cot"}
INFTY: dict[str, Any] = {"name": "inftythink"}


def scale(**more: Any) -> dict[str, Any]:
    return {"name": "scale", "route": {"name": "threshold", "tau": 0.2}, **more}


def rows(strategies: Sequence[dict[str, Any]], datasets: Sequence[str] = ("aime24",), **more: Any) -> list[Summary]:
    """A row per strategy; the later ones are right more often, and need more tokens."""
    usages = [Usage(completion_tokens=5000 + 1000 * place, prompt_tokens=1) for place in range(len(strategies))]
    return [
        summarise(
            cell(
                [
                    outcome(f"p{problem}", sample, correct=problem <= place, usage=usages[place])
                    for problem in range(6)
                    for sample in range(2)
                ],
                **{"model": QWEN, "dataset": dataset, "strategy": strategy, **more},
            ),
            row=place + 1,
        )
        for dataset in datasets
        for place, strategy in enumerate(strategies)
    ]


def body(text: str) -> list[list[str]]:
    """The cells of the rows between the middle rule and the bottom rule."""
    inside = text.partition("\\midrule\n")[2].partition("\\bottomrule")[0]
    return [line.removesuffix(r" \\").split(" & ") for line in inside.splitlines() if line != r"\midrule"]


def part(right: int, problems: int, **more: Any) -> Summary:
    """A row of 4 problems, of which the first `problems` are scored, and the first `right` right."""
    done = [outcome(f"p{n}", correct=n < right) for n in range(problems)]
    made = cell(
        [*done, *(pending(f"p{n}") for n in range(problems, 4))], **{"model": QWEN, "dataset": "aime24", **more}
    )
    return summarise(made, row=1)


@pytest.mark.parametrize("layout", ["table1", "table2", "cells"])
def test_an_incomplete_row_is_never_the_best(layout: Any) -> None:
    strategies = scale(), scale(candidates=2), scale(candidates=3)
    found = [part(*counts, strategy=each) for counts, each in zip([(1, 1), (3, 4), (2, 4)], strategies, strict=True)]
    bold = re.findall(r"\\textbf\{([\d.]+)\}", render(found, "latex", layout))
    assert "75.00" in bold
    assert "100.00" not in bold


def test_a_row_that_is_incomplete_on_one_dataset_may_be_the_best_on_another() -> None:
    found = [part(3, 4, strategy=COT), part(1, 1, strategy=COT, dataset="amc23")]
    found += [part(2, 4, strategy=INFTY, dataset=name) for name in ("aime24", "amc23")]
    text = render(found, "latex", "table1")
    assert re.findall(r"\\textbf\{([\d.]+)\}", text)[0] == "75.00"
    assert "{100.00}" not in text
    assert "{87.50}" not in text


def test_the_caption_speaks_of_bold_only_where_something_is() -> None:
    assert "bold" not in render(rows([COT]), "latex")
    assert "bold" not in render([part(1, 1, strategy=COT), part(2, 4, strategy=INFTY)], "latex")
    assert "Best in bold." in render(rows([COT, INFTY]), "latex")


def test_strategies_have_the_names_of_papers():
    text = render(rows([COT, INFTY, scale()]), "latex")
    assert [row[0] for row in body(text)] == ["CoT", "InftyThink", r"SCALE ($\tau = 0.2$)"]


def test_a_vote_is_named_by_its_chains():
    of_cot = {"name": "vote", "base": COT, "samples": 8}
    of_scale = {"name": "vote", "base": scale(), "samples": 4}
    text = render(rows([COT, of_cot, of_scale]), "latex")
    assert [row[0] for row in body(text)][1:] == ["Voting (maj@8)", r"Voting (maj@4 of SCALE, $\tau = 0.2$)"]


def test_modes_and_routes_that_make_another_method_are_in_the_name():
    quick, routes = {**COT, "mode": "system1"}, [scale(route={"name": name}) for name in ("system1", "system2")]
    votes = [{"name": "vote", "base": base, "samples": 8} for base in (quick, *routes)]
    text = render(rows([COT, quick, *routes, *votes]), "latex")
    assert [row[0] for row in body(text)] == [
        "CoT", "CoT (System 1)", "SCALE (all System 1)", "SCALE (all System 2)", "Voting (maj@8, System 1)",
        "Voting (maj@8 of SCALE, all System 1)", "Voting (maj@8 of SCALE, all System 2)",
    ]  # fmt: skip
    assert [row[0] for row in body(render(rows([quick]), "latex"))] == ["CoT (System 1)"]


def test_a_vote_that_is_counted_over_chains_is_named_as_one_that_was_paid():
    chains = graded([[True] * 8, [False] * 8], strategy=COT, model=QWEN)
    votes = count_votes(chains)
    assert votes is not None
    text = render([summarise(chains), mark_counted(summarise(votes))], "latex", "table1")
    assert [row[0] for row in body(text)] == ["CoT", "Voting (maj@8)"]
    assert "Voting: majority of 8 chains" in text


def test_an_option_that_differs_is_in_the_name():
    text = render(rows([COT, scale(), scale(candidates=2)]), "latex")
    assert [row[0] for row in body(text)][1:] == [
        r"SCALE ($\tau = 0.2$)", r"SCALE ($\tau = 0.2$, candidates = 2)"
    ]  # fmt: skip


def test_a_strategy_without_a_name_of_papers_keeps_its_own_and_its_options():
    cascades = [{"name": "cascade", "samples": samples} for samples in (4, 8)]
    text = render(rows([COT, *cascades]), "latex")
    assert [row[0] for row in body(text)] == ["CoT", "cascade (samples = 4)", "cascade (samples = 8)"]


def test_a_swept_threshold_is_a_column_with_its_symbol():
    routes = [{"name": "scale", "route": {"name": "threshold", "tau": tau}} for tau in (0.2, 0.5)]
    text = render(rows(routes), "latex")
    assert "$\\tau$ & Acc & Tok & Hard \\\\\n" in text
    assert [row[0] for row in body(text)] == ["0.2", "0.5"]


def test_what_all_rows_share_is_in_the_caption_and_rows_have_no_numbers():
    text = render(rows([COT, scale()], ["aime24", "amc23"]), "latex")
    (caption,) = re.findall(r"\\caption\{(.*)\}", text)
    assert "of Qwen3-32B on AIME24 and AMC23, 2 samples per problem. Best in bold." in caption
    assert "FOLDER" not in text
    assert r"\multicolumn{3}{c}{AIME24} & \multicolumn{3}{c}{AMC23}" in text
    assert r"\label{tab:scale}" in text


def test_rows_that_differ_only_in_their_run_keep_their_numbers():
    text = render([*rows([COT]), *rows([COT], run="runs/b")], "latex", "table1")
    assert [row[0] for row in body(text)] == ["runs/a:1", "runs/b:1"]


def test_the_best_number_of_a_column_is_bold_and_so_are_its_ties():
    text = render(rows([COT, scale(), scale(candidates=2)]), "latex", compact=True)
    assert [row[1:] for row in body(text)] == [
        ["16.67", r"\textbf{5.0}"], ["33.33", "6.0"], [r"\textbf{50.00}", "7.0"]
    ]  # fmt: skip
    grid = Grid(
        columns=[Column(name="x", number=True, best="high"), Column(name="y", number=True)],
        rows=[["10.00 [5, 15]", "1"], ["10.00 [6, 14]", "2"], ["9.99", "3"], ["unknown", "4"]],
    )
    bold = [row[0] for row in body(write_latex(grid))]
    assert bold == [r"\textbf{10.00} [5, 15]", r"\textbf{10.00} [6, 14]", "9.99", "unknown"]


def test_the_best_number_is_that_of_a_model_and_models_are_parted_by_a_rule():
    both = [*rows([COT, scale()]), *rows([COT, scale()], model="Qwen/QwQ-32B")]
    text = render(both, "latex", "table1")
    assert text.count(r"\textbf{33.33}") == 2
    assert text.count(r"\midrule") == 2
    assert "Best of each model in bold" in text


def test_numbers_have_minus_signs_and_names_have_hyphens():
    columns = [Column(name="model"), Column(name="B - A", number=True, best="high")]
    text = write_latex(Grid(columns=columns, rows=[["a -1 b-2", "-3.00 [-4.0, 5.0]"], ["c", "-6.00"]]))
    assert body(text) == [["a -1 b-2", r"\textbf{$-$3.00} [$-$4.0, 5.0]"], ["c", "$-$6.00"]]


def test_a_wide_table_spans_both_columns_of_a_page_and_a_narrow_one_is_not_made_smaller():
    wide, narrow = render(rows([COT]), "latex"), render(rows([COT, scale()]), "latex", compact=True)
    assert wide.startswith(r"\begin{table*}")
    assert r"\resizebox" in wide
    assert narrow.startswith(r"\begin{table}")
    assert r"\resizebox" not in narrow
    assert "% needs \\usepackage{booktabs}\n" in narrow


def test_a_number_that_nothing_is_compared_with_is_not_bold():
    assert r"\textbf" not in render(rows([COT]), "latex")


def test_a_compact_table_has_accuracy_and_tokens_alone():
    text = render(rows([COT, scale()], ["aime24", "amc23"]), "latex", compact=True)
    assert "[" not in "".join(map("".join, body(text)))
    assert "& Acc & Tok (k) & Acc & Tok (k) \\\\" in text
    assert r"\begin{table}" in text
    assert "thousands of response tokens" in text


def test_a_compact_table_in_markdown_has_a_legend_of_its_own():
    text = render(rows([COT, scale()]), "md", compact=True)
    assert "33.33 |" in text
    assert "Without --compact there are intervals and counts." in text


def test_papers_rows_are_in_a_compact_table_with_the_tokens_that_the_paper_counts():
    ours = rows([COT, scale()])
    text = render([*ours, *select_rows("table1", ours)], "latex", compact=True)
    assert "Qwen3-32B (paper)" in text
    assert "& Acc & Tok k" in text


@pytest.mark.parametrize(
    ("text", "tex"),
    [
        ("τ = 0.2", r"$\tau = 0.2$"),
        ("τ", r"$\tau$"),
        ("50 % of a_b & #1", r"50 \% of a\_b \& \#1"),
        ("--compact", "-{}-compact"),
        ("2 × 3", r"2 $\times$ 3"),
        ("a\nb\x1b[1m", "a b [1m"),
        ('say "x"', "say ''x''"),
    ],
)
def test_text_is_escaped(text: str, tex: str):
    assert escape(text) == tex


def test_letters_that_only_newer_engines_know_are_named():
    grid = Grid(columns=[Column(name="x")], rows=[["問題 é"]])
    assert "% pdflatex does not know 問 題: use lualatex or xelatex" in write_latex(grid)
    assert "pdflatex" not in write_latex(Grid(columns=[Column(name="x")], rows=[["é τ × †"]]))


def test_a_label_has_only_what_label_takes():
    assert r"\label{tab:my-table-2-}" in write_latex(Grid(columns=[], rows=[]), "tab:my_table 2%")


HOSTILE = Grid(
    columns=[Column(name="a|b", group="g_1"), Column(name="n", group="g_1", number=True, best="high")],
    rows=[["<script>x</script>|`$\\[y](z) \x1b[1m\n\u202e& 50%_#{}^~\"'--", "1"], ["[x] * é ü", "-1"], ["*", "2"]],
    notes=["<b> & note_1 \\input{/etc/passwd} %", "τ = 0.2, † ‡ \u2013 \u2014 … ≤ ≥ → \u2212 \u2019 ±"],
)
FIVE = [COT, INFTY, scale(), {"name": "vote", "base": COT, "samples": 8}, {"name": "scale", "route": "system2"}]
PREAMBLE = r"\documentclass[twocolumn]{article}\usepackage{booktabs,graphicx}\begin{document}Text."


def compiled(tables: Sequence[str], folder: Path) -> str:
    """LaTeX's log of a paper of two columns with these tables."""
    if shutil.which("pdflatex") is None:
        pytest.skip("no pdflatex: make test-latex installs it")
    (folder / "paper.tex").write_text("\n".join([PREAMBLE, *tables, r"\end{document}"]), encoding="utf-8")
    words = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "-no-shell-escape", "paper.tex"]
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, errors="replace", check=False)
    assert done.returncode == 0, done.stdout[-3000:]
    assert (folder / "paper.pdf").stat().st_size > 1000
    return done.stdout


@pytest.mark.latex
@pytest.mark.parametrize("layout", ["auto", "table1", "table2", "cells"])
def test_latex_sets_every_layout(layout: Any, tmp_path: Path):
    shown = rows(FIVE, ["aime24", "aime25", "amc23"])
    shown.append(summarise(cell([pending()], model=QWEN, dataset="aime24", strategy=scale(candidates=2)), row=6))
    log = compiled([render(shown, "latex", layout), render(rows([COT]), "latex", layout)], tmp_path)
    assert "Overfull" not in log


@pytest.mark.latex
def test_a_compact_table_fits_a_column(tmp_path: Path):
    log = compiled([render(rows(FIVE, ["aime24", "aime25", "amc23"]), "latex", compact=True)], tmp_path)
    assert "Overfull" not in log


@pytest.mark.latex
def test_latex_sets_text_that_nobody_expects(tmp_path: Path):
    compiled([write_latex(HOSTILE, "tab:a_b#1")], tmp_path)


@pytest.mark.latex
def test_latex_sets_a_comparison(tmp_path: Path):
    a, b = (graded([[True, False]] * 4, run=f"runs/long_name_{x}", model=QWEN) for x in "ab")
    compiled([write_latex(build_grid([compare(a, b)]))], tmp_path)
