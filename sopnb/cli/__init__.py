"""The command line: look at a database, check it, tidy it up, load files into it and write files from it.

Every command names the database first. All but ``compact`` and ``load`` open it with ``mode="r"`` and write nothing. A failure is one line
on standard error and exit code 2; ``check`` exits with 1 where something is wrong, ``load`` where rows were left out.
"""

from sopnb.cli import files, look
from sopnb.cli.group import main
from sopnb.cli.printing import size

__all__ = ["files", "look", "main", "size"]
