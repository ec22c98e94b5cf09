"""Defines the records of reset runs: definitions, runs, and one entry for each subscription."""

from __future__ import annotations

from enum import IntEnum

from ..subscription.differences import Difference, DifferenceKind
from ..subscription.records import Who
from ..values import SECOND, Instant, RequestType, Value

GUARD_PERCENT = 10.0
"""The limit of the guard in percent if the definition has no limit."""

GUARD_LEAST = 100
"""The guard makes a run HELD only if at least this number of subscriptions hold an entitlement."""

HELD_AT_MOST = 24 * 3_600 * SECOND
DAYS_OF_ENTRIES = 730
"""The server keeps the entries of a run for this number of days if the settings do not contain
`reset_entries_days`.
"""


def definition_id(number: int) -> str:
    """Returns the id by which callers name the definition; an empty text for 0."""
    return f"D{number:010d}" if number else ""


def run_id(number: int) -> str:
    """Returns the id by which callers name the run; an empty text for 0."""
    return f"U{number:010d}" if number else ""


class DefinitionState(IntEnum):
    EFFECTIVE = 1
    NOT_EFFECTIVE = 2


class RunState(IntEnum):
    HELD = 1
    RUNNING = 2
    COMPLETED = 3
    COMPLETED_WITH_ERRORS = 4
    FAILED = 5
    CANCELLED = 6


class Stage(IntEnum):
    """What a RUNNING run does in each stage: it counts subscriptions for its guard, stores an entry
    for each subscription that it would reset, creates the requests that are needed now, or creates
    the requests that a person approved.
    """

    COUNT = 1
    PLAN = 2
    SEND = 3
    SEND_PLANNED = 4


class EntryOutcome(IntEnum):
    PLANNED = 1
    REQUESTS_CREATED = 2
    SKIPPED = 3
    FAILED = 4
    SUPERSEDED = 5
    CHANGED_SINCE_PREVIEW = 6


class ResetDefinition(Value, frozen=True, kw_only=True):
    """Defines which subscriptions a run resets, how, and when. An empty filter excludes no
    subscription.
    """

    name: str
    provider: str
    created_from: Instant | None = None
    created_to: Instant | None = None
    subscription_types: tuple[str, ...] = ()
    subscriptions: tuple[str, ...] = ()
    difference_kinds: tuple[DifferenceKind, ...] = ()
    services: tuple[str, ...] = ()
    distributors: tuple[str, ...] = ()
    error_codes: tuple[str, ...] = ()
    first: int | None = None
    full: bool = False
    recreate: bool = False
    platform_restored_to: Instant | None = None
    max_switch_off_percent: float | None = None
    subscriptions_per_second: int | None = None
    run_at: Instant | None = None
    cron: str = ""
    time_zone: str = "UTC"

    @property
    def plain(self) -> bool:
        """Tells whether the run examines only subscriptions that are out of sync."""
        return not (self.full or self.recreate or self.platform_restored_to is not None)

    @property
    def narrowed(self) -> bool:
        """Tells whether the run selects subscriptions by their differences."""
        return bool(self.difference_kinds or self.services or self.distributors)

    @property
    def guard_percent(self) -> float:
        """The guard's limit in percent. 0 means that there is no guard."""
        percent = self.max_switch_off_percent
        return GUARD_PERCENT if percent is None else percent


class DefinitionRecord(Value, frozen=True, kw_only=True):
    """The definition of reset runs, as the database stores it.

    `used` is True if a run of this version has begun. Then an update makes a new version. `runs`:
    the number of runs of all versions. `who`: the author of the last change. `submitter`: the
    person or program that submitted the definition; None if the definition is not submitted, or if
    an earlier release stored the submission. `request_id`: the request id of the call that created
    the definition; empty if an earlier release created it.
    """

    id: int
    definition: ResetDefinition
    create_time: Instant
    update_time: Instant
    state: DefinitionState = DefinitionState.EFFECTIVE
    submitted: bool = False
    hold: bool = False
    used: bool = False
    runs: int = 0
    version: int = 1
    etag: int = 1
    next_run_time: Instant | None = None
    who: Who = Who()
    submitter: Who | None = None
    request_id: str = ""


class RunRecord(Value, frozen=True, kw_only=True):
    """A reset run. The run keeps the definition with which it began, although the definition may be
    updated later.

    `hold` is True if the run may create requests only after an approval. `cursor`: the last
    subscription that was examined in this stage. `server`: the process that works on the run.
    `holding`: the number of subscriptions with an entitlement. `losing`: the number of
    subscriptions that would lose an entitlement. The guard compares the two numbers. `request_id`:
    the request id of the call that submitted the run.
    """

    id: int
    definition_id: int
    version: int
    definition: ResetDefinition
    start_time: Instant
    state: RunState = RunState.RUNNING
    stage: Stage = Stage.COUNT
    hold: bool = False
    server: str = ""
    cursor: str = ""
    total: int = 0
    examined: int = 0
    out_of_sync: int = 0
    skipped: int = 0
    failed: int = 0
    requests_created: int = 0
    holding: int = 0
    losing: int = 0
    held_since: Instant | None = None
    approved_by: str = ""
    message: str = ""
    end_time: Instant | None = None
    who: Who = Who()
    request_id: str = ""

    @property
    def open(self) -> bool:
        return self.state in (RunState.HELD, RunState.RUNNING)


class Entry(Value, frozen=True, kw_only=True):
    """The outcome of a run for one subscription. `digest`: the digest of the planned requests."""

    run: int
    subscription: str
    outcome: EntryOutcome
    requests: int = 0
    message: str = ""
    account_number: str = ""
    differences: tuple[Difference, ...] = ()
    types: tuple[RequestType, ...] = ()
    digest: bytes = b""


class Settled(Value, frozen=True):
    """Counts the requests of a run: `completed` and `pending` requests; `rejected` counts all other
    requests, which are rejected, cancelled or expired.
    """

    completed: int = 0
    rejected: int = 0
    pending: int = 0

    @property
    def created(self) -> int:
        return self.completed + self.rejected + self.pending
