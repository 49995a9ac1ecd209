"""Makes the student: `python -m student OUT`, three hours on two cores, and nothing may run beside it.

Train the skills, measure how often System 1 fails by kind of step, train the rating of difficulty on that, measure the
gates. Every part is left out that OUT has already, and a training goes on from its last checkpoint.
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
from scale_reasoning.engines import smollm2
from scale_reasoning.engines.student import ADAPTER, merge
from student.export import export
from student.gates import Asked, enough, examine, system1_failures, told
from student.mixes import RATINGS, SEEN, SKILLS, Mix, learned, rows
from student.rows import kind_of
from student.train import Schedule, Words, base, train, trees

EACH = 200
"""Held-out steps for every gate."""


def main() -> None:
    """Leaves the adapter in OUT/student.gguf, with --install in the package; the gates' figures in OUT/gates.json."""
    parser = argparse.ArgumentParser(prog="python -m student", description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--shipped", action="store_true", help="measure the gates of the package's adapter only")
    parser.add_argument("--install", action="store_true", help="put the adapter into the package")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    adapter, mixes = (ADAPTER, SEEN) if args.shipped else (made(args.out), (SKILLS, RATINGS))
    found = asyncio.run(examine(*_exam(adapter, args.out, "test", mixes)))
    (args.out / "gates.json").write_text(json.dumps({"figures": asdict(found), "gates": told(found)}, indent=1))
    for what, figure, wanted, met in told(found):
        print(f"{'' if met else 'NOT MET  '}{what}: {figure} {wanted}")
    if args.install:
        ADAPTER.write_bytes(adapter.read_bytes())


def made(out: Path) -> Path:
    """The adapter, made in `out`."""
    torch.set_num_threads(2)
    words, skills, student = Words(base()), out / "skills", out / "student"
    if not (out / "skills.gguf").exists():
        train(list(trees(rows(SKILLS, Teacher()), words, seed=0)), skills, Schedule(learning_rate=1.5e-3))
        export(skills, out / "skills.gguf")
    failing = _failing(out)
    if not (out / "student.gguf").exists():
        teacher = Teacher(difficulty=lambda turn: failing[kind_of(turn)])
        batches = list(trees(rows(RATINGS, teacher), words, seed=1))
        train(batches, student, Schedule(learning_rate=5e-4), adapter=skills)
        export(student, out / "student.gguf")
    return out / "student.gguf"


def _failing(out: Path) -> dict[str, float]:
    """How often System 1 fails by kind of step, on validation problems."""
    file = out / "failures.json"
    if not file.exists():
        exam = _exam(out / "skills.gguf", out, "validation", (SKILLS,))
        file.write_text(json.dumps(asyncio.run(system1_failures(*exam))))
    return json.loads(file.read_text())


def _exam(adapter: Path, out: Path, split: Split, mixes: Iterable[Mix]) -> tuple[Path, list[Asked], int]:
    """The model in the box with an adapter; what it is asked, none of it of the mixes' operations; how much."""
    merged = out / f"{adapter.stem}.merged.gguf"
    merge(smollm2.fetch(print), adapter, merged)
    return merged, enough(split, frozenset[Turn]().union(*map(learned, mixes)), EACH), EACH


if __name__ == "__main__":
    main()
