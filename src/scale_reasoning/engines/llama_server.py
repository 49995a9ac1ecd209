"""The child process of `engines.llama`: one llama.cpp server on a free loopback port.

Decides all settings of llama.cpp. Ends when its standard input closes, so that it never outlives its parent. Imports
nothing of this package, so that it starts fast. Reads one line of settings, writes one line when it serves, and logs
errors to standard error.
"""

from __future__ import annotations

import ctypes
import http.client
import importlib
import json
import os
import signal
import sys
import threading
from typing import Any, TypedDict

SET_PDEATHSIG = 1
"""prctl's option on Linux: the signal that a process gets when its parent ends."""


class Settings(TypedDict):
    """The parent's decisions; `window` is tokens per slot, prompt and reply together."""

    model: str
    name: str
    slots: int
    window: int
    threads: int
    key: str


class Ready(TypedDict):
    """The server's address, and the actual window of a slot (never above the trained one)."""

    address: str
    window: int


def main() -> None:
    """Serves until standard input closes or a signal comes; never returns."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    if sys.platform == "linux":  # no Python thread runs while llama.cpp loads a model
        ctypes.CDLL(None).prctl(SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    settings: Settings = json.loads(sys.stdin.readline())
    threading.Thread(target=_end_with_parent, daemon=True).start()
    llama_cpp = importlib.import_module("xllamacpp")
    try:
        server = llama_cpp.Server(_params(llama_cpp, settings))
    except RuntimeError:  # llama.cpp has logged the cause
        os._exit(1)
    address: str = server.listening_address
    ready = Ready(address=address, window=_window(address, settings["key"]))
    print(json.dumps(ready), flush=True)  # noqa: T201 the parent reads it
    threading.Event().wait()  # signal.pause, which Windows lacks


def _end_with_parent() -> None:
    sys.stdin.read()
    os._exit(0)  # destroying the server with a request in flight deadlocks


def _params(llama_cpp: Any, settings: Settings) -> Any:
    params = llama_cpp.CommonParams()
    params.model.path = settings["model"]
    params.model_alias = {settings["name"]}
    params.api_keys = [settings["key"]]
    params.port = 0
    params.ui = False
    params.endpoint_slots = False
    params.verbosity = 1  # errors only
    params.fit_params = False  # it changes no option that is set here, and loads the model a second time
    params.n_parallel = settings["slots"]
    params.n_ctx = settings["slots"] * settings["window"]
    params.cpuparams.n_threads = settings["threads"]
    params.cpuparams_batch.n_threads = settings["threads"]
    params.use_jinja = True  # chat_template_kwargs
    params.cache_ram_mib = 1024  # prompts of slots that other requests took; llama.cpp's default is 8 GiB
    # One seed must give one reply, with any concurrent requests and any content of the cache. A shared cache depends on
    # other requests, and over 16- and 32-bit caches llama.cpp attends in an order that depends on the number of tokens
    # computed at once. Over an 8-bit cache there is one order only; it also needs half the memory and is no slower.
    params.kv_unified = False
    params.flash_attn_type = llama_cpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_ENABLED
    params.cache_type_k = params.cache_type_v = llama_cpp.ggml_type.GGML_TYPE_Q8_0
    return params


def _window(address: str, key: str) -> int:
    connection = http.client.HTTPConnection(address.removeprefix("http://"), timeout=10)
    connection.request("GET", "/props", headers={"Authorization": f"Bearer {key}"})
    props = json.load(connection.getresponse())
    connection.close()
    return int(props["default_generation_settings"]["n_ctx"])


if __name__ == "__main__":
    main()
