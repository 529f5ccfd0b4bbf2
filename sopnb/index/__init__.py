"""What orders a store, and how its keys become bytes and sorted rows."""

from sopnb.index.direct import NotDirect, direct_writer
from sopnb.index.encoding import KeyCodec, Keys, successor
from sopnb.index.ordering import arrange, sort_indices
from sopnb.index.specification import IndexField, IndexSpecification, expression_of
from sopnb.index.suggest import Findings, Suggestion, suggest

__all__ = [
    "Findings",
    "IndexField",
    "IndexSpecification",
    "KeyCodec",
    "Keys",
    "NotDirect",
    "Suggestion",
    "arrange",
    "direct_writer",
    "expression_of",
    "sort_indices",
    "successor",
    "suggest",
]
