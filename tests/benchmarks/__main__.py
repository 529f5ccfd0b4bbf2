"""The command: which workloads, how many rows."""

from __future__ import annotations

import argparse
import shutil
import tempfile
from pathlib import Path

from tests.benchmarks import browse, filters, indexes, life, reads, scale, writes
from tests.benchmarks.arena import Arena
from tests.benchmarks.measure import table

WORKLOADS = {
    **writes.WORKLOADS,
    **reads.WORKLOADS,
    **filters.WORKLOADS,
    **indexes.WORKLOADS,
    **browse.WORKLOADS,
    **life.WORKLOADS,
    **scale.WORKLOADS,
}


def main() -> None:
    """Run the workloads that are named, or all, each in a folder of its own, and print the table."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"workloads to run: {', '.join(WORKLOADS)} (all)")
    parser.add_argument("--rows", type=int, default=1_000_000, help="rows of the data (1,000,000)")
    parser.add_argument("--rounds", type=int, default=7, help="how often what takes long is run (7)")
    parser.add_argument("--bytes", type=float, default=0, help="bytes of what is measured by bytes (1,000 for each row)")
    parser.add_argument(
        "--folder", type=Path, help="where the databases lie meanwhile; the file system is measured too (a temporary folder)"
    )
    given = parser.parse_args()
    unknown = [name for name in given.names if name not in WORKLOADS]
    if unknown:
        parser.error(f"there is no workload {unknown[0]!r}; there are {', '.join(WORKLOADS)}")
    lines = []
    for name in given.names or WORKLOADS:
        folder = Path(tempfile.mkdtemp(prefix="sopnb-benchmark-", dir=given.folder))
        try:
            arena = Arena(folder / name, given.rows, given.rounds, int(given.bytes))
            found = WORKLOADS[name](arena)
            arena.close()
        finally:
            shutil.rmtree(folder)
        lines += found
        print(table(found), flush=True)
    if len(given.names) != 1:
        print("\n" + table(lines))


if __name__ == "__main__":
    main()
