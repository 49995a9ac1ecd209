"""How long Table 1 takes on how many GPUs: the shipped strategies and scheduler on the simulator's virtual clock.

    python benchmarks/capacity.py                                      # the table of docs/scale-out.md
    python benchmarks/capacity.py --slots 48 --decode-rate 30          # at your own rates
    python benchmarks/capacity.py --model QwQ --gpus 8 64

Table 1 is four strategies on 100 problems with 8 samples. Lengths are log-normal, and an attempt is as long, and SCALE
has as many steps, as the paper's on average (but for InftyThink with QwQ on AIME: its bounds here do not let it be). A
GPU answers so many requests at a time (slots), each at so many tokens a second. Reading prompts takes no time of its
own: rates measured under load have it in them. All times are then tokens over a rate, so one simulation serves every
rate.
"""

from __future__ import annotations

import argparse
import asyncio
import math
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from statistics import NormalDist

from scale_reasoning.engines import endpoints
from scale_reasoning.engines.limit import Fixed, Slots
from scale_reasoning.engines.policy import Limited
from scale_reasoning.engines.sim import Sim, Speeds, run_virtual
from scale_reasoning.report import paper
from scale_reasoning.runs.manifest import CellSpec, DatasetSpec, Manifest, ModelSpec
from scale_reasoning.runs.run import run
from scale_reasoning.types import Completion, OnDelta, Problem, Record, Request

GPUS = (1, 2, 4, 8, 16, 32)
SPREAD = 0.6
"""Sigma of the lengths."""
SYSTEM1_TOKENS = 500
"""Of an easy step, and of a summary."""
HARD = 0.8
"""Steps above tau = 0.2: the simulator draws difficulties evenly. The paper has 0.76."""
ROUNDS, ROUND_TOKENS = 10, 4096
"""InftyThink's bounds, here and by default."""
STRATEGIES = {"cot": {}, "inftythink": {}, "vote": {}, "scale": {"tau": 0.2}}
SIM = ModelSpec(model="sim")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """What a GPU does: so many requests at a time, each so many new tokens a second."""

    name: str
    slots: int
    decode: float


RATES = (
    Rate(name="low", slots=32, decode=20),
    Rate(name="middle", slots=32, decode=35),
    Rate(name="high", slots=64, decode=32),
)
"""640, 1,120 and 2,048 tokens a second; docs/scale-out.md says where these come from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lengths:
    """The paper's, for a model: tokens an attempt by dataset and strategy, and SCALE's steps by dataset."""

    tokens: Mapping[tuple[str, str], float]
    steps: Mapping[str, float]


def lengths_of(model: str) -> Lengths:
    rows = [row for row in paper.read_rows("table1") if row.model == model]
    return Lengths(
        tokens={(row.dataset, row.strategy): row.tok or 0 for row in rows},
        steps={row.dataset: row.steps or 0 for row in rows if row.strategy == "scale"},
    )


def medians(lengths: Lengths, dataset: str) -> dict[str, float]:
    """Of a thinking reply by strategy, so that an attempt comes to the paper's tokens."""
    step = lengths.tokens[dataset, "scale"] / lengths.steps[dataset]
    rounds = lengths.tokens[dataset, "inftythink"]
    # A round that reaches its limit is summarised and followed by another: how many must?
    share = next(each / 1000 for each in range(1, 1000) if infinite(each / 1000) >= rounds or each == 999)
    of_mean = math.exp(-(SPREAD**2) / 2)
    return {
        "cot": lengths.tokens[dataset, "cot"] * of_mean,
        "scale": (step - (1 - HARD) * SYSTEM1_TOKENS) / HARD * of_mean,
        "inftythink": ROUND_TOKENS * math.exp(SPREAD * NormalDist().inv_cdf(share)),
    }


def infinite(share: float) -> float:
    """Tokens of an attempt of InftyThink when this share of its rounds reaches the limit."""
    full = sum(share**n for n in range(1, ROUNDS + 1))
    last = (1 - share**ROUNDS) * 0.65 * ROUND_TOKENS
    return full * (ROUND_TOKENS + SYSTEM1_TOKENS) + last


class Server:
    """Answers as the simulator does, a token a second, at the lengths of the dataset and the strategy that a request
    shows itself to be of. A decomposition has as many steps as the paper's, one more or one less.
    """

    def __init__(self, lengths: Lengths) -> None:
        self.lengths = lengths
        speeds = Speeds(
            slots=10**9, prefill_tokens_per_second=math.inf, decode_tokens_per_second=1, spread=SPREAD,
            system1_median_tokens=round(SYSTEM1_TOKENS * math.exp(-(SPREAD**2) / 2)),
        )  # fmt: skip
        self.sims = {
            (dataset, strategy): Sim(replace(speeds, system2_median_tokens=round(length)))
            for dataset in paper.PROBLEMS
            for strategy, length in medians(lengths, dataset).items()
        }

    async def generate(self, request: Request, on_delta: OnDelta | None = None) -> Completion:
        said = next(message.content for message in request.messages if message.role == "user")
        dataset = next(name for name in paper.PROBLEMS if f"{name} problem" in said)
        completion = await self.sims[dataset, strategy_of(request)].generate(request, on_delta)
        if request.schema is None or request.schema.name != "decomposition":
            return completion
        chance = random.Random(request.seed)
        count = math.floor(self.lengths.steps[dataset] + chance.random()) + chance.randint(-1, 1)
        parts = ", ".join(f'"sub-problem {n} of {chance.random()}"' for n in range(1, count + 1))
        return replace(completion, text=f'{{"subproblems": [{parts}]}}')


def strategy_of(request: Request) -> str:
    """A vote's chain is a chain of thought."""
    if request.messages[0].role == "system":
        return "scale"
    return "inftythink" if (request.max_tokens or 0) <= ROUND_TOKENS else "cot"


class Unkept:
    """What a run asks of its store, but for keeping anything: sums of tokens are enough."""

    def __init__(self, manifest: Manifest) -> None:
        self.manifest, self.tokens = manifest, Counter[int]()

    def problems(self, dataset: str) -> list[Problem]:
        return [Problem(id=f"{dataset}-{n}", text=f"{dataset} problem {n}") for n in range(paper.PROBLEMS[dataset])]

    def done(self) -> set[tuple[int, str, int]]:
        return set()

    async def save(self, cell: int, record: Record) -> None:
        self.tokens[cell] += record.usage.total.completion_tokens or 0

    async def get(self, key: str, request: Request) -> None:
        return None

    async def put(self, key: str, request: Request, completion: Completion) -> None:
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulated:
    """What a run came to: `seconds` at a token a second a slot, and new tokens by dataset and strategy."""

    seconds: float
    tokens: Mapping[tuple[str, str], int]


def simulate(slots: int, lengths: Lengths, samples: int, attempts_in_flight: int) -> Simulated:
    """Table 1 on so many slots."""
    asked = [(dataset, strategy) for dataset in paper.PROBLEMS for strategy in STRATEGIES]
    cells = tuple(
        CellSpec(dataset=DatasetSpec(name=dataset), model=SIM, strategy={"name": strategy, **STRATEGIES[strategy]})
        for dataset, strategy in asked
    )
    store = Unkept(Manifest(cells=cells, samples=samples).normalised())
    models = {SIM: endpoints(Limited(Server(lengths), slots=Slots(Fixed(slots))), "sim", profile="qwen3")}

    async def timed() -> float:
        await run(store, models, attempts_in_flight=attempts_in_flight)
        return asyncio.get_running_loop().time()

    seconds = run_virtual(timed())
    return Simulated(seconds=seconds, tokens={where: store.tokens[cell] for cell, where in enumerate(asked)})


def row(gpus: int, rates: Sequence[Rate], runs: Mapping[int, Simulated]) -> str:
    """Hours, and in brackets the share of the slots' time that was used."""
    cells = [str(gpus)]
    for rate in rates:
        slots = gpus * rate.slots
        took = runs[slots].seconds
        used = sum(runs[slots].tokens.values()) / slots / took
        cells.append(f"{took / rate.decode / 3600:.1f} ({used:.0%})")
    return f"| {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    models = sorted({each.model for each in paper.read_rows("table1")})
    parser.add_argument("--model", choices=models, default="Qwen3-32B", help="whose lengths (default Qwen3-32B)")
    parser.add_argument("--gpus", type=int, nargs="+", default=GPUS, metavar="N")
    parser.add_argument("--slots", type=int, help="requests that a GPU answers at a time, with --decode-rate")
    parser.add_argument("--decode-rate", type=float, metavar="TOKENS", help="new tokens a second of each of them")
    parser.add_argument("--samples", type=int, default=8, metavar="N", help="attempts a problem (default 8)")
    parser.add_argument("--attempts-in-flight", type=int, default=1024, metavar="N", help="as for scale eval; at least "
                        "attempts of one strategy (800) by default, so that the long ones begin early")  # fmt: skip
    args = parser.parse_args()
    if (args.slots is None) != (args.decode_rate is None):
        parser.error("--slots and --decode-rate: give both or neither")
    rates = RATES if args.slots is None else (Rate(name="yours", slots=args.slots, decode=args.decode_rate),)
    lengths = lengths_of(args.model)
    wanted = sorted({gpus * rate.slots for gpus in args.gpus for rate in rates})
    with ProcessPoolExecutor() as pool:
        each = partial(simulate, lengths=lengths, samples=args.samples, attempts_in_flight=args.attempts_in_flight)
        found = pool.map(each, wanted)
        runs = dict(zip(wanted, found, strict=True))
    tokens = runs[wanted[0]].tokens
    print(f"{sum(tokens.values()):,} new tokens in all; of an attempt, the paper's in brackets:")
    for dataset, count in paper.PROBLEMS.items():
        shown = (f"{strategy} {tokens[dataset, strategy] / count / args.samples:,.0f} "
                f"({lengths.tokens[dataset, strategy]:,.0f})" for strategy in STRATEGIES)  # fmt: skip
        print(f"  {dataset}: {', '.join(shown)}")
    print("\nhours (and the share of the slots' time that was used):\n")
    print(f"| GPUs | {' | '.join(f'{rate.name}: {rate.slots} x {rate.decode:g} tokens/s' for rate in rates)} |")
    print(f"| --: |{' --: |' * len(rates)}")
    for gpus in args.gpus:
        print(row(gpus, rates, runs))


if __name__ == "__main__":
    main()
