"""Without the optional packages everything else works, and what needs one says how to install it.

Where they are installed their import is blocked; where they are not, as with the oldest supported versions, there is nothing to block.
"""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec

import pytest

OPTIONAL = ("polars", "duckdb", "IPython", "ipywidgets", "anywidget", "cel_expr_python", "celpy")
SETUP = f"""
import sys
for name in {[name for name in OPTIONAL if find_spec(name) is not None]!r}:
    sys.modules[name] = None
import pandas as pd, pyarrow as pa, sopnb
db = sopnb.open(":memory:")
planes = db.load("planes", pd.DataFrame({{"tailnum": ["N1", "N3"], "seats": [55, 182]}}), index="tailnum")
"""
CALLS = {
    "planes.to_polars()": ("polars", "polars"),
    "planes[:].to_polars()": ("polars", "polars"),
    "planes.to_polars(lazy=True)": ("polars", "polars"),
    "planes.where('seats / seats == 1')": ("cel-expr-python", "cel"),
    "sopnb.browse(planes)": ("anywidget", "widgets"),
    "sopnb.Browser": ("anywidget", "widgets"),
    "db.sql('select * from planes').to_pandas()": ("duckdb", "sql"),
}


def _run(code: str) -> str:
    run = subprocess.run([sys.executable, "-c", SETUP + code], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    return run.stdout.strip()


@pytest.mark.parametrize("call", CALLS)
def test_what_needs_an_optional_package_says_how_to_install_it(call: str) -> None:
    package, extra = CALLS[call]
    told = _run(f"try:\n    {call}\nexcept ImportError as error:\n    print(type(error).__name__, error.package, error.extra, '|', error)")
    kind, _, message = told.partition(" | ")
    assert kind == f"MissingPackage {package} {extra}"
    assert f"pip install 'sopnb[{extra}]'" in message


def test_the_rest_works_without_them() -> None:
    code = """
planes.upsert(pa.table({"tailnum": ["N2"], "seats": [100]}))
frame = planes[:].to_pandas()
assert planes.where("seats > 60 && tailnum.startsWith('N')").count() == 2
assert frame["seats"].tolist() == [55, 100, 182]
assert planes.upsert(frame).unchanged == 3
assert "N2" in repr(planes) and "N2" in planes._repr_html_()
assert db.load("again", planes.range().to_reader(), index="tailnum").loaded.inserted == 3
assert db.check().ok
print(sorted(set(sys.modules) & {"polars", "duckdb"} - {name for name in sys.modules if sys.modules[name] is None}))
"""
    assert _run(code) == "[]"
