"""Tests the messages with which a process notifies the other processes of a commit."""

from __future__ import annotations

from generic_provider_server.store.notices.notice import Notice, notice_in

LONGEST = 8_000
"""A notification of PostgreSQL must have less than this number of bytes."""


def test_no_message_is_too_long_for_a_notification() -> None:
    ready = {f"{n:02}" + "\N{SATELLITE}" * 62: 253_402_300_799_000_000 for n in range(100)}
    messages = list(Notice().messages("server", ready=ready))

    assert max(len(message.encode()) for message in messages) < LONGEST
    told = [notice_in(message, server="another") for message in messages]
    assert {code for notice in told if notice for code in notice.ready} == ready.keys()
