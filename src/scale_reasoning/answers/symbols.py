# ruff: noqa: RUF001
"""Rewrites Unicode mathematics as LaTeX: roots, powers, vulgar fractions, Greek, relations, full-width digits.

Decides what each character means. Digits of other scripts are not changed, and not read as numbers.
"""

from __future__ import annotations

import re
import unicodedata

_COMMANDS = {
    "times": "×✕⨯", "cdot": "⋅·∙•", "div": "÷", "pm": "±", "mp": "∓", "leq": "≤≦⩽", "geq": "≥≧⩾", "neq": "≠",
    "approx": "≈≅≃", "equiv": "≡", "sim": "∼", "infty": "∞", "cup": "∪⋃", "cap": "∩⋂", "in": "∈∊", "notin": "∉",
    "subset": "⊂", "subseteq": "⊆", "supset": "⊃", "supseteq": "⊇", "emptyset": "∅⌀", "setminus": "∖", "angle": "∠",
    "triangle": "△", "perp": "⊥", "parallel": "∥", "sum": "∑", "prod": "∏", "int": "∫", "partial": "∂", "to": "→⟶",
    "Rightarrow": "⇒", "iff": "⇔⟺", "forall": "∀", "exists": "∃", "land": "∧", "lor": "∨", "neg": "¬",
    "lfloor": "⌊", "rfloor": "⌋", "lceil": "⌈", "rceil": "⌉", "langle": "⟨〈", "rangle": "⟩〉", "ldots": "…⋯",
    "ell": "ℓ", "circ": "∘",
    "alpha": "α", "beta": "β", "gamma": "γ", "delta": "δ", "epsilon": "εϵ", "zeta": "ζ", "eta": "η", "theta": "θϑ",
    "iota": "ι", "kappa": "κ", "lambda": "λ", "mu": "μ", "nu": "ν", "xi": "ξ", "pi": "π", "rho": "ρ", "sigma": "σς",
    "tau": "τ", "upsilon": "υ", "phi": "φϕ", "chi": "χ", "psi": "ψ", "omega": "ω", "Gamma": "Γ", "Delta": "Δ∆",
    "Theta": "Θ", "Lambda": "Λ", "Xi": "Ξ", "Pi": "Π", "Sigma": "Σ", "Phi": "Φ", "Psi": "Ψ", "Omega": "ΩΩ",
}  # fmt: skip
_TEXTS = {
    "-": "−–‐‑﹣－", "/": "⁄∕", "*": "∗", "|": "∣", "'": "′’‘", "''": "″", '"': "“”", " ": "\u00a0\u3000\u2003\u2002",
    ",": "，、", ".": "。", "": "\u2009\u202f\u200a\u200b\u2060\u2061\u2062\u2063\u2064\ufeff\u00ad", r"^\circ ": "°˚º",
    r"\mathbb{R}": "ℝ", r"\mathbb{Z}": "ℤ", r"\mathbb{Q}": "ℚ", r"\mathbb{N}": "ℕ", r"\mathbb{C}": "ℂ",
    "e": "ℯ", "i": "ℹⅈ", "u": "µ",
}  # fmt: skip
_SPELLINGS = {ord(char): rf"\{name} " for name, chars in _COMMANDS.items() for char in chars} | {
    ord(char): text for text, chars in _TEXTS.items() for char in chars
}

_RAISED = dict(zip("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁼⁽⁾ⁱⁿᵃᵇᶜᵈᵉᵏᵐᵖᵗˣʸᶻ", "0123456789+-=()inabcdekmptxyz", strict=True))
_LOWERED = dict(zip("₀₁₂₃₄₅₆₇₈₉₊₋₌₍₎ₐₑₓᵢⱼₖₗₘₙₚₛₜ", "0123456789+-=()aexijklmnpst", strict=True))
_RUN_RAISED = re.compile(f"[{''.join(_RAISED)}]+")
_RUN_LOWERED = re.compile(f"[{''.join(_LOWERED)}]+")
_ROOT = re.compile(r"([√∛∜])\s*(?:([0-9]+(?:\.[0-9]+)?|[A-Za-z]|\\(?!frac)[A-Za-z]+)|(?=[({\\]))")
_DEGREE = {"√": "", "∛": "[3]", "∜": "[4]"}
_VULGAR = re.compile("[¼½¾⅐-⅞↉]")
_SCRIPT = re.compile(r"[\^_]\s*\{")
_WIDE = re.compile("[\uff01-\uff5e\uffe0-\uffe6\U0001d400-\U0001d7ff]+")


def spell(text: str) -> str:
    """The text with its mathematical characters as LaTeX or ASCII; the text itself where it is ASCII already."""
    if text.isascii():
        return text
    if "\\" not in text and not _SCRIPT.search(text):
        text = text.replace("{", r"\{").replace("}", r"\}")  # without LaTeX, braces are those of a set
    text = _VULGAR.sub(_fraction, text)
    text = _WIDE.sub(lambda match: unicodedata.normalize("NFKC", match[0]), text)
    text = _RUN_RAISED.sub(lambda match: f"^{{{''.join(map(_RAISED.__getitem__, match[0]))}}}", text)
    text = _RUN_LOWERED.sub(lambda match: f"_{{{''.join(map(_LOWERED.__getitem__, match[0]))}}}", text)
    return _ROOT.sub(_root, text.translate(_SPELLINGS))


def _fraction(match: re.Match[str]) -> str:
    upper, lower = unicodedata.normalize("NFKC", match[0]).split("\u2044")
    return rf"\frac{{{upper}}}{{{lower}}}"


def _root(match: re.Match[str]) -> str:
    root = rf"\sqrt{_DEGREE[match[1]]}"
    return f"{root}{{{match[2]}}}" if match[2] else root
