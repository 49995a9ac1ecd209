"""Rows in a tree are learned as if each stood alone."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest

pytestmark = pytest.mark.sft

Row = tuple[list[int], list[int]]


@pytest.fixture(scope="module")
def model() -> Any:
    transformers = pytest.importorskip("transformers")
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
    config = transformers.LlamaConfig(vocab_size=50, num_key_value_heads=2, attn_implementation="sdpa", **sizes)
    return transformers.LlamaForCausalLM(config).eval()


@pytest.fixture
def rows() -> list[Row]:
    dice = random.Random(1)
    numbers: Callable[[int], list[int]] = lambda count: [dice.randrange(50) for _ in range(count)]  # noqa: E731
    begun = numbers(12)
    forks = [(begun[: dice.randrange(12)] + numbers(4), numbers(6)) for _ in range(8)]
    return [*forks, (begun[:3], begun[3:9]), (begun[:3], begun[3:9]), (numbers(2), numbers(1))]


def test_the_loss_of_a_tree_is_that_of_its_rows(model: Any, rows: list[Row]) -> None:
    import torch
    from student.tree import grow_tree
    from torch.nn.functional import cross_entropy

    tree = grow_tree(rows)
    with torch.no_grad():
        hidden = model.model(
            input_ids=tree.ids[None], attention_mask=tree.sees[None, None], position_ids=tree.positions[None]
        ).last_hidden_state[0]
        losses = cross_entropy(model.lm_head(hidden[tree.parents]), tree.targets, reduction="none")
        alone = 0.0
        for prompt, reply in rows:
            logits = model(input_ids=torch.tensor([prompt + reply])).logits[0, len(prompt) - 1 : -1]
            alone += cross_entropy(logits, torch.tensor(reply), reduction="sum").item()
    assert (losses * tree.weights).sum().item() == pytest.approx(alone, rel=1e-5)
    assert tree.weights.sum() == sum(len(reply) for _, reply in rows)
    assert len(tree.ids) < sum(len(prompt) + len(reply) for prompt, reply in rows)


def test_rows_are_what_the_strategies_send_and_no_flawed_decomposition_is_learned() -> None:
    pytest.importorskip("torch")
    from student.rows import BOTH_MODES, MAX_STEPS, SOLVING, make_rows

    from scale_reasoning.arithmetic.problems import LAPTOP, chain
    from scale_reasoning.arithmetic.teacher import Teacher, outline
    from scale_reasoning.replies import parse_outline

    learned = 0
    for index in range(12):
        truth = chain(index, split="train", level=LAPTOP)
        group = make_rows(truth, BOTH_MODES, SOLVING, Teacher())
        decompositions = [row.reply for row in group if row.messages[-1].content.endswith("Decompose.\n\nSystem 1.")]
        learned += len(decompositions)
        assert all(list(parse_outline(reply, MAX_STEPS)) == outline(truth) for reply in decompositions)
        assert {row.messages[-1].content.rpartition("\n")[2] for row in group} == {"System 1.", "System 2."}
        assert all(("<think>" in row.reply) == row.messages[-1].content.endswith("System 2.") for row in group)
    assert learned >= 10


def test_a_round_that_the_limit_cuts_is_learned_up_to_the_cut() -> None:
    pytest.importorskip("torch")
    from student.rows import END, INFTYTHINK, make_rows

    from scale_reasoning.arithmetic.problems import LAPTOP, chain
    from scale_reasoning.arithmetic.teacher import Teacher

    groups = [
        make_rows(chain(index, split="train", level=LAPTOP), (INFTYTHINK,), ("solution",), Teacher())
        for index in range(8)
    ]
    replies = [row.reply for group in groups for row in group]
    cut = [reply for reply in replies if not reply.endswith(END)]
    assert all(reply.startswith("<think>") for reply in cut)
    assert any("</think>" not in reply for reply in cut)
    assert any(reply.endswith(END) and "boxed" in reply for reply in replies)


def test_a_group_too_large_for_a_tree_is_halved_and_no_row_is_lost() -> None:
    pytest.importorskip("torch")
    from student.rows import StudentRow
    from student.train import MOST_TREE_TOKENS, make_trees
    from student.tree import grow_tree

    class Letters:
        """RowTokenizer with one token per letter."""

        def encode(self, row: StudentRow) -> tuple[list[int], list[int]]:
            return [ord(letter) for letter in row.begun], [ord(letter) for letter in row.reply]

    group = tuple(StudentRow((), f"{number}", "z" * 700) for number in range(8))
    made = list(make_trees([group], Letters(), seed=0))  # type: ignore[arg-type]
    assert sum(map(len, made)) == len(group)
    assert all(len(grow_tree(rows).ids) <= MOST_TREE_TOKENS for rows in made)
