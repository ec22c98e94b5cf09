"""Checks the fields of an action without looking at the subscription."""

from __future__ import annotations

from ..actions import AddUsage, AnyAction, BecomeSubscriber, Replace
from ..refusals import InvalidField
from ..values import FINAL, TIMED, State


def check_fields(action: AnyAction) -> None:
    """Raises InvalidField if the fields of the action contradict each other, or have values that
    the action never allows.
    """
    match action:
        case BecomeSubscriber(draft=True) if action.existing:
            raise InvalidField(("existing", "a draft is on no platform yet"))
        case AddUsage() if action.end_time <= action.start_time:
            raise InvalidField(("end_time", "must be after start_time"))
        case Replace() if action.state is State.DRAFT or action.state in FINAL:
            raise InvalidField(("state", f"Replace cannot set the state {action.state.name}"))
        case Replace() if (action.until is None) == (action.state in TIMED):
            wrong = "is required" if action.until is None else "is not allowed"
            raise InvalidField(("until", f"{wrong} with state {action.state.name}"))
        case _:
            pass
