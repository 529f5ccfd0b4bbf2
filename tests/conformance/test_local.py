"""The parts of the folder backend are what the protocols say."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sopnb import protocols
from sopnb.protocols import Backend
from sopnb.settings import DatabaseSettings, HandleSettings
from sopnb.storage.location import open_backend
from sopnb.testing.blobs import BlobsSuite
from sopnb.testing.pins import PinsSuite
from sopnb.testing.registry import RegistrySuite


@pytest.fixture
def backend(tmp_path: Path) -> Iterator[Backend]:
    backend, _ = open_backend(tmp_path / "data.sop", handle=HandleSettings())
    yield backend
    backend.close()


class TestLocalRegistry(RegistrySuite):
    @pytest.fixture
    def registry(self, backend: Backend) -> Any:
        return backend.registry


class TestLocalRegistryInSmallSegments(RegistrySuite):
    """Segments of a few records, so that nearly everything rolls."""

    @pytest.fixture
    def registry(self, tmp_path: Path) -> Iterator[Any]:
        settings = DatabaseSettings(segment_bytes=512, segment_limit=1024)
        backend, _ = open_backend(tmp_path / "data.sop", settings=settings, handle=HandleSettings(maintenance="inline"))
        yield backend.registry
        backend.close()


class TestLocalRegistryPadded(RegistrySuite):
    @pytest.fixture
    def registry(self, tmp_path: Path) -> Iterator[Any]:
        settings = DatabaseSettings(pad_records=True)
        backend, _ = open_backend(tmp_path / "data.sop", settings=settings, handle=HandleSettings())
        yield backend.registry
        backend.close()


class TestLocalBlobs(BlobsSuite):
    @pytest.fixture
    def blobs(self, backend: Backend) -> Any:
        return backend.blobs


class TestLocalPins(PinsSuite):
    @pytest.fixture
    def pins(self, backend: Backend) -> Any:
        return backend.pins


def test_the_parts_have_every_method_of_their_protocol(backend: Backend) -> None:
    assert isinstance(backend.registry, protocols.Registry)
    assert isinstance(backend.blobs, protocols.Blobs)
    assert isinstance(backend.pins, protocols.Pins)
    assert isinstance(backend.clock, protocols.Clock)
