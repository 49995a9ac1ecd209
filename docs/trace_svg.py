"""Makes docs/images/trace.svg, a recorded solve that appears line by line. Run it as python docs/trace_svg.py.

The record is docs/images/trace.json: scale solve --model student --tau 0.3 --json, on the student's example.
"""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from pathlib import Path

import msgspec

from scale_reasoning.cli.example import LETTERS
from scale_reasoning.types import Mode, Record, Step

IMAGES = Path(__file__).parent / "images"
WIDTH, LINE, CHAR, LEFT, TOP = 760, 20, 7.8, 24, 58
"""Pixels: of the picture, of a line, of a character, and before the text."""
BAR = 10
"""Characters of a difficulty of 1."""
PAUSE, REST = 0.35, 6.0
"""Seconds before each line, and after the last one."""
STYLE = """
svg { --paper: #fbfbf9; --edge: #d5d5cf; --text: #24292f; --dim: #646c75; --system1: #0f766e; --system2: #b45309; }
@media (prefers-color-scheme: dark) {
  svg { --paper: #161b22; --edge: #30363d; --text: #e6edf3; --dim: #9aa4af; --system1: #4fd1c5; --system2: #f6ad55; }
}
text { font: 13px ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; fill: var(--text); white-space: pre; }
.dim { fill: var(--dim); } .system1 { fill: var(--system1); } .system2 { fill: var(--system2); }
.strong { font-weight: 700; }
rect { fill: var(--paper); stroke: var(--edge); }
@media (prefers-reduced-motion: reduce) { text { animation: none !important; } }
"""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the picture, with its class, and the seconds that it takes to come."""

    text: str
    kind: str = ""
    seconds: float = PAUSE


def main() -> None:
    """Reads the record and writes the picture."""
    record = msgspec.json.decode((IMAGES / "trace.json").read_bytes(), type=Record)
    (IMAGES / "trace.svg").write_text(draw(list_lines(record)), encoding="utf-8")


def list_lines(record: Record) -> list[Line]:
    """What the picture says: the command, the decomposition, each step, the answer and its cost."""
    solution = record.solution
    assert solution is not None  # noqa: S101  the record is this folder's
    distinct = len(set(solution.candidates))
    lines = [
        Line(f"$ scale solve --model {record.model} --tau {record.strategy['route']['tau']} \\", "strong", 0.1),
        Line(f'    "{LETTERS.text}"', "strong", 0.1),
        Line("", seconds=0.8),
        Line(f"decomposition: {len(solution.candidates)} candidates, {distinct} distinct", "dim"),
        *(Line(f"  {number}. {step.subproblem}", "", 0.15) for number, step in enumerate(solution.steps, 1)),
    ]
    for number, step in enumerate(solution.steps, 1):
        lines += _list_step(step, f"step {number}/{len(solution.steps)}")
    total, by_mode = record.usage.total, record.usage.by_mode
    right = "correct" if record.grade and record.grade.correct else "wrong"
    spent = ", ".join(f"System {mode[-1]} {by_mode[mode].completion_tokens}" for mode in Mode)
    return [
        *lines,
        Line("", seconds=0.5),
        Line(f"answer  {solution.answer}  {right}", "strong"),
        Line(f"cost    {len(record.calls)} calls, {total.completion_tokens} tokens: {spent}", "dim"),
    ]


def _list_step(step: Step, name: str) -> list[Line]:
    filled = round(BAR * (step.difficulty or 0))
    bar, label = "█" * filled + "░" * (BAR - filled), f"System {step.mode[-1]}"
    thought = [line for line in step.reasoning.splitlines() if ":" in line]
    return [
        Line("", seconds=0.4),
        Line(f"{name}  difficulty {step.difficulty:.2f} {bar}  → {label}", step.mode),
        *(Line(f"  thought: {line}", "dim", 0.7) for line in thought),
        Line(f"  {step.text}", "", 0.4),
        Line(f"  {label}, {step.usage.completion_tokens} tokens", "dim", 0.1),
    ]


def draw(lines: list[Line]) -> str:
    """The picture as SVG. Where nothing moves, all lines are there."""
    length = sum(line.seconds for line in lines) + REST
    rules, texts, now = [STYLE], [], 0.0
    for number, line in enumerate(lines):
        now += line.seconds
        if not line.text:
            continue
        if len(line.text) * CHAR > WIDTH - 2 * LEFT:
            raise ValueError(f"too long for the picture: {line.text}")
        come = 100 * now / length
        rules.append(
            f"@keyframes l{number} {{ 0%, {come - 0.01:.2f}% {{ opacity: 0 }} {come:.2f}%, 100% {{ opacity: 1 }} }}\n"
        )
        style = f"animation: l{number} {length:.2f}s infinite"
        place = f'x="{LEFT}" y="{TOP + number * LINE}"'
        texts.append(
            f'<text {place} class="{line.kind}" style="{style}" xml:space="preserve">{escape(line.text)}</text>\n'
        )
    height = TOP + len(lines) * LINE + 8
    size = f'width="{WIDTH}" height="{height}"'
    dots = "".join(f'<circle cx="{LEFT + 6 + 18 * n}" cy="22" r="5" fill="#8b949e" opacity="0.5"/>' for n in range(3))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" {size} role="img">\n'
        f"<title>A problem solved by SCALE: hard steps are thought about, easy ones are not</title>\n"
        f"<style>{''.join(rules)}</style>\n"
        f'<rect x="0.5" y="0.5" width="{WIDTH - 1}" height="{height - 1}" rx="8"/>\n{dots}\n{"".join(texts)}</svg>\n'
    )


if __name__ == "__main__":
    main()
