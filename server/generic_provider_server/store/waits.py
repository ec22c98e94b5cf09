"""How long a process waits for the database and for the other processes."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Waits:
    """All waits in seconds; they follow from the `patience`, after which something silent counts as
    gone. All processes on a database have the same patience, or leases may be in two hands.
    """

    patience: float = 10.0

    @property
    def beat(self) -> float:
        """The pause between two signs of life."""
        return self.patience / 5

    @property
    def fresh(self) -> float:
        """The greatest age of the last sign of life with which leases are given."""
        return self.patience * 2 / 5

    @property
    def grace(self) -> float:
        """The time that others wait after a lease must have run out. It is longer than `fresh`."""
        return self.patience / 2


USUAL = Waits()
