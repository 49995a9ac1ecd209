"""What a refusal objects to in the request: a key, its value, a pair of keys, a part of the schema, the system role.

Pure. Only what was sent can be objected to, and never the model or the messages as such. Each objection comes with the
changes that may answer it, the mildest first; adapting.py decides which of them to try and to keep.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple, cast

from scale_reasoning.engines.changes import Body, Bound, Change, Drop, Fold, Put, Rename, Simplify
from scale_reasoning.engines.statements import Statement, statements
from scale_reasoning.types import JSON

LIMITS = ("max_tokens", "max_completion_tokens", "max_output_tokens", "max_new_tokens")
"""What servers call the cap on new tokens. It is renamed or lowered, never left out: it bounds the cost."""

_FIXED = {"model", "messages"}
_PARTS = {
    "minItems", "maxItems", "uniqueItems", "additionalProperties", "enum", "const", "minimum", "maximum", "pattern",
    "format", "minLength", "maxLength", "default", "strict",
}  # fmt: skip
"""Keywords that a schema keeps its sense without."""

_INDIRECT = {
    "response_format": r"response[_ ]?(?:format|schema)|json[_ ](?:schema|mode|output|object)|structured.output"
    r"|\bschema\b|guided|grammar",
    "stream_options": r"include[_ ]usage",
    "stream": r"\bstreaming\b",
    **dict.fromkeys(LIMITS, r"max(?:imum)? (?:new |output |completion )?tokens|(?:completion|output) tokens"),
    **dict.fromkeys(
        ("reasoning_effort", "thinking", "reasoning", "enable_thinking", "chat_template_kwargs"),
        r"\b(?:thinking|reasoning|think)\b",
    ),
}
"""Other words for what was sent, where the refusal has none of the keys."""

_PROSE = {"thinking", "reasoning", "think", "stream", "user", "stop", "n"}
"""Keys that are words of the language too: they count where they are written as a key."""

_REFUSES = re.compile(
    r"un(?:support|recogni|known|expected|available)|n[o']t (?:\w+ ){0,2}(?:support|permit|allow|recogni|implement"
    r"|accept|enabl|avail|valid|defin)|can(?:not|'t)|invalid|illegal|forbid|disallow|extra (?:input|field|key|param)"
    r"|deprecat|\bonly\b|\bmust\b|should|\btoo\b|range|greater|less than|exceed|at (?:most|least)|m(?:ax|in)imum|both"
    r"|exclusive|remove|no longer|incompatible|reject|refus|conflict|between|[<>]=?|\bis not\b|\bbad\b"
    r"|fixed|fail|require|limit|in place of|非法",
    re.IGNORECASE,
)
_UNKNOWN = re.compile(
    r"un(?:support|recogni|known|expected)|n[o']t (?:\w+ ){0,2}(?:support|permit|allow|recogni|implement|accept|avail)"
    r"|extra (?:input|field|key|param)|cannot find|deprecat|forbid|disallow|no longer|remove|instead"
    r"|in place of|invalid (?:parameter|argument|field|key)",
    re.IGNORECASE,
)
_PAIR = re.compile(
    r"\bboth\b|\btogether\b|can(?:not|'t) be (?:\w+ )?(?:with|combined)|mutually exclusive|only one of"
    r"|\beither\b.{0,60}\bor\b|incompatible with|conflicts? with|at the same time|simultaneously|in combination with",
    re.IGNORECASE,
)
_DISPENSABLE = ("stream_options", "seed", "min_p", "top_k", "top_p", "response_format", "temperature")
"""Of a pair that cannot go together, the first of these goes."""

_ASIDE = re.compile(
    r"^\W*(?:please )?(?:use|try|supported|valid|allowed|accepted|available|known|expected|possible|did you mean)\b",
    re.IGNORECASE,
)
"""How a sentence begins that names what would be right."""

_SYSTEM = re.compile(
    r"\b(?:system|developer)\b['\"`]?[ _-]?(?:role|message|prompt|instruction|turn)?s?\b.{0,60}"
    r"\b(?:not|un\w+|must be|should be|cannot|can only|invalid)\b"
    r"|n[o']t (?:support|allow|accept|permit)\w* (?:the |a |any )?['\"`]?(?:system|developer)\b"
    r"|(?:unknown|unexpected|invalid|unsupported) (?:message )?role\W+(?:system|developer)"
    r"|roles? (?:must|should|have to) (?:be )?alternat|successive user"
    r"|only (?:the )?(?:user,?|first).{0,40}(?:assistant|system).{0,20}(?:role|message)"
    r"|input should be 'user'|(?:first (?:message|role|turn)|conversation) (?:must|should|has to)",
    re.IGNORECASE,
)
_N = r"(-?(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+(?:\.\d+)?))"
_TO = rf"\[\s*{_N}\s*,\s*{_N}\s*\]|between {_N} and {_N}|{_N} ?(?:\.\.\.?|to|-) ?{_N}"
_RANGE = re.compile(_TO, re.IGNORECASE)
_OPEN = re.compile(rf"from {_N} \(inclusive\) to {_N} \(exclusive\)", re.IGNORECASE)
_MOST = re.compile(
    rf"(?:<=|≤|less (?:than )?or equal to|at most|max(?:imum)?(?: \w+){{0,3}}?(?: is| of|:)?"
    rf"|no (?:more|greater|larger) than|(?:not|cannot) (?:exceed|be (?:greater|larger|higher) than)"
    rf"|up to|limit(?: is| of|:)?)\s*[`'\"(]*{_N}"
    rf"|\d\)? > {_N}|maximum (?:output|completion) tokens \({_N}\)",
    re.IGNORECASE,
)
_BELOW = re.compile(rf"(?:<|less than|lower than|below|smaller than)\s*[`'\"(]*{_N}", re.IGNORECASE)
_LEAST = re.compile(
    rf"(?:>=|≥|greater than or equal to|at least|minimum(?: value)?(?: is| of|:)?)\s*[`'\"(]*{_N}", re.I
)
_ONLY = re.compile(
    rf"only (?:be (?:set to )?)?(?:the )?(?:value )?[`'\"(]*{_N}|must be (?:exactly |equal to |set to )?{_N}", re.I
)
_EFFORTS = ("none", "minimal", "low", "medium", "default", "high", "xhigh", "max")
_LIST = re.compile(
    r"(?:values?(?: are|:)|one of|(?:should|must) be|expected|allowed|(?:options?|levels?)(?: are|:))(?=(.{3,200}))",
    re.I,
)


def find_changes(said: str, body: Body) -> list[Change]:
    """The changes that may answer a refusal, in the order in which to try them; [] where it objects to nothing sent."""
    found: list[Change] = []
    for statement in statements(said):
        found += _answers(statement, body)
    return list(dict.fromkeys(found))


def _answers(statement: Statement, body: Body) -> list[Change]:
    words = statement.words
    if Fold().apply(body) is not body and (_SYSTEM.search(words) or re.search(r"messages\W+0\W+role", statement.place)):
        return [Fold()]
    simpler = _simpler(words, body)
    keys = [] if simpler else _named(statement, body)
    if not keys or not (statement.place or _REFUSES.search(words)):
        return simpler
    mentioned = list(dict.fromkeys([*keys, *(key for _, _, key in _mentions(words, body))]))
    if _PAIR.search(words) and len(mentioned) > 1:
        return [Drop(next((key for key in _DISPENSABLE if key in mentioned), mentioned[-1]))]
    return [change for key in keys for change in _remedies(key, words, body)]


def _simpler(words: str, body: Body) -> list[Change]:
    """A schema without the keywords that a refusal names, then none at all."""
    if "response_format" not in body or not _REFUSES.search(words):
        return []
    if re.search(r"required to be supplied|must be (?:set to )?false", words):
        return [Drop("response_format")]  # it was: the server reads schemas in its own way
    named = {part for part in _PARTS & _keywords(body["response_format"]) if re.search(rf"\b{part}\b", words)}
    if "strict" in named and not re.search(r"['\"`.]strict|\bstrict['\"`]|\bstrict(?:: | (?:mode|schema|is ))", words):
        named.discard("strict")
    return [Simplify(frozenset(named)), Drop("response_format")] if named else []


def _keywords(value: JSON) -> set[str]:
    if isinstance(value, list):
        return set[str]().union(*map(_keywords, cast("list[JSON]", value)))
    if not isinstance(value, Mapping):
        return set()
    table = cast("Mapping[str, JSON]", value)
    return set(table).union(*map(_keywords, table.values()))


class _Mention(NamedTuple):
    start: int
    end: int
    key: str


def _named(statement: Statement, body: Body) -> list[str]:
    """The keys that a statement is about."""
    if statement.place:
        names = _names(body)
        parts = [_plain(part) for part in re.split(r"[^\w-]+", statement.place)]
        key = next((names[part] for part in parts if part in names), None)
        if key is not None:
            return [key]
        if parts[:1] in (["model"], ["messages"]) or parts[:2] in (["body", "messages"], ["body", "model"]):
            return []
    sentences = re.split(r"(?<=[.;!])\s+(?=[A-Z'\"`])|\n+", statement.words)
    keys = [
        key for each in sentences if _REFUSES.search(each) and not _ASIDE.search(each) for key in _subject(each, body)
    ]
    keys = keys or _subject(statement.words, body)
    keys = keys or [key for key, words in _INDIRECT.items() if key in body and re.search(words, statement.words, re.I)]
    return list(dict.fromkeys(keys))


def _subject(sentence: str, body: Body) -> list[str]:
    """The first key of a sentence, and those that are listed with it."""
    mentions = list(_mentions(sentence, body))
    taken = mentions[:1]
    for mention in mentions[1:]:
        if not re.fullmatch(r"(?:[\s,'\"`\[\]{}()&/]|and|or)*", sentence[taken[-1].end : mention.start]):
            break
        taken.append(mention)
    return [mention.key for mention in taken]


def _mentions(words: str, body: Body) -> Iterator[_Mention]:
    names = _names(body)
    for found in re.finditer(r"[A-Za-z][\w-]*(?:\.[\w-]+)*", words, re.ASCII):
        parts = [_plain(part) for part in found.group().split(".")]
        key = next((names[part] for part in parts if part in names), None)
        if key is not None and (key not in _PROSE or len(parts) > 1 or _as_key(words, found)):
            yield _Mention(found.start(), found.end(), key)


def _as_key(words: str, found: re.Match[str]) -> bool:
    before, after = words[: found.start()], words[found.end() :]
    return (
        before.endswith(("'", '"', "`"))
        or re.search(
            r"(?:param\w*|argument\w*|field\w*|keys?|property|supplied:?|name|model:|invalid|support) $", before, re.I
        )
        is not None
        or re.match(r"['\"`:]|\W+(?:is|are) (?:not|un)|\W+(?:param|argument|field|extra|not permitted)", after, re.I)
        is not None
    )


def _names(body: Body) -> dict[str, str]:
    """How a refusal may write what was sent: keys, the keys below them, and every name of the cap on new tokens."""
    keys = [key for key in body if key not in _FIXED]
    names = {_plain(inner): key for key in keys if isinstance(body[key], dict) for inner in body[key] if "_" in inner}
    names |= {_plain(other): key for key in keys if key in LIMITS for other in LIMITS}
    return names | {_plain(key): key for key in keys}


def _plain(name: str) -> str:
    return name.replace("_", "").replace("-", "").lower()


def _remedies(key: str, words: str, body: Body) -> list[Change]:
    value = body[key]
    if key in LIMITS:
        return _limited(key, words, value)
    if isinstance(value, str) and (other := _nearest(value, words)) is not None:
        return [Put(key, other, was=value), Drop(key)]
    if isinstance(value, int | float) and (bound := _bounded(key, words, value)) is not None:
        return [bound, Drop(key)]
    return [Drop(key)]


def _limited(key: str, words: str, value: JSON) -> list[Change]:
    """A lower cap where the refusal tells one, else another name."""
    open_end = _OPEN.search(words)
    below = open_end.group(2) if open_end else None
    most = _highest(words) if below is None else None
    if most is None and (found := below or _first(_BELOW.search(words))):
        most = _number(found) - 1
    if most is not None and isinstance(value, int) and 0 < most < value:
        return [Bound(key, None, most)]
    other = next((name for name in LIMITS if name != key and re.search(rf"\b{name}\b", words)), None)
    if other is None and _UNKNOWN.search(words):
        other = "max_completion_tokens" if key == "max_tokens" else "max_tokens"
    return [Rename(key, other)] if other is not None and _UNKNOWN.search(words) else []


def _bounded(key: str, words: str, value: float) -> Change | None:
    """A number that the refusal allows; None where leaving the key out is the better answer."""
    if key == "seed":
        return None  # kept in bounds, many seeds would become one
    only = _ONLY.search(words)
    if only is not None and "default" not in words.lower():
        return Put(key, _number(*only.groups()))
    least = _LEAST.search(words)
    range_ = _RANGE.search(words)
    low = _number(*range_.groups()[::2]) if range_ else _number(*least.groups()) if least else None
    most = _highest(words)
    bound = Bound(key, low, most)
    return bound if bound.apply({key: value})[key] != value else None


def _highest(words: str) -> float | None:
    range_ = _RANGE.search(words)
    most = _MOST.search(words)
    if range_ is not None:
        return _number(*range_.groups()[1::2])
    return _number(*most.groups()) if most else None


def _first(found: re.Match[str] | None) -> str | None:
    return found.group(1) if found else None


def _number(*groups: str | None) -> float:
    digits = next(group for group in groups if group).replace(",", "")
    return float(digits) if "." in digits else int(digits)


def _nearest(value: str, words: str) -> str | None:
    """Of the efforts that a refusal lists, the one nearest to what was sent; None where it lists none."""
    for found in _LIST.finditer(words):
        listed = [word for word in re.findall(r"\w+", found.group(1).lower()) if word in _EFFORTS]
        if value != "none":  # a thought may be longer or shorter; turned off it would be another mode
            listed = [word for word in listed if word != "none"]
        if listed and value in _EFFORTS and value not in listed:
            return min(listed, key=lambda word: abs(_EFFORTS.index(word) - _EFFORTS.index(value)))
    return None
