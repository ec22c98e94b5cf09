"""Removes the rows of server processes that are not alive any more."""

from __future__ import annotations

from ..domain.values import Value
from ..store.write.loaded import SEARCHES, Needs
from ..store.write.transaction import Transaction


class Forget(Value, frozen=True, kw_only=True):
    """Removes the row of a silent server, unless the server has written a newer sign of life than
    `sign`.
    """

    server: str
    sign: int

    def needs(self) -> Needs:
        return SEARCHES

    def run(self, transaction: Transaction) -> None:
        transaction.forget_server(self.server, sign=self.sign)
