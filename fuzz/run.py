"""Lets atheris loose on the readers of tests/fuzz/targets.py: `python fuzz/run.py 60 [TARGET ...]`, seconds a target.

Stops at the first text that a reader hangs on or that makes it raise what it does not document, and leaves that text
in the working directory (crash-..., timeout-...): make it a row of FOUND in tests/fuzz/test_readers.py.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))


def fuzz(target: str, seconds: str) -> None:
    """Never returns: libFuzzer ends the process, with another code than 0 where it found something."""
    import atheris

    with atheris.instrument_imports(include=["scale_reasoning"]):
        from tests.fuzz.targets import TARGETS
    from tests.fuzz.test_readers import FOUND
    from tests.fuzz.texts import ATOMS

    read = TARGETS[target]
    with tempfile.TemporaryDirectory() as folder:
        words, seeds = Path(folder, "words"), Path(folder, "seeds")
        words.write_text("".join(f'"{_escaped(atom)}"\n' for atom in ATOMS))
        seeds.mkdir()
        for at, text in enumerate(FOUND.values()):
            seeds.joinpath(str(at)).write_bytes(text[:4096].encode("utf-8", "surrogatepass"))
        flags = [
            "-timeout=20",
            "-rss_limit_mb=4096",
            "-max_len=8192",
            "-verbosity=0",
            "-print_final_stats=1",
            f"-dict={words}",
        ]
        atheris.enabled_hooks.add("RegEx")
        atheris.Setup(
            [sys.argv[0], *flags, f"-max_total_time={seconds}", str(seeds)],
            lambda data: read(data.decode("utf-8", "replace")),
        )
        atheris.Fuzz()


def _escaped(text: str) -> str:
    return "".join(f"\\x{byte:02x}" for byte in text.encode("utf-8", "surrogatepass"))


def main(seconds: str, names: list[str]) -> int:
    """One process a target; the code of the first that found something."""
    from tests.fuzz.targets import TARGETS

    for name in names or TARGETS:
        print(f"== {name}", flush=True)  # noqa: T201
        done = subprocess.run([sys.executable, __file__, "--in-this-process", name, seconds], check=False)  # noqa: S603
        if done.returncode:
            return done.returncode
    return 0


if __name__ == "__main__":
    if sys.argv[1:2] == ["--in-this-process"]:
        fuzz(sys.argv[2], sys.argv[3])
    sys.exit(main(sys.argv[1] if sys.argv[1:] else "30", sys.argv[2:]))
