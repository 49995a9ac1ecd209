"""Writes a bundle for LLaMA-Factory: rows, their description, and a training file with LIMO's settings.

LIMOPRO and the paper reuse these settings. The instruction is a system prompt (limo.md), as in LIMO. The keys are those
of LLaMA-Factory 0.9.5, whose transformers has no warm-up ratio. It must run in the written folder.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from scale_reasoning.errors import ConfigError, StoreError
from scale_reasoning.files import write_file
from scale_reasoning.prompts import Prompts
from scale_reasoning.synth.bundle import to_indented_json
from scale_reasoning.synth.funnel import Candidate
from scale_reasoning.synth.trace import LIMO, make_prompt
from scale_reasoning.types import JSON

FOLDER = "llamafactory"
GLOBAL_BATCH = 64
DEFAULT_GPUS = 8
DEFAULT_MODEL = "Qwen/Qwen2.5-32B-Instruct"

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
cutoff_len: 16384
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


def write(out: Path, kept: Sequence[Candidate], *, student: Prompts, prompts_file: str, model: str, gpus: int) -> None:
    """Writes the folder `llamafactory` into `out`. Raises ConfigError as `check` does.

    `student` are the prompts of the rows. A copy of their file, `prompts_file`, is added for the evaluation.
    """
    check(gpus)
    template = "llama3" if "llama" in model.lower() else "qwen"
    training = _TRAINING.format(
        model=msgspec.json.encode(model).decode(), template=template, gpus=gpus, accumulation=GLOBAL_BATCH // gpus
    )
    folder = out / FOLDER
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_file(folder / "scale.json", to_indented_json([_make_alpaca_row(one, student) for one in kept]))
        write_file(folder / "dataset_info.json", to_indented_json(_INFO))
        write_file(folder / "ds_z3.json", to_indented_json(_ZERO3))
        write_file(folder / "train.yaml", training.encode())
        write_file(folder / "prompts.md", Path(prompts_file or LIMO).read_bytes())
    except OSError as error:
        raise StoreError(f"the LLaMA-Factory bundle in {folder}: {error}") from error


def _make_alpaca_row(one: Candidate, student: Prompts) -> dict[str, str]:
    *system, asked = make_prompt(one.problem, student)
    return {
        "instruction": asked.content,
        "input": "",
        "output": one.text,
        "system": system[0].content if system else "",
    }
