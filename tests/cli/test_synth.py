"""`scale synth` as a user runs it: a process of its own, a real server, real files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.commands import scale
from tests.servers import serving

from scale_reasoning.cli import _parser
from scale_reasoning.cli.synth_flags import read_flags
from scale_reasoning.errors import ConfigError

TEXTS = (
    "Pens come 3 to a box of 2 dollars. What do 18 of them cost?",
    "A train covers 48 km in 4 hours; how far does it go in one?",
    "Half of a number is 6. What is the number itself?",
    "How many edges has a cube?",
)


def problems(folder: Path, answers: tuple[str, ...] = ("12", "12", "12", "12")) -> str:
    file = folder / "mine.jsonl"
    rows = [
        {"id": f"m{n}", "problem": text, "answer": answer}
        for n, (text, answer) in enumerate(zip(TEXTS, answers, strict=True))
    ]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(file)


def lines(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()]


def test_a_problem_set_becomes_traces_whose_answers_are_right(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with serving() as server:
        done = scale("synth", "--dataset", problems(tmp_path, ("12", "12", "13", "12")), "--samples", "2",
                     "--out", str(out), "--base-url", server.base_url, "--model", "Qwen/Qwen3-32B")  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert {row["problem_id"] for row in lines(out / "train.jsonl")} == {"m0", "m1", "m3"}
    dropped = lines(out / "dropped.jsonl")
    assert [row["problem_id"] for row in dropped if row["stage"] == "correct"] == ["m2", "m2"]
    counts = json.loads((out / "funnel.json").read_text())
    assert counts[0]["came"] == 8
    assert counts[-1]["kept"] == 3
    assert sum(count["dropped"] for count in counts) == len(dropped) == 5
    assert "3 traces in" in done.stdout
    assert "8 attempts planned, 8 made" in done.stdout


def test_a_run_already_paid_for_gives_traces_with_no_call(tmp_path: Path) -> None:
    run, out = str(tmp_path / "run"), tmp_path / "out"
    with serving() as server:
        scale("eval", problems(tmp_path), "--samples", "1", "--out", run, "--base-url", server.base_url, "--model", "q")
        paid = len(server.bodies)
        done = scale("synth", "--from", run, "--out", str(out))
        assert done.returncode == 0, done.stderr
        assert len(server.bodies) == paid
    assert len(lines(out / "train.jsonl")) == 4


def test_a_target_ends_the_run_early_and_no_more_are_kept(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with serving() as server:
        done = scale("synth", "--dataset", problems(tmp_path), "--samples", "1", "--target", "2", "--out", str(out),
                     "--attempts-in-flight", "1", "--base-url", server.base_url, "--model", "q")  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert len(server.bodies) == 2 * 13
    assert len(lines(out / "train.jsonl")) == 2
    assert "pending" not in done.stderr.splitlines()[-1]


def test_a_target_that_filters_miss_is_run_for_until_the_problems_end(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with serving() as server:
        done = scale("synth", "--dataset", problems(tmp_path), "--samples", "1", "--out", str(out),
                     "--target", "2", "--max-tokens", "1", "--attempts-in-flight", "1",
                     "--base-url", server.base_url, "--model", "q")  # fmt: skip
        assert done.returncode == 1
        assert len(server.bodies) == 4 * 13
    assert lines(out / "train.jsonl") == []


def test_a_synthesis_is_resumed_with_its_own_settings(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with serving() as server:
        at = ("--base-url", server.base_url, "--model", "q")
        first = scale("synth", "--dataset", problems(tmp_path), "--samples", "1", "--out", str(out), "--target", "1",
                      "--choose", "first", "--attempts-in-flight", "1", *at)  # fmt: skip
        assert first.returncode == 0, first.stderr
        before = (out / "train.jsonl").read_bytes()
        same = scale("synth", "--resume", str(out), "--target", "1", "--seed", "0", "--samples", "1", "--model", "q")
        assert same.returncode == 0, same.stderr
        assert len(server.bodies) == 13
        assert (out / "train.jsonl").read_bytes() == before
        for words in (("--target", "4"), ("--choose", "most"), ("--max-tokens", "9"), ("--bundle", "llamafactory")):
            refused = scale("synth", "--resume", str(out), *words)
            assert refused.returncode == 2
            assert "--overwrite" in refused.stderr
            assert words[0] in refused.stderr
        for words in (("--seed", "1"), ("--tau", "0.9"), ("--samples", "2"), ("--limit", "1"), ("--model", "r")):
            refused = scale("synth", "--resume", str(out), *words, "--overwrite")
            assert refused.returncode == 2
            assert f"{words[0]} {words[1]}" in refused.stderr
        assert (out / "train.jsonl").read_bytes() == before
        more = scale("synth", "--resume", str(out), "--target", "4", "--overwrite")
        assert more.returncode == 0, more.stderr
        assert len(server.bodies) == 4 * 13
    assert len(lines(out / "train.jsonl")) == 4
    again = scale("synth", "--dataset", problems(tmp_path), "--out", str(out), *at)
    assert again.returncode == 2
    assert f"scale synth --resume {out}," in again.stderr


def test_pending_attempts_are_told_and_what_was_made_is_kept(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with serving() as server:
        at = ("--base-url", server.base_url, "--model", "q")
        scale("synth", "--dataset", problems(tmp_path), "--samples", "1", "--out", str(out), "--target", "1",
              "--attempts-in-flight", "1", *at)  # fmt: skip
    done = scale("synth", "--resume", str(out), "--retries", "0", "--target", "4", "--overwrite")
    assert done.returncode == 1
    assert f"scale synth --resume {out}" in done.stderr
    assert "4 attempts planned, 1 made" in done.stdout
    assert len(lines(out / "train.jsonl")) == 1
    assert lines(out / "dropped.jsonl") == []


def test_a_bundle_for_llama_factory_comes_beside_the_rows(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with serving() as server:
        done = scale("synth", "--dataset", problems(tmp_path), "--samples", "1", "--out", str(out), "--gpus", "4",
                     "--bundle", "llamafactory", "--base-url", server.base_url, "--model", "q")  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "gradient_accumulation_steps: 16" in (out / "llamafactory" / "train.yaml").read_text()
    assert len(json.loads((out / "llamafactory" / "scale.json").read_text())) == 4


def test_a_list_to_keep_out_is_kept_out(tmp_path: Path) -> None:
    out, known = tmp_path / "out", tmp_path / "known.jsonl"
    known.write_text(json.dumps({"id": "k", "problem": TEXTS[3].upper() + "  ", "answer": "12"}) + "\n")
    with serving() as server:
        done = scale("synth", "--dataset", problems(tmp_path), "--samples", "1", "--out", str(out),
                     "--decontaminate", str(known), "--base-url", server.base_url, "--model", "q")  # fmt: skip
    assert done.returncode == 0, done.stderr
    (dropped,) = lines(out / "dropped.jsonl")
    assert (dropped["problem_id"], dropped["stage"]) == ("m3", "contamination")


def test_what_cannot_be_meant_is_refused_by_name(tmp_path: Path) -> None:
    assert "--out DIR" in scale("synth", "--dataset", "arithmetic").stderr
    assert "found none" in scale("synth", "--out", str(tmp_path)).stderr
    assert "--dataset and --from" in scale("synth", "--dataset", "a", "--from", "b", "--out", "c").stderr.replace(
        "--from and --dataset", "--dataset and --from"
    )
    assert "--samples" in scale("synth", "--from", "b", "--samples", "2", "--out", "c").stderr
    assert "--gpus" in scale("synth", "--dataset", "arithmetic", "--gpus", "2", "--out", "c").stderr
    missing = scale("synth", "--from", str(tmp_path / "none"), "--out", str(tmp_path / "o"))
    assert missing.returncode == 2
    assert "Traceback" not in missing.stderr


def test_pushing_where_no_hub_answers_keeps_the_bundle_and_says_so(tmp_path: Path) -> None:
    run, out = str(tmp_path / "run"), tmp_path / "out"
    with serving() as server:
        scale("eval", problems(tmp_path), "--samples", "1", "--out", run, "--base-url", server.base_url, "--model", "q")
    done = scale(
        "synth", "--from", run, "--out", str(out), "--push", "me/mine", env={"HF_ENDPOINT": "http://127.0.0.1:9"}
    )
    assert done.returncode == 2
    assert "--push me/mine" in done.stderr
    assert (out / "train.jsonl").exists()


@pytest.mark.parametrize(
    ("flag", "text", "fault"),
    [
        ("--layout", "## step\nStep {{number}}: {{working}}\n", "'## step' lacks {{subproblem}}"),
        ("--layout", "## steps\n{{steps}}\n", "unknown sections ['steps']"),
        ("--student-prompts", "## solve\nSolve it.\n", "'## solve' lacks {{problem}}"),
        ("--prompts", "## assess\nHow hard is {{subproblem}}?\n", "'## assess' has {{subproblem}}"),
    ],
)
def test_a_file_of_words_that_cannot_be_filled_is_refused_before_a_call(
    tmp_path: Path, flag: str, text: str, fault: str
) -> None:
    file, out = tmp_path / "mine.md", tmp_path / "out"
    file.write_text(text)
    with serving() as server:
        done = scale("synth", "--dataset", problems(tmp_path), "--out", str(out), flag, str(file),
                     "--base-url", server.base_url, "--model", "q")  # fmt: skip
        assert server.bodies == []
    assert done.returncode == 2
    assert fault in done.stderr
    assert not out.exists()


def test_as_in_the_paper_the_answer_alone_decides_and_other_stages_only_mark(tmp_path: Path) -> None:
    run, out, known = str(tmp_path / "run"), tmp_path / "out", tmp_path / "known.jsonl"
    known.write_text(json.dumps({"id": "k", "problem": TEXTS[3], "answer": "12"}) + "\n")
    with serving() as server:
        scale("eval", problems(tmp_path, ("12", "12", "13", "12")), "--samples", "1", "--out", run,
              "--base-url", server.base_url, "--model", "q")  # fmt: skip
    words = ("synth", "--from", run, "--out", str(out), "--decontaminate", str(known))
    done = scale(*words, "--filters", "answer")
    assert done.returncode == 0, done.stderr
    assert [row["problem_id"] for row in lines(out / "train.jsonl")] == ["m0", "m1", "m3"]
    counts = json.loads((out / "funnel.json").read_text())
    assert [count["stage"] for count in counts] == ["answer", "one a problem"]
    assert "contamination 1" in done.stdout
    manifest = json.loads((out / "manifest.json").read_text())
    assert [each["id"].endswith("/m3/0") for each in manifest["marked"]] == [True]
    assert manifest["settings"]["filters"]["stages"] == ["answer"]
    other = scale(*words)
    assert other.returncode == 2
    assert "filters" in other.stderr
    assert scale(*words, "--overwrite").returncode == 0
    assert [row["problem_id"] for row in lines(out / "train.jsonl")] == ["m0", "m1"]


def test_a_stage_that_there_is_not_is_refused_with_those_there_are(tmp_path: Path) -> None:
    refused = scale("synth", "--from", "b", "--out", str(tmp_path / "o"), "--filters", "answers")
    assert refused.returncode == 2
    assert "'answers' is none of all, answer, answered, correct" in refused.stderr
    refused = scale("synth", "--from", "b", "--out", "c", "--filters", "answer", "--max-tokens", "9")
    assert "--filters answer length" in refused.stderr


def test_a_base_model_without_a_known_template_is_refused_before_a_call(tmp_path: Path) -> None:
    out = tmp_path / "out"
    words = (
        "synth",
        "--dataset",
        problems(tmp_path),
        "--out",
        str(out),
        "--bundle",
        "llamafactory",
        "--base-model",
        "x",
    )
    with serving() as server:
        refused = scale(*words, "--base-url", server.base_url, "--model", "q")
        assert server.bodies == []
    assert refused.returncode == 2
    assert "--template NAME" in refused.stderr
    assert not out.exists()


def test_a_dry_run_says_what_share_a_target_needs(tmp_path: Path) -> None:
    rows = [{"id": f"p{n}", "question": f"What is {n} plus {n}?", "answer": str(2 * n)} for n in range(817)]
    (tmp_path / "limo.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    words = ("synth", "--dataset", "limo", "--data-dir", str(tmp_path), "--model", "QwQ-32B", "--tau", "0.2",
             "--system1-model", "Qwen/Qwen3-32B", "--base-url", "http://127.0.0.1:9/v1", "--temperature", "0.6",
             "--top-p", "0.95", "--samples", "4", "--out", str(tmp_path / "out"), "--dry-run")  # fmt: skip
    done = scale(*words, "--filters", "answer", "--target", "800")
    assert done.returncode == 0, done.stderr
    assert (
        "800 of 817 problems (97.9 %) must give a trace: with 4 attempts per problem, 62.0 % of attempts" in done.stdout
    )
    assert "about 816 can be expected where 82.0 % of attempts are right" in done.stdout
    assert "out of reach: 817 problems" in scale(*words, "--target", "900").stdout


def test_like_the_paper_only_the_answer_decides_unless_filters_are_named() -> None:
    words = ["synth", "--dataset", "arithmetic", "--out", "traces", "--like", "paper"]
    assert read_flags(_parser().parse_args(words)).settings["filters"] == ("answer",)
    assert read_flags(_parser().parse_args([*words, "--filters", "all"])).settings["filters"] == ("all",)
    assert "filters" not in read_flags(_parser().parse_args(words[:-2])).settings
    with pytest.raises(ConfigError, match="the stage length is off; add it: --filters answer length"):
        read_flags(_parser().parse_args([*words, "--max-tokens", "100"]))
