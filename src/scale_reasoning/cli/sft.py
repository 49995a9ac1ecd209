"""`scale sft`: fine-tune a model on traces. Prints what a recipe means, and what to do with the model it makes."""

from __future__ import annotations

import argparse
import shlex
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from scale_reasoning.children import running
from scale_reasoning.cli.options import Commands
from scale_reasoning.errors import ConfigError, ScaleError

if TYPE_CHECKING:
    from scale_reasoning.synth.folder import Job
    from scale_reasoning.synth.plan import Plan
    from scale_reasoning.synth.rows import TrainingRows
    from scale_reasoning.synth.sft import Recipe
    from scale_reasoning.synth.tokens import Examples

GIB = 2**30
MOST_LINES = 20
"""Line numbers listed of rows over the cut-off."""
PARTS = ("weights", "gradients", "optimiser", "gathered", "activations")


def add(commands: Commands) -> None:
    """Adds the verb."""
    parser = commands.add_parser(
        "sft",
        help="fine-tune a model on traces",
        description="Fine-tunes as a recipe says (docs/fine-tuning.md). Exit codes: 0 done, 1 the training failed, "
        "2 usage or configuration.",
    )
    parser.add_argument("recipe", type=Path, metavar="RECIPE", help="a recipe (.toml); flags override it")
    parser.add_argument("--gpus", type=int, metavar="N", help="GPUs of this machine that train together")
    parser.add_argument("--lora", action="store_true", help="train an adapter on all linear layers, and merge it")
    parser.add_argument("--rows", metavar="FILE", help="the train.jsonl to learn from")
    parser.add_argument("--model", metavar="NAME", help="a folder, a name on the Hub, or smollm2, the model in the box")
    parser.add_argument("--out", type=Path, metavar="DIR", help="the model's folder (default runs/scale-RECIPE)")
    parser.add_argument("--resume", action="store_true", help="go on from the folder's last whole checkpoint")
    parser.add_argument("--dry-run", action="store_true", help="print rows, tokens, steps and memory a GPU")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Trains, or says what it would take."""
    from scale_reasoning.synth import rows, sft

    flags = {key: value for key in ("gpus", "rows", "model") if (value := getattr(args, key)) is not None}
    recipe = sft.read(args.recipe, {**flags, **({"method": "lora"} if args.lora else {})})
    found = rows.read(Path(recipe.rows))
    out: Path = args.out or Path("runs") / f"scale-{args.recipe.stem}"
    if args.dry_run:
        return _dry_run(recipe, found, out, resume=args.resume)
    job = _job(recipe, found)
    if _begun(out, job, resume=args.resume):
        return _introduced(out, job)
    _trained(out, job)
    return _introduced(out, job)


def _job(recipe: Recipe, found: TrainingRows) -> Job:
    """The training in full. Everything that can be wrong with it is found here, before a GPU is asked for."""
    from scale_reasoning.synth.extra import versions
    from scale_reasoning.synth.folder import Job
    from scale_reasoning.synth.tokens import tokenise
    from scale_reasoning.synth.train import count_gpus
    from scale_reasoning.synth.weights import find_weights, load_pretrained

    if recipe.gpus > 1 and count_gpus() < recipe.gpus:
        raise ConfigError(f"gpus = {recipe.gpus}: this machine has {count_gpus()}")
    place = find_weights(recipe.model, _told)
    config = load_pretrained("AutoConfig", place, recipe.revision)
    tokenizer = load_pretrained("AutoTokenizer", place, recipe.revision)
    examples = tokenise(found.rows, tokenizer, cutoff=recipe.cutoff, over_cutoff=recipe.over_cutoff)
    if examples.dropped or examples.cut:
        _told(f"over {recipe.cutoff} tokens: {_over(examples)}")
    window = getattr(config.get_text_config(), "max_position_embeddings", None)
    return Job(recipe=recipe, rows_sha256=found.sha256, place=place, window=window, versions=versions())


def _begun(out: Path, job: Job, *, resume: bool) -> bool:
    """Whether the folder's model is done already; else the folder is made, or is that of the same training."""
    from scale_reasoning.synth import folder

    if not (out / folder.JOB).exists():
        if out.exists() and any(out.iterdir()):
            raise ConfigError(f"--out {out}: there is something in it, and no training; name another folder")
        folder.write(out, job)
        return False
    before = folder.read(out)
    if not resume:
        raise ConfigError(f"--out {out}: it holds a training; go on with it by --resume, or name another folder")
    if changed := folder.list_changes(before, job):
        raise ConfigError(f"--resume {out}: the training has changed since it began: {'; '.join(changed)}")
    folder.write(out, replace(job, done=before.done))
    return before.done


def _trained(out: Path, job: Job) -> None:
    from scale_reasoning.synth import launch, train

    if job.recipe.gpus > 1:
        with running(launch.make_command(job.recipe, out)) as launched:
            failed = launched.wait()
        if failed:
            raise ScaleError(f"the training failed, see above; once that is mended, go on with --resume --out {out}")
    else:
        train.train(out, _told)
    if job.recipe.method == "lora":
        _told("merging the adapter")
        train.merge(out)


def _introduced(out: Path, job: Job) -> int:
    from scale_reasoning.synth import folder

    folder.write(out, replace(job, done=True))
    folder.write_readme(out, job)
    print(f"{out}\n\n{folder.explain_use(out, job)}", end="")
    return 0


def _dry_run(recipe: Recipe, found: TrainingRows, out: Path, *, resume: bool) -> int:
    """Prints what can be known, and for what cannot be known the reason."""
    from scale_reasoning.synth import folder, launch
    from scale_reasoning.synth.plan import plan

    planned = plan(recipe, found)
    lines = {
        "rows": f"{len(found.rows):,} of {found.file} (sha256 {found.sha256[:16]})",
        "tokens": _tokens(planned),
        f"over {recipe.cutoff}": _over(planned.examples) if planned.examples else "unknown",
        "batch": f"{recipe.global_batch} a step = {recipe.device_batch} a GPU x {recipe.accumulation} accumulated x "
        f"{recipe.gpus} GPUs",
        "steps": _steps(recipe, planned),
        "parameters": _parameters(recipe, planned),
        "memory": _memory(recipe, planned),
        "out": str(out),
        "command": shlex.join(launch.make_command(recipe, out)) if recipe.gpus > 1 else "in this process",
    }
    if resume:
        whole, _ = folder.find_checkpoints(out, recipe.gpus)
        lines["resumes"] = (
            f"after step {folder.read_step(whole[-1]):,}" if whole else "from the start: no checkpoint yet"
        )
    for name, said in lines.items():
        print(f"{name:<12}{said}")
    for reason in dict.fromkeys(planned.unknown):
        print(f"unknown     {reason}")
    return 0


def _tokens(planned: Plan) -> str:
    if planned.examples is None:
        return "unknown"
    return (
        f"{planned.learned_tokens:,} learned, {planned.prompt_tokens:,} of prompts; the longest row has "
        f"{planned.longest:,}"
    )


def _over(examples: Examples) -> str:
    parts = [
        f"{len(lines):,} {what} (line{'s' if len(lines) > 1 else ''} {', '.join(map(str, lines[:MOST_LINES]))}"
        f"{', ...' if len(lines) > MOST_LINES else ''})"
        for what, lines in (("dropped", examples.dropped), ("cut", examples.cut))
        if lines
    ]
    return ", ".join(parts) or "none"


def _steps(recipe: Recipe, planned: Plan) -> str:
    if planned.sequences is None:
        return "unknown"
    packed = f" ({planned.sequences:,} packs)" if recipe.packing else ""
    most = "" if planned.examples else "at most "
    per_epoch, every = recipe.steps_per_epoch(planned.sequences), recipe.total_steps(planned.sequences)
    return f"{most}{per_epoch:,} an epoch{packed}, {every:,} in all"


def _parameters(recipe: Recipe, planned: Plan) -> str:
    if planned.shape is None:
        return "unknown"
    whole = f"{planned.shape.parameters:,}"
    return f"{whole} frozen, {planned.shape.adapters(recipe.lora_r):,} trained" if recipe.method == "lora" else whole


def _memory(recipe: Recipe, planned: Plan) -> str:
    if planned.memory is None:
        return "unknown"
    memory = planned.memory
    parts = ", ".join(f"{name} {getattr(memory, name) / GIB:.1f}" for name in PARTS)
    return (
        f"about {memory.total / GIB:.1f} GiB a GPU ({recipe.shared_by}, bfloat16): {parts}; and 2 to 4 for CUDA itself"
    )


def _told(line: str) -> None:
    print(f"scale: {line}", file=sys.stderr, flush=True)
