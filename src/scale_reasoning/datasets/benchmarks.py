"""The benchmarks: each one's revision on the Hub, its number of problems, and its known wordings.

Ships no text: rows come from the Hub, or from DIR/NAME.jsonl with id, problem and answer. Public copies of AIME differ
in the wording of some problems, so the hash of all texts tells which wording a copy has.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from scale_reasoning.datasets import files, hub
from scale_reasoning.datasets.dataset import Dataset, DatasetOptions, hash_texts, make_dataset
from scale_reasoning.datasets.rows import SourceRow, make_problems
from scale_reasoning.errors import ConfigError
from scale_reasoning.types import JSON


@dataclass(frozen=True, slots=True, kw_only=True)
class Benchmark:
    """One benchmark of `problems` problems.

    `licence` is an SPDX name, or says who owns the problems. `texts` names known wordings by `text_sha256`. On the Hub,
    `id_field` holds a problem's id (None: the row number is the id); what matches `id_pattern` is removed from it.
    """

    problems: int
    source: hub.HubSplit
    licence: str
    problem_field: str = "problem"
    id_field: str | None = "id"
    id_pattern: str = ""
    texts: Mapping[str, str] = field(default_factory=dict[str, str])


MAA = "the problems are the Mathematical Association of America's"

BENCHMARKS: Mapping[str, Benchmark] = {
    "aime24": Benchmark(
        problems=30,
        source=hub.HubSplit(
            repo="HuggingFaceH4/aime_2024", split="train", revision="2fe88a2f1091d5048c0f36abc874fb997b3dd99a"
        ),
        licence=MAA,
        texts={"c04d5868cac35379192512a7d0a815acdacaa89b7e7652fa25d9ff9e13408017": "Qwen2.5-Math"},
    ),
    "aime25": Benchmark(
        problems=30,
        source=hub.HubSplit(
            repo="yentinglin/aime_2025",
            config="default",
            split="train",
            revision="6f71d77b0b89b9dabe07ab466c51df33f514df7f",
        ),
        licence=MAA,
        texts={"2d321bb02a08bde17544f852b5357c7216d7829cf6c488de9d63bcdbb4ab1742": "AIME-Preview"},
    ),
    "amc23": Benchmark(
        problems=40,
        source=hub.HubSplit(repo="math-ai/amc23", split="test", revision="80815d37005feb82cd7f8fbc6901d5d3eff43057"),
        problem_field="question",
        licence=MAA,
        texts={"541e99297e7f394badb9768664548cb4adbec9f6f68da099b62618266a3a57e0": "Qwen2.5-Math"},
    ),
    "math500": Benchmark(
        problems=500,
        source=hub.HubSplit(
            repo="HuggingFaceH4/MATH-500", split="test", revision="6e4ed1a2a79af7d8630a6b768ec859cb5af4d3be"
        ),
        id_field="unique_id",
        id_pattern=r"^(?:test|train)/|\.json$",
        licence="MIT",
        texts={"36a07f615ecd77745ed0a0810e5190fa54be6d469d6ea513d68edc67595aaf96": "prm800k"},
    ),
    "gsm8k": Benchmark(
        problems=1319,
        source=hub.HubSplit(
            repo="openai/gsm8k", config="main", split="test", revision="740312add88f781978c0658806c59bc2815b9866"
        ),
        problem_field="question",
        id_field=None,
        licence="MIT",
        texts={"43bb1a1f34b3cf6ef37cd0c13de5eb5c93934597459eaf9531536fb525b6b81e": "grade-school-math"},
    ),
}


def load(name: str, options: DatasetOptions) -> Dataset:
    """All problems of a benchmark, or the first `wanted.count`.

    The dataset's `source` has the known wording under `wording`, None for an unknown one. Raises `ConfigError` when the
    rows cannot be read, are malformed, or are more or fewer than the benchmark has.
    """
    options.check(name)
    benchmark = BENCHMARKS[name]
    facts: dict[str, JSON] = {"licence": benchmark.licence}
    if options.data_dir is None:
        origin, problem_field = f"hub:{benchmark.source.repo}", benchmark.problem_field
        rows = _read_from_hub(name, benchmark)
        facts["revision"] = benchmark.source.revision
    else:
        path = _find_file(options.data_dir, name)
        origin, problem_field, rows = str(path), "problem", files.read(path)
    problems = make_problems(map(_keep_final_answer, rows), origin, problem_field=problem_field, answer_field="answer")
    if len(problems) != benchmark.problems:
        raise ConfigError(f"{name} has {benchmark.problems} problems, but {origin} has {len(problems)}")
    facts["wording"] = benchmark.texts.get(hash_texts(problem.text for problem in problems))
    return make_dataset(name, problems, origin=origin, count=options.count, facts=facts)


def _find_file(folder: Path, name: str) -> Path:
    path = folder / f"{name}.jsonl"
    if not path.is_file():
        raise ConfigError(f"--data-dir {folder} has no {name}.jsonl (rows of id, problem, answer)")
    return path


def _read_from_hub(name: str, benchmark: Benchmark) -> Iterator[SourceRow]:
    for number, row in enumerate(hub.read(benchmark.source)):
        own = f"{benchmark.source.split}-{number:04d}" if benchmark.id_field is None else row.fields[benchmark.id_field]
        own = re.sub(benchmark.id_pattern, "", str(own)).replace("/", "-")
        yield SourceRow(where=row.where, fields={**row.fields, "id": f"{name}-{own}"})


def _keep_final_answer(row: SourceRow) -> SourceRow:
    """The row with the final answer alone: in GSM8K it follows the working, after the last `####`."""
    answer = row.fields.get("answer")
    if not isinstance(answer, str) or "####" not in answer:
        return row
    return SourceRow(where=row.where, fields={**row.fields, "answer": answer.rpartition("####")[2].strip()})
