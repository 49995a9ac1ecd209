"""Judges expressions: reads both sides with math-verify and compares them. Runs in a process that may be killed.

Decides when two equations are the same and when two numbers are too far apart to be equal.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from scale_reasoning.graders.reading import to_latex
from scale_reasoning.types import JSON


def judge(case: JSON) -> bool | str:
    """The function of a worker: whether the sides are equal, or why this cannot be judged. For None it only loads
    libraries.

    A case has `gold` and `response`, lists of [text, whether it is one LaTeX expression]; `match_types`; `precision`;
    and optionally `relation`: whether the gold answer is an equation whose right side alone is not the answer.
    """
    math_verify: Any = import_module("math_verify")  # it has no types
    if case is None:
        return False
    try:
        gold, answer = (_parse(case[side], case["match_types"]) for side in ("gold", "response"))
        if not answer:
            return "no answer was found in the response"
        equation = _are_same_equation(gold[0], answer[0], relation=bool(case.get("relation")))
        if equation is not None:
            return equation
        same = math_verify.verify(gold, answer, float_rounding=case["precision"], timeout_seconds=None)
        return same and not _are_far_apart(gold[0], answer[0], 10.0 ** (1 - case["precision"]))
    except Exception as error:  # noqa: BLE001 - an answer that breaks a library is not right
        return f"the answer cannot be compared ({type(error).__name__})"


def _parse(readings: list[tuple[str, bool]], match_types: list[str]) -> list[Any]:
    """The first reading that parses: an expression with its text, or its text alone."""
    math_verify: Any = import_module("math_verify")
    normalization: Any = import_module("math_verify.parser").NormalizationConfig
    keeping = normalization(units=False, malformed_operators=True, nits=True)  # a letter after a digit is a variable
    configs = {
        "latex": lambda: math_verify.LatexExtractionConfig(normalization_config=keeping),
        "expr": math_verify.ExprExtractionConfig,
    }
    texts: list[Any] = []
    for text, bare in readings:
        as_latex = bare and "latex" in match_types
        source = rf"\boxed{{{to_latex(text)}}}" if as_latex else text
        wanted = ["latex"] if as_latex else match_types
        parsed: list[Any] = math_verify.parse(source, [configs[kind]() for kind in wanted], parsing_timeout=None)
        if any(not isinstance(part, str) for part in parsed):
            return parsed
        texts = texts or parsed
    return texts


def _are_same_equation(gold: Any, answer: Any, *, relation: bool) -> bool | None:
    """Whether one equation is a nonzero multiple of the other; None where they are not both equations to compare."""
    sympy: Any = import_module("sympy")
    if not isinstance(gold, sympy.Eq) or not all(isinstance(side, sympy.Expr) for side in gold.args):
        return None
    if not isinstance(answer, sympy.Eq):
        return False if relation else None
    if not all(isinstance(side, sympy.Expr) for side in answer.args) or (gold.lhs.is_Symbol and gold.lhs == answer.lhs):
        return None
    sides = [sympy.nsimplify((each.lhs - each.rhs).doit(), rational=True) for each in (gold, answer)]
    if sides[0].free_symbols != sides[1].free_symbols:
        return False
    one, other = (sympy.numer(sympy.together(side)) for side in sides)
    ratio = sympy.cancel(one / other)
    if ratio.free_symbols:
        ratio = sympy.simplify(ratio)
    return bool(not ratio.free_symbols and ratio.is_zero is False and ratio.is_finite)


def _are_far_apart(gold: Any, answer: Any, tolerance: float) -> bool:
    """Whether two numbers differ more than rounding explains.

    math-verify compares decimal places, so it takes all tiny numbers for equal: 1/2004! and 1/2006!, 0.0000671 and
    0.0000672.
    """
    sympy: Any = import_module("sympy")
    percent = sympy.UnevaluatedExpr  # 28% is 28 to math-verify
    if any(not isinstance(x, sympy.Expr) or not x.is_number or x.has(percent) for x in (gold, answer)):
        return False
    a, b = gold.evalf(), answer.evalf()
    if a.is_infinite or b.is_infinite:
        return bool(a != b)
    return bool(a != 0 and b != 0 and abs(a - b) > tolerance * abs(a))
