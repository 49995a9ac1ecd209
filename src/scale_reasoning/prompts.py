"""Prompts are sections of a Markdown file beside their strategy, with holes as `{{name}}`.

Loads, checks, fills and fingerprints them. A hole that nothing fills or a value without a hole is an error, because a
prompt that silently lacks its problem costs a whole run. What the prompts say is up to the strategies.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from scale_reasoning.errors import ConfigError
from scale_reasoning.files import read_bounded, why

HOLE = re.compile(r"\{\{(\w+)\}\}")
MOST_BYTES = 1 << 20
"""The largest prompts file."""
STRATEGIES = Path(__file__).parent / "strategies"
SECTION = re.compile(r"^## +(\S+) *$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Prompts:
    """The prompts of one file by section."""

    source: str
    sections: Mapping[str, str]

    @property
    def fingerprint(self) -> str:
        """sha256 (hex) of all sections; it does not depend on the file they were read from."""
        sections = "".join(f"## {name}\n{text}\n" for name, text in sorted(self.sections.items()))
        return hashlib.sha256(sections.encode()).hexdigest()

    def fill(self, section: str, /, **values: str) -> str:
        """The section with every `{{hole}}` filled. Values are inserted as they are, never read as templates.

        Raises ConfigError when the section is unknown, or holes and values do not match.
        """
        if section not in self.sections:
            raise ConfigError(f"{self.source}: no section '## {section}' (found: {', '.join(self.sections)})")
        template = self.sections[section]
        holes = set(HOLE.findall(template))
        if holes != set(values):
            raise ConfigError(
                f"{self.source}, '## {section}': its holes are {sorted(holes)}, and must be {sorted(values)}"
            )
        return HOLE.sub(lambda hole: values[hole.group(1)], template)


@cache
def load(path: Path) -> Prompts:
    """Reads a prompts file. Text before the first `## section` is a comment.

    Raises ConfigError if the file cannot be read, is not a regular file, is too large, has no section or has a
    section twice.
    """
    try:
        text = read_bounded(path, MOST_BYTES).decode().replace("\r\n", "\n").replace("\r", "\n")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"prompts file {path}: {why(error)}") from error
    _, *parts = SECTION.split(text)
    names, bodies = parts[0::2], parts[1::2]
    if not names or len(set(names)) != len(names):
        raise ConfigError(f"prompts file {path}: needs '## section' headings, each name once; found {names}")
    sections = {name: body.strip() for name, body in zip(names, bodies, strict=True)}
    return Prompts(path.name, sections)


@cache
def load_own(module_file: str, prompt_set: str = "") -> Prompts:
    """The prompts of a module, `load_own(__file__)`: those of its .md file, and of a prompt set in place of them."""
    return choose_prompts(prompt_set, load(Path(module_file).with_suffix(".md")))


def list_prompt_sets() -> tuple[str, ...]:
    """The prompt sets that ship: folders next to the strategies' own prompts."""
    return tuple(sorted({file.parent.name for file in STRATEGIES.glob("*/scale.md")}))


def choose_prompts(file: str, own: Prompts) -> Prompts:
    """The user's prompts file or the named prompt set if there is one, else the strategy's own.

    Missing sections are taken from `own`; so is everything if a set has no file for the strategy. Raises ConfigError
    when the file cannot be used: see `load`; and where a section is not one of `own`, or its holes are not those of the
    section in `own`, which are what the strategy fills.
    """
    shipped = STRATEGIES / file / own.source if file in list_prompt_sets() else None
    if not file or (shipped is not None and not shipped.exists()):
        return own
    theirs = load(shipped or Path(file))
    if unknown := set(theirs.sections) - set(own.sections):
        raise ConfigError(f"prompts file {file}: unknown sections {sorted(unknown)}; known: {', '.join(own.sections)}")
    wrong = [fault for section, text in theirs.sections.items() for fault in _faults(section, text, own)]
    if wrong:
        raise ConfigError(f"prompts file {file}: {'; '.join(wrong)}")
    return Prompts(theirs.source, {**own.sections, **theirs.sections})


def _faults(section: str, text: str, own: Prompts) -> Iterator[str]:
    """What is wrong with the holes of a user's section."""
    found, filled = set(HOLE.findall(text)), set(HOLE.findall(own.sections[section]))
    named = {fault: sorted(holes) for fault, holes in (("lacks", filled - found), ("has", found - filled)) if holes}
    for fault, holes in named.items():
        spelled = ", ".join(f"{{{{{hole}}}}}" for hole in holes)
        reason = "" if fault == "lacks" else ", which nothing fills"
        yield f"'## {section}' {fault} {spelled}{reason}"
