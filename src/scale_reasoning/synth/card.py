"""The dataset card of a bundle: its sources, its funnel, its format and the licences of its problems.

Writes Markdown with the Hub's front matter. All figures come from the bundle's files.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from statistics import median
from typing import cast

import msgspec

from scale_reasoning.printable import count
from scale_reasoning.strategies import label
from scale_reasoning.synth.collect import Origin
from scale_reasoning.synth.funnel import Count, Drop, Funnel
from scale_reasoning.types import JSON, THINK

_IDENTIFIER = re.compile(r"[a-z0-9.-]+")
"""A licence that the Hub's front matter takes; anything else is a sentence."""

MOST_NAMED = 20
"""Row ids named per stage that is off; manifest.json has all."""
UNKNOWN_LICENCE = "not stated by its source: ask its publisher before you share this"

_FRONT = """---
language: en
task_categories: [text-generation]
tags: [mathematics, reasoning, test-time-scaling]
license: {licence}
configs:
- config_name: default
  data_files: train.jsonl
---
"""

_FORMAT = f"""## Rows

`messages` is the whole conversation, `prompt` and `completion` the same in two parts. A completion is a thought in
`{THINK[0]}`, sub-problem by sub-problem (System 2 steps with their reasoning, System 1 steps with their short working),
and the final solution with its answer in `\\boxed{{}}`. `steps` tells each sub-problem's mode, its assessed difficulty
in [0, 1] and its response tokens (null where unknown). `dropped.jsonl` has every attempt that is no row, with the stage
and the reason.
"""


def make_card(
    rows: Sequence[Mapping[str, JSON]], funnel: Funnel, origins: Sequence[Origin], settings: Mapping[str, JSON]
) -> str:
    """The text of the bundle's README.md; `settings` are those of its synthesis."""
    licences = _read_licences(origins)
    named = {value.lower() for value in licences.values()}
    licence = named.pop() if len(named) == 1 and all(map(_IDENTIFIER.fullmatch, named)) else "other"
    parts = [
        _FRONT.format(licence=licence),
        "# Reasoning traces\n",
        _summarise(rows),
        _list_sources(origins, licences),
        _describe_funnel(funnel.counts, origins, settings.get("max_tokens")),
        *([_list_marked(funnel.marked)] if funnel.marked else []),
        _FORMAT,
    ]
    return "\n".join(parts)


def _summarise(rows: Sequence[Mapping[str, JSON]]) -> str:
    problems = len({(row["dataset"], row["problem_id"]) for row in rows})
    counted = [cast("int", row["tokens"]) for row in rows if row["tokens"] is not None]
    length = (
        f"median {median(counted):,.0f} response tokens, longest {max(counted):,}" if counted else "lengths unknown"
    )
    return f"{count(len(rows), 'trace')} of {count(problems, 'problem')}; {length}.\n"


def _list_sources(origins: Sequence[Origin], licences: Mapping[str, str]) -> str:
    lines = ["## Sources\n"]
    for origin in origins:
        for strategy in origin.strategies:
            options = ", ".join(f"{key} {value}" for key, value in label(strategy).items())
            seed = "unknown seed" if origin.seed is None else f"seed {origin.seed}"
            how = f" ({options})" if options else ""
            lines.append(f"- {strategy['name']}{how} with {', '.join(origin.models) or 'no model'}, {seed}")
    lines += ["", "Problems:\n"]
    for origin in origins:
        for name, source in origin.datasets.items():
            place = " ".join(str(source[key]) for key in ("origin", "revision") if source.get(key))
            split = f", {origin.splits[name]} split" if origin.splits.get(name) else ""
            lines.append(f"- {name}: {place}{split}, {source.get('rows')} rows; licence: {licences[name]}")
    if found := dict.fromkeys(each for origin in origins for each in origin.evaluation):
        why = f"**These are evaluation problems** ({'; '.join(found)})"
        lines += ["", f"{why}: do not evaluate on them a model that was trained on these rows."]
    return "\n".join(dict.fromkeys(lines)) + "\n"


def _describe_funnel(counts: Sequence[Count], origins: Sequence[Origin], most_tokens: JSON) -> str:
    planned, made = sum(origin.planned for origin in origins), sum(origin.made for origin in origins)
    idle = [each.stage for each in counts if not each.dropped]
    rows = [f"| {each.stage} | {each.came:,} | {each.dropped:,} | {each.kept:,} |" for each in counts if each.dropped]
    limit = f" A row has at most {most_tokens} tokens." if most_tokens else ""
    lines = [
        "## Funnel\n",
        f"{count(planned, 'attempt')} planned, {made:,} made.{limit}\n",
        *(["| stage | came | dropped | kept |", "| --- | ---: | ---: | ---: |", *rows] if rows else []),
        *([f"{chr(10) if rows else ''}Stages that dropped no attempt: {', '.join(idle)}."] if idle else []),
    ]
    return "\n".join(lines) + "\n"


def _list_marked(marked: Sequence[Drop]) -> str:
    lines = ["Stages that were off would drop these rows; manifest.json has the reasons.\n"]
    for stage in dict.fromkeys(one.stage for one in marked):
        names = [one.candidate.id for one in marked if one.stage == stage]
        more = ", ..." if len(names) > MOST_NAMED else ""
        lines.append(f"- {stage}: {len(names):,} ({', '.join(names[:MOST_NAMED])}{more})")
    return "\n".join(lines) + "\n"


def _read_licences(origins: Iterable[Origin]) -> dict[str, str]:
    return {
        name: msgspec.convert(source.get("licence") or UNKNOWN_LICENCE, str)
        for origin in origins
        for name, source in origin.datasets.items()
    }
