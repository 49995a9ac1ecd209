"""Which family a model's name belongs to, how its modes are switched, and what a user's own file may say."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scale_reasoning.errors import ConfigError
from scale_reasoning.profiles import ModeProfile, Profile, profile_for
from scale_reasoning.types import Mode, Sampling

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
    "openai/gpt-5.2": "openai-reasoning-none",
    "o3-mini": "openai-o",
    "o4-mini": "openai-o",
    "gpt-4o": "instruct",
    "gpt-4.1-mini": "instruct",
    "claude-opus-4-1": "anthropic",
    "anthropic/claude-sonnet-4.5": "anthropic",
    "claude-3-7-sonnet-20250219": "anthropic",
    "anthropic/claude-3.7-sonnet": "anthropic",
    "claude-3-5-sonnet-20241022": "instruct",
    "gemini-2.5-flash": "gemini",
    "models/gemini-2.5-flash-lite": "gemini",
    "gemini-2.5-pro": "gemini-always",
    "gemini-3-pro-preview": "gemini-always",
    "gemini-2.0-flash": "instruct",
    "Qwen2.5-32B-Instruct": "instruct",
    "Qwen/Qwen2.5-Math-72B-Instruct": "instruct",
    "meta-llama/Llama-3.3-70B-Instruct": "instruct",
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


@pytest.mark.parametrize("family", ["qwq", "deepseek-r1", "qwen3-thinking-2507", "openai-o"])
def test_a_family_that_always_thinks_has_no_system_1_and_says_what_to_do(family: str) -> None:
    profile = profile_for("any", name=family)
    assert profile.mode(Mode.SYSTEM1) is None
    system2 = profile.mode(Mode.SYSTEM2)
    assert system2 is not None
    assert "--system1-model" in system2.pair_hint


@pytest.mark.parametrize("family", sorted(set(FAMILIES.values())))
def test_the_two_modes_of_a_family_differ_in_what_is_sent_and_not_in_a_token_cap_alone(family: str) -> None:
    profile = profile_for("any", name=family)
    if profile.system1 is not None:
        fast, slow = both(profile)
        assert (fast.extras, fast.suffix) != (slow.extras, slow.suffix)
        assert (fast.max_tokens or 0) < (slow.max_tokens or 0)


@pytest.mark.parametrize("family", sorted(set(FAMILIES.values())))
def test_what_a_mode_may_write_fits_the_window(family: str) -> None:
    profile = profile_for("any", name=family)
    for mode in Mode:
        own = profile.mode(mode)
        if own is not None and profile.window is not None:
            assert own.max_tokens is not None
            assert own.max_tokens < profile.window


def test_hosted_reasoning_models_are_sent_no_temperature_and_their_own_cap() -> None:
    for model in ("gpt-5", "gpt-5.1"):
        for own in both(profile_for(model)):
            assert own.sampling == Sampling()
            assert own.limit_key == "max_completion_tokens"
            assert "reasoning_effort" in own.extras


def test_a_family_may_be_named_whatever_the_model_is_called() -> None:
    assert profile_for("house-model-7", name="qwen3") == profile_for("Qwen3-32B")
    with pytest.raises(ConfigError, match=r"no profile 'qwen33'; there are: .*qwen3.*instruct"):
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
        ("[mine]\nmatches = ['x']\nsystem1 = {}", r"\[mine\]: unknown key 'matches'; known: .*match, .*window"),
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
        ("[mine.system1]\ntemprature = 1", r"\[mine\]\.system1: unknown key 'temprature'; known: .*temperature, top_k"),
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
