"""The parts of the folder backend are what the protocols say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sopnb.storage.blobs import LocalBlobs
from sopnb.storage.files import Files
from sopnb.storage.pins import LocalPins
from sopnb.storage.system import SystemClock
from sopnb.testing.blobs import BlobsSuite
from sopnb.testing.pins import PinsSuite


class TestLocalBlobs(BlobsSuite):
    @pytest.fixture
    def blobs(self, tmp_path: Path) -> Any:
        return LocalBlobs(tmp_path, files=Files(), clock=SystemClock())


class TestLocalPins(PinsSuite):
    @pytest.fixture
    def pins(self, tmp_path: Path) -> Any:
        return LocalPins(tmp_path, files=Files(), clock=SystemClock())
