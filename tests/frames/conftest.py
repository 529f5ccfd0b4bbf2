"""Tests of polars need polars, which is optional."""

from importlib.util import find_spec

collect_ignore_glob = [] if find_spec("polars") else ["test_polars*.py"]
