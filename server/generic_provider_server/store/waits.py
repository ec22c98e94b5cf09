"""Defines how long a process waits for the database and for other processes."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Waits:
    """All waits, in seconds. All values follow from `patience`. A process that has been silent for
    longer than `patience` counts as dead.

    All processes on a database must have the same patience. With different values, two adapters
    could have live leases on the same requests.
    """

    patience: float = 10.0

    @property
    def beat(self) -> float:
        """The pause between two signs of life."""
        return self.patience / 5

    @property
    def fresh(self) -> float:
        """The greatest age of the last sign of life at which this process gives leases."""
        return self.patience * 2 / 5

    @property
    def grace(self) -> float:
        """Other processes end a lease of a silent process when the silence has lasted for the
        duration of the lease plus this time. After this silence the lease has run out, because the
        silent process has given its last lease at most `fresh` seconds after its last sign of life,
        and `fresh` is less than `grace`.
        """
        return self.patience / 2

    @property
    def lock(self) -> float:
        """The longest time for which a group of commands waits for a lock of another session."""
        return self.patience / 10

    @property
    def blocked(self) -> float:
        """The longest time for which the writer tries a command that needs a locked row. This time
        begins when the command is queued.
        """
        return self.patience / 2

    @property
    def silent(self) -> float:
        """The parent process kills a process of `--workers` that has sent nothing to the parent
        process for this time.
        """
        return self.patience * 2


USUAL = Waits()
