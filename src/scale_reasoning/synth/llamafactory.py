"""Writes a bundle for LLaMA-Factory: rows, their description, and a training file with LIMO's settings.

LIMOPRO and the paper reuse these settings; the cut-off holds the longest row, because LLaMA-Factory cuts longer ones at
their end, which is the answer. Rows that it cannot read or hold are left out and listed. The keys are those of
LLaMA-Factory 0.9.5, whose transformers has no warm-up ratio. It must run in the written folder.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from math import ceil
from pathlib import Path

import msgspec

from scale_reasoning.errors import ConfigError, StoreError
from scale_reasoning.files import write_file
from scale_reasoning.profiles import profile_for, telling_name
from scale_reasoning.prompts import Prompts
from scale_reasoning.synth.bundle import to_indented_json
from scale_reasoning.synth.filters import WINDOW, count_row_tokens, drop_tagged
from scale_reasoning.synth.funnel import Candidate
from scale_reasoning.synth.trace import make_prompt, name_prompts_file
from scale_reasoning.types import JSON

FOLDER = "llamafactory"
GLOBAL_BATCH = 64
DEFAULT_GPUS = 8
DEFAULT_MODEL = "Qwen/Qwen2.5-32B-Instruct"
CUTOFF = 16_384
"""LIMO's cut-off length, where no row is longer."""
SPARE = 1.15
"""Another tokenizer than the teacher's may need more tokens for a row; the cut-off has room for as many."""

TEMPLATES = (
    (r"^qwen3-.*instruct-2507|^qwen3-next-.*instruct", "qwen3_nothink"),
    (r"^qwen3-(next-)?[\d.]+b", "qwen3"),
    (r"^qwen(1\.5|2|2\.5)-(math-|coder-)?[\d.]+b", "qwen"),
    (r"^(meta-)?llama-3(\.[123])?-\d+b(?!.*vision)", "llama3"),
    (r"^mi[sx]tral-(7b|8x7b|8x22b)", "mistral"),
    (r"^(ministral-8b|mistral-nemo)", "ministral"),
    (r"^mistral-small-(3\.[12]-)?24b", "mistral_small"),
    (r"^gemma-(2-|3-(1b|270m))", "gemma2"),
    (r"^gemma-3-\d+b", "gemma3"),
    (r"^gemma-(1\.1-)?[27]b", "gemma"),
    (r"^phi-4-mini-instruct", "phi4_mini"),
    (r"^phi-4$", "phi4"),
    (r"^phi-3(\.5)?-(mini|medium|moe)", "phi"),
    (r"^smollm2-", "smollm2"),
    (r"^smollm-", "smollm"),
)
"""Names of base models, and LLaMA-Factory's template for them: its 0.9.5, extras/constants.py, read on 2026-11-28."""

_TRAINING = """# cd here, then: FORCE_TORCHRUN=1 llamafactory-cli train train.yaml   ({gpus} GPUs)
### model
model_name_or_path: {model}
flash_attn: fa2

### method
stage: sft
do_train: true
finetuning_type: full
deepspeed: ds_z3.json

### dataset
dataset_dir: .
dataset: scale
template: {template}
cutoff_len: {cutoff}
overwrite_cache: true
preprocessing_num_workers: 16

### output
output_dir: output
logging_steps: 1
save_strategy: epoch
save_only_model: true
plot_loss: true
report_to: none

### train
per_device_train_batch_size: 1
gradient_accumulation_steps: {accumulation}
learning_rate: 5.0e-6
num_train_epochs: 15
lr_scheduler_type: cosine
warmup_steps: 0
bf16: true
seed: 42
ddp_timeout: 180000000
"""

_ZERO3: JSON = {
    "train_batch_size": "auto",
    "train_micro_batch_size_per_gpu": "auto",
    "gradient_accumulation_steps": "auto",
    "gradient_clipping": "auto",
    "zero_allow_untested_optimizer": True,
    "bf16": {"enabled": "auto"},
    "zero_optimization": {
        "stage": 3,
        "overlap_comm": True,
        "contiguous_gradients": True,
        "reduce_bucket_size": "auto",
        "stage3_prefetch_bucket_size": "auto",
        "stage3_param_persistence_threshold": "auto",
        "stage3_gather_16bit_weights_on_model_save": True,
    },
}

_INFO: JSON = {
    "scale": {
        "file_name": "scale.json",
        "formatting": "alpaca",
        "columns": {"prompt": "instruction", "query": "input", "response": "output", "system": "system"},
    }
}


def check(gpus: int) -> None:
    """Raises ConfigError for a number of GPUs that does not divide the global batch."""
    if gpus < 1 or GLOBAL_BATCH % gpus:
        fits = ", ".join(str(n) for n in range(1, GLOBAL_BATCH + 1) if GLOBAL_BATCH % n == 0)
        raise ConfigError(f"--gpus {gpus}: must divide the global batch of {GLOBAL_BATCH}: {fits}")


def find_template(model: str, given: str | None = None) -> str:
    """The template that LLaMA-Factory trains a base model with. Raises ConfigError for a model of no known family."""
    if given is not None:
        if not re.fullmatch(r"[\w.-]+", given):
            raise ConfigError(f"--template {given}: is no name of a template of LLaMA-Factory")
        return given
    name = telling_name(model)
    found = next((template for pattern, template in TEMPLATES if re.search(pattern, name)), None)
    if found is None:
        known = ", ".join(dict.fromkeys(template for _, template in TEMPLATES))
        raise ConfigError(
            f"--base-model {model}: no template of LLaMA-Factory is known for it; name one: --template NAME ({known}, "
            "or another of its README)"
        )
    return found


def write(
    out: Path,
    kept: Sequence[Candidate],
    *,
    student: Prompts,
    prompts_file: str,
    model: str,
    gpus: int,
    template: str | None = None,
) -> int:
    """Writes the folder `llamafactory` into `out`. Returns how many rows are left out; left_out.json has the reasons.

    `student` are the prompts of the rows. A copy of their file, `prompts_file`, is added for the evaluation. Raises
    ConfigError as `check` and `find_template` do.
    """
    check(gpus)
    window = profile_for(model).window or WINDOW
    judged = [(one, _find_reason(one, window)) for one in kept]
    rows = [one for one, reason in judged if reason is None]
    left_out: list[dict[str, JSON]] = [{"id": one.id, "reason": reason} for one, reason in judged if reason]
    training = _TRAINING.format(
        model=msgspec.json.encode(model).decode(),
        template=find_template(model, template),
        gpus=gpus,
        accumulation=GLOBAL_BATCH // gpus,
        cutoff=_choose_cutoff(rows, window),
    )
    folder = out / FOLDER
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_file(folder / "scale.json", to_indented_json([_make_alpaca_row(one, student) for one in rows]))
        write_file(folder / "dataset_info.json", to_indented_json(_INFO))
        write_file(folder / "ds_z3.json", to_indented_json(_ZERO3))
        write_file(folder / "train.yaml", training.encode())
        write_file(folder / "prompts.md", name_prompts_file(prompts_file).read_bytes())
        write_file(folder / "left_out.json", to_indented_json(left_out))
    except OSError as error:
        raise StoreError(f"the LLaMA-Factory bundle in {folder}: {error}") from error
    return len(left_out)


def _find_reason(one: Candidate, window: int) -> str | None:
    """Why LLaMA-Factory would learn something else than a row; None where it would not."""
    if tagged := drop_tagged(one):
        return tagged  # a control token in the text ends a turn within the row
    needed = _count_needed(one)
    return f"it may need {needed:,} tokens, and the window is {window:,}" if needed > window else None


def _choose_cutoff(rows: Sequence[Candidate], window: int) -> int:
    """A cut-off that holds every row, in steps of 1,024 and at least LIMO's where the model's window allows it."""
    longest = max(map(_count_needed, rows), default=0)
    return min(window, max(CUTOFF, 1024 * ceil(longest / 1024)))


def _count_needed(one: Candidate) -> int:
    return ceil(SPARE * count_row_tokens(one))


def _make_alpaca_row(one: Candidate, student: Prompts) -> dict[str, str]:
    *system, asked = make_prompt(one.problem, student)
    return {
        "instruction": asked.content,
        "input": "",
        "output": one.text,
        "system": system[0].content if system else "",
    }
