r"""Rewrites a formula so that one notation has one spelling: `\dfrac12` is `\frac{1}{2}`, `2√3` is `2\sqrt{3}`.

Decides which notation has no meaning. The result is LaTeX with the meaning of the formula, units and words included.
"""

from __future__ import annotations

import re
from functools import lru_cache

from scale_reasoning.answers.symbols import spell

MAX_CHARS = 2_000
"""A longer answer is compared as it is; no real answer is longer."""

_NUMERAL = re.compile(r"[+-]?[0-9]+(?:\.[0-9]+)?")
_FONTS = (
    r"\\(?:mathbf|mathit|mathsf|mathtt|mathnormal|boldsymbol|bm|bf|emph|underline|uline|ensuremath|displaystyle|hbox|fbox"
    r"|boxed|framebox|large|Large|huge|textcolor\s*\{[^{}]*\}|color\s*\{[^{}]*\})"
)
_FONT = re.compile(_FONTS + r"\s*(?=\{)")
_SPACE_BEFORE_ARGUMENT = re.compile(
    r"(\\(?:[a-z]*frac|[a-z]*binom|sqrt|text[a-z]*|math[a-z]*|mbox|operatorname))\s+(?=\{)"
)
_LATEX = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r",(?:\\[!,]\s*)+", ","),  # 1,\! 234 is one number, 1, 234 are two
        (r"(?<=[0-9])\\[,;:](?=[0-9])(?![0-9]{3}(?![0-9]))", " "),
        (r"(?<!\\)\\[,!;:](?=\s*[A-Za-z])", " "),
        (r"(?<!\\)\\[,!;:]", ""),
        (r"(?<!\\)\\[()\[\]]", ""),
        (r"\\(?:left|right|[bB]igg?[lr]?|displaystyle|textstyle|limits)(?![A-Za-z])\.?", ""),
        (r"\\q?quad(?![A-Za-z])|(?<!\\)\\ |\\(?:hspace|vspace)\*?\s*\{[^{}]*\}", " "),
        (r"\{\s*([^{}]+?)\s*\\over(?![A-Za-z])\s*([^{}]+?)\s*\}", r"\\frac{\1}{\2}"),
        (r"\{\s*([^{}]+?)\s*\\choose(?![A-Za-z])\s*([^{}]+?)\s*\}", r"\\binom{\1}{\2}"),
        (r"^([^{}\\]+)\\over(?![A-Za-z])([^{}\\]+)$", r"\\frac{\1}{\2}"),
        (r"\\[dtcx]frac(?![A-Za-z])", r"\\frac"),
        (r"\\h?phantom\s*\{[^{}]*\}|\\(?:therefore|implies|checkmark|blacksquare|qed|square|Box)(?![A-Za-z])", ""),
        (r"\\[dt]binom(?![A-Za-z])", r"\\binom"),
        (r"^[\s$]*\\(?:Rightarrow|Longrightarrow|to|rightarrow)(?![A-Za-z])", ""),
        (r"\\(?:bf|rm|it|sf|tt|bfseries|itshape|small|normalsize|[lL]arge|LARGE|[hH]uge)(?![A-Za-z])", ""),
        (r"\\color\s*\{[^{}]*\}", ""),
        (r"\\(?:varnothing|O|o)(?![A-Za-z])|\\\{\s*\\\}", r"\\emptyset "),
        (r"\\(l|g|n)e(?![A-Za-z])", r"\\\1eq"),
        (r"\\([lg])eqslant(?![A-Za-z])", r"\\\1eq"),
        (r"\\lt(?![A-Za-z])", "<"),
        (r"\\gt(?![A-Za-z])", ">"),
        (r"\\lbrace(?![A-Za-z])", r"\\{"),
        (r"\\rbrace(?![A-Za-z])", r"\\}"),
        (r"\\lbrack(?![A-Za-z])", "["),
        (r"\\rbrack(?![A-Za-z])", "]"),
        (r"\\([lr])vert(?![A-Za-z])|\\vert(?![A-Za-z])|\\mid(?![A-Za-z])", "|"),
        (r"\\(?:ast|cdotp|bullet)(?![A-Za-z])", r"\\cdot"),
        (r"\\pi\s*\{\}", r"\\pi "),
        (r"\\sqrt\s*\[\s*2\s*\]", r"\\sqrt"),
        (r"\\sqrt\s*([0-9A-Za-z]|\\(?:pi|alpha|beta|theta)(?![A-Za-z]))", r"\\sqrt{\1}"),
        (r"\s*\^\s*(?:\{\s*\\circ\s*\}|\\circ(?![A-Za-z]))|\\degrees?(?![A-Za-z])", r"^\\circ "),
    )
)
"""Notation that needs a backslash."""
_TYPED = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r"(?<![A-Za-z])(?:US|CA|AU|HK|NZ|NT|MX|[ACSR])\$(?=\s*[0-9])", r"\\$"),
        (r"(?<!\\)\$", ""),
        (r"~", " "),
        (r"\{,\}", ","),
        (r"([_^])\s*\{\s*(\w)\s*\}(?!\w)", r"\1\2"),
        (r"(?:^|(?<=[(\[,;={]))\s*\+\s*(?=[\w\\.(])", ""),
        (r"(?<![\w./^_])([0-9]+) +([0-9]+) ?/ ?([0-9]+)(?![\w/.])", r"\1\\frac{\2}{\3}"),
        (
            r"(?<![\w.\\])([0-9]+(?:\.[0-9]*)?|\.[0-9]+)[eE](?:\+?([0-9]{1,4})|(-[0-9]{1,4}))(?![\w.]*\w)",
            r"\1\\times10^{\2\3}",
        ),
    )
)
_GROUP = re.compile(r"(?<![\\A-Za-z])sqrt\s*(?=\()|(?<=\\sqrt)\s*(?=\()|\^\s*(?=\()")
_TWO_ARGUMENTS = re.compile(r"\\(?:frac|binom)(?![A-Za-z])")
_ARGUMENT = re.compile(r"\s*(?:\{\s*([^{}]*?)\s*\}|(?=(\{))|([0-9A-Za-z])|(\\[A-Za-z]+))")
_ROOT_OF_FRACTION = re.compile(r"\\sqrt\s*(\\frac\{[^{}]*\}\{[^{}]*\})")
_LIST = re.compile(r"\{(?![0-9]{1,3}(?:,[0-9]{3})+\})[^()\[\]\\]*[,;][^()\[\]\\]*\}")
_LOOSE_GROUP = re.compile(r"(?<![A-Za-z}\]^_\\])\{([^{},;]*)\}")


def plain(formula: str) -> str:
    """The formula in its normal notation. A text of more than `MAX_CHARS` characters is only stripped."""
    if len(formula) > MAX_CHARS or _NUMERAL.fullmatch(formula):
        return formula.strip()
    return _plain(formula)


@lru_cache(maxsize=1024)  # a gold answer is compared with many answers, most of them equal
def _plain(formula: str) -> str:
    text = spell(formula)
    if "\\" in text:
        text = _remove_fonts(_SPACE_BEFORE_ARGUMENT.sub(r"\1", text))
        for pattern, replacement in _LATEX:
            text = pattern.sub(replacement, text)
    for pattern, replacement in _TYPED:
        text = pattern.sub(replacement, text)
    text = _arguments(_group_arguments(text))
    text = _ROOT_OF_FRACTION.sub(r"\\sqrt{\1}", _LOOSE_GROUP.sub(r"\1", text))
    return _remove_group(text.strip(' *`"\n\t').removesuffix(r"\text{.}").rstrip(" .,;:\n\\"))


def closing_bracket(text: str, start: int) -> int | None:
    """The position where the bracket at `start` closes, None if it does not."""
    opens = text[start]
    closes = {"(": ")", "{": "}", "[": "]"}[opens]
    depth = 0
    for index in range(start, len(text)):
        depth += (text[index] == opens) - (text[index] == closes)
        if depth == 0:
            return index
    return None


def _remove_fonts(text: str) -> str:
    """Removes fonts, boxes and colours around parts of the text."""
    while font := _FONT.search(text):
        stop = closing_bracket(text, font.end())
        if stop is None:
            return text
        inside = text[font.end() : stop + 1]
        before = text[: font.start()]
        text = before + (inside if before.endswith(("^", "_", "}")) else inside[1:-1]) + text[stop + 1 :]
    return text


def _remove_group(text: str) -> str:
    """Removes braces around the whole text, unless they may be those of a set."""
    while text[:1] == "{" and closing_bracket(text, 0) == len(text) - 1 and not _LIST.fullmatch(text):
        text = text[1:-1].strip()
    return text


def _group_arguments(text: str) -> str:
    """Replaces the parentheses of a root or a power by braces."""
    while group := _GROUP.search(text):
        stop = closing_bracket(text, group.end())
        if stop is None:
            return text
        head = "^" if "^" in group[0] else r"\sqrt" if "sqrt" in group[0] else ""
        text = f"{text[: group.start()]}{head}{{{text[group.end() + 1 : stop]}}}{text[stop + 1 :]}"
    return text


def _arguments(text: str) -> str:
    """Adds braces around both arguments of each fraction and binomial."""
    if text.count("{") != text.count("}"):
        return text
    for command in reversed(list(_TWO_ARGUMENTS.finditer(text))):
        arguments: list[str] = []
        place = command.end()
        while len(arguments) < 2 and (match := _ARGUMENT.match(text, place)):
            if match[2]:
                stop = closing_bracket(text, match.end())
                if stop is None:
                    break
                arguments.append(text[match.end() + 1 : stop].strip())
                place = stop + 1
            else:
                arguments.append(match[1] if match[1] is not None else match[3] or match[4])
                place = match.end()
        if len(arguments) == 2:
            text = f"{text[: command.start()]}{command[0]}{{{arguments[0]}}}{{{arguments[1]}}}{text[place:]}"
    return text
