"""Presets: `--like paper`, and `like = "paper"` in a recipe."""

from pathlib import Path
from typing import Any

import pytest
from tests.commands import scale

from scale_reasoning.engines.connection import ModelSpec
from scale_reasoning.errors import ConfigError
from scale_reasoning.runs.like import find_preset, list_presets
from scale_reasoning.runs.recipe import read as read_recipe
from scale_reasoning.strategies import STRATEGIES, describe, make, name_in_words
from scale_reasoning.strategies.allocators.always import Always
from scale_reasoning.strategies.allocators.chance import Random
from scale_reasoning.strategies.allocators.last import LastDifficulty
from scale_reasoning.strategies.allocators.threshold import Threshold
from scale_reasoning.strategies.assessors.rated import Rated
from scale_reasoning.strategies.cot import CoT
from scale_reasoning.strategies.scale import Scale
from scale_reasoning.strategies.vote import Vote

QWEN3 = ModelSpec(model="Qwen/Qwen3-32B")
QWQ = ModelSpec(model="Qwen/QwQ-32B")
DISTILL = ModelSpec(model="deepseek-ai/DeepSeek-R1-Distill-Llama-70B")


def paper(name: str, spec: ModelSpec = QWEN3, **settings: Any) -> Any:
    return make(name, find_preset("paper", spec).set_options(name, settings))


def test_scale_is_the_papers_and_where_it_is_silent_the_authors() -> None:
    assert paper("scale") == Scale(
        candidates=8,
        prompts="paper",
        steps_see="problem",
        split_by="model",
        last_step="question",
        assess=Rated(context="solutions"),
        route=LastDifficulty(then=Threshold(tau=0.2), difficulty=0.9),
        context="solutions",
    )


@pytest.mark.parametrize("spec", [QWQ, DISTILL])
def test_reasoning_only_models_get_one_message_and_the_answers_of_earlier_steps(spec: ModelSpec) -> None:
    made = paper("scale", spec)
    assert (made.messages, made.context) == ("one", "answers")


@pytest.mark.parametrize(("spec", "window"), [(QWEN3, None), (QWQ, 32768), (DISTILL, 16384)])
def test_the_model_has_the_papers_sampling_and_its_authors_window(spec: ModelSpec, window: int | None) -> None:
    liked = find_preset("paper", spec).set_model(spec)
    assert (liked.temperature, liked.top_p, liked.window) == (0.6, 0.95, window)


def test_what_is_said_of_a_model_stays() -> None:
    spec = ModelSpec(model="QwQ-32B", temperature=0.0, top_p=1.0, window=40960)
    assert find_preset("paper", spec).set_model(spec) == spec


def test_a_chain_of_thought_has_the_papers_sentence_alone_in_a_vote_too() -> None:
    alone = CoT(sentence="none")
    assert paper("cot") == alone
    assert paper("vote") == Vote(base=alone)


@pytest.mark.parametrize(
    ("settings", "route"),
    [
        ({"tau": 0.5}, LastDifficulty(then=Threshold(tau=0.5))),
        ({"route": "threshold"}, Threshold(tau=0.2)),
        ({"route": "threshold", "route.tau": 0.7}, Threshold(tau=0.7)),
        ({"route": "system2"}, Always()),
        ({"route": "random", "share": 0.4}, Random(share=0.4)),
        ({"route": "last-difficulty", "difficulty": 0.5}, LastDifficulty(then=Threshold(tau=0.2), difficulty=0.5)),
        ({"route": {"name": "threshold", "tau": 0.3}}, Threshold(tau=0.3)),
    ],
)
def test_options_that_are_given_win(settings: dict[str, Any], route: Any) -> None:
    made = paper("scale", **settings)
    assert made.route == route
    assert made.prompts == "paper"


def test_an_option_of_a_part_that_is_given_wins() -> None:
    assert paper("scale", **{"assess.context": "titles"}).assess == Rated(context="titles")


@pytest.mark.parametrize("name", STRATEGIES)
@pytest.mark.parametrize("preset", list_presets())
def test_every_strategy_can_be_made_like_every_preset(preset: str, name: str) -> None:
    make(name, find_preset(preset, QWEN3).set_options(name, {}))


def test_an_unknown_preset_is_told_which_there_are() -> None:
    with pytest.raises(ConfigError, match=r"like: no preset 'papr' \(did you mean paper\?\); there are: paper"):
        find_preset("papr", QWEN3)


RECIPE = """
like = "{preset}"
datasets = ["aime24"]

[[models]]
model = "{model}"

[[strategies]]
name = "scale"
tau = [0.2, 0.9]
system2_max_tokens = 16384

[[strategies]]
name = "cot"
"""


def written(folder: Path, preset: str = "paper", model: str = "Qwen/QwQ-32B") -> Path:
    file = folder / "mine.toml"
    file.write_text(RECIPE.format(preset=preset, model=model))
    return file


def test_a_recipe_names_a_preset_and_sets_what_differs(tmp_path: Path) -> None:
    manifest = read_recipe(written(tmp_path))
    low, high, cot = (cell.make_strategy() for cell in manifest.cells)
    assert low == paper("scale", QWQ, tau=0.2, system2_max_tokens=16384)
    assert high == paper("scale", QWQ, tau=0.9, system2_max_tokens=16384)
    assert cot == paper("cot", QWQ)
    assert {(cell.model.temperature, cell.model.window) for cell in manifest.cells} == {(0.6, 32768)}


def test_a_recipe_with_an_unknown_preset_is_refused_with_its_name(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"mine\.toml: like: no preset 'papr' .*; there are: paper"):
        read_recipe(written(tmp_path, "papr"))


@pytest.mark.parametrize(
    ("name", "spec", "settings", "words"),
    [
        ("scale", QWEN3, {}, "scale (like paper, tau 0.2)"),
        ("scale", DISTILL, {"tau": 0.9}, "scale (like paper, tau 0.9)"),
        ("scale", QWEN3, {"route": "threshold"}, "scale (like paper, route threshold, tau 0.2)"),
        ("scale", QWQ, {"route": "system2"}, "scale (like paper, route system2)"),
        ("scale", QWEN3, {"max_steps": 5}, "scale (like paper, tau 0.2, max_steps 5)"),
        ("cot", QWEN3, {}, "cot (like paper)"),
    ],
)
def test_a_strategy_that_is_like_a_preset_is_called_so(
    name: str, spec: ModelSpec, settings: dict[str, Any], words: str
) -> None:
    assert name_in_words(describe(paper(name, spec, **settings))) == words


def test_a_strategy_that_lacks_an_option_of_a_preset_is_not_called_like_it() -> None:
    assert "like" not in name_in_words(describe(paper("scale", candidates=4)))


def test_a_resume_takes_no_preset_and_names_the_flag_that_was_given(tmp_path: Path) -> None:
    run, words = str(tmp_path / "run"), ("--model", "arithmetic-teacher", "--limit", "2", "--samples", "1")
    assert scale("eval", "arithmetic", *words, "--like", "paper", "--out", run).returncode == 0
    done = scale("eval", "--resume", run, "--like", "paper")
    assert (done.returncode, done.stderr) == (
        2,
        "scale: error: --like paper: --resume keeps the run's settings; leave the flag out\n",
    )
