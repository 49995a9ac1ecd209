r"""Separates the words of an answer from its formulas: `odd $n$` is the word "odd" and the formula `n`.

Decides what is a word and what a product of letters, which words only introduce an answer ("the answer is"), and when
two wordings are the same: without regard to case, articles and the plural.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

FORMULA = ""
"""The place of a formula among the words."""


def words_of(text: str) -> frozenset[str]:
    """The words of a text, as a set."""
    return frozenset(text.split())


_LEAD_WORDS = words_of("""
    so thus hence therefore then finally consequently we get have obtain find conclude see that it follows is are be
    must should would will the my our your final correct exact exactly precisely simply required desired requested
    numerical answer answers result results value values equals
""")
_LEAD = re.compile(
    rf"(?:[\s*:,]*(?:{'|'.join(sorted(_LEAD_WORDS))}|equal to|solutions? (?:set )?(?:is|are))(?![A-Za-z]))*"
    r"(?:[\s*:,]|(?<![<>!:\\])=\s)*",
    re.IGNORECASE,
)
_LEAD_OUT = re.compile(
    r",?\s*(?:is|are) (?:the|my|our) (?:final |correct )?(?:answer|result|solution)s?\s*$", re.IGNORECASE
)
_SOME_WORD = re.compile(r"(?<![A-Za-z\\])[A-Za-z]{2}|\\(?:text|mbox)")
_TEXT = re.compile(
    r"\\(?:text[a-z]*|mbox)\{([^{}]*)\}|\\(?:mathrm|operatorname)\{\s*([A-Za-z]{3,}(?:[ -][A-Za-z]+)*)\s*\}"
)
_PIECE = re.compile(
    r"\\(?:begin|end|mathbb|mathrm|operatorname|mathcal)\{[^{}]*\}|\\[A-Za-z]+"
    r"|(?P<word>(?<![A-Za-z0-9\\_^{(|])[A-Za-z]+(?:['-][A-Za-z]+)*(?![A-Za-z0-9_^({]))|.",
    re.DOTALL,
)
_BEFORE_LETTERS = re.compile(r"[=^_*/+<>]\s*$")
_AFTER_LETTERS = re.compile(r"\s*(?:[=^_*/+<>]|\\(?:cdot|times|leq|geq))")
_MATHEMATICAL = words_of("""
    sin cos tan cot sec csc log ln exp pi infty infinity sqrt mod max min gcd lcm lim det deg arcsin arccos arctan
    sinh cosh tanh inf sup theta alpha beta gamma lambda binom frac cdot times and or percent pct percentage approx
    union dx dy dt
""")
_SHORT = words_of("""
    is no if of on in to do we by be it an as at all any the not odd yes non for are has one two six ten set red may
    its dne few day sum up but can cat dog boy man car box top mon tue wed thu fri sat sun tie win out off low big
    new old ray arc cup bag jan feb mar apr jun jul aug sep oct nov dec son bus pie pen egg hat ball tom bob sam joe
    ann amy ben dan eve jim kim ron tim max jo al ed every than most least
""")
_PUNCTUATION = re.compile(r"^(?:[\s,;:!?]|\.(?![0-9]))+|[\s.,;:?]+$|(?<=\s)!$")
_NOUN = re.compile(r"\s+(?!(?:is|are|and|or)\b)[A-Za-z]{2}")
_UPPER = words_of("""
    NO YES DNE TRUE FALSE NONE ODD EVEN
""")
_SAME = {"dne": ("does", "not", "exist"), "cannot": ("can", "not"), "can't": ("can", "not"), "won't": ("will", "not")}
_ARTICLES = words_of("""
    a an the
""")
_VERBS = words_of("""
    is are be was were equal doe do has have get obtain exactly
""")
_QUALIFIERS = words_of("""
    least most than not no never none about approximately roughly around nearly almost odd even except multiples
    multiple divisible to non neither maybe perhaps possibly either between below above under over without cannot
    isn't prime composite
""")
_QUALIFIERS_AFTER = words_of("""
    more less fewer greater least most larger smaller not above below
""")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wording:
    """Words, with `FORMULA` in the place of each formula, and the formulas in order."""

    words: tuple[str, ...]
    formulas: tuple[str, ...]

    @property
    def is_formula(self) -> bool:
        """Whether there is a single formula and nothing else."""
        return self.words == (FORMULA,)

    @property
    def qualified(self) -> bool:
        """Whether words next to the last formula change its meaning: "at most", "odd", "or more"."""
        if FORMULA not in self.words:
            return False
        last = len(self.words) - 1 - self.words[::-1].index(FORMULA)
        before, after = self.words[max(0, last - 2) : last], self.words[last + 1 : last + 3]
        return not _QUALIFIERS.isdisjoint(before) or not _QUALIFIERS_AFTER.isdisjoint(after)

    def states(self, gold: Wording) -> bool:
        """Whether these words are those of the gold answer, alone or at the end of a sentence ("the triangle is
        isosceles").
        """
        count = len(gold.words)
        if self.words[-count:] != gold.words:
            return False
        before = self.words[:-count]
        verb = not before or before[-1] in _VERBS or gold.words[0] in _VERBS
        return verb and _QUALIFIERS.isdisjoint(before)

    @property
    def result(self) -> str | None:
        """The formula that the words introduce ("the number of ways is 5"); None if they change its meaning."""
        if self.words[-1:] != (FORMULA,) or self.qualified:
            return None
        return self.formulas[-1] if len(self.words) == 1 or self.words[-2] in _VERBS else None


def unwrap_text(text: str) -> str:
    r"""The text with the content of `\text{}` as ordinary words."""
    return _TEXT.sub(lambda match: f" {match[1] if match[1] is not None else match[2]} ", text)


def drop_lead(text: str) -> str:
    """The text without the words that introduce or close an answer; the whole text if nothing is left."""
    lead = _LEAD.match(text)
    rest = text[lead.end() :] if lead else text
    rest = _LEAD_OUT.sub("", rest)
    return rest or text


def read_wording(text: str) -> Wording:
    """The words and formulas of a text in plain notation (see `notation.plain`)."""
    if not _SOME_WORD.search(text):
        return Wording(words=(FORMULA,), formulas=(text.strip(),))
    text = drop_lead(unwrap_text(text))
    words: list[str] = []
    formulas: list[str] = []
    chunk = ""
    for piece in [*_PIECE.finditer(text), None]:
        word = piece["word"] if piece else ""
        if piece and not (word and _is_word(word, text, piece.start(), piece.end())):
            chunk += piece[0]
            continue
        if formula := _PUNCTUATION.sub("", chunk):
            words.append(FORMULA)
            formulas.append(formula)
        chunk = ""
        words += _same(word) if word else ()
    while len(words) > 1 and words[0] in ("is", "are"):
        del words[0]
    return Wording(words=tuple(words), formulas=tuple(formulas))


def _is_word(letters: str, text: str, start: int, stop: int) -> bool:
    """Whether letters are a word, not a variable, a product of variables or the name of a function."""
    if len(letters) == 1:
        return letters in "aA" and _NOUN.match(text, stop) is not None
    if letters.isupper() and len(letters) <= 4:
        return letters in _UPPER
    if letters.lower() in _MATHEMATICAL:
        return False
    if _BEFORE_LETTERS.search(text, max(0, start - 5), start) or _AFTER_LETTERS.match(text, stop):
        return False
    return letters.lower() in _SHORT or len(letters) > 3


def _same(word: str) -> tuple[str, ...]:
    """The word to compare, in lower case and the singular; () for an article."""
    word = word.casefold()
    if word.endswith("n't"):
        words = _SAME.get(word, (word[:-3], "not"))
    else:
        words = _SAME.get(word, (word.replace("-", "").removesuffix("'s"),))
    return tuple(_singular(each) for each in words if each not in _ARTICLES)


def _singular(word: str) -> str:
    return word[:-1] if len(word) > 3 and word[-1] == "s" and word[-2] not in "sui" else word
