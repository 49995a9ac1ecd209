"""What a worker may be given to do, for tests of how it is limited."""

import time
from pathlib import Path

from scale_reasoning.types import JSON


def spin(seconds: JSON) -> JSON:
    """Uses that much processor time."""
    if isinstance(seconds, float):
        start = time.process_time()
        while time.process_time() - start < seconds:
            pass
    return "done"


def sleep(seconds: JSON) -> JSON:
    """Uses no processor time."""
    if isinstance(seconds, float):
        time.sleep(seconds)
    return "done"


def stall(case: JSON) -> JSON:
    """Sleeps over whatever it is given."""
    return sleep(60.0 if case is not None else None)


def sleep_once(marker: JSON) -> JSON:
    """Sleeps for ever, but only the first time that it sees this file."""
    if isinstance(marker, str) and not Path(marker).exists():
        Path(marker).touch()
        time.sleep(60)
    return "done"


def fill(megabytes: JSON) -> JSON:
    """Takes that much memory."""
    return len(bytearray(megabytes << 20)) if isinstance(megabytes, int) else None
