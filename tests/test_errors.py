"""The exception tree: words that stay what records carry, and errors that cross a process unharmed."""

from __future__ import annotations

import pickle

import pytest

from scale_reasoning import errors
from scale_reasoning.errors import ContextOverflow, Overloaded, ParseError, Rejected, ScaleError, TimedOut

TREE = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, ScaleError)]

SAID = {
    Overloaded: ("busy", 7.0, 503),
    Rejected: ("no", 404),
    ContextOverflow: ("long", 12, 10),
    ParseError: ("odd", ("{", "}")),
}


@pytest.mark.parametrize("kind", TREE)
def test_an_error_crosses_a_process_with_all_it_says(kind: type[ScaleError]) -> None:
    error = kind(*SAID.get(kind, ("what happened",)))
    copy = pickle.loads(pickle.dumps(error))
    assert (type(copy), str(copy), copy.args, vars(copy)) == (kind, str(error), error.args, vars(error))


def test_records_call_a_time_out_unreachable() -> None:
    assert (TimedOut.kind, TimedOut.blame) == ("unreachable", "world")
