"""Defines the calls of SubscriptionService."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from uuid import uuid4

from generic_provider import actions
from generic_provider._arguments import plain
from generic_provider._calls import Call, Caller, Pages, Watch, chosen, held_for
from generic_provider._failures import error_of_item
from generic_provider._values import instant, span
from generic_provider.enums import (
    ActionKind,
    ActionState,
    EventKind,
    Priority,
    SubscriptionState,
    SyncState,
)
from generic_provider.errors import ProvisioningError
from generic_provider.v1 import subscription_service_pb2 as v1
from generic_provider.v1.resources_pb2 import Subscription

EVENTS_IN_BATCH = 100
"""The greatest number of events that a server sends in one message."""


def perform(
    caller: Caller,
    action: actions.Action,
    *,
    subscription: str = "",
    request_id: str = "",
    reference: str = "",
    performed_by: str = "",
    expected_revision: int | None = None,
    priority: Priority.ValueType | str | None = None,
    schedule_time: datetime | None = None,
    validate_only: bool = False,
) -> Call[v1.PerformActionResponse, v1.PerformActionResponse]:
    """Perform one action. With `validate_only`, return a preview of the result, and change nothing.

    With a `schedule_time` in the future, the service performs the action at that time; a
    `schedule_time` in the past has no effect: the action is performed now. The default priority is
    LIVE; for a scheduled action it is BULK. A repeat with the same `request_id` changes nothing and
    returns the action in its current state.
    """
    request = actions.request(
        action,
        subscription=subscription,
        request_id=request_id,
        reference=reference,
        performed_by=performed_by or caller.performed_by,
        expected_revision=expected_revision,
        priority=priority,
        schedule_time=schedule_time,
        validate_only=validate_only,
    )
    return Call(request, v1.PerformActionResponse, lambda done: done)


class Results(list[v1.SubscriptionAction | ProvisioningError]):
    """The results of a batch, in the order of its actions: the action, or the error if the action
    was refused.
    """

    def __init__(self, results: Iterable[v1.BatchPerformActionsResponse.Result]) -> None:
        done = list(results)
        super().__init__(
            each.action if each.HasField("action") else error_of_item(each.error) for each in done
        )
        self.repeated = [each.repeated for each in done]
        """For each result, True if an earlier call performed the action."""


def batch_perform(
    caller: Caller, requests: Iterable[v1.PerformActionRequest]
) -> Call[v1.BatchPerformActionsResponse, Results]:
    """Perform up to 1000 actions. Each action is a message that `actions.request` has returned. Get
    a list with one result for each action, in the order of the actions: the SubscriptionAction, or,
    if the action was refused, a ProvisioningError.

    A refusal of an action is not raised, and does not affect the other actions. If the whole call
    fails, a ProvisioningError is raised.
    """
    asked = list(requests)
    for each in asked:
        if not isinstance(each, v1.PerformActionRequest):
            raise TypeError(
                f"batch_perform takes requests of actions.request(), not {type(each).__name__}"
            )
    batch = v1.BatchPerformActionsRequest(actions=asked)
    for each in batch.actions:
        each.performed_by = each.performed_by or caller.performed_by
        each.request_id = each.request_id or str(uuid4())
    return Call(batch, v1.BatchPerformActionsResponse, lambda done: Results(done.results))


def get_action(
    _: Caller, action: str = "", *, request_id: str = "", wait: timedelta | None = None
) -> Call[v1.GetActionResponse, v1.SubscriptionAction]:
    """Get an action by its id, or by the `request_id` of the call that created it.

    Wait up to `wait` (at most 30 s) until the action is settled. Raises ActionNotFound if there is
    no such action.
    """
    if bool(action) == bool(request_id):
        raise ValueError("get_action takes either an action's id or a request_id")
    key = {"action": action} if action else {"request_id": request_id}
    request = v1.GetActionRequest(**key, wait=span("wait", wait))
    longer = held_for(wait)
    return Call(request, v1.GetActionResponse, lambda found: found.action, longer)


def cancel_scheduled_action(
    caller: Caller, action: str, *, performed_by: str = ""
) -> Call[v1.CancelScheduledActionResponse, v1.SubscriptionAction]:
    """Cancel a scheduled action. A repeat changes nothing. Raises ActionNotScheduled if the action
    was performed already.
    """
    request = v1.CancelScheduledActionRequest(
        action=action, performed_by=performed_by or caller.performed_by
    )
    return Call(request, v1.CancelScheduledActionResponse, lambda done: done.action)


def get_subscription(
    _: Caller, subscription: str, *, include_former: bool = False
) -> Call[v1.GetSubscriptionResponse, Subscription]:
    """Get a subscription with its differences, and with the confirmed image of each platform.

    `include_former` adds the last 100 services that were swapped or removed.
    """
    return Call(
        v1.GetSubscriptionRequest(subscription=subscription, include_former=include_former),
        v1.GetSubscriptionResponse,
        lambda found: found.subscription,
    )


def list_subscriptions(
    _: Caller,
    *,
    provider: str = "",
    type: str = "",  # noqa: A002 - the protos define this name
    state: SubscriptionState.ValueType | str | None = None,
    states: Iterable[SubscriptionState.ValueType | str] = (),
    sync_state: SyncState.ValueType | str | None = None,
    sync_states: Iterable[SyncState.ValueType | str] = (),
    created_from: datetime | None = None,
    created_to: datetime | None = None,
    item_serial: str = "",
    account_number: str = "",
    holder_number: str = "",
    page_size: int = 0,
) -> Pages[v1.ListSubscriptionsResponse, Subscription]:
    """List the subscriptions that match all filters, in the order of their numbers.

    The returned subscriptions contain no differences and no confirmed images.
    """
    request = v1.ListSubscriptionsRequest(
        provider=provider,
        type=type,
        states=chosen(SubscriptionState, state, states),
        sync_states=chosen(SyncState, sync_state, sync_states),
        created_from=instant("created_from", created_from),
        created_to=instant("created_to", created_to),
        item_serial=item_serial,
        account_number=account_number,
        holder_number=holder_number,
        page_size=page_size,
    )
    return Pages(request, v1.ListSubscriptionsResponse, lambda page: page.subscriptions)


def list_actions(
    _: Caller,
    *,
    subscription: str = "",
    reference: str = "",
    kind: ActionKind.ValueType | str | None = None,
    kinds: Iterable[ActionKind.ValueType | str] = (),
    state: ActionState.ValueType | str | None = None,
    states: Iterable[ActionState.ValueType | str] = (),
    performed_by: str = "",
    created_from: datetime | None = None,
    created_to: datetime | None = None,
    page_size: int = 0,
) -> Pages[v1.ListActionsResponse, v1.SubscriptionAction]:
    """List the actions that match all filters, newest actions first."""
    request = v1.ListActionsRequest(
        subscription=subscription,
        reference=reference,
        kinds=chosen(ActionKind, kind, kinds),
        states=chosen(ActionState, state, states),
        performed_by=performed_by,
        created_from=instant("created_from", created_from),
        created_to=instant("created_to", created_to),
        page_size=page_size,
    )
    return Pages(request, v1.ListActionsResponse, lambda page: page.actions)


def watch_events(
    _: Caller,
    *,
    start_after: str = "",
    from_beginning: bool = False,
    provider: str = "",
    subscription: str = "",
    kind: EventKind.ValueType | str | None = None,
    kinds: Iterable[EventKind.ValueType | str] = (),
    on_heartbeat: Callable[[str], object] = bool,
) -> Watch[v1.WatchEventsResponse, v1.Event]:
    """Yield the events, each event once and in order.

    `event.WhichOneof("change")` is the kind of an event in lower case, for example
    `subscription_rolled_back`. The field with this name contains what changed.

    The iterator reconnects and resumes by itself. The iterator begins after the event with the
    cursor `start_after`. Without `start_after`, it begins with the oldest stored event if
    `from_beginning` is set, otherwise with the next new event. Store the cursor of each event that
    you have handled, best in the same transaction as its effect; after a restart, begin after this
    cursor.

    `on_heartbeat` is called with the cursor of each heartbeat. This cursor is later than all events
    that the filters have excluded so far. Store this cursor too if events are rare: the server
    keeps events for a few days only, and refuses older cursors.
    """
    plain(on_heartbeat)
    request = v1.WatchEventsRequest(
        provider=provider,
        subscription=subscription,
        kinds=chosen(EventKind, kind, kinds),
        max_batch_size=EVENTS_IN_BATCH,
    )
    if start_after:
        request.start_after = start_after
    elif from_beginning:
        request.from_beginning = True

    def read(message: v1.WatchEventsResponse) -> Iterable[v1.Event]:
        if message.HasField("heartbeat"):
            request.start_after = message.heartbeat.cursor
            on_heartbeat(message.heartbeat.cursor)
        # older servers send each event alone
        events = [message.event] if message.HasField("event") else message.batch.events
        for event in events:
            request.start_after = event.cursor
            yield event

    return Watch(request, v1.WatchEventsResponse, read, lasting=True)
