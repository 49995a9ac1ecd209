from __future__ import annotations

import json
from pathlib import Path

import pytest

from scale_reasoning.cli import main
from scale_reasoning.errors import ConfigError
from scale_reasoning.report.plots import draw_loss
from scale_reasoning.report.plots.loss import MOST_POINTS, Curve, average_steps, read_curve


def logged(folder: Path, steps: int) -> Path:
    folder.mkdir()
    lines = [json.dumps({"step": step, "loss": 1 / step}) for step in range(1, steps + 1)]
    (folder / "loss.jsonl").write_text("".join(line + "\n" for line in lines))
    return folder


def test_two_trainings_are_drawn_and_the_same_log_gives_the_same_bytes(tmp_path: Path):
    pytest.importorskip("matplotlib")
    folders = [logged(tmp_path / "short", 3), logged(tmp_path / "long", 195)]
    for name in ("a.svg", "b.svg"):
        draw_loss(folders, tmp_path / name)
    drawn = (tmp_path / "a.svg").read_bytes()
    assert drawn == (tmp_path / "b.svg").read_bytes()
    assert len(drawn) > 4000


def test_the_verb_draws_into_the_models_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    pytest.importorskip("matplotlib")
    folder = logged(tmp_path / "model", 3)
    assert main(["plot", "loss", str(folder)]) == 0
    assert capsys.readouterr().out.strip() == str(folder / "loss.png")
    assert (folder / "loss.png").read_bytes().startswith(b"\x89PNG")


def test_many_steps_are_means_at_the_last_of_each():
    many = Curve(name="x", steps=(1, 2, 3, 4, 5), losses=(5.0, 3.0, 2.0, 2.0, 1.0))
    assert average_steps(many, 2) == Curve(name="x", steps=(2, 4, 5), losses=(4.0, 2.0, 1.0))
    assert average_steps(many, 1) == many
    assert MOST_POINTS < 195


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (None, "needs a folder that `scale sft` made"),
        ("", "no step yet"),
        ("{}", "is not a log of losses"),
        ("x", "not a log"),
    ],
)
def test_what_is_no_log_of_losses_is_refused(text: str | None, complaint: str, tmp_path: Path):
    if text is not None:
        (tmp_path / "loss.jsonl").write_text(text)
    with pytest.raises(ConfigError, match=complaint):
        read_curve(tmp_path)
