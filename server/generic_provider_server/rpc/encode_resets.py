"""Encodes reset runs."""

from __future__ import annotations

from generic_provider.v1 import reset_service_pb2 as api
from generic_provider.v1 import resources_pb2 as pb

from ..domain.resets.examine import Finding
from ..domain.resets.records import (
    DefinitionRecord,
    DefinitionState,
    Entry,
    ResetDefinition,
    RunRecord,
    Settled,
    definition_id,
    run_id,
)
from ..services.surveying import Totals
from .encode import first_differences
from .encode_parts import timestamp

MOST_UNKNOWN = 10
"""The greatest number of unknown subscriptions that the totals of a preview name."""


def definition(record: DefinitionRecord) -> api.ResetRunDefinition:
    shown = _definition(record.definition)
    shown.id = definition_id(record.id)
    shown.state = api.ResetRunDefinitionState.ValueType(record.state)
    shown.submitted = record.submitted
    shown.hold = record.submitted and record.hold
    shown.version = record.version
    shown.etag = str(record.etag)
    shown.performed_by = record.who.performed_by
    shown.caller = record.who.caller
    shown.MergeFrom(
        api.ResetRunDefinition(
            next_run_time=timestamp(record.next_run_time),
            create_time=timestamp(record.create_time),
            update_time=timestamp(record.update_time),
        )
    )
    return shown


def _definition(record: ResetDefinition) -> api.ResetRunDefinition:
    shown = api.ResetRunDefinition(
        name=record.name,
        provider=record.provider,
        created_from=timestamp(record.created_from),
        created_to=timestamp(record.created_to),
        subscription_types=record.subscription_types,
        subscriptions=record.subscriptions,
        difference_kinds=[pb.DifferenceKind.ValueType(kind) for kind in record.difference_kinds],
        services=record.services,
        distributors=record.distributors,
        error_codes=record.error_codes,
        first=record.first,
        full=record.full,
        recreate=record.recreate,
        platform_restored_to=timestamp(record.platform_restored_to),
        max_switch_off_percent=record.max_switch_off_percent,
        subscriptions_per_second=record.subscriptions_per_second,
        run_at=timestamp(record.run_at),
        time_zone=record.time_zone,
    )
    if record.cron:
        shown.cron = record.cron
    return shown


def run(record: RunRecord, settled: Settled) -> api.ResetRun:
    """Returns the message of the run.

    `settled` may count requests that the run created after `record` was read.
    """
    shown = _definition(record.definition)
    shown.id, shown.version = definition_id(record.definition_id), record.version
    shown.submitted, shown.hold = True, record.hold
    shown.state = api.ResetRunDefinitionState.ValueType(DefinitionState.EFFECTIVE)
    return api.ResetRun(
        id=run_id(record.id),
        definition=shown,
        state=api.ResetRunState.ValueType(record.state),
        approved_by=record.approved_by,
        total=record.total,
        examined=record.examined,
        out_of_sync=record.out_of_sync,
        skipped=record.skipped,
        failed=record.failed,
        requests_created=max(record.requests_created, settled.created),
        requests_completed=settled.completed,
        requests_rejected=settled.rejected,
        requests_pending=settled.pending,
        start_time=timestamp(record.start_time),
        end_time=timestamp(record.end_time),
        message=record.message,
        performed_by=record.who.performed_by,
        caller=record.who.caller,
    )


def entry(each: Entry) -> api.ListResetRunEntriesResponse.Entry:
    return api.ListResetRunEntriesResponse.Entry(
        subscription=each.subscription,
        outcome=api.EntryOutcome.ValueType(each.outcome),
        requests_created=each.requests,
        message=each.message,
        differences=first_differences(each.differences),
        request_types=[pb.RequestType.ValueType(kind) for kind in each.types],
        account_number=each.account_number,
    )


def finding(found: Finding) -> api.PreviewResetRunResponse.Entry:
    return api.PreviewResetRunResponse.Entry(
        subscription=found.subscription,
        account_number=found.account_number,
        differences=first_differences(found.differences),
        request_types=[pb.RequestType.ValueType(kind) for kind in found.types],
    )


def totals(found: Totals, definition: ResetDefinition) -> api.PreviewResetRunResponse.Totals:
    return api.PreviewResetRunResponse.Totals(
        subscriptions=found.subscriptions,
        requests=[
            api.PreviewResetRunResponse.TypeCount(type=pb.RequestType.ValueType(kind), count=count)
            for kind, count in sorted(found.requests.items())
        ],
        switch_off_percent=found.switch_off_percent,
        holding=found.holding,
        losing=found.losing,
        held=found.held(definition),
        unknown_subscriptions=len(found.unknown),
        unknown_subscription_numbers=found.unknown[:MOST_UNKNOWN],
    )
