"""`scale serve`: strategies as model names for any OpenAI client. Everything it says goes to stderr."""

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
from scale_reasoning.cli.options import Commands
from scale_reasoning.strategies import STRATEGIES

if TYPE_CHECKING:
    from scale_reasoning.engines import Connection
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
    add("--api-keys-file", type=Path, metavar="FILE", help="clients' keys, one a line, # for comments")
    add("--max-concurrent", type=int, default=64, metavar="N", help="chats at a time (default 64)")
    add("--max-connections", type=int, default=1000, metavar="N", help="of all clients together (default 1000)")
    add("--max-calls", type=int, default=2000, metavar="N", help="model calls that one request could make at most; a "
        "request that could make more is refused (default 2000)")  # fmt: skip
    add("--max-body-bytes", type=int, default=4 * 2**20, metavar="N", help="of a request (default 4 MiB)")
    add("--max-messages", type=int, default=512, metavar="N", help="of a request (default 512)")
    add("--token-budget", type=int, metavar="N", help="new tokens of all calls of a request (default: any)")
    add("--keep-alive-seconds", type=float, default=15.0, metavar="S", help="seconds between comments in a stream "
        "that waits (default 15)")  # fmt: skip
    add("--drain-seconds", type=float, default=30.0, metavar="S", help="for requests in flight at the end "
        "(default 30)")  # fmt: skip
    add("--no-access-log", action="store_true", help="no line for each request")
    options.add_connection(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Serves."""
    from scale_reasoning.web.proxy.gate import Limits, read_keys
    from scale_reasoning.web.proxy.server import Settings

    settings = Settings(
        host=args.host,
        port=args.port,
        keys=read_keys(args.api_keys_file) if args.api_keys_file else (),
        limits=Limits(
            max_concurrent=args.max_concurrent,
            max_connections=args.max_connections,
            max_calls=args.max_calls,
            max_body_bytes=args.max_body_bytes,
            max_messages=args.max_messages,
            token_budget=args.token_budget,
        ),
        keep_alive_seconds=args.keep_alive_seconds,
        drain_seconds=args.drain_seconds,
    )
    log = _say_nothing if args.no_access_log else _say
    with contextlib.suppress(asyncio.CancelledError):
        asyncio.run(_serve(options.connection(args), settings, log))
    return 0


async def _serve(connection: Connection, settings: Settings, log: Callable[[str], None]) -> None:
    """Serves until SIGTERM or Ctrl-C, which drain; a second one does not wait."""
    from scale_reasoning.web.proxy.server import serving

    loop, task = asyncio.get_running_loop(), cast("asyncio.Task[None]", asyncio.current_task())
    async with serving(connection, settings, log=log, say=lambda line: _say(f"scale: {line}")) as served:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, task.cancel)
        _say(f"scale: serving {', '.join(served.models)} on {served.base_url}")
        await asyncio.Event().wait()


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _say_nothing(line: str) -> None:
    pass
