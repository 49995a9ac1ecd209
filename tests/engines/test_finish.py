from __future__ import annotations

import pytest

from scale_reasoning.engines.finish import ENDINGS, ending, failure_message, normalize_reason


@pytest.mark.parametrize("name", ENDINGS)
def test_every_reason_is_known_in_any_spelling(name: str) -> None:
    for spelled in (name, name.upper(), name.replace("_", "-"), f"FinishReason.{name.upper()}", f" {name}"):
        assert ending(spelled) == ENDINGS[name]
        gave_up = ENDINGS[name] in ("gave up", "filtered")
        assert (failure_message(spelled, "HOST") is not None) == gave_up
        assert normalize_reason(spelled) == (spelled if gave_up else ENDINGS[name])


def test_other_reasons_stay_as_they_came() -> None:
    assert [normalize_reason(reason) for reason in ("tool_calls", "Repetition", "", None)] == [
        "tool_calls",
        "Repetition",
        None,
        None,
    ]
    assert failure_message("tool_calls", "HOST") is failure_message("", "HOST") is failure_message(None, "HOST") is None


@pytest.mark.parametrize(
    "reason",
    ["engine_error", "OTHER_ERROR", "request-failed", "MALFORMED_RESPONSE", "FinishReason.UPSTREAM_TIMEOUT",
     "timed_out", "server_overloaded", "aborted_by_server", "output_blocked", "moderation_block", "LANGUAGE"],
)  # fmt: skip
def test_a_new_reason_that_speaks_of_a_failure_is_no_ending_of_the_models(reason: str) -> None:
    assert failure_message(reason, "HOST") is not None
