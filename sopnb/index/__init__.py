"""What orders a store, and how its keys become bytes and sorted rows."""

from sopnb.index.direct import NotDirect, direct_writer
from sopnb.index.encoding import KeyCodec, Keys, successor
from sopnb.index.ordering import arrange, sort_indices
from sopnb.index.specification import IndexField, IndexSpecification

__all__ = ["IndexField", "IndexSpecification", "KeyCodec", "Keys", "NotDirect", "arrange", "direct_writer", "sort_indices", "successor"]
