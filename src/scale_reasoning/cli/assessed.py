"""`scale report --assessor`: whether difficulties say that System 1 fails. report.assessors decides the numbers."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

from scale_reasoning.cli.output import make_writers, write_text
from scale_reasoning.cli.report import refuse_flags_of_tables
from scale_reasoning.cli.runs import split_name
from scale_reasoning.errors import ConfigError

if TYPE_CHECKING:
    from scale_reasoning.report.assessors.lines import AssessedCell


def report_assessors(args: argparse.Namespace) -> int:
    """Prints how good assessors are; 1 where attempts are pending."""
    from scale_reasoning.report.assessors.lines import measure_assessors
    from scale_reasoning.report.assessors.table import render_assessed
    from scale_reasoning.report.assessors.truths import SYSTEM2

    refuse_flags_of_tables(args, "--assessor")
    if args.losses or args.answers:
        raise ConfigError(f"--assessor has its own table, so leave out {'--losses' if args.losses else '--answers'}")
    truth = args.truth or SYSTEM2
    found = measure_assessors(read_all_assessed(args.names, truth), truth, args.seed)
    write_text(render_assessed(found, args.format, make_writers(args.out)), args.out)
    return 1 if found.pending else 0


def read_all_assessed(names: Sequence[str], truth: str) -> list[AssessedCell]:
    """The steps of several FOLDER or FOLDER:N, each once. Raises ConfigError if none has drafts and assessments."""
    from scale_reasoning.report.assessors.lines import read_assessed

    cells = [each for name in dict.fromkeys(names) for each in read_assessed(*split_name(name), truth)]
    if not any(each.found.assessors for each in cells):
        reasons = dict.fromkeys(why for each in cells for why in each.found.left_out)
        why = f" ({'; '.join(reasons)})" if reasons else ""
        raise ConfigError(f"no step can be compared{why}: scale draft RUN --out NEW makes drafts and assessments of a "
                          "run's steps; then name NEW here")  # fmt: skip
    return cells
