"""The child process of `engines.llama`: one llama.cpp server on a free loopback port.

Decides every setting of llama.cpp, and that the process lives no longer than its standard input stays open: a parent
that dies, however it dies, leaves nothing behind. Refuses to know this package, so that it starts fast; reads one
line of settings, writes one line when it serves, logs errors to standard error.
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
"""Of Linux's prctl: which signal a process gets when its parent ends."""


class Settings(TypedDict):
    """What the parent decides; `window` is tokens a slot, prompt and reply together."""

    model: str
    name: str
    slots: int
    window: int
    threads: int
    key: str


class Ready(TypedDict):
    """Where the server listens, and the window a slot really has (never above the trained one)."""

    address: str
    window: int


def main() -> None:
    """Serves until standard input closes or a signal comes; never returns."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    if sys.platform == "linux":  # no thread of Python's runs while llama.cpp loads a model
        ctypes.CDLL(None).prctl(SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    settings: Settings = json.loads(sys.stdin.readline())
    threading.Thread(target=_leave_with_parent, daemon=True).start()
    llama_cpp = importlib.import_module("xllamacpp")
    try:
        server = llama_cpp.Server(_params(llama_cpp, settings))
    except RuntimeError:  # llama.cpp has logged the cause
        os._exit(1)
    address: str = server.listening_address
    ready = Ready(address=address, window=_window(address, settings["key"]))
    print(json.dumps(ready), flush=True)  # noqa: T201 the parent reads it
    while True:
        signal.pause()


def _leave_with_parent() -> None:
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
    params.fit_params = False  # tunes nothing that is not set here, and loads the model a second time
    params.n_parallel = settings["slots"]
    params.n_ctx = settings["slots"] * settings["window"]
    params.cpuparams.n_threads = settings["threads"]
    params.cpuparams_batch.n_threads = settings["threads"]
    params.use_jinja = True  # chat_template_kwargs
    params.cache_ram_mib = 1024  # prompts of slots that were taken by others; llama.cpp's own bound is 8 GiB
    # One seed, one reply, whatever runs beside it and whatever the cache holds: a shared cache depends on the
    # neighbours, and llama.cpp attends over 16- and 32-bit caches in an order that depends on how many tokens are
    # computed at once. Over an 8-bit cache it has one order only; it is also half the memory, and no slower.
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
