"""What follows from a model's replies to small questions in both modes: findings in words, by one table of rules.

Decides what counts as a difference in a handful of replies. Ten questions are few, so findings give counts. Asks
nothing (modes.py does).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from statistics import fmean

from scale_reasoning.engines.findings import Finding, no, unknown, yes
from scale_reasoning.runs.figures import ByKind, Figures, Measured, count_replies
from scale_reasoning.types import Mode

MEASURED = "both modes measured"
CHEAPER = "System 1 is cheaper"
EASY = "System 1 solves the easy"
HARD = "System 2 solves the hard"
BOXED = "answers are in a box"
RATED = "difficulties differ"

FEWEST = 3
"""Questions of a kind, below which nothing is said."""
SAME = 0.8
"""System 1 saves nothing where it takes more than this share of System 2's tokens."""
MANY_LOST = 0.3
"""Share of replies without a box, or cut off, from which it is a fault of the mode."""
READ = 0.6
"""Share of the ratings that must be readable."""
SPREAD = 0.2
"""A smaller difference between the lowest and the highest rating cannot route."""
ORDERED = 0.7
"""Share of the pairs of an easy and a hard question in which the hard one must be rated higher."""


def judge(measured: Measured) -> list[Finding]:
    """How many questions were answered, then the finding of each name in RULES; the latter only if enough were."""
    figures = count_replies(measured)
    enough = min(figures.of) >= FEWEST
    findings = [replace(_report_extent(measured, enough=enough), name=MEASURED)]
    for name in dict.fromkeys(rule.name for rule in RULES) if enough else ():
        finding = choose(name, figures).find(figures)
        findings.append(replace(finding, name=name))
    return findings


def _report_extent(measured: Measured, *, enough: bool) -> Finding:
    asked, took = len(measured.asked), f"{measured.seconds:.0f} s"
    total = asked + measured.late + len(measured.failures)
    if asked == total:
        return yes(f"{total} small questions in each mode, in {took}: a hint, not a measurement")
    left_out = [f"{measured.late} had no answers in time"] if measured.late else []
    if measured.failures:
        left_out.append(f"{len(measured.failures)} failed: {measured.failures[0]}")
    rest = "" if enough else "; too few to say what the modes are worth"
    return unknown(
        f"{asked} of {total} questions in {took}; {'; '.join(left_out)}{rest}",
        "scale doctor again when the server is less busy, or scale eval on a few problems",
    )


def choose(name: str, figures: Figures) -> Rule:
    """The first rule of a name that holds; the last one always does."""
    return next(rule for rule in RULES if rule.name == name and rule.holds(figures))


# What the rules say


def _sides(by_mode: Mapping[Mode, ByKind | None], kind: str) -> str:
    one, two = (getattr(by_mode[mode], kind) for mode in Mode)
    return f"{one:,} against {two:,}"


def _both_kinds(f: Figures) -> str:
    return f"{_sides(f.tokens, 'one')} tokens for one operation, {_sides(f.tokens, 'several')} for several"


def _easy(f: Figures, mode: Mode) -> str:
    return f"{f.right[mode].one} of {f.of.one}"


def _hard(f: Figures, mode: Mode) -> str:
    return f"{f.right[mode].several} of {f.of.several}"


def _range(f: Figures) -> str:
    return f"{min(f.ratings):.2f} to {max(f.ratings):.2f}"


def _order(f: Figures) -> str:
    return f"several operations are rated above one in {f.ordered:g} of {f.pairs} pairs"


_SHARES = {
    0.75: "three quarters", 0.67: "two thirds", 0.5: "half", 0.33: "a third", 0.25: "a quarter", 0.2: "a fifth",
    0.167: "a sixth", 0.143: "a seventh", 0.125: "an eighth", 0.111: "a ninth", 0.1: "a tenth",
}  # fmt: skip


def say_share(share: float) -> str:
    """A share below 1 in words, to the nearest simple fraction."""
    if share < 0.09:
        return "less than a tenth"
    return _SHARES[min(_SHARES, key=lambda each: max(each / share, share / each))]


def _easy_for_less(f: Figures) -> str:
    found = f"right on the easy ones ({_easy(f, Mode.SYSTEM1)})"
    if f.share is None or f.tokens[Mode.SYSTEM1] is None or f.share > SAME:
        return found
    one, two = f.tokens[Mode.SYSTEM1], f.tokens[Mode.SYSTEM2]
    share = one.one / two.one if one and two and two.one else 1.0
    cost = f"for {say_share(share)} of the tokens" if share <= SAME else "for about the same tokens"
    return f"{found} {cost} ({_sides(f.tokens, 'one')})"


def _suggest_tau(f: Figures) -> str:
    return f"--tau {(fmean(f.easy_ratings) + fmean(f.hard_ratings)) / 2:.2f}"


def _is_many(count: int, f: Figures) -> bool:
    return count >= MANY_LOST * f.questions


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """Makes the finding `name` where it `holds` and no earlier rule of the name does."""

    name: str
    holds: Callable[[Figures], bool]
    find: Callable[[Figures], Finding]


ONE, TWO = Mode.SYSTEM1, Mode.SYSTEM2
OTHER_SYSTEM1 = "--system1-model NAME of a model that answers briefly, or --strategy cot"
OTHER_SENTENCE = "a family of your own with another sentence (--profiles, see docs/engines.md), or --system1-model NAME"
OTHER_ROUTE = (
    "assess in another way: --assess draft, or --route escalate, which rates nothing; or route without difficulties: "
    "--route system2, or a fixed share (--route random --set share=0.5)"
)

RULES: tuple[Rule, ...] = (
    Rule(name=CHEAPER, holds=lambda f: f.share is None,
         find=lambda f: unknown("the server does not count all tokens")),
    Rule(name=CHEAPER, holds=lambda f: (f.share or 0) > 1 / SAME,
         find=lambda f: no(f"it takes more than System 2: {_both_kinds(f)}", "SCALE costs more than System 2 alone",
                           OTHER_SYSTEM1)),
    Rule(name=CHEAPER, holds=lambda f: (f.share or 0) > SAME,
         find=lambda f: no(f"the modes do not differ here: {_both_kinds(f)}", "SCALE cannot save tokens",
                           OTHER_SYSTEM1)),
    Rule(name=CHEAPER, holds=lambda f: True,
         find=lambda f: yes(f"{say_share(f.share or 1)} of the tokens: {_both_kinds(f)}")),

    Rule(name=EASY, holds=lambda f: 5 * f.right[ONE].one < 4 * f.of.one,
         find=lambda f: no(f"right on {_easy(f, ONE)} questions of one operation (System 2: {_easy(f, TWO)})",
                           "an easy step goes wrong, and the steps after it build on that",
                           "a larger --system1-model, or --strategy cot; if replies lose their box, fix that first")),
    Rule(name=EASY, holds=lambda f: True, find=lambda f: yes(_easy_for_less(f))),

    Rule(name=HARD, holds=lambda f: f.right[TWO].several > f.right[ONE].several and
         5 * f.right[TWO].several >= 3 * f.of.several,
         find=lambda f: yes(f"right on {_hard(f, TWO)} questions of several operations, System 1 on {_hard(f, ONE)}")),
    Rule(name=HARD, holds=lambda f: 5 * f.right[ONE].several >= 4 * f.of.several,
         find=lambda f: unknown(f"System 1 is right on them, too ({_hard(f, ONE)}, System 2 on {_hard(f, TWO)}): "
                                "they are too easy for this model",
                                "scale eval on problems of your own kind shows what System 2 adds")),
    Rule(name=HARD, holds=lambda f: True,
         find=lambda f: no(f"right on {_hard(f, TWO)} questions of several operations, System 1 on {_hard(f, ONE)}",
                           "a hard step pays System 2's price for little", "a stronger model for System 2: --model")),

    Rule(name=BOXED, holds=lambda f: _is_many(f.cut[ONE], f),
         find=lambda f: no(f"{f.cut[ONE]} of {f.questions} System 1 replies were cut off at {f.limits[ONE]:,} tokens",
                           "System 1 is not brief: an easy step costs as much as a hard one", OTHER_SENTENCE)),
    Rule(name=BOXED, holds=lambda f: _is_many(f.lost[ONE], f),
         find=lambda f: no(f"the box is lost in {f.lost[ONE]} of {f.questions} System 1 replies",
                           "a result is read as the text states it, or asked for in one more call",
                           f"{OTHER_SENTENCE}; or --prompts FILE")),
    Rule(name=BOXED, holds=lambda f: _is_many(f.lost[TWO], f),
         find=lambda f: no(f"the box is lost in {f.lost[TWO]} of {f.questions} System 2 replies",
                           "a result is read as the text states it, or asked for in one more call",
                           "--prompts FILE that asks for the box in other words, or a stronger model")),
    Rule(name=BOXED, holds=lambda f: _is_many(f.cut[TWO], f),
         find=lambda f: unknown(f"{f.cut[TWO]} of {f.questions} System 2 replies were cut off at "
                                f"{f.limits[TWO]:,} tokens, the limit of this check",
                                "a run allows more (--system2-max-tokens): scale eval shows whether that is enough")),
    Rule(name=BOXED, holds=lambda f: True,
         find=lambda f: yes(f"in {f.questions - f.lost[ONE] - f.cut[ONE]} of {f.questions} System 1 replies, "
                            f"{f.questions - f.lost[TWO] - f.cut[TWO]} of {f.questions} of System 2")),

    Rule(name=RATED, holds=lambda f: len(f.ratings) < READ * f.questions or not f.pairs,
         find=lambda f: no(f"{len(f.ratings)} of {f.questions} ratings could be read",
                           "a rating that cannot be read counts as 1: the step goes to System 2",
                           f"a server that enforces schemas (see schema honoured), or {OTHER_ROUTE}")),
    Rule(name=RATED, holds=lambda f: max(f.ratings) - min(f.ratings) < SPREAD,
         find=lambda f: no(f"it rates everything alike ({_range(f)})", "every step gets the same mode", OTHER_ROUTE)),
    Rule(name=RATED, holds=lambda f: f.ordered < ORDERED * f.pairs,
         find=lambda f: no(f"{_range(f)}, but {_order(f)}", "steps get their modes at random", OTHER_ROUTE)),
    Rule(name=RATED, holds=lambda f: max(f.ratings) <= f.tau,
         find=lambda f: no(f"{_range(f)}, {_order(f)}; but none is above tau ({f.tau:g})",
                           "every step gets System 1", _suggest_tau(f))),
    Rule(name=RATED, holds=lambda f: min(f.ratings) > f.tau,
         find=lambda f: no(f"{_range(f)}, {_order(f)}; but all are above tau ({f.tau:g})",
                           "every step gets System 2", _suggest_tau(f))),
    Rule(name=RATED, holds=lambda f: True, find=lambda f: yes(f"{_range(f)}; {_order(f)}")),
)  # fmt: skip
"""In order: of each name the first rule that holds makes the finding."""
