"""The conformance suite of pins."""

from __future__ import annotations

from typing import Any

import pytest

from sopnb.protocols import Pin, Pins, Reserved


class PinsSuite:
    """Subclass it and give a ``pins`` fixture: a new engine's pins for each test."""

    @pytest.fixture
    def pins(self) -> Any:
        """Make the pins of a new engine."""
        pytest.fail("a subclass of this suite gives the fixture pins", pytrace=False)

    def test_a_pin_is_seen_until_it_is_given_up(self, pins: Pins) -> None:
        """Held, alive, gone; closing twice is harmless."""
        assert len(pins.owner) == 16
        assert list(pins.held()) == []
        pins.pin(5)
        assert list(pins.held()) == [Pin(pins.owner, 5)]
        assert pins.alive(pins.owner)
        pins.close()
        pins.close()
        assert list(pins.held()) == []
        assert not pins.alive(pins.owner)

    def test_a_pin_moves_forward_only(self, pins: Pins) -> None:
        """``advance`` to an older seq is passed over."""
        pins.pin(5)
        pins.advance(9)
        pins.advance(7)
        assert list(pins.held()) == [Pin(pins.owner, 9)]

    def test_what_is_being_folded_is_said_beside_the_pin(self, pins: Pins) -> None:
        """Said, said otherwise, no longer said; it outlives a move of the pin, not the pin."""
        one, other = Reserved(2**47, 0, 9), Reserved(7, 3, 2**40)
        pins.pin(5)
        pins.reserve([one, other])
        assert list(pins.held()) == [Pin(pins.owner, 5, (one, other))]
        pins.advance(6)
        pins.reserve([other])
        assert list(pins.held()) == [Pin(pins.owner, 6, (other,))]
        pins.reserve([])
        assert list(pins.held()) == [Pin(pins.owner, 6)]
        pins.reserve([one])
        pins.close()
        assert list(pins.held()) == []

    def test_a_stranger_is_not_alive(self, pins: Pins) -> None:
        """An owner that nobody has."""
        pins.pin(1)
        assert not pins.alive("0" * 16)
