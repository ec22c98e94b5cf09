"""Contains the decisions about a reset run: an approval, a cancellation, and the end of a held run
that nobody has approved in time.
"""

from __future__ import annotations

from dataclasses import dataclass

from msgspec.structs import replace

from ..domain.catalogue import check_effective
from ..domain.refusals import Reason, Refused, not_found
from ..domain.resets.records import HELD_AT_MOST, RunRecord, RunState, Stage, run_id
from ..domain.subscription.records import Who
from ..domain.values import Instant
from ..store.write.loaded import Needs
from ..store.write.transaction import Transaction
from .reset_runs import also, ended


@dataclass(frozen=True, slots=True, kw_only=True)
class Approve:
    """Lets a held run continue.

    `proven`: true if credentials prove the identity of the caller. A caller with a proven identity
    must not approve a run that the same caller has submitted.
    """

    run_number: int
    reason: str
    who: Who = Who()
    proven: bool = False

    def needs(self) -> Needs:
        return Needs()

    def run(self, transaction: Transaction) -> RunRecord:
        found = _run_of(transaction, self.run_number)
        by = self.who.performed_by or self.who.caller
        proven = f" by caller {self.who.caller}" if self.proven and self.who.caller != by else ""
        said = f"approved{proven}: {self.reason}"
        same_person = found.approved_by == by or not (self.proven or self.who.performed_by)
        if same_person and f"; {said};" in f"; {found.message};":
            transaction.repeated = True
            return found
        too_late = _held_too_long(found, now=transaction.now)
        if found.state is not RunState.HELD or too_late:
            why = f"is {found.state.name}"
            if too_late:
                why = "was HELD for 24 h without an approval, so it is cancelled"
            raise Refused(
                Reason.RUN_NOT_HELD,
                f"run {run_id(found.id)} {why}",
                reset_run=run_id(found.id),
                state=found.state.name,
            )
        if self.proven and self.who.caller == found.who.caller:
            raise Refused(
                Reason.PERMISSION_DENIED,
                f"{self.who.caller} has submitted run {run_id(found.id)}: another caller must "
                "approve it",
                reset_run=run_id(found.id),
                caller=self.who.caller,
            )
        check_effective(transaction.catalogues, found.definition.provider)
        approved = replace(
            found,
            state=RunState.RUNNING,
            stage=Stage.SEND_PLANNED,
            cursor="",
            total=found.out_of_sync,
            examined=0,
            held_since=None,
            approved_by=by,
            message=also(found, said),
        )
        transaction.resets.put_run(approved)
        return approved


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancel:
    run_number: int
    reason: str = ""
    who: Who = Who()

    def needs(self) -> Needs:
        return Needs()

    def run(self, transaction: Transaction) -> RunRecord:
        found = _run_of(transaction, self.run_number)
        if not found.open:
            return found
        by = self.who.performed_by or self.who.caller
        why = f": {self.reason}" if self.reason else ""
        cancelled = ended(
            replace(found, message=also(found, f"cancelled by {by}{why}")),
            RunState.CANCELLED,
            now=transaction.now,
        )
        transaction.resets.put_run(cancelled)
        return cancelled


@dataclass(frozen=True, slots=True, kw_only=True)
class DropHeld:
    """Ends a run that was not approved in time."""

    run_number: int

    def needs(self) -> Needs:
        return Needs()

    def run(self, transaction: Transaction) -> None:
        found = transaction.resets.run(self.run_number)
        if found is not None and _held_too_long(found, now=transaction.now):
            dropped = replace(found, message=also(found, "nobody approved the run within 24 h"))
            transaction.resets.put_run(ended(dropped, RunState.CANCELLED, now=transaction.now))


def _held_too_long(run: RunRecord, *, now: Instant) -> bool:
    return run.held_since is not None and run.held_since <= now - HELD_AT_MOST


def _run_of(transaction: Transaction, number: int) -> RunRecord:
    found = transaction.resets.run(number)
    if found is None:
        raise not_found(Reason.RESET_RUN_NOT_FOUND, run_id(number))
    return found
