"""Names for print: strategies, datasets and models as papers write them, and the caption of a table of rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePath
from typing import cast

from scale_reasoning.report.chain_votes import MARK
from scale_reasoning.report.metrics import Summary
from scale_reasoning.report.paper import is_from_paper
from scale_reasoning.types import JSON

STRATEGIES = {"cot": "CoT", "inftythink": "InftyThink", "scale": "SCALE", "vote": "Voting"}
DATASETS = {
    "aime24": "AIME24",
    "aime25": "AIME25",
    "amc23": "AMC23",
    "gsm8k": "GSM8K",
    "math500": "MATH-500",
    "limo": "LIMO",
}
ROUTES = {"system1": "all System 1", "system2": "all System 2"}
MODES = {"system1": "System 1"}
"""Of chain of thought; System 2, its default, is not named."""
SYMBOLS = {"tau": "τ"}
NUMBERS = {
    "Acc": "accuracy in % (Acc)",
    "Tpi": "response tokens per iteration (Tpi)",
    "Tok": "response tokens per attempt (Tok)",
    "Tok (k)": "thousands of response tokens per attempt (Tok)",
    "Tok k": "thousands of response tokens to sub-problems per attempt (Tok k)",
    "Hard": "iterations in System 2 in % (Hard)",
    "cost": "cost per attempt",
}
"""What the columns of the tables' layouts are, in a caption."""
SAID = {"vote": ("samples", "base", "mode"), "cot": ("mode",)}
"""Options that a strategy's name says."""
INTERVALS = "with its 95 % interval over problems and (scored/planned) attempts"


def title_strategy(summary: Summary, swept: Iterable[str] = (), *, with_number: bool = True) -> str:
    """The strategy as papers name it: `CoT`, `CoT (System 1)`, `InftyThink`, `Voting (maj@8)`, `SCALE (τ = 0.2)`; in
    brackets also the swept options. `with_number`: with the number of its allocator.
    """
    known, words = summary.named_options, list[str]()
    if summary.strategy == "cot":
        words += _title_mode(summary.options)
    if summary.strategy == "vote":
        words.append(_title_vote(summary.options))
    if summary.strategy == "scale":
        words += _title_route(summary.options, with_number=with_number)
    said = {"route", "tau", MARK, *SAID.get(summary.strategy, ())}
    words += [_write(name, known[name]) for name in swept if name in known and name not in said]
    return " ".join([STRATEGIES.get(summary.strategy, summary.strategy), f"({', '.join(words)})" * bool(words)]).strip()


def _title_vote(options: Mapping[str, JSON]) -> str:
    base = cast("Mapping[str, JSON]", options.get("base") or {})
    name = str(base.get("name", "cot"))
    votes = f"maj@{options.get('samples', 8)}"
    if name == "cot":
        return ", ".join([votes, *_title_mode(base)])
    return ", ".join([f"{votes} of {STRATEGIES.get(name, name)}", *_title_route(base, with_number=True)])


def _title_mode(options: Mapping[str, JSON]) -> list[str]:
    return [MODES[mode]] if (mode := str(options.get("mode"))) in MODES else []


def _title_route(options: Mapping[str, JSON], *, with_number: bool) -> list[str]:
    route = str(options.get("route", "threshold"))
    words = [] if route == "threshold" else [ROUTES.get(route, title_option(route))]
    return [*words, _write("tau", options["tau"])] if with_number and "tau" in options else words


def _write(name: str, value: JSON) -> str:
    return f"{title_option(name)} = {'default' if value is None else value}"


def title_option(name: str) -> str:
    """An option in words, or as its symbol."""
    return SYMBOLS.get(name, name.replace("_", " "))


def title_heading(name: str) -> str:
    """The heading of a column of words or of an option."""
    return SYMBOLS.get(name) or f"{name[:1].upper()}{name[1:].replace('_', ' ')}"


def title_dataset(name: str) -> str:
    """A dataset as papers name it; a file without its folder and ending."""
    return DATASETS.get(name) or (
        PurePath(name).stem if name.endswith((".jsonl", ".json", ".csv", ".parquet")) else name
    )


def title_models(summaries: Sequence[Summary]) -> dict[str, str]:
    """The models' names without the organisation, where two are then not the same."""
    models = list(dict.fromkeys(summary.model for summary in summaries))
    short = {model: " + ".join(part.rpartition("/")[2] or part for part in model.split(" + ")) for model in models}
    taken = list(short.values())
    return {model: name if taken.count(name) == 1 else model for model, name in short.items()}


def write_caption(summaries: Sequence[Summary], numbers: Iterable[str], *, compact: bool) -> str:
    """What a table with these columns shows: of which model, on which datasets, with how many samples."""
    mine = [summary for summary in summaries if not is_from_paper(summary)] or list(summaries)
    said = [NUMBERS[name] for name in numbers if name in NUMBERS]
    if not compact:
        said = [f"{each} {INTERVALS}" if each == NUMBERS["Acc"] else each for each in said]
    text = _join(said)
    models = list(title_models(mine).values())
    if len(models) == 1:
        text += f" of {models[0]}"
    if mine:
        text += f" on {_join([title_dataset(name) for name in dict.fromkeys(each.dataset for each in mine)])}"
    if len(samples := {each.samples for each in mine if MARK not in each.options}) == 1:
        (count,) = samples
        text += f", {count} sample{'s' * (count > 1)} per problem"
    return f"{text[:1].upper()}{text[1:]}."


def write_best(summaries: Sequence[Summary]) -> str:
    """What bold numbers are, for the caption of a table that has some."""
    mine = [summary for summary in summaries if not is_from_paper(summary)] or list(summaries)
    return f"Best {'of each model ' * (len(title_models(mine)) > 1)}in bold."


def _join(words: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(words[:-1]), *words[-1:])))
