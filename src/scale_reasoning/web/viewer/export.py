"""The pages as files in a folder to send to others: it works from the disk and loads nothing else."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable
from pathlib import Path

from scale_reasoning.errors import ConfigError, ScaleError
from scale_reasoning.files import workspace
from scale_reasoning.web.viewer.addresses import HOME
from scale_reasoning.web.viewer.shelf import Shelf
from scale_reasoning.web.viewer.site import NotFound, Site

LINK = re.compile(r'(?:href|src)="([\w-]+\.(?:html|css|js))[#"]')
"""A link to another page or file. Text of models and datasets has no bare quotation marks."""
PART = ".scale-view-"
"""What the name of a folder with unfinished pages begins with."""


def export(shelf: Shelf, out: Path, tell: Callable[[int, int], None] | None = None) -> int:
    """Writes every page that a link leads to into a new or empty folder; returns how many there are.

    The pages are written elsewhere and moved there at the end, so that an interrupted export leaves none. A run that
    cannot be read has a page that says so. tell: is called after every page with the number of pages that are written,
    and of those that are known to follow. Raises ConfigError if nothing can be written.
    """
    try:
        if out.is_dir() and any(not each.name.startswith(PART) for each in out.iterdir()):
            raise ConfigError(f"--html {out}: the folder is not empty; name a new one")
        out.parent.mkdir(parents=True, exist_ok=True)
        # An empty folder that exists may be one that cannot be replaced.
        with workspace(out if out.is_dir() else out.parent, PART) as place:
            pages = place / "pages"
            pages.mkdir()
            count = _write_pages(Site(shelf, live=False), pages, tell)
            if not out.is_dir():
                pages.rename(out)
            else:
                for file in sorted(pages.iterdir(), key=lambda each: each.name == HOME):
                    file.rename(out / file.name)
    except OSError as error:
        raise ConfigError(f"--html {out}: {error}") from error
    return count


def _write_pages(site: Site, folder: Path, tell: Callable[[int, int], None] | None) -> int:
    names, pending = {HOME}, deque([HOME])
    while pending:
        name = pending.popleft()
        body = _make_page(site, name)
        (folder / name).write_text(body, encoding="utf-8")
        links = set(LINK.findall(body)) - names
        names |= links
        pending.extend(sorted(links))
        if tell is not None:
            tell(len(names) - len(pending), len(pending))
    return sum(name.endswith(".html") for name in names)


def _make_page(site: Site, name: str) -> str:
    try:
        return site.make_page(name, {})[0]
    except (NotFound, ScaleError) as error:
        return site.pages.make_error(str(error))
