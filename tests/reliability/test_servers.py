"""Every row of docs/reliability.md's first table against a server that misbehaves so, through the shipped policies."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import ssl
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from tests.engines.faults import MODELS, TEXT, Faults, FaultServer, running
from tests.patience import TOO_LONG
from tests.reliability.pages import table

from scale_reasoning.cli.solve import choose_exit_code
from scale_reasoning.engines import Connection, connect
from scale_reasoning.engines.http import Timeouts
from scale_reasoning.engines.probe import MODEL, probe
from scale_reasoning.events import Event, Streamed
from scale_reasoning.journal import MemoryJournal
from scale_reasoning.lm import Strategy
from scale_reasoning.runs.attempt import attempt
from scale_reasoning.runs.outcome import outcome_of
from scale_reasoning.strategies.cot import CoT
from scale_reasoning.strategies.scale import Scale
from scale_reasoning.together import together
from scale_reasoning.types import Problem, Record

ROWS = table("Servers")
RETRIES, CANDIDATES = 1, 2
REQUESTS = {
    "-": 0,
    "1": 1,
    "2": 2,
    "1 + retries": 1 + RETRIES,
    "2 x (1 + retries)": 2 * (1 + RETRIES),
    "3 x candidates + 1": 3 * CANDIDATES + 1,
}
STRATEGIES: dict[str, Strategy] = {"ignores-schema": Scale(candidates=CANDIDATES)}
RETRIED = [name for name, row in ROWS.items() if "retries" in row["requests"] and not name.startswith("tls")]
KEY = "sk-secret-0123456789"


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What one attempt came to, and how often its server was asked."""

    record: Record
    requests: int
    events: list[Event]
    models: set[str | None] = field(default_factory=set[str | None])

    def row(self) -> dict[str, str]:
        """As the page puts it."""
        failure, outcome, tokens = self.record.failure, outcome_of(self.record), self.record.usage.total.prompt_tokens
        return {
            "exit": str(choose_exit_code(self.record)),
            "requests": str(self.requests),
            "failure": failure.kind if failure else "-",
            "blame": failure.blame if failure else "-",
            "counts as": "pending"
            if outcome.pending
            else {True: "right", False: "wrong", None: "ungraded"}[outcome.correct],
            "tokens": "null" if tokens is None else "counted" if tokens else "0",
        }

    def said(self) -> str:
        solution = self.record.solution
        return "; ".join(
            [self.record.failure.message if self.record.failure else "", *(solution.notes if solution else ())]
        )


async def attempted(base_url: str, model: str) -> Seen:
    """One attempt on a server, heard and kept as a run does it. Its requests are counted by whoever serves."""
    connection = Connection(
        model=model,
        base_url=base_url,
        server="generic",  # so that it is not asked what it is
        api_key=KEY,
        retries=RETRIES,
        timeouts=Timeouts(first_byte=1.0, silence=1.0),
    )
    journal, events = MemoryJournal(), list[Event]()
    async with connect(connection) as endpoints:
        record = await attempt(
            Problem(id="p", text="What is 3 x 4?", answer="12"),
            STRATEGIES.get(model, CoT()),
            endpoints,
            journal=journal,
            listener=events.append,
        )
    models = {completion.model for completion in journal.completions.values()}
    return Seen(record=record, requests=0, events=events, models=models)


async def on_the_bench(server: FaultServer, faults: Faults, name: str) -> Seen:
    seen = await attempted(server.base_url, name)
    return replace(seen, requests=faults.asked[name])


@asynccontextmanager
async def knocked_on(context: ssl.SSLContext | None = None) -> AsyncIterator[tuple[int, list[float]]]:
    """A server that hangs up on whoever comes, its port and when they came."""
    came = list[float]()

    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if context is None:
            came.append(time.monotonic())
        with contextlib.suppress(OSError):
            writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            writer.close()

    def shaken(*_: object) -> None:
        came.append(time.monotonic())

    if context is not None:
        context.sni_callback = shaken
    server = await asyncio.start_server(hang_up, "127.0.0.1", 0, ssl=context)
    async with server:
        yield server.sockets[0].getsockname()[1], came


async def without_tls(context: ssl.SSLContext | None = None) -> Seen:
    async with knocked_on(context) as (port, came):
        seen = await attempted(f"https://localhost:{port}/v1", "tls")
        return replace(seen, requests=len(came))


async def refused() -> Seen:
    async with knocked_on() as (port, _):
        pass
    return await attempted(f"http://127.0.0.1:{port}/v1", "refused")


def self_signed(folder: Path) -> ssl.SSLContext:
    """A certificate made here and now, for localhost; nobody knows its maker."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl makes the certificate")
    made = [folder / "key.pem", folder / "cert.pem"]
    asked = f"req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=localhost -keyout {made[0]} -out {made[1]}"
    subprocess.run([openssl, *asked.split()], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(made[1], made[0])
    return context


@dataclass(frozen=True, kw_only=True)
class Bench:
    """Every fault of the page seen once and, where it is asked about again, once more with a server that mends."""

    seen: dict[str, Seen]
    mended: dict[str, Seen]
    server: FaultServer
    elsewhere: FaultServer


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    async def run() -> Bench:
        async with AsyncExitStack() as stack:
            other = await stack.enter_async_context(running())
            faults = Faults(elsewhere=f"{other.base_url}/chat/completions")
            server = await stack.enter_async_context(running(faults))
            served = [name for name in ROWS if name in faults.faults]
            seen = together(on_the_bench(server, faults, name) for name in served)
            mended = together(on_the_bench(server, faults, f"{name}-then-ok") for name in RETRIED)
            (seen, mended) = await together([seen, mended])
            found = {**dict(zip(served, seen, strict=True)), "tls": await without_tls(), "refused": await refused()}
            return Bench(seen=found, mended=dict(zip(RETRIED, mended, strict=True)), server=server, elsewhere=other)

    return asyncio.run(run())


@pytest.mark.parametrize("name", ROWS)
def test_what_the_page_says_of_a_fault_is_what_happens(name: str, bench: Bench, tmp_path: Path) -> None:
    seen = bench.seen[name] if name != "tls-self-signed" else asyncio.run(without_tls(self_signed(tmp_path)))
    row = ROWS[name] | {"requests": str(REQUESTS[ROWS[name]["requests"]])}
    assert seen.row() == {column: row[column] for column in seen.row()}
    assert row["message"] in ("-", "") or row["message"] in seen.said()
    assert KEY not in repr(seen.record)


@pytest.mark.parametrize("name", RETRIED)
def test_a_fault_that_passes_leaves_nothing_behind(name: str, bench: Bench) -> None:
    mended = bench.mended[name]
    assert mended.record.failure is None
    assert mended.record.solution is not None
    assert mended.record.solution.steps[-1].text == TEXT
    assert mended.requests == 2
    deltas = [event.delta for event in mended.events if isinstance(event, Streamed)]
    begun = max((at for at, delta in enumerate(deltas) if delta.restarted), default=0)
    assert "".join(delta.text for delta in deltas[begun:]) == TEXT


def test_every_fault_class_has_its_row() -> None:
    classes = """429 429-for-a-second 500 502-html reset reset-in-stream stall-after-headers stall-in-stream slow-drip
        truncated malformed-event short-of-its-length past-its-length no-choices null-content length usage-missing
        other-model ignores-n ignores-schema thousands-of-models redirect tls"""
    assert set(classes.split()) <= ROWS.keys()


def test_retry_after_is_waited_for(bench: Bench) -> None:
    assert bench.mended["429-for-a-second"].record.seconds > 1
    assert bench.seen["429-for-hours"].record.seconds < TOO_LONG


def test_a_redirect_takes_neither_key_nor_prompt_to_another_host(bench: Bench) -> None:
    assert bench.elsewhere.paths == []


def test_the_name_of_the_model_that_answered_is_kept(bench: Bench) -> None:
    assert bench.seen["other-model"].models == {"tiny-1b"}


def test_no_request_asks_for_several_choices(bench: Bench) -> None:
    assert {key for body in bench.server.bodies for key in body} & {"n", "best_of"} == set()


def test_the_list_of_models_is_asked_for_once_and_only_where_a_model_is_unknown(bench: Bench) -> None:
    others = [path for path in bench.server.paths if path != "/v1/chat/completions"]
    assert others == ["/v1/models"]
    assert "the server has family-0/model-0, " in bench.seen["404"].said()


def test_of_thousands_of_models_doctor_shows_ten() -> None:
    async def run() -> str:
        async with running() as server:
            findings = await probe(Connection(model="thousands-of-models", base_url=server.base_url))
            return next(finding.found for finding in findings if finding.name.startswith(MODEL))

    found = asyncio.run(run())
    assert f"{len(MODELS):,}" in found
    assert sum(name in found.replace(",", " ").split() for name in MODELS) <= 10
    assert len(found) < 500
