"""A web page in a real Chromium before the proxy: it reads an answer and a stream if it is admitted, else nothing.

Needs Debian's chromium and the dependency group `browser`: `make test-browser`.
"""

from __future__ import annotations

import contextlib
import http.server
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from tests.patience import until
from tests.web.browser.test_viewer_pages import CHROMIUM, QUIET, elsewhere
from tests.web.proxies import MODEL, Proxy, proxied, serving

pytestmark = pytest.mark.browser

KEY = "of-the-page"
ASK = """async ([url, key, model, stream]) => {
  const headers = {"content-type": "application/json", "authorization": `Bearer ${key}`, "x-stainless-lang": "js"};
  const body = JSON.stringify({model, stream, messages: [{role: "user", content: "2 + 2?"}]});
  try {
    const answer = await fetch(`${url}/chat/completions`, {method: "POST", headers, body});
    return [answer.status, answer.headers.get("x-scale-seed"), await answer.text()];
  } catch (error) { return [0, null, String(error)]; }
}"""
SLIP = """async (url) => {
  const sent = await fetch(`${url}/files`, {method: "POST", mode: "no-cors", body: "x"}).catch((error) => error);
  return String(sent.type ?? sent);
}"""


class Page(http.server.BaseHTTPRequestHandler):
    """An empty page of another origin."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!doctype html><title>page</title>")

    def log_message(self, *_: Any) -> None:
        pass


@contextlib.contextmanager
def page_at(browser: Any) -> Iterator[tuple[Any, str]]:
    """An open page, and its origin."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    origin = f"http://localhost:{server.server_port}"
    page = browser.new_page()
    try:
        page.goto(origin)
        yield page, origin
    finally:
        page.close()
        server.shutdown()
        server.server_close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    sync_api = pytest.importorskip("playwright.sync_api")
    with sync_api.sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=CHROMIUM, args=list(QUIET))
        yield launched
        launched.close()


@contextlib.contextmanager
def proxy_for(*origins: str, keys: tuple[str, ...] = (KEY,)) -> Iterator[tuple[Proxy, list[str]]]:
    """A proxy that admits these origins, and the paths that its model server was asked for."""
    stack = contextlib.ExitStack()
    server = elsewhere(stack.enter_context, serving(models=[MODEL]))
    proxy = elsewhere(stack.enter_context, proxied(server.base_url, allow_origin=origins, keys=keys, server="generic"))
    try:
        yield proxy, server.paths
    finally:
        elsewhere(stack.close)


@pytest.mark.parametrize("streams", [False, True])
def test_a_page_that_is_admitted_reads_answers_and_their_headers(browser: Any, streams: bool) -> None:
    with page_at(browser) as (page, origin), proxy_for(origin) as (proxy, _):
        status, seed, text = page.evaluate(ASK, [proxy.base_url, KEY, f"{MODEL}@cot", streams])
        assert status == 200, text
        assert int(seed) >= 0
        assert "12" in text
        assert text.startswith("data: ") is streams
        assert page.evaluate(ASK, [proxy.base_url, "wrong", f"{MODEL}@cot", False])[0] == 401


@pytest.mark.parametrize("origins", [(), ("http://localhost:1",)])
def test_another_page_reads_nothing(browser: Any, origins: tuple[str, ...]) -> None:
    with page_at(browser) as (page, _), proxy_for(*origins) as (proxy, _):
        status, _, text = page.evaluate(ASK, [proxy.base_url, KEY, f"{MODEL}@cot", False])
        assert (status, "Failed to fetch" in text) == (0, True)
        assert not [line for line in proxy.log if " POST " in line]


def test_what_a_page_sends_without_asking_goes_no_further(browser: Any) -> None:
    with page_at(browser) as (page, _), proxy_for(keys=()) as (proxy, paths):
        assert page.evaluate(SLIP, proxy.base_url) == "opaque"
        until(lambda: bool(proxy.log))
        assert [line.split()[4:6] for line in proxy.log] == [["/v1/files", "403"]]
        assert "/v1/files" not in paths
