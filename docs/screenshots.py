"""Makes docs/images/viewer-*.png: a sweep by the arithmetic teacher, looked at in Chromium.

`python docs/screenshots.py` needs the view extra, playwright, and Debian's chromium.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

IMAGES = Path(__file__).parent / "images"
SCALE = (sys.executable, "-m", "scale_reasoning")
SHOTS = {"runs": "index.html", "run": "r1-c1.html", "trace": "r1-c1-p0-s0.html"}
HEIGHT = {"runs": 520, "run": 1040, "trace": 1500}


def main() -> None:
    """Runs, looks, keeps the pictures."""
    with tempfile.TemporaryDirectory() as folder:
        data = ("--level", "hard", "--limit", "12", "--samples", "4", "--model", "arithmetic-teacher")
        _scale("eval", "arithmetic", "--strategy", "cot", *data, "--out", f"{folder}/runs/cot")
        _scale("sweep", "tau", "0.2", "0.5", "0.8", "--dataset", "arithmetic", *data, "--out", f"{folder}/runs/taus")
        _scale("view", f"{folder}/runs", "--html", f"{folder}/pages")
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
            for name, address in SHOTS.items():
                page = browser.new_page(viewport={"width": 1280, "height": HEIGHT[name]}, color_scheme="light")
                page.goto((Path(folder) / "pages" / address).as_uri())
                page.screenshot(path=IMAGES / f"viewer-{name}.png")
            browser.close()


def _scale(*words: str) -> None:
    subprocess.run([*SCALE, *words], check=True, capture_output=True)  # noqa: S603  fixed words


if __name__ == "__main__":
    main()
