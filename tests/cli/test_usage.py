"""What the command line says of itself: `scale` alone, wrong flags, problems without quotes."""

from __future__ import annotations

import json
import shlex
import subprocess
from pathlib import Path

import pytest
from tests.commands import scale
from tests.servers import serving

from scale_reasoning.cli import _parse, usage


def test_scale_alone_says_what_it_is_what_to_try_and_what_is_set_up() -> None:
    done = scale()
    assert done.returncode == 0
    for expected in ("scale example", "scale solve", "scale doctor", "qwen2.5-coder-1.5b", "Server   none", "Extras"):
        assert expected in done.stdout
    assert all(len(line) <= 120 for line in done.stdout.splitlines())


def test_scale_alone_does_not_print_the_url_of_a_server() -> None:
    assert "secret" not in scale(env={"OPENAI_BASE_URL": "http://me:secret@127.0.0.1:1/v1"}).stdout


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["eval", "x.jsonl", "--sampels", "3"], "scale eval: error: unknown: --sampels 3 (did you mean --samples?)"),
        (["solve", "x", "--zzz=3"], "scale solve: error: unknown: --zzz=3"),
        (["report", "--format", "docx", "x"], "argument --format: not 'docx' but one of terminal, md"),
        (["plot"], "scale plot: error: the following arguments are required: KIND"),
        (["evl"], "scale: error: argument COMMAND: not 'evl' (did you mean eval?) but one of solve,"),
    ],
)
def test_a_wrong_command_line_is_answered_in_two_lines(words: list[str], says: str) -> None:
    done = scale(*words)
    error, hint = done.stderr.splitlines()
    assert done.returncode == 2
    assert says in error
    assert hint.startswith("See scale")
    assert hint.endswith("--help.")


@pytest.mark.parametrize(
    ("words", "stdin", "problem"),
    [
        (["What", "is", "2", "+", "3?"], "", "What is 2 + 3?"),
        (["17", "-", "5"], "", "17 - 5"),
        (["-1/2", "+", "1"], "", "-1/2 + 1"),
        ([], "What is 2 + 3?\n", "What is 2 + 3?"),
        (["-"], "What is 2 + 3?\n", "What is 2 + 3?"),
    ],
)
def test_a_problem_needs_no_quotes_and_no_dash(words: list[str], stdin: str, problem: str) -> None:
    with serving() as server:
        at = ("--base-url", server.base_url, "--model", "m", "--strategy", "cot", "--quiet", "--json")
        done = scale("solve", *words, *at, stdin=stdin)
    assert done.returncode == 0, done.stderr
    assert server.bodies[0]["messages"][0]["content"].startswith(problem)
    assert json.loads(done.stdout)["solution"]["answer"] == "12"


def test_no_problem_at_all_is_refused() -> None:
    done = scale("solve", "--strategy", "cot", "--model", "m", "--base-url", "http://127.0.0.1:9/v1")
    assert done.returncode == 2
    assert "the problem is empty" in done.stderr


EXAMPLES = usage.list_examples()


def test_every_verb_has_examples_and_a_page_and_no_other_has() -> None:
    verbs = scale("--help").stdout
    listed = {line.split()[0] for line in verbs.splitlines() if line.startswith("    ") and line[4:5].isalpha()}
    assert set(EXAMPLES) == listed


@pytest.mark.parametrize("verb", EXAMPLES)
def test_the_examples_of_a_verb_are_in_its_help_and_can_be_read(verb: str) -> None:
    done = scale(verb, "--help")
    assert done.returncode == 0
    assert (Path("docs") / EXAMPLES[verb]["page"]).is_file()
    for line in EXAMPLES[verb]["try"]:
        assert f"  {line}\n" in done.stdout
        words = shlex.split(line.partition("<")[0].partition(">")[0])
        _parse(words[1:])


def test_the_first_line_of_a_long_help_names_what_a_verb_needs() -> None:
    assert scale("eval", "--help").stdout.splitlines()[0] == "usage: scale eval [options] [what ...]"
    assert scale("plot", "--help").stdout.splitlines()[0] == "usage: scale plot [options] KIND [RUN ...]"


@pytest.mark.parametrize("shell", ["bash", "zsh", "tcsh"])
def test_a_shell_gets_a_completion_with_every_verb(shell: str) -> None:
    done = scale("completion", shell)
    assert done.returncode == 0
    assert all(verb in done.stdout for verb in EXAMPLES)


def test_bash_completes_verbs_flags_and_names(tmp_path: Path) -> None:
    file = tmp_path / "scale.bash"
    file.write_text(scale("completion", "bash").stdout)
    asked = (("re", "report"), ("eval --lik", "--like"), ("list ", "families"))
    for line, expected in asked:
        words = ["scale", *line.split(" ")]
        program = f'source {file}; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _shtab_scale; echo "${{COMPREPLY[@]}}"'
        done = subprocess.run(["bash", "-c", program, "-", *words], capture_output=True, text=True, check=True)
        assert expected in done.stdout.split()
