"""Makes the student: `python -m student OUT`, two hours on two cores with --anew, and nothing may run beside it.

Train the skills (or take student/skills, where an earlier training got to), measure how often System 1 fails by kind of
step, train the rating of difficulty on that, measure the gates. Every part is left out that OUT has already.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from dataclasses import asdict
from pathlib import Path

import torch

from scale_reasoning.datasets.chains import Split, Turn
from scale_reasoning.engines import smollm2
from scale_reasoning.engines.student import ADAPTER, merge
from scale_reasoning.engines.teacher import Teacher
from student.export import export
from student.gates import Asked, enough, examine, system1_failures, told
from student.rows import RATINGS, SEEN, SKILLS, kind_of, learned, rows
from student.train import Schedule, Words, base, train, trees

SKILLED = Path(__file__).with_name("skills")
EACH = 200
"""Held-out steps of each kind."""


def main() -> None:
    """Leaves the adapter in OUT/student.gguf, and with --install in the package."""
    parser = argparse.ArgumentParser(prog="python -m student", description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--anew", action="store_true", help="train the skills, too")
    parser.add_argument("--install", action="store_true", help="put the adapter into the package")
    args = parser.parse_args()
    torch.set_num_threads(2)
    words, skills, student = Words(base()), args.out / "skills" if args.anew else SKILLED, args.out / "student"
    if not (args.out / "skills.gguf").exists():
        args.out.mkdir(parents=True, exist_ok=True)
        if args.anew:
            train(list(trees(rows(SKILLS, Teacher()), words, seed=0)), skills, Schedule(learning_rate=1.5e-3))
        export(skills, args.out / "skills.gguf")
    failing = _failing(args.out)
    if not (args.out / "student.gguf").exists():
        teacher = Teacher(difficulty=lambda turn: failing[kind_of(turn)])
        batches = list(trees(rows(RATINGS, teacher), words, seed=1))
        train(batches, student, Schedule(learning_rate=5e-4), adapter=skills)
        export(student, args.out / "student.gguf")
    found = asyncio.run(examine(*_exam(args.out / "student.gguf", "test", EACH)))
    (args.out / "gates.json").write_text(json.dumps({"figures": asdict(found), "gates": told(found)}, indent=1))
    for what, figure, wanted, met in told(found):
        print(f"{'' if met else 'NOT MET  '}{what}: {figure} {wanted}")
    if args.install:
        ADAPTER.write_bytes((args.out / "student.gguf").read_bytes())


def _failing(out: Path) -> dict[str, float]:
    """How often System 1 fails by kind of step, on validation problems."""
    file = out / "failures.json"
    if not file.exists():
        file.write_text(json.dumps(asyncio.run(system1_failures(*_exam(out / "skills.gguf", "validation", EACH // 2)))))
    return json.loads(file.read_text())


def _exam(adapter: Path, split: Split, each: int) -> tuple[Path, list[Asked], int]:
    """The model in the box with an adapter, what it is asked, how much of each kind."""
    merged = adapter.with_suffix(".merged.gguf")
    merge(smollm2.fetch(print), adapter, merged)
    taught = frozenset[Turn]().union(*map(learned, (SKILLS, RATINGS, *SEEN)))
    return merged, enough(split, taught, each), each


if __name__ == "__main__":
    main()
