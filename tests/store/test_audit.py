"""Tests the entries of the audit trail in the store: how they are written, found, removed and
archived.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from msgspec.structs import replace
from structlog.testing import capture_logs

from generic_provider_server.commands.audit import AddEntries
from generic_provider_server.commands.cleaning import MOST_DROPPED
from generic_provider_server.domain.audit import DAYS_OF_AUDIT, AuditEntry
from generic_provider_server.domain.refusals import Refused, unavailable
from generic_provider_server.domain.values import Instant
from generic_provider_server.services.auditing import MINUTE, MOST_ALONE, MOST_CALLERS, Auditing
from generic_provider_server.store.archives.file import ArchiveFile
from generic_provider_server.store.archives.lines import AuditLine
from generic_provider_server.store.read import base
from generic_provider_server.store.read.audit import AuditFilter
from generic_provider_server.store.write.command import Asked
from support.archives import DAY, Archivist
from support.bench import Bench, performing
from support.examples import ADD_NEWS, ADD_SPORT, viewer


@dataclass(frozen=True, slots=True)
class Call:
    """A call whose entry counts its commands."""

    bare: AuditEntry

    def entry(self, asked: Sequence[Asked[Any]]) -> AuditEntry:
        refused = sum(each.error is not None for each in asked)
        return replace(self.bare, done=len(asked) - refused, refused=refused)

    def given_up(self, asked: Sequence[Asked[Any]]) -> None:
        """Does nothing: no call of these tests is given up."""


def entry_of(bench: Bench, number: int, **facts: Any) -> AuditEntry:
    bare = AuditEntry(time=bench.clock.now, call=number, method="PerformAction", caller="crm")
    return replace(bare, **facts)


async def stored(bench: Bench, **wanted: Any) -> list[AuditEntry]:
    """Returns the entries that match, and reads them in pages of two."""
    found: list[AuditEntry] = []
    while True:
        before = found[-1].key if found else None
        page = await bench.store.read(
            lambda q: q.audit_entries(AuditFilter(**wanted), before=before, limit=2)  # noqa: B023
        )
        found += page
        if not page:
            return found


async def test_an_entry_is_written_with_its_change_and_counts_all_commands_of_its_call(
    bench: Bench,
) -> None:
    await bench.become(viewer("S1"))
    call = Call(entry_of(bench, 1))
    commands = [performing(ADD_NEWS, "S1"), performing(ADD_NEWS, "S1"), performing(ADD_SPORT, "S1")]
    together = [bench.ask(each, audit=call) for each in commands[:2]]
    results = await asyncio.gather(*together, return_exceptions=True)
    assert [isinstance(each, Refused) for each in results] == [False, True]
    await bench.store.do(commands[2], audit=call)

    assert await stored(bench) == [replace(call.bare, done=2, refused=1)]


async def test_entries_are_found_by_every_filter(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The entries are found even if the query examines only two rows for a page."""
    first = entry_of(bench, 1, subscription="S1", performed_by="mari", roles=("crm", "support"))
    facts: list[dict[str, Any]] = [
        {"provider": "SAT", "method": "SendResponses", "caller": "cas", "done": 9, "refused": 1},
        {"resource": "A0000000007", "detail": "TERMINATE", "subscription": "S2"},
        {"code": 7, "reason": "PERMISSION_DENIED", "refused": 1},
    ]
    entries = [first]
    for n, each in enumerate(facts, 2):
        bench.clock.advance(1)
        entries.append(entry_of(bench, n, **each))
    await bench.store.do(AddEntries(entries=tuple(entries)))
    assert await stored(bench) == entries[::-1]
    monkeypatch.setattr(base, "MOST_EXAMINED", 2)

    expected: list[tuple[dict[str, Any], list[int]]] = [
        ({"subscription": "S1"}, [1]),
        ({"performed_by": "mari"}, [1]),
        ({"provider": "SAT"}, [2]),
        ({"caller": "cas"}, [2]),
        ({"methods": ("SendResponses", "PerformAction")}, [4, 3, 2, 1]),
        ({"resource": "A0000000007"}, [3]),
        ({"codes": (7, 16)}, [4]),
        ({"refused": True}, [4, 2]),
        ({"time_from": entries[1].time, "time_to": entries[3].time}, [3, 2]),
        ({"subscription": "S2", "caller": "crm"}, [3]),
        ({"performed_by": "mari", "refused": True}, []),
        ({"caller": "nobody"}, []),
    ]
    for wanted, calls in expected:
        assert [each.call for each in await stored(bench, **wanted)] == calls, wanted
        end = await bench.store.read(
            lambda q: q.end_of_audit(AuditFilter(**wanted), before=None)  # noqa: B023
        )
        assert (end is not None) == AuditFilter(**wanted).scans()


async def test_refused_calls_beyond_a_few_are_counted_together(bench: Bench) -> None:
    lines: list[AuditEntry] = []
    auditing = Auditing(bench.store, lines.extend)
    refused = {"code": 3, "reason": "INVALID_FIELD", "refused": 1}
    many, minute = 500, Instant(bench.clock.now - bench.clock.now % MINUTE)
    for n in range(1, many + 1):
        peer = f"10.0.0.1:{n}"
        named = {"caller": peer, "peer": peer, "subscription": f"S{n}", "provider": f"P{n}"}
        auditing.refuse(entry_of(bench, n, **refused, **named))
    for n in range(3 * MOST_CALLERS):
        auditing.refuse_credentials(f"[::{n:x}]")
    auditing.refuse(entry_of(bench, many + 1, **refused, roles=("crm",), subscription="hidden"))
    await auditing.stop()

    found = await stored(bench)
    assert sorted(each.key for each in lines) == sorted(each.key for each in found)
    (proven,) = [each for each in found if each.roles]
    assert (proven.caller, proven.subscription) == ("crm", "hidden")
    alone = [each for each in found if each.subscription and each is not proven]
    (together,) = [each for each in found if each.method and not each.subscription]
    assert {each.subscription for each in alone} == {f"S{n + 1}" for n in range(MOST_ALONE)}
    assert (together.time, together.refused) == (minute, many - MOST_ALONE)
    assert together.caller == together.peer == "10.0.0.1"
    wrong = [each for each in found if each.code == 16]
    assert len(wrong) == MOST_CALLERS
    assert sum(each.refused for each in wrong) == 3 * MOST_CALLERS


async def test_a_bounded_number_of_entries_waits_for_a_store_that_is_lost(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def lost(*_: object) -> None:
        raise unavailable("written")

    entries = [entry_of(bench, n) for n in range(1, 6)]
    auditing = Auditing(bench.store, list[AuditEntry]().extend)
    with monkeypatch.context() as changed, capture_logs() as logs:
        changed.setattr("generic_provider_server.services.auditing.MOST_WAITING", 3)
        changed.setattr(bench.store, "do", lost)
        for entry in entries:
            auditing.add(entry)
        await auditing.stop()
    assert [(each["event"], each["entries"]) for each in logs] == [("audit_entries_lost", 2)]
    await auditing.stop()

    assert sorted(each.call for each in await stored(bench)) == [1, 2, 3]


async def test_old_entries_are_removed_in_small_steps(bench: Bench) -> None:
    old = [entry_of(bench, n) for n in range(1, 2 * MOST_DROPPED + 1)]
    await bench.store.do(AddEntries(entries=tuple(old)))
    bench.clock.advance(DAYS_OF_AUDIT * DAY + 1)
    young = entry_of(bench, 1, caller="young")
    await bench.store.do(AddEntries(entries=(young,)))
    for left in (MOST_DROPPED + 1, 1, 1):
        await bench.pass_time(0)
        assert len(await stored(bench)) == left
    assert await stored(bench) == [young]


async def test_an_archive_takes_old_entries_of_its_provider_or_all(
    bench: Bench, archivist: Archivist
) -> None:
    facts: dict[str, dict[str, Any]] = {
        "SAT": {"provider": "SAT", "done": 3},
        "WEB": {"provider": "WEB"},
        "": {"code": 5},
    }
    old = {
        name: entry_of(bench, n, **each, roles=("crm",))
        for n, (name, each) in enumerate(facts.items(), 1)
    }
    await bench.store.do(AddEntries(entries=tuple(old.values())))
    bench.clock.advance(3 * DAY)
    young = entry_of(bench, 9)
    await bench.store.do(AddEntries(entries=(young,)))

    expected = {"SAT": [old["SAT"]], "": [old["WEB"], old[""]]}
    for provider, taken in expected.items():
        made = await archivist.make(provider=provider)
        lines = list(ArchiveFile(archivist.path / made.file).contents())
        assert [each for each in lines if isinstance(each, AuditLine)] == lines
        assert [line.id for line in lines if isinstance(line, AuditLine)] == [e.id for e in taken]
        assert not {each.key for each in await stored(bench)} & {each.key for each in taken}
    assert await stored(bench) == [young]
