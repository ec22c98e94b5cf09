"""Waits until actions are settled."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

from generic_provider import ActionState, Client, SubscriptionAction

from ..desk.command_lines import command
from ..desk.output import say_folded
from .failures import REFUSED

FIRST_WAIT = timedelta(seconds=3)
LONGEST_WAIT = timedelta(seconds=30)
ONLY_THE_WAITING = "Ctrl-C ends only the waiting"


def settled_action(
    client: Client, action: SubscriptionAction, *, on_long_wait: Callable[[], None]
) -> SubscriptionAction:
    """Waits until the action is settled, unless it is scheduled. Calls `on_long_wait` if the action
    is not settled after FIRST_WAIT.

    Returns the action in its new state.
    """
    if action.state == ActionState.EXECUTED:
        action = client.get_action(action.id, wait=FIRST_WAIT)
        if action.state == ActionState.EXECUTED:
            on_long_wait()
    while action.state == ActionState.EXECUTED:
        action = client.get_action(action.id, wait=LONGEST_WAIT)
    return action


def say_waiting(action: SubscriptionAction) -> None:
    requests = f"final states of its requests {' '.join(action.requests)}"
    awaited = requests if action.requests else "earlier actions of the subscription"
    say_folded(f"{action.id} waits for the {awaited}; {ONLY_THE_WAITING}", err=True)


@contextmanager
def continued_action(key: str, *options: str) -> Iterator[None]:
    """If Ctrl-C ends the `with` block, says how to see the action later, and exits with 1."""
    try:
        yield
    except KeyboardInterrupt:
        later = command("action", "get", key, *options)
        say_folded(f"the action continues; to see its result later: {later}", err=True)
        sys.exit(REFUSED)
