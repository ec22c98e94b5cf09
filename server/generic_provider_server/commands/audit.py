"""Writes entries of the audit trail for calls that changed nothing, and refuses the malformed
actions of a batch.
"""

from __future__ import annotations

from typing import NoReturn

from ..domain.audit import AuditEntry
from ..domain.refusals import Refused
from ..domain.values import Value
from ..store.write.loaded import Needs
from ..store.write.transaction import Transaction


class AddEntries(Value, frozen=True, kw_only=True):
    entries: tuple[AuditEntry, ...]

    def needs(self) -> Needs:
        return Needs()

    def run(self, transaction: Transaction) -> None:
        for entry in self.entries:
            transaction.audit(entry)


class RefuseItem(Value, frozen=True, gc=True):
    """Raises the error of a malformed action of BatchPerformActions. This command takes the place
    of the action, so that the audit entry of the call counts the action too.
    """

    # `gc` is True: the command refers to the error that it raises, and the traceback of the error
    # refers to the command, so only the garbage collector can free the two objects
    refused: Refused

    def needs(self) -> Needs:
        return Needs()

    def run(self, _: Transaction) -> NoReturn:
        raise self.refused
