"""The recipes that ship with the package, by name: the name of the file without `.toml`.

Decides what the name of a recipe means: a file of the user's first, then a recipe that ships. Reads no recipe.
"""

from __future__ import annotations

from pathlib import Path

from scale_reasoning.errors import ConfigError
from scale_reasoning.suggest import suggest

FOLDER = Path(__file__).parents[1] / "recipes"
SUFFIX = ".toml"


def list_shipped() -> dict[str, Path]:
    """The recipes that ship: their files by name, in order."""
    names = sorted(file.name.removesuffix(SUFFIX) for file in FOLDER.glob(f"*{SUFFIX}"))
    return {name: FOLDER / f"{name}{SUFFIX}" for name in names}


def find_shipped(name: str) -> Path | None:
    """The file of the recipe that ships under this name; None if none does, or if the user has a file of this name."""
    return None if Path(name).is_file() else list_shipped().get(name)


def locate(name_or_path: str) -> Path:
    """The recipe's file: the user's own, else the one that ships. Raises ConfigError with the nearest names."""
    path, shipped = Path(name_or_path), list_shipped()
    if path.exists() and not path.is_dir():
        return path
    if name_or_path in shipped:
        return shipped[name_or_path]
    near = suggest(path.name.removesuffix(SUFFIX), shipped)
    raise ConfigError(f"{name_or_path}: no such file, and no recipe that ships{near}; see scale list recipes")
