"""`scale serve`: strategies as model names for any OpenAI client. It prints to stderr only."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, cast

from scale_reasoning.cli import options
from scale_reasoning.cli.chosen import require_policy
from scale_reasoning.cli.options import Commands
from scale_reasoning.cli.reach import make_connection, name_connection
from scale_reasoning.strategies import STRATEGIES

if TYPE_CHECKING:
    from scale_reasoning.engines.connection import Connection
    from scale_reasoning.web.proxy.server import Settings


def add(commands: Commands) -> None:
    """Adds the verb."""
    parser = commands.add_parser(
        "serve",
        help="serve strategies as model names, over OpenAI's protocol",
        description=f"Serves {', '.join(f'MODEL@{name}' for name in STRATEGIES)}, and MODEL itself unchanged, to any "
        "OpenAI client. See docs/serving.md.",
    )
    group = parser.add_argument_group("server")
    add = group.add_argument
    add("--host", default="127.0.0.1", help="address to bind (default 127.0.0.1; others need --api-keys-file)")
    add("--port", type=int, default=9000, help="port, 0 for a free one (default 9000)")
    add("--api-keys-file", type=Path, metavar="FILE", help="keys of clients, one per line, # for comments")
    add("--max-concurrent", type=int, default=64, metavar="N", help="chats at a time (default 64)")
    add(
        "--max-connections",
        type=int,
        default=1000,
        metavar="N",
        help="connections of all clients together (default 1000)",
    )
    add("--max-calls", type=int, default=2000, metavar="N", help="refuse a request that could make more model "
        "calls (default 2000)")  # fmt: skip
    add("--max-body-bytes", type=int, default=4 * 2**20, metavar="N", help="bytes of a request (default 4 MiB)")
    add("--max-messages", type=int, default=512, metavar="N", help="messages of a request (default 512)")
    add("--token-budget", type=int, metavar="N", help="new tokens of all calls of a request (default: no limit)")
    add("--keep-alive-seconds", type=float, default=15.0, metavar="S", help="seconds between comments in a "
        "stream that waits (default 15)")  # fmt: skip
    add("--drain-seconds", type=float, default=30.0, metavar="S", help="seconds to finish requests after "
        "Ctrl-C or SIGTERM (default 30)")  # fmt: skip
    add("--policy", type=Path, metavar="FILE", help="serve the strategy that scale calibrate or tune wrote there, "
        "too, as MODEL@tuned")  # fmt: skip
    add("--lenient", action="store_true", help="let the plain model answer what a strategy cannot honour (tools, "
        "response_format), and say so in the header x-scale-lenient, in place of an error")  # fmt: skip
    add("--content", choices=("last", "all"), default="last", help="the content of an answer: the last step's "
        "solution, or those of all steps and the answer (default last; MODEL@scale:content=all)")  # fmt: skip
    add("--allow-origin", action="append", default=[], metavar="ORIGIN", help="let web pages of this origin use the "
        "server, like https://chat.example.com, or * for every page; once for each")  # fmt: skip
    add("--no-access-log", action="store_true", help="print no line per request")
    options.add_model(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Serves until it is stopped."""
    from scale_reasoning.web.proxy.gate import Limits, read_keys
    from scale_reasoning.web.proxy.server import Settings

    keys = read_keys(args.api_keys_file) if args.api_keys_file else ()
    connection = make_connection(options.read_model(args))
    tuned = None
    if args.policy is not None:
        connection = name_connection(connection)
        tuned = require_policy(args.policy, connection)
    settings = options.read(Settings, args, keys=keys, limits=options.read(Limits, args), tuned=tuned)
    log = _drop if args.no_access_log else _log
    with contextlib.suppress(asyncio.CancelledError):
        asyncio.run(_serve(connection, settings, log))
    return 0


async def _serve(connection: Connection, settings: Settings, log: Callable[[str], None]) -> None:
    """Serves until SIGTERM or Ctrl-C, then finishes requests in flight; a second signal ends at once."""
    from scale_reasoning.web.proxy.server import serving

    loop, task = asyncio.get_running_loop(), cast("asyncio.Task[None]", asyncio.current_task())
    async with serving(connection, settings, log=log, say=options.say) as served:
        for number in (signal.SIGTERM, signal.SIGINT):
            with contextlib.suppress(NotImplementedError):  # on Windows, where asyncio itself cancels the task
                loop.add_signal_handler(number, task.cancel)
        options.say(f"serving {', '.join(served.models)} on {served.base_url}")
        await asyncio.Event().wait()


def _log(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _drop(line: str) -> None:
    pass
