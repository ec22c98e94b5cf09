"""Records which server processes on a database are alive."""

from __future__ import annotations

from dataclasses import dataclass

from ..domain.values import SECOND
from ..store.write.loaded import SEARCHES, Needs
from ..store.write.transaction import Transaction

SILENCE = 10 * SECOND
"""A process that has been silent for longer counts as dead, and its leases end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Beat:
    server: str
    document: bytes

    def needs(self) -> Needs:
        return SEARCHES

    def run(self, transaction: Transaction) -> list[str]:
        """Returns the servers that have been silent for too long."""
        transaction.put_server(self.server, self.document)
        return transaction.unseen_servers(since=transaction.now - SILENCE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Forget:
    """Removes a server that has ended and has no leases any more."""

    server: str

    def needs(self) -> Needs:
        return SEARCHES

    def run(self, transaction: Transaction) -> None:
        transaction.drop_server(self.server)
