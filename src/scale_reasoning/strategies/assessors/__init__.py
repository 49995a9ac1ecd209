"""The table of assessors: how difficult a sub-problem is (paper, eq 3).

To add one: write assessors/x.py with a frozen dataclass, and give it a row here.
"""

from __future__ import annotations

from typing import Any

from scale_reasoning.strategies.assessors.agreement import Agreement
from scale_reasoning.strategies.assessors.calibrated import Calibrated
from scale_reasoning.strategies.assessors.drafted import Drafted
from scale_reasoning.strategies.assessors.expected import Expected
from scale_reasoning.strategies.assessors.rated import Rated

ASSESSORS: dict[str, type[Any]] = {
    "rated": Rated,
    "expected": Expected,
    "draft": Drafted,
    "agreement": Agreement,
    "calibrated": Calibrated,
}
