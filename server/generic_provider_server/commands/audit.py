"""Writes the entries of the audit trail that are written apart from a change."""

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
    """Stands for a malformed item of a batch, so that it is counted with the other items."""

    # when it is raised, its traceback refers to this command: only the collector frees this cycle
    refused: Refused

    def needs(self) -> Needs:
        return Needs()

    def run(self, _: Transaction) -> NoReturn:
        raise self.refused
