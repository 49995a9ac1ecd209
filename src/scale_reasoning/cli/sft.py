"""`scale sft`: fine-tunes a model on traces. Prints what a recipe means, and how to use the model."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from scale_reasoning.children import running
from scale_reasoning.cli import recipes
from scale_reasoning.cli.options import Commands, say
from scale_reasoning.errors import ConfigError, ScaleError
from scale_reasoning.printable import count

if TYPE_CHECKING:
    from scale_reasoning.synth.folder import Job
    from scale_reasoning.synth.plan import Plan
    from scale_reasoning.synth.rows import TrainingRows
    from scale_reasoning.synth.sft import Recipe

GIB = 2**30
MOST_LINES = 20
"""Line numbers shown of rows over the cut-off."""
PARTS = ("weights", "gradients", "optimiser", "gathered", "activations")


def add(commands: Commands) -> None:
    """Adds the verb."""
    parser = commands.add_parser(
        "sft",
        help="fine-tune a model on traces",
        description="Fine-tunes as a recipe says (docs/fine-tuning.md). Exit codes: 0 done, 1 the training failed, "
        "2 usage or configuration.",
    )
    parser.add_argument("recipe", type=Path, metavar="RECIPE", help="a recipe (a name of `scale "
                        "list recipes`, or .toml); flags override it")  # fmt: skip
    parser.add_argument("--gpus", type=int, metavar="N", help="GPUs to train on, of all machines together")
    parser.add_argument("--machines", type=int, metavar="N", help="machines with these GPUs (default 1)")
    parser.add_argument("--lora", action="store_true", help="train an adapter on all linear layers, and merge it")
    parser.add_argument("--rows", metavar="FILE", help="the train.jsonl to train on")
    parser.add_argument("--model", metavar="NAME", help="a folder, a name on the Hub, or smollm2, the embedded model")
    parser.add_argument("--out", type=Path, metavar="DIR", help="the model's folder (default runs/scale-RECIPE)")
    parser.add_argument("--resume", action="store_true", help="resume from the folder's last whole checkpoint")
    parser.add_argument("--dry-run", action="store_true", help="print rows, tokens, steps and memory per GPU")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Trains, or prints what training would take."""
    from scale_reasoning.synth import folder, prompt, rows, sft

    flags = {key: value for key in ("gpus", "machines", "rows", "model") if (value := getattr(args, key)) is not None}
    file = recipes.locate(str(args.recipe))
    recipe = sft.read(file, {**flags, **({"method": "lora"} if args.lora else {})})
    data = rows.read(Path(recipe.rows))
    out: Path = args.out or Path("runs") / f"scale-{file.stem}"
    if args.dry_run:
        _print_plan(recipe, data, out, resume=args.resume)
        return 0
    job = _prepare_job(recipe, data)
    if not _open_folder(out, job, resume=args.resume):
        folder.write_prompt(out, prompt.find_prompt(data.rows))
        if recipe.machines > 1 and not folder.has_model(out, recipe):
            _explain_launch(args.recipe, out, recipe)
            return 0
        _train(out, job)
    _describe_model(out, job)
    return 0


def _prepare_job(recipe: Recipe, data: TrainingRows) -> Job:
    """The training in full. Checks everything that can be checked before a GPU is used. Raises ConfigError."""
    from scale_reasoning.synth.extra import versions
    from scale_reasoning.synth.folder import PROFILE, Job
    from scale_reasoning.synth.prompt import find_prompt
    from scale_reasoning.synth.tokens import tokenise
    from scale_reasoning.synth.train import count_gpus
    from scale_reasoning.synth.weights import find_weights, load_pretrained

    if recipe.machines == 1 and recipe.gpus > 1 and count_gpus() < recipe.gpus:
        raise ConfigError(f"gpus = {recipe.gpus}: this machine has {count_gpus()}")
    place = find_weights(recipe.model, say)
    config = load_pretrained("AutoConfig", place, recipe.revision)
    tokenizer = load_pretrained("AutoTokenizer", place, recipe.revision)
    examples = tokenise(data.rows, tokenizer, cutoff=recipe.cutoff)
    if examples.dropped:
        say(f"over {recipe.cutoff} tokens: {_describe_over(examples.dropped)}")
    window = getattr(config.get_text_config(), "max_position_embeddings", None)
    prompt = find_prompt(data.rows)
    return Job(
        recipe=recipe,
        rows_sha256=data.sha256,
        place=place,
        window=window,
        versions=versions(),
        profile=PROFILE,
        prompt_sha256=prompt.sha256 if prompt else None,
    )


def _open_folder(out: Path, job: Job, *, resume: bool) -> bool:
    """Makes the folder of a training, or opens that of the same training; True if its model is done already."""
    from scale_reasoning.synth import folder

    if not (out / folder.JOB).exists():
        if out.exists() and any(out.iterdir()):
            raise ConfigError(f"--out {out}: it is not empty and holds no training; name another folder")
        folder.write(out, job)
        return False
    before = folder.read(out)
    if not resume:
        raise ConfigError(f"--out {out}: it holds a training; add --resume, or name another folder")
    if changes := folder.list_changes(before, job):
        raise ConfigError(f"--resume {out}: the training has changed since it began: {'; '.join(changes)}")
    folder.write(out, replace(job, done=before.done))
    return before.done


def _train(out: Path, job: Job) -> None:
    from scale_reasoning.synth import launch, train

    if job.recipe.machines > 1:  # accelerate has trained it on them
        say(f"the training on {job.recipe.machines} machines is done")
    elif job.recipe.gpus > 1:
        with running(launch.make_command(job.recipe, out)) as launched:
            failed = launched.wait()
        if failed:
            raise ScaleError(f"the training failed, see above; once that is fixed, resume with --resume --out {out}")
    else:
        train.train(out, say)
    if job.recipe.method == "lora":
        say("merging the adapter")
        train.merge(out)


def _explain_launch(file: Path, out: Path, recipe: Recipe) -> None:
    """Prints the commands of a training on several machines."""
    from scale_reasoning.synth.launch import make_machine_command, write_config

    write_config(recipe, out)
    print(
        f"{out} is ready. On each of the {recipe.machines} machines, which must all see this folder, run this with its "
        f"number (0 to {recipe.machines - 1}) for MACHINE and the address of machine 0 for ADDRESS:\n\n"
        f"    {make_machine_command(out)}\n\n"
        "The same commands resume it after an interruption. Then, on one machine:\n\n"
        f"    scale sft {shlex.quote(str(file))} --machines {recipe.machines} --gpus {recipe.gpus} "
        f"--out {shlex.quote(str(out))} --resume"
    )


def _describe_model(out: Path, job: Job) -> None:
    """Marks the training as done, and says how to use the model: in the folder and on stdout."""
    from scale_reasoning.synth import folder

    folder.write(out, replace(job, done=True))
    folder.write_readme(out, job)
    print(f"{out}\n\n{folder.explain_use(out, job)}", end="")


def _print_plan(recipe: Recipe, data: TrainingRows, out: Path, *, resume: bool) -> None:
    """Prints what is known of the training, and why the rest is unknown."""
    from scale_reasoning.synth import folder
    from scale_reasoning.synth.plan import plan

    planned = plan(recipe, data)
    lines = {
        "rows": f"{len(data.rows):,} of {data.file} (sha256 {data.sha256[:16]})",
        "tokens": _describe_tokens(planned),
        f"over {recipe.cutoff}": _describe_over(planned.dropped, exact=planned.exact),
        "batch": f"{recipe.global_batch} per step = {recipe.device_batch} per GPU x {recipe.accumulation} accumulated "
        f"x {count(recipe.gpus, 'GPU')}" + (f" of {recipe.machines} machines" if recipe.machines > 1 else ""),
        "steps": _describe_steps(recipe, planned),
        "parameters": _describe_parameters(recipe, planned),
        "memory": _describe_memory(recipe, planned),
        "out": str(out),
        "command": _describe_command(recipe, out),
    }
    if resume:
        whole, _ = folder.find_checkpoints(out, recipe.gpus)
        start = f"after step {folder.read_step(whole[-1]):,}" if whole else "from the start: no checkpoint yet"
        lines["resumes"] = start
    for name, text in lines.items():
        print(f"{name:<12}{text}")
    for reason in dict.fromkeys(planned.unknown):
        print(f"unknown     {reason}")


def _describe_command(recipe: Recipe, out: Path) -> str:
    from scale_reasoning.synth import launch

    if recipe.gpus == 1:
        return "in this process"
    several = recipe.machines > 1
    return launch.make_machine_command(out) if several else shlex.join(launch.make_command(recipe, out))


def _describe_tokens(planned: Plan) -> str:
    return ("" if planned.exact else "about ") + (
        f"{planned.learned_tokens:,} learned, {planned.prompt_tokens:,} of prompts; the longest row has "
        f"{planned.longest:,}"
    )


def _describe_over(lines: Sequence[int], *, exact: bool = True) -> str:
    if not lines:
        return "none"
    shown = ", ".join(map(str, lines[:MOST_LINES])) + (", ..." if len(lines) > MOST_LINES else "")
    return f"{'' if exact else 'about '}{len(lines):,} dropped (line{'s' if len(lines) > 1 else ''} {shown})"


def _describe_steps(recipe: Recipe, planned: Plan) -> str:
    if planned.sequences is None:
        return "unknown"
    packed = f" ({planned.sequences:,} packs)" if recipe.packing else ""
    most = "" if planned.exact else "about "
    epoch, total = recipe.steps_per_epoch(planned.sequences), recipe.total_steps(planned.sequences)
    return f"{most}{epoch:,} per epoch{packed}, {total:,} in all"


def _describe_parameters(recipe: Recipe, planned: Plan) -> str:
    if planned.shape is None:
        return "unknown"
    whole = f"{planned.shape.parameters:,}"
    return f"{whole} frozen, {planned.shape.adapters(recipe.lora_r):,} trained" if recipe.method == "lora" else whole


def _describe_memory(recipe: Recipe, planned: Plan) -> str:
    if planned.memory is None:
        return "unknown"
    memory = planned.memory
    parts = ", ".join(f"{name} {getattr(memory, name) / GIB:.1f}" for name in PARTS)
    total = f"about {memory.total / GIB:.1f} GiB per GPU ({recipe.shared_by}, bfloat16)"
    return f"{total}: {parts}; and 2 to 4 for CUDA itself"
