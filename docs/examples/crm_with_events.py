"""A CRM that loses no order and no result, even if it is killed.

    python crm_with_events.py localhost:50051 crm.db

If the server has callers and TLS, the environment variables GENERIC_PROVIDER_CA (a file) and
GENERIC_PROVIDER_TOKEN contain the settings of the connection.

The CRM writes each order into its own database first, and sends the order with its number as the
request id. So an order whose sending was not recorded is sent again, and is not performed twice.
The CRM watches the events, and stores the cursor in the same transaction as the change that an
event causes.
"""

from __future__ import annotations

import os
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

from generic_provider import (
    Account,
    ActionState,
    Client,
    CursorTooOld,
    DeadlineExceeded,
    Event,
    EventKind,
    PerformActionRequest,
    ProvisioningError,
    ServerUnavailable,
    TlsFiles,
    actions,
)

TABLES = """
CREATE TABLE IF NOT EXISTS orders (
    id TEXT PRIMARY KEY, request BLOB NOT NULL, subscription TEXT NOT NULL DEFAULT '',
    state TEXT NOT NULL DEFAULT 'OPEN', error TEXT NOT NULL DEFAULT ''
);
CREATE TABLE IF NOT EXISTS place (id INTEGER PRIMARY KEY CHECK (id = 1), cursor TEXT NOT NULL)
"""
NOT_KNOWN = (ServerUnavailable, DeadlineExceeded)
KINDS = (EventKind.ACTION_SETTLED, EventKind.SUBSCRIPTION_ROLLED_BACK)


def reached_by() -> dict[str, Any]:
    """Returns the settings that the connection needs if the server uses TLS and a file of callers.
    They come from the environment variables GENERIC_PROVIDER_CA (a file) and
    GENERIC_PROVIDER_TOKEN.
    """
    ca = os.environ.get("GENERIC_PROVIDER_CA")
    tls = TlsFiles(ca=ca) if ca else None
    return {"tls": tls, "token": os.environ.get("GENERIC_PROVIDER_TOKEN")}


class Crm:
    """`address`: the server. `file`: the CRM's own database, which only one process may use."""

    def __init__(self, address: str, file: Path) -> None:
        self._client = Client(address, performed_by="crm", **reached_by())
        self._database = sqlite3.connect(file)
        self._database.executescript(TABLES)

    def close(self) -> None:
        self._client.close()
        self._database.close()

    def order(self, action: actions.Action, *, subscription: str = "") -> str:
        """Stores an order. Returns its number."""
        number = str(uuid4())
        request = actions.request(
            action, subscription=subscription, request_id=number, reference=number
        )
        with self._database:
            self._database.execute(
                "INSERT INTO orders (id, request) VALUES (?, ?)",
                (number, request.SerializeToString()),
            )
        return number

    def send(self) -> None:
        """Sends all orders whose result is unknown."""
        rows = self._database.execute("SELECT id, request FROM orders WHERE state = 'OPEN'")
        for number, stored in rows.fetchall():
            request = PerformActionRequest.FromString(stored)
            try:
                (done,) = self._client.batch_perform([request])
            except NOT_KNOWN as error:
                done = error
            if isinstance(done, NOT_KNOWN):
                return  # the order stays open and is sent again
            if isinstance(done, ProvisioningError):
                self._note(number, state="REFUSED", error=done.message)
            else:
                self._note(number, state="PERFORMED", subscription=done.subscription)

    def follow(self) -> Iterator[Event]:
        """Yields each event after the change that the event causes is stored.

        After a restart, the iterator continues after the last event. The server sends the events of
        all callers, so some events belong to no order of this CRM.
        """
        place = self._database.execute("SELECT cursor FROM place").fetchone()
        events = self._client.watch_events(
            start_after=place[0] if place else "",
            from_beginning=True,  # if no cursor is stored yet
            kinds=KINDS,
            on_heartbeat=self._go_on_behind,
        )
        for event in events:
            with self._database:
                self._apply(event)
                self._put_cursor(event.cursor)
            yield event

    def state(self, order: str) -> tuple[str, str] | None:
        """Returns the state of an order and its error; None if the order is not from this CRM."""
        row = self._database.execute("SELECT state, error FROM orders WHERE id = ?", (order,))
        found: tuple[str, str] | None = row.fetchone()
        return found

    def subscription(self, order: str) -> str:
        row = self._database.execute("SELECT subscription FROM orders WHERE id = ?", (order,))
        (number,) = row.fetchone()
        return str(number)

    def _apply(self, event: Event) -> None:
        """Writes the state that the event contains, so an event may be applied more than once."""
        settled = event.HasField("action_settled")
        action = (event.action_settled if settled else event.subscription_rolled_back).action
        error = f"{action.error.error_code} {action.error.error_description}".strip()
        self._database.execute(
            "UPDATE orders SET state = ?, error = ? WHERE id = ?",
            (ActionState.name_of(action.state), error, event.reference),
        )

    def _note(self, order: str, *, state: str, subscription: str = "", error: str = "") -> None:
        # the result may have arrived as an event already, and must not change
        with self._database:
            self._database.execute(
                "UPDATE orders SET state = iif(state = 'OPEN', ?, state), error = error || ?, "
                "subscription = ? WHERE id = ?",
                (state, error, subscription, order),
            )

    def _go_on_behind(self, cursor: str) -> None:
        with self._database:
            self._put_cursor(cursor)

    def _put_cursor(self, cursor: str) -> None:
        self._database.execute("REPLACE INTO place VALUES (1, ?)", (cursor,))


def main(address: str, file: Path) -> None:
    with closing(Crm(address, file)) as crm:
        family = actions.BecomeSubscriber(
            type="DTH", provider="ALUXSAT", holder=Account(name="Jaan Tamm")
        )
        print("order", crm.order(family))
        crm.send()
        try:
            for event in crm.follow():
                if state := crm.state(event.reference):
                    print(event.reference, *state, flush=True)
        except CursorTooOld:
            sys.exit("events were missed: read all subscriptions, then begin anew")


if __name__ == "__main__":
    match sys.argv[1:]:
        case [server, file]:
            with suppress(KeyboardInterrupt):  # Ctrl-C ends the program
                main(server, Path(file))
        case _:
            sys.exit("usage: python crm_with_events.py SERVER FILE-OF-THE-DATABASE")
