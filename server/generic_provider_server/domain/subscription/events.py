"""Lists the events of a change of a subscription."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import IntEnum

import msgspec

from ..values import RequestState, SyncState
from .aggregate import Aggregate
from .transition import ActionChange, Finished, Transition
from .undone import Undone

DAYS_OF_EVENTS = 7
"""The server keeps events for this number of days if the settings do not contain `event_days`."""


class EventKind(IntEnum):
    ACTION_EXECUTED = 1
    ACTION_SETTLED = 2
    REQUEST_CREATED = 3
    REQUEST_SETTLED = 4
    SUBSCRIPTION_ROLLED_BACK = 5
    SYNC_STATE_CHANGED = 6
    RESET_RUN_HELD = 7
    RESET_RUN_FINISHED = 8
    PROVIDER_STATE_CHANGED = 9


class Event(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """An event as it is stored.

    `kind`: an EventKind, or a number that a newer version has written. `number`: the number of the
    action, request or reset run; for a changed sync state or provider state, the new state.
    `providers`: the providers that the event concerns; for an action, all providers of its
    subscription. `former`: the former sync state, or 0 for a new link. Three fields are only set
    for a rollback: `request`, the rejected request; `dependents`, the later actions that were
    rejected too; and `taken_back`, the parts of the action that were taken back.
    """

    kind: int
    number: int
    subscription: str = ""
    providers: tuple[str, ...] = ()
    reference: str = ""
    former: int = 0
    request: int = 0
    dependents: tuple[int, ...] = ()
    taken_back: tuple[Undone, ...] = ()


def events_of(before: Aggregate | None, transition: Transition) -> list[Event]:
    """Returns the events of a change. The event of a cause precedes the events of its effects.

    `before`: the subscription before the change, or None if the change creates the subscription.
    """
    aggregate, changes = transition.aggregate, transition.actions
    subscription = aggregate.desired.number
    known: dict[str, SyncState] = {}
    linked: list[str] = []
    references: dict[int, str] = {}
    events: list[Event] = []
    settled: list[Event] = []
    synchronised: list[Event] = []
    for link in before.links if before else ():
        known[link.provider] = link.sync_state
    for link in aggregate.links:
        linked.append(link.provider)
        state, old = link.sync_state, known.get(link.provider, 0)
        if state != old:
            kind, at = EventKind.SYNC_STATE_CHANGED, (link.provider,)
            synchronised.append(Event(kind, int(state), subscription, at, former=int(old)))
    for action in aggregate.performed:
        references[action.id] = action.reference
    for change in changes:
        performed = change.performed
        place = performed.id, subscription, tuple(linked), performed.reference
        references[performed.id] = performed.reference
        if change.former is None:
            events.append(Event(EventKind.ACTION_EXECUTED, *place))
        if change.settled:
            settled.append(Event(EventKind.ACTION_SETTLED, *place))
    for finished in transition.finished:
        pending, at = finished.pending, (finished.provider,)
        reference = references.get(pending.action, "")
        kind = EventKind.REQUEST_SETTLED
        events.append(Event(kind, pending.number, subscription, at, reference))
        if finished.state is RequestState.REJECTED:
            events += _rollback(finished, changes, subscription=subscription)
    for provider, pending in transition.created:
        kind, reference = EventKind.REQUEST_CREATED, references.get(pending.action, "")
        events.append(Event(kind, pending.number, subscription, (provider,), reference))
    return [*events, *settled, *synchronised]


def _rollback(
    finished: Finished, changes: Iterable[ActionChange], *, subscription: str
) -> Iterator[Event]:
    """Yields the event of the rollback if the rejected request has caused a rollback."""
    cause = finished.pending.action
    for change in changes:
        if change.performed.id == cause and change.taken_back is not None:
            yield Event(
                EventKind.SUBSCRIPTION_ROLLED_BACK,
                cause,
                subscription,
                (finished.provider,),
                change.performed.reference,
                request=finished.pending.number,
                dependents=_dependents(cause, changes),
                taken_back=change.taken_back,
            )


def _dependents(cause: int, changes: Iterable[ActionChange]) -> tuple[int, ...]:
    """Returns the actions that were rejected because the action `cause` was taken back."""
    undone = [c for c in changes if c.performed.undone and not (c.former and c.former.undone)]
    return tuple([change.performed.id for change in undone if change.performed.id != cause])
