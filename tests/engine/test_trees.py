"""A tree gives back what was written to it, level by level, and says truly what is in it."""

from __future__ import annotations

import pytest

from sopnb.engine.builder import write_tree
from sopnb.engine.cache import Cache
from sopnb.engine.entries import Entries
from sopnb.engine.tree import Tree, TreeReader
from sopnb.protocols import Blobs
from sopnb.schema import Schema
from sopnb.settings import DatabaseSettings
from sopnb.storage.memory import MemoryBlobs
from tests.engine.support import PLAIN, Row, key

UUID = bytes(range(16))
NAME = "0123456789abcdef-000001"


def planted(schema: Schema, entries: list[Entries], *, blobs: Blobs | None = None, name: str = NAME, hi: int = 7, **settings: int) -> Tree:
    """Write entries as a tree and return it, to be read by a reader of its own."""
    store = MemoryBlobs() if blobs is None else blobs
    ref = write_tree(store, name, schema, DatabaseSettings(**settings), entries, uuid=UUID)
    assert ref is not None
    return Tree(ref, 0, hi, schema, TreeReader(store, Cache(1 << 20), UUID))


def read(tree: Tree, *, reverse: bool = False) -> list[Row]:
    parts = [piece.load() for piece in tree.pieces(b"", None, reverse=reverse)]
    return [tuple(row.values()) for part in parts for row in part.batch.to_pylist()]


@pytest.mark.parametrize("rows", [*range(1, 40), 64, 120, 127, 128, 129, 500])
def test_a_tree_of_any_number_of_rows_holds_all_of_them(rows: int) -> None:
    """Where a level was just closed, the one below held one branch and the one above some, the one branch was taken for the root: all
    that was written before it was lost, and nothing said so, for the tree was in order."""
    wanted = [(k, f"v{k}") for k in range(rows)]
    for branch_bytes in (100, 150, 200):
        tree = planted(PLAIN, [Entries(PLAIN.batch(wanted))], leaf_bytes=64, leaf_rows=2, branch_bytes=branch_bytes)
        assert read(tree) == wanted
        assert (tree.entries, tree.delta, tree.span) == (rows, rows, (key(0), key(rows - 1)))
        assert [tree.before(key(k)) for k in range(rows + 1)] == list(range(rows + 1))
