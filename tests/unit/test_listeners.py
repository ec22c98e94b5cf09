"""Tests what listeners are told about the connection to the database."""

from __future__ import annotations

import pytest

from generic_provider_server.store.notices.listeners import Listeners


@pytest.mark.parametrize("first", ["notify_found", "notify_reachable"])
def test_the_database_is_reached_when_both_the_writer_and_the_sign_of_life_reach_it(
    first: str,
) -> None:
    listeners, heard = Listeners(), list[bool]()
    listeners.reached.append(heard.append)
    listeners.notify_lost()
    listeners.notify_unreachable()
    second = {"notify_found": "notify_reachable", "notify_reachable": "notify_found"}[first]
    getattr(listeners, first)()
    assert heard == [False, False]
    getattr(listeners, second)()

    assert heard == [False, False, True]
