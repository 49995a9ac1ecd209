"""Options of this suite, and what all of its tests need."""

from __future__ import annotations

import gc
import os
import signal
import tempfile

import pytest
from hypothesis import settings
from tests.speed import ALL

settings.register_profile("few", max_examples=ALL // 4, deadline=None)
settings.register_profile("all", max_examples=ALL, deadline=None)
settings.load_profile("few")  # --hypothesis-profile=all is loaded after this file

# Where the suite was started to ignore Ctrl-C (in the background of a shell), its commands must end by it all the same.
signal.signal(signal.SIGINT, signal.default_int_handler)

# The suite sees none of the user's own defaults, and what other programs write there goes with it.
os.environ.pop("SCALE_MODEL", None)
CONFIGURATION = tempfile.TemporaryDirectory(prefix="scale-tests-")
os.environ["XDG_CONFIG_HOME"] = CONFIGURATION.name


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-transcripts", action="store_true", help="rewrite tests/transcripts/*.txt")


def pytest_collection_finish() -> None:
    gc.freeze()  # thousands of tests are held until the end: no garbage collection need look at them again
