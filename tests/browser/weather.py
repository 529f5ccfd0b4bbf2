"""A few records of weather: a database that several hosts of notebooks show."""

from __future__ import annotations

import pandas as pd

WEATHER = pd.DataFrame({"origin": ["EWR", "EWR", "JFK", "JFK"], "hour": [1, 2, 1, 2], "temp": [39.0, 38.5, 39.9, 39.9]})
WEATHERS = "db['weather'], edit=True"
"""What is browsed of it, in a cell."""
