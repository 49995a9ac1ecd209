"""How each kind of server is told how to think, and which keys of stored runs that must not change."""

from pathlib import Path

import pytest

from scale_reasoning import profiles
from scale_reasoning.endpoint import Endpoint, Thinking, hold_back, request_for
from scale_reasoning.engines.scripted import Scripted
from scale_reasoning.errors import ConfigError
from scale_reasoning.journal import key
from scale_reasoning.profiles import ModeProfile, profile_for
from scale_reasoning.servers import EFFORTS, Server, adapt_mode, find_by_host, find_server, list_efforts, list_servers
from scale_reasoning.types import Message, Mode, Request, SolveMessage

# What completions of stored runs are filed under, by family: System 1, System 2. These never change.
KEYS: dict[str, tuple[str, str]] = {
    "traces": ("", "294a4b07c81f3dd6"),
    "student": ("573ac3899b0f1361", "41a0c73544e6a588"),
    "smollm2": ("5a37a99cbc7733fc", "7f1fa85a61d9a9c9"),
    "qwq": ("", "d37bbe85d84987c1"),
    "deepseek-r1": ("", "f14cf74084879f9b"),
    "qwen3-thinking-2507": ("", "eaf8cef148214d26"),
    "phi-reasoning": ("", "7d77d6813cbcc158"),
    "magistral": ("", "ab66b2678ed58ef0"),
    "lfm-thinking": ("", "b851253b4a1ec19e"),
    "qwen3-instruct-2507": ("86381550ef9e61bb", "ea7ab806b0ea447d"),
    "qwen3": ("78b1253cc79ce08d", "56f9644d190cc2ad"),
    "smollm3": ("c964ddbe7b694d78", "e23334e3e909a8bb"),
    "deepseek-hybrid": ("f60462a7efb17d7f", "333597a1987e32d9"),
    "gpt-oss": ("874de604fd7a082b", "1857dbb7d79f33e3"),
    "openai-reasoning-none": ("d926719cdf8bd0f1", "9cc3e10eacccf180"),
    "openai-reasoning-minimal": ("73f46d568bef8318", "9cc3e10eacccf180"),
    "openai-o": ("", "9cc3e10eacccf180"),
    "anthropic": ("1d905d1ec68bb016", "836eb0ac73a806c3"),
    "gemini-always": ("9f9282e01dd55670", "d478f483d48095d9"),
    "gemini": ("0e073e2e1c5d039d", "d478f483d48095d9"),
    "mistral-hybrid": ("262da5ab76072dda", "731ab31f07a309bd"),
    "qwen2.5-math": ("7d88729fcb4fc209", "6fbd4e31d2b5ff95"),
    "qwen2.5-small": ("04572a7d70e686cb", "f46373859d19ede9"),
    "qwen2.5": ("7d88729fcb4fc209", "b41dee3a9641d426"),
    "llama-3.1": ("02333206ce9bdbb6", "208f595d49a3a306"),
    "llama-3": ("02333206ce9bdbb6", "208f595d49a3a306"),
    "gemma-3": ("fdfee1b43e7e2841", "6d88993a02c6b139"),
    "gemma-2": ("fdfee1b43e7e2841", "6d88993a02c6b139"),
    "phi": ("72b87b9c37ada684", "30d4922d2d8d4850"),
    "phi-3-4k": ("72b87b9c37ada684", "a792c64547fd1b24"),
    "mistral-small": ("055fd3ab87ab9883", "1accac249c4aa27a"),
    "mistral-nemo": ("7702b5fc336f394a", "56e1ab05958c6b12"),
    "mistral": ("b55a05855e90d0c3", "eb8c6e5aea4bef3d"),
    "lfm2.5": ("93bd81fa9c5e9eca", "28792b9d6ad61fec"),
    "lfm2": ("be9a623d0c2c288f", "a55e0e68f5a45e45"),
    "smollm": ("b73668782c53fbc3", "4c16689612ebac8b"),
    "arithmetic-teacher": ("545a70ea9e37b5b8", "9a54bdb7bf9052da"),
    "instruct": ("baea45a70cff75cc", "748b36d20c4da0c7"),
}


def endpoint_for(model: str, mode: Mode, server: str, window: int | None = None) -> Endpoint:
    profile = profile_for(model).mode(mode)
    assert profile is not None
    return Endpoint(
        engine=Scripted([]), model="m", profile=adapt_mode(profile, find_server(server)), window=window, server=server
    )


def request(endpoint: Endpoint, mode: Mode, thinking: Thinking | None = None, most: int | None = None) -> Request:
    messages = (Message("system", "Solve it."), SolveMessage("user", "What is 2 + 2?", mode))
    return request_for({mode: endpoint}, messages, mode, 7, most, None, None, thinking)


def extras(model: str, mode: Mode, server: str, thinking: Thinking | None = None, most: int | None = None) -> object:
    return request(endpoint_for(model, mode, server), mode, thinking, most).extras


def first_digits(profile: ModeProfile | None, mode: Mode, server: str, window: int | None) -> str:
    if profile is None:
        return ""
    told = adapt_mode(profile, find_server(server))
    endpoint = Endpoint(engine=Scripted([]), model="m", profile=told, window=window, server=server)
    return key(request(endpoint, mode))[:16]


@pytest.mark.parametrize("server", ["generic", "vllm", "vllm-0.19", "sglang", "llama.cpp", "nim"])
@pytest.mark.parametrize("family", KEYS)
def test_a_server_of_the_common_protocol_is_sent_what_stored_runs_were_filed_under(family: str, server: str) -> None:
    profile = profile_for("any", name=family)
    made = tuple(first_digits(profile.mode(mode), mode, server, profile.window) for mode in Mode)
    assert made == KEYS[family]


def test_every_table_says_where_and_when_it_was_read_and_generic_has_nothing_of_its_own() -> None:
    kinds = list_servers()
    local, hosted = "vllm sglang llama.cpp ollama nim", "openai anthropic gemini deepseek openrouter qwen-cloud"
    assert {*local.split(), *hosted.split(), "together", "groq", "mistral", "generic"} <= set(kinds)
    for kind in kinds.values():
        assert kind.source
        assert kind.read.startswith("2026-")
        assert set(kind.efforts) <= set(EFFORTS)
        assert bool(kind.asks) == bool(kind.tells)
    generic = kinds["generic"]
    assert not generic.has_own_keys
    assert generic.budget is None
    assert list(kinds)[-1] == "generic"


@pytest.mark.parametrize(
    ("server", "off", "on"),
    [
        ("ollama", {"reasoning_effort": "none"}, {"reasoning_effort": "high"}),
        ("openrouter", {"reasoning": {"enabled": False}}, {"reasoning": {"enabled": True}}),
        ("qwen-cloud", {"enable_thinking": False}, {"enable_thinking": True}),
        ("together", {"reasoning": {"enabled": False}}, {"reasoning": {"enabled": True}}),
        ("groq", {"reasoning_effort": "none"}, {"reasoning_effort": "default"}),
        ("deepseek", {"thinking": {"type": "disabled"}}, {"thinking": {"type": "enabled"}}),
        (
            "vllm",
            {"chat_template_kwargs": {"enable_thinking": False}},
            {"chat_template_kwargs": {"enable_thinking": True}},
        ),
    ],
)
def test_one_family_is_told_as_its_server_takes_it(server: str, off: object, on: object) -> None:
    assert extras("Qwen/Qwen3-32B", Mode.SYSTEM1, server) == off
    assert extras("Qwen/Qwen3-32B", Mode.SYSTEM2, server) == on


def test_a_family_of_efforts_keeps_its_words_under_the_servers_key() -> None:
    assert extras("gpt-oss:20b", Mode.SYSTEM1, "ollama") == {"reasoning_effort": "low"}
    assert extras("openai/gpt-oss-20b", Mode.SYSTEM2, "openrouter") == {"reasoning": {"effort": "high"}}
    assert extras("openai/gpt-5.2", Mode.SYSTEM1, "openrouter") == {"reasoning": {"enabled": False}}
    assert extras("gpt-5.2", Mode.SYSTEM1, "openai") == {"reasoning_effort": "none"}
    assert extras("gemini-2.5-flash", Mode.SYSTEM1, "gemini") == {"reasoning_effort": "none"}


def test_what_a_server_does_not_read_is_not_sent() -> None:
    sampling = endpoint_for("qwen3:8b", Mode.SYSTEM2, "ollama").profile.sampling
    assert (sampling.top_k, sampling.min_p) == (None, None)
    assert (sampling.temperature, sampling.top_p) == (0.6, 0.95)


def test_extras_of_a_users_own_family_are_sent_as_they_are_everywhere(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text("[mine]\nmatch = ['x']\nsystem1 = { extras = { chat_template_kwargs = { hush = true } } }\n")
    own = profile_for("x", file=file).system1
    assert own is not None
    assert adapt_mode(own, find_server("ollama")).extras == {"chat_template_kwargs": {"hush": True}}


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("https://openrouter.ai/api/v1", "openrouter"),
        ("https://dashscope-intl.aliyuncs.com/compatible-mode/v1", "qwen-cloud"),
        ("https://1234.cn-hangzhou.pai-eas.aliyuncs.com/api/predict/mine/v1", None),
        ("https://API.OpenAI.com/v1", "openai"),
        ("https://my-house.openai.azure.com/openai/v1", "openai"),
        ("https://generativelanguage.googleapis.com/v1beta/openai", "gemini"),
        ("https://integrate.api.nvidia.com/v1", "nim"),
        ("http://127.0.0.1:8000/v1", None),
        ("https://notopenrouter.ai/v1", None),
        ("https://openrouter.ai.example.org/v1", None),
        ("http://[bad", None),
    ],
)
def test_a_host_shows_the_kind_of_a_hosted_service(url: str, kind: str | None) -> None:
    assert find_by_host(url) == kind


def test_a_kind_that_there_is_not_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(
        ConfigError, match=r"no kind of server 'vlm' \(did you mean vllm\?\); there are: nim, vllm, .*generic"
    ):
        find_server("vlm")


BUDGET = Thinking(budget=100)


@pytest.mark.parametrize(
    ("model", "server", "body"),
    [
        ("Qwen3-8B", "vllm", {"thinking_token_budget": 100, "chat_template_kwargs": {"enable_thinking": True}}),
        ("QwQ-32B", "sglang", {"custom_params": {"thinking_budget": 100}}),
        ("QwQ-32B", "nim", {"nvext": {"max_thinking_tokens": 100}}),
        ("qwen3-8b", "qwen-cloud", {"enable_thinking": True, "thinking_budget": 100}),
        ("openai/gpt-oss-20b", "openrouter", {"reasoning": {"max_tokens": 100}}),
        ("qwen/qwen3-8b", "openrouter", {"reasoning": {"enabled": True, "max_tokens": 100}}),
        ("gemini-2.5-pro", "gemini", {"extra_body": {"google": {"thinking_config": {"thinking_budget": 100}}}}),
    ],
)
def test_a_budget_is_in_the_body_under_the_servers_key(model: str, server: str, body: object) -> None:
    assert extras(model, Mode.SYSTEM2, server, BUDGET) == body


def test_llama_cpp_is_told_the_marks_of_a_thought_that_its_template_may_not_show() -> None:
    told = extras("scale-sft-mine", Mode.SYSTEM2, "llama.cpp", BUDGET)
    assert isinstance(told, dict)
    assert told["thinking_budget_tokens"] == told["reasoning_budget_tokens"] == 100
    assert told["reasoning_budget_start_tag"] == "<think>"
    assert told["reasoning_budget_end_tags"] == ["</think>"]


@pytest.mark.parametrize(
    ("model", "server"),
    [("Qwen3-8B", "generic"), ("Qwen3-8B", "vllm-0.19"), ("qwen3:8b", "ollama"), ("Qwen2.5-7B", "vllm")],
)
def test_without_a_key_or_a_thought_a_budget_changes_no_request(model: str, server: str) -> None:
    endpoint = endpoint_for(model, Mode.SYSTEM2, server)
    assert not endpoint.keeps_budget
    assert request(endpoint, Mode.SYSTEM2, BUDGET) == request(endpoint, Mode.SYSTEM2)


def test_the_budget_is_part_of_a_key_only_when_it_is_given() -> None:
    endpoint = endpoint_for("Qwen3-8B", Mode.SYSTEM2, "vllm")
    plain, empty = request(endpoint, Mode.SYSTEM2), request(endpoint, Mode.SYSTEM2, Thinking())
    bound, other = (request(endpoint, Mode.SYSTEM2, Thinking(budget=tokens)) for tokens in (100, 200))
    assert key(plain) == key(empty)
    assert len({key(plain), key(bound), key(other)}) == 3


def test_tokens_of_an_answer_are_held_back_from_a_budget() -> None:
    assert hold_back(1000, None) == 1000
    assert hold_back(1000, 4096) == 1000
    assert hold_back(4096, 4096) == 4096 - 512
    assert hold_back(600, 600) == 300
    assert hold_back(5, 1) == 1
    body = extras("Qwen3-8B", Mode.SYSTEM2, "vllm", Thinking(budget=2048), most=2048)
    assert isinstance(body, dict)
    assert body["thinking_token_budget"] == 1536


def test_a_budget_below_the_servers_least_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"thinking budget 100: Anthropic takes at least 1,024 tokens"):
        extras("claude-opus-4-1", Mode.SYSTEM2, "anthropic", BUDGET)
    told = extras("claude-opus-4-1", Mode.SYSTEM2, "anthropic", Thinking(budget=2000))
    assert told == {"thinking": {"type": "enabled", "budget_tokens": 2000}}


def test_an_effort_is_told_under_the_servers_or_the_familys_key_or_refused_with_those_that_there_are() -> None:
    assert extras("gpt-oss-20b", Mode.SYSTEM2, "vllm", Thinking(effort="medium")) == {"reasoning_effort": "medium"}
    assert extras("gpt-oss-20b", Mode.SYSTEM2, "openrouter", Thinking(effort="low")) == {"reasoning": {"effort": "low"}}
    with pytest.raises(ConfigError, match=r"effort xhigh: m \(server: vLLM.*\) takes low, medium, high"):
        extras("gpt-oss-20b", Mode.SYSTEM2, "vllm", Thinking(effort="xhigh"))
    with pytest.raises(ConfigError, match=r"effort low: .* takes no effort at all"):
        extras("Qwen3-8B", Mode.SYSTEM2, "vllm", Thinking(effort="low"))
    with pytest.raises(ConfigError, match="takes no effort at all"):
        extras("qwen3.8-27b", Mode.SYSTEM2, "qwen-cloud", Thinking(effort="low"))  # does not read the family's key
    gpt = profile_for("gpt-oss-20b").system2
    assert gpt is not None
    assert list_efforts(gpt, find_server("deepseek")) == ["low", "high"]


def test_every_family_of_the_table_can_be_told_to_every_kind() -> None:
    for family in profiles.list_families():
        for mode in Mode:
            for server in list_servers().values():
                if (own := family.mode(mode)) is not None:
                    told = adapt_mode(own, server)
                    assert set(told.thinking_efforts) <= set(EFFORTS)
                    assert "$effort" not in str(told.extras)


DOCS = Path(__file__).parents[1] / "docs" / "engines.md"


def words(keys: object, under: str = "") -> str:
    """Body keys as the documentation has them: `a.b = c`."""
    if not isinstance(keys, dict):
        return f"{under} = {str(keys).lower()}"
    return ", ".join(words(value, f"{under}.{key}" if under else key) for key, value in keys.items())


def first_path(keys: object) -> str:
    """The path of the first value among body keys."""
    path: list[str] = []
    while isinstance(keys, dict):
        key, keys = next((key, value) for key, value in keys.items() if "$" in str(value))
        path.append(key)
    return ".".join(path)


def row(kind: Server) -> str:
    switch = f"`{words(kind.off)}` / `{words(kind.on)}`" if kind.off is not None else "the family's"
    effort = f"`{first_path(kind.effort)}`" if kind.effort is not None else "the family's"
    effort += f": {', '.join(kind.efforts)}" if kind.efforts else ""
    budget = f"`{first_path(kind.budget)}`" if kind.budget is not None else "a second call"
    budget += f", at least {kind.least_budget:,}" if kind.least_budget > 1 else ""
    return f"| `{kind.name}` | {kind.title} | {switch} | {effort} | {budget} | {kind.logprobs} |"


def test_the_documentation_has_every_kind_as_the_table_has_it() -> None:
    lines = DOCS.read_text(encoding="utf-8").splitlines()
    for kind in list_servers().values():
        assert row(kind) in lines
        assert not kind.needs or f"| `{kind.name}` | {kind.needs} |" in lines
    assert sum(line.startswith("| `") and line.endswith((" yes |", " no |", " unknown |")) for line in lines) == len(
        list_servers()
    )


def test_the_documentation_names_every_family() -> None:
    text = DOCS.read_text(encoding="utf-8")
    special = {"traces", "student", "smollm2", "arithmetic-teacher"}
    assert {family.name for family in profiles.list_families() if f"`{family.name}`" not in text} <= special
