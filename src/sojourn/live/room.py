"""Bytes that clients have sent and that nobody has taken yet: bounded over all of them, and fair."""

from typing import Protocol


class Holder(Protocol):
    """Who receives something from a client."""

    def evict(self) -> None:
        """Let go of what is held, and of the client."""


class Room:
    """Room for *most* bytes. When it gets narrow, who holds most has to go: a client that sends little stays."""

    def __init__(self, most: int) -> None:
        self.most, self.total = most, 0
        self._sizes: dict[Holder, int] = {}

    def hold(self, holder: Holder, size: int) -> None:
        """*holder* holds so many bytes from now on; 0: nothing any more."""
        self.total += size - self._sizes.get(holder, 0)
        if size:
            self._sizes[holder] = size
        else:
            self._sizes.pop(holder, None)
        while self.total > self.most:
            largest = max(self._sizes, key=self._sizes.__getitem__)
            self.total -= self._sizes.pop(largest)
            largest.evict()
