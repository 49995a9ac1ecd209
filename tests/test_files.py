"""Files of unknown origin, and files in the making."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from scale_reasoning.files import HELD, read_bounded, replacing, workspace


def test_a_file_is_read_up_to_its_limit_and_no_further(tmp_path: Path) -> None:
    file = tmp_path / "f"
    for size in (0, 1, 999, 1000):
        file.write_bytes(b"x" * size)
        assert read_bounded(file, 1000) == b"x" * size
    for size in (1001, 5_000_000_000):
        with file.open("wb") as opened:
            opened.truncate(size)
        with pytest.raises(OSError, match="over 1,000 bytes"):
            read_bounded(file, 1000)


@pytest.mark.skipif(sys.platform != "linux", reason="files of /proc have no size")
def test_a_file_that_says_it_is_empty_is_read_to_its_end_or_limit() -> None:
    assert b"Name:" in read_bounded(Path("/proc/self/status"), 100_000)
    with pytest.raises(OSError, match="over 10 bytes"):
        read_bounded(Path("/proc/self/status"), 10)


def test_what_is_no_regular_file_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("/dev/zero")
    for file in (tmp_path / "pipe", tmp_path / "link", tmp_path, Path("/dev/zero"), Path("a\0b"), Path("x" * 5000)):
        with pytest.raises(OSError):  # noqa: PT011  the system's words, or ours
            read_bounded(file, 1000)


def test_a_link_to_a_file_is_followed_where_that_is_asked_for_only(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"mine")
    (tmp_path / "link").symlink_to("f")
    assert read_bounded(tmp_path / "link", 1000) == b"mine"
    with pytest.raises(OSError, match="symbolic link"):
        read_bounded(tmp_path / "link", 1000, follow=False)


def test_a_file_in_the_making_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    file = tmp_path / "f"

    def fails() -> None:
        with replacing(file) as opened:
            opened.write(b"half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fails()
    assert not list(tmp_path.iterdir())
    file.symlink_to(tmp_path / "other")
    with replacing(file) as opened:
        opened.write(b"whole")
        assert not file.exists()
    assert file.read_bytes() == b"whole"
    assert [each.name for each in tmp_path.iterdir()] == ["f"]
    umask = os.umask(0o027)
    with replacing(file) as opened:
        opened.write(b"again")
    os.umask(umask)
    assert file.stat().st_mode & 0o777 == 0o640


def test_a_workspace_that_a_killed_process_left_is_removed_by_the_next_and_one_in_use_is_not(tmp_path: Path) -> None:
    program = (
        "import os, pathlib, sys\nfrom scale_reasoning.files import workspace\n"
        "with workspace(pathlib.Path(sys.argv[1]), '.w-') as folder:\n"
        "    (folder / 'big').write_bytes(b'x' * 1000)\n    os.kill(os.getpid(), 9)\n"
    )
    subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=False)
    (left,) = tmp_path.iterdir()
    assert (left / "big").exists()
    (tmp_path / ".w-link").symlink_to(tmp_path.parent)
    (tmp_path / ".w-young").mkdir()
    with workspace(tmp_path, ".w-") as one:
        assert not left.exists()
        with workspace(tmp_path, ".w-") as two:
            assert (one / HELD).exists()
            assert one != two
        assert one.exists()
    assert {each.name for each in tmp_path.iterdir()} == {".w-link", ".w-young"}
    assert tmp_path.parent.exists()
