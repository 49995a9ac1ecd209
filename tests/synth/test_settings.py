"""The options of a synthesis that runs and bundles of earlier versions have are still the same options."""

from __future__ import annotations

from pathlib import Path

import pytest

from scale_reasoning.errors import ConfigError
from scale_reasoning.synth import settings
from scale_reasoning.synth.settings import SynthesisOptions

STORED = {
    "target": 800, "max_tokens": 16384, "choose": "fewest", "decontaminate": [], "data_dir": None, "layout": "",
    "student_prompts": "", "bundle": None, "base_model": None, "gpus": None, "allow_test_split": False,
}  # fmt: skip
"""What a run stored before stages could be switched off."""
SHOWN = {"max_tokens": 16384, "choose": "fewest", "target": 800, "against": []}
"""What its bundle's manifest shows of its filters."""


def test_a_run_of_an_earlier_version_has_the_same_filters_and_the_same_manifest():
    found = settings.decode(STORED, Path("run"))
    assert found.describe()["filters"] == SHOWN
    assert settings.read_from_bundle({"settings": {"filters": SHOWN}}, Path("out")) == found


@pytest.mark.parametrize("options", [SynthesisOptions(), SynthesisOptions(filters=("answer",), max_tokens=9)])
def test_options_are_read_back_as_they_were_stored_and_as_a_bundle_shows_them(options: SynthesisOptions):
    assert settings.decode(options.to_json(), Path("run")) == options
    assert settings.read_from_bundle({"settings": options.describe()}, Path("out")) == options


def test_a_change_of_stages_is_named_by_its_flag():
    changed = settings.list_changes(SynthesisOptions(), SynthesisOptions(filters=("answer", "tags")))
    assert changed == ["--filters answer tags (was all)"]


def test_a_template_needs_a_bundle():
    with pytest.raises(ConfigError, match="--base-model, --template and --gpus need --bundle"):
        SynthesisOptions(template="qwen")
