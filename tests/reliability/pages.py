"""The tables of docs/reliability.md, as the tests read them."""

from __future__ import annotations

from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "reliability.md"


def table(heading: str) -> dict[str, dict[str, str]]:
    """The table under a heading: cells by column, rows by the name in their first cell."""
    section = PAGE.read_text(encoding="utf-8").split(f"\n## {heading}\n")[1].split("\n## ")[0]
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in section.splitlines() if line[:1] == "|"]
    columns, _, *rows = lines
    names = [row[0].strip("`") for row in rows]
    assert len(set(names)) == len(names), "a fault has two rows"
    assert all(len(row) == len(columns) for row in rows)
    return {name: dict(zip(columns, row, strict=True)) for name, row in zip(names, rows, strict=True)}
