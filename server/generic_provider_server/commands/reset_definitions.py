"""Creates, changes and submits definitions of reset runs."""

from __future__ import annotations

from dataclasses import dataclass

from msgspec.structs import replace

from ..domain.archive import restored_too_early
from ..domain.catalogue import Catalogue, catalogue_of, check_effective
from ..domain.refusals import InvalidField, Reason, Refused, not_found
from ..domain.resets.records import (
    DefinitionRecord,
    DefinitionState,
    ResetDefinition,
    RunRecord,
    Stage,
    definition_id,
    run_id,
)
from ..domain.subscription.records import Who
from ..domain.values import Instant, clock_shows
from ..store.write.loaded import Needs
from ..store.write.transaction import Transaction
from .repeats import created_before
from .reset_run_times import next_time
from .reset_runs import archived_since


def needs_of(request_id: str) -> Needs:
    return Needs(request_ids=frozenset({request_id} if request_id else ()))


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateDefinition:
    definition: ResetDefinition
    digest: bytes
    request_id: str = ""
    who: Who = Who()

    def needs(self) -> Needs:
        return needs_of(self.request_id)

    def run(self, transaction: Transaction) -> DefinitionRecord:
        if self.request_id:
            created = created_before(transaction, self.request_id, self.digest)
            if created:
                return definition_of(transaction, int(created))
        catalogue = catalogue_of(transaction.catalogues, self.definition.provider)
        check_contents(catalogue, self.definition, now=transaction.now)
        record = DefinitionRecord(
            id=transaction.take("reset_definition"),
            definition=self.definition,
            create_time=transaction.now,
            update_time=transaction.now,
            who=self.who,
            request_id=self.request_id,
        )
        transaction.resets.put_definition(record)
        if self.request_id:
            transaction.remember(self.request_id, created=str(record.id), digest=self.digest)
        return record


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateDefinition:
    id: int
    definition: ResetDefinition
    etag: int | None
    who: Who = Who()

    def needs(self) -> Needs:
        return Needs()

    def run(self, transaction: Transaction) -> DefinitionRecord:
        former = definition_of(transaction, self.id)
        if self.etag not in (None, former.etag):
            raise Refused(
                Reason.ETAG_MISMATCH,
                f"definition {definition_id(self.id)} was changed meanwhile: read it again",
                reset_run_definition=definition_id(self.id),
                etag=str(former.etag),
            )
        if self.definition == former.definition:
            return former
        catalogue = catalogue_of(transaction.catalogues, self.definition.provider)
        check_contents(catalogue, self.definition, now=transaction.now)
        record = replace(
            former,
            definition=self.definition,
            version=former.version + former.used,
            used=False,
            submitted=False,
            next_run_time=None,
        )
        return _changed(transaction, record, self.who)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteDefinition:
    id: int

    def needs(self) -> Needs:
        return Needs()

    def run(self, transaction: Transaction) -> None:
        name, record = definition_id(self.id), definition_of(transaction, self.id)
        if record.runs:
            raise Refused(
                Reason.RUN_NOT_EDITABLE,
                f"definition {name} has a run, so it cannot be deleted; make it NOT_EFFECTIVE",
                reset_run_definition=name,
            )
        transaction.resets.drop_definition(self.id)
        transaction.forget(record.request_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class SetDefinitionState:
    id: int
    state: DefinitionState
    who: Who = Who()

    def needs(self) -> Needs:
        return Needs()

    def run(self, transaction: Transaction) -> DefinitionRecord:
        former = definition_of(transaction, self.id)
        if former.state is self.state:
            return former
        effective = self.state is DefinitionState.EFFECTIVE and former.submitted
        due = _due(former.definition, now=transaction.now) if effective else None
        if former.definition.run_at is not None and former.used:
            due = None
        return _changed(transaction, replace(former, state=self.state, next_run_time=due), self.who)


@dataclass(frozen=True, slots=True, kw_only=True)
class Submit:
    """Schedules the runs of the definition. If the definition has no schedule, begins a run
    immediately.
    """

    id: int
    digest: bytes
    hold: bool = False
    request_id: str = ""
    who: Who = Who()

    def needs(self) -> Needs:
        return needs_of(self.request_id)

    def run(self, transaction: Transaction) -> tuple[DefinitionRecord, RunRecord | None]:
        former = definition_of(transaction, self.id)
        if self.request_id:
            transaction.load_request_ids([self.request_id])
            created = created_before(transaction, self.request_id, self.digest)
            if created:
                number = int(created)
                return former, transaction.resets.run(number) if number else None
        self._check(transaction, former)
        record = replace(former, submitted=True, hold=self.hold, submitter=self.who)
        run = None
        due = _due(former.definition, now=transaction.now)
        if due is None:
            check_effective(transaction.catalogues, former.definition.provider)
            record, run = begin(transaction, record, who=self.who, request_id=self.request_id)
        record = _changed(transaction, replace(record, next_run_time=due), self.who)
        if self.request_id:
            created = str(run.id if run else 0)
            transaction.remember(self.request_id, created=created, digest=self.digest)
        return record, run

    def _check(self, transaction: Transaction, record: DefinitionRecord) -> None:
        name = definition_id(record.id)
        if record.state is not DefinitionState.EFFECTIVE:
            raise Refused(
                Reason.RUN_NOT_EFFECTIVE,
                f"definition {name} is not effective",
                reset_run_definition=name,
            )
        run = transaction.resets.open_run(record.id)
        if run is not None:
            raise Refused(
                Reason.RUN_IN_PROGRESS,
                f"run {run_id(run.id)} of definition {name} is {run.state.name}",
                reset_run=run_id(run.id),
                state=run.state.name,
            )
        _check_not_archived(transaction, record.definition)


@dataclass(frozen=True, slots=True, kw_only=True)
class BeginDue:
    """Begins a run of the definition if a run is due, and computes when the next run is due."""

    id: int

    def needs(self) -> Needs:
        return Needs()

    def run(self, transaction: Transaction) -> RunRecord | None:
        """Returns the new run. Returns None if no run began, because the definition is not due any
        more, or because its previous run has not ended.
        """
        record = transaction.resets.definition(self.id)
        if record is None or record.next_run_time is None or record.next_run_time > transaction.now:
            return None
        # the time is computed before any change, because `_due` may refuse the command, and a
        # refused command must have changed nothing
        due = _due(replace(record.definition, run_at=None), now=transaction.now)
        run = None
        if transaction.resets.open_run(self.id) is None:
            record, run = begin(transaction, record, who=record.submitter or record.who)
        transaction.resets.put_definition(replace(record, next_run_time=due))
        return run


def begin(
    transaction: Transaction, record: DefinitionRecord, *, who: Who, request_id: str = ""
) -> tuple[DefinitionRecord, RunRecord]:
    definition = record.definition
    counts = definition.guard_percent > 0 and not record.hold
    run = RunRecord(
        id=transaction.take("reset_run"),
        definition_id=record.id,
        version=record.version,
        definition=definition,
        start_time=transaction.now,
        stage=Stage.PLAN if record.hold else Stage.COUNT if counts else Stage.SEND,
        hold=record.hold,
        who=who,
        request_id=request_id,
    )
    transaction.resets.put_run(run)
    return replace(record, used=True, runs=record.runs + 1), run


def check_contents(
    catalogue: Catalogue, definition: ResetDefinition, *, now: Instant, at: str = "definition"
) -> None:
    """Raises InvalidField if the definition names services or distributors that the provider does
    not have, or if `platform_restored_to` is in the future. Only new contents of a definition are
    checked. A stored definition remains valid when the provider loses a service.

    `at`: the field of the call that contains the definition.
    """
    wrong = [
        (f"{at}.{noun}s[{n}]", f"provider {catalogue.code} has no {noun} {code!r}")
        for noun, named, known in (
            ("service", definition.services, catalogue.services),
            ("distributor", definition.distributors, catalogue.distributors),
        )
        for n, code in enumerate(named)
        if code not in known
    ]
    if definition.platform_restored_to is not None and definition.platform_restored_to > now:
        why = f"is in the future; {clock_shows(now)}"
        wrong.append((f"{at}.platform_restored_to", why))
    if wrong:
        raise InvalidField(*wrong)


def definition_of(transaction: Transaction, number: int) -> DefinitionRecord:
    record = transaction.resets.definition(number)
    if record is None:
        raise not_found(Reason.RESET_RUN_DEFINITION_NOT_FOUND, definition_id(number))
    return record


def _due(definition: ResetDefinition, *, now: Instant) -> Instant | None:
    if definition.cron:
        return next_time(definition.cron, definition.time_zone, after=now)
    return definition.run_at


def _check_not_archived(transaction: Transaction, definition: ResetDefinition) -> None:
    """Raises Refused if an archive may contain requests that the run needs."""
    archive = archived_since(transaction, definition)
    if archive is not None:
        raise InvalidField(("platform_restored_to", restored_too_early(archive)))


def _changed(transaction: Transaction, record: DefinitionRecord, who: Who) -> DefinitionRecord:
    record = replace(record, update_time=transaction.now, etag=record.etag + 1, who=who)
    transaction.resets.put_definition(record)
    return record
