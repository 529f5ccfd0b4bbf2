"""Common Expression Language over the columns of a record; ``Program`` is the way in.

A text is read by ``parser`` into a ``tree``, whose words ``checking`` gives their meaning over the columns. What Arrow says exactly alike
``translation`` turns into an expression of its own, which is evaluated for many records at once; the rest is ``rendering`` for one of two
``engines``, fed by ``binding`` and bounded by ``work``.

What is refused, is refused before any engine sees it: texts, trees and loops beyond the limits that these modules state, names that are no
column, functions that are not in the tables of ``checking``, and values of kinds that do not go together. What holds of a record cannot
end a query: where an expression errs, its value is unknown.
"""

from sopnb.cel.program import Program
from sopnb.cel.tree import Column

__all__ = ["Column", "Program"]
