from __future__ import annotations

import json
import subprocess
import sys

from sopnb.cel.engines.engine import ENGINES
from tests.cel.hostile import ANSWERED, REFUSED, SECONDS


def test_hostile_expressions_are_refused_within_the_limits_of_their_process() -> None:
    run = subprocess.run([sys.executable, "-m", "tests.cel.hostile"], capture_output=True, text=True, timeout=10 * SECONDS, check=False)
    assert run.returncode == 0, run.stderr[-2000:]
    expected = {**dict.fromkeys(REFUSED, "refused"), **dict.fromkeys(ANSWERED, "answered")}
    assert json.loads(run.stdout) == {f"{package}: {name}": end for package in ENGINES for name, end in expected.items()}
