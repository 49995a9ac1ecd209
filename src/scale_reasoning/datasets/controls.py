"""Control characters that no text has, and what they most likely were before something read them as an escape.

Decides which characters are refused: all of C0 except tab, newline and carriage return, DEL, and C1; also what is left
of a LaTeX command whose one backslash made a tab, a newline or a carriage return of it. Changes no text.
"""

from __future__ import annotations

import re

_ESCAPES = {"\a": "a", "\b": "b", "\t": "t", "\n": "n", "\v": "v", "\f": "f", "\r": "r"}
"""The letter that makes an escape of each character: `"\\f"` is a form feed."""
# A rest that is a word of its own, as in "\nu", counts only right after an operator or an opening bracket.
_REST_OF_A_COMMAND = (
    r"\t(?:heta|imes|ext(?:bf|it|rm|sf|tt|style)?|frac|binom|anh|au|herefore|ilde|riangle(?:q|left|right)?)"
    r"|(?<=[\w)}$] )\neq(?=[ \d\\])(?! ?\()|(?<=[\w)}$])\neq(?=\d)"
    r"|\n(?:abla|leq|geq|otin|ewline|olimits|onumber|subseteq|ewcommand)"
    r"|\r(?:ho|ight|ightarrow|ightleftharpoons|ceil|brack|vert)"
    r"|(?<=[=+*/({^$|-])(?:\tan|\nu|\ne|\rangle)|(?<=\S)\to"
)
_CONTROL = re.compile(rf"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]|(?:{_REST_OF_A_COMMAND})(?![a-zA-Z])")
_LETTERS = re.compile(r"[a-zA-Z]{1,30}")


def control_character(text: str) -> str | None:
    """What is wrong with a text in which a control character stands, and what to do; None where there is none."""
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
        return f"{what}: the text was most likely read in another encoding than its own; save it as UTF-8"
    return f"{what}: no text has one; remove it"
