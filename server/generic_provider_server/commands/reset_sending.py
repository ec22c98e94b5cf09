"""Contains the steps of a reset run that create requests."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass

import structlog
from msgspec.structs import replace

from ..domain.lane import Lane
from ..domain.platform.request import Request
from ..domain.resets.examine import examine, selects
from ..domain.resets.records import Entry, EntryOutcome, RunRecord, RunState, Stage, run_id
from ..domain.subscription.aggregate import Aggregate
from ..domain.subscription.differences import Difference
from ..domain.values import SyncState
from ..store.database.engine import DATABASE_ERRORS
from ..store.write.loaded import Needs
from ..store.write.transaction import Transaction
from .reset_runs import Step, digest_of, ended, failed

log = structlog.get_logger()

OTHER_REQUESTS = "the subscription needs other requests than the planned requests"
MOST_NAMED = 5
LEAST = 10
"""The least number of subscriptions that a step examines, even if other commands wait, so that the
run always makes progress.
"""
WRITTEN = 100
"""The changes are written in portions of this number of subscriptions, so that PostgreSQL executes
the statements of one portion while the process computes the next portion.
"""
SKIPPING = frozenset(
    {EntryOutcome.SKIPPED, EntryOutcome.SUPERSEDED, EntryOutcome.CHANGED_SINCE_PREVIEW}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Send(Step):
    """Resets the next subscriptions. If another command waits, the step ends as soon as it has
    examined LEAST subscriptions, and the next step continues with the others.

    `last`: true if `numbers` contains the last subscriptions of the run. `broken`: subscriptions
    that cannot be read.
    """

    numbers: tuple[str, ...]
    last: bool = False
    broken: frozenset[str] = frozenset()

    def needs(self) -> Needs:
        return Needs(subscriptions=frozenset(self.numbers) - self.broken)

    def run(self, transaction: Transaction) -> RunRecord | None:
        # The requests that the restored platform has lost are read before the call of `current`:
        # if such requests were archived before they were read, `current` ends the run as FAILED.
        lost = _lost(transaction, self.before, self.numbers)
        run = self.current(transaction)
        if run is None:
            return None
        begun, most = self._begun(transaction, run), _left(run)
        entries: list[Entry] = []
        examined = 0
        for number in self.numbers:
            if len(entries) >= most or (examined >= LEAST and transaction.others_wait()):
                break
            examined += 1
            entry = begun.get(number)
            if entry and number in self.broken:
                entries.append(failed(entry))
            elif entry and (sent := _send(transaction, run, entry, lost=lost.get(number, ()))):
                entries.append(sent)
            if examined % WRITTEN == 0:
                transaction.flush()
        transaction.resets.put_entries(entries, planned=run.stage is Stage.SEND_PLANNED)
        run = _counted(run, self.numbers[:examined], entries)
        finished = self.last and examined == len(self.numbers)
        if finished or len(entries) >= most:
            state = RunState.COMPLETED_WITH_ERRORS if run.failed else RunState.COMPLETED
            run = ended(run, state, now=transaction.now)
        transaction.resets.put_run(run)
        return run

    def _begun(self, transaction: Transaction, run: RunRecord) -> dict[str, Entry]:
        """Returns entries by subscription: the entries of the run's plan, or new entries if the run
        has no plan.
        """
        if run.stage is Stage.SEND_PLANNED:
            until = self.numbers[-1] if self.numbers else ""
            planned = transaction.resets.planned(run.id, after=run.cursor, until=until)
            return {entry.subscription: entry for entry in planned}
        skipped = EntryOutcome.SKIPPED
        return {
            each: Entry(run=run.id, subscription=each, outcome=skipped) for each in self.numbers
        }


def _left(run: RunRecord) -> int:
    """Returns the number of entries that the run may still create. The field `first` of the
    definition may limit this number.
    """
    first = run.definition.first
    if run.stage is Stage.SEND_PLANNED or first is None:
        return sys.maxsize
    return first - run.out_of_sync


def _lost(
    transaction: Transaction, run: RunRecord, numbers: Sequence[str]
) -> dict[str, list[Request]]:
    definition = run.definition
    if definition.platform_restored_to is None:
        return {}
    since = definition.platform_restored_to
    transaction.flush()
    return transaction.resets.accepted_since(definition.provider, since, subscriptions=numbers)


def _send(
    transaction: Transaction, run: RunRecord, entry: Entry, *, lost: Sequence[Request]
) -> Entry | None:
    """Resets one subscription. Returns None if the run gets no entry for the subscription."""
    number, planned = entry.subscription, entry.outcome is EntryOutcome.PLANNED
    record = transaction.record(number)
    if record is None:
        return None
    circumstances, definition = transaction.circumstances(number), run.definition
    lane = transaction.lane(definition.provider, number)
    try:
        if definition.recreate and lane.is_leased:
            shown = planned or selects(definition, record.aggregate, circumstances=circumstances)
            return _leased(entry, lane) if shown else None
        found = examine(
            record.aggregate,
            definition,
            circumstances=circumstances,
            lost=lost,
            described=planned,
        )
        change = found.created(run) if found else None
    except DATABASE_ERRORS:
        raise
    except Exception:
        log.exception("reset_failed", subscription=number, run=run_id(run.id))
        return failed(entry)
    if found is None or change is None:
        return _nothing_to_send(entry, record.aggregate, run) if planned else None
    if planned and digest_of(found.requests) != entry.digest:
        message = _changes(entry.differences, found.differences)
        return replace(entry, outcome=EntryOutcome.CHANGED_SINCE_PREVIEW, message=message)
    transaction.put(number, change)
    return replace(
        entry,
        outcome=EntryOutcome.REQUESTS_CREATED,
        requests=len(change.created),
        account_number=found.account_number,
    )


def _nothing_to_send(entry: Entry, aggregate: Aggregate, run: RunRecord) -> Entry:
    """Returns the entry of a planned subscription for which the run creates no requests now,
    because the subscription needs no requests any more, or because the filters of the run do not
    select the subscription any more.
    """
    link = aggregate.link(run.definition.provider)
    if link is not None and link.sync_state is SyncState.OUT_OF_SYNC:
        message = "the filters of the run do not find the subscription any more"
        return replace(entry, outcome=EntryOutcome.CHANGED_SINCE_PREVIEW, message=message)
    return replace(entry, outcome=EntryOutcome.SUPERSEDED)


def _changes(planned: Sequence[Difference], found: Sequence[Difference]) -> str:
    """Describes the changes since the plan was made."""
    said = [f"new: {each.text}" for each in found if each not in planned]
    said += [f"gone: {each.text}" for each in planned if each not in found]
    if not said:
        return OTHER_REQUESTS
    more = [f"and {len(said) - MOST_NAMED} more"] if len(said) > MOST_NAMED else []
    return f"since the plan: {'; '.join([*said[:MOST_NAMED], *more])}"


def _leased(entry: Entry, lane: Lane) -> Entry:
    message = f"requests of the subscription are on a live lease of adapter {lane.adapter}"
    return replace(entry, outcome=EntryOutcome.SKIPPED, message=message)


def _counted(run: RunRecord, examined: Sequence[str], entries: Sequence[Entry]) -> RunRecord:
    outcomes = [entry.outcome for entry in entries]
    return replace(
        run,
        cursor=examined[-1] if examined else run.cursor,
        examined=run.examined + len(examined),
        out_of_sync=run.out_of_sync + (len(entries) if run.stage is Stage.SEND else 0),
        skipped=run.skipped + sum(outcome in SKIPPING for outcome in outcomes),
        failed=run.failed + outcomes.count(EntryOutcome.FAILED),
        requests_created=run.requests_created + sum(entry.requests for entry in entries),
    )
