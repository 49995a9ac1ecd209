"""Which family a model's name belongs to, how its modes are switched, and what a user's own file may say."""

import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scale_reasoning.endpoint import Endpoint, request_for
from scale_reasoning.engines.scripted import Scripted
from scale_reasoning.errors import ConfigError
from scale_reasoning.profiles import BRIEF, THOROUGH, ModeProfile, Profile, list_families, profile_for
from scale_reasoning.types import Message, Mode, Sampling

FAMILIES = {
    "Qwen/Qwen3-32B": "qwen3",
    "Qwen3-8B-FP8": "qwen3",
    "Qwen3-4B-Q4_K_M": "qwen3",
    "Qwen/Qwen3-235B-A22B": "qwen3",
    "qwen3:32b": "qwen3",
    "qwen-3-32b": "qwen3",
    "/models/Qwen3-32B": "qwen3",
    "/models/Qwen3-32B/": "qwen3",
    "runs/qwen3-mine/final": "qwen3",
    "runs/scale-sft-mine/checkpoint-120": "traces",
    "Qwen/Qwen3-30B-A3B-Thinking-2507": "qwen3-thinking-2507",
    "Qwen3-4B-Thinking-2507-Q4_K_M": "qwen3-thinking-2507",
    "Qwen/Qwen3-Next-80B-A3B-Thinking": "qwen3-thinking-2507",
    "Qwen/Qwen3-30B-A3B-Instruct-2507": "qwen3-instruct-2507",
    "Qwen/Qwen3-235B-A22B-Instruct-2507-FP8": "qwen3-instruct-2507",
    "Qwen3-Next-80B-A3B-Instruct": "qwen3-instruct-2507",
    "Qwen/Qwen3-Coder-30B-A3B-Instruct": "qwen3-instruct-2507",
    "QwQ-32B": "qwq",
    "Qwen/QwQ-32B-AWQ": "qwq",
    "deepseek-ai/DeepSeek-R1-Distill-Qwen-32B": "deepseek-r1",
    "deepseek-ai/DeepSeek-R1-Distill-Llama-70B": "deepseek-r1",
    "deepseek-ai/DeepSeek-R1-0528-Qwen3-8B": "deepseek-r1",
    "DeepSeek-R1-0528": "deepseek-r1",
    "deepseek-r1:32b": "deepseek-r1",
    "deepseek-chat": "deepseek-hybrid",
    "deepseek-reasoner": "deepseek-hybrid",
    "DeepSeek-V3.1": "deepseek-hybrid",
    "deepseek-ai/DeepSeek-V3.2-Exp": "deepseek-hybrid",
    "deepseek-ai/DeepSeek-V3-0324": "instruct",
    "openai/gpt-oss-20b": "gpt-oss",
    "gpt-oss:120b": "gpt-oss",
    "gpt-5": "openai-reasoning-minimal",
    "gpt-5-mini-2025-08-07": "openai-reasoning-minimal",
    "gpt-5-chat-latest": "instruct",
    "gpt-5.1": "openai-reasoning-none",
    "gpt-5.1-chat-latest": "openai-chat",
    "gpt-5.2-chat-latest": "openai-chat",
    "gpt-5.3-chat": "openai-chat",
    "gpt-5-codex": "openai-codex",
    "gpt-5.1-codex-max": "openai-codex",
    "gpt-5-pro": "openai-pro",
    "gpt-5.2-pro": "openai-pro",
    "gpt-5.4-pro-2026-03-05": "openai-pro",
    "gpt-5.5": "openai-reasoning-none",
    "gpt-5.6": "openai-reasoning-max",
    "openai/gpt-5.2": "openai-reasoning-none",
    "o3-mini": "openai-o",
    "o4-mini": "openai-o",
    "gpt-4o": "instruct",
    "gpt-4.1-mini": "instruct",
    "claude-opus-4-1": "anthropic",
    "claude-opus-4-5-20251101": "anthropic",
    "claude-haiku-4-5": "anthropic",
    "claude-sonnet-4-20250514": "anthropic",
    "claude-opus-4-6": "claude-4.6",
    "anthropic/claude-sonnet-4.6": "claude-4.6",
    "claude-opus-4-7": "claude-4.7",
    "anthropic/claude-opus-4.8": "claude-4.7",
    "claude-opus-5": "claude-5",
    "claude-sonnet-5-20260801": "claude-5",
    "claude-opus-5-5": "claude-opus-5.5",
    "anthropic/claude-opus-5.5": "claude-opus-5.5",
    "claude-fable-5": "claude-always",
    "claude-mythos-5": "claude-always",
    "anthropic/claude-sonnet-4.5": "anthropic",
    "claude-3-7-sonnet-20250219": "anthropic",
    "anthropic/claude-3.7-sonnet": "anthropic",
    "claude-3-5-sonnet-20241022": "instruct",
    "gemini-2.5-flash": "gemini",
    "models/gemini-2.5-flash-lite": "gemini",
    "gemini-2.5-pro": "gemini-2.5-pro",
    "gemini-flash-latest": "gemini-always",
    "gemini-3.7-flash": "gemini-always",
    "gemini-3-flash-preview": "gemini-minimal",
    "gemini-3.5-flash-lite": "gemini-minimal",
    "gemini-3.6-flash": "gemini-minimal",
    "gemini-3-pro-preview": "gemini-always",
    "gemini-2.0-flash": "instruct",
    "Qwen2.5-32B-Instruct": "qwen2.5",
    "Qwen/Qwen2.5-Coder-1.5B-Instruct": "qwen2.5-small",
    "qwen2.5-coder-0.5b": "qwen2.5-small",
    "qwen2.5-coder-1.5b-instruct-q4_k_m": "qwen2.5-small",
    "qwen2.5:7b": "qwen2.5",
    "qwen-2.5-72b-instruct": "qwen2.5",
    "accounts/fireworks/models/qwen2p5-72b-instruct": "qwen2.5",
    "Qwen/Qwen2.5-VL-7B-Instruct": "qwen2.5",
    "Qwen/Qwen2-7B-Instruct": "qwen2.5",
    "Qwen/Qwen2.5-Math-72B-Instruct": "qwen2.5-math",
    "Qwen2.5-Math-1.5B-Instruct-Q8_0": "qwen2.5-math",
    "qwen2-math:7b": "qwen2.5-math",
    "meta-llama/Llama-3.3-70B-Instruct": "llama-3.1",
    "meta-llama/Meta-Llama-3.1-8B-Instruct": "llama-3.1",
    "Llama-3.2-1B-Instruct-Q4_K_M": "llama-3.1",
    "llama3.2:3b": "llama-3.1",
    "llama-3.3-70b-versatile": "llama-3.1",
    "meta.llama3-1-8b-instruct-v1:0": "llama-3.1",
    "accounts/fireworks/models/llama-v3p1-8b-instruct": "llama-3.1",
    "NousResearch/Hermes-3-Llama-3.1-8B": "llama-3.1",
    "meta-llama/Meta-Llama-3-8B-Instruct": "llama-3",
    "llama3:8b": "llama-3",
    "llama3-70b-8192": "llama-3",
    "nvidia/Llama-3.1-Nemotron-Nano-8B-v1": "instruct",
    "nvidia/Llama-3_3-Nemotron-Super-49B-v1": "instruct",
    "meta-llama/Llama-2-7b-chat-hf": "instruct",
    "meta-llama/Llama-4-Scout-17B-16E-Instruct": "instruct",
    "google/gemma-3-27b-it": "gemma-3",
    "gemma3:4b": "gemma-3",
    "google/gemma-3n-E4B-it": "gemma-3",
    "gemma-3-270m-it-Q8_0": "gemma-3",
    "google/gemma-2-9b-it": "gemma-2",
    "gemma2:2b": "gemma-2",
    "google/gemma-2-2b-it": "gemma-2",
    "google/gemma-2b-it": "instruct",
    "google/gemma-4-31b-it": "gemma-4",
    "gemma4:12b": "gemma-4",
    "Qwen/Qwen3.8-27B": "qwen3.8",
    "qwen/qwen3.8-27b": "qwen3.8",
    "Qwen/Qwen3.5-35B-A3B": "qwen3.5",
    "Qwen/Qwen3.6-27B": "qwen3.6",
    "qwen-plus": "qwen-hosted",
    "qwen-max-latest": "qwen-hosted",
    "qwen-flash": "qwen-hosted",
    "deepseek-flash": "deepseek-v4",
    "deepseek-ai/DeepSeek-V4": "deepseek-v4",
    "zai-org/GLM-4.5-Air": "glm",
    "glm-4.7": "glm",
    "glm-5.1": "glm",
    "zai-org/GLM-5.2": "glm-5.2",
    "glm-5.3": "effort-always",
    "moonshotai/Kimi-K3": "effort-always",
    "kimi-k3.1": "effort-always",
    "moonshotai/Kimi-K2-Thinking": "kimi-thinking",
    "kimi-k2.7-code": "kimi-thinking",
    "moonshotai/Kimi-K2.5": "kimi-k2.5",
    "kimi-k2.6": "kimi-k2.5",
    "moonshotai/Kimi-K2-Instruct": "instruct",
    "nvidia/NVIDIA-Nemotron-3-Nano-30B-A3B-BF16": "nemotron-3",
    "nvidia/Llama-3_3-Nemotron-Super-49B-v1_5": "nemotron-prompt",
    "nvidia/NVIDIA-Nemotron-Nano-9B-v2": "nemotron-prompt",
    "MiniMaxAI/MiniMax-M2.5": "minimax-m2",
    "MiniMax-M3": "minimax-m3",
    "ibm-granite/granite-3.2-8b-instruct": "granite-3.2",
    "ibm-granite/granite-4.2-micro": "granite-4.2",
    "tencent/Hy3": "hy3",
    "tencent/Hunyuan-A13B-Instruct": "hunyuan-a13b",
    "x-ai/grok-4.5": "grok-4.5",
    "grok-4.6": "grok-4.6",
    "mistral-medium-3.5": "mistral-hybrid",
    "microsoft/phi-4": "phi",
    "microsoft/Phi-4-mini-instruct": "phi",
    "microsoft/Phi-3.5-mini-instruct": "phi",
    "phi4-mini": "phi",
    "microsoft/Phi-3-medium-128k-instruct": "phi",
    "microsoft/Phi-3-mini-4k-instruct": "phi-3-4k",
    "phi3:mini": "phi-3-4k",
    "microsoft/Phi-4-reasoning-plus": "phi-reasoning",
    "microsoft/Phi-4-mini-reasoning": "phi-reasoning",
    "phi4-reasoning:14b": "phi-reasoning",
    "mistralai/Mistral-7B-Instruct-v0.3": "mistral",
    "mistralai/Mixtral-8x7B-Instruct-v0.1": "mistral",
    "mistral-large-latest": "mistral",
    "mistralai/Ministral-8B-Instruct-2410": "mistral",
    "mistral:7b": "mistral",
    "mistralai/Mistral-Small-3.2-24B-Instruct-2506": "mistral-small",
    "mistralai/Ministral-3-14B-Instruct-2512": "mistral-small",
    "mistralai/Mistral-Nemo-Instruct-2407": "mistral-nemo",
    "mistral-nemo:12b": "mistral-nemo",
    "mistralai/Mistral-Small-4-119B-2603": "mistral-hybrid",
    "mistralai/Magistral-Small-2509": "magistral",
    "magistral-medium-latest": "magistral",
    "mistralai/Ministral-3-8B-Reasoning-2512": "magistral",
    "HuggingFaceTB/SmolLM3-3B": "smollm3",
    "HuggingFaceTB/SmolLM-1.7B-Instruct": "smollm",
    "LiquidAI/LFM2-1.2B": "lfm2",
    "LFM2-350M-Q4_K_M": "lfm2",
    "LiquidAI/LFM2.5-1.2B-Instruct": "lfm2.5",
    "LiquidAI/LFM2.5-1.2B-Thinking": "lfm-thinking",
    "runs/scale-sft-qwen2.5/final": "traces",
    "qwen2.5-1.5b-traces": "traces",
    "": "instruct",
    "smollm2": "smollm2",
    "SmolLM2-360M-Instruct-Q4_K_M": "smollm2",
}


def written(folder: Path, text: str) -> Path:
    file = folder / "mine.toml"
    file.write_text(text, encoding="utf-8")
    return file


def both(profile: Profile) -> tuple[ModeProfile, ModeProfile]:
    assert profile.system1 is not None
    assert profile.system2 is not None
    return profile.system1, profile.system2


@pytest.mark.parametrize(("model", "family"), FAMILIES.items())
def test_a_name_belongs_to_its_family(model: str, family: str) -> None:
    assert profile_for(model).name == family
    assert profile_for(model.upper()).name == family


@given(st.text())
@settings(deadline=None)
def test_every_name_belongs_to_some_family_with_a_system_2(model: str) -> None:
    assert profile_for(model).system2 is not None


def test_qwen3_sends_its_switch_as_true_and_as_false() -> None:
    fast, slow = both(profile_for("Qwen/Qwen3-32B"))
    assert fast.extras == {"chat_template_kwargs": {"enable_thinking": False}}
    assert slow.extras == {"chat_template_kwargs": {"enable_thinking": True}}
    assert fast.sampling == Sampling(temperature=0.7, top_p=0.8, top_k=20, min_p=0.0)
    assert slow.sampling == Sampling(temperature=0.6, top_p=0.95, top_k=20, min_p=0.0)


@pytest.mark.parametrize(
    "family",
    [
        "qwq", "deepseek-r1", "qwen3-thinking-2507", "openai-o", "phi-reasoning", "magistral", "lfm-thinking",
        "kimi-thinking", "minimax-m2", "openai-pro",
    ],
)  # fmt: skip
def test_a_family_that_always_thinks_has_no_system_1_and_says_what_to_do(family: str) -> None:
    profile = profile_for("any", name=family)
    assert profile.mode(Mode.SYSTEM1) is None
    system2 = profile.mode(Mode.SYSTEM2)
    assert system2 is not None
    assert "--system1-model" in system2.pair_hint


def told(mode: ModeProfile) -> tuple[object, ...]:
    return mode.extras, mode.suffix, mode.sentence, mode.system_suffix


@pytest.mark.parametrize("family", sorted(set(FAMILIES.values())))
def test_the_two_modes_of_a_family_differ_in_what_is_sent_and_not_in_a_token_cap_alone(family: str) -> None:
    profile = profile_for("any", name=family)
    if profile.system1 is not None:
        fast, slow = both(profile)
        assert told(fast) != told(slow)
        assert (fast.max_tokens or 0) < (slow.max_tokens or 0)


@pytest.mark.parametrize("family", sorted(set(FAMILIES.values())))
def test_what_a_mode_may_write_fits_the_window(family: str) -> None:
    profile = profile_for("any", name=family)
    for mode in Mode:
        own = profile.mode(mode)
        if own is not None and profile.window is not None:
            assert own.max_tokens is not None
            assert own.max_tokens < profile.window


SENTENCES = (BRIEF, THOROUGH)


@pytest.mark.parametrize(
    "family",
    [
        "qwen2.5", "qwen2.5-math", "llama-3.1", "llama-3", "gemma-3", "gemma-2", "phi", "phi-3-4k", "mistral-small",
        "mistral-nemo", "mistral", "lfm2.5", "lfm2", "smollm", "qwen3-instruct-2507", "instruct",
    ],
)  # fmt: skip
def test_a_family_without_a_switch_has_the_sentence_of_each_mode_and_caps_that_its_window_holds(family: str) -> None:
    profile = profile_for("any", name=family)
    fast, slow = both(profile)
    assert (fast.sentence, slow.sentence) == SENTENCES
    assert not fast.extras
    assert not slow.extras
    assert fast.sampling == slow.sampling
    if family not in ("instruct", "qwen3-instruct-2507"):
        assert profile.window is not None
        assert (fast.max_tokens, slow.max_tokens) == (512, min(4096, profile.window // 2))


@pytest.mark.parametrize("family", sorted(set(FAMILIES.values())))
def test_a_suffix_says_how_much_to_write_and_not_where_the_result_goes(family: str) -> None:
    for mode in Mode:
        own = profile_for("any", name=family).mode(mode)
        assert own is None or not re.search("box|answer is|end with|last line", own.suffix.lower())


def test_hosted_reasoning_models_are_sent_no_temperature_and_their_own_cap() -> None:
    for model in ("gpt-5", "gpt-5.1"):
        for own in both(profile_for(model)):
            assert own.sampling == Sampling()
            assert own.limit_key == "max_completion_tokens"
            assert "reasoning_effort" in own.extras


def test_every_family_of_the_tables_is_named_by_a_test_and_says_how_its_modes_think() -> None:
    families = {family.name: family for family in list_families()}
    assert set(families) - set(FAMILIES.values()) == {"student", "arithmetic-teacher"}
    for family in families.values():
        for own in (family.system1, family.system2):
            if own is not None and (own.extras or own.starts_thinking or own.system_suffix):
                assert own.thinking, family.name


def test_claude_from_4_7_on_is_sent_no_sampling_and_no_budget() -> None:
    for model in ("claude-opus-4-7", "claude-opus-5", "claude-sonnet-5", "claude-opus-5-5", "claude-mythos-5"):
        for own in both(profile_for(model)):
            assert own.sampling == Sampling()
            assert "budget_tokens" not in str(own.extras)
            assert not own.takes_budget
    assert both(profile_for("claude-opus-4-7"))[0].extras == {}
    assert both(profile_for("claude-opus-4-6"))[1].takes_budget


def test_a_switch_in_the_system_prompt_ends_it_or_is_all_of_it() -> None:
    profile = profile_for("NVIDIA-Nemotron-Nano-9B-v2").system1
    assert profile is not None
    endpoint = Endpoint(engine=Scripted([]), model="m", profile=profile)
    asked = Message("user", "?")
    for messages, system in (
        ((Message("system", "Be brief."), asked), "Be brief.\n\n/no_think"),
        ((asked,), "/no_think"),
    ):
        request = request_for({Mode.SYSTEM1: endpoint}, messages, Mode.SYSTEM1, 1, None, None)
        assert request.messages == (Message("system", system), asked)


def test_a_family_may_be_named_whatever_the_model_is_called() -> None:
    assert profile_for("house-model-7", name="qwen3") == profile_for("Qwen3-32B")
    with pytest.raises(
        ConfigError, match=r"no profile 'qwen33' \(did you mean qwen3 or .*\?\); there are: .*qwen3.*instruct"
    ):
        profile_for("Qwen3-32B", name="qwen33")


MINE = """
[house]
match = ["qwen3", "^house-"]
window = 1000
pair_hint = "ask next door"
think = ["((", "))"]
[house.system2]
temperature = 1
max_tokens = 100
starts_thinking = true
extras = { think = { level = 3 } }
"""


def test_a_users_file_comes_first_and_the_rest_stays(tmp_path: Path) -> None:
    file = written(tmp_path, MINE)
    house = profile_for("Qwen/Qwen3-32B", file=file)
    assert house == Profile(
        name="house",
        match=("qwen3", "^house-"),
        window=1000,
        pair_hint="ask next door",
        system2=ModeProfile(
            sampling=Sampling(temperature=1.0),
            max_tokens=100,
            starts_thinking=True,
            extras={"think": {"level": 3}},
            pair_hint="ask next door",
            think=("((", "))"),
        ),
        think=("((", "))"),
    )
    assert profile_for("x", name="house", file=file) == house
    assert profile_for("QwQ-32B", file=file).name == "qwq"
    assert profile_for("Qwen/Qwen3-32B").name == "qwen3"


def test_families_think_in_the_usual_marks_unless_they_say_otherwise() -> None:
    for own in both(profile_for("Qwen3-32B")):
        assert own.think == ("<think>", "</think>")


def test_a_users_table_takes_the_place_of_one_with_its_name(tmp_path: Path) -> None:
    file = written(tmp_path, "[qwen3]\nmatch = ['qwen']\n[qwen3.system1]\nsuffix = 'Be quick.'\n")
    assert profile_for("Qwen3-32B", name="qwen3", file=file).system1 == ModeProfile(suffix="Be quick.")
    assert profile_for("Qwen2-7B", file=file).name == "qwen3"


GOOD = "[mine]\nsystem1 = { temperature = 0.5 }\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("mine = 3", r"\[mine\]: must be a table"),
        ("[mine]\nmatch = ['x']", r"\[mine\]: needs system1, system2 or both"),
        ("[mine]\nmatches = ['x']\nsystem1 = {}", r"\[mine\]: unknown key 'matches'; known: candidates, .*window"),
        ("[mine]\nlanguage = 'prose'\nsystem1 = {}", r"\[mine\]: .*prose"),
        ("[mine]\nname = 'x'\nsystem1 = {}", r"\[mine\]: unknown key 'name'"),
        ("[mine]\nmatch = 'x'\nsystem1 = {}", r"\[mine\]: .*\.match"),
        ("[mine]\nmatch = ['(x']\nsystem1 = {}", r"\[mine\]: match = '\(x': missing \)"),
        ("[mine]\nwindow = '8k'\nsystem1 = {}", r"\[mine\]: .*\.window"),
        ("[mine]\nwindow = 0\nsystem1 = {}", r"\[mine\]: .*>= 1.*\.window"),
        ("[mine]\nthink = '<think>'\nsystem1 = {}", r"\[mine\]: .*\.think"),
        ("[mine]\nthink = ['<think>']\nsystem1 = {}", r"\[mine\]: .*length 2.*\.think"),
        ("[mine]\nthink = ['', '</think>']\nsystem1 = {}", r"\[mine\]: .*length >= 1.*\.think"),
        ("[mine.system1]\nthink = ['a', 'b']", r"\[mine\]\.system1: unknown key 'think'"),
        ("[mine]\npair_hint = 3\nsystem1 = {}", r"\[mine\]: .*pair_hint"),
        ("[mine]\nsystem1 = 3", r"\[mine\]: .*\.system1"),
        ("[mine]\nsystem1 = 'off'", r"\[mine\]: .*\.system1"),
        ("[mine.system3]\ntemperature = 1", r"\[mine\]: unknown key 'system3'"),
        ("[mine.system1]\ntemprature = 1", r"\[mine\]\.system1: unknown key 'temprature'; known: .*thinking, top_k"),
        ("[mine.system1]\nsampling = { temperature = 1 }", r"\[mine\]\.system1: unknown key 'sampling'"),
        ("[mine.system1]\npair_hint = 'x'", r"\[mine\]\.system1: unknown key 'pair_hint'"),
        ("[mine.system1]\ntemperature = 'hot'", r"\[mine\]: .*\.system1.*\.temperature"),
        ("[mine.system1]\ntop_k = 2.5", r"\[mine\]: .*\.system1.*\.top_k"),
        ("[mine.system2]\nmax_tokens = true", r"\[mine\]: .*\.system2\.max_tokens"),
        ("[mine.system2]\nmax_tokens = 0", r"\[mine\]: .*>= 1.*\.system2\.max_tokens"),
        ("[mine.system2]\nextras = ['x']", r"\[mine\]: .*\.system2\.extras"),
        ("[mine.system2]\nstarts_thinking = 'yes'", r"\[mine\]: .*\.system2\.starts_thinking"),
    ],
)
def test_an_unknown_key_or_a_bad_value_is_refused_with_file_table_and_key(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=rf"profiles file mine\.toml, {said}"):
        profile_for("x", file=written(tmp_path, text))


def test_a_file_that_cannot_be_read_is_a_config_error_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe")
    for file in (tmp_path / "none.toml", tmp_path, tmp_path / "binary.toml", written(tmp_path, "[mine\n")):
        with pytest.raises(ConfigError, match=f"profiles file {file}"):
            profile_for("x", file=file)


def test_a_users_file_without_a_match_is_used_only_by_name(tmp_path: Path) -> None:
    file = written(tmp_path, GOOD)
    assert profile_for("mine", file=file).name == "instruct"
    assert profile_for("x", name="mine", file=file).system1 == ModeProfile(sampling=Sampling(temperature=0.5))
