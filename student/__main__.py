"""Trains the student: `python -m student OUT` takes three hours on two cores, with nothing else running.

Trains the skills, measures how often System 1 fails by kind of step, trains the rating of difficulty on that, and
measures the gates. A part that OUT already has is skipped, and a training resumes from its last checkpoint.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

import torch

from scale_reasoning.arithmetic.chains import Split, Turn
from scale_reasoning.arithmetic.teacher import Teacher
from scale_reasoning.engines.catalogue import SMOLLM2
from scale_reasoning.engines.fetching import Reporter, fetch
from scale_reasoning.engines.student import ADAPTER, merge
from student.export import export
from student.gates import ExamProblem, check_gates, choose_problems, examine, system1_failures
from student.mixes import RATINGS, SEEN, SKILLS, Mix, list_turns, make_groups
from student.rows import kind_of
from student.train import RowTokenizer, Schedule, base, make_trees, train

EACH = 200
"""Held-out steps per gate."""


def main() -> None:
    """Writes the adapter to OUT/student.gguf, with --install also into the package, and the gates to OUT/gates.json."""
    parser = argparse.ArgumentParser(prog="python -m student", description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--shipped", action="store_true", help="measure the gates of the package's adapter only")
    parser.add_argument("--install", action="store_true", help="put the adapter into the package")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    adapter, mixes = (ADAPTER, SEEN) if args.shipped else (make_adapter(args.out), (SKILLS, RATINGS))
    found = asyncio.run(examine(*_exam(adapter, args.out, "test", mixes)))
    (args.out / "gates.json").write_text(json.dumps({"figures": asdict(found), "gates": check_gates(found)}, indent=1))
    for what, figure, wanted, met in check_gates(found):
        print(f"{'' if met else 'NOT MET  '}{what}: {figure} {wanted}")
    if args.install:
        ADAPTER.write_bytes(adapter.read_bytes())


def make_adapter(out: Path) -> Path:
    """Trains the adapter in `out`, and returns its file."""
    torch.set_num_threads(2)
    words, skills, student = RowTokenizer(base()), out / "skills", out / "student"
    if not (out / "skills.gguf").exists():
        train(list(make_trees(make_groups(SKILLS, Teacher()), words, seed=0)), skills, Schedule(learning_rate=1.5e-3))
        export(skills, out / "skills.gguf")
    failing = _measure_failures(out)
    if not (out / "student.gguf").exists():
        teacher = Teacher(difficulty=lambda turn: failing[kind_of(turn)])
        batches = list(make_trees(make_groups(RATINGS, teacher), words, seed=1))
        train(batches, student, Schedule(learning_rate=5e-4), adapter=skills)
        export(student, out / "student.gguf")
    return out / "student.gguf"


def _measure_failures(out: Path) -> dict[str, float]:
    """How often System 1 fails by kind of step, on validation problems."""
    file = out / "failures.json"
    if not file.exists():
        exam = _exam(out / "skills.gguf", out, "validation", (SKILLS,))
        file.write_text(json.dumps(asyncio.run(system1_failures(*exam))))
    return json.loads(file.read_text())


def _exam(adapter: Path, out: Path, split: Split, mixes: Iterable[Mix]) -> tuple[Path, list[ExamProblem], int]:
    """The embedded model with an adapter; problems with operations that are in no row of the mixes; steps per gate."""
    merged = out / f"{adapter.stem}.merged.gguf"
    merge(fetch(SMOLLM2, Reporter(say=print)), adapter, merged)
    return merged, choose_problems(split, frozenset[Turn]().union(*map(list_turns, mixes)), EACH), EACH


if __name__ == "__main__":
    main()
