"""Finds control characters in a text, and guesses what they were before an escape was read wrongly.

Refused are C0 except tab, newline and carriage return, DEL, and C1. Refused is also the rest of a LaTeX command whose
single backslash was read as a tab, a newline or a carriage return. Changes no text.
"""

from __future__ import annotations

import re

_ESCAPES = {"\a": "a", "\b": "b", "\t": "t", "\n": "n", "\v": "v", "\f": "f", "\r": "r"}
"""The letter of each character's escape: `"\\f"` is a form feed."""
# Some rests are short ("\nu"): they count only after an operator or an opening bracket.
_REST_OF_A_COMMAND = (
    r"\t(?:heta|imes|ext(?:bf|it|rm|sf|tt|style)?|frac|binom|anh|au|herefore|ilde|riangle(?:q|left|right)?)"
    r"|(?<=[\w)}$] )\neq(?=[ \d\\])(?! ?\()|(?<=[\w)}$])\neq(?=\d)"
    r"|\n(?:abla|leq|geq|otin|ewline|olimits|onumber|subseteq|ewcommand)"
    r"|\r(?:ho|ight|ightarrow|ightleftharpoons|ceil|brack|vert)"
    r"|(?<=[=+*/({^$|-])(?:\tan|\nu|\ne|\rangle)|(?<=\S)\to"
)
_CONTROL = re.compile(rf"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]|(?:{_REST_OF_A_COMMAND})(?![a-zA-Z])")
_LETTERS = re.compile(r"[a-zA-Z]{1,30}")


def find_control_character(text: str) -> str | None:
    """Describes the first control character in a text and says what to do; None where there is none."""
    found = _CONTROL.search(text)
    if found is None:
        return None
    character, at = found[0][0], found.start()
    what = f"a control character (U+{ord(character):04X}) at character {at + 1}"
    rest = _LETTERS.match(text, at + 1)
    if character in _ESCAPES and rest:
        command = f"\\{_ESCAPES[character]}{rest[0]}"
        return f"{what}, before {rest[0]!r}: {command} was most likely written with one backslash; write \\{command}"
    if character >= "\x80":
        return f"{what}: the text was most likely read in the wrong encoding; save it as UTF-8"
    return f"{what}: remove it"
