"""How many leaves and branches the engine may use for a page at some position, whatever the position."""

from __future__ import annotations

from math import ceil

from sopnb.engine.layers import Stack
from sopnb.engine.tree import Tree


def bound(stack: Stack, size: int, *, within: bool = False) -> tuple[int, int]:
    """Return how many leaves and branches a page of ``size`` rows may use, ``within`` a range of keys or of all; nothing is deleted there.

    Each layer is bisected from its root down, and each step asks every layer how many records lie before a separator: that is a way from
    the root, and a leaf where the separator is that of another layer. So both grow with the height of the trees, and not with the rows.
    """
    trees = [layer for layer in stack.layers if isinstance(layer, Tree)]
    ways = [_way(tree) for tree in trees]
    others = [layer.entries for layer in stack.layers if not isinstance(layer, Tree)]
    own = [sum(_steps(children) for children in way) for way in ways]
    steps = sum(own) + sum(_steps(entries) for entries in others)
    ranks = 1 + (4 if within else 0)
    leaves = sum(steps - each + ranks + _shown(tree, size) for tree, each in zip(trees, own, strict=True))
    branches = sum(len(way) * (steps + ranks + 1) + len(way) + _shown(tree, size) for tree, way in zip(trees, ways, strict=True))
    return leaves, branches


def height(stack: Stack) -> int:
    """Return how many branches lie above a leaf of the highest tree."""
    return max(len(_way(layer)) for layer in stack.layers if isinstance(layer, Tree))


def fetched(stack: Stack, size: int) -> tuple[int, int]:
    """Return how many leaves and branches ``size`` records may use that are read by their keys."""
    trees = [layer for layer in stack.layers if isinstance(layer, Tree)]
    return size * len(trees), sum(1 + size * (len(_way(tree)) - 1) for tree in trees)


def _steps(children: int) -> int:
    """How often a node of so many children is halved until one is left."""
    return children.bit_length()


def _way(tree: Tree) -> list[int]:
    """The largest number of children of a branch, for each level."""
    largest = {tree._root.level: len(tree._root)}
    for _, _, branch in tree.inner():
        largest[branch.level] = max(largest.get(branch.level, 0), len(branch))
    return list(largest.values())


def _shown(tree: Tree, size: int) -> int:
    """The most leaves that hold so many records one after another, and those at both ends."""
    fewest = max(tree.entries // max(tree.ref.leaves, 1) // 2, 1)
    return min(ceil(size / fewest) + 2, tree.ref.leaves)
