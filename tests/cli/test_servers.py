"""Several servers and a limit that finds itself, as a user asks for them: processes of their own, real servers."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cli.test_evaluate import problems
from tests.cli.test_solve import PROBLEM, solve_json
from tests.commands import scale
from tests.servers import serving


def test_a_run_on_two_servers_names_both_and_goes_on_with_others(tmp_path: Path) -> None:
    out = str(tmp_path / "run")
    with serving() as one, serving() as two, serving() as later:
        done = scale("eval", str(problems(tmp_path, 8)), "--samples", "1", "--out", out, "--model", "q",
                     "--base-url", one.base_url, "--base-url", two.base_url)  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert len(one.bodies) + len(two.bodies) == 8 * 13
        model = json.loads((tmp_path / "run" / "manifest.json").read_text())["cells"][0]["model"]
        assert (model["base_url"], model["more_base_urls"]) == (one.base_url, [two.base_url])
        gone = scale("eval", "--resume", out, "--base-url", later.base_url)
        assert gone.returncode == 0, gone.stderr
        assert not later.bodies


def test_a_recipe_may_name_several_and_a_flag_takes_the_place_of_all(tmp_path: Path) -> None:
    recipe = tmp_path / "r.toml"
    with serving() as one, serving() as two, serving() as flagged:
        recipe.write_text(
            f"samples = 1\ndatasets = [{json.dumps(str(problems(tmp_path, 8)))}]\n"
            f"[[models]]\nmodel = 'q'\nbase_url = '{one.base_url}'\nmore_base_urls = ['{two.base_url}']\n"
            "[[strategies]]\nname = 'cot'\n"
        )
        assert scale("eval", str(recipe), "--out", str(tmp_path / "a")).returncode == 0
        assert len(one.bodies) + len(two.bodies) == 8
        assert scale("eval", str(recipe), "--out", str(tmp_path / "b"), "--base-url", flagged.base_url).returncode == 0
        assert len(one.bodies) + len(two.bodies) == 8
        assert len(flagged.bodies) == 8


def test_one_of_several_servers_that_is_not_there_is_no_obstacle() -> None:
    with serving() as server:
        at = ("--base-url", "http://127.0.0.1:9/v1", "--base-url", server.base_url, "--retries", "0")
        record, code = solve_json(*at, "--model", "q", PROBLEM)
    assert code == 0
    assert record["solution"]["answer"] == "12"


def test_a_key_in_one_of_several_addresses_is_refused() -> None:
    done = scale("solve", "--base-url", "http://h/v1", "--base-url", "http://u:secret@h/v1", "--model", "q", PROBLEM)
    assert done.returncode == 2
    assert "--api-key-env" in done.stderr
    assert "secret" not in done.stderr


def test_the_limit_is_a_number_or_auto() -> None:
    with serving() as server:
        at = ("--base-url", server.base_url, "--model", "q", PROBLEM)
        assert solve_json("--in-flight", "auto", *at)[1] == 0
        for wrong in ("0", "many"):
            assert scale("solve", "--in-flight", wrong, *at).returncode == 2
