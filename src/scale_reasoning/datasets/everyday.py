"""Thirty word problems of everyday life, of two to four operations: the project's own, so they ship with it."""

from __future__ import annotations

from pathlib import Path

from scale_reasoning.datasets import files
from scale_reasoning.datasets.dataset import Dataset, DatasetOptions, make_dataset
from scale_reasoning.datasets.rows import make_problems

FILE = Path(__file__).with_suffix(".jsonl")


def load(options: DatasetOptions) -> Dataset:
    """All of them, or the first `options.count`."""
    options.check("everyday")
    problems = make_problems(files.read(FILE), FILE.name, problem_field="problem", answer_field="answer")
    return make_dataset("everyday", problems, origin="scale-reasoning", count=options.count, facts={})
