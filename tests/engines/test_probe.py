"""What the doctor finds on a real server, one ability taken away at a time; and the command's table and exit codes."""

from __future__ import annotations

import asyncio
import json
import re
import socket
from pathlib import Path
from typing import Any

import pytest
from tests.commands import scale
from tests.engines.probe_server import NAME, Endpoint, many_models
from tests.patience import ends_in_time
from tests.servers import ModelServer, serving

from scale_reasoning.engines import Connection
from scale_reasoning.engines.catalogue import SMOLLM2
from scale_reasoning.engines.check_budget import BUDGET
from scale_reasoning.engines.fetching import find
from scale_reasoning.engines.http import Timeouts
from scale_reasoning.engines.probe import LEAK, MODEL, REACHABLE, Finding, is_complete, probe
from scale_reasoning.errors import ConfigError

KEY = "sk-secret-0123456789"
REASONS = "System 2 reasons"


def probed(endpoint: Endpoint, model: str = NAME, **more: Any) -> dict[str, Finding]:
    with serving(endpoint) as server:
        return named(Connection(base_url=server.base_url, model=model, **more))


def named(connection: Connection) -> dict[str, Finding]:
    findings = asyncio.run(probe(connection))
    assert len({f.name for f in findings}) == len(findings)
    assert all(f.cost and f.fix for f in findings if f.verdict == "no")
    assert all(f.found.isprintable() and len(f.found) < 400 for f in findings)
    return {f.name: f for f in findings}


def closed_port() -> str:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}/v1"


def test_a_good_endpoint_is_all_yes() -> None:
    findings = probed(Endpoint())
    assert is_complete(list(findings.values()))
    assert {name: f.verdict for name, f in findings.items() if f.verdict != "yes"} == {}
    assert list(findings) == [
        REACHABLE, MODEL, "server", "window", "profile", LEAK, REASONS, BUDGET, "schema honoured", "logprobs", "n",
        "seed repeatable", "cached tokens", "request keys", "usage", "streaming",
    ]  # fmt: skip


def test_a_probe_is_fourteen_small_requests_at_most() -> None:
    endpoint = Endpoint(schema="ignored")
    with serving(endpoint) as server:
        heard: list[str] = []
        asyncio.run(probe(Connection(base_url=server.base_url, model=NAME), heard.append))
        assert len(server.paths) == 14
        assert [body["max_tokens"] for body in server.bodies if body["max_tokens"] > 256] == [512, 544]
    assert heard[0] == REACHABLE
    assert len(heard) == 16


def test_keys_that_a_server_refuses_are_named_with_their_cost_and_spoil_no_other_finding() -> None:
    findings = probed(Endpoint(refuses=("seed", "top_k")))
    finding = findings.pop("request keys")
    assert finding.verdict == "no"
    assert finding.found == "refused: seed: it is left out; top_k: it is left out"
    assert "a new run gives other texts" in finding.cost
    assert findings["n"].verdict == findings["schema honoured"].verdict == "yes"


def test_a_refused_mode_switch_is_told_as_what_it_costs() -> None:
    finding = probed(Endpoint(refuses=("chat_template_kwargs",)))["request keys"]
    assert finding.found == "refused: chat_template_kwargs: it is left out"
    assert "may be answered alike" in finding.cost
    assert "--system1-model" in finding.fix


def test_probes_switch_modes_as_strategies_do() -> None:
    with serving(Endpoint()) as server:
        named(Connection(base_url=server.base_url, model=NAME))
        switches = [body["chat_template_kwargs"]["enable_thinking"] for body in server.bodies]
    assert switches.count(True) == 2
    assert switches.count(False) == len(switches) - 2


@pytest.mark.parametrize("how", ["apart", "tags", "marks", "hidden", "swallowed"])
def test_a_system_1_that_thinks_is_found_out(how: str) -> None:
    finding = probed(Endpoint(system1=how))[LEAK]
    assert finding.verdict == "no"
    assert {"apart": "reasoning", "tags": "reasoning", "marks": "reasoning"}.get(how, "") in finding.found
    assert ("the answer itself comes as reasoning" in finding.fix) == (how == "swallowed")
    assert how == "swallowed" or "chat_template_kwargs" in finding.fix


def test_a_thought_shows_in_the_token_count_where_the_server_hides_it() -> None:
    assert "61 tokens for a text of 3 bytes" in probed(Endpoint(system1="hidden"))[LEAK].found
    assert probed(Endpoint(system2="hidden"))[REASONS].verdict == "yes"


def test_a_system_1_that_never_comes_to_an_end_is_not_called_quiet() -> None:
    assert probed(Endpoint(system1="rambling"))[LEAK].verdict == "unknown"


def test_a_system_2_that_does_not_think_is_told_with_the_servers_flags() -> None:
    finding = probed(Endpoint(system2="quiet"))[REASONS]
    assert finding.verdict == "no"
    assert "--reasoning-parser" in finding.fix


def test_a_family_without_a_switch_leaves_system_2_unknown_and_the_profile_a_question() -> None:
    findings = probed(Endpoint(models=[{"id": "my-model"}], system2="quiet"), "my-model")
    assert findings[REASONS].verdict == "unknown"
    assert findings["profile"].verdict == "unknown"
    assert "--profile" in findings["profile"].fix
    assert probed(Endpoint(system2="quiet"), "my-model", profile="instruct")["profile"].verdict == "yes"


def test_a_schema_is_honoured_only_when_the_reply_follows_it() -> None:
    ignored = probed(Endpoint(schema="ignored"))["schema honoured"]
    assert ignored.verdict == "no"
    assert "ignored" in ignored.found
    refused = probed(Endpoint(schema="refused"))["schema honoured"]
    assert refused.verdict == "no"
    assert "refused" in refused.found
    assert "response_format is not supported" in refused.found
    assert "plain text with repair" in refused.cost


@pytest.mark.parametrize("how", ["one", "refused"])
def test_a_lack_of_n_costs_nothing(how: str) -> None:
    finding = probed(Endpoint(choices=how))["n"]
    assert finding.verdict == "no"
    assert finding.cost.startswith("nothing: ")


def test_log_probabilities_are_given_refused_or_ignored() -> None:
    given = probed(Endpoint())["logprobs"]
    assert given.found == "of 2 tokens, each with up to 20 alternatives"
    ignored = probed(Endpoint(logprobs=False))["logprobs"]
    assert (ignored.verdict, ignored.found) == ("no", "asked for, not given")
    assert "`expected` and `draft` fall back" in ignored.cost
    assert "vLLM gives them" in ignored.fix
    findings = probed(Endpoint(refuses=("logprobs",)))
    assert findings["logprobs"].found.startswith("refused: ")
    assert findings["request keys"].found == "refused: logprobs: it is left out"
    assert findings["schema honoured"].verdict == "yes"
    alone = probed(Endpoint(refuses=("top_logprobs",)))["logprobs"]
    assert alone.found == "given without alternatives"


def test_a_seed_must_decide_the_text_both_ways() -> None:
    assert "two texts" in probed(Endpoint(seed="ignored"))["seed repeatable"].found
    assert "same text" in probed(Endpoint(seed="constant"))["seed repeatable"].found


def test_missing_usage_and_uncounted_reasoning_are_told_apart() -> None:
    assert "no prompt, no completion" in probed(Endpoint(usage=False))["usage"].found
    uncounted = probed(Endpoint(reasoning_counted=False))["usage"]
    assert uncounted.verdict == "no"
    assert uncounted.found == "prompt, completion, no reasoning tokens"
    apart = probed(Endpoint(reasoning_apart=True))["usage"]
    assert apart.verdict == "yes"
    assert apart.found.endswith("reasoning in addition to the completion: it is added")
    assert "in addition" not in probed(Endpoint())["usage"].found


def test_no_cached_tokens_and_no_report_of_them_are_told_apart() -> None:
    assert "--enable-prompt-tokens-details" in probed(Endpoint(cached=None))["cached tokens"].fix
    nothing = probed(Endpoint(cached=0))["cached tokens"]
    assert nothing.verdict == "no"
    assert "--enable-prefix-caching" in nothing.fix


def test_a_reply_in_one_piece_is_no_stream() -> None:
    assert probed(Endpoint(pieces=False, system2="quiet"))["streaming"].verdict == "no"


@pytest.mark.slow
def test_a_wrong_name_in_a_list_of_5000_is_shown_in_short_with_close_names() -> None:
    with ends_in_time():
        models = [*many_models(5000), {"id": NAME}]
        findings = probed(Endpoint(models=models, chat="unknown-model"), "qwen3-32b")
        assert [f.verdict for f in findings.values()] == ["yes", "no"]
        assert "5,001" in findings[MODEL].found
        assert findings[MODEL].fix == f"--model {NAME}"
        other = probed(Endpoint(models=models, chat="unknown-model"), "zzzzzz")[MODEL]
        assert other.found.count("org") == 10
        assert "org" not in other.fix


def test_a_name_that_is_not_listed_yet_answers_is_a_question() -> None:
    finding = probed(Endpoint(models=[{"id": "some.gguf"}]), NAME)[MODEL]
    assert finding.verdict == "unknown"
    assert "some.gguf" in finding.found
    assert "may have answered" in finding.cost
    assert "refused" not in finding.cost


def test_aliases_and_geminis_prefix_are_the_models_name() -> None:
    assert probed(Endpoint(models=[{"id": "a.gguf", "aliases": [NAME]}]))[MODEL].verdict == "yes"
    assert probed(Endpoint(models=[{"id": f"models/{NAME}"}]))[MODEL].verdict == "yes"


@pytest.mark.parametrize(
    "entry",
    [
        {"max_model_len": 16384},
        {"context_length": 16384},
        {"context_window": 16384},
        {"meta": {"n_ctx": 16384, "n_ctx_train": 40960}},
        {"meta": {"n_ctx_train": 16384}},
    ],
)
def test_another_window_than_the_familys_is_told_with_the_flag(entry: dict[str, Any]) -> None:
    finding = probed(Endpoint(models=[{"id": NAME, **entry}]))["window"]
    assert finding.verdict == "no"
    assert finding.fix == "--window 16384"
    assert probed(Endpoint(models=[{"id": NAME, **entry}]), window=16384)["window"].verdict in ("yes", "unknown")


def test_a_window_the_server_does_not_tell_is_unknown() -> None:
    assert probed(Endpoint(models=[{"id": NAME}]))["window"].verdict == "unknown"
    assert probed(Endpoint(models=[{"id": NAME, "meta": {"n_ctx_train": 131072}}]))["window"].verdict == "unknown"
    assert probed(Endpoint(models=[{"id": NAME}]))["window"].fix == "if it serves another: --window N"
    unset = probed(Endpoint(models=[{"id": "my-model"}]), "my-model")["window"]
    assert (unset.found, unset.fix) == (
        "none is set; the server does not tell",
        "if you know the server's: --window N",
    )


@pytest.mark.parametrize("models", [404, 401, None, [], [None, {"id": 5}], {"a": 1}])
def test_a_server_with_no_list_of_models_is_reached_by_a_chat(models: Any) -> None:
    findings = probed(Endpoint(models=models))
    assert findings[REACHABLE].verdict == "yes"
    assert findings[MODEL].verdict == "unknown"
    assert len(findings) == 15
    assert findings["server"].verdict == "unknown"
    assert "--server KIND, one of nim, vllm" in findings["server"].fix


def test_a_server_that_is_not_there_is_one_finding() -> None:
    findings = named(Connection(base_url=closed_port(), model=NAME))
    assert [(f.name, f.verdict) for f in findings.values()] == [(REACHABLE, "no")]


@pytest.mark.parametrize("chat", ["bad-key", "bad-switch", "overloaded", "stall", "hang-up"])
def test_a_server_that_refuses_to_chat_is_one_finding(chat: str) -> None:
    quick = Timeouts(connect=5, first_byte=0.3, silence=0.3)
    findings = probed(Endpoint(chat=chat), timeouts=quick)
    assert [(f.name, f.verdict) for f in findings.values()] == [(REACHABLE, "no")]
    assert chat != "bad-switch" or "--profile" in findings[REACHABLE].fix


def test_a_server_that_dies_during_the_probe_ends_it_with_a_finding() -> None:
    class Dying(Endpoint):
        async def __call__(self, request: Any, body: dict[str, Any]) -> Any:
            self.chat = "hang-up" if self.asked >= 5 else "ok"
            return await super().__call__(request, body)

    findings = probed(Dying())
    assert findings[LEAK].verdict == "yes"
    assert [f.verdict for f in findings.values()].count("unknown") == 1
    assert list(findings)[-1] == REASONS
    assert not is_complete(list(findings.values()))


def test_a_budget_binds_if_the_thought_is_as_short_as_it_says() -> None:
    kept = probed(Endpoint())[BUDGET]
    assert (kept.verdict, kept.found) == ("yes", "a thought of 32 tokens for a budget of 32 tokens, 88 without one")
    ignored = probed(Endpoint(budget="ignored"))[BUDGET]
    assert (ignored.verdict, ignored.found) == ("no", "a thought of 88 tokens for a budget of 32 tokens")
    assert "--enable-strict-thinking" in ignored.fix
    assert "--server generic" in ignored.fix
    uncounted = probed(Endpoint(reasoning_counted=False, budget="ignored"))[BUDGET]
    assert uncounted.verdict == "no"


def test_a_budget_that_is_refused_is_said_and_spoils_no_other_finding() -> None:
    findings = probed(Endpoint(refuses=("custom_params",)))
    assert findings[BUDGET].verdict == "no"
    assert "custom_params" in findings[BUDGET].found
    assert findings[REASONS].verdict == "yes"


def test_a_budget_is_not_asked_for_where_there_is_no_key_or_no_thought() -> None:
    assert BUDGET not in probed(Endpoint(), server="vllm-0.19")
    assert BUDGET not in probed(Endpoint(models=[{"id": "qwen2.5", "owned_by": "sglang"}]), "qwen2.5")


def test_the_kind_of_the_server_is_named_with_what_showed_it() -> None:
    assert probed(Endpoint())["server"].found == "sglang, by its list of models"
    assert probed(Endpoint(), server="vllm")["server"].found == "vllm, by --server, or the run's manifest"


def test_a_model_that_always_thinks_has_no_system_1_to_trust() -> None:
    findings = probed(Endpoint(models=[{"id": "Qwen/QwQ-32B"}], system1="apart"), "Qwen/QwQ-32B")
    assert findings[LEAK].verdict == "no"
    assert "--system1-model" in findings[LEAK].fix
    assert findings[REASONS].verdict == "yes"


def test_two_endpoints_are_each_asked_what_concerns_them() -> None:
    thinker = Endpoint(models=[{"id": "Qwen/QwQ-32B", "max_model_len": 40960}], system1="apart")
    quick = Endpoint(models=[{"id": "Qwen/Qwen3-8B", "max_model_len": 8192, "owned_by": "sglang"}])
    with serving(thinker) as main, serving(quick) as second:
        findings = named(
            Connection(
                base_url=main.base_url,
                model="Qwen/QwQ-32B",
                system1_base_url=second.base_url,
                system1_model="Qwen/Qwen3-8B",
            )
        )
        assert not any("response_format" in body for body in main.bodies)
    assert len(findings) == 2 * 11 + 4
    assert findings[LEAK].verdict == findings[REASONS].verdict == findings["schema honoured"].verdict == "yes"
    assert findings["window (System 2)"].verdict == "yes"
    assert "--profiles" in findings["window (System 1)"].fix


def test_one_dead_endpoint_does_not_hide_the_other() -> None:
    with serving(Endpoint()) as server:
        findings = named(Connection(base_url=server.base_url, model=NAME, system1_base_url=closed_port()))
    assert findings["reachable (System 1)"].verdict == "no"
    assert not is_complete(list(findings.values()))
    assert findings[REASONS].verdict == "yes"
    assert LEAK not in findings


def test_an_error_of_the_users_is_raised() -> None:
    with pytest.raises(ConfigError, match="which model"):
        asyncio.run(probe(Connection(base_url="http://127.0.0.1:9/v1")))


def test_the_key_is_in_no_finding() -> None:
    findings = probed(Endpoint(schema="ignored", key=KEY), api_key=KEY)
    assert KEY not in repr(findings)
    assert "[secret]" in findings["schema honoured"].found


def doctor(server: ModelServer | str, *words: str, env: dict[str, str] | None = None) -> tuple[str, int]:
    url = server if isinstance(server, str) else server.base_url
    done = scale("doctor", "--quick", "--base-url", url, *words, env={"COLUMNS": "100", **(env or {})})
    return done.stdout + done.stderr, done.returncode


@pytest.mark.parametrize(
    ("endpoint", "code"),
    [
        (Endpoint(), 0),
        (Endpoint(cached=0, choices="one", schema="refused"), 0),
        (Endpoint(system1="tags"), 1),
        (Endpoint(models=[{"id": "other"}], chat="unknown-model"), 2),
        (Endpoint(chat="bad-key"), 3),
    ],
)
def test_the_exit_code_says_how_it_went(endpoint: Endpoint, code: int) -> None:
    with serving(endpoint) as server:
        assert doctor(server, "--model", NAME)[1] == code


def test_a_server_that_is_not_there_and_a_wrong_flag_have_their_codes() -> None:
    assert doctor(closed_port(), "--model", NAME)[1] == 3
    assert doctor(closed_port())[1] == 2
    assert doctor(closed_port(), "--model", NAME, "--profile", "nonesuch")[1] == 2


def test_the_table_names_every_ability_in_words_and_every_lack_with_cost_and_fix() -> None:
    with serving(Endpoint(system1="tags", cached=None)) as server:
        out, _ = doctor(server, "--model", NAME)
    assert re.search(r"^reachable +yes ", out, re.MULTILINE)
    assert re.search(rf"^{LEAK} +no ", out, re.MULTILINE)
    assert re.search(rf"^no  {LEAK}$", out, re.MULTILINE)
    assert out.count("    cost  ") == out.count("    fix ") == 2


def test_a_servers_words_are_neither_markup_nor_control_characters() -> None:
    hostile = "[bold red]evil[/bold red] \x1b[2J\x1b]0;title\x07 \u202ereversed [/nonsense]"
    models = [{"id": f"{hostile}\n{i}"} for i in range(3)]
    with serving(Endpoint(models=models, chat="unknown-model")) as server:
        out, code = doctor(server, "--model", NAME, env={"FORCE_COLOR": "1", "COLUMNS": "300"})
    assert code == 2
    assert "[bold red]evil[/bold red]" in out
    assert "\x1b[2J" not in out
    assert "\x1b]0" not in out
    assert "\u202e" not in out


def test_json_is_the_findings_on_one_line() -> None:
    with serving(Endpoint(cached=None)) as server:
        out, code = doctor(server, "--model", NAME, "--json")
    assert (out.count("\n"), code) == (1, 0)
    findings = {finding["name"]: finding for finding in json.loads(out)}
    assert set(findings[LEAK]) == {"name", "verdict", "found", "cost", "fix"}
    assert findings["cached tokens"]["verdict"] == "no"


@pytest.mark.slow
@pytest.mark.llama
def test_the_model_in_the_box_has_two_modes_that_do_not_leak() -> None:
    model: Path | None = find(SMOLLM2)
    if model is None:
        pytest.skip("the packaged model is not here")
    findings = named(Connection(model="student"))
    assert {findings[name].verdict for name in (REACHABLE, MODEL, "window", "profile", "streaming")} == {"yes"}
    assert (findings[REASONS].verdict, findings[LEAK].verdict) == ("yes", "yes")
    assert "no reasoning tokens" in findings["usage"].found
    assert findings["cached tokens"].verdict == "yes"
