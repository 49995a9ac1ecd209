"""What a refusal objects to in the request: a key, its value, a pair of keys, a part of the schema, the system role.

Pure. Finds the changes that may answer a refusal, the smallest first; adapting.py decides which to try and to keep.
Only what was sent is changed, never the model or the messages as such.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from scale_reasoning.engines.changes import Body, Bound, Change, Drop, Fold, Put, Rename, Simplify
from scale_reasoning.engines.statements import Statement, read_statements
from scale_reasoning.engines.values import as_list, as_table
from scale_reasoning.types import JSON

LIMITS = ("max_tokens", "max_completion_tokens", "max_output_tokens", "max_new_tokens")
"""Names of the limit of new tokens. It is renamed or lowered, never left out, because it bounds the cost."""

_FIXED = {"model", "messages"}
_KEYWORDS = {
    "minItems", "maxItems", "uniqueItems", "additionalProperties", "enum", "const", "minimum", "maximum", "pattern",
    "format", "minLength", "maxLength", "default", "strict",
}  # fmt: skip
"""Keywords without which a schema keeps its meaning."""

_OTHER_WORDS = {
    "response_format": r"response[_ ]?(?:format|schema)|json[_ ](?:schema|mode|output|object)|structured.output"
    r"|\bschema\b|guided|grammar|output_(?:config|format)",
    "stream_options": r"include[_ ]usage",
    "stream": r"\bstreaming\b",
    **dict.fromkeys(LIMITS, r"max(?:imum)? (?:new |output |completion )?tokens|(?:completion|output) tokens"),
    **dict.fromkeys(
        ("reasoning_effort", "thinking", "reasoning", "enable_thinking", "chat_template_kwargs"),
        r"\b(?:thinking|reasoning|think)\b",
    ),
}
"""Words for a key, where a refusal names no key."""

_WORDS = {"thinking", "reasoning", "think", "stream", "user", "stop", "n"}
"""Keys that are also words of English: they count only where they are written as a key."""

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
"""Of two keys that cannot be sent together, the first in this list is left out."""

_ADVICE = re.compile(
    r"^\W*(?:please )?(?:use|try|supported|valid|allowed|accepted|available|known|expected|possible|did you mean)\b",
    re.IGNORECASE,
)
"""How a sentence begins that names what would be accepted."""

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
"""Values of reasoning_effort, in order."""

_LISTED_VALUES = re.compile(
    r"(?:values?(?: are|:)|one of|(?:should|must) be|expected|allowed|(?:options?|levels?)(?: are|:))(?=(.{3,200}))",
    re.I,
)


def find_changes(refusal: str, body: Body) -> list[Change]:
    """The changes that may answer a refusal, in the order in which to try them; [] where it objects to nothing sent."""
    changes = [change for statement in read_statements(refusal) for change in _changes_for(statement, body)]
    return list(dict.fromkeys(changes))


def _changes_for(statement: Statement, body: Body) -> list[Change]:
    text = statement.text
    is_about_roles = _SYSTEM.search(text) or re.search(r"messages\W+0\W+role", statement.about)
    if is_about_roles and Fold().apply(body) is not body:
        return [Fold()]
    if simpler := _simplify_schema(text, body):
        return simpler
    keys = _find_keys(statement, body)
    if not keys or not (statement.about or _REFUSES.search(text)):
        return []
    mentioned = list(dict.fromkeys([*keys, *(mention.key for mention in _find_mentions(text, body))]))
    if _PAIR.search(text) and len(mentioned) > 1:
        return [Drop(next((key for key in _DISPENSABLE if key in mentioned), mentioned[-1]))]
    return [change for key in keys for change in _change_key(key, text, body)]


def _simplify_schema(text: str, body: Body) -> list[Change]:
    """A schema without the keywords that a refusal names, then no schema."""
    if "response_format" not in body or not _REFUSES.search(text):
        return []
    if re.search(r"required to be supplied|must be (?:set to )?false", text):
        return [Drop("response_format")]  # that is what was sent: this server reads schemas in another way
    named = {word for word in _KEYWORDS & _all_keys(body["response_format"]) if re.search(rf"\b{word}\b", text)}
    if not re.search(r"['\"`.]strict|\bstrict['\"`]|\bstrict(?:: | (?:mode|schema|is ))", text):
        named.discard("strict")  # a word of English
    return [Simplify(frozenset(named)), Drop("response_format")] if named else []


def _all_keys(value: JSON) -> set[str]:
    """The keys of a JSON value at every level."""
    table = as_table(value)
    return set(table).union(*(_all_keys(each) for each in (*table.values(), *as_list(value))))


def _find_keys(statement: Statement, body: Body) -> list[str]:
    """The keys of the body that a statement is about."""
    if statement.about:
        names = _names_of_keys(body)
        parts = [_normalize(part) for part in re.split(r"[^\w-]+", statement.about)]
        key = next((names[part] for part in parts if part in names), None)
        if key is not None:
            return [key]
        if parts[:1] in (["model"], ["messages"]) or parts[:2] in (["body", "messages"], ["body", "model"]):
            return []
    sentences = [
        sentence
        for sentence in re.split(r"(?<=[.;!])\s+(?=[A-Z'\"`])|\n+", statement.text)
        if _REFUSES.search(sentence) and not _ADVICE.search(sentence)
    ]
    keys = [key for sentence in sentences for key in _first_keys(sentence, body)]
    keys = keys or _first_keys(statement.text, body)
    keys = keys or [
        key for key, words in _OTHER_WORDS.items() if key in body and re.search(words, statement.text, re.I)
    ]
    return list(dict.fromkeys(keys))


class _Mention(NamedTuple):
    start: int
    end: int
    key: str


def _first_keys(sentence: str, body: Body) -> list[str]:
    """The first key that a sentence mentions, and those listed directly after it."""
    mentions = list(_find_mentions(sentence, body))
    first = mentions[:1]
    for mention in mentions[1:]:
        if not re.fullmatch(r"(?:[\s,'\"`\[\]{}()&/]|and|or)*", sentence[first[-1].end : mention.start]):
            break
        first.append(mention)
    return [mention.key for mention in first]


def _find_mentions(text: str, body: Body) -> Iterator[_Mention]:
    names = _names_of_keys(body)
    for match in re.finditer(r"[A-Za-z][\w-]*(?:\.[\w-]+)*", text, re.ASCII):
        parts = [_normalize(part) for part in match.group().split(".")]
        key = next((names[part] for part in parts if part in names), None)
        if key is not None and (key not in _WORDS or len(parts) > 1 or _is_written_as_key(text, match)):
            yield _Mention(match.start(), match.end(), key)


def _is_written_as_key(text: str, match: re.Match[str]) -> bool:
    before, after = text[: match.start()], text[match.end() :]
    return (
        before.endswith(("'", '"', "`"))
        or re.search(
            r"(?:param\w*|argument\w*|field\w*|keys?|property|supplied:?|name|model:|invalid|support) $", before, re.I
        )
        is not None
        or re.match(r"['\"`:]|\W+(?:is|are) (?:not|un)|\W+(?:param|argument|field|extra|not permitted)", after, re.I)
        is not None
    )


def _names_of_keys(body: Body) -> dict[str, str]:
    """The keys that were sent, by all names in a refusal: their own, those of inner keys, those of the same limit."""
    keys = [key for key in body if key not in _FIXED]
    names = {_normalize(inner): key for key in keys for inner in as_table(body[key]) if "_" in inner}
    names |= {_normalize(other): key for key in keys if key in LIMITS for other in LIMITS}
    return names | {_normalize(key): key for key in keys}


def _normalize(name: str) -> str:
    return name.replace("_", "").replace("-", "").lower()


def _change_key(key: str, text: str, body: Body) -> list[Change]:
    value = body[key]
    if key == "logprobs" and "top_logprobs" in body:  # often they are refused by the other's name
        changes = [each for each in _change_key("top_logprobs", text, body) if isinstance(each, Bound)]
        return [*changes, Drop(key)]
    if isinstance(value, bool):
        return [Drop(key)]
    if key in LIMITS:
        return _change_limit(key, text, value)
    if isinstance(value, str) and (effort := _nearest_effort(value, text)) is not None:
        return [Put(key, effort, was=value), Drop(key)]
    if isinstance(value, int | float) and (bound := _bound_number(key, text, value)) is not None:
        return [bound, Drop(key)]
    return [Drop(key)]


def _change_limit(key: str, text: str, value: JSON) -> list[Change]:
    """A lower limit of new tokens where the refusal names one, else another name for it."""
    most = None
    if below := _OPEN.search(text):
        most = _number(below.group(2)) - 1
    elif (highest := _highest(text)) is not None:
        most = highest
    elif below := _BELOW.search(text):
        most = _number(below.group(1)) - 1
    if most is not None and isinstance(value, int) and 0 < most < value:
        return [Bound(key, None, most)]
    if not _UNKNOWN.search(text):
        return []
    other = "max_completion_tokens" if key == "max_tokens" else "max_tokens"
    return [Rename(key, next((name for name in LIMITS if name != key and re.search(rf"\b{name}\b", text)), other))]


def _bound_number(key: str, text: str, value: float) -> Change | None:
    """A number that the refusal allows; None where the key should rather be left out."""
    if key == "seed":
        return None  # with a bound, many seeds would become one
    only = _ONLY.search(text)
    if only is not None and "default" not in text.lower():
        return Put(key, _number(*only.groups()))
    least, range_ = _LEAST.search(text), _RANGE.search(text)
    low = _number(*range_.groups()[::2]) if range_ else _number(*least.groups()) if least else None
    bound = Bound(key, low, _highest(text))
    return bound if bound.apply({key: value})[key] != value else None


def _highest(text: str) -> float | None:
    """The largest number that the refusal allows, None where it names none."""
    if range_ := _RANGE.search(text):
        return _number(*range_.groups()[1::2])
    most = _MOST.search(text)
    return _number(*most.groups()) if most else None


def _number(*groups: str | None) -> float:
    """The number in the first group that matched."""
    digits = next(group for group in groups if group).replace(",", "")
    return float(digits) if "." in digits else int(digits)


def _nearest_effort(value: str, text: str) -> str | None:
    """The listed effort that is nearest to the one that was sent; None where the refusal lists none."""
    for match in _LISTED_VALUES.finditer(text):
        listed = [word for word in re.findall(r"\w+", match.group(1).lower()) if word in _EFFORTS]
        if value != "none":  # a thought may be longer or shorter; without a thought it would be another mode
            listed = [word for word in listed if word != "none"]
        if listed and value in _EFFORTS and value not in listed:
            return min(listed, key=lambda word: abs(_EFFORTS.index(word) - _EFFORTS.index(value)))
    return None
