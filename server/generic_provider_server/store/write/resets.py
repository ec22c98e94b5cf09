"""Reads and writes reset runs one by one within a transaction, because there are few runs."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from ...domain.platform.request import Request
from ...domain.resets.records import DefinitionRecord, Entry, RunRecord, RunState
from ...domain.subscription.events import Event, EventKind
from ...domain.values import Instant
from ..database import statements as sql
from ..database.engine import Tables
from ..database.reset_rows import (
    accepted_of_rows,
    definition_of_row,
    definition_row,
    entry_of_row,
    entry_row,
    run_of_row,
    run_row,
)
from ..database.rows import first_of


class Resets:
    """The definitions, runs and entries of resets within a transaction. The functions `definition`
    and `run` lock the row that they return until the commit.
    """

    def __init__(self, tables: Tables, *, events: list[Event]) -> None:
        self._tables = tables
        self._events = events

    def definition(self, number: int) -> DefinitionRecord | None:
        return first_of(self._tables.select(sql.RESET_DEFINITION, (number,)), definition_of_row)

    def put_definition(self, record: DefinitionRecord) -> None:
        self._tables.write(sql.PUT_RESET_DEFINITION, [definition_row(record)])

    def drop_definition(self, number: int) -> None:
        self._tables.run(sql.DROP_RESET_DEFINITION, (number,))

    def run(self, number: int) -> RunRecord | None:
        return first_of(self._tables.select(sql.RESET_RUN, (number,)), run_of_row)

    def open_run(self, definition: int) -> RunRecord | None:
        """Returns the definition's run in the state HELD or RUNNING, or None."""
        return first_of(self._tables.select(sql.OPEN_RESET_RUN, (definition,)), run_of_row)

    def put_run(self, record: RunRecord) -> None:
        # no event is added twice, because a run becomes HELD only once, and reaches a final state
        # only once
        if record.state is not RunState.RUNNING:
            held = record.state is RunState.HELD
            kind = EventKind.RESET_RUN_HELD if held else EventKind.RESET_RUN_FINISHED
            self._events.append(Event(kind, record.id, providers=(record.definition.provider,)))
        self._tables.write(sql.PUT_RESET_RUN, [run_row(record)])

    def planned(self, run: int, *, after: str, until: str) -> list[Entry]:
        """Returns the planned entries of the run for the subscriptions with numbers greater than
        `after`, up to and including `until`.
        """
        found = self._tables.select(sql.RESET_ENTRIES, (run, after, until))
        return [entry_of_row(row) for row in found]

    def put_entries(self, entries: Iterable[Entry], *, planned: bool = False) -> None:
        """Writes entries of a run. `planned`: true if the rows exist, because the plan of the run
        contains the entries.
        """
        statement = sql.PUT_RESET_ENTRY if planned else sql.ADD_RESET_ENTRY
        self._tables.write(statement, [entry_row(entry) for entry in entries])

    def drop_entries(self, run: int, *, most: int) -> None:
        """Removes the first entries of the run, at most `most`."""
        found = self._tables.select(sql.FIRST_ENTRIES, (run, most))
        first = [{"run": row.run, "subscription": row.subscription} for row in found]
        self._tables.write(sql.DROP_ENTRIES, first)

    def accepted_since(
        self, provider: str, since: Instant, *, subscriptions: Collection[str]
    ) -> dict[str, list[Request]]:
        """Returns for each subscription the requests that the provider's platform accepted after
        `since`, in the order in which they were settled.

        Call `flush` before, so that the query finds all requests.
        """
        rows = self._tables.select_in(sql.ACCEPTED_OF, list(subscriptions))
        return accepted_of_rows(rows, provider, since)
