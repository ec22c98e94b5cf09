"""Defines the entries of the audit trail."""

from __future__ import annotations

from msgspec.structs import replace

from .values import Instant, Value

DAYS_OF_AUDIT = 730
"""The server keeps audit entries for this number of days if the settings do not contain
`audit_days`.
"""


class AuditEntry(Value, frozen=True, kw_only=True):
    """An entry about one call, or about many calls that are counted together.

    `time` and `call` together identify the entry. `call` is a random number; in an entry about many
    calls, it is a digest of the fields that these calls have in common. `resource` is the id of the
    object that the call created or changed. For a call that performs actions, `detail` is the kind
    of the actions; for any other call, `detail` contains the state or status that the caller asked
    for, and the caller's reason, if the call has such fields. `code` is a gRPC status code. In an
    entry about one call, `done` and `refused` count the items of the call, for example the answers
    in SendResponses; in an entry about many calls, they count the calls.
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
        """The id that callers see: `call` as 16 hexadecimal digits."""
        return f"{self.call:016x}"

    def plus(self, more: AuditEntry) -> AuditEntry:
        """Returns this entry with the counts of `more` added. `more` has the same key, and counts
        later calls, or later items of the same call.
        """
        return replace(self, done=self.done + more.done, refused=self.refused + more.refused)
