"""Defines the entries of the audit trail."""

from __future__ import annotations

from msgspec.structs import replace

from .values import Instant, Value

DAYS_OF_AUDIT = 730
"""The server keeps audit entries for this number of days if the setting is absent."""


class AuditEntry(Value, frozen=True, kw_only=True):
    """An entry about one call, or about many refused calls of the same kind.

    `time` and `call` together identify the entry. `resource` is the id of the object that the call
    created or changed. `detail` is the kind of an action, the new state, or the reason that the
    caller gave. `code` is a gRPC status code. `done` and `refused` count the items of a batch, or
    the calls of the entry.
    """

    time: Instant
    call: int
    method: str
    caller: str
    roles: tuple[str, ...] = ()
    peer: str = ""
    performed_by: str = ""
    provider: str = ""
    subscription: str = ""
    resource: str = ""
    detail: str = ""
    code: int = 0
    reason: str = ""
    done: int = 0
    refused: int = 0

    @property
    def key(self) -> tuple[int, int]:
        return self.time, self.call

    @property
    def id(self) -> str:
        """The number of the call in the form for callers."""
        return f"{self.call:016x}"

    def plus(self, more: AuditEntry) -> AuditEntry:
        """Returns the entry with the counts of `more` added; `more` is another part of the same
        entry.
        """
        return replace(self, done=self.done + more.done, refused=self.refused + more.refused)
