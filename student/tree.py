"""Rows as one tree of tokens: a beginning that rows share is in it, and computed, once.

A token attends only to earlier tokens of its own branch, so every row is read as if it were alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import torch


@dataclass(slots=True)
class _Node:
    token: int
    depth: int
    wanted: int = 0
    below: dict[int, _Node] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Tree:
    """N tokens, each after its parent: ids, positions (depth) and `sees` (N x N, which token attends to which).

    M learned tokens: the position that predicts each (`parents`), the token (`targets`), how many rows learn it
    (`weights`).
    """

    ids: torch.Tensor
    positions: torch.Tensor
    sees: torch.Tensor
    parents: torch.Tensor
    targets: torch.Tensor
    weights: torch.Tensor


def grow_tree(rows: Iterable[tuple[Sequence[int], Sequence[int]]]) -> Tree:
    """The tree of rows (prompt, reply). Replies are learned."""
    root = _Node(token=-1, depth=-1)
    for prompt, reply in rows:
        node = root
        for place, token in enumerate([*prompt, *reply]):
            node = node.below.setdefault(token, _Node(token=token, depth=node.depth + 1))
            node.wanted += place >= len(prompt)
    return _flatten(root)


def _flatten(root: _Node) -> Tree:
    nodes, ends, learned = list[_Node](), list[int](), list[tuple[int, int, int]]()

    def visit(node: _Node, parent: int) -> None:
        place = len(nodes)
        nodes.append(node)
        ends.append(0)
        if node.wanted and parent >= 0:
            learned.append((parent, node.token, node.wanted))
        while len(node.below) == 1:  # a branch without forks may be too long for recursion
            (node,) = node.below.values()
            if node.wanted:
                learned.append((len(nodes) - 1, node.token, node.wanted))
            nodes.append(node)
            ends.append(0)
        last = len(nodes) - 1
        for child in node.below.values():
            visit(child, last)
        ends[place : last + 1] = [len(nodes)] * (last + 1 - place)

    for child in root.below.values():
        visit(child, -1)
    place, end = torch.arange(len(nodes)), torch.tensor(ends)
    sees = (place[None, :] <= place[:, None]) & (place[:, None] < end[None, :])
    parents, targets, weights = (torch.tensor(column) for column in zip(*learned, strict=True))
    return Tree(
        ids=torch.tensor([node.token for node in nodes]),
        positions=torch.tensor([node.depth for node in nodes]),
        sees=sees,
        parents=parents,
        targets=targets,
        weights=weights.float(),
    )
