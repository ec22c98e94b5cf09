"""Tests how many lines a row of a table needs on a narrow terminal."""

from __future__ import annotations

import pytest

from generic_provider_server.desk.tables import heading_and_rows

COLUMNS = "time", "call", "caller", "performed by", "provider", "subscription", "outcome", "about"
TIME = "2026-11-26 10:27:28Z"
PEER = "127.0.0.1:37698"
ROWS = (
    (TIME, "PerformAction", PEER, "mari", "ALUXSAT", "S0000000309", "OK", "A0000000042 TERMINATE"),
    (TIME, "SendResponses", PEER, "", "ALUXSAT", "", "OK (20 done)", ""),
    (TIME, "SubmitResetRunDefinition", PEER, "jaan", "ALUXSAT", "", "ACTION_NOT_ALLOWED", "D01"),
)


@pytest.mark.parametrize(("reason", "most"), [("", 2), ("out of stock " * 6, 4), ("word " * 40, 8)])
def test_an_entry_of_the_audit_trail_takes_two_lines_unless_its_text_is_long(
    reason: str, most: int
) -> None:
    rows = [*ROWS, (*ROWS[0][:-1], f"A0000000042 {reason}".strip())]
    heading, lines = heading_and_rows(COLUMNS, rows, width=80)

    assert [line for line in lines if len(line) > 80] == []
    starts = [n for n, line in enumerate(lines) if line.startswith(TIME)]
    heights = [
        after - before for before, after in zip(starts, [*starts[1:], len(lines)], strict=True)
    ]
    assert (len(heading), heights[:3]) == (2, [2, 2, 2])
    assert heights[-1] <= most
