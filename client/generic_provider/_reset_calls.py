"""Defines the calls of ResetService."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import uuid4

from generic_provider._calls import Call, Caller, Pages, Watch, chosen
from generic_provider.enums import EntryOutcome, ResetRunDefinitionState, ResetRunState
from generic_provider.v1 import reset_service_pb2 as v1


def reset_subscription(
    caller: Caller,
    subscription: str,
    *,
    provider: str = "",
    full: bool = False,
    recreate: bool = False,
    validate_only: bool = False,
    request_id: str = "",
    performed_by: str = "",
) -> Call[v1.ResetSubscriptionResponse, v1.ResetSubscriptionResponse]:
    """Create the requests that bring the platforms of a subscription to the state of the CRM: they
    add the elements that a platform lacks, and remove elements that it should not hold.

    If a platform is in sync, it gets no request, unless `full` or `recreate` is set. `full`
    sends all elements again, and removes all other elements that the platform may hold. `recreate`
    also creates the account again: use it if the platform has lost the account. Without a provider,
    every effective provider is reset. `validate_only` returns the requests that would be created,
    and changes nothing.
    """
    request = v1.ResetSubscriptionRequest(
        subscription=subscription,
        provider=provider,
        full=full,
        recreate=recreate,
        validate_only=validate_only,
        request_id=request_id or str(uuid4()),
        performed_by=performed_by or caller.performed_by,
    )
    return Call(request, v1.ResetSubscriptionResponse, lambda done: done)


def create_reset_run_definition(
    caller: Caller,
    definition: v1.ResetRunDefinition,
    *,
    request_id: str = "",
    performed_by: str = "",
) -> Call[v1.CreateResetRunDefinitionResponse, v1.ResetRunDefinition]:
    """Create a definition of a reset of many subscriptions. No run begins before the definition is
    submitted.
    """
    request = v1.CreateResetRunDefinitionRequest(
        definition=definition,
        request_id=request_id or str(uuid4()),
        performed_by=performed_by or caller.performed_by,
    )
    return Call(request, v1.CreateResetRunDefinitionResponse, lambda done: done.definition)


def get_reset_run_definition(
    _: Caller, definition: str
) -> Call[v1.GetResetRunDefinitionResponse, v1.ResetRunDefinition]:
    """Get a definition by its id."""
    request = v1.GetResetRunDefinitionRequest(definition=definition)
    return Call(request, v1.GetResetRunDefinitionResponse, lambda found: found.definition)


def list_reset_run_definitions(
    _: Caller,
    *,
    provider: str = "",
    state: ResetRunDefinitionState.ValueType | str | None = None,
    states: Iterable[ResetRunDefinitionState.ValueType | str] = (),
    page_size: int = 0,
) -> Pages[v1.ListResetRunDefinitionsResponse, v1.ResetRunDefinition]:
    """List the definitions that match all filters, newest definitions first."""
    request = v1.ListResetRunDefinitionsRequest(
        provider=provider,
        states=chosen(ResetRunDefinitionState, state, states),
        page_size=page_size,
    )
    return Pages(request, v1.ListResetRunDefinitionsResponse, lambda page: page.definitions)


def update_reset_run_definition(
    caller: Caller, definition: v1.ResetRunDefinition, *, performed_by: str = ""
) -> Call[v1.UpdateResetRunDefinitionResponse, v1.ResetRunDefinition]:
    """Replace all fields of a definition except its state.

    After a change, no run begins until the definition is submitted again. If the `etag` of
    `definition` is set, it must be the current etag; otherwise EtagMismatch is raised.
    """
    request = v1.UpdateResetRunDefinitionRequest(
        definition=definition, performed_by=performed_by or caller.performed_by
    )
    return Call(request, v1.UpdateResetRunDefinitionResponse, lambda done: done.definition)


def delete_reset_run_definition(
    caller: Caller, definition: str, *, performed_by: str = ""
) -> Call[v1.DeleteResetRunDefinitionResponse, None]:
    """Delete a definition that never had a run."""
    request = v1.DeleteResetRunDefinitionRequest(
        definition=definition, performed_by=performed_by or caller.performed_by
    )
    return Call(request, v1.DeleteResetRunDefinitionResponse, lambda _: None)


def set_reset_run_definition_state(
    caller: Caller,
    definition: str,
    *,
    state: ResetRunDefinitionState.ValueType | str,
    performed_by: str = "",
) -> Call[v1.SetResetRunDefinitionStateResponse, v1.ResetRunDefinition]:
    """Make a definition EFFECTIVE or NOT_EFFECTIVE.

    While the definition is NOT_EFFECTIVE, no run of it begins.
    """
    (new_state,) = chosen(ResetRunDefinitionState, state, ())
    request = v1.SetResetRunDefinitionStateRequest(
        definition=definition,
        state=new_state,
        performed_by=performed_by or caller.performed_by,
    )
    return Call(request, v1.SetResetRunDefinitionStateResponse, lambda done: done.definition)


def preview_reset_run(
    _: Caller,
    definition: str | v1.ResetRunDefinition,
    *,
    page_size: int = 0,
    page_token: str = "",
    without_totals: bool = False,
) -> Call[v1.PreviewResetRunResponse, v1.PreviewResetRunResponse]:
    """Get a page of the subscriptions that a run would reset now. The first page contains the
    totals of the run. With `without_totals`, no page contains totals, and the call is faster.

    `definition`: the id of a definition, or a definition as a message, which need not be stored on
    the server.
    """
    request = v1.PreviewResetRunRequest(
        page_size=page_size, page_token=page_token, without_totals=without_totals
    )
    if isinstance(definition, str):
        request.definition = definition
    else:
        request.definition_fields.CopyFrom(definition)
    return Call(request, v1.PreviewResetRunResponse, lambda page: page)


def submit_reset_run_definition(
    caller: Caller,
    definition: str,
    *,
    hold: bool = False,
    request_id: str = "",
    performed_by: str = "",
) -> Call[v1.SubmitResetRunDefinitionResponse, v1.SubmitResetRunDefinitionResponse]:
    """Begin a run of the definition. If the definition has a schedule, activate the schedule
    instead. With `hold`, the runs wait for an approval.
    """
    request = v1.SubmitResetRunDefinitionRequest(
        definition=definition,
        hold=hold,
        request_id=request_id or str(uuid4()),
        performed_by=performed_by or caller.performed_by,
    )
    return Call(request, v1.SubmitResetRunDefinitionResponse, lambda done: done)


def get_reset_run(_: Caller, reset_run: str) -> Call[v1.GetResetRunResponse, v1.ResetRun]:
    """Get a run by its id."""
    request = v1.GetResetRunRequest(reset_run=reset_run)
    return Call(request, v1.GetResetRunResponse, lambda found: found.reset_run)


def list_reset_runs(
    _: Caller,
    *,
    definition: str = "",
    provider: str = "",
    state: ResetRunState.ValueType | str | None = None,
    states: Iterable[ResetRunState.ValueType | str] = (),
    page_size: int = 0,
) -> Pages[v1.ListResetRunsResponse, v1.ResetRun]:
    """List the runs that match all filters, newest runs first."""
    request = v1.ListResetRunsRequest(
        definition=definition,
        provider=provider,
        states=chosen(ResetRunState, state, states),
        page_size=page_size,
    )
    return Pages(request, v1.ListResetRunsResponse, lambda page: page.reset_runs)


def list_reset_run_entries(
    _: Caller,
    reset_run: str,
    *,
    outcome: EntryOutcome.ValueType | str | None = None,
    outcomes: Iterable[EntryOutcome.ValueType | str] = (),
    page_size: int = 0,
) -> Pages[v1.ListResetRunEntriesResponse, v1.ListResetRunEntriesResponse.Entry]:
    """List the entries of a run: the outcome for each subscription, in the order of the
    subscriptions' numbers.
    """
    request = v1.ListResetRunEntriesRequest(
        reset_run=reset_run,
        outcomes=chosen(EntryOutcome, outcome, outcomes),
        page_size=page_size,
    )
    return Pages(request, v1.ListResetRunEntriesResponse, lambda page: page.entries)


def watch_reset_run(_: Caller, reset_run: str) -> Watch[v1.WatchResetRunResponse, v1.ResetRun]:
    """Yield the run immediately, and again after each change, until the run has ended."""
    request = v1.WatchResetRunRequest(reset_run=reset_run)
    return Watch(request, v1.WatchResetRunResponse, lambda message: [message.reset_run])


def approve_reset_run(
    caller: Caller, reset_run: str, *, reason: str, performed_by: str = ""
) -> Call[v1.ApproveResetRunResponse, v1.ResetRun]:
    """Approve a HELD run. The run then creates exactly the requests that its entries show. If a
    subscription needs other requests now, the run creates no request for it, and its entry becomes
    CHANGED_SINCE_PREVIEW.
    """
    request = v1.ApproveResetRunRequest(
        reset_run=reset_run, reason=reason, performed_by=performed_by or caller.performed_by
    )
    return Call(request, v1.ApproveResetRunResponse, lambda done: done.reset_run)


def cancel_reset_run(
    caller: Caller, reset_run: str, *, reason: str = "", performed_by: str = ""
) -> Call[v1.CancelResetRunResponse, v1.ResetRun]:
    """End a run. Requests that it has created stay pending."""
    request = v1.CancelResetRunRequest(
        reset_run=reset_run, reason=reason, performed_by=performed_by or caller.performed_by
    )
    return Call(request, v1.CancelResetRunResponse, lambda done: done.reset_run)
