"""One training process: TRL's trainer on the rows of a job's folder.

`accelerate launch -m scale_reasoning.synth.train DIR` runs one on each GPU. Decides how a recipe becomes TRL's
configuration, and refuses to train where TRL would learn anything but the completions.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn, TypeAlias

from scale_reasoning.errors import ConfigError, ScaleError
from scale_reasoning.synth import folder as folders
from scale_reasoning.synth import rows
from scale_reasoning.synth.extra import library, quiet
from scale_reasoning.synth.folder import Job
from scale_reasoning.synth.sft import Recipe
from scale_reasoning.synth.tokens import IGNORED, Example, end_of_turn, tokenise
from scale_reasoning.synth.weights import load_pretrained

Say: TypeAlias = Callable[[str], None]
ADAPTER = "adapter"


def train(folder: Path, say: Say) -> None:
    """Trains the folder's job, from its last complete checkpoint if there is one, and saves the weights.

    A LoRA is saved as its adapter; `merge` makes a model of it. Raises `ConfigError`.
    """
    job = folders.read(folder)
    with quiet():
        _show_one_gpu(job.recipe)
        # Before the model: this connects the processes, and decides how the model is loaded.
        arguments = _make_arguments(job.recipe, folder)
        tokenizer, model = _load_model(job, arguments)
        trainer = _make_trainer(job, folder, arguments, tokenizer, model, say)
        last = _find_checkpoint(job.recipe, folder, trainer, say)
        try:
            trainer.train(resume_from_checkpoint=last)
        except library("torch").OutOfMemoryError as error:
            raise ConfigError(
                f"the GPU's memory is full: use a smaller device_batch or cutoff, more gpus, or --lora ({error})"
            ) from error
        _save(trainer, tokenizer, folder, job.recipe)


def merge(folder: Path) -> None:
    """Merges the folder's adapter into the base model, and saves the result in the folder."""
    job = folders.read(folder)
    with quiet():
        tokenizer = load_pretrained("AutoTokenizer", str(folder / ADAPTER))
        base = load_pretrained("AutoModelForCausalLM", job.place, job.recipe.revision, dtype=_choose_dtype())
        model = library("peft").PeftModel.from_pretrained(base, str(folder / ADAPTER)).merge_and_unload()
        _stop_at(end_of_turn(tokenizer), tokenizer, model)
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)


def read_examples(recipe: Recipe, tokenizer: Any) -> tuple[Example, ...]:
    """The recipe's rows as token ids."""
    found = rows.read(Path(recipe.rows)).rows
    return tokenise(found, tokenizer, cutoff=recipe.cutoff).kept


def make_dataset(examples: Sequence[Example]) -> Any:
    """The examples as TRL takes them: ids, and labels that leave out the prompt."""
    return library("datasets").Dataset.from_list(
        [{"input_ids": each.input_ids, "labels": each.labels} for each in examples]
    )


def count_packs(examples: Sequence[Example], cutoff: int) -> int:
    """The number of sequences after packing."""
    with quiet():
        return len(library("trl").pack_dataset(make_dataset(examples), cutoff, "bfd"))


def count_gpus() -> int:
    """The number of GPUs of this machine."""
    return int(library("torch").cuda.device_count())


def _make_arguments(recipe: Recipe, folder: Path) -> Any:
    gpu = bool(library("torch").cuda.is_available())
    return library("trl").SFTConfig(
        output_dir=str(folder / "checkpoints"),
        max_length=recipe.cutoff if recipe.packing else None,  # longer rows were dropped before
        packing=recipe.packing,
        packing_strategy="bfd",
        per_device_train_batch_size=recipe.device_batch,
        gradient_accumulation_steps=recipe.accumulation,
        learning_rate=recipe.rate,
        lr_scheduler_type=recipe.schedule,
        warmup_steps=recipe.warmup_steps,
        weight_decay=recipe.weight_decay,
        max_grad_norm=recipe.max_grad_norm,
        num_train_epochs=recipe.epochs,
        max_steps=recipe.steps or -1,
        activation_checkpointing=recipe.checkpointed_by == "trainer",
        bf16=gpu,
        use_cpu=not gpu,
        dataloader_pin_memory=gpu,
        logging_steps=recipe.log_every,
        save_strategy="steps" if recipe.save_every else "epoch",
        save_steps=recipe.save_every or 500,
        save_total_limit=recipe.keep_checkpoints,
        seed=recipe.seed,
        data_seed=recipe.seed,
        report_to="none",
        disable_tqdm=True,
    )


def _load_model(job: Job, arguments: Any) -> tuple[Any, Any]:
    tokenizer = load_pretrained("AutoTokenizer", job.place, job.recipe.revision)
    # In float32, updates of 5e-6 do not vanish in rounding. FSDP and ZeRO make their own float32 weights from bfloat16,
    # and weights that LoRA freezes need none.
    halved = arguments.bf16 and (job.recipe.method == "lora" or job.recipe.shared_by != "none")
    model = load_pretrained(
        "AutoModelForCausalLM",
        job.place,
        job.recipe.revision,
        dtype="bfloat16" if halved else "float32",
        attn_implementation=job.recipe.attention,
    )
    _stop_at(end_of_turn(tokenizer), tokenizer, model)
    return tokenizer, model


def _stop_at(end: str, tokenizer: Any, model: Any) -> None:
    """Sets the token that ends a turn as the model's end of text, because a server stops there."""
    tokenizer.eos_token = end
    number = int(tokenizer.eos_token_id)
    model.config.get_text_config().eos_token_id = number
    known: Any = model.generation_config.eos_token_id
    others: list[int] = [] if known is None else [known] if isinstance(known, int) else list(known)
    model.generation_config.eos_token_id = [number, *(each for each in others if each != number)]


def _make_trainer(job: Job, folder: Path, arguments: Any, tokenizer: Any, model: Any, say: Say) -> Any:
    transformers = library("transformers")
    examples = read_examples(job.recipe, tokenizer)
    adapter = library("peft").LoraConfig(
        r=job.recipe.lora_r, lora_alpha=job.recipe.lora_alpha, target_modules="all-linear", task_type="CAUSAL_LM"
    )

    def on_log(_: Any, args: Any, state: Any, control: Any, **__: Any) -> None:
        if not state.is_world_process_zero:
            return
        folders.write_losses(folder, state.log_history)
        newest = state.log_history[-1]
        if "loss" in newest:
            say(f"step {state.global_step} of {state.max_steps}: loss {newest['loss']:.4f}")

    trainer = library("trl").SFTTrainer(
        model=model,
        args=arguments,
        train_dataset=make_dataset(examples),
        processing_class=tokenizer,
        peft_config=adapter if job.recipe.method == "lora" else None,
        callbacks=[type("Losses", (transformers.TrainerCallback,), {"on_log": on_log})],
    )
    trainer.remove_callback(transformers.PrinterCallback)
    _check_completions(examples, trainer.train_dataset)
    return trainer


def _check_completions(examples: Sequence[Example], dataset: Any) -> None:
    """Raises where TRL's sequences have or learn other tokens than the examples."""
    held = [sum(map(len, examples)), sum(len(example.learned) for example in examples)]
    found = [0, 0]
    for labels in dataset["labels"]:
        found[0] += len(labels)
        found[1] += sum(label != IGNORED for label in labels)
    if held != found:
        raise ScaleError(f"this version of trl changes the tokens: {held} tokens and learned tokens became {found}")


def _find_checkpoint(recipe: Recipe, folder: Path, trainer: Any, say: Say) -> str | None:
    """The checkpoint to resume from. Incomplete ones are removed."""
    whole, halves = folders.find_checkpoints(folder, recipe.gpus)
    sequences = len(trainer.train_dataset)
    every, per_epoch = recipe.total_steps(sequences), recipe.steps_per_epoch(sequences)
    # From a checkpoint of the last step in mid-epoch, the trainer would do one step too many.
    usable = [each for each in whole if folders.read_step(each) < every or not every % per_epoch]
    if trainer.is_world_process_zero():
        for half in halves:
            say(f"{half} is incomplete: removed")
            shutil.rmtree(half)
        if usable:
            say(f"resuming from {usable[-1]}")
    trainer.accelerator.wait_for_everyone()
    return str(usable[-1]) if usable else None


def _save(trainer: Any, tokenizer: Any, folder: Path, recipe: Recipe) -> None:
    if trainer.is_fsdp_enabled:
        trainer.accelerator.state.fsdp_plugin.set_state_dict_type("FULL_STATE_DICT")
    if recipe.method == "lora":
        trainer.save_model(str(folder / ADAPTER))
        return
    weights = trainer.accelerator.get_state_dict(trainer.model_wrapped)  # of all processes; complete on the first
    if trainer.is_world_process_zero():
        dtype = getattr(library("torch"), _choose_dtype())
        model = trainer.accelerator.unwrap_model(trainer.model_wrapped)
        model.save_pretrained(folder, state_dict={name: weights.pop(name).to(dtype) for name in list(weights)})
        model.config.dtype = _choose_dtype()  # of the saved weights, not of the master weights
        model.config.save_pretrained(folder)
        tokenizer.save_pretrained(folder)


def _choose_dtype() -> str:
    return "bfloat16" if library("torch").cuda.is_available() else "float32"


def _show_one_gpu(recipe: Recipe) -> None:
    """Makes only one GPU visible to a single process, because TRL refuses more."""
    if recipe.gpus == 1 and "LOCAL_RANK" not in os.environ:
        os.environ.setdefault("CUDA_VISIBLE_DEVICES", "0")


def main(arguments: Sequence[str]) -> NoReturn:
    """The entry point of a launched process. Exits with 0 when done, with 1 when failed."""
    try:
        train(Path(arguments[0]), _print)
        _end_group()  # not after a failure: the others may wait for this one, and the launcher stops them
        code = 0
    except ScaleError as error:
        _print(f"error: {error}")
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    # Without the interpreter's finalization, in which a thread of PyTorch that frees a tensor aborts the process
    # (https://github.com/pytorch/pytorch/issues/190489), even where the process group has ended.
    os._exit(code)


def _print(line: str) -> None:
    sys.stderr.write(f"scale: {line}\n")


def _end_group() -> None:
    shared = library("torch").distributed
    if shared.is_available() and shared.is_initialized():
        shared.destroy_process_group()


if __name__ == "__main__":
    main(sys.argv[1:])
