"""Trains the student's adapter: LoRA on every linear layer of the embedded model, on trees of rows.

Decides the optimiser and its schedule. A stopped training resumes from its last checkpoint.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from torch.nn.functional import cross_entropy
from transformers import AutoModelForCausalLM, AutoTokenizer

from scale_reasoning.arithmetic.chains import Dice
from scale_reasoning.files import replacing
from scale_reasoning.synth.weights import find_weights
from student.rows import Group, StudentRow
from student.tree import Tree, grow_tree

RANK, ALPHA = 16, 32
TREE_TOKENS, MOST_TREE_TOKENS = 350, 1700
"""A tree is filled to the first number and never larger than the second, because attention costs the square."""
STEP_TREES = 1
WARM_UP = 30
CHECKPOINT_STEPS = 100

Tokens = tuple[list[int], list[int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """Adam at `learning_rate`, with warm-up and linear decay to zero; one pass over the rows."""

    learning_rate: float
    seed: int = 0


class RowTokenizer:
    """Turns rows into tokens."""

    def __init__(self, weights: str) -> None:
        self.tokenizer: Any = AutoTokenizer.from_pretrained(weights)

    def encode(self, row: StudentRow) -> Tokens:
        """The tokens of the prompt and of the reply."""
        asked = [{"role": message.role, "content": message.content} for message in row.messages]
        prompt = self.tokenizer.apply_chat_template(asked, tokenize=False, add_generation_prompt=True)
        return self._ids(prompt + row.begun), self._ids(row.reply)

    def _ids(self, text: str) -> list[int]:
        return self.tokenizer(text, add_special_tokens=False).input_ids


def base() -> str:
    """The folder of the embedded model in float32."""
    return find_weights("smollm2", print)


def make_trees(groups: Iterable[Group], words: RowTokenizer, seed: int) -> Iterator[list[Tokens]]:
    """The rows of every tree: groups in random order, with about TREE_TOKENS different tokens together."""
    every = [part for group in groups for part in _split_to_fit([words.encode(row) for row in group])]
    tree = list[Tokens]()
    for rows in _shuffle(every, seed):
        if len(grow_tree(rows).ids) >= TREE_TOKENS:
            yield rows
            continue
        tree += rows
        if len(grow_tree(tree).ids) >= TREE_TOKENS:
            yield tree
            tree = []


def _split_to_fit(rows: list[Tokens]) -> list[list[Tokens]]:
    """A group, in halves where it is too large for a tree. A single row that is too large stays."""
    if len(rows) == 1 or len(grow_tree(rows).ids) <= MOST_TREE_TOKENS:
        return [rows]
    middle = len(rows) // 2
    return _split_to_fit(rows[:middle]) + _split_to_fit(rows[middle:])


def _shuffle(groups: Sequence[list[Tokens]], seed: int) -> list[list[Tokens]]:
    dice = Dice(f"student/{seed}")
    return [group for _, group in sorted((dice.below(2**62), group) for group in groups)]


def train(learned_from: Sequence[list[Tokens]], out: Path, schedule: Schedule, adapter: Path | None = None) -> None:
    """Trains on all trees, from `adapter` if given. Writes the adapter to `out`, and a line per step to
    `out`/log.jsonl.
    """
    out.mkdir(parents=True, exist_ok=True)
    batches = [learned_from[at : at + STEP_TREES] for at in range(0, len(learned_from), STEP_TREES)]
    torch.manual_seed(schedule.seed)
    model = _model(adapter)
    device = next(model.parameters()).device
    learned = [weight for weight in model.parameters() if weight.requires_grad]
    optimiser = torch.optim.AdamW(learned, lr=schedule.learning_rate, weight_decay=0.0, betas=(0.9, 0.98))
    falling = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda step: min((step + 1) / WARM_UP, (len(batches) - step) / len(batches))
    )
    done = _resume(out, learned, optimiser, falling)
    with (out / "log.jsonl").open("a") as log:
        for number, batch in enumerate(batches[done:], done + 1):
            started, mean, tokens = time.monotonic(), 0.0, 0
            for tree in map(grow_tree, batch):
                loss = _loss(model, tree, device) / len(batch)
                loss.backward()
                mean, tokens = mean + loss.item(), tokens + len(tree.ids)
            torch.nn.utils.clip_grad_norm_(learned, 1.0)
            optimiser.step()
            optimiser.zero_grad(set_to_none=True)
            falling.step()
            seconds = time.monotonic() - started
            print(json.dumps({"step": number, "of": len(batches), "loss": round(mean, 4),
                              "tokens": tokens, "seconds": round(seconds, 2)}), file=log, flush=True)  # fmt: skip
            if number % CHECKPOINT_STEPS == 0:
                state = {"done": number, "weights": learned, "optimiser": optimiser.state_dict(),
                         "falling": falling.state_dict()}  # fmt: skip
                with replacing(out / "checkpoint.pt") as file:
                    torch.save(state, file)
                model.save_pretrained(out)
    model.save_pretrained(out)


def _model(adapter: Path | None) -> Any:
    device = "cuda" if torch.cuda.is_available() else "cpu"
    plain = AutoModelForCausalLM.from_pretrained(base(), dtype=torch.float32, attn_implementation="sdpa").to(device)
    if adapter is not None:
        return PeftModel.from_pretrained(plain, str(adapter), is_trainable=True)
    return get_peft_model(plain, LoraConfig(r=RANK, lora_alpha=ALPHA, target_modules="all-linear"))


def _resume(out: Path, learned: Sequence[torch.Tensor], optimiser: Any, falling: Any) -> int:
    """Restores the last checkpoint, and returns the number of steps done."""
    if not (out / "checkpoint.pt").exists():
        return 0
    state = torch.load(out / "checkpoint.pt")
    with torch.no_grad():
        for weight, saved in zip(learned, state["weights"], strict=True):
            weight.copy_(saved)
    optimiser.load_state_dict(state["optimiser"])
    falling.load_state_dict(state["falling"])
    return state["done"]


def _loss(model: Any, tree: Tree, device: torch.device) -> torch.Tensor:
    """The mean loss over the learned tokens of all rows. The output head runs only where something is learned."""
    inner = model.get_base_model()
    hidden = inner.model(
        input_ids=tree.ids[None].to(device),
        attention_mask=tree.sees[None, None].to(device),
        position_ids=tree.positions[None].to(device),
        use_cache=False,
    ).last_hidden_state[0]
    logits = inner.lm_head(hidden[tree.parents.to(device)])
    losses = cross_entropy(logits.float(), tree.targets.to(device), reduction="none")
    weights = tree.weights.to(device)
    return (losses * weights).sum() / weights.sum()
