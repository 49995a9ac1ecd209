"""Recipes by name, as the verbs find them, and the list of those that ship."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from scale_reasoning.cli.options import say
from scale_reasoning.datasets import DATASETS, find_loader
from scale_reasoning.errors import ConfigError
from scale_reasoning.files import read_toml
from scale_reasoning.runs import recipes
from scale_reasoning.runs.cells import model_of
from scale_reasoning.runs.recipe import read as read_recipe
from scale_reasoning.runs.recipes import FOLDER, SUFFIX
from scale_reasoning.suggest import suggest

if TYPE_CHECKING:
    from rich.table import Table

HOW = """
scale eval NAME runs one (those of sft: scale sft NAME). scale list recipes --show NAME prints one, to read or to copy:
scale list recipes --show table2 > mine.toml ; scale eval mine.toml"""


def locate(name: str) -> Path:
    """The file of the recipe that a command names. Raises ConfigError for a name that is none."""
    file = recipes.locate(name)
    if file.parent == FOLDER and Path(f"{name}{SUFFIX}").is_file():
        say(f"{name} is the recipe that ships; the file in this folder is {name}{SUFFIX}")
    return file


def find_run(name: str) -> Path | None:
    """The recipe or manifest that a name or a path means; None for a dataset. Raises ConfigError for none of them."""
    path = Path(name)
    if path.name.endswith("manifest.json"):
        return path
    if path.suffix == SUFFIX or recipes.find_shipped(name) is not None:
        return locate(name)
    if find_loader(name) is None:
        near = suggest(name, [*recipes.list_shipped(), *DATASETS])
        raise ConfigError(
            f"no dataset and no recipe {name!r}{near}; there are the datasets {', '.join(DATASETS)}, files, "
            "owner/name on the Hub, and the recipes of scale list recipes"
        )
    return None


def list_recipes() -> Table:
    """The recipes that ship: what each one is, and below it its models, datasets and strategies, or its method."""
    from rich.markup import escape
    from rich.table import Table

    table = Table("recipe", "what it is", box=None, pad_edge=False)
    for name, file in recipes.list_shipped().items():
        table.add_row(f"[bold]{name}[/]", escape(read_title(file)))
        table.add_row("", escape(_describe_run(file) if "strategies" in read_toml(file) else _describe_training(file)))
    return table


def read_title(file: Path) -> str:
    """What a recipe is: its first line, a comment."""
    return file.read_text(encoding="utf-8").partition("\n")[0].removeprefix("#").strip()


def read_text(name: str) -> str:
    """A recipe as it is written. Raises ConfigError for a name that is none."""
    return (recipes.list_shipped().get(name) or recipes.locate(name)).read_text("utf-8")


def _describe_run(file: Path) -> str:
    manifest = read_recipe(file)
    models = dict.fromkeys(model_of(cell.model) for cell in manifest.cells)
    datasets = dict.fromkeys(cell.dataset.name for cell in manifest.cells)
    strategies = dict.fromkeys(str(cell.strategy["name"]) for cell in manifest.cells)
    samples = f"{manifest.samples} sample{'s' if manifest.samples > 1 else ''}"
    return f"{', '.join(models)}; {', '.join(datasets)}; {', '.join(strategies)}; {samples}"


def _describe_training(file: Path) -> str:
    from scale_reasoning.synth import sft

    recipe = sft.read(file)
    length = f"{recipe.steps} steps" if recipe.steps else f"{recipe.epochs:g} epochs"
    return f"{recipe.model}; {recipe.rows}; {recipe.method} fine-tuning, {length}"
