"""`scale doctor`."""

from scale_reasoning.cli.options import Commands


def add(commands: Commands) -> None:
    """Adds the verb."""
