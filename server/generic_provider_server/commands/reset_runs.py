"""Works on reset runs step by step.

Each step examines a limited number of subscriptions, and commits the progress of the run together
with the results.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b

from msgspec.structs import replace

from ..domain.archive import ArchiveRecord, restored_too_early
from ..domain.platform.request import Request
from ..domain.resets.examine import Finding
from ..domain.resets.records import (
    GUARD_LEAST,
    Entry,
    EntryOutcome,
    ResetDefinition,
    RunRecord,
    RunState,
    Stage,
)
from ..domain.values import Instant
from ..store.database.documents import encode
from ..store.write.loaded import Needs
from ..store.write.transaction import Transaction


def digest_of(requests: Sequence[Request]) -> bytes:
    return blake2b(encode(requests), digest_size=16).digest()


def share(losing: int, holding: int) -> float:
    """Returns the percentage that the guard compares with its limit."""
    return 100 * losing / holding if holding else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Take:
    """Makes `server` the process that works on the run, unless another living process works on the
    run.
    """

    run_number: int
    server: str

    def needs(self) -> Needs:
        return Needs()

    def run(self, transaction: Transaction) -> RunRecord | None:
        found = transaction.resets.run(self.run_number)
        if found is None or found.state is not RunState.RUNNING:
            return None
        if found.server == self.server:
            return found
        if found.server and transaction.sign_of(found.server) is not None:
            return None
        taken = replace(found, server=self.server)
        transaction.resets.put_run(taken)
        return taken


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step of a run.

    A step changes nothing if another server works on the run, or if the run has ended. `before`:
    the record of the run as this server has read or stored it last.
    """

    before: RunRecord

    def current(self, transaction: Transaction) -> RunRecord | None:
        """Returns the current record of the run.

        Returns None if another server works on the run, or if the stage or the cursor of the run
        differs from `before`. If the run cannot continue, makes the run FAILED and returns None.
        """
        found = transaction.resets.run(self.before.id)
        if found is None or found.state is not RunState.RUNNING:
            return None
        known = self.before.server, self.before.stage, self.before.cursor
        if (found.server, found.stage, found.cursor) != known:
            return None
        why = _obstacle(transaction, found.definition)
        if why:
            stopped = replace(found, message=also(found, why))
            transaction.resets.put_run(ended(stopped, RunState.FAILED, now=transaction.now))
            return None
        return found


def also(run: RunRecord, text: str) -> str:
    """Adds a text to the message of the run, and returns the new message. The new message still
    contains the reason why the run was held.
    """
    return "; ".join(filter(None, (run.message, text)))


def _obstacle(transaction: Transaction, definition: ResetDefinition) -> str:
    """Returns the reason why a run of the definition cannot continue; empty if it can continue."""
    if not transaction.catalogues[definition.provider].effective:
        return f"provider {definition.provider} is not effective any more"
    archive = archived_since(transaction, definition)
    return restored_too_early(archive) if archive else ""


def archived_since(transaction: Transaction, definition: ResetDefinition) -> ArchiveRecord | None:
    """Returns an archive that may contain requests that a run of the definition needs, or None."""
    since = definition.platform_restored_to
    if since is None:
        return None
    return transaction.archives.settled_after(since, provider=definition.provider)


@dataclass(frozen=True, slots=True, kw_only=True)
class SetTotal(Step):
    total: int

    def needs(self) -> Needs:
        return Needs()

    def run(self, transaction: Transaction) -> RunRecord | None:
        found = self.current(transaction)
        if found is None:
            return None
        counted = replace(found, total=self.total)
        transaction.resets.put_run(counted)
        return counted


@dataclass(frozen=True, slots=True, kw_only=True)
class Count(Step):
    """Adds the findings of examined subscriptions to the counters of the run.

    In the stage PLAN the step also writes the planned entries, and entries of the `broken`
    subscriptions, which cannot be read or examined. `last`: true if the stage ends after these
    subscriptions. `holding`: the number of subscriptions that hold an entitlement.
    """

    findings: tuple[Finding, ...] = ()
    broken: tuple[str, ...] = ()
    cursor: str
    examined: int
    holding: int
    losing: int
    last: bool = False

    def needs(self) -> Needs:
        return Needs()

    def run(self, transaction: Transaction) -> RunRecord | None:
        found = self.current(transaction)
        if found is None:
            return None
        counted = replace(
            found,
            cursor=self.cursor,
            examined=found.examined + self.examined,
            out_of_sync=found.out_of_sync + len(self.findings),
            holding=found.holding + self.holding,
            losing=found.losing + self.losing,
        )
        if found.stage is Stage.PLAN:
            entries = [_planned(found.id, finding) for finding in self.findings]
            entries += [_broken(found.id, number) for number in self.broken]
            transaction.resets.put_entries(entries)
            counted = replace(counted, failed=found.failed + len(self.broken))
        if self.last:
            counted = _decided(counted, now=transaction.now)
        transaction.resets.put_run(counted)
        return counted


def _planned(run: int, finding: Finding) -> Entry:
    return Entry(
        run=run,
        subscription=finding.subscription,
        outcome=EntryOutcome.PLANNED,
        account_number=finding.account_number,
        differences=finding.differences,
        types=finding.types,
        digest=digest_of(finding.requests),
    )


def _broken(run: int, subscription: str) -> Entry:
    return failed(Entry(run=run, subscription=subscription, outcome=EntryOutcome.FAILED))


def failed(entry: Entry) -> Entry:
    message = "a fault of the service; see the log of the server"
    return replace(entry, outcome=EntryOutcome.FAILED, message=message)


def _decided(run: RunRecord, *, now: Instant) -> RunRecord:
    """Decides the next stage of the run after all subscriptions were examined."""
    percent, most = share(run.losing, run.holding), run.definition.guard_percent
    too_many = run.holding >= GUARD_LEAST and 0 < most < percent
    why = (
        f"the run would take an entitlement from {run.losing} of {run.holding} subscriptions that "
        f"hold one, {percent:.1f} %, and {most:g} % are allowed"
    )
    if run.stage is Stage.PLAN:
        message = why if too_many else "its plan needs an approval"
        return replace(run, state=RunState.HELD, held_since=now, server="", message=message)
    again = replace(run, cursor="", examined=0, out_of_sync=0)
    if too_many:
        return replace(again, stage=Stage.PLAN, hold=True, holding=0, losing=0, message=why)
    return replace(again, stage=Stage.SEND)


def ended(run: RunRecord, state: RunState, *, now: Instant) -> RunRecord:
    return replace(run, state=state, end_time=now, held_since=None, server="")
