"""The `scale` command, also as `python -m scale_reasoning`: Ctrl-C and SIGTERM, which job schedulers send, end it in
one line, while it still loads too.
"""

import os
import signal
import sys
from types import FrameType
from typing import NoReturn

INTERRUPTED = 130


def main() -> int:
    """The command's exit code."""
    own = signal.getsignal(signal.SIGINT) is signal.default_int_handler  # else it was started to ignore Ctrl-C
    if own:
        signal.signal(signal.SIGINT, _leave)
        signal.signal(signal.SIGTERM, _interrupt)
    from scale_reasoning.cli import main as command

    if own:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return command()
    except KeyboardInterrupt:
        _leave()
    finally:
        if own:
            signal.signal(signal.SIGINT, _leave)


def _interrupt(number: int, frame: FrameType | None) -> None:
    signal.raise_signal(signal.SIGINT)


def _leave(number: int = 0, frame: FrameType | None = None) -> NoReturn:
    os.write(2, b"scale: interrupted\n")
    os._exit(INTERRUPTED)


if __name__ == "__main__":
    sys.exit(main())
