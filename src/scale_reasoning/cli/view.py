"""`scale view`: runs as pages in the browser, or as files to send to someone."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import time
import webbrowser
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from scale_reasoning.cli.options import Commands, say
from scale_reasoning.cli.runs import find_default
from scale_reasoning.errors import ConfigError

if TYPE_CHECKING:
    from scale_reasoning.web.viewer.shelf import Shelf


def add(commands: Commands) -> None:
    """Adds the verb."""
    parser = commands.add_parser(
        "view",
        help="look at runs in a browser",
        description="Serves stored runs as pages until Ctrl-C, and opens the browser where there is one; a run in "
        "progress updates by itself. Exit codes: 0 done, 2 usage or configuration, 130 Ctrl-C.",
    )
    parser.add_argument("runs", nargs="*", type=Path, metavar="RUN", help="a run's folder, or a folder of runs "
                        "(default: runs)")  # fmt: skip
    parser.add_argument("--html", type=Path, metavar="DIR", help="write the pages into a new folder instead")
    parser.add_argument("--host", default="127.0.0.1", help="address to bind (default 127.0.0.1: this machine only)")
    parser.add_argument("--port", type=int, default=0, metavar="N", help="port to bind (default: a free one)")
    parser.add_argument("--no-browser", action="store_true", help="print the address, open nothing")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Serves the pages, or writes them into a folder."""
    try:
        from scale_reasoning.web.viewer.export import export
        from scale_reasoning.web.viewer.shelf import Shelf
    except ImportError as error:
        raise ConfigError(f"scale view needs {error.name}: pip install 'scale-reasoning[view]'") from error
    if not 0 <= args.port <= 65535:
        raise ConfigError(f"--port {args.port}: must be from 0 (a free one) to 65535")
    shelf = Shelf(dict.fromkeys(args.runs or [find_default("view")]))
    if args.html is None:
        asyncio.run(_serve(shelf, args.host, args.port, browser=not args.no_browser))
        return 0
    try:
        with _showing() as tell:
            count = export(shelf, args.html, tell)
    finally:
        shelf.close()
    print(f"{count} pages in {args.html}", file=sys.stderr)
    print(args.html / "index.html", flush=True)
    return 0


@contextmanager
def _showing() -> Generator[Callable[[int, int], None]]:
    """Shows how far an export is: a line that is redrawn on a terminal, a new line now and then elsewhere."""
    from rich.console import Console
    from rich.text import Text

    from scale_reasoning.cli.progress import SECONDS_BETWEEN_LINES, redraw

    console = Console(stderr=True, highlight=False, soft_wrap=not sys.stderr.isatty())
    shown, printed_at = Text("no page written yet"), time.monotonic()

    def tell(written: int, left: int) -> None:
        nonlocal shown, printed_at
        shown = Text(f"{written:,} pages written, {left:,} known to follow")
        if not console.is_terminal and time.monotonic() - printed_at > SECONDS_BETWEEN_LINES:
            printed_at = time.monotonic()
            console.print(shown)

    with redraw(console, lambda: shown):
        yield tell


async def _serve(shelf: Shelf, host: str, port: int, *, browser: bool) -> None:
    from scale_reasoning.web.proxy.gate import is_loopback
    from scale_reasoning.web.viewer.server import serving

    async with serving(shelf, host=host, port=port) as address:
        print(address, flush=True)
        if not is_loopback(host):
            say("anyone who reaches this machine can read these runs: there is no password")
        if browser and _has_browser():
            await asyncio.to_thread(webbrowser.open, address)
        await asyncio.Event().wait()


def _has_browser() -> bool:
    """Whether there is a screen: a text browser would take over this terminal."""
    return sys.platform in ("darwin", "win32") or any(os.environ.get(k) for k in ("DISPLAY", "WAYLAND_DISPLAY"))
