"""Defines the entries of the audit trail."""

from __future__ import annotations

from msgspec.structs import replace

from .values import Instant, Value

DAYS_OF_AUDIT = 730
"""The server keeps audit entries for this number of days if the setting is absent."""


class AuditEntry(Value, frozen=True, kw_only=True):
    """An entry about one call, or about many calls of the same kind by the same caller.

    `time` and `call` together identify the entry. `call` is a random number; in an entry about many
    calls, it is a digest of what these calls have in common. `resource` is the id of the object
    that the call created or changed. For a call that performs actions, `detail` is the kind of the
    actions; for any other call, it is the state or status that the caller asked for, and the
    caller's reason, as far as the call has them. `code` is a gRPC status code. If the entry is
    about one call, `done` and `refused` count the items of the call; otherwise they count the
    calls.
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
        """The number of the call as callers see it."""
        return f"{self.call:016x}"

    def plus(self, more: AuditEntry) -> AuditEntry:
        """Returns this entry with the counts of `more` added. `more` is a later part of the same
        entry.
        """
        return replace(self, done=self.done + more.done, refused=self.refused + more.refused)
