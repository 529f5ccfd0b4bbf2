"""The conformance suite of a registry."""

from __future__ import annotations

import itertools
import threading
from typing import Any

import pytest

from sopnb.errors import CommitUnknown, SeqTaken, SopError, Timeout, Trimmed
from sopnb.protocols import Draft, Registry
from sopnb.testing.faulty import FaultyRegistry


def drafts(*texts: str) -> list[Draft]:
    """Return drafts whose ids are made of their texts."""
    return [Draft(text.encode().rjust(8, b"-"), text.encode()) for text in texts]


class RegistrySuite:
    """Subclass it and give a ``registry`` fixture: a new, empty registry for each test."""

    @pytest.fixture
    def registry(self) -> Any:
        """Make a new, empty registry."""
        pytest.fail("a subclass of this suite gives the fixture registry", pytrace=False)

    def add(self, registry: Registry, *texts: str) -> None:
        """Append in a turn."""
        with registry.turn(5):
            registry.append(drafts(*texts), registry.head().seq)

    def test_a_new_registry_is_empty(self, registry: Registry) -> None:
        """Its head is 0."""
        assert registry.head().seq == 0
        assert list(registry.read(0)) == []
        assert list(registry.checkpoints()) == []
        assert len(registry.uuid) == 16

    def test_commits_are_numbered_and_read_back_in_order(self, registry: Registry) -> None:
        """From 1, without a gap; a group in its order."""
        self.add(registry, "a")
        self.add(registry, "b", "c")
        commits = registry.read(0)
        assert [(c.seq, c.payload) for c in commits] == [(1, b"a"), (2, b"b"), (3, b"c")]
        assert [c.seq for c in registry.read(2)] == [3]
        assert [c.id for c in commits] == [d.id for d in drafts("a", "b", "c")]
        assert registry.head().seq == 3
        assert all(x.time <= y.time for x, y in itertools.pairwise(commits))

    def test_commits_are_read_up_to_one(self, registry: Registry) -> None:
        """None that is newer, and all there are if it is not there yet."""
        self.add(registry, "a", "b", "c")
        assert [c.seq for c in registry.read(0, 2)] == [1, 2]
        assert [c.seq for c in registry.read(1, 2)] == [2]
        assert [c.seq for c in registry.read(1, 9)] == [2, 3]
        assert [list(registry.read(after, until)) for after, until in ((0, 0), (2, 2), (2, 1), (3, 9), (9, 9))] == [[]] * 5

    def test_an_append_after_another_head_is_refused_whole(self, registry: Registry) -> None:
        """Too early and too late."""
        self.add(registry, "a")
        for after in (0, 2):
            with registry.turn(5), pytest.raises(SeqTaken) as caught:
                registry.append(drafts("x", "y"), after)
            assert caught.value.head == 1
        assert [c.payload for c in registry.read(0)] == [b"a"]

    def test_of_racing_appends_each_seq_has_one_winner(self, registry: Registry) -> None:
        """Threads append after what they saw, and try again when they lost."""
        won: list[tuple[int, bytes]] = []

        def write(me: int) -> None:
            for i in range(25):
                draft = drafts(f"{me}/{i}")
                while True:
                    after = registry.head().seq
                    try:
                        with registry.turn(30):
                            won.append((registry.append(draft, after)[0].seq, draft[0].payload))
                        break
                    except SeqTaken:
                        continue

        threads = [threading.Thread(target=write, args=(me,)) for me in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(won) == [(c.seq, c.payload) for c in registry.read(0)]
        assert [seq for seq, _ in sorted(won)] == list(range(1, 101))

    def test_the_turn_is_given_up_after_its_limit(self, registry: Registry) -> None:
        """The wait ends with the limit in the error, and the turn is free again after the holder left."""
        caught: list[SopError] = []

        def wait() -> None:
            try:
                with registry.turn(0.05):
                    pass
            except Timeout as error:
                caught.append(error)

        with registry.turn(5):
            thread = threading.Thread(target=wait)
            thread.start()
            thread.join()
        assert len(caught) == 1
        assert "0.05 s" in str(caught[0])
        self.add(registry, "a")

    def test_the_turn_is_free_after_an_error_in_it(self, registry: Registry) -> None:
        """An error inside passes through."""
        with pytest.raises(ZeroDivisionError), registry.turn(5):
            _ = 1 / 0
        self.add(registry, "a")

    def test_who_holds_the_turn_may_take_it_again(self, registry: Registry) -> None:
        """And append several times in it, or nothing."""
        with registry.turn(5):
            with registry.turn(0):
                registry.append(drafts("a"), 0)
            assert list(registry.append([], 1)) == []
            registry.append(drafts("b"), 1)
        assert [c.payload for c in registry.read(0)] == [b"a", b"b"]

    def test_a_payload_comes_back_whole(self, registry: Registry) -> None:
        """Empty, all zeros, and larger than anything that is written at once."""
        payloads = [b"", bytes(5000), b"x" * 3_000_000, b"\0" * 511 + b"y"]
        for after, payload in enumerate(payloads):
            with registry.turn(5):
                registry.append([Draft(b"12345678", payload)], after)
        assert [c.payload for c in registry.read(0)] == payloads
        assert [c.payload for c in registry.read(3)] == payloads[3:]

    def test_checkpoints_come_newest_first(self, registry: Registry) -> None:
        """And can be asked for by a bound."""
        self.add(registry, "a", "b", "c", "d")
        for seq in (2, 4):
            registry.checkpoint(seq, f"state {seq}".encode())
        registry.checkpoint(4, b"state 4")
        assert [(c.seq, c.state) for c in registry.checkpoints()] == [(4, b"state 4"), (2, b"state 2")]
        assert [c.seq for c in registry.checkpoints(3)] == [2]

    def test_a_checkpoint_of_no_commit_is_refused(self, registry: Registry) -> None:
        """Above the head."""
        with pytest.raises(SopError):
            registry.checkpoint(1, b"")

    def test_trimming_forgets_no_more_than_it_may(self, registry: Registry) -> None:
        """What lies after stays; checkpoints to keep stay."""
        self.add(registry, *"abcdef")
        for seq in (2, 3, 4):
            registry.checkpoint(seq, b"")
        registry.trim(4, keep={2})
        assert [c.seq for c in registry.checkpoints()] == [4, 2]
        assert [c.payload for c in registry.read(4)] == [b"e", b"f"]
        try:
            assert [c.seq for c in registry.read(0)] == [1, 2, 3, 4, 5, 6]
        except Trimmed as error:
            assert error.oldest <= 5
        self.add(registry, "g")
        assert registry.head().seq == 7

    def test_trimming_to_the_head_leaves_the_head(self, registry: Registry) -> None:
        """The numbers go on."""
        self.add(registry, "a", "b")
        registry.checkpoint(2, b"")
        registry.trim(2)
        registry.checkpoint(2, b"")
        assert [c.seq for c in registry.checkpoints()] == [2]
        assert registry.head().seq == 2
        self.add(registry, "c")
        assert [c.seq for c in registry.read(2)] == [3]

    def test_the_size_counts_from_the_newest_checkpoint(self, registry: Registry) -> None:
        """It grows with commits and falls with a checkpoint."""
        assert registry.size() == 0
        self.add(registry, "a" * 1000)
        grown = registry.size()
        assert grown >= 1000
        registry.checkpoint(1, b"")
        assert registry.size() < grown

    def test_waiting_ends_with_the_next_commit(self, registry: Registry) -> None:
        """Or with its time."""
        assert not registry.wait(0, 0.01)
        thread = threading.Thread(target=self.add, args=(registry, "a"))
        thread.start()
        assert registry.wait(0, 30)
        thread.join()
        assert registry.wait(0, 0)

    @pytest.mark.parametrize("lose", ["request", "answer"])
    def test_a_lost_answer_is_settled_by_reading_under_the_turn(self, registry: Registry, lose: Any) -> None:
        """The id tells whether ours is there; a no-op at the same seq makes its absence final."""
        faulty = FaultyRegistry(registry)
        self.add(registry, "a")
        faulty.lose = lose
        mine = drafts("b")
        with faulty.turn(5), pytest.raises(CommitUnknown) as caught:
            faulty.append(mine, 1)
        assert caught.value.seq == 2
        with registry.turn(5):
            if registry.head().seq < 2:
                registry.append(drafts("noop"), 1)
            there = [c.id for c in registry.read(1)]
        assert (mine[0].id in there) == (lose == "answer")
        assert len(there) == 1
