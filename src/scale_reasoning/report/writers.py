"""The formats of a table by name. JSON is not among them, because it has what a table is made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal, TypeAlias

from scale_reasoning.report.formats import Grid, write_csv, write_html, write_markdown
from scale_reasoning.report.latex import write_latex

Format: TypeAlias = Literal["md", "latex", "html", "csv", "json", "terminal"]
"""`terminal` is written by the command line, which gives its writer."""
Writers: TypeAlias = Mapping[str, Callable[[Grid], str]]

WRITERS: Writers = {"md": write_markdown, "latex": write_latex, "html": write_html, "csv": write_csv}
