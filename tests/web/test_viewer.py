"""The viewer's server as a browser sees it: every page, its filters, who may ask, what a page may do, a run at work."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tests.runs.simulated import Broken, Fuse, again, fresh, manifest
from tests.web.test_viewer_text import tags
from tests.web.viewed import HOSTILE, hostile, sweep, viewing

from scale_reasoning.engines.sim import Sim, Speeds
from scale_reasoning.errors import ConfigError
from scale_reasoning.runs.store import reading
from scale_reasoning.web.viewer.server import is_own_host
from scale_reasoning.web.viewer.shelf import Shelf

PAGES = ("", "index.html", "r0-c0.html", "r0-c0-p0-s1.html", "r0-c0-p0-s1-calls.html", "r0-losses.html",
         "compare-r0-c0-r0-c1-p0-s1-s0.html")  # fmt: skip


def boxes(markup: str) -> list[dict[str, str | None]]:
    """The attempts of a grid, without the legend."""
    return [
        attributes for tag, attributes in tags(markup) if tag == "a" and str(attributes.get("class")).startswith("box ")
    ]


def shown(markup: str) -> int:
    return sum("dim" not in str(box["class"]).split() for box in boxes(markup))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return sweep(tmp_path_factory.mktemp("runs") / "taus")


def test_every_page_is_there_whole_and_under_the_strict_policy(run: Path) -> None:
    with viewing(run) as viewer:
        for page in PAGES:
            answer = viewer.get(page)
            assert answer.status == 200, page
            policy = answer.headers["Content-Security-Policy"]
            assert "default-src 'none'" in policy
            assert "unsafe" not in policy
            assert "frame-ancestors 'none'" in policy
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            found = [tag for tag, _ in tags(answer.text)]
            assert [found.count(tag) for tag in ("h1", "main", "header", "footer")][:2] == [1, 1]
            assert not any("style" in attributes or any(key.startswith("on") for key in attributes)
                           for _, attributes in tags(answer.text))  # fmt: skip


def test_every_link_leads_somewhere_and_loads_nothing_from_elsewhere(run: Path) -> None:
    with viewing(run) as viewer:
        seen, left = set[str](), ["index.html"]
        while left:
            page = left.pop()
            seen.add(page)
            answer = viewer.get(page)
            assert answer.status == 200, page
            ids = {str(attributes["id"]) for _, attributes in tags(answer.text) if "id" in attributes}
            for _, attributes in tags(answer.text):
                address = attributes.get("href") or attributes.get("src") or ""
                assert "//" not in address
                target, _, anchor = address.partition("#")
                if address.startswith("#"):
                    assert anchor in ids
                if target.endswith(".html") and target not in seen and target not in left:
                    left.append(target)
        assert len(seen) > 12


def test_the_run_list_has_accuracy_with_its_interval_tokens_hard_and_owed(run: Path) -> None:
    with viewing(run) as viewer:
        page = viewer.get().text
    assert re.search(r"<b>\d+\.\d\d</b> <span class=\"range\">\[\d+\.\d, \d+\.\d\]", page)
    assert "tau 0.2" in page
    assert "tau 0.8" in page
    assert "6 of 6" in page


def test_each_filter_shows_the_attempts_it_names_and_no_other(tmp_path: Path) -> None:
    plan = manifest([{"name": "cot", "system2_max_tokens": 3000}], samples=4)
    fresh(tmp_path, plan, 8, Sim(Speeds()))
    with reading(tmp_path) as store:
        outcomes, records = list(store.outcomes(0)), list(store.records(0))
    expected = {
        "wrong": sum(outcome.correct is False for outcome in outcomes),
        "unanswered": sum(outcome.answer is None for outcome in outcomes),
        "truncated": sum(outcome.truncated for outcome in outcomes),
        "unparsed": sum(outcome.unparsed for outcome in outcomes),
        "failed": sum(outcome.failure is not None for outcome in outcomes),
    }
    long = sum(
        any((step.usage.completion_tokens or 0) > 2000 for step in r.solution.steps) for r in records if r.solution
    )
    assert 0 < expected["truncated"] < expected["wrong"] < 32
    assert 0 < long < 32
    with viewing(tmp_path) as viewer:
        assert shown(viewer.get("r0-c0.html").text) == 32
        for word, count in expected.items():
            assert shown(viewer.get(f"r0-c0-{word}.html").text) == count, word
        assert shown(viewer.get("r0-c0.html", over=2000).text) == long
        assert shown(viewer.get("r0-c0.html", words="NUMBER 3.").text) == 4
        both = viewer.get("r0-c0-wrong.html", words="p00003").text
        assert shown(both) == sum(o.correct is False for o in outcomes if o.problem_id == "p00003")
        assert "No attempt matches" in viewer.get("r0-c0.html", words="nowhere").text


def test_steps_over_n_tokens_looks_into_voting_chains_too(tmp_path: Path) -> None:
    sweep(tmp_path, [{"name": "vote", "samples": 2}], problems=2, samples=1)
    with reading(tmp_path) as store:
        longest = [max(s.usage.completion_tokens or 0 for c in r.solution.chains for s in c.steps)
                   for r in store.records(0) if r.solution]  # fmt: skip
    with viewing(tmp_path) as viewer:
        assert shown(viewer.get("r0-c0.html", over=min(longest)).text) == 1


@pytest.mark.slow
def test_many_attempts_are_paged(tmp_path: Path) -> None:
    sweep(tmp_path, [{"name": "cot"}], problems=1300, samples=1)
    with viewing(tmp_path) as viewer:
        first, second = viewer.get("r0-c0.html").text, viewer.get("r0-c0-2.html").text
    assert (len(boxes(first)), len(boxes(second))) == (1200, 100)
    assert 'href="r0-c0-2.html"' in first
    assert "p01299" in second


def test_the_calls_of_an_attempt_are_shown_with_the_messages_that_were_sent(run: Path) -> None:
    with reading(run) as store:
        record = next(store.records(0))
    with viewing(run) as viewer:
        page = viewer.get("r0-c0-p0-s0-calls.html").text
    assert page.count('<article class="call"') == len(record.calls)
    assert "could not be found" not in page
    assert "Problem number 0." in page


def test_calls_that_the_journal_does_not_give_again_are_named(tmp_path: Path) -> None:
    sweep(tmp_path, problems=1, samples=1)
    file = tmp_path / "manifest.json"
    file.write_text(file.read_text().replace('"model": "sim"', '"model": "other"'))
    with viewing(tmp_path) as viewer:
        assert "calls could not be found in the journal" in viewer.get("r0-c0-p0-s0-calls.html").text
        assert "does not give this attempt again" in viewer.get("r0-c0-p0-s0.html").text


def test_what_is_not_there_is_404_and_says_so(run: Path) -> None:
    with viewing(run) as viewer:
        for name in ("nothing.html", "r9-c0.html", "r0-c0-p99-s0.html", "r0-c0-p0-s99.html", "r0-c0--1.html",
                     "compare-r0-c0-r9-c0-p0-s0-s0.html", "compare-r0-c0-r0-c1-p0-s0-s99.html", "r0-c0-__class__.html",
                     f"r0-c0-{'9' * 30}.html", "r0-c0-whatif.json.x", "..%2f..%2fetc%2fpasswd", "%00"):  # fmt: skip
            assert viewer.get(name).status == 404, name
        assert viewer.get("a/b").status == 404
        for wrong in ({"over": "-1"}, {"over": "x"}, {"over": "1e9"}, {"over": "9" * 30}):
            assert viewer.get("r0-c0.html", **wrong).status == 200, wrong
        assert viewer.get("r0-c0-999999.html").status == 200
        refused = viewer.get("r0-c0.html", method="POST")
        assert refused.status == 405
        assert "Content-Security-Policy" in refused.headers


def test_an_unchanged_page_is_not_sent_again(run: Path) -> None:
    with viewing(run) as viewer:
        viewer.get("r0-c0.html")
        tag = viewer.get("r0-c0.html").headers["ETag"]
        assert viewer.get("r0-c0.html", headers={"If-None-Match": tag}).status == 304
        assert viewer.get("r0-c0.html", headers={"If-None-Match": '"other"'}).status == 200


def test_another_name_for_this_server_is_refused(run: Path) -> None:
    with viewing(run) as viewer:
        for name in (
            "evil.example",
            "evil.example:80",
            "127.0.0.1.evil.example",
            "10.0.0.1",
            "",
            "localhost@evil.example",
        ):
            assert viewer.get("", headers={"Host": name}).status == 421, name
        for name in ("localhost", "127.0.0.1", "[::1]:80"):
            assert viewer.get("", headers={"Host": name}).status == 200, name


def test_bound_to_every_address_only_addresses_and_this_machine_s_name_are_answered() -> None:
    assert is_own_host("192.168.1.5:9000", "0.0.0.0")
    assert is_own_host("localhost:9000", "0.0.0.0")
    assert not is_own_host("evil.example", "0.0.0.0")
    assert is_own_host("10.1.2.3", "10.1.2.3")
    assert not is_own_host("10.1.2.4", "10.1.2.3")
    assert is_own_host("box.local:1", "box.local")


def test_hostile_texts_make_no_element_and_no_link(tmp_path: Path) -> None:
    hostile(tmp_path / "run")
    with viewing(tmp_path / "run") as viewer:
        for page in ("", "r0-c0.html", "r0-c0-p0-s0.html", "r0-c0-p0-s0-calls.html"):
            found = tags(viewer.get(page).text)
            assert not [tag for tag, _ in found if tag in ("img", "iframe", "object", "embed", "b\u202e")]
            assert [attributes for tag, attributes in found if tag == "script"] == [{"src": "viewer.js", "defer": None}]
            for _, attributes in found:
                assert "//" not in (attributes.get("href") or "")
                assert not (attributes.get("href") or "").startswith("javascript")
                assert not [key for key in attributes if key.startswith("on") or key == "style"]
        searched = viewer.get("r0-c0.html", words='"><script>alert(1)</script>').text
        assert "<script>alert" not in searched
        assert HOSTILE[:20] not in searched


def test_a_run_in_progress_shows_what_there_is_and_then_the_rest(tmp_path: Path) -> None:
    plan = manifest([{"name": "scale", "tau": 0.5}], samples=2)
    with pytest.raises(Broken):
        fresh(tmp_path / "run", plan, 4, Fuse(Sim(Speeds(spread=0.1)), 60), attempts=1)
    with viewing(tmp_path / "run") as viewer:
        before = viewer.get("r0-c0.html")
        assert "data-live" in before.text
        assert '<noscript><meta http-equiv="refresh"' in before.text
        assert 0 < len(boxes(before.text)) < 8
        absent = next(n for n in range(8) if f"r0-c0-p{n // 2}-s{n % 2}.html" not in before.text)
        assert "has not run yet" in viewer.get(f"r0-c0-p{absent // 2}-s{absent % 2}.html").text
        again(tmp_path / "run", Sim(Speeds(spread=0.1)))
        after = viewer.get("r0-c0.html", headers={"If-None-Match": before.headers["ETag"]})
        assert after.status == 200
        assert len(boxes(after.text)) == 8
        done = viewer.get("r0-c0.html").text
        assert "data-live" not in done
        assert "8 of 8" in done


def test_a_folder_of_runs_stands_for_its_runs_and_one_without_is_refused(run: Path, tmp_path: Path) -> None:
    shelf = Shelf([run.parent])
    assert [cell.folder for cell in shelf.cells] == [run, run]
    shelf.close()
    with pytest.raises(ConfigError, match="holds no run"):
        Shelf([tmp_path])
