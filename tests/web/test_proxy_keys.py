"""The file with clients' keys."""

from __future__ import annotations

from pathlib import Path

from scale_reasoning.web.proxy.gate import read_keys


def test_a_key_with_a_hash_in_it_is_not_cut(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text("# mine\nabc#def\nplain # a comment\n  # another\nx#y#z\t#a\n")
    assert read_keys(file) == ("abc#def", "plain", "x#y#z")
