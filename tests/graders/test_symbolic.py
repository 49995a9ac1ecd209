import asyncio
import json
import os
import pickle
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.patience import ends_in_time

from scale_reasoning.errors import GradeError
from scale_reasoning.graders.symbolic import Symbolic
from scale_reasoning.graders.workers import Workers
from scale_reasoning.types import Grade, Problem, Solution

SHARED = Path(os.environ.get("SCALE_SHARED", Path(__file__).parents[2] / "../shared"))
CASES = SHARED / "data" / "grading_cases.jsonl"
ENDLESS = "9^{9^{9}}"


@pytest.fixture(scope="module")
def symbolic() -> Iterator[Symbolic]:
    grader = Symbolic(timeout_seconds=5)
    yield grader
    asyncio.run(grader.close())


def same(grader: Symbolic, gold: str, response: str) -> bool:
    return asyncio.run(grader.same(gold, response)).correct


@pytest.mark.parametrize(
    ("gold", "response"),
    [
        (r"2\sqrt{2}", r"\sqrt{8}"),
        (r"2\sqrt{2}", "sqrt(8)"),
        (r"\frac{\pi}{2}", "pi/2"),
        ("x^{n+1}", "x**(n+1)"),
        ("x^2-1", "(x-1)*(x+1)"),
        ("3, 5, 7", "7, 3, 5"),
        (r"3 \pm 2\sqrt{2}", r"3-2\sqrt2, 3+2\sqrt2"),
        (r"(-\infty, 2) \cup (3, \infty)", r"(3,\infty)\cup(-\infty,2)"),
        (r"\begin{pmatrix} 1/5 \\ 2 \end{pmatrix}", r"\begin{pmatrix} 0.2 \\ 2 \end{pmatrix}"),
        ("6-5i", "-5 i + 6"),
        (r"\frac{1}{3}", "0.33333333"),
        (r"\frac{2}{7}", r"\frac{2}{7} \approx 0.2857"),
        ("x > 2", "2 < x"),
        ("3x+y=2", "y=2-3x"),
        ("p=1, q=2; p=3, q=4", r"p=1, q=2 \text{ and } p=3, q=4"),
        ("6", r"We get \boxed{5}, no, \boxed{6}."),
        ("7", r"I had \boxed{5}. Final answer: the final answer is $7$."),
        ("1/4", r"Therefore the probability is $\frac{1}{4}$."),
        (r"\boxed{1} and \boxed{2}", r"\boxed{2,1}"),
        ("42", "<think>\\boxed{41}</think>It is \\boxed{42}."),
    ],
)
def test_equal_mathematics_is_correct(symbolic: Symbolic, gold: str, response: str):
    assert same(symbolic, gold, response)


@pytest.mark.parametrize(
    ("gold", "response"),
    [
        ("[0,1)", "(0,1)"),
        ("(2,4)", "(4,2)"),
        (r"\sqrt{2}", "1.414"),
        ("73", "73 or 74"),
        ("x > 2", "x < 2"),
        ("2x+z=1", "1"),
        (r"1-\frac{1}{e}", r"1+\frac{1}{\mathrm{e}}"),
        ("2", r"2\mathrm{e}"),
        ("1/2004!", "1/2006!"),
        (".0000672", "0.0000671"),
        ("52_8", "52_9"),
        ("52", "52_8"),
        ("6", r"\boxed{6} and \boxed{7}"),
        ("42", "<think>\\boxed{42}</think>It is \\boxed{43}."),
        ("42", "<think>It is \\boxed{42}, I"),
        ("42", ""),
        ("42", r"\boxed{4"),
    ],
)
def test_different_mathematics_is_wrong(symbolic: Symbolic, gold: str, response: str):
    assert not same(symbolic, gold, response)


def test_boxes_merge_only_when_asked(symbolic: Symbolic):
    response = r"\boxed{6} and \boxed{7}"
    assert not same(symbolic, "6, 7", response)
    assert asyncio.run(symbolic.same("6, 7", response, boxes="listed")).correct
    apart = r"Step one gives \boxed{6}, which means that we have \boxed{7}"
    assert asyncio.run(symbolic.same("7", apart, boxes="listed")).correct


def test_what_is_looked_for_may_be_narrowed(symbolic: Symbolic):
    assert asyncio.run(symbolic.same("2,5", "it is 2.5 kg", match_types=["expr"])).correct
    assert not asyncio.run(symbolic.same("$7$", "it is 7", match_types=["latex"])).correct


def test_a_solution_is_graded_by_its_answer(symbolic: Symbolic):
    problem = Problem(id="p", text="?", answer=r"\frac{1}{2}")
    grade = asyncio.run(symbolic.grade(problem, Solution(answer="0.5")))
    assert grade == Grade(correct=True, grader="symbolic")
    with pytest.raises(GradeError, match="'p' has no gold answer"):
        asyncio.run(symbolic.grade(Problem(id="p", text="?"), Solution(answer="0.5")))


def test_an_answer_without_end_is_wrong_after_the_time_out():
    async def grade() -> tuple[Grade, Grade]:
        async with Symbolic(timeout_seconds=0.5, workers=1) as grader:
            return await grader.same("5", ENDLESS), await grader.same("2", r"\sqrt{4}")

    endless, next_one = asyncio.run(grade())
    assert endless == Grade(correct=False, grader="symbolic", reason="grading took over 0.5 s")
    assert next_one.correct


@pytest.mark.slow
def test_a_few_endless_answers_leave_the_rest_right():
    answers = [ENDLESS if index % 40 == 0 else rf"\sqrt{{{index * index}}}" for index in range(1, 121)]

    async def grade_all() -> list[Grade]:
        async with Symbolic(timeout_seconds=3) as grader, asyncio.TaskGroup() as group:
            tasks = [group.create_task(grader.same(str(i), answer)) for i, answer in enumerate(answers, 1)]
        return [task.result() for task in tasks]

    grades = asyncio.run(grade_all())
    assert [grade.correct for grade in grades] == [answer != ENDLESS for answer in answers]


def test_a_numeral_needs_no_worker():
    async def grade() -> Grade:
        return await Symbolic(timeout_seconds=1e-6).same("0.5", r"\frac12")

    assert asyncio.run(grade()).correct


def test_a_long_answer_is_refused(symbolic: Symbolic):
    answer = "1+" * 500_000 + "1"
    grade = asyncio.run(symbolic.grade(Problem(id="p", text="?", answer="5"), Solution(answer=answer)))
    assert grade.reason == "the answer has more than 2000 characters"
    assert not same(symbolic, "5", rf"\boxed{{{answer}}}")


def test_a_grader_outlives_the_loop_and_its_own_closing(symbolic: Symbolic):
    assert same(symbolic, "2", r"\sqrt{4}")
    asyncio.run(symbolic.close())
    assert same(symbolic, "2", r"\sqrt{4}")


def test_a_grader_is_pickled_by_its_settings():
    grader = pickle.loads(pickle.dumps(Symbolic(timeout_seconds=1.5, workers=3)))
    assert grader == Symbolic(timeout_seconds=1.5, workers=3)


def test_a_worker_that_cannot_start_is_an_error_that_names_it():
    workers = Workers("no.such.module:name", count=1, timeout_seconds=1)
    with pytest.raises(GradeError, match=r"no\.such\.module:name did not start"):
        asyncio.run(workers.call(1))


def test_importing_the_graders_imports_no_algebra():
    code = (
        "import sys, scale_reasoning.graders; sys.exit(any(name in sys.modules for name in ('sympy', 'math_verify')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_workers_die_with_their_parent():
    code = f"""
import asyncio, os, pathlib, signal
from scale_reasoning.graders.symbolic import Symbolic
async def main():
    grader = Symbolic(timeout_seconds=1, workers=1)
    await grader.same("2", r"\\sqrt{{4}}")
    task = asyncio.ensure_future(grader.same("2", "{ENDLESS}"))
    await asyncio.sleep(0.2)
    print(*(path.read_text() for path in pathlib.Path("/proc/self/task").glob("*/children")), flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
asyncio.run(main())
"""
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert said.stderr == ""
    worker = Path("/proc") / said.stdout.split()[0]
    deadline = time.monotonic() + 5
    while running(worker) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not running(worker)


def running(process: Path) -> bool:
    try:
        return process.joinpath("stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.mark.slow
@pytest.mark.skipif(not CASES.exists(), reason="the public cases are not beside the repository")
def test_the_public_cases_are_agreed_with(symbolic: Symbolic):
    cases = [case for line in CASES.read_text().splitlines() if not (case := json.loads(line)).get("conflict")]
    agreed = [case for case in cases if agrees(symbolic, case, "last")]
    others = [case for case in cases if case not in agreed]
    merging = [case for case in others if agrees(symbolic, case, "listed")]
    assert all(case["response"].count("boxed") > 1 for case in merging)
    assert len(agreed) + len(merging) >= 0.98 * len(cases)


def agrees(grader: Symbolic, case: dict, boxes: str) -> bool:
    assumed = {key: case["params"][key] for key in ("match_types", "precision") if key in case.get("params", {})}
    with ends_in_time(time.monotonic):
        grade = asyncio.run(grader.same(case["gold"], case["response"], boxes=boxes, **assumed))
    return grade.correct == case["expected"]
