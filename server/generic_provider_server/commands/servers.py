"""Records which server processes on a database are alive."""

from __future__ import annotations

from dataclasses import dataclass

from ..store.write.loaded import SEARCHES, Needs
from ..store.write.transaction import Transaction


@dataclass(frozen=True, slots=True, kw_only=True)
class Forget:
    """Removes a server that is silent, unless `sign` is not its last sign of life any more."""

    server: str
    sign: int

    def needs(self) -> Needs:
        return SEARCHES

    def run(self, transaction: Transaction) -> None:
        transaction.forget_server(self.server, sign=self.sign)
