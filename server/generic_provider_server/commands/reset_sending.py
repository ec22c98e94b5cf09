"""Contains the steps of a reset run that create requests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import structlog
from msgspec.structs import replace

from ..domain.platform.image import Request
from ..domain.resets.examine import Finding, examine
from ..domain.resets.records import Entry, EntryOutcome, RunRecord, RunState, Stage, run_id
from ..domain.subscription.aggregate import Aggregate
from ..domain.subscription.differences import Difference
from ..store.write.loaded import Needs
from ..store.write.transaction import Transaction
from .reset_runs import Step, digest_of, ended

log = structlog.get_logger()

OTHER_REQUESTS = "other requests would be needed than were planned"
MOST_NAMED = 5
SKIPPING = frozenset(
    {EntryOutcome.SKIPPED, EntryOutcome.SUPERSEDED, EntryOutcome.CHANGED_SINCE_PREVIEW}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Send(Step):
    """Resets the next subscriptions.

    `last`: true if no subscription follows them. `broken`: those that cannot be read.
    """

    numbers: tuple[str, ...]
    last: bool = False
    broken: frozenset[str] = frozenset()

    def needs(self) -> Needs:
        return Needs(subscriptions=frozenset(self.numbers) - self.broken)

    def run(self, transaction: Transaction) -> RunRecord | None:
        # `current` is called second: it fails the run if requests were archived before this read
        lost = _lost(transaction, self.before, self.numbers)
        sent = self.current(transaction)
        if sent is None:
            return None
        plans = self._plans(transaction, sent)
        entries = []
        for number in self.numbers:
            if is_enough(sent):
                break
            entry = None
            plan = plans.get(number) if plans is not None else None
            if plans is None or plan is not None:
                entry = (
                    _failed(plan or _entry(sent, number))
                    if number in self.broken
                    else _send(transaction, sent, number, plan=plan, lost=lost.get(number, ()))
                )
                entries += [entry] if entry else []
            sent = _counted(sent, number, entry)
        transaction.put_reset_entries(entries)
        if self.last or is_enough(sent):
            errors = RunState.COMPLETED_WITH_ERRORS if sent.failed else RunState.COMPLETED
            sent = ended(sent, errors, now=transaction.now)
        transaction.put_reset_run(sent)
        return sent

    def _plans(self, transaction: Transaction, run: RunRecord) -> dict[str, Entry] | None:
        """Returns the planned entries, or None if the run has no plan."""
        if run.stage is not Stage.SEND_PLANNED:
            return None
        until = self.numbers[-1] if self.numbers else ""
        planned = transaction.planned(run.id, after=run.cursor, until=until)
        return {entry.subscription: entry for entry in planned}


def is_enough(run: RunRecord) -> bool:
    """Tells whether the run is limited to a number of subscriptions and has reached it."""
    first = run.definition.first
    return run.stage is not Stage.SEND_PLANNED and first is not None and run.out_of_sync >= first


def _lost(
    transaction: Transaction, run: RunRecord, numbers: Sequence[str]
) -> dict[str, list[Request]]:
    definition = run.definition
    if definition.platform_restored_to is None:
        return {}
    since = definition.platform_restored_to
    return transaction.accepted_since(definition.provider, since, subscriptions=numbers)


def _send(
    transaction: Transaction,
    run: RunRecord,
    number: str,
    *,
    plan: Entry | None,
    lost: Sequence[Request],
) -> Entry | None:
    """Resets one subscription. Returns None if the run does not concern it."""
    entry = plan or _entry(run, number)
    record = transaction.record(number)
    if record is None:
        return None
    lane = transaction.lane(run.definition.provider, number)
    if run.definition.recreate and lane.is_leased:
        message = f"its requests are on a live lease of adapter {lane.adapter}"
        return replace(entry, outcome=EntryOutcome.SKIPPED, message=message)
    try:
        found = _examined(transaction, run, record.aggregate, lost=lost, described=bool(plan))
        change = found.created(run) if found else None
    except Exception:
        log.exception("reset_failed", subscription=number, run=run_id(run.id))
        return _failed(entry)
    if found is None or change is None:
        return plan and replace(plan, outcome=EntryOutcome.SUPERSEDED)
    if plan and digest_of(found.requests) != plan.digest:
        message = _changes(plan.differences, found.differences)
        return replace(plan, outcome=EntryOutcome.CHANGED_SINCE_PREVIEW, message=message)
    transaction.put(number, change)
    return replace(
        entry,
        outcome=EntryOutcome.REQUESTS_CREATED,
        requests=len(change.created),
        account_number=found.account_number,
    )


def _examined(
    transaction: Transaction,
    run: RunRecord,
    aggregate: Aggregate,
    *,
    lost: Sequence[Request],
    described: bool,
) -> Finding | None:
    return examine(
        aggregate,
        run.definition,
        circumstances=transaction.circumstances(aggregate.desired.number),
        lost=lost,
        described=described,
    )


def _changes(planned: Sequence[Difference], found: Sequence[Difference]) -> str:
    """Returns in words what has changed since the plan."""
    said = [f"new: {each.text}" for each in found if each not in planned]
    said += [f"gone: {each.text}" for each in planned if each not in found]
    if not said:
        return OTHER_REQUESTS
    more = [f"and {len(said) - MOST_NAMED} more"] if len(said) > MOST_NAMED else []
    return f"since the plan: {'; '.join([*said[:MOST_NAMED], *more])}"


def _entry(run: RunRecord, number: str) -> Entry:
    return Entry(run=run.id, subscription=number, outcome=EntryOutcome.SKIPPED)


def _failed(entry: Entry) -> Entry:
    message = "a fault of the service; see the log of the server"
    return replace(entry, outcome=EntryOutcome.FAILED, message=message)


def _counted(run: RunRecord, number: str, entry: Entry | None) -> RunRecord:
    examined = run.examined + 1
    if entry is None:
        return replace(run, cursor=number, examined=examined)
    return replace(
        run,
        cursor=number,
        examined=examined,
        out_of_sync=run.out_of_sync + (run.stage is Stage.SEND),
        skipped=run.skipped + (entry.outcome in SKIPPING),
        failed=run.failed + (entry.outcome is EntryOutcome.FAILED),
        requests_created=run.requests_created + entry.requests,
    )
