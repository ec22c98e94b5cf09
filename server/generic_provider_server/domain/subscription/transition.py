"""Defines the inputs of a change of an aggregate, and its results."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Set as AbstractSet

from ..catalogue import Catalogues
from ..values import Instant, RequestState, Value
from .aggregate import Aggregate
from .pending_requests import Pending
from .records import ActionState
from .undone import Undone
from .unsettled_actions import UnsettledAction


class Circumstances(Value, frozen=True, kw_only=True):
    """The inputs of a change, besides the aggregate.

    `leased(provider)` returns the numbers of the requests that a live lease at the provider covers.
    `next_numbers(count)` reserves consecutive request numbers, and returns the first.
    """

    now: Instant
    catalogues: Catalogues
    next_numbers: Callable[[int], int]
    leased: Callable[[str], AbstractSet[int]] = lambda _: frozenset()


class Finished(Value, frozen=True, kw_only=True):
    """A request that reached its final state."""

    provider: str
    pending: Pending
    state: RequestState
    error_code: str = ""
    error_description: str = ""
    reference_number: str = ""


class ActionChange(Value, frozen=True, kw_only=True):
    """An action that is new, changed or settled.

    `former`: the action before the change; None if the action is new. `taken_back` lists the parts
    that were taken back; None if the list did not change.
    """

    performed: UnsettledAction
    former: UnsettledAction | None
    settled: bool
    taken_back: tuple[Undone, ...] | None = None

    @property
    def state(self) -> ActionState:
        """The state of the action after the change.

        An action is REJECTED as soon as the whole action was taken back, even before the action is
        settled. All other results are known only when the action is settled.
        """
        if self.performed.undone:
            return ActionState.REJECTED
        if not self.settled:
            return ActionState.EXECUTED
        return ActionState.PARTLY_REJECTED if self.performed.taken_back else ActionState.SETTLED


class Transition(Value, frozen=True, kw_only=True):
    """The result of a change: the new aggregate, with the requests and actions that the store must
    write.

    `left_out`: providers that an action concerns, but that get no requests because they are not
    effective.
    """

    aggregate: Aggregate
    created: tuple[tuple[str, Pending], ...] = ()
    finished: tuple[Finished, ...] = ()
    actions: tuple[ActionChange, ...] = ()
    left_out: tuple[str, ...] = ()
